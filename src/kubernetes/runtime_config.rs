// SPDX-License-Identifier: Apache-2.0
//! The API server's flag `runtime-config`: API groups and versions that are on or off.
//!
//! Source: pkg/server/options/api_enablement.go and pkg/server/resourceconfig of k8s.io/apiserver;
//! `validateAPIPriorityAndFairness` in pkg/controlplane/apiserver/options of Kubernetes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::flag_values;
use super::settings::{ComponentSettings, TypedValue};
use crate::embedded;
use crate::version::KubernetesMinor;

/// The flag.
pub const FLAG: &str = "runtime-config";
/// Names that stand for many versions.
const MATCHERS: [&str; 4] = ["api/all", "api/ga", "api/beta", "api/alpha"];
/// What switches the API of priority and fairness off, in the order in which it counts: up to a minor, and then.
const FAIRNESS: [(KubernetesMinor, &[&str]); 3] = [
    (
        KubernetesMinor::new(25),
        &[
            "flowcontrol.apiserver.k8s.io/v1beta2",
            "flowcontrol.apiserver.k8s.io/v1beta1",
            "api/beta",
            "api/all",
        ],
    ),
    (KubernetesMinor::new(28), &["flowcontrol.apiserver.k8s.io/v1beta3", "api/beta", "api/all"]),
    (KubernetesMinor::new(u16::MAX), &["flowcontrol.apiserver.k8s.io/v1", "api/ga", "api/all"]),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionRange {
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
}

type Groups = BTreeMap<String, BTreeMap<String, VersionRange>>;

static GROUPS: LazyLock<Groups> = LazyLock::new(|| embedded::table("api-groups"));

/// Checks the value of the flag as the API server of a minor does.
///
/// # Errors
/// The API server's own message.
pub fn check(settings: &ComponentSettings, minor: KubernetesMinor) -> Result<(), String> {
    let Some(TypedValue::Map(pairs)) = settings.value(FLAG) else { return Ok(()) };
    let pairs: BTreeMap<&str, &str> =
        pairs.iter().map(|(key, value)| (full_key(key), value.as_str())).collect();
    let pairs: BTreeMap<&str, &str> = pairs.into_iter().filter(|(key, _)| *key != "api/legacy").collect();
    if pairs.len() == 1 && pairs.get(MATCHERS[0]) == Some(&"false") {
        return Err("invalid runtime-config with only api/all=false".to_owned());
    }
    check_fairness(&pairs, settings, minor)?;
    for (key, value) in pairs {
        check_pair(key, value, minor)?;
    }
    Ok(())
}

/// What the flag switches on and off, by its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeSwitches(BTreeMap<String, bool>);

impl RuntimeSwitches {
    /// Returns the switches of a value of the flag.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs = text.split(',').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let switches = pairs.filter_map(|(key, value)| {
            let is_on = if value.is_empty() { Some(true) } else { flag_values::boolean(value.trim()) };
            Some((full_key(key.trim()).to_owned(), is_on?))
        });
        Self(switches.collect())
    }

    /// Tells whether a kind of a version is switched on or off; none if no key is about it. Keys of a resource count more than
    /// those of its version, and these more than those of many versions (`MergeAPIResourceConfigs` of k8s.io/apiserver).
    #[must_use]
    pub fn of(&self, group: &str, version: &str, kind: &str) -> Option<bool> {
        let level = match version {
            version if version.contains("alpha") => "api/alpha",
            version if version.contains("beta") => "api/beta",
            _ => "api/ga",
        };
        let of_version = format!("{group}/{version}");
        let of_resource = format!("{of_version}/{}", resource_of(kind));
        let keys = [of_resource.as_str(), of_version.as_str(), level, MATCHERS[0]];
        keys.into_iter().find_map(|key| self.0.get(key).copied())
    }
}

/// Returns the resource of a kind (`UnsafeGuessKindToResource` of k8s.io/apimachinery).
fn resource_of(kind: &str) -> String {
    let lower = kind.to_ascii_lowercase();
    match lower.as_str() {
        "endpoints" => lower,
        name if name.ends_with('s') => format!("{name}es"),
        name => name.strip_suffix('y').map_or_else(|| format!("{name}s"), |stem| format!("{stem}ies")),
    }
}

/// The core group's version has a short name, and its resources cannot be named.
fn full_key(key: &str) -> &str {
    let is_core = ["v1", "api/v1"]
        .iter()
        .any(|core| key.strip_prefix(core).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if is_core { "/v1" } else { key }
}

fn check_pair(key: &str, value: &str, minor: KubernetesMinor) -> Result<(), String> {
    if MATCHERS.contains(&key) {
        let is_switch = ["true", "false"].contains(&value);
        return if is_switch { Ok(()) } else { Err(format!("invalid value {key}={value}")) };
    }
    let parts: Vec<&str> = key.split('/').collect();
    let ([group, version] | [group, version, _]) = parts[..] else {
        return Err(format!("runtime-config invalid key {key}"));
    };
    let is_of = |range: &VersionRange| minor.is_within(range.from, range.until);
    let known = GROUPS.get(group).filter(|versions| versions.values().any(is_of));
    let Some(versions) = known else { return Err(format!("unknown api groups {group}/{version}")) };
    if !versions.get(version).is_some_and(is_of) {
        return Err(format!("group version {group}/{version} that has not been registered"));
    }
    if !value.is_empty() && flag_values::boolean(value).is_none() {
        return Err(format!("invalid value of {key}: {value}"));
    }
    match parts.get(2).filter(|resource| resource.to_lowercase() != **resource) {
        Some(resource) => Err(format!(
            "invalid key {key}: group/version/resource and resource is always lowercase plural, not {resource:?}"
        )),
        None => Ok(()),
    }
}

/// Priority and fairness, where it is on, needs its own API.
fn check_fairness(
    pairs: &BTreeMap<&str, &str>,
    settings: &ComponentSettings,
    minor: KubernetesMinor,
) -> Result<(), String> {
    if settings.value("enable-priority-and-fairness") != Some(&TypedValue::Bool(true)) {
        return Ok(());
    }
    let Some((_, names)) = FAIRNESS.iter().find(|(until, _)| minor <= *until) else { return Ok(()) };
    // The API server looks for these texts within all pairs.
    let text: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let text = text.join(",");
    for name in *names {
        if text.contains(&format!("{name}=false")) {
            return Err(format!(
                "--runtime-config={name}=false conflicts with --enable-priority-and-fairness=true"
            ));
        }
        if text.contains(&format!("{name}=true")) {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::component_flags;

    fn says(value: &str, minor: u16) -> Result<(), String> {
        let minor = KubernetesMinor::new(minor);
        check(&component_flags::settings("kube-apiserver", minor, [(FLAG, value)]), minor)
    }

    #[test]
    fn groups_versions_and_switches_are_known() {
        for good in [
            "",
            "api/all=true",
            "api/beta=true",
            "apps/v1=true",
            "v1=true",
            "apps/v1",
            "api/legacy=false",
            "batch/v1/jobs=false",
            "resource.k8s.io/v1beta1=true",
            "extensions/v1beta1=true",
            "v1/pods=x,v1=false",
        ] {
            assert_eq!(says(good, 36), Ok(()), "{good}");
        }
        for (bad, message) in [
            ("api/all=false", "invalid runtime-config with only api/all=false"),
            ("api/all", "invalid value api/all="),
            ("a", "runtime-config invalid key a"),
            ("a/b/c/d", "runtime-config invalid key a/b/c/d"),
            ("nosuch/v1=true", "unknown api groups nosuch/v1"),
            ("apps/v9=true", "group version apps/v9 that has not been registered"),
            ("apps/v1=x", "invalid value of apps/v1: x"),
            (
                "batch/v1/Jobs=true",
                "invalid key batch/v1/Jobs: group/version/resource and resource is always lowercase plural, not \"Jobs\"",
            ),
            (
                "api/ga=false",
                "--runtime-config=api/ga=false conflicts with --enable-priority-and-fairness=true",
            ),
        ] {
            assert_eq!(says(bad, 36), Err(message.to_owned()), "{bad}");
        }
        assert!(says("resource.k8s.io/v1beta1=true", 31).is_err() && says("api/ga=false", 28).is_ok());
        assert!(says("api/beta=false", 28).is_err() && says("api/beta=false", 29).is_ok());
    }
}
