// SPDX-License-Identifier: Apache-2.0
//! What upstream is known to change in the minor after the newest supported one (data/next-minor.yaml).
//!
//! A node of a newer minor is judged as the newest supported one. What it names of this table is not judged: the supported
//! minor would say something else about it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::embedded;
use crate::version::KubernetesMinor;

/// The table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NextMinor {
    gates_gone: BTreeSet<String>,
    gates_new: BTreeSet<String>,
    plugins_new: BTreeSet<String>,
}

/// What the next minor changes about a feature gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateChange {
    /// It no longer has the gate.
    Gone,
    /// It has the gate, and no minor before it does.
    New,
}

static TABLE: LazyLock<NextMinor> = LazyLock::new(|| embedded::table("next-minor"));

/// Tells whether a minor has the changes of the table: it is newer than every supported one.
fn has_changes(minor: KubernetesMinor) -> bool {
    minor.is_newer_than_known()
}

/// Returns what is known to change about a feature gate in a minor that is not supported yet.
#[must_use]
pub fn of_gate(name: &str, minor: KubernetesMinor) -> Option<GateChange> {
    if !has_changes(minor) {
        return None;
    }
    let is_gone = TABLE.gates_gone.contains(name).then_some(GateChange::Gone);
    is_gone.or_else(|| TABLE.gates_new.contains(name).then_some(GateChange::New))
}

/// Tells whether a minor that is not supported yet is known to have an admission plugin that no supported one has.
#[must_use]
pub fn has_new_plugin(name: &str, minor: KubernetesMinor) -> bool {
    has_changes(minor) && TABLE.plugins_new.contains(name)
}

/// Returns in words what a minor that is not supported yet is known to change; nothing of a supported minor.
#[must_use]
pub fn known_changes(minor: KubernetesMinor) -> Vec<String> {
    if !has_changes(minor) {
        return Vec::new();
    }
    let NextMinor { gates_gone, gates_new, plugins_new } = &*TABLE;
    let list = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    [("feature gates that are gone", gates_gone), ("new feature gates", gates_new)]
        .into_iter()
        .chain([("new admission plugins", plugins_new)])
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}", list(names)))
        .collect()
}

/// Returns how much of it there is, in words.
#[must_use]
pub fn summary() -> String {
    let NextMinor { gates_gone, gates_new, plugins_new } = &*TABLE;
    let plugins = plugins_new.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let (gone, new) = (gates_gone.len(), gates_new.len());
    format!("{gone} feature gates are removed, {new} are new; new admission plugins: {plugins}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{admission_plugins, feature_gates};

    #[test]
    fn the_table_is_about_the_minor_after_the_newest_that_is_released() {
        let head =
            crate::version::table_heads().into_iter().find(|head| head.file.ends_with("/next-minor.yaml"));
        let newest = KubernetesMinor::newest();
        let released = if cfg!(next_minor) { newest.previous() } else { newest };
        assert_eq!(head.unwrap().through, released, "its rows go into the other tables");
    }

    #[test]
    fn what_goes_is_known_today_and_what_comes_is_not() {
        let newest = KubernetesMinor::newest();
        for name in &TABLE.gates_gone {
            assert!(feature_gates::of_any(name, newest).is_some(), "{name}");
        }
        for name in &TABLE.gates_new {
            assert!(feature_gates::of_any(name, newest).is_none(), "{name}");
        }
        for name in &TABLE.plugins_new {
            assert!(!admission_plugins::has(newest, name), "{name}");
        }
    }

    #[test]
    fn a_supported_minor_has_none_of_it() {
        let newest = KubernetesMinor::newest();
        assert_eq!(of_gate("NodeSwap", newest), None);
        assert_eq!(of_gate("NodeSwap", newest.next()), Some(GateChange::Gone));
        assert_eq!(of_gate("ConditionalAuthorization", newest.next()), Some(GateChange::New));
        assert_eq!(of_gate("AllAlpha", newest.next()), None);
        assert!(known_changes(newest).is_empty() && known_changes(newest.next()).len() == 3);
    }
}
