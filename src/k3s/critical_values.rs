// SPDX-License-Identifier: Apache-2.0
//! The values that K3s compares between servers (data/critical-values.yaml), and what is compared of each.
//!
//! The same value may be written in several ways: a switch as `1`, a network by any of its addresses, a default not at all.
//! [`CriticalRow::meant`] gives what K3s makes of it, so that two servers can be compared.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use serde::Deserialize;

use super::flags;
use crate::Role;
use crate::embedded;
use crate::version::{Availability, FirstReleases, K3sRelease};

/// A row of data/critical-values.yaml.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriticalRow {
    /// The key of K3s, or `disable=WORD`.
    pub key: String,
    /// What is compared.
    #[serde(rename = "type")]
    pub kind: CriticalType,
    /// What K3s takes where the key is not set.
    default: Option<String>,
    /// The first releases that compare it.
    releases: Option<FirstReleases>,
    /// Whether K3s compares it.
    #[serde(default = "yes")]
    pub compared: bool,
}

fn yes() -> bool {
    true
}

/// What is compared of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CriticalType {
    /// A list of networks.
    Networks,
    /// A list of addresses; by default the tenth of each network of `service-cidr`.
    Addresses,
    /// A text.
    Text,
    /// True or false.
    Switch,
    /// A text that is never shown.
    Secret,
}

/// The values of a server's keys, as they are written; of a list each item.
pub type WrittenValues = BTreeMap<String, Vec<String>>;

/// What a server means by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// The value, in one form.
    Value(String),
    /// It cannot be told, and why.
    Unclear(String),
}

/// Returns the rows, by key.
#[must_use]
pub fn rows() -> &'static [CriticalRow] {
    static ROWS: LazyLock<Vec<CriticalRow>> = LazyLock::new(|| embedded::table("critical-values"));
    &ROWS
}

/// Returns the rows that a release compares, or whose values have to be the same all the same.
pub fn of_release(release: K3sRelease) -> impl Iterator<Item = &'static CriticalRow> {
    rows().iter().filter(move |row| row.availability(release) != Availability::Absent)
}

/// Returns the keys that a release compares, as a sentence lists them.
#[must_use]
pub fn keys_of(release: K3sRelease) -> String {
    let compared = of_release(release).filter(|row| row.compared);
    compared.map(|row| row.key.as_str()).collect::<Vec<_>>().join(", ")
}

impl CriticalRow {
    /// Returns the key that is written, and the word if it is one of a list.
    #[must_use]
    pub fn written_as(&self) -> (&str, Option<&str>) {
        match self.key.split_once('=') {
            Some((key, word)) => (key, Some(word)),
            None => (&self.key, None),
        }
    }

    /// Tells whether a release compares it.
    #[must_use]
    pub fn availability(&self, release: K3sRelease) -> Availability {
        let (key, _) = self.written_as();
        let flag = flags::of_any_minor(Role::Server, key);
        let has_key = flag.map_or(Availability::Absent, |flag| flag.availability(release));
        match (&self.releases, has_key) {
            (Some(releases), Availability::Present) => releases.availability(release),
            (_, has_key) => has_key,
        }
    }

    /// Returns what a server of a release means by its values.
    #[must_use]
    pub fn meant(&self, values: &WrittenValues, release: K3sRelease) -> Meant {
        let (key, word) = self.written_as();
        let items: Vec<&str> =
            values.get(key).into_iter().flatten().flat_map(|item| item.split(',')).map(str::trim).collect();
        let last = values.get(key).and_then(|items| items.last()).map(String::as_str);
        let default = || self.default.as_deref().or_else(|| flags::default_text(key, release));
        match self.kind {
            CriticalType::Switch => {
                if let Some(word) = word {
                    return Meant::Value(items.contains(&word).to_string());
                }
                Meant::Value(last.or_else(default).is_some_and(flags::is_true).to_string())
            }
            CriticalType::Text | CriticalType::Secret => Meant::Value(
                last.filter(|text| !text.is_empty()).or_else(default).unwrap_or_default().to_owned(),
            ),
            CriticalType::Networks => match items.is_empty() {
                true if prefers_ipv6(values) => {
                    Meant::Unclear(format!("{key} is not set, and its default depends on node-ip"))
                }
                true => Meant::Value(default().unwrap_or_default().to_owned()),
                false => all(&items, |item| Network::parse(item).map(|network| network.to_string())),
            },
            CriticalType::Addresses if items.is_empty() => by_default(values, release),
            CriticalType::Addresses => {
                all(&items, |item| item.parse::<IpAddr>().ok().map(|address| address.to_string()))
            }
        }
    }
}

/// Returns the items in one form; unclear if one has none, which K3s refuses before it compares.
fn all(items: &[&str], form: impl Fn(&str) -> Option<String>) -> Meant {
    let formed: Option<Vec<String>> = items.iter().map(|item| form(item)).collect();
    match formed {
        Some(formed) => Meant::Value(formed.join(",")),
        None => Meant::Unclear(format!("{:?} is none that K3s takes", items.join(","))),
    }
}

/// Returns the addresses of the cluster's DNS where none are named: the tenth of each network of `service-cidr`.
fn by_default(values: &WrittenValues, release: K3sRelease) -> Meant {
    let services = rows().iter().find(|row| row.key == "service-cidr");
    let services = services.map(|row| row.meant(values, release));
    match services {
        Some(Meant::Value(networks)) => {
            let networks: Vec<&str> = networks.split(',').collect();
            all(&networks, |network| Network::parse(network)?.address(10).map(|address| address.to_string()))
        }
        Some(unclear) => unclear,
        None => Meant::Value(String::new()),
    }
}

/// Tells whether the node's first address is an IPv6 one: K3s then takes other default networks (pkg/cli/server/server.go).
fn prefers_ipv6(values: &WrittenValues) -> bool {
    let addresses = values.get("node-ip").into_iter().flatten().flat_map(|item| item.split(','));
    addresses.into_iter().any(|address| address.contains(':'))
}

/// A network, such as `10.42.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    length: u32,
}

impl Network {
    /// Reads a network as Go's `net.ParseCIDR` does: by any address in it.
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let is_number = length.len() <= 3 && length.bytes().all(|byte| byte.is_ascii_digit());
        let length: u32 = length.parse().ok().filter(|_| is_number)?;
        let base = match address.parse::<IpAddr>().ok()? {
            IpAddr::V4(address) if length <= 32 => {
                let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) if length <= 128 => {
                let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
            _ => return None,
        };
        Some(Self { base, length })
    }

    /// Returns the address with a number in the network, if it has so many.
    fn address(self, number: u32) -> Option<IpAddr> {
        let inside = match self.base {
            IpAddr::V4(_) => u64::from(number) < 1_u64.checked_shl(32 - self.length).unwrap_or(u64::MAX),
            IpAddr::V6(_) => self.length <= 124 || u64::from(number) < 1_u64 << (128 - self.length),
        };
        inside.then(|| match self.base {
            IpAddr::V4(base) => IpAddr::V4(Ipv4Addr::from_bits(base.to_bits() + number)),
            IpAddr::V6(base) => IpAddr::V6(Ipv6Addr::from_bits(base.to_bits() + u128::from(number))),
        })
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::K3sVersion;

    fn release(text: &str) -> K3sRelease {
        text.parse::<K3sVersion>().unwrap().number()
    }

    fn meant(key: &str, values: &[(&str, &[&str])]) -> Meant {
        let values = values.iter().map(|(key, items)| {
            ((*key).to_owned(), items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>())
        });
        let row = rows().iter().find(|row| row.key == key).unwrap();
        row.meant(&values.collect(), release("v1.33.4+k3s1"))
    }

    fn value(text: &str) -> Meant {
        Meant::Value(text.to_owned())
    }

    #[test]
    fn every_row_is_a_key_of_k3s_with_a_type_that_fits() {
        for row in rows() {
            let (key, word) = row.written_as();
            let flag = flags::of_any_minor(Role::Server, key).unwrap_or_else(|| panic!("{key}"));
            let kind = match flag.kind {
                flags::K3sFlagType::Boolean => CriticalType::Switch,
                flags::K3sFlagType::List if word.is_some() => CriticalType::Switch,
                flags::K3sFlagType::List if key.ends_with("cidr") => CriticalType::Networks,
                flags::K3sFlagType::List => CriticalType::Addresses,
                _ if flag.secret => CriticalType::Secret,
                _ => CriticalType::Text,
            };
            assert_eq!(row.kind, kind, "{key}");
        }
        assert!(rows().is_sorted_by(|one, other| one.key < other.key));
    }

    #[test]
    fn releases_compare_what_they_have() {
        let keys = |text| of_release(release(text)).map(|row| row.key.as_str()).collect::<Vec<_>>();
        let old = keys("v1.23.10+k3s1");
        assert!(old.contains(&"cluster-cidr") && !old.contains(&"embedded-registry"), "{old:?}");
        assert!(!old.contains(&"secrets-encryption"), "k3s#6409 is newer: {old:?}");
        assert!(keys("v1.23.14+k3s1").contains(&"secrets-encryption"));
        assert!(!keys("v1.32.3+k3s1").contains(&"secrets-encryption-provider"));
        assert!(keys("1.37").contains(&"secrets-encryption-provider"));
    }

    #[test]
    fn what_is_not_written_is_the_default() {
        for (key, default) in [
            ("cluster-cidr", "10.42.0.0/16"),
            ("service-cidr", "10.43.0.0/16"),
            ("cluster-dns", "10.43.0.10"),
            ("cluster-domain", "cluster.local"),
            ("flannel-backend", "vxlan"),
            ("egress-selector-mode", "agent"),
            ("secrets-encryption-provider", "aescbc"),
            ("secrets-encryption", "false"),
            ("disable=servicelb", "false"),
        ] {
            assert_eq!(meant(key, &[]), value(default), "{key}");
        }
        let services: &[(&str, &[&str])] = &[("service-cidr", &["10.50.7.0/16,fd00:43::/112"])];
        assert_eq!(meant("cluster-dns", services), value("10.50.0.10,fd00:43::a"));
    }

    #[test]
    fn a_value_is_the_same_however_it_is_written() {
        assert_eq!(meant("secrets-encryption", &[("secrets-encryption", &["1"])]), value("true"));
        assert_eq!(meant("disable=servicelb", &[("disable", &["traefik, servicelb"])]), value("true"));
        assert_eq!(meant("disable=servicelb", &[("disable", &["traefik"])]), value("false"));
        assert_eq!(meant("cluster-cidr", &[("cluster-cidr", &["10.42.3.9/16"])]), value("10.42.0.0/16"));
        assert_eq!(meant("cluster-dns", &[("cluster-dns", &["fd00:0::0a"])]), value("fd00::a"));
    }

    #[test]
    fn what_cannot_be_told_is_not_compared() {
        for (key, values) in [
            ("cluster-cidr", ("node-ip", "fd00::1")),
            ("cluster-dns", ("node-ip", "10.0.0.1,fd00::1")),
            ("cluster-cidr", ("cluster-cidr", "10.42.0.0")),
            ("cluster-cidr", ("cluster-cidr", "10.42.0.0/33")),
            ("cluster-dns", ("service-cidr", "10.43.0.0/30")),
        ] {
            let found = meant(key, &[(values.0, &[values.1])]);
            assert!(matches!(found, Meant::Unclear(_)), "{key} {values:?}: {found:?}");
        }
    }
}
