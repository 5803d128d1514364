// SPDX-License-Identifier: Apache-2.0
//! The flags of an API server: their values, and the admission plugins that it refuses. What else it refuses is in
//! data/rules-kube-apiserver.yaml.

use std::collections::BTreeSet;

use super::{admission_plugins, feature_gates, flag_values};
use crate::version::KubernetesMinor;

/// The flags of an API server: names without dashes, and values, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiServerFlags(Vec<(String, String)>);

/// Admission plugins that the API server refuses in a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedPlugins {
    /// The flag.
    pub flag: &'static str,
    /// Why.
    pub reason: PluginRefusal,
    /// The API server's own message.
    pub message: String,
}

/// Why the API server refuses admission plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginRefusal {
    /// The minor has no admission plugin of this name.
    Unknown(String),
    /// These admission plugins are enabled and disabled.
    Overlap(Vec<String>),
}

impl ApiServerFlags {
    /// Takes flags: names without dashes, and values.
    #[must_use]
    pub fn new(flags: Vec<(String, String)>) -> Self {
        Self(flags)
    }

    /// Returns the last value of a flag; none if it is not set or empty.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let last = self.0.iter().rev().find(|(flag, _)| flag == name);
        last.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Tells whether a flag is set, even to an empty value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(flag, _)| flag == name)
    }

    /// Returns every value of a flag that is not read as a list.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(flag, _)| flag == name).map(|(_, value)| value.clone()).collect()
    }

    /// Returns the flags, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the names of the flags that are set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Returns all values of a list flag: each further occurrence adds to it.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(flag, _)| flag == name);
        values.filter_map(|(_, value)| flag_values::comma_separated(value)).flatten().collect()
    }

    /// Returns the value that the flags give a feature gate, if they give one.
    #[must_use]
    pub fn gate(&self, name: &str) -> Option<bool> {
        feature_gates::value(&self.list("feature-gates"), name)
    }

    /// Returns the admission plugins that are on in a minor.
    #[must_use]
    pub fn plugins(&self, minor: KubernetesMinor) -> BTreeSet<String> {
        let enabled = self.list("enable-admission-plugins");
        let disabled = self.list("disable-admission-plugins");
        let on = admission_plugins::on_by_default(minor).map(str::to_owned);
        on.filter(|name| !disabled.contains(name)).chain(enabled).collect()
    }

    /// Returns the admission plugins that the API server of a minor refuses (pkg/server/options/admission.go).
    #[must_use]
    pub fn refused_plugins(&self, minor: KubernetesMinor) -> Vec<RefusedPlugins> {
        let mut refused = Vec::new();
        for flag in ["enable-admission-plugins", "disable-admission-plugins", "admission-control"] {
            let unknown = self.list(flag).into_iter().filter(|name| !admission_plugins::has(minor, name));
            refused.extend(unknown.map(|name| {
                let message = format!("{flag} plugin {name:?} is unknown");
                RefusedPlugins { flag, reason: PluginRefusal::Unknown(name), message }
            }));
        }
        let enabled = self.list("enable-admission-plugins");
        let mut both = self.list("disable-admission-plugins");
        both.retain(|name| enabled.contains(name));
        if !both.is_empty() {
            let flag = "disable-admission-plugins";
            let names = both.join(" ");
            let message =
                format!("[{names}] in enable-admission-plugins and disable-admission-plugins overlapped");
            refused.push(RefusedPlugins { flag, reason: PluginRefusal::Overlap(both), message });
        }
        refused
    }
}
