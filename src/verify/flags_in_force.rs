// SPDX-License-Identifier: Apache-2.0
//! The flags that a component gets, and where they are known from.

use crate::error::Place;

/// The flags of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagsInForce {
    /// Names without dashes, and values, in their order.
    pub flags: Vec<(String, String)>,
    /// Where the flags are known from.
    pub origin: FlagOrigin,
}

/// Where a component's flags are known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagOrigin {
    /// K3s logged them in this line.
    Logged(Place),
    /// K3s has not started: these are the flags of its first start.
    Forecast,
    /// K3s has started, but no log states the flags: these are the flags of its next start.
    NotLogged,
}
