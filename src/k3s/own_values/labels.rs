//! Checks of the labels and taints that K3s hands to the kubelet.

use super::reader::{Answer, OwnReader};
use super::rules::OwnRule;
use crate::kubernetes::names;

/// Labels of Kubernetes that a kubelet may set (k8s.io/kubelet pkg/apis/well_known_labels.go).
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
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

fn is_below(domain: &str, parent: &str) -> bool {
    domain == parent || domain.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
}

/// Labels as `name=value`.
pub(super) fn labels(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let parts = reader.parts(rule.key()).into_iter().filter(|part| !part.is_empty());
    let refused = parts.into_iter().find_map(|part| Some(Answer::because(part, label_fault(part)?)));
    refused.unwrap_or(Answer::Fine)
}

fn label_fault(text: &str) -> Option<String> {
    let Some((name, value)) = text.split_once('=') else {
        return Some(format!(
            "invalid argument {text:?} for \"--node-labels\" flag: malformed pair, expect string=string"
        ));
    };
    let (name, value) = (name.trim(), value.trim());
    let domain = name.split_once('/').map_or("", |(domain, _)| domain);
    let is_kubernetes = is_below(domain, "kubernetes.io") || is_below(domain, "k8s.io");
    let allowed = ALLOWED.contains(&name) || ALLOWED_DOMAINS.iter().any(|parent| is_below(domain, parent));
    if is_kubernetes && !allowed {
        return Some(format!(
            "unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: [{name}]"
        ));
    }
    (!names::is_qualified(name) || !names::is_label_value(value))
        .then(|| format!("invalid node labels: {name}={value}"))
}

/// Taints as `name[=value]:effect`.
pub(super) fn taints(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let parts: Vec<&str> = reader.parts(rule.key()).into_iter().filter(|part| !part.is_empty()).collect();
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for part in parts {
        let Some((pair, effect)) = part.split_once(':') else { return Answer::wrong(part) };
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !EFFECTS.contains(&effect) {
            return Answer::because(part, format!(", unsupported taint effect: {effect}"));
        }
        if !names::is_qualified(name) || !names::is_label_value(value) {
            return Answer::wrong(part);
        }
        if seen.contains(&(name, effect)) {
            return Answer::because(part, ", duplicated taints with the same key and effect");
        }
        seen.push((name, effect));
    }
    Answer::Fine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelet_sets_few_labels_of_kubernetes() {
        for good in
            ["a=b", "a=", "shop.example/tier=web", "node.kubernetes.io/x=y", "topology.kubernetes.io/zone=a"]
        {
            assert_eq!(label_fault(good), None, "{good}");
        }
        for bad in ["a", "node-role.kubernetes.io/worker=true", "x.k8s.io/a=b", "a b=c", "a=b c", "/a=b"] {
            assert!(label_fault(bad).is_some(), "{bad}");
        }
    }
}
