// SPDX-License-Identifier: Apache-2.0
//! The labels that a kubelet may give its node.
//!
//! Source: cmd/kubelet/app/options/options.go of Kubernetes (`ValidateKubeletFlags`), and
//! k8s.io/kubelet/pkg/apis/well_known_labels.go.

use super::names;

/// Labels of Kubernetes that a kubelet may set.
const ALLOWED: [&str; 11] = [
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];
/// Domains of Kubernetes in which a kubelet may set labels.
const ALLOWED_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

fn is_below(domain: &str, parent: &str) -> bool {
    domain == parent || domain.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
}

/// Tells whether the name of a label is no name of Kubernetes' own, or one of those that a kubelet may set.
#[must_use]
pub fn is_allowed(name: &str) -> bool {
    let domain = name.split_once('/').map_or("", |(domain, _)| domain);
    let is_kubernetes = is_below(domain, "kubernetes.io") || is_below(domain, "k8s.io");
    !is_kubernetes || ALLOWED.contains(&name) || ALLOWED_DOMAINS.iter().any(|parent| is_below(domain, parent))
}

/// Returns why the kubelet refuses a label, in its words; none if it takes it. A label without a value has an empty one.
#[must_use]
pub fn fault(text: &str) -> Option<String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let (name, value) = (name.trim(), value.trim());
    if !is_allowed(name) {
        return Some(format!(
            "unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: [{name}]"
        ));
    }
    (!names::is_qualified(name) || !names::is_label_value(value))
        .then(|| format!("invalid node labels: {name}={value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelet_sets_few_labels_of_kubernetes() {
        for good in [
            "a",
            "a=b",
            "a=",
            "shop.example/tier=web",
            "node.kubernetes.io/x=y",
            "x.node.kubernetes.io/a=b",
            "topology.kubernetes.io/zone=a",
        ] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in ["node-role.kubernetes.io/worker=true", "x.k8s.io/a=b", "a b=c", "a=b c", "/a=b", "=b"] {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }
}
