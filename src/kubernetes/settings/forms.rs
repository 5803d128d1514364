//! The forms of texts that rules name.

use serde::Deserialize;

use super::{flag_text, release};
use crate::kubernetes::{flag_values, go_url, names, quantity};

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
    /// A URL whose scheme is https.
    HttpsUrl,
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
    /// A qualified name, such as that of a label.
    QualifiedName,
    /// A quantity.
    Quantity,
    /// A DNS name.
    Subdomain,
    /// A version of Kubernetes, `1.36`, with or without `kube=` before it.
    Release,
    /// A URL.
    Url,
    /// An address of the sixth version.
    V6,
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
            Self::HttpsUrl => go_url::parse(text).is_ok_and(|url| url.scheme == "https"),
            Self::Label => names::is_label(text),
            Self::LabelValue => names::is_label_value(text),
            Self::Metric => is_metric(text),
            Self::MetricLabel => text
                .split_once(',')
                .is_some_and(|(metric, label)| is_metric(metric) && is_metric(label) && !label.contains(':')),
            Self::NotBlank => !text.trim().is_empty(),
            Self::NotZeroQuantity => quantity::parse(text).is_some_and(|amount| amount != 0),
            Self::QualifiedName => names::is_qualified(text),
            Self::Quantity => quantity::parse(text).is_some(),
            Self::Subdomain => names::is_subdomain(text),
            Self::Release => release::minor_of(text).is_some(),
            Self::Url => go_url::parse(text).is_ok(),
            Self::V6 => flag_text::is_v6(text),
        }
    }

    /// Returns what a text of the form is, in words.
    pub(super) fn wanted(self) -> &'static str {
        match self {
            Self::Address => "an IP address",
            Self::AllowedPath => "a path, with * only at its end",
            Self::Cidr => "a block of addresses such as 10.42.0.0/16",
            Self::Cidrs => "a block of addresses such as 10.42.0.0/16, or one of each family",
            Self::Duration => "a duration such as 300s, 5m or 1h30m",
            Self::HostPort => "an IP address and a port such as 127.0.0.1:10249",
            Self::HttpsUrl => "a URL that begins with https://",
            Self::Label => "a DNS label",
            Self::LabelValue => "the value of a label",
            Self::Metric => "the name of a metric",
            Self::MetricLabel => "metric,label",
            Self::NotBlank => "a text that is not blank",
            Self::NotZeroQuantity => "a quantity other than 0",
            Self::QualifiedName => "a qualified name such as example.com/name",
            Self::Quantity => "a quantity such as 100Mi",
            Self::Subdomain => "a DNS name",
            Self::Release => "a version such as 1.36",
            Self::Url => "a URL",
            Self::V6 => "an IPv6 address",
        }
    }
}

/// Tells whether a text is the name of a metric of Prometheus': `[a-zA-Z_:][a-zA-Z0-9_:]*`.
fn is_metric(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    text.bytes().next().is_some_and(is_letter)
        && text.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
}
