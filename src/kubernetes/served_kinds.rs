// SPDX-License-Identifier: Apache-2.0
//! The kinds that the API server of each minor serves, by group and version (data/served-kinds.yaml).

use std::sync::LazyLock;

use serde::Deserialize;

use super::runtime_config::RuntimeSwitches;
use crate::embedded;
use crate::version::KubernetesMinor;

/// Kinds of a version that the same minors serve.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServedRow {
    version: String,
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
    /// Whether they are served only if `runtime-config` asks for them.
    #[serde(default)]
    asked: bool,
    kinds: Vec<String>,
}

static ROWS: LazyLock<Vec<ServedRow>> = LazyLock::new(|| embedded::table("served-kinds"));

/// Why a minor does not serve a kind in a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unserved {
    /// A later minor is the first that serves it.
    NotYet(KubernetesMinor),
    /// An earlier minor was the last that served it.
    NoLonger(KubernetesMinor),
    /// Only `runtime-config` brings it.
    NotAsked,
    /// `runtime-config` takes it away.
    SwitchedOff,
    /// No minor does, and the group is one of Kubernetes' own.
    Never,
}

/// Returns the group and the version of an API version.
#[must_use]
pub fn group_and_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// Returns why the API server of a minor does not serve a kind in a version; none if it does, or if the group is none of
/// Kubernetes' own.
#[must_use]
pub fn unserved(
    api_version: &str,
    kind: &str,
    minor: KubernetesMinor,
    switches: &RuntimeSwitches,
) -> Option<Unserved> {
    let (group, version) = group_and_version(api_version);
    // Capitals are in no name of a group: such a group is not even another one's.
    let lower = group.to_ascii_lowercase();
    if !ROWS.iter().any(|row| group_and_version(&row.version).0 == lower) {
        return None;
    }
    let has_kind =
        |row: &&ServedRow| row.version == api_version && row.kinds.iter().any(|known| known == kind);
    let rows: Vec<&ServedRow> = ROWS.iter().filter(has_kind).collect();
    let Some(row) = rows.iter().find(|row| minor.is_within(row.from, row.until)) else {
        let later = rows.iter().filter_map(|row| row.from).find(|from| minor < *from);
        let earlier = rows.iter().filter_map(|row| row.until).rfind(|until| *until < minor);
        let when = later.map(Unserved::NotYet).or(earlier.map(Unserved::NoLonger));
        return Some(when.unwrap_or(Unserved::Never));
    };
    match switches.of(group, version, kind) {
        Some(false) => Some(Unserved::SwitchedOff),
        None if row.asked => Some(Unserved::NotAsked),
        _ => None,
    }
}

/// Returns the version in which the API server of a minor serves a kind by default: of the group, or of the group that took
/// the kind over.
#[must_use]
pub fn served_version(group: &str, kind: &str, minor: KubernetesMinor) -> Option<&'static str> {
    let is_served = |row: &&ServedRow| {
        !row.asked && minor.is_within(row.from, row.until) && row.kinds.iter().any(|known| known == kind)
    };
    let group_of = |row: &&ServedRow| group_and_version(&row.version).0 == group;
    let served: Vec<&ServedRow> = ROWS.iter().filter(is_served).collect();
    let own = served.iter().find(|row| group_of(row));
    own.or(served.first()).map(|row| row.version.as_str())
}

/// Returns the API version and the name of each kind that the API server of a minor can serve, and whether `runtime-config`
/// has to ask for it.
pub fn of_minor(minor: KubernetesMinor) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    let here = ROWS.iter().filter(move |row| minor.is_within(row.from, row.until));
    here.flat_map(|row| row.kinds.iter().map(|kind| (row.version.as_str(), kind.as_str(), row.asked)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(version: &str, kind: &str, minor: u16) -> Option<Unserved> {
        unserved(version, kind, KubernetesMinor::new(minor), &RuntimeSwitches::default())
    }

    #[test]
    fn a_kind_is_one_of_a_group_and_a_version() {
        let minor = KubernetesMinor::new;
        for (version, kind, at, expected) in [
            ("networking.k8s.io/v1", "NetworkPolicy", 23, None),
            ("networking.k8s.io/v1", "NetworkPolicy", 37, None),
            ("networking.k8s.io/v1beta9", "NetworkPolicy", 33, Some(Unserved::Never)),
            ("networking.k8s.io/V1", "NetworkPolicy", 33, Some(Unserved::Never)),
            ("Networking.k8s.io/v1", "NetworkPolicy", 33, Some(Unserved::Never)),
            ("networking.k8s.io/v1", "networkpolicy", 33, Some(Unserved::Never)),
            ("v1", "NetworkPolicy", 33, Some(Unserved::Never)),
            ("v2", "ServiceAccount", 33, Some(Unserved::Never)),
            ("v1", "ServiceAccount", 33, None),
            ("core/v1", "ServiceAccount", 33, None),
            ("crd.projectcalico.org/v1", "NetworkPolicy", 33, None),
            ("extensions/v1beta1", "NetworkPolicy", 33, Some(Unserved::NoLonger(minor(15)))),
            ("extensions/v1beta1", "Ingress", 33, Some(Unserved::NoLonger(minor(21)))),
            ("policy/v1beta1", "PodSecurityPolicy", 24, None),
            ("policy/v1beta1", "PodSecurityPolicy", 25, Some(Unserved::NoLonger(minor(24)))),
            ("policy/v1", "PodSecurityPolicy", 24, Some(Unserved::Never)),
            ("batch/v1beta1", "CronJob", 24, None),
            ("batch/v1beta1", "CronJob", 25, Some(Unserved::NoLonger(minor(24)))),
            ("rbac.authorization.k8s.io/v1beta1", "Role", 23, Some(Unserved::NoLonger(minor(21)))),
            ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", 23, None),
            ("apps/v1", "DaemonSet", 30, None),
            ("apps/v1beta2", "DaemonSet", 30, Some(Unserved::NoLonger(minor(15)))),
            (
                "admissionregistration.k8s.io/v1",
                "ValidatingAdmissionPolicy",
                29,
                Some(Unserved::NotYet(minor(30))),
            ),
            (
                "admissionregistration.k8s.io/v1beta1",
                "ValidatingAdmissionPolicy",
                29,
                Some(Unserved::NotAsked),
            ),
            (
                "admissionregistration.k8s.io/v1beta1",
                "ValidatingAdmissionPolicy",
                34,
                Some(Unserved::NoLonger(minor(33))),
            ),
            ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", 28, Some(Unserved::NotYet(minor(29)))),
        ] {
            assert_eq!(why(version, kind, at), expected, "{version} {kind} 1.{at}");
        }
    }

    #[test]
    fn the_version_to_write_is_the_one_that_is_served() {
        for (group, kind, at, expected) in [
            ("extensions", "NetworkPolicy", 33, Some("networking.k8s.io/v1")),
            ("extensions", "Deployment", 33, Some("apps/v1")),
            ("policy", "PodDisruptionBudget", 25, Some("policy/v1")),
            ("policy", "PodSecurityPolicy", 25, None),
            ("policy", "PodSecurityPolicy", 24, Some("policy/v1beta1")),
            ("autoscaling", "HorizontalPodAutoscaler", 26, Some("autoscaling/v1")),
            ("events.k8s.io", "Event", 33, Some("events.k8s.io/v1")),
        ] {
            assert_eq!(served_version(group, kind, KubernetesMinor::new(at)), expected, "{group} {kind}");
        }
    }

    #[test]
    fn runtime_config_brings_and_takes_kinds() {
        let minor = KubernetesMinor::new(29);
        let of = |flag: &str, version: &str, kind: &str| {
            unserved(version, kind, minor, &RuntimeSwitches::parse(flag))
        };
        let (group, policy) = ("admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicy");
        for flag in ["api/all=true", "api/beta=true", "admissionregistration.k8s.io/v1beta1=true"] {
            assert_eq!(of(flag, group, policy), None, "{flag}");
        }
        assert_eq!(of("api/alpha=true", group, policy), Some(Unserved::NotAsked));
        let network = ("networking.k8s.io/v1", "NetworkPolicy");
        for flag in
            ["networking.k8s.io/v1=false", "networking.k8s.io/v1/networkpolicies=false", "api/ga=false"]
        {
            assert_eq!(of(flag, network.0, network.1), Some(Unserved::SwitchedOff), "{flag}");
        }
        for flag in [
            "networking.k8s.io/v1/ingresses=false",
            "api/ga=false,networking.k8s.io/v1=true",
            "apps/v1=false",
        ] {
            assert_eq!(of(flag, network.0, network.1), None, "{flag}");
        }
        assert_eq!(of("v1=false", "v1", "ServiceAccount"), Some(Unserved::SwitchedOff));
        assert_eq!(of("api/v1=false", "v1", "ServiceAccount"), Some(Unserved::SwitchedOff));
    }
}
