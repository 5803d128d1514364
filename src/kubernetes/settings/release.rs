// SPDX-License-Identifier: Apache-2.0
//! The versions of Kubernetes that a component is told to take itself for (`toVersionMap` in compatibility/registry.go of
//! k8s.io/component-base, and util/version of k8s.io/apimachinery).

/// The component that a version without a name is of: the only one that Kubernetes' own programs have.
const KUBE: &str = "kube";

/// Returns the minor of the first version in a list; none if there is none, or it does not parse.
pub(super) fn named(list: &[String]) -> Option<i128> {
    list.first().and_then(|text| minor_of(text))
}

/// Returns the minor that `1.36` or `kube=1.36` names, with or without what stands behind it; none if the text is no such
/// version. Where the major version is not 1, no minor has the number that it returns.
pub(super) fn minor_of(text: &str) -> Option<i128> {
    let version = match text.split_once('=') {
        Some((name, version)) if name.trim() == KUBE => version.trim(),
        Some(_) => return None,
        None => text.trim_start(),
    };
    let version = version.strip_prefix('v').unwrap_or(version);
    let end = version.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(version.len());
    // A point without a number behind it is not of the version any more.
    let numbers = version[..end].trim_end_matches('.');
    let numbers = numbers.split("..").next().unwrap_or(numbers);
    let parts: Option<Vec<i128>> = numbers.split('.').map(|part| part.parse().ok()).collect();
    match parts?[..] {
        [_, _, patch, ..] if patch != 0 => None,
        [..] if numbers.starts_with('0') && !numbers.starts_with("0.") => None,
        [1, minor, ..] => Some(minor),
        [major, minor, ..] => Some((major - 1) * 1_000_000 + minor),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_kubernetes_reads_them() {
        for text in [
            "1.36",
            "v1.36",
            "kube=1.36",
            " kube = 1.36 ",
            "1.36.0",
            "1.36.0-rc.1",
            "1.36abc",
            "1.036",
            " 1.36",
        ] {
            assert_eq!(minor_of(text), Some(36), "{text:?}");
        }
        for text in
            ["", "1", "1.", "abc", "1.36.1", "kube=", "kubelet=1.36", "=1.36", "01.36", "-1.36", "V1.36"]
        {
            assert_eq!(minor_of(text), None, "{text:?}");
        }
        assert!(minor_of("2.36").is_some_and(|minor| minor > 1000));
        assert!(minor_of("0.36").is_some_and(|minor| minor < 0));
        assert_eq!(named(&[]), None);
    }
}
