//! The forms of texts that rules name.

use serde::Deserialize;

use super::flag_text;
use crate::kubernetes::{flag_values, go_url, names, quantity};

/// The form of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Form {
    /// An IP address; leading zeros are decimal.
    Address,
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
    /// A text that is not only blanks.
    NotBlank,
    /// A qualified name, such as that of a label.
    QualifiedName,
    /// A quantity.
    Quantity,
    /// A DNS name.
    Subdomain,
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
            Self::NotBlank => !text.trim().is_empty(),
            Self::QualifiedName => names::is_qualified(text),
            Self::Quantity => quantity::parse(text).is_some(),
            Self::Subdomain => names::is_subdomain(text),
            Self::Url => go_url::parse(text).is_ok(),
            Self::V6 => flag_text::is_v6(text),
        }
    }

    /// Returns what a text of the form is, in words.
    pub(super) fn wanted(self) -> &'static str {
        match self {
            Self::Address => "an IP address",
            Self::Cidr => "a block of addresses such as 10.42.0.0/16",
            Self::Cidrs => "a block of addresses such as 10.42.0.0/16, or one of each family",
            Self::Duration => "a duration such as 300s, 5m or 1h30m",
            Self::HostPort => "an IP address and a port such as 127.0.0.1:10249",
            Self::HttpsUrl => "a URL that begins with https://",
            Self::Label => "a DNS label",
            Self::LabelValue => "the value of a label",
            Self::NotBlank => "a text that is not blank",
            Self::QualifiedName => "a qualified name such as example.com/name",
            Self::Quantity => "a quantity such as 100Mi",
            Self::Subdomain => "a DNS name",
            Self::Url => "a URL",
            Self::V6 => "an IPv6 address",
        }
    }
}
