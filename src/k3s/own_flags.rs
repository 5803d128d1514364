// SPDX-License-Identifier: Apache-2.0
//! The flags with which K3s starts each component: its own (data/default-flags.yaml and changed-flags.yaml), with the
//! arguments of the user merged in.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::value::RawValue;

use super::arguments;
use super::datastore::Datastore;
use super::node_paths::{DEFAULT_DATA_DIR, NodePaths};
use super::release_flags;
use crate::embedded;
use crate::kubernetes::component_flags;
use crate::node::RootedPath;
use crate::version::{K3sRelease, KubernetesMinor};

type Flags = BTreeMap<String, String>;

/// What K3s's own flags depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnFlags<'a> {
    /// The release.
    pub(super) release: K3sRelease,
    /// K3s's data directory.
    pub(super) data_dir: &'a RootedPath,
    /// The datastore.
    pub(super) datastore: Datastore,
    /// The API server's arguments with which an etcd is reached that K3s does not run.
    pub(super) external_etcd: Option<[(&'static str, &'a str); 4]>,
    /// Whether K3s is the cloud provider.
    pub(super) cloud_provider: bool,
    /// Whether K3s has a load balancer.
    pub(super) load_balancer: bool,
    /// Whether its key secrets-encryption is true.
    pub(super) encrypts_secrets: bool,
    /// Whether its key protect-kernel-defaults is true.
    pub(super) protects_kernel_defaults: bool,
}

impl OwnFlags<'_> {
    /// Returns the flags that a component gets: K3s's own, with the user's arguments merged in. None for a component whose
    /// own flags are not known.
    pub(super) fn merged(&self, name: &str, extra: &[&str]) -> Option<Vec<String>> {
        let mut flags = self.flags(name)?;
        for flag in release_flags::left_out(name, self.release, extra) {
            flags.remove(flag);
        }
        Some(arguments::merge(&flags, extra.iter().copied()))
    }

    /// Returns K3s's own flags of a component.
    fn flags(&self, name: &str) -> Option<Flags> {
        let mut flags = default_flags(self.release.minor(), name)?;
        let is_shared = matches!(self.datastore, Datastore::ExternalEtcd | Datastore::External);
        let changes = [
            (self.datastore == Datastore::Etcd, "etcd"),
            (is_shared, "shared-datastore"),
            (!self.cloud_provider, "without-cloud-provider"),
            (!self.load_balancer, "without-load-balancer"),
        ];
        for (_, changes) in changes.into_iter().filter(|(is_so, _)| *is_so) {
            change(&mut flags, changes, name);
        }
        for value in flags.values_mut() {
            *value = value.replace(DEFAULT_DATA_DIR, self.data_dir.as_str());
        }
        if let (Some(given), "kube-apiserver") = (self.external_etcd, name) {
            for (flag, value) in given.into_iter().filter(|(_, value)| !value.is_empty()) {
                flags.insert(flag.to_owned(), value.to_owned());
            }
        }
        if name == "kube-apiserver" && self.encrypts_secrets {
            let path = self.data_dir.join(&NodePaths::get().encryption_config).to_string();
            flags.insert("encryption-provider-config".to_owned(), path);
            // From 1.26 on.
            let reload = "encryption-provider-config-automatic-reload";
            if component_flags::unknown(name, self.release.minor(), reload).is_none() {
                flags.insert(reload.to_owned(), "true".to_owned());
            }
        }
        // K3s that gives the kubelet a folder of drop-ins writes it into a drop-in.
        if name == "kubelet" && self.protects_kernel_defaults && !has_drop_ins(&flags) {
            flags.insert("protect-kernel-defaults".to_owned(), "true".to_owned());
        }
        Some(flags)
    }
}

/// Tells whether K3s gives the kubelet a folder of drop-ins.
fn has_drop_ins(kubelet: &Flags) -> bool {
    kubelet.contains_key("config-dir")
}

/// What changes the flags, by why, component and flag.
type Changes = BTreeMap<String, BTreeMap<String, BTreeMap<String, Option<String>>>>;

/// Makes the changes to K3s's own flags of a component that have a name in data/changed-flags.yaml.
fn change(flags: &mut Flags, changes: &str, component: &str) {
    static CHANGES: LazyLock<Changes> = LazyLock::new(|| embedded::table("changed-flags"));
    for (name, value) in CHANGES.get(changes).and_then(|of| of.get(component)).into_iter().flatten() {
        match value {
            Some(value) => flags.insert(name.clone(), value.clone()),
            None => flags.remove(name),
        };
    }
}

/// Returns K3s's own flags of a component, from the newest generation that is not newer than `minor`.
fn default_flags(minor: KubernetesMinor, component: &str) -> Option<Flags> {
    static GENERATIONS: LazyLock<BTreeMap<KubernetesMinor, &str>> = LazyLock::new(|| {
        let generations = embedded::entries("default-flags").into_iter();
        generations.filter_map(|(since, json)| Some((since.parse().ok()?, json))).collect()
    });
    let fitting = GENERATIONS.range(..=minor).next_back().or_else(|| GENERATIONS.first_key_value());
    let (_, json) = fitting?;
    let mut components: BTreeMap<&str, &RawValue> = embedded::read(json);
    components.remove(component).map(|json| embedded::read(json.get()))
}
