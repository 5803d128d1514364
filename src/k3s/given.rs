// SPDX-License-Identifier: Apache-2.0
//! The arguments that the configuration gives each component, in the order in which K3s takes them, and the flags that each
//! component that runs gets from them.
//!
//! A key and its old name are two flags with one list behind them (pkg/cli/cmds/server.go), which K3s fills in the order of
//! its command line: the values of both stand under the present name (`into` in data/flags.yaml).

use std::collections::{BTreeMap, BTreeSet};

use super::arguments;
use super::components::{self, K3sComponent};
use super::config_values::{ConfigQuery, Values, is_on, last};
use super::datastore::Datastore;
use super::flags;
use super::kubelet;
use super::origin::ValueOrigin;
use super::own_flags::OwnFlags;
use super::release_flags;
use super::running::RunningComponents;
use crate::version::KubernetesMinor;

/// An argument as it is written, and where.
pub(super) type Given<'v> = (&'v str, &'v ValueOrigin);

/// Returns the arguments that the configuration gives a component, as they are written.
pub(super) fn written<'v>(values: &'v Values, component: &K3sComponent) -> Vec<Given<'v>> {
    let given = component.keys_in_order().filter_map(|key| values.get(key));
    given.flat_map(|value| value.items.iter().map(String::as_str).zip(&value.origins)).collect()
}

/// Returns the arguments that reach a component: of the kubelet's, those that K3s does not keep for itself or drop.
pub(super) fn passed_on<'v>(minor: KubernetesMinor, name: &str, written: &[Given<'v>]) -> Vec<Given<'v>> {
    if name != "kubelet" || !kubelet::takes_pairs(minor) {
        return written.to_vec();
    }
    let texts: Vec<&str> = written.iter().map(|(text, _)| *text).collect();
    let kept = arguments::kubelet_items(&texts).into_iter().filter(|item| !item.is_of_k3s());
    kept.map(|item| written[item.at]).collect()
}

/// Returns a warning for each argument that its component does not know.
pub(super) fn unknown_arguments(
    values: &Values,
    running: &RunningComponents,
    query: ConfigQuery<'_>,
) -> Vec<String> {
    let minor = query.release.minor();
    let here = components::running_in(query.role).filter(|(name, _)| running.has(name));
    here.flat_map(|(name, component)| {
        let given = passed_on(minor, name, &written(values, component));
        given
            .into_iter()
            .filter_map(|(text, origin)| {
                Some(format!("{origin}: {}", arguments::unknown(name, minor, text)?))
            })
            .collect::<Vec<_>>()
    })
    .collect()
}

/// Returns a warning for each flag of K3s's own on which the releases of the minor differ.
pub(super) fn differing_flags(
    values: &Values,
    running: &RunningComponents,
    query: ConfigQuery<'_>,
) -> Vec<String> {
    let here = components::running_in(query.role).filter(|(name, _)| running.has(name));
    here.flat_map(|(name, component)| {
        let given = passed_on(query.release.minor(), name, &written(values, component));
        let extra: Vec<&str> = given.into_iter().map(|(text, _)| text).collect();
        let differing = release_flags::differing(name, query.release, &extra);
        differing.into_iter().map(|flag| flag.message(name, query.release)).collect::<Vec<_>>()
    })
    .collect()
}

/// Returns what K3s's own flags depend on, without the keys that add some.
fn own_flags<'a>(running: &RunningComponents, query: ConfigQuery<'a>) -> OwnFlags<'a> {
    OwnFlags {
        release: query.release,
        data_dir: query.data_dir,
        datastore: running.datastore,
        external_etcd: None,
        cloud_provider: running.has("cloud-provider"),
        load_balancer: running.has("servicelb"),
        encrypts_secrets: false,
        protects_kernel_defaults: false,
    }
}

/// Returns the names of K3s's own flags of a component, which it gets without a key or an argument of the user's.
pub(super) fn own_flag_names(
    name: &str,
    running: &RunningComponents,
    query: ConfigQuery<'_>,
) -> BTreeSet<String> {
    let flags = own_flags(running, query).merged(name, &[]).unwrap_or_default();
    flags.iter().map(|flag| arguments::name_of(flag)).collect()
}

/// Returns the flags of each component that runs: K3s's own for the minor, with the user's arguments merged in.
pub(super) fn flags_of_components(
    values: &Values,
    running: &RunningComponents,
    query: ConfigQuery<'_>,
) -> BTreeMap<String, Vec<String>> {
    let text = |(argument, key)| (argument, last(values, key).unwrap_or_default());
    let own = OwnFlags {
        encrypts_secrets: is_on(values, flags::ENCRYPTION_KEY),
        protects_kernel_defaults: is_on(values, flags::KERNEL_DEFAULTS_KEY),
        external_etcd: (running.datastore == Datastore::ExternalEtcd).then(|| flags::EXTERNAL_ETCD.map(text)),
        ..own_flags(running, query)
    };
    let here = components::running_in(query.role).filter(|(name, _)| running.has(name));
    let flags = here.filter_map(|(name, component)| {
        let written = written(values, component);
        let given = passed_on(query.release.minor(), name, &written);
        let extra: Vec<&str> = given.into_iter().map(|(text, _)| text).collect();
        Some((name.to_owned(), own.merged(name, &extra)?))
    });
    flags.collect()
}
