// SPDX-License-Identifier: Apache-2.0
//! The components that K3s starts, and the keys of K3s that give each its arguments (data/components.yaml).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::flags;
use crate::Role;
use crate::embedded;

/// A component that K3s starts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct K3sComponent {
    /// The keys that give it arguments, the present name first.
    keys: Vec<String>,
}

impl K3sComponent {
    /// Returns the keys in the order in which K3s merges their values: the present name is the last.
    pub(super) fn keys_in_order(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().rev().map(String::as_str)
    }

    fn runs_in(&self, role: Role) -> bool {
        self.keys.iter().any(|key| flags::of_any_minor(role, key).is_some())
    }
}

fn all() -> &'static BTreeMap<String, K3sComponent> {
    static COMPONENTS: LazyLock<BTreeMap<String, K3sComponent>> =
        LazyLock::new(|| embedded::table("components"));
    &COMPONENTS
}

/// Returns the components that K3s starts in a role, by name.
pub(super) fn running_in(role: Role) -> impl Iterator<Item = (&'static str, &'static K3sComponent)> {
    let here = all().iter().filter(move |(_, component)| component.runs_in(role));
    here.map(|(name, component)| (name.as_str(), component))
}

/// Finds a component by its name.
pub(super) fn find(name: &str) -> Option<&'static K3sComponent> {
    all().get(name)
}

/// Returns the component that a key of K3s gives arguments in a role, by the present name of the key.
#[must_use]
pub fn of_key(key: &str, role: Role) -> Option<&'static str> {
    running_in(role).find(|(_, component)| component.keys[0] == key).map(|(name, _)| name)
}

/// Returns the present name of a key that may be an old or a short name.
#[must_use]
pub fn present_name(key: &str) -> &str {
    let mut components = all().values();
    let renamed = components.find(|component| component.keys.iter().any(|known| known == key));
    renamed.map_or_else(|| flags::long_name(key), |component| component.keys[0].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::component_flags;

    #[test]
    fn every_key_gives_its_component_arguments() {
        let names: Vec<&str> = all().keys().map(String::as_str).collect();
        assert_eq!(names, component_flags::all().keys().map(String::as_str).collect::<Vec<_>>());
        for (name, component) in all() {
            let key = format!("kube-{}-arg", name.trim_start_matches("kube-"));
            assert_eq!(component.keys[0], if name == "kubelet" { "kubelet-arg" } else { &key });
            assert_eq!(of_key(&component.keys[0], Role::Server), Some(name.as_str()));
            for key in &component.keys {
                assert_eq!(present_name(key), component.keys[0]);
                assert!(flags::of_any_minor(Role::Server, key).is_some(), "{key}");
            }
        }
        let on_agents: Vec<&str> = running_in(Role::Agent).map(|(name, _)| name).collect();
        assert_eq!(on_agents, ["kube-proxy", "kubelet"]);
        assert_eq!(of_key("kube-apiserver-arg", Role::Agent), None);
        assert_eq!(of_key("kube-controller-arg", Role::Server), None, "it is an old name");
        assert_eq!((present_name("d"), present_name("debug")), ("data-dir", "debug"));
    }
}
