// SPDX-License-Identifier: Apache-2.0
//! The requirements that rules make of a value.

use std::net::IpAddr;

use serde::Deserialize;

use crate::kubernetes::flag_values;
use crate::profile::ArgumentTable;

/// The requirement that a rule makes of a value. Exactly one is given.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Must {
    /// The value is this; booleans are read as Go reads them, durations are compared by their length.
    Be(String),
    /// The value is not this.
    NotBe(String),
    /// The value is a duration that is longer than this one.
    LongerThan(String),
    /// The value is set and not empty (`true`), or not set (`false`).
    BeSet(bool),
    /// The value is a number of at least this.
    AtLeast(i64),
    /// The value is a list with each of these.
    Have(Vec<String>),
    /// The value is a list with none of these.
    Lack(Vec<String>),
    /// The value is a list that is not empty and has only these.
    BeWithin(NameList),
    /// The value is a loopback address, with or without a port (`true`); it is not one (`false`).
    BeLocal(bool),
}

/// A list of names in another table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameList {
    /// The cipher suites that count as strong in the benchmarks, and that `apply` keeps.
    StrongCipherSuites,
}

impl NameList {
    /// Returns the names.
    #[must_use]
    pub fn names(self) -> &'static [String] {
        match self {
            Self::StrongCipherSuites => &ArgumentTable::get().strong_cipher_suites,
        }
    }
}

impl Must {
    /// Tells whether a value meets the requirement; `None` is a value that is not set. The last item counts, except for
    /// requirements on a list, for which all items count.
    #[must_use]
    pub fn is_met_by(&self, items: Option<&[String]>) -> bool {
        let last = items.and_then(<[String]>::last).map(String::as_str);
        let listed = |wanted: &String| items.unwrap_or_default().iter().any(|item| item == wanted);
        match self {
            Self::Be(wanted) => last.is_some_and(|text| is_same(text, wanted)),
            Self::NotBe(wanted) => !last.is_some_and(|text| is_same(text, wanted)),
            Self::LongerThan(least) => last
                .and_then(flag_values::duration)
                .zip(flag_values::duration(least))
                .is_some_and(|(value, least)| value > least),
            Self::BeSet(set) => last.is_some_and(|text| !text.is_empty()) == *set,
            Self::AtLeast(least) => {
                last.and_then(flag_values::integer).is_some_and(|value| value >= i128::from(*least))
            }
            Self::Have(wanted) => wanted.iter().all(listed),
            Self::Lack(unwanted) => !unwanted.iter().any(listed),
            Self::BeLocal(local) => last.is_some_and(is_local) == *local,
            Self::BeWithin(known) => items.is_some_and(|items| {
                !items.is_empty() && items.iter().all(|item| known.names().contains(item))
            }),
        }
    }

    /// Tells whether the requirement is on a list.
    #[must_use]
    pub fn takes_list(&self) -> bool {
        matches!(self, Self::Have(_) | Self::Lack(_) | Self::BeWithin(_))
    }

    /// Describes what the value `name` has to be.
    #[must_use]
    pub fn describe(&self, name: &str) -> String {
        match self {
            Self::Be(wanted) => format!("{name} is {wanted}"),
            Self::NotBe(unwanted) => format!("{name} is not {unwanted}"),
            Self::LongerThan(least) => format!("{name} is longer than {least}"),
            Self::BeSet(true) => format!("{name} is set"),
            Self::BeSet(false) => format!("{name} is not set"),
            Self::AtLeast(least) => format!("{name} is at least {least}"),
            Self::Have(wanted) => format!("{name} has {}", wanted.join(", ")),
            Self::Lack(unwanted) => format!("{name} does not have {}", unwanted.join(", ")),
            Self::BeWithin(known) => format!("{name} has nothing but {}", known.names().join(", ")),
            Self::BeLocal(true) => format!("{name} is an address of the node alone"),
            Self::BeLocal(false) => format!("{name} is no address of the node alone"),
        }
    }
}

/// Tells whether a text is an address of the loopback interface, with or without a port. Go takes an address of the fourth
/// version within the sixth for one of the fourth.
fn is_local(text: &str) -> bool {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    let bare = |text: &str| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_loopback = |text: &str| {
        text == "localhost" || bare(text).is_ok_and(|address| address.to_canonical().is_loopback())
    };
    // `::1` has no port; `[::1]:80` and `127.0.0.1:80` have one.
    is_loopback(text) || (bare(text).is_err() && is_loopback(host))
}

/// Tells whether two texts are equal, or are the same boolean or duration as Go reads them.
fn is_same(text: &str, wanted: &str) -> bool {
    let booleans = || Some(flag_values::boolean(text)? == flag_values::boolean(wanted)?);
    let durations = || Some(flag_values::duration(text)? == flag_values::duration(wanted)?);
    text == wanted || booleans() == Some(true) || durations() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_met(must: &Must, text: &str) -> bool {
        let items: Vec<String> = text.split(',').map(str::to_owned).collect();
        must.is_met_by(Some(&items))
    }

    #[test]
    fn values_are_read_as_go_reads_them() {
        let off = Must::Be("false".into());
        assert!(is_met(&off, "false") && is_met(&off, "F") && is_met(&off, "0"));
        assert!(!is_met(&off, "true") && !is_met(&off, "") && !off.is_met_by(None));
        let never = Must::NotBe("0".into());
        assert!(is_met(&never, "4h0m0s") && is_met(&never, "5m") && never.is_met_by(None));
        assert!(!is_met(&never, "0s") && !is_met(&never, "0") && !is_met(&never, "0h0m"));
        let some = Must::LongerThan("0".into());
        assert!(is_met(&some, "5m") && is_met(&some, "4h0m0s") && is_met(&some, "1ns"));
        assert!(!is_met(&some, "0s") && !is_met(&some, "-5m") && !is_met(&some, "") && !some.is_met_by(None));
        let days = Must::AtLeast(30);
        assert!(is_met(&days, "30") && is_met(&days, "7,90"));
        assert!(!is_met(&days, "90,7") && !is_met(&days, "x") && !days.is_met_by(None));
        assert!(Must::BeSet(true).is_met_by(Some(&["a".into()])) && !is_met(&Must::BeSet(true), ""));
        assert!(Must::BeSet(false).is_met_by(None) && !is_met(&Must::BeSet(false), "a"));
    }

    #[test]
    fn local_addresses_are_those_of_the_loopback_interface() {
        let local = Must::BeLocal(true);
        for text in
            ["127.0.0.1", "127.0.0.1:10249", "localhost", "localhost:1", "::1", "[::1]", "[::1]:10249"]
                .into_iter()
                .chain(["::ffff:127.0.0.1", "[::ffff:127.0.0.1]:10249"])
        {
            assert!(is_met(&local, text), "{text}");
            assert!(!is_met(&Must::BeLocal(false), text), "{text}");
        }
        for text in [
            "0.0.0.0",
            "0.0.0.0:10249",
            "::",
            "[::]:1",
            ":10249",
            "",
            "10.0.0.1",
            "::1:0",
            "127.0.0.1.x",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_met(&local, text), "{text}");
        }
        assert!(!local.is_met_by(None));
    }

    #[test]
    fn all_items_of_a_list_count() {
        let rbac = Must::Have(vec!["RBAC".into(), "Node".into()]);
        assert!(is_met(&rbac, "Node,RBAC") && !is_met(&rbac, "RBAC") && !rbac.is_met_by(None));
        let lack = Must::Lack(vec!["AlwaysAllow".into()]);
        assert!(
            is_met(&lack, "Node,RBAC") && !is_met(&lack, "Node,AlwaysAllow,RBAC") && lack.is_met_by(None)
        );
        let strong = Must::BeWithin(NameList::StrongCipherSuites);
        let good = "TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
        assert!(
            is_met(&strong, good) && !is_met(&strong, &format!("{good},TLS_RSA_WITH_AES_128_GCM_SHA256"))
        );
        assert!(!strong.is_met_by(None) && !strong.is_met_by(Some(&[])));
    }
}
