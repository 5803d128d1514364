//! Single values of the kubelet's configuration.
//!
//! Source: pkg/kubelet/eviction/helpers.go and pkg/util/taints of Kubernetes, and k8s.io/utils/cpuset.

use super::object;
use super::yaml::YamlNode;
use super::{names, quantity};

/// `parseThreshold`: a percentage of at most 100, or a quantity; neither is negative.
pub(super) fn is_threshold(text: &str) -> bool {
    match text.strip_suffix('%') {
        Some(number) => number.parse::<f64>().is_ok_and(|number| (0.0..=100.0).contains(&number)),
        None => quantity::parse(text).is_some_and(|amount| amount >= 0),
    }
}

/// `cpuset.Parse`: numbers and ranges.
pub(super) fn is_cpu_set(text: &str) -> bool {
    text.split(',').all(|part| match part.split_once('-') {
        Some((first, last)) => {
            matches!((first.parse::<u32>(), last.parse::<u32>()), (Ok(first), Ok(last)) if first <= last)
        }
        None => part.parse::<u32>().is_ok(),
    })
}

/// Returns what a taint has to be, if it is not (`CheckTaintValidation`).
pub(super) fn taint_fault(taint: &YamlNode) -> Option<&'static str> {
    let (key, value) = (object::text(taint, "key"), object::text(taint, "value"));
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if !is_qualified(name) || prefix.is_some_and(|prefix| !names::is_subdomain(prefix)) {
        return Some("a key that is a name of Kubernetes");
    }
    if !value.is_empty() && !is_qualified(value) {
        return Some("a value that is a label of Kubernetes");
    }
    match object::text(taint, "effect") {
        "" | "NoSchedule" | "PreferNoSchedule" | "NoExecute" => {}
        _ => return Some("the effect NoSchedule, PreferNoSchedule or NoExecute"),
    }
    object::field(taint, "timeAdded").map(|_| "no timeAdded")
}

/// Letters, digits, `-`, `_` and `.`, a letter or digit first and last; at most 63.
fn is_qualified(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63 && text.bytes().all(inner) && ends(text.bytes().next()) && ends(text.bytes().last())
}
