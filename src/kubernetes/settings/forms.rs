// SPDX-License-Identifier: Apache-2.0
//! The forms of texts that rules name.

use serde::Deserialize;

use super::{api_server_forms, flag_text, release};
use crate::kubernetes::{flag_values, go_regexp, go_url, kubelet_values, names, node_labels, quantity, tls};

/// The form of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Form {
    /// An IP address; leading zeros are decimal.
    Address,
    /// A path of HTTP that is always allowed: `*` only at its end.
    AllowedPath,
    /// `true`, `false`, and Go's other words for them.
    Bool,
    /// A block of addresses.
    Cidr,
    /// A block of addresses, or one of each family with a comma between them.
    Cidrs,
    /// The name of a cipher suite of TLS.
    CipherSuite,
    /// An absolute path in ASCII that is as short as it can be.
    CleanPath,
    /// CPUs by their numbers.
    CpuSet,
    /// A duration.
    Duration,
    /// A threshold of eviction.
    EvictionThreshold,
    /// An IP address and a port from 1 on.
    HostPort,
    /// `group/resource#server;server`, as the API server reads it from 1.34 on.
    EtcdOverride,
    /// `group/resource#servers`, as the API server reads it up to 1.33.
    EtcdOverrideParts,
    /// `group/version`, as `ParseGroupVersion` reads it: a version alone, or nothing, too.
    GroupVersion,
    /// A directive of HTTP's strict transport security.
    HstsDirective,
    /// A URL whose scheme is https.
    HttpsUrl,
    /// An image, or a registry with a path, that ends in a star.
    ImagePattern,
    /// A whole number in 64 bits that a quantity stands for.
    IntegerQuantity,
    /// A service account's issuer: any text, but a URL if it has a colon.
    Issuer,
    /// A name of a label of a DNS name.
    Label,
    /// The value of a label.
    LabelValue,
    /// The name of a module whose messages are logged, or `pattern=N`.
    LogModule,
    /// The name of a metric.
    Metric,
    /// The name of a metric and that of a label, with a comma between them.
    MetricLabel,
    /// How much an eviction reclaims at least.
    MinimumReclaim,
    /// An address of a node, or one of each family.
    NodeAddresses,
    /// The name of a label that a kubelet may give its node.
    NodeLabel,
    /// A text with more than blanks.
    NotBlank,
    /// A quantity that is not zero.
    NotZeroQuantity,
    /// A percentage: a whole number.
    Percentage,
    /// The URL of an issuer of OpenID Connect.
    OidcIssuer,
    /// A socket's name as 1.32 and 1.33 read it.
    PathOrSocket,
    /// A regular expression that pins the start and the end of a host.
    PinnedOrigin,
    /// A range of ports, or nothing.
    PortRange,
    /// A qualified name, such as that of a label.
    QualifiedName,
    /// A quantity.
    Quantity,
    /// A URL, or a host with or without a port.
    Server,
    /// A regular expression of Go's.
    RegularExpression,
    /// One block of addresses for services, or two of the two IP families.
    ServiceRanges,
    /// Blocks of addresses for services with 2^20 addresses at most.
    SmallServiceRanges,
    /// A socket's name: a path, or an abstract one behind `@`.
    SocketName,
    /// A DNS name.
    Subdomain,
    /// An amount of a resource that is reserved: 0 or more.
    Reservation,
    /// Reserved memory of a NUMA node, of memory or huge pages.
    ReservedMemory,
    /// The name of a sysctl.
    SysctlName,
    /// The name of a sysctl, or what several begin with.
    SysctlPattern,
    /// A taint.
    Taint,
    /// A version of TLS.
    TlsVersion,
    /// Where traces go.
    TracingEndpoint,
    /// A version of Kubernetes, `1.36`, with or without `kube=` before it.
    Release,
    /// A URL.
    Url,
    /// An address of the sixth version.
    V6,
    /// A quantity of zero, or none.
    ZeroQuantity,
    /// `resource.group#size`.
    WatchCacheSize,
}

impl Form {
    /// Tells whether a text has the form.
    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Self::Address => flag_values::sloppy_address(text).is_some(),
            Self::AllowedPath => {
                let path = text.strip_prefix('/').unwrap_or(text);
                !path.strip_suffix('*').unwrap_or(path).contains('*')
            }
            Self::Cidr => flag_values::cidr(text).is_some(),
            Self::PortRange => flag_values::port_range(text).is_some(),
            Self::Cidrs => {
                let blocks: Vec<_> = text.split(',').map(flag_values::cidr).collect();
                match blocks[..] {
                    [Some(_)] => true,
                    [Some((one, _)), Some((other, _))] => one.is_ipv4() != other.is_ipv4(),
                    _ => false,
                }
            }
            Self::Bool => flag_values::boolean(text).is_some(),
            Self::CipherSuite => tls::cipher_suite(text).is_some(),
            Self::CleanPath => kubelet_values::is_clean_path(text),
            Self::CpuSet => kubelet_values::cpu_set(text).is_some(),
            Self::EvictionThreshold => kubelet_values::is_threshold(text),
            Self::ImagePattern => kubelet_values::is_image_pattern(text),
            Self::IntegerQuantity => quantity::integer(text).is_some(),
            Self::LogModule => is_log_module(text),
            Self::MinimumReclaim => kubelet_values::is_minimum_reclaim(text),
            Self::NodeAddresses => kubelet_values::is_node_addresses(text),
            Self::NodeLabel => node_labels::is_allowed(text),
            Self::Percentage => kubelet_values::is_percentage(text),
            Self::Reservation => quantity::parse(text).is_some_and(|amount| amount >= 0),
            Self::ReservedMemory => kubelet_values::is_reserved_memory(text),
            Self::SysctlName => kubelet_values::is_sysctl_name(text),
            Self::SysctlPattern => kubelet_values::is_sysctl_pattern(text),
            Self::Taint => kubelet_values::is_taint(text),
            Self::TlsVersion => text.is_empty() || tls::versions().iter().any(|known| known == text),
            Self::TracingEndpoint => is_tracing_endpoint(text),
            Self::Duration => flag_values::duration(text).is_some(),
            Self::HostPort => flag_text::host_and_port(text).is_some_and(|(host, port)| {
                let port = port.strip_prefix('+').unwrap_or(port);
                flag_values::sloppy_address(host).is_some()
                    && port.bytes().all(|byte| byte.is_ascii_digit())
                    && port.parse::<u16>().is_ok_and(|port| port > 0)
            }),
            Self::EtcdOverride => api_server_forms::is_etcd_override(text, true),
            Self::EtcdOverrideParts => api_server_forms::is_etcd_override(text, false),
            Self::GroupVersion => text.matches('/').count() <= 1,
            Self::HstsDirective => api_server_forms::is_hsts_directive(text),
            Self::HttpsUrl => go_url::parse(text).is_ok_and(|url| url.scheme == "https"),
            Self::Issuer => api_server_forms::is_issuer(text),
            Self::Label => names::is_label(text),
            Self::LabelValue => names::is_label_value(text),
            Self::Metric => is_metric(text),
            Self::MetricLabel => text
                .split_once(',')
                .is_some_and(|(metric, label)| is_metric(metric) && is_metric(label) && !label.contains(':')),
            Self::NotBlank => !text.trim().is_empty(),
            Self::QualifiedName => names::is_qualified(text),
            Self::Quantity => quantity::parse(text).is_some(),
            Self::Server => is_server(text),
            Self::NotZeroQuantity => quantity::parse(text).is_some_and(|amount| amount != 0),
            Self::OidcIssuer => api_server_forms::is_oidc_issuer(text),
            Self::PathOrSocket => api_server_forms::is_path_or_socket(text),
            Self::PinnedOrigin => api_server_forms::is_pinned(text),
            Self::RegularExpression => go_regexp::check(text).is_ok(),
            Self::ServiceRanges => api_server_forms::are_service_ranges(text),
            Self::SmallServiceRanges => api_server_forms::are_small_ranges(text),
            Self::SocketName => api_server_forms::is_socket_name(text),
            Self::Subdomain => names::is_subdomain(text),
            Self::Release => release::minor_of(text).is_some(),
            Self::Url => go_url::parse(text).is_ok(),
            Self::V6 => flag_text::is_v6(text),
            Self::ZeroQuantity => text.is_empty() || quantity::parse(text) == Some(0),
            Self::WatchCacheSize => api_server_forms::is_watch_cache_size(text),
        }
    }

    /// Returns what a text of the form is, in words.
    pub(super) fn wanted(self) -> &'static str {
        match self {
            Self::Address => "an IP address",
            Self::PortRange => "a range of ports such as 30000-32767",
            Self::AllowedPath => "a path, with * only at its end",
            Self::Cidr => "a block of addresses such as 10.42.0.0/16",
            Self::Cidrs => "a block of addresses such as 10.42.0.0/16, or one of each family",
            Self::Bool => "true or false",
            Self::CipherSuite => "Go's names, such as TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            Self::CleanPath => "an absolute path without . and ..",
            Self::CpuSet => "CPUs such as 0-2,4",
            Self::EvictionThreshold => "a quantity such as 100Mi, or a percentage such as 5%",
            Self::ImagePattern => "an image without a tag, or a registry and a path that end in /*",
            Self::IntegerQuantity => "a quantity such as 10Mi",
            Self::LogModule => "a pattern without = and a comma, and a number of 31 bits",
            Self::MinimumReclaim => "a quantity such as 500Mi, or a percentage such as 5%",
            Self::NodeAddresses => "an IP address, or one of each family",
            Self::NodeLabel => {
                "no names of kubernetes.io and k8s.io but those below node.kubernetes.io and kubelet.kubernetes.io"
            }
            Self::Percentage => "a percentage such as 50%",
            Self::Reservation => "a quantity such as 100m or 1Gi, 0 or more",
            Self::ReservedMemory => "memory and hugepages-SIZE alone",
            Self::SysctlName => "a sysctl such as net.core.somaxconn",
            Self::SysctlPattern => "a sysctl, or the beginning of some, such as net.*",
            Self::Taint => "a taint such as name=value:NoSchedule",
            Self::TlsVersion => "VersionTLS10, VersionTLS11, VersionTLS12 or VersionTLS13",
            Self::TracingEndpoint => "a host and a port, or a URL that begins with dns: or unix:",
            Self::EtcdOverride | Self::EtcdOverrideParts => {
                "group/resource#servers, the servers with semicolons between them"
            }
            Self::GroupVersion => "an API version such as audit.k8s.io/v1",
            Self::HstsDirective => "max-age=SECONDS, includeSubDomains or preload",
            Self::Issuer => "a text, which is a URL if it has a colon",
            Self::OidcIssuer => "a URL that begins with https://, without user, query and fragment",
            Self::PathOrSocket | Self::SocketName => {
                "the path of a socket, or @ and the name of an abstract one"
            }
            Self::PinnedOrigin => "a regular expression with ^ or // and with $ or :",
            Self::RegularExpression => "a regular expression of Go's",
            Self::ServiceRanges => {
                "one block of addresses, or an IPv4 and an IPv6 block, the first of 8 addresses or more"
            }
            Self::SmallServiceRanges => {
                "blocks of 2^20 addresses at most, such as 10.43.0.0/16 and fd00::/112"
            }
            Self::WatchCacheSize => "resource.group#size",
            Self::Duration => "a duration such as 300s, 5m or 1h30m",
            Self::HostPort => "an IP address and a port such as 127.0.0.1:10249",
            Self::HttpsUrl => "a URL that begins with https://",
            Self::Label => "a DNS label",
            Self::LabelValue => "the value of a label",
            Self::Metric => "the name of a metric",
            Self::MetricLabel => "metric,label",
            Self::NotBlank => "a text that is not blank",
            Self::QualifiedName => "a qualified name such as example.com/name",
            Self::Quantity => "a quantity such as 100Mi",
            Self::Server => "a URL, or a host with or without a port",
            Self::Subdomain => "a DNS name",
            Self::Release => "a version such as 1.36",
            Self::Url => "a URL",
            Self::V6 => "an IPv6 address",
            Self::NotZeroQuantity => "a quantity other than 0",
            Self::ZeroQuantity => "0",
        }
    }
}

/// A pattern of files; behind an equals sign, how much is logged (`Validate` of k8s.io/component-base/logs/api/v1).
fn is_log_module(text: &str) -> bool {
    let (pattern, level) = text.rsplit_once('=').unwrap_or((text, "0"));
    !pattern.is_empty() && !pattern.contains(['=', ',']) && level.parse::<i32>().is_ok_and(|level| level >= 0)
}

/// `validateEndpoint` of k8s.io/component-base/tracing.
fn is_tracing_endpoint(text: &str) -> bool {
    let full = if text.contains("//") { text.to_owned() } else { format!("dns://{text}") };
    go_url::parse(&full).is_ok_and(|url| ["dns", "unix", "unix-abstract"].contains(&url.scheme.as_str()))
}

/// Tells whether a text is the name of a metric of Prometheus': `[a-zA-Z_:][a-zA-Z0-9_:]*`.
fn is_metric(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    text.bytes().next().is_some_and(is_letter)
        && text.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

/// Tells whether a text is the name of a metric and that of a label, with a comma between them.
#[must_use]
pub fn is_metric_label(text: &str) -> bool {
    text.split_once(',')
        .is_some_and(|(metric, label)| is_metric(metric) && is_metric(label) && !label.contains(':'))
}

/// Tells whether a text names a server (`rest.DefaultServerURL` of k8s.io/client-go): a URL, or what is one behind
/// `http://`, without a path.
fn is_server(text: &str) -> bool {
    let is_whole = |url: &go_url::GoUrl| !url.scheme.is_empty() && !url.host.is_empty();
    if go_url::parse(text).is_ok_and(|url| is_whole(&url)) {
        return true;
    }
    let path =
        text.split(['?', '#']).next().and_then(|plain| plain.split_once('/')).map_or("", |(_, path)| path);
    !text.is_empty() && go_url::parse(&format!("http://{text}")).is_ok() && path.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_the_form_that_rules_name() {
        for (form, good, bad) in [
            (Form::AllowedPath, vec!["", "/", "*", "/*", "/a*", "a"], vec!["/a*b", "**", "/a*/"]),
            (Form::GroupVersion, vec!["", "/", "v1", "a/v1"], vec!["//", "a/b/c"]),
            (Form::Metric, vec!["a", "_a:b1"], vec!["", "1a", "a-b", "a b", "a,b"]),
            (Form::MetricLabel, vec!["a,b", "a:b,c_1"], vec!["a", "a,", ",b", "a,b:c", "a,1", "a,b,c"]),
            (Form::NotBlank, vec!["a", " a "], vec!["", " ", "\t"]),
            (
                Form::Server,
                vec!["https://127.0.0.1:6443", "127.0.0.1:6443", "localhost", ":", "http://a/b", "a/"],
                vec!["", "http://a b", "%zz", "unix:///x", "a/b"],
            ),
            (Form::ZeroQuantity, vec!["", "0", "0Ki", "0.0"], vec!["1", "1n", "-1", "x"]),
        ] {
            for text in good {
                assert!(form.fits(text), "{form:?} {text:?}");
            }
            for text in bad {
                assert!(!form.fits(text), "{form:?} {text:?}");
            }
        }
    }
}
