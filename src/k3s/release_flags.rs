// SPDX-License-Identifier: Apache-2.0
//! What K3s gives its components in some patch releases of a minor and not in others: data/release-flags.yaml and
//! data/emulated-minors.yaml.

use std::sync::LazyLock;

use serde::Deserialize;

use super::arguments;
use crate::Role;
use crate::embedded;
use crate::version::{Availability, FirstReleases, K3sRelease, KubernetesMinor};

/// A row of data/release-flags.yaml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ReleaseFlag {
    component: String,
    flag: String,
    left_to: Option<String>,
    lost_in: Option<KubernetesMinor>,
    from: FirstReleases,
}

/// A row of data/emulated-minors.yaml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EmulatedMinor {
    minor: KubernetesMinor,
    emulates: KubernetesMinor,
    role: Role,
    from: FirstReleases,
}

/// A flag of K3s's own that some releases of the minor give a component and others do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferingFlag {
    /// The flag.
    pub flag: &'static str,
    /// The argument of the user's that names a file to which the newer releases leave it.
    pub left_to: Option<&'static str>,
    /// The first release of the minor that behaves as the newer ones do.
    pub since: String,
}

impl DifferingFlag {
    /// Says how the releases differ.
    #[must_use]
    pub fn message(&self, component: &str, release: K3sRelease) -> String {
        let Self { flag, left_to, since } = self;
        let minor = release.minor();
        match left_to {
            Some(file) => format!(
                "K3s before {since} passes its own {flag} to {component} in addition to {file}, newer releases do not; the installed release of {minor} is unknown"
            ),
            None => format!(
                "K3s of {minor} before {since} does not pass its own {flag} to {component}; the installed release of {minor} is unknown"
            ),
        }
    }
}

/// Returns K3s's own flags of a component that it does not get in a release; where the releases of a minor differ, those of
/// the newer ones that have a file for it, and those that the older ones lost. `extra` are the user's arguments.
pub(super) fn left_out<'a>(
    component: &'a str,
    release: K3sRelease,
    extra: &'a [&str],
) -> impl Iterator<Item = &'static str> + 'a {
    rows(component, release, extra).filter_map(|(row, availability)| {
        let is_left_out = match row.left_to {
            Some(_) => availability != Availability::Absent,
            None => availability != Availability::Present,
        };
        is_left_out.then_some(row.flag.as_str())
    })
}

/// Returns K3s's own flags of a component on which the releases of the minor differ, if none is named in full.
pub(super) fn differing(component: &str, release: K3sRelease, extra: &[&str]) -> Vec<DifferingFlag> {
    let given = |flag: &str| extra.iter().any(|text| arguments::name_of(text) == flag);
    let rows = rows(component, release, extra).filter(|(row, _)| !given(&row.flag));
    rows.filter_map(|(row, availability)| match availability {
        Availability::Differs { since } => {
            Some(DifferingFlag { flag: &row.flag, left_to: row.left_to.as_deref(), since })
        }
        _ => None,
    })
    .collect()
}

/// Tells whether a release leaves flags of K3s's own to the file that an argument of a component's names.
#[must_use]
pub fn leaves_own_to(component: &str, argument: &str, release: K3sRelease) -> Availability {
    let row =
        table().iter().find(|row| row.component == component && row.left_to.as_deref() == Some(argument));
    row.map_or(Availability::Absent, |row| row.from.availability(release))
}

fn table() -> &'static [ReleaseFlag] {
    static ROWS: LazyLock<Vec<ReleaseFlag>> = LazyLock::new(|| embedded::table("release-flags"));
    &ROWS
}

/// Returns the rows that mean something for a component with its arguments, with what they say about a release.
fn rows<'a>(
    component: &'a str,
    release: K3sRelease,
    extra: &'a [&str],
) -> impl Iterator<Item = (&'static ReleaseFlag, Availability)> + 'a {
    let names_a_file = move |argument: &String| {
        let has_value = |text: &str| text.split_once('=').is_some_and(|(_, value)| !value.is_empty());
        extra.iter().any(|text| arguments::name_of(text) == *argument && has_value(text))
    };
    let is_meant = move |row: &&ReleaseFlag| {
        row.component == component
            && row.left_to.as_ref().is_none_or(names_a_file)
            && row.lost_in.is_none_or(|minor| minor <= release.minor())
    };
    table().iter().filter(is_meant).map(move |row| (row, row.from.availability(release)))
}

/// Returns the minor that the components of a release take themselves for, if it is another one, and whether all releases
/// of the minor do; if not, the first that is right.
#[must_use]
pub fn emulated_minor(release: K3sRelease, role: Role) -> Option<(KubernetesMinor, Option<String>)> {
    static ROWS: LazyLock<Vec<EmulatedMinor>> = LazyLock::new(|| embedded::table("emulated-minors"));
    let row = ROWS.iter().find(|row| row.minor == release.minor() && row.role == role)?;
    match row.from.availability(release) {
        Availability::Present => None,
        Availability::Absent => Some((row.emulates, None)),
        Availability::Differs { since } => Some((row.emulates, Some(since))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(text: &str) -> K3sRelease {
        text.parse::<crate::version::K3sVersion>().unwrap().number()
    }

    #[test]
    fn each_release_has_its_own_flags() {
        let authorization: &[&str] = &["authorization-config=/a"];
        let authentication: &[&str] = &["--authentication-config=/a"];
        for (component, version, extra, wanted) in [
            ("kube-apiserver", "1.29.14", authorization, &[][..]),
            ("kube-apiserver", "1.29.15", authorization, &["authorization-mode"]),
            ("kube-apiserver", "1.32.3", authorization, &[]),
            ("kube-apiserver", "1.32.4", authorization, &["authorization-mode"]),
            ("kube-apiserver", "1.32", authorization, &["authorization-mode"]),
            ("kube-apiserver", "1.33.0", authorization, &["authorization-mode"]),
            ("kube-apiserver", "1.36", authorization, &["authorization-mode"]),
            ("kube-apiserver", "1.36", &["authorization-config="], &[]),
            ("kube-apiserver", "1.36", &[], &[]),
            ("kube-apiserver", "1.29.15", authentication, &[]),
            ("kube-apiserver", "1.33.0", authentication, &[]),
            ("kube-apiserver", "1.33.1", authentication, &["anonymous-auth"]),
            ("kubelet", "1.31.0", &[], &[]),
            ("kubelet", "1.32.0", &[], &["read-only-port"]),
            ("kubelet", "1.32.3", &[], &["read-only-port"]),
            ("kubelet", "1.32.4", &[], &[]),
            ("kubelet", "1.32", &[], &["read-only-port"]),
            ("kubelet", "1.33", &[], &[]),
        ] {
            let found: Vec<_> = left_out(component, release(version), extra).collect();
            assert_eq!(found, wanted, "{component} {version} {extra:?}");
        }
    }

    #[test]
    fn releases_differ_where_the_minor_alone_is_known_and_nobody_sets_the_flag() {
        let flags = |component: &str, version: &str, extra: &[&str]| -> Vec<String> {
            differing(component, release(version), extra)
                .into_iter()
                .map(|it| format!("{} {}", it.flag, it.since))
                .collect()
        };
        assert_eq!(flags("kubelet", "1.32", &[]), ["read-only-port 1.32.4"]);
        assert!(flags("kubelet", "1.32", &["read-only-port=0"]).is_empty());
        assert!(flags("kubelet", "1.32.1", &[]).is_empty() && flags("kubelet", "1.33", &[]).is_empty());
        let extra = ["authentication-config=/a", "authorization-config=/b"];
        assert_eq!(
            flags("kube-apiserver", "1.31", &extra),
            ["authorization-mode 1.31.8", "anonymous-auth 1.31.9"]
        );
        assert_eq!(flags("kube-apiserver", "1.33", &extra), ["anonymous-auth 1.33.1"]);
    }

    #[test]
    fn an_agent_of_early_1_32_takes_itself_for_1_31() {
        let minor = Some("1.31".parse::<KubernetesMinor>().unwrap());
        let of = |version: &str, role| emulated_minor(release(version), role);
        assert_eq!(of("1.32.2", Role::Agent).map(|(minor, _)| minor), minor);
        assert_eq!(of("1.32", Role::Agent), minor.map(|minor| (minor, Some("1.32.3".to_owned()))));
        for (version, role) in [
            ("1.32.3", Role::Agent),
            ("1.32.2", Role::Server),
            ("1.31.2", Role::Agent),
            ("1.33", Role::Agent),
        ] {
            assert_eq!(of(version, role), None, "{version} {role}");
        }
    }
}
