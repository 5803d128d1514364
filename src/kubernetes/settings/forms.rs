//! The forms of texts that rules name.

use serde::Deserialize;

use super::{api_server_forms, flag_text, release};
use crate::kubernetes::{flag_values, go_regexp, go_url, names, quantity};

/// The form of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Form {
    /// An IP address; leading zeros are decimal.
    Address,
    /// A path of HTTP that is always allowed: `*` only at its end.
    AllowedPath,
    /// A block of addresses.
    Cidr,
    /// A block of addresses, or one of each family with a comma between them.
    Cidrs,
    /// A duration.
    Duration,
    /// An IP address and a port from 1 on.
    HostPort,
    /// `group/resource#server;server`, as the API server reads it from 1.34 on.
    EtcdOverride,
    /// `group/resource#servers`, as the API server reads it up to 1.33.
    EtcdOverrideParts,
    /// A directive of HTTP's strict transport security.
    HstsDirective,
    /// A URL whose scheme is https.
    HttpsUrl,
    /// A service account's issuer: any text, but a URL if it has a colon.
    Issuer,
    /// A name of a label of a DNS name.
    Label,
    /// The value of a label.
    LabelValue,
    /// The name of a metric.
    Metric,
    /// The name of a metric and that of a label, with a comma between them.
    MetricLabel,
    /// A text with more than blanks.
    NotBlank,
    /// A quantity that is not zero.
    NotZeroQuantity,
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
            Self::Duration => flag_values::duration(text).is_some(),
            Self::HostPort => flag_text::host_and_port(text).is_some_and(|(host, port)| {
                let port = port.strip_prefix('+').unwrap_or(port);
                flag_values::sloppy_address(host).is_some()
                    && port.bytes().all(|byte| byte.is_ascii_digit())
                    && port.parse::<u16>().is_ok_and(|port| port > 0)
            }),
            Self::EtcdOverride => api_server_forms::is_etcd_override(text, true),
            Self::EtcdOverrideParts => api_server_forms::is_etcd_override(text, false),
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
            Self::EtcdOverride | Self::EtcdOverrideParts => {
                "group/resource#servers, the servers with semicolons between them"
            }
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
