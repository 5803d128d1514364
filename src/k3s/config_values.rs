// SPDX-License-Identifier: Apache-2.0
//! The values of K3s's flags with their origins, and the question of which node they are read for.

use std::collections::BTreeMap;

use super::flags;
use super::origin::ValueOrigin;
use crate::Role;
use crate::error::Place;
use crate::node::RootedPath;
use crate::version::K3sRelease;

/// The value of a flag, and where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EffectiveValue {
    /// The value; several for a flag that repeats.
    pub items: Vec<String>,
    /// Where each item comes from.
    pub origins: Vec<ValueOrigin>,
    /// Whether the flag repeats.
    pub list: bool,
}

/// Every flag that is set, by its long name.
pub(super) type Values = BTreeMap<String, EffectiveValue>;

/// Which configuration of a node is read.
#[derive(Debug, Clone, Copy)]
pub struct ConfigQuery<'a> {
    /// The role that K3s is started in.
    pub role: Role,
    /// The release: which flags K3s has, and which it adds.
    pub release: K3sRelease,
    /// K3s's data directory.
    pub data_dir: &'a RootedPath,
    /// Words behind the service's command line, as if typed.
    pub words: &'a [String],
    /// Whether secrets are shown.
    pub show_secrets: bool,
}

/// Returns the last value of a flag.
pub(super) fn last<'v>(values: &'v Values, name: &str) -> Option<&'v str> {
    values.get(name).and_then(|value| value.items.last()).map(String::as_str)
}

/// Tells whether a flag that is on or off is on.
pub(super) fn is_on(values: &Values, name: &str) -> bool {
    last(values, name).is_some_and(flags::is_true)
}

/// Returns the words of `disable` with their places.
pub(super) fn disabling_words(values: &Values) -> impl Iterator<Item = (&str, Place)> {
    let items = values.get("disable").into_iter().flat_map(|value| value.items.iter().zip(&value.origins));
    items.flat_map(|(item, origin)| item.split(',').map(|word| (word.trim(), origin.place())))
}

/// Returns where `disable` has a word; none if it does not.
pub(super) fn disabling(values: &Values, word: &str) -> Option<Place> {
    disabling_words(values).find_map(|(its, place)| (its == word).then_some(place))
}
