//! A setting: what it takes, what every built-in profile makes of it, and what is in force.

use std::sync::LazyLock;

use serde_json::Value;

use crate::error::{Error, ErrorKind};
use crate::profile::{Declaration, Profile, ProfileDocument, ProfileRequest, built_in_names, declarations};
use crate::version::{KubernetesMinor, MinorRange};

/// A setting, explained.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingExplanation {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// What it takes, in words.
    pub takes: String,
    /// The minors on which it means anything.
    pub kubernetes: MinorRange,
    /// Its value in force; null where nothing is written for it.
    pub value: Value,
    /// Where that comes from.
    pub origin: String,
    /// What the built-in profiles make of it; an overlay only where it says something.
    pub defaults: Vec<ProfileValue>,
}

/// What a profile makes of a setting on some minors.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileValue {
    /// The profile.
    pub profile: &'static str,
    /// The first minor.
    pub from: KubernetesMinor,
    /// The last one.
    pub to: KubernetesMinor,
    /// The value there.
    pub value: Value,
}

impl SettingExplanation {
    /// Returns the setting `name`, if there is one.
    pub(super) fn named(name: &str, profile: &Profile) -> Option<Self> {
        let (name, declaration) = declarations().get_key_value(name)?;
        let resolved = profile.values.get(name);
        Some(Self {
            name,
            description: declaration.description.trim_end(),
            takes: declaration.type_in_words(),
            kubernetes: declaration.kubernetes,
            value: resolved.map_or(Value::Null, |resolved| resolved.value.clone()),
            origin: resolved.map_or_else(String::new, |resolved| resolved.origin.to_string()),
            defaults: defaults(name, declaration),
        })
    }
}

/// A built-in profile on each minor that it fits.
struct ProfileOnMinors {
    name: &'static str,
    document: ProfileDocument,
    on: Vec<Profile>,
}

/// Returns the built-in profiles, resolved.
fn built_in() -> &'static [ProfileOnMinors] {
    static PROFILES: LazyLock<Vec<ProfileOnMinors>> = LazyLock::new(|| {
        let named = |name| Some((name, ProfileDocument::built_in(name)?));
        let all = built_in_names().into_iter().filter_map(named);
        all.map(|(name, document)| ProfileOnMinors { name, document, on: resolved(name) }).collect()
    });
    &PROFILES
}

fn resolved(name: &str) -> Vec<Profile> {
    let on = |minor| {
        let request = ProfileRequest {
            profiles: vec![name.to_owned()],
            minor,
            settings: None,
            assignments: Vec::new(),
            only: Vec::new(),
            skip: Vec::new(),
        };
        // A built-in profile opens no file; what it does not fit, it does not resolve for.
        request.resolve(&|path| Err(Error::new(ErrorKind::BadInput, path))).ok()
    };
    KubernetesMinor::supported().into_iter().filter_map(on).collect()
}

fn defaults(name: &str, declaration: &Declaration) -> Vec<ProfileValue> {
    let mut defaults: Vec<ProfileValue> = Vec::new();
    for profile in built_in() {
        let is_overlay = profile.document.benchmark.is_none() && profile.document.extends.is_none();
        if is_overlay && !profile.document.settings.contains_key(name) {
            continue;
        }
        for on in profile.on.iter().filter(|on| declaration.kubernetes.contains(on.minor)) {
            let value = on.value(name);
            match defaults.last_mut() {
                Some(last) if last.profile == profile.name && last.value == *value => last.to = on.minor,
                _ => defaults.push(ProfileValue {
                    profile: profile.name,
                    from: on.minor,
                    to: on.minor,
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

    #[test]
    fn a_profile_is_told_once_for_all_minors_on_which_it_says_the_same() {
        let of = |name: &str| defaults(name, &declarations()[name]);
        let ages = of("audit_log_maxage");
        assert_eq!(ages.len(), 10, "every benchmark says it, and strict does not: {ages:?}");
        assert!(ages.iter().all(|default| default.value == json!(30)));
        let limits = of("event_rate_limit");
        assert!(limits.iter().any(|default| default.profile == "strict" && default.value == json!(true)));
        let old = KubernetesMinor::supported()[0];
        assert!(limits.iter().all(|default| default.from > old), "there is no such setting before 1.25");
        for name in declarations().keys() {
            assert!(!of(name).is_empty(), "{name}");
        }
    }
}
