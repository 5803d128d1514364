// SPDX-License-Identifier: Apache-2.0
//! What the readers of admission objects share.

use super::object::{self, Located, Position};
use super::yaml::YamlNode;

/// What the names of objects in the files end in.
pub const SUFFIX: &str = ".static.k8s.io";

/// A part of an object that only the API server can judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnjudgedPart {
    /// What it is, such as `an expression`.
    pub what: &'static str,
    /// Its position.
    pub position: Position,
}

/// Returns a text of an object with its position.
pub(super) fn located(node: &YamlNode, name: &str) -> Located<String> {
    Located { value: object::text(node, name).to_owned(), position: object::position_of(node, name) }
}
