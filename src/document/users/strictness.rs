// SPDX-License-Identifier: Apache-2.0
//! A level of Pod Security of the user's, held against that of the profile.

use std::cmp::Ordering;

use super::files::{ADMISSION_FILE, UsersFiles};
use super::psa;
use crate::kubernetes::pod_security::{PodSecurityLevel, version_minor};
use crate::profile::{Origin, Profile};

/// The setting of the version of all modes.
pub(super) const VERSION: &str = "pod_security_version";

/// How a level with its version compares to ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    Same,
    Stricter,
    Weaker,
}

/// The setting of a mode.
pub(super) fn setting_of(mode: &str) -> &'static str {
    match mode {
        "audit" => "pod_security_audit",
        "warn" => "pod_security_warn",
        _ => "pod_security_enforce",
    }
}

/// Tells whether the user himself has set one of the settings, for this node.
pub(in crate::document) fn is_set(profile: &Profile, settings: &[&str]) -> bool {
    settings.iter().any(|setting| {
        let resolved = profile.values.get(*setting);
        resolved.is_some_and(|it| matches!(it.origin, Origin::Settings(_) | Origin::Assignment(_)))
    })
}

/// Returns the level and the version that the profile has for a mode.
pub(super) fn ours_of(profile: &Profile, mode: &str) -> (String, String) {
    let text = |setting: &str| profile.value(setting).as_str().unwrap_or_default().to_owned();
    (text(setting_of(mode)), text(VERSION))
}

/// Compares a level and its version with ours.
pub(super) fn compare(theirs: &(String, String), ours: &(String, String)) -> Strictness {
    let level = |level: &str| {
        if level.is_empty() { PodSecurityLevel::Privileged } else { PodSecurityLevel::parse(level) }
    };
    let version = |text: &str| version_minor(text).unwrap_or(u16::MAX);
    let (their_level, our_level) = (level(&theirs.0), level(&ours.0));
    // The level privileged has no checks that a version could change.
    let versions = match our_level {
        PodSecurityLevel::Privileged => (0, 0),
        _ => (version(&theirs.1), version(&ours.1)),
    };
    match (their_level.cmp(&our_level), versions.0.cmp(&versions.1)) {
        (Ordering::Equal, Ordering::Equal) => Strictness::Same,
        (Ordering::Greater, _) | (Ordering::Equal, Ordering::Greater) => Strictness::Stricter,
        _ => Strictness::Weaker,
    }
}

/// Returns a level with its version, as a message shows it.
pub(super) fn shown((level, version): &(String, String)) -> String {
    let level = if level.is_empty() { "privileged" } else { level };
    match version.as_str() {
        "" | "latest" => level.to_owned(),
        version => format!("{level} of {version}"),
    }
}

/// Returns why the admission configuration that the user's own configuration names is weaker than psa.yaml would be; none if it
/// is not, or cannot be read, which preflight says.
pub(in crate::document) fn weakness_of_named(profile: &Profile, users: &UsersFiles) -> Option<String> {
    let file = users.named.get(ADMISSION_FILE)?;
    if !profile.selection.wants(&["pod-security"]) || profile.value(setting_of("enforce")).is_null() {
        return None;
    }
    let read = psa::read(file, &users.beside, profile.minor).ok()?;
    let Some(pod_security) = read.pod_security else {
        return Some("it configures no PodSecurity".to_owned());
    };
    let (theirs, ours) = (&pod_security.defaults["enforce"].value, ours_of(profile, "enforce"));
    (compare(theirs, &ours) == Strictness::Weaker).then(|| {
        format!(
            "PodSecurity in this file enforces {}, but k3s-harden's value is {}",
            shown(theirs),
            shown(&ours)
        )
    })
}
