// SPDX-License-Identifier: Apache-2.0
//! The values of settings in the built-in profiles, by minor.

use std::sync::LazyLock;

use serde_json::Value;

use crate::error::{Error, ErrorKind};
use crate::profile::{Declaration, Profile, ProfileDocument, ProfileRequest, built_in_names};
use crate::version::KubernetesMinor;

/// The value of a setting in a profile on some minors.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileValue {
    /// The profile.
    pub profile: &'static str,
    /// The first minor.
    pub from: KubernetesMinor,
    /// The last one.
    pub to: KubernetesMinor,
    /// The value.
    pub value: Value,
}

/// A built-in profile, resolved for each minor that it supports.
struct ProfileOnMinors {
    name: &'static str,
    document: ProfileDocument,
    resolved: Vec<Profile>,
}

/// Returns the built-in profiles, resolved.
fn built_in() -> &'static [ProfileOnMinors] {
    static PROFILES: LazyLock<Vec<ProfileOnMinors>> = LazyLock::new(|| {
        let named = |name| Some((name, ProfileDocument::built_in(name)?));
        let all = built_in_names().into_iter().filter_map(named);
        all.map(|(name, document)| ProfileOnMinors { name, document, resolved: resolve(name) }).collect()
    });
    &PROFILES
}

/// Resolves a built-in profile for each minor that it supports.
fn resolve(name: &str) -> Vec<Profile> {
    let for_minor = |minor| {
        let request = ProfileRequest {
            profiles: vec![name.to_owned()],
            minor,
            settings: None,
            assignments: Vec::new(),
            only: Vec::new(),
            skip: Vec::new(),
        };
        // A built-in profile reads no file. It does not resolve for a minor that it does not support.
        request.resolve(&|path| Err(Error::new(ErrorKind::BadInput, path))).ok()
    };
    KubernetesMinor::supported().into_iter().filter_map(for_minor).collect()
}

/// Returns a built-in profile, resolved for a minor that it supports.
pub(super) fn resolved_on(name: &str, minor: KubernetesMinor) -> Option<&'static Profile> {
    built_in()
        .iter()
        .find(|profile| profile.name == name)?
        .resolved
        .iter()
        .find(|profile| profile.minor == minor)
}

/// Returns the values of a setting in the built-in profiles; an overlay is listed only if it has the setting.
#[must_use]
pub fn profile_values(name: &str, declaration: &Declaration) -> Vec<ProfileValue> {
    let mut defaults: Vec<ProfileValue> = Vec::new();
    for profile in built_in() {
        let is_overlay = profile.document.benchmark.is_none() && profile.document.extends.is_none();
        if is_overlay && !profile.document.settings.contains_key(name) {
            continue;
        }
        for resolved in
            profile.resolved.iter().filter(|resolved| declaration.kubernetes.contains(resolved.minor))
        {
            let value = resolved.value(name);
            match defaults.last_mut() {
                Some(last) if last.profile == profile.name && last.value == *value => {
                    last.to = resolved.minor;
                }
                _ => defaults.push(ProfileValue {
                    profile: profile.name,
                    from: resolved.minor,
                    to: resolved.minor,
                    value: value.clone(),
                }),
            }
        }
    }
    defaults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::profile::declarations;

    #[test]
    fn a_profile_is_listed_once_for_all_minors_with_the_same_value() {
        let values = |name: &str| profile_values(name, &declarations()[name]);
        let policies = values("intra_namespace_policy");
        assert_eq!(
            policies.len(),
            crate::verify::benchmarks().len(),
            "every benchmark says it, and no overlay does: {policies:?}"
        );
        assert!(policies.iter().all(|default| default.value == json!(true)));
        let limits = values("event_rate_limit");
        assert!(limits.iter().any(|default| default.profile == "strict" && default.value == json!(true)));
        let old = KubernetesMinor::supported()[0];
        assert!(limits.iter().all(|default| default.from > old), "there is no such setting before 1.25");
        for name in declarations().keys() {
            assert!(!values(name).is_empty(), "{name}");
        }
    }
}
