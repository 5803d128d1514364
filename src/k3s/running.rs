// SPDX-License-Identifier: Apache-2.0
//! The components that run on a node (data/running-components.yaml): which, and the key that keeps each other from running.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::config_values::{self, ConfigQuery, Values, is_on, last};
use super::datastore::Datastore;
use super::flags;
use super::origin::ValueOrigin;
use crate::Role;
use crate::embedded;
use crate::error::Place;
use crate::node::Root;

/// K3s's etcd, as a component.
pub const ETCD: &str = "etcd";

/// The components that run on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningComponents {
    /// Why each other component does not run.
    absent: BTreeMap<&'static str, Absence>,
    /// The datastore of the cluster.
    pub datastore: Datastore,
}

/// Why a component does not run on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// The reason, in words.
    pub reason: String,
    /// Where it is set; none if the role decides.
    pub place: Option<Place>,
}

/// A row of data/running-components.yaml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RunningRow {
    #[serde(default)]
    roles: Vec<Role>,
    needs: Option<String>,
    #[serde(default)]
    off: Vec<OffCondition>,
    #[serde(default)]
    all_off: Vec<OffCondition>,
    #[serde(default)]
    waits_for_node: bool,
}

/// What keeps a component from running.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct OffCondition {
    key: String,
    is: Option<String>,
    has: Option<String>,
    #[serde(default)]
    set: bool,
}

fn rows() -> &'static BTreeMap<String, RunningRow> {
    static ROWS: LazyLock<BTreeMap<String, RunningRow>> =
        LazyLock::new(|| embedded::table("running-components"));
    &ROWS
}

impl RunningComponents {
    /// Returns what runs in a role with a datastore where nothing is switched off.
    #[must_use]
    pub fn of_role(role: Role, datastore: Datastore) -> Self {
        Self::new(role, &Values::new(), datastore)
    }

    /// Returns what runs on a node with these values.
    pub(super) fn read(root: &Root, values: &Values, query: ConfigQuery<'_>) -> Self {
        let log = query.data_dir.join(Datastore::ETCD_LOG);
        let begun = query.role == Role::Server && root.is_directory(&log);
        Self::new(query.role, values, datastore(values, begun))
    }

    fn new(role: Role, values: &Values, datastore: Datastore) -> Self {
        let mut absent = BTreeMap::new();
        for (name, row) in rows() {
            if let Some(absence) = row.absence(name, role, values) {
                absent.insert(name.as_str(), absence);
            }
        }
        if datastore != Datastore::Etcd {
            let place = values.get("datastore-endpoint").and_then(|value| value.origins.last());
            let reason = format!("the datastore is {datastore}");
            let absence = Absence { reason, place: place.map(ValueOrigin::place) };
            absent.entry(ETCD).or_insert(absence);
        }
        Self { absent, datastore }
    }

    /// Tells whether K3s starts a component only once another node has joined: the component waits for a node, and this one
    /// has no kubelet.
    #[must_use]
    pub fn waits_for_node(&self, component: &str) -> bool {
        rows().get(component).is_some_and(|row| row.waits_for_node) && !self.has("kubelet")
    }

    /// Tells whether a component runs.
    #[must_use]
    pub fn has(&self, component: &str) -> bool {
        !self.absent.contains_key(component)
    }

    /// Returns why a component does not run; none if it does.
    #[must_use]
    pub fn absence(&self, component: &str) -> Option<&Absence> {
        self.absent.get(component)
    }
}

impl RunningRow {
    fn absence(&self, name: &str, role: Role, values: &Values) -> Option<Absence> {
        if !self.roles.is_empty() && !self.roles.contains(&role) {
            let reason = match role {
                Role::Agent => "an agent runs no control plane",
                Role::Server => "this is a server",
            };
            return Some(Absence { reason: reason.to_owned(), place: None });
        }
        let of_other = self.needs.as_ref().and_then(|other| rows().get(other)?.absence(other, role, values));
        if of_other.is_some() {
            return of_other;
        }
        let met = |condition: &OffCondition| condition.met(values);
        let whole: Option<Vec<(String, Place)>> = self.all_off.iter().map(met).collect();
        let whole = whole.filter(|met| !met.is_empty()).map(|met| {
            let (texts, mut places): (Vec<String>, Vec<Place>) = met.into_iter().unzip();
            (texts.join(" and "), places.remove(0))
        });
        let (text, place) = self.off.iter().find_map(met).or(whole)?;
        Some(Absence { reason: format!("{text}: K3s runs no {name} here"), place: Some(place) })
    }
}

impl OffCondition {
    /// Returns the key with its value, and its place, if the condition is met.
    fn met(&self, values: &Values) -> Option<(String, Place)> {
        let value = values.get(&self.key)?;
        if let Some(word) = &self.has {
            let place = config_values::disabling(values, word)?;
            return Some((format!("{} has {word}", self.key), place));
        }
        let text = value.items.last()?;
        let is_met = match &self.is {
            Some(wanted) => text == wanted,
            None if self.set => !text.is_empty(),
            None => flags::is_true(text),
        };
        is_met.then(|| Some((format!("{} is {text}", self.key), value.origins.last()?.place()))).flatten()
    }
}

/// Returns the datastore that a server with these values chooses; `begun` tells whether it has begun a cluster with etcd.
fn datastore(values: &Values, begun: bool) -> Datastore {
    let given = |name: &str| last(values, name).is_some_and(|text| !text.is_empty());
    let endpoint = last(values, "datastore-endpoint").unwrap_or_default();
    Datastore::chosen(endpoint, given, |name| is_on(values, name), begun)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k3s::EffectiveValue;

    fn values(pairs: &[(&str, &str)]) -> Values {
        let mut values = Values::new();
        for (name, text) in pairs {
            let value: &mut EffectiveValue = values.entry((*name).to_owned()).or_default();
            value.items.push((*text).to_owned());
            value.origins.push(ValueOrigin::CommandLine);
        }
        values
    }

    #[test]
    fn every_key_is_a_flag_of_k3s() {
        for (name, row) in rows() {
            assert!(row.needs.as_ref().is_none_or(|other| rows().contains_key(other)), "{name}");
            for condition in row.off.iter().chain(&row.all_off) {
                assert!(
                    flags::of_any_minor(Role::Server, &condition.key).is_some(),
                    "{name}: {}",
                    condition.key
                );
            }
        }
    }

    #[test]
    fn a_component_is_off_where_its_key_is() {
        for (pairs, off) in [
            (vec![("disable-apiserver", "true")], vec!["deploy-controller", "kube-apiserver"]),
            (
                vec![("disable-agent", "1")],
                vec!["containerd", "flannel", "kube-proxy", "kubelet", "network-policy-controller"],
            ),
            (vec![("disable-agent", "false")], vec![]),
            (vec![("disable-scheduler", "true"), ("disable-scheduler", "F")], vec![]),
            (vec![("disable-cloud-controller", "t")], vec!["cloud-provider"]),
            (vec![("disable", "traefik, servicelb")], vec!["servicelb"]),
            (
                vec![("disable-cloud-controller", "t"), ("disable", "x"), ("disable", "servicelb")],
                vec!["cloud-controller-manager", "cloud-provider", "servicelb"],
            ),
            (vec![("flannel-backend", "none")], vec!["flannel"]),
            (vec![("flannel-backend", "none"), ("flannel-backend", "vxlan")], vec![]),
            (vec![("container-runtime-endpoint", "/x")], vec!["containerd"]),
            (vec![("container-runtime-endpoint", "")], vec![]),
            (vec![("cluster-reset", "")], vec![]),
        ] {
            let running = RunningComponents::new(Role::Server, &values(&pairs), Datastore::Etcd);
            assert_eq!(running.absent.keys().copied().collect::<Vec<_>>(), off, "{pairs:?}");
        }
        let reset = values(&[("cluster-reset", "true")]);
        let running = RunningComponents::new(Role::Server, &reset, datastore(&reset, false));
        let left: Vec<&str> = rows().keys().map(String::as_str).filter(|name| running.has(name)).collect();
        assert_eq!(left, [ETCD]);
        let running = RunningComponents::of_role(Role::Agent, Datastore::Sqlite);
        assert!(running.has("kubelet") && running.has("kube-proxy") && !running.has("kube-apiserver"));
        assert_eq!(running.absence("kube-apiserver").unwrap().place, None);
    }

    #[test]
    fn etcd_runs_where_it_has_begun_and_is_not_off() {
        let etcd = |pairs: &[(&str, &str)], begun| {
            let values = values(pairs);
            let running = RunningComponents::new(Role::Server, &values, datastore(&values, begun));
            (running.datastore, running.has(ETCD))
        };
        let mysql = ("datastore-endpoint", "mysql://x");
        assert_eq!(etcd(&[], false), (Datastore::Sqlite, false));
        assert_eq!(etcd(&[mysql], false), (Datastore::External, false));
        assert_eq!(etcd(&[mysql, ("cluster-init", "true")], false), (Datastore::External, false));
        assert_eq!(etcd(&[mysql], true), (Datastore::Etcd, true));
        assert_eq!(etcd(&[("datastore-endpoint", "etcd://")], false), (Datastore::Etcd, true));
        assert_eq!(etcd(&[("cluster-init", "true")], false), (Datastore::Etcd, true));
        assert_eq!(etcd(&[("server", "https://x")], false), (Datastore::Sqlite, false), "without a token");
        let joins = [("server", "https://x"), ("token", "t"), ("disable-etcd", "true")];
        assert_eq!(etcd(&joins[..2], false), (Datastore::Etcd, true));
        assert_eq!(etcd(&joins, true), (Datastore::Etcd, false));
    }
}
