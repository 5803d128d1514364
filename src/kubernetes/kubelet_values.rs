// SPDX-License-Identifier: Apache-2.0
//! Single values of the kubelet's settings, as it reads them.
//!
//! Source: pkg/kubelet (`eviction/helpers.go`, `cm/helpers.go`, `images/pullmanager`) and pkg/apis of Kubernetes,
//! k8s.io/utils/cpuset, k8s.io/component-helpers/node/util and github.com/distribution/reference.

use std::collections::BTreeSet;

use super::taints;
use super::{flag_values, names, quantity};

/// More CPUs than any machine has: a range beyond it is read by its first and its last number.
const MOST_CPUS: i64 = 1 << 16;

/// `parseThresholdStatement`: a percentage of at most 100, or a quantity above 0.
pub(super) fn is_threshold(text: &str) -> bool {
    match text.ends_with('%') {
        true => percentage(text).is_some_and(|share| share.is_nan() || (0.0..=100.0).contains(&share)),
        false => quantity::parse(text).is_some_and(|amount| amount > 0),
    }
}

/// `parseMinimumReclaims`: a percentage above 0, or a quantity of 0 or more.
pub(super) fn is_minimum_reclaim(text: &str) -> bool {
    match text.ends_with('%') {
        true => percentage(text).is_some_and(|share| share.is_nan() || share > 0.0),
        false => quantity::parse(text).is_some_and(|amount| amount >= 0),
    }
}

/// `parsePercentage` of the eviction manager; what is not a number is one.
fn percentage(text: &str) -> Option<f64> {
    flag_values::number(text.trim_end_matches('%'))
}

/// `parsePercentage` of the container manager: 0 to 100, and a percent sign.
pub(super) fn is_percentage(text: &str) -> bool {
    let number = text.trim_end_matches('%').parse::<i64>();
    text.ends_with('%') && number.is_ok_and(|number| (0..=100).contains(&number))
}

/// `cpuset.Parse`: numbers and ranges; an empty text has none.
pub(super) fn cpu_set(text: &str) -> Option<BTreeSet<i64>> {
    let mut cpus = BTreeSet::new();
    if text.is_empty() {
        return Some(cpus);
    }
    for part in text.split(',') {
        match part.split_once('-') {
            Some((first, last)) => {
                let (first, last) = (first.parse::<i64>().ok()?, last.parse::<i64>().ok()?);
                if first > last {
                    return None;
                }
                if last.saturating_sub(first) < MOST_CPUS {
                    cpus.extend(first..=last);
                }
                cpus.extend([first, last]);
            }
            None => {
                cpus.insert(part.parse::<i64>().ok()?);
            }
        }
    }
    Some(cpus)
}

/// `CheckTaintValidation` of a taint as `key=value:effect`, where the effect may be missing.
pub(super) fn is_taint(text: &str) -> bool {
    let Some((pair, effect)) = text.rsplit_once(':') else { return false };
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let is_known = effect.is_empty() || taints::EFFECTS.contains(&effect);
    is_known && names::is_qualified(key) && names::is_label_value(value)
}

/// Limits of a NUMA node as `node:type=quantity,type=quantity`: of memory and huge pages alone.
pub(super) fn is_reserved_memory(text: &str) -> bool {
    let limits = text.split_once(':').map_or("", |(_, limits)| limits);
    let kinds = limits.split(',').filter_map(|limit| limit.split_once('=')).map(|(kind, _)| kind);
    kinds.into_iter().all(|kind| kind == "memory" || kind.starts_with("hugepages-"))
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// A part of a sysctl's name.
fn is_segment(part: &str) -> bool {
    let inner = |byte: u8| plain(byte) || matches!(byte, b'-' | b'_');
    let ends = [part.bytes().next(), part.bytes().last()];
    part.bytes().all(inner) && ends.iter().all(|end| end.is_some_and(plain))
}

/// `isValidSysctlName`.
pub(super) fn is_sysctl_name(text: &str) -> bool {
    text.len() <= 253 && text.split(['.', '/']).all(is_segment)
}

/// `IsValidSysctlPattern`.
pub(super) fn is_sysctl_pattern(text: &str) -> bool {
    let inner = |byte: u8| plain(byte) || matches!(byte, b'-' | b'_');
    let parts: Vec<&str> = text.split(['.', '/']).collect();
    let Some((last, above)) = parts.split_last() else { return false };
    let Some((end, rest)) = last.as_bytes().split_last() else { return false };
    let is_last = (plain(*end) || *end == b'*')
        && rest.iter().all(|byte| inner(*byte))
        && rest.first().is_none_or(|first| plain(*first));
    text.len() <= 253 && is_last && above.iter().all(|part| is_segment(part))
}

/// `IsAbs` and `IsPathClean`, in ASCII.
pub(super) fn is_clean_path(text: &str) -> bool {
    let is_clean = |part: &str| !matches!(part, "" | "." | "..");
    text == "/"
        || (text.is_ascii() && text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_clean)))
}

/// `ParseNodeIPArgument`: one address, or two of both families; what is no address is left out.
pub(super) fn is_node_addresses(text: &str) -> bool {
    let parts = text.split(',').map(str::trim);
    let addresses: Vec<_> = parts.filter_map(flag_values::sloppy_address).collect();
    match addresses[..] {
        [] | [_] => true,
        [one, other] => one.is_ipv6() != other.is_ipv6() && !one.is_unspecified() && !other.is_unspecified(),
        _ => false,
    }
}

/// `getAllowlistImagePattern`: an image without a tag, or a registry and a path that end in `/*`.
pub(super) fn is_image_pattern(text: &str) -> bool {
    if text != text.trim() || text.is_empty() {
        return false;
    }
    match text.strip_suffix('*').filter(|rest| rest.ends_with('/')) {
        Some(rest) => !rest.contains('*') && rest.len() > 1,
        None => !text.contains('*') && is_image(text),
    }
}

/// `Parse` of an image's name that has neither a tag nor a digest.
fn is_image(text: &str) -> bool {
    let (domain, path) = match text.split_once('/') {
        Some((domain, path)) if is_domain(domain) => (Some(domain), path),
        _ => (None, text),
    };
    // The name is at most 255 characters long, without the registry.
    let is_short = path.len() <= 255 || domain.is_none() && text.len() <= 255;
    is_short && path.split('/').all(is_image_part)
}

fn is_domain(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    let is_part = |part: &str| {
        let ends = [part.bytes().next(), part.bytes().last()];
        part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && ends.iter().all(|end| end.is_some_and(|end| end.is_ascii_alphanumeric()))
    };
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    is_port && host.split('.').all(is_part)
}

/// Lower-case letters and digits, between them one dot, one or two underscores, or dashes.
fn is_image_part(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().last()];
    let separators = text.split(|letter: char| u8::try_from(letter).is_ok_and(plain));
    let is_separator =
        |part: &str| matches!(part, "" | "." | "_" | "__") || part.bytes().all(|byte| byte == b'-');
    ends.iter().all(|end| end.is_some_and(plain)) && separators.into_iter().all(is_separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(test: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(test(text), "{text:?}");
        }
        for text in bad {
            assert!(!test(text), "{text:?}");
        }
    }

    #[test]
    fn amounts_are_read_as_the_kubelet_does() {
        agree(
            is_threshold,
            &["100Mi", "1", "5%", "0%", "100%", "NaN%", "5%%", "0x1p2%"],
            &["0", "-1", "101%", "-1%", "%", "", "abc", "Inf%"],
        );
        agree(is_minimum_reclaim, &["0", "1Gi", "10%", "200%"], &["-1", "0%", "-5%", "x", ""]);
        agree(is_percentage, &["0%", "50%", "100%"], &["50", "101%", "-1%", "5.5%", "%", ""]);
        let is_set = |text: &str| cpu_set(text).is_some();
        agree(is_set, &["", "0", "0-2,4", "1-1", "+1"], &["-1", "1-0", "0,", "a", "0 1", "0-", "0-1-2"]);
        assert_eq!(cpu_set("0-1,1,9999999999-99999999999").unwrap().len(), 4);
    }

    #[test]
    fn names_are_read_as_the_kubelet_does() {
        agree(
            is_taint,
            &["a=b:NoSchedule", "a=:", "x.y/a=:NoExecute"],
            &["a b=:NoSchedule", "a=:Nope", "=:NoSchedule", "a=b=c:NoSchedule", "a=b"],
        );
        agree(
            is_sysctl_pattern,
            &["net.core.somaxconn", "net.*", "kernel.msg*", "net/ipv4/*", "*", "a-b.c_d"],
            &["", "net.", "net.ipv4.*x", ".net", "Net.core", "a_.b", "a_"],
        );
        agree(is_clean_path, &["/", "/var/log"], &["", "var", "/var/", "/var//log", "/var/../log", "/ä"]);
        agree(
            is_node_addresses,
            &["", "10.0.0.1", "10.0.0.1, ::1", "x", "x,10.0.0.1", "0.0.0.0"],
            &["10.0.0.1,10.0.0.2", "0.0.0.0,::1", "::1,10.0.0.1,10.0.0.2"],
        );
        agree(
            is_image_pattern,
            &["alpine", "docker.io/library/alpine", "localhost:5000/a/b", "reg.example/*", "a__b"],
            &[
                "",
                " alpine",
                "alpine:latest",
                "*",
                "/*",
                "a*b",
                "Alpine",
                "a/*/b",
                "a..b",
                "alpine@sha256:00",
            ],
        );
    }
}
