// SPDX-License-Identifier: Apache-2.0
//! An argument of ours with which its component takes no other of some arguments (`excludes` in data/arguments.yaml), and
//! what the user's configuration has of both.
//!
//! The component exits on two that exclude each other. So ours is written only where nothing of the user's stays that
//! excludes it: what stands before the drop-in is taken out of the list, as `--on-conflict` says, and what stands behind it
//! or on the command line cannot be.

use super::drop_in_merge::{DropInMerge, OnConflict};
use crate::error::Place;
use crate::k3s::arguments::{name_and_value, sets};
use crate::k3s::merge::ConfigItem;
use crate::profile::ArgumentRow;

/// What the user's arguments leave of one of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Exclusion {
    /// Why it is not written, if it is not.
    pub(super) left: Option<(String, Place)>,
    /// Values of the user's that exclude it, and that `--on-conflict` decides about.
    pub(super) conflicts: Vec<(String, Place)>,
}

impl DropInMerge {
    /// Returns what the user's arguments leave of an argument of ours with this value, which `setting` asks for.
    pub(super) fn exclusion(&self, row: &ArgumentRow, value: &str, setting: &str) -> Exclusion {
        let ArgumentRow { component, name, excludes, .. } = row;
        let key = format!("{component}-arg");
        let (before, fixed) = (self.existing.before_ours(&key), self.beyond_ours(component));
        let excluding = |item: &&ConfigItem| excludes.iter().any(|excluded| sets(&item.text, excluded));
        let written = |item: &ConfigItem| {
            let (name, value) = name_and_value(&item.text);
            format!("{component}: {name} is {value:?} here")
        };
        let own = before.iter().chain(&fixed).rfind(|item| {
            sets(&item.text, name) && !["", value].contains(&name_and_value(&item.text).1.as_str())
        });
        if let Some(own) = own {
            let left = format!(
                "{}: the value is kept, so {setting} has no effect: put the settings into that file yourself",
                written(own)
            );
            return Exclusion { left: Some((left, own.place.clone())), conflicts: Vec::new() };
        }
        let mut exclusion = Exclusion::default();
        if let Some(item) = fixed.iter().rfind(excluding) {
            let message = format!(
                "{}: this argument cannot be used with {name}, and k3s-harden cannot remove it",
                written(item)
            );
            if self.on_conflict == OnConflict::Fail {
                exclusion.conflicts.push((message, item.place.clone()));
                return exclusion;
            }
            let left = format!("{message}: {setting} has no effect until you remove the argument");
            exclusion.left = Some((left, item.place.clone()));
            return exclusion;
        }
        if let Some(item) = before.iter().rfind(excluding) {
            let end = match self.on_conflict {
                OnConflict::Ours => {
                    "the argument is left out; to keep the argument and skip the file: --on-conflict keep"
                }
                OnConflict::Keep => "the argument is kept, and the setting has no effect",
                OnConflict::Fail => "they contradict",
            };
            let message = format!(
                "{}: this argument cannot be used with {name}, which {setting} needs: {end}",
                written(item)
            );
            let place = item.place.clone();
            match self.on_conflict {
                OnConflict::Keep => exclusion.left = Some((message, place)),
                _ => exclusion.conflicts.push((message, place)),
            }
        }
        exclusion
    }

    /// Returns the arguments of a component that count whatever the drop-in says.
    pub(super) fn beyond_ours(&self, component: &str) -> Vec<ConfigItem> {
        let later = self.existing.after_ours(&format!("{component}-arg"));
        later.into_iter().chain(self.command_line.get(component).into_iter().flatten().cloned()).collect()
    }
}
