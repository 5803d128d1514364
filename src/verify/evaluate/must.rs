//! What a value has to be.

use std::net::IpAddr;

use crate::kubernetes::flag_values;
use crate::verify::rule::Must;

impl Must {
    /// Tells whether a value is as it has to be; `None` is one that is not set. Of several the last counts, but for
    /// what is asked of a list.
    #[must_use]
    pub fn fits(&self, items: Option<&[String]>) -> bool {
        let last = items.and_then(<[String]>::last).map(String::as_str);
        let listed = |wanted: &String| items.unwrap_or_default().iter().any(|item| item == wanted);
        match self {
            Self::Be(wanted) => last.is_some_and(|text| same(text, wanted)),
            Self::NotBe(wanted) => !last.is_some_and(|text| same(text, wanted)),
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

    /// Tells whether it is asked of a list.
    #[must_use]
    pub fn is_of_list(&self) -> bool {
        matches!(self, Self::Have(_) | Self::Lack(_) | Self::BeWithin(_))
    }

    /// Says what `name` has to be.
    #[must_use]
    pub fn words(&self, name: &str) -> String {
        match self {
            Self::Be(wanted) => format!("{name} is {wanted}"),
            Self::NotBe(unwanted) => format!("{name} is not {unwanted}"),
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

/// An address of the loopback interface, with or without a port.
fn is_local(text: &str) -> bool {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    let bare = |text: &str| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_loopback =
        |text: &str| text == "localhost" || bare(text).is_ok_and(|address| address.is_loopback());
    // `::1` is an address as a whole, `[::1]:80` and `127.0.0.1:80` have a port.
    is_loopback(text) || (bare(text).is_err() && is_loopback(host))
}

/// The same text, or the same boolean or duration as Go reads them.
fn same(text: &str, wanted: &str) -> bool {
    let booleans = || Some(flag_values::boolean(text)? == flag_values::boolean(wanted)?);
    let durations = || Some(flag_values::duration(text)? == flag_values::duration(wanted)?);
    text == wanted || booleans() == Some(true) || durations() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::rule::NameList;

    fn fits(must: &Must, text: &str) -> bool {
        let items: Vec<String> = text.split(',').map(str::to_owned).collect();
        must.fits(Some(&items))
    }

    #[test]
    fn values_are_read_as_go_reads_them() {
        let off = Must::Be("false".into());
        assert!(fits(&off, "false") && fits(&off, "F") && fits(&off, "0"));
        assert!(!fits(&off, "true") && !fits(&off, "") && !off.fits(None));
        let never = Must::NotBe("0".into());
        assert!(fits(&never, "4h0m0s") && fits(&never, "5m") && never.fits(None));
        assert!(!fits(&never, "0s") && !fits(&never, "0") && !fits(&never, "0h0m"));
        let days = Must::AtLeast(30);
        assert!(fits(&days, "30") && fits(&days, "7,90"));
        assert!(!fits(&days, "90,7") && !fits(&days, "x") && !days.fits(None));
        assert!(Must::BeSet(true).fits(Some(&["a".into()])) && !fits(&Must::BeSet(true), ""));
        assert!(Must::BeSet(false).fits(None) && !fits(&Must::BeSet(false), "a"));
    }

    #[test]
    fn the_node_alone_is_reached_by_the_loopback_interface() {
        let local = Must::BeLocal(true);
        for text in
            ["127.0.0.1", "127.0.0.1:10249", "localhost", "localhost:1", "::1", "[::1]", "[::1]:10249"]
        {
            assert!(fits(&local, text), "{text}");
            assert!(!fits(&Must::BeLocal(false), text), "{text}");
        }
        for text in
            ["0.0.0.0", "0.0.0.0:10249", "::", "[::]:1", ":10249", "", "10.0.0.1", "::1:0", "127.0.0.1.x"]
        {
            assert!(!fits(&local, text), "{text}");
        }
        assert!(!local.fits(None));
    }

    #[test]
    fn lists_are_looked_at_as_a_whole() {
        let rbac = Must::Have(vec!["RBAC".into(), "Node".into()]);
        assert!(fits(&rbac, "Node,RBAC") && !fits(&rbac, "RBAC") && !rbac.fits(None));
        let lack = Must::Lack(vec!["AlwaysAllow".into()]);
        assert!(fits(&lack, "Node,RBAC") && !fits(&lack, "Node,AlwaysAllow,RBAC") && lack.fits(None));
        let strong = Must::BeWithin(NameList::StrongCipherSuites);
        let good = "TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
        assert!(fits(&strong, good) && !fits(&strong, &format!("{good},TLS_RSA_WITH_AES_128_GCM_SHA256")));
        assert!(!strong.fits(None) && !strong.fits(Some(&[])));
    }
}
