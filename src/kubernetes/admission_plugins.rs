// SPDX-License-Identifier: Apache-2.0
//! The admission plugins of the API server (data/admission-plugins.yaml).
//!
//! Source: pkg/kubeapiserver/options/plugins.go of Kubernetes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::embedded;
use crate::version::KubernetesMinor;

/// An admission plugin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdmissionPlugin {
    /// Whether it is on by default.
    on: bool,
    /// The first minor that has it; none if every minor before `until` does.
    from: Option<KubernetesMinor>,
    /// The last minor that has it; none if every minor after `from` does.
    until: Option<KubernetesMinor>,
}

static PLUGINS: LazyLock<BTreeMap<String, AdmissionPlugin>> =
    LazyLock::new(|| embedded::table("admission-plugins"));

/// The plugins that read a configuration of their own.
pub const CONFIGURABLE: [&str; 9] = [
    "EventRateLimit",
    "ImagePolicyWebhook",
    "MutatingAdmissionWebhook",
    "PodNodeSelector",
    "PodSecurity",
    "PodTolerationRestriction",
    "ResourceQuota",
    "ValidatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
];

fn plugins_of(minor: KubernetesMinor) -> impl Iterator<Item = (&'static String, &'static AdmissionPlugin)> {
    PLUGINS.iter().filter(move |(_, plugin)| minor.is_within(plugin.from, plugin.until))
}

/// Tells whether a minor has a plugin.
#[must_use]
pub fn has(minor: KubernetesMinor, name: &str) -> bool {
    PLUGINS.get(name).is_some_and(|plugin| minor.is_within(plugin.from, plugin.until))
}

/// Returns the plugins that are on by default in a minor.
pub fn on_by_default(minor: KubernetesMinor) -> impl Iterator<Item = &'static str> {
    plugins_of(minor).filter(|(_, plugin)| plugin.on).map(|(name, _)| name.as_str())
}

/// Returns the plugins that earlier minors had and that a minor no longer has: its API server does not start with one.
pub fn removed(minor: KubernetesMinor) -> impl Iterator<Item = &'static str> {
    let is_removed = move |plugin: &AdmissionPlugin| plugin.until.is_some_and(|until| until < minor);
    PLUGINS.iter().filter(move |(_, plugin)| is_removed(plugin)).map(|(name, _)| name.as_str())
}

/// Returns the plugin of a minor that a misspelled name probably means.
#[must_use]
pub fn nearest(minor: KubernetesMinor, name: &str) -> Option<&'static str> {
    let plain = |name: &str| name.replace(['-', '_', ' '], "").to_ascii_lowercase();
    let wanted = plain(name);
    let is_near = |known: &str| {
        let known = plain(known);
        known == wanted || (wanted.len() > 5 && (known.starts_with(&wanted) || wanted.starts_with(&known)))
    };
    plugins_of(minor).map(|(known, _)| known.as_str()).find(|known| is_near(known))
}

/// Returns since when, or until when, other minors have a plugin that this minor lacks, as ` (it comes with 1.37)`;
/// empty if no minor has it.
#[must_use]
pub fn availability(minor: KubernetesMinor, name: &str) -> String {
    PLUGINS.get(name).map(|plugin| minor.availability(plugin.from, plugin.until)).unwrap_or_default()
}
