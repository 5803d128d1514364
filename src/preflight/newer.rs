// SPDX-License-Identifier: Apache-2.0
//! A minor that is newer than this version of k3s-harden knows: it is judged as the newest known minor, but it may have names
//! that no known minor has. So what rests on a list of names (arguments, gates, plugins, fields, kinds, words) never says that
//! such a K3s does not start, or that it drops a value.

use super::{Class, Finding};
use crate::kubernetes::next_minor;
use crate::version::{AssumedMinor, KubernetesMinor};

/// The note on what is not judged.
const NOTE: &str = "newer-minor";

/// The codes of findings that hold in a newer minor, too: what they are about rests on no list of names. A code that is not
/// here does not hold there, unless the finding says so itself.
const HOLDING: &[&str] = &[
    "admission-file-missing",
    "admission-path-missing",
    "admission-plugin-overlap",
    "admission-syntax",
    "argument-anonymous-auth",
    "argument-empty",
    "argument-file-content",
    "argument-file-directory",
    "argument-file-missing",
    "argument-value",
    "argument-version",
    "audit-group",
    "audit-log-directory",
    "audit-log-path",
    "audit-no-rules",
    "audit-policy-missing",
    "audit-policy-syntax",
    "audit-policy-unreadable",
    "audit-url",
    "authentication-anonymous",
    "authentication-flags",
    "authentication-syntax",
    "authorization-abac",
    "authorization-kubeconfig",
    "authorization-syntax",
    "command-line",
    "config-two-forms",
    "config-unknown-key",
    "config-unreadable",
    "config-value",
    "data-dir-home",
    "data-dir-relative",
    "data-directory",
    "egress-file-missing",
    "egress-syntax",
    "encryption-empty",
    "encryption-file-missing",
    "encryption-syntax",
    "environment-value",
    "event-rate-limit-syntax",
    "image-policy-webhook-configuration",
    "kernel-after-reboot",
    "kernel-now",
    "kernel-read-only",
    "kernel-unreadable",
    "kubeconfig-folder",
    "kubelet-config-empty",
    "kubelet-file-missing",
    "kubelet-folder-missing",
    "own-value",
    "plugin-config-syntax",
    "pod-security-exemption",
    "pod-security-syntax",
    "proxy-kubeconfig-file",
    "proxy-syntax",
    "registries",
    "scheduler-file",
    "scheduler-kubeconfig",
    "scheduler-syntax",
    "secrets-encryption-gone",
    "secrets-encryption-late",
    "service-refused",
    "static-manifests-folder",
    "static-manifests-path",
    "static-manifests-syntax",
    "tracing-syntax",
];

/// The codes of findings about a name that the minor does not have, and that K3s or a component drops.
const DROPPED_NAMES: &[&str] = &[
    "admission-field",
    "admission-plugin-name",
    "audit-policy-field",
    "config-skipped-key",
    "egress-field",
    "encryption-field",
    "event-rate-limit-field",
    "kubelet-field",
    "manifest-not-served",
    "plugin-config-field",
    "proxy-field",
    "static-manifests-field",
    "tracing-field",
];

/// Returns the note on what a newer minor is known to change; none of a known minor.
pub(super) fn note(minor: KubernetesMinor) -> Option<Finding> {
    let AssumedMinor { named, judged_as } = minor.assumed()?;
    let message = format!(
        "{named} is judged as {judged_as}. Later changes are not checked. In the beta of {}, {}; --format json lists \
         them",
        judged_as.next(),
        next_minor::summary()
    );
    let remedy = "take a version of k3s-harden that knows this minor, where there is one";
    Some(Finding::not_judged(NOTE, message, remedy))
}

/// Returns findings as they hold in a minor: all of them in a known one.
pub(super) fn judged(minor: KubernetesMinor, findings: Vec<Finding>) -> Vec<Finding> {
    match minor.assumed() {
        None => findings,
        Some(assumed) => findings.into_iter().map(|finding| softened(assumed, finding)).collect(),
    }
}

fn softened(assumed: AssumedMinor, finding: Finding) -> Finding {
    let AssumedMinor { named, judged_as } = assumed;
    let class = match finding.class {
        Class::Stops if !finding.holds_later && !HOLDING.contains(&finding.code) => Class::Unknown,
        Class::HardensNothing if !finding.holds_later && DROPPED_NAMES.contains(&finding.code) => {
            Class::NotJudged
        }
        _ => return finding,
    };
    let message = format!("{}; so it is in {judged_as}, and {named} may take it", finding.message);
    let remedy = format!("{}, or try it on a test node of {named}", finding.remedy);
    Finding { class, message, remedy, ..finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(minor: KubernetesMinor, findings: Vec<Finding>) -> Vec<Class> {
        judged(minor, findings).into_iter().map(|finding| finding.class).collect()
    }

    #[test]
    fn nothing_that_rests_on_names_stops_a_newer_minor() {
        let newest = KubernetesMinor::newest();
        let unknown = || Finding::stops("argument-unknown", "no such argument", "remove it");
        let dropped = || Finding::hardens_nothing("kubelet-field", "no such field", "remove it");
        let of = |minor| {
            let missing = Finding::stops("argument-file-missing", "it is not there", "write it");
            let open = Finding::hardens_nothing("audit-no-log", "nothing is recorded", "set it");
            let removed = unknown().in_newer_minors_too();
            classes(minor, vec![unknown(), dropped(), missing, open, removed])
        };
        let (stops, nothing) = (Class::Stops, Class::HardensNothing);
        assert_eq!(of(newest), [stops, nothing, stops, nothing, stops]);
        assert_eq!(of(newest.next()), [Class::Unknown, Class::NotJudged, stops, nothing, stops]);
        assert_eq!(
            (note(newest), note(newest.next()).map(|note| note.class)),
            (None, Some(Class::NotJudged))
        );
    }
}
