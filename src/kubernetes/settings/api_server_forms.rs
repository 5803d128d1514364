// SPDX-License-Identifier: Apache-2.0
//! The forms of texts that only the API server's flags have, each as its validation reads it.
//!
//! Source: pkg/server/options of k8s.io/apiserver; pkg/kubeapiserver/options, pkg/controlplane/apiserver and
//! cmd/kube-apiserver/app/options of Kubernetes.

use crate::kubernetes::{flag_values, go_url};

/// `ParseEtcdServersOverrides`; up to 1.33 nobody looks at the servers.
pub(super) fn is_etcd_override(text: &str, has_servers: bool) -> bool {
    let parts: Vec<&str> = text.split('#').collect();
    let [resource, servers] = parts[..] else { return false };
    let is_resource = resource.split('/').count() == 2;
    is_resource && (!has_servers || servers.split(';').all(|server| !server.is_empty()))
}

/// `validateHSTSDirectives`.
pub(super) fn is_hsts_directive(text: &str) -> bool {
    let parts: Vec<&str> = text.split('=').collect();
    ["includeSubDomains", "preload"].contains(&text) || matches!(parts[..], ["max-age", _])
}

/// `ParseWatchCacheSizes`; the size is one that `strconv.Atoi` reads.
pub(super) fn is_watch_cache_size(text: &str) -> bool {
    let parts: Vec<&str> = text.split('#').collect();
    let [_, size] = parts[..] else { return false };
    size.parse::<i64>().is_ok_and(|size| size >= 0)
}

/// The issuer of service accounts' tokens (`BuiltInAuthenticationOptions.Validate`).
pub(super) fn is_issuer(text: &str) -> bool {
    !text.is_empty() && (!text.contains(':') || go_url::parse(text).is_ok())
}

/// `validateURL` of pkg/apis/apiserver/validation.
pub(super) fn is_oidc_issuer(text: &str) -> bool {
    go_url::parse(text).is_ok_and(|url| {
        url.scheme == "https" && !url.has_user && url.query.is_empty() && url.fragment.is_empty()
    })
}

/// `validateCorsAllowedOriginList`, after the expression has compiled.
pub(super) fn is_pinned(text: &str) -> bool {
    ["^", "//"].iter().any(|mark| text.contains(mark)) && text.contains(['$', ':'])
}

/// `getServiceIPAndRanges` and `validateClusterIPFlags`; nothing stands for the default.
pub(super) fn are_service_ranges(text: &str) -> bool {
    /// The first range holds the API server's own address (`ServiceIPRange`).
    const LEAST_BITS: u8 = 3;
    if text.is_empty() {
        return true;
    }
    let ranges: Option<Vec<_>> = text.split(',').map(flag_values::cidr).collect();
    let bits = |(address, prefix): (std::net::IpAddr, u8)| if address.is_ipv4() { 32 } else { 128 } - prefix;
    match ranges.as_deref() {
        Some([one]) => bits(*one) >= LEAST_BITS,
        Some([one, other]) => bits(*one) >= LEAST_BITS && one.0.is_ipv4() != other.0.is_ipv4(),
        _ => false,
    }
}

/// `validateMaxCIDRRange`; what is no range is for others to judge.
pub(super) fn are_small_ranges(text: &str) -> bool {
    const MOST_BITS: u8 = 20;
    let ranges = text.split(',').filter_map(flag_values::cidr);
    ranges.into_iter().all(|(address, prefix)| if address.is_ipv4() { 32 } else { 128 } - prefix <= MOST_BITS)
}

/// `abstractSocketRegex` behind `@`; a path is anything else.
pub(super) fn is_socket_name(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    let is_segment = |segment: &str| !segment.is_empty() && segment.chars().all(is_plain);
    text.strip_prefix('@').is_none_or(|name| name.split('.').all(is_segment))
}

/// `pathOrSocket` of 1.32 and 1.33: a path is absolute and has no blanks.
pub(super) fn is_path_or_socket(text: &str) -> bool {
    (text.starts_with('/') && !text.contains(' ')) || (text.starts_with('@') && is_socket_name(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(test: impl Fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for (text, expected) in
            good.iter().map(|text| (text, true)).chain(bad.iter().map(|text| (text, false)))
        {
            assert_eq!(test(text), expected, "{text:?}");
        }
    }

    #[test]
    fn texts_are_read_as_the_api_server_reads_them() {
        agree(
            |text| is_etcd_override(text, true),
            &["/events#http://a:2379", "apps/deployments#https://a;https://b"],
            &["/events", "a#b", "a/b#", "a/b/c#x", "a/b#x;", "a/b##c"],
        );
        agree(|text| is_etcd_override(text, false), &["a/b#", "a/b#x;"], &["a#b", "a/b"]);
        agree(
            is_hsts_directive,
            &["includeSubDomains", "preload", "max-age=1", "max-age="],
            &["", "max-age", "max-age=1=2", "Max-Age=1", " preload"],
        );
        agree(
            is_watch_cache_size,
            &["pods#0", "#1", "a.b#+1"],
            &["pods", "pods#-1", "pods#x", "a#1#2", "a# 1", "a#0x1"],
        );
        agree(is_issuer, &["https://x", "k3s", "a:b"], &["", ":", "https://x/%zz", "http://[::1"]);
        agree(
            is_oidc_issuer,
            &["https://a", "HTTPS://a/b", "https://a?"],
            &["http://a", "a", "https://a?b", "https://a#b", "https://u@a", "https://u:p@a"],
        );
        agree(is_pinned, &["^a$", "//a:", "http://a"], &["a", ".*", "^a", "a$"]);
        agree(
            are_service_ranges,
            &["", "10.43.0.0/16", "10.43.0.0/16,fd00::/112", "fd00::/112,10.43.0.0/16", "10.43.0.0/29"],
            &[
                "x",
                "10.43.0.0/30",
                "10.43.0.0/16,10.44.0.0/16",
                "10.43.0.0/16,",
                "a,b,c",
                "10.43.0.0/16, fd00::/112",
            ],
        );
        agree(
            are_small_ranges,
            &["10.43.0.0/12", "10.0.0.0/16,fd00::/108"],
            &["10.0.0.0/11", "10.43.0.0/16,fd00::/107"],
        );
        agree(is_socket_name, &["/run/a", "@a.b-c", "x"], &["@", "@ a", "@a..b"]);
        agree(is_path_or_socket, &["/run/a", "@a"], &["x", "@", "/a b"]);
    }
}
