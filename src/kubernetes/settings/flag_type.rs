// SPDX-License-Identifier: Apache-2.0
//! The Go type of a flag: how it reads the text behind `=`.
//!
//! Source: github.com/spf13/pflag, k8s.io/component-base (`cli/flag`, `logs/api/v1`, `version/verflag`),
//! k8s.io/apimachinery (`resource`, `util/net`), k8s.io/klog/v2, pkg/util/flag and pkg/util/taints of Kubernetes.

use serde::Deserialize;

use super::flag_text;
use super::value::TypedValue;
use crate::kubernetes::{flag_values, quantity, taints};
use crate::version::KubernetesMinor;

/// The type of a flag's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlagType {
    /// An IP address (pflag's `ip`); leading zeros are refused.
    Address,
    /// An IP address (`IPVar`), which may have leading zeros.
    AddressText,
    /// An IP address, with or without a port (`IPPortVar`).
    AddressPort,
    /// `true`, `false`, and Go's other words for them.
    Bool,
    /// Certificate and key, `cert,key` or `cert,key:names` (`NamedCertKeyArray`).
    CertificateKeys,
    /// Names with or without a value, with commas between them (`ConfigurationMap`).
    Configuration,
    /// A duration of Go's.
    Duration,
    /// A number in 32 bits.
    Float32,
    /// A number.
    Float64,
    /// Feature gates, which `feature_gates` judges.
    Gates,
    /// A whole number.
    Int,
    /// A whole number in 32 bits.
    Int32,
    /// Whole numbers with commas between them.
    Int32List,
    /// Several values with commas between them, as CSV; given again, more of them (`stringSlice`).
    List,
    /// Several `name=value` with commas between them (`MapStringString`).
    Map,
    /// Several `name=true` with commas between them (`MapStringBool`).
    MapBool,
    /// One `name=value`; given again, more of them (`MapStringStringNoSplit`).
    MapEntry,
    /// klog's `pattern=N` with commas between them.
    Modules,
    /// Several `name:value` with commas between them (`ColonSeparatedMultimapStringString`).
    Multimap,
    /// Several `name=value` as CSV (pflag's `stringToString`).
    Pairs,
    /// A range of ports.
    PortRange,
    /// A quantity such as `100Mi`.
    Quantity,
    /// Reserved memory, `0:memory=1Gi;1:memory=1Gi`.
    ReservedMemory,
    /// A level of klog's: a name, or a number.
    Severity,
    /// Taints with commas between them.
    Taints,
    /// Any text.
    Text,
    /// Texts, each with a flag of its own (`stringArray`).
    Texts,
    /// Several `name<value` with commas between them (`LangleSeparatedMapStringString`).
    Thresholds,
    /// klog's `file.go:N`.
    TraceLocation,
    /// A whole number that is not negative.
    Uint,
    /// How much is logged: a whole number that is not negative, without a prefix.
    Verbosity,
    /// `--version`.
    Version,
}

/// The first minor whose pflag (1.0.6) takes an empty text for no address (k8s.io/component-base go.mod).
const EMPTY_ADDRESS_FROM: KubernetesMinor = KubernetesMinor::new(34);
const INVALID_SYNTAX: &str = "invalid syntax";
const OUT_OF_RANGE: &str = "value out of range";
const MALFORMED: &str = "malformed pair, expect string=string";

impl FlagType {
    /// Reads the text behind `=` as a flag of this type does in a minor.
    ///
    /// # Errors
    /// Why the flag refuses it, in Go's words.
    pub fn read(self, text: &str, minor: KubernetesMinor) -> Result<TypedValue, String> {
        match self {
            Self::Address if text.is_empty() && minor >= EMPTY_ADDRESS_FROM => {
                Ok(TypedValue::Text(String::new()))
            }
            Self::Address => match flag_values::address(text) {
                Some(address) => Ok(TypedValue::Text(address.to_string())),
                None => Err(format!("failed to parse IP: {text:?}")),
            },
            Self::AddressText => flag_text::address(text).map(TypedValue::Text),
            Self::AddressPort => flag_text::address_port(text).map(TypedValue::Text),
            Self::Bool => match flag_values::boolean(text) {
                Some(is_on) => Ok(TypedValue::Bool(is_on)),
                None => Err(format!("strconv.ParseBool: parsing {text:?}: {INVALID_SYNTAX}")),
            },
            Self::Duration => match flag_values::duration(text) {
                Some(length) => Ok(TypedValue::Duration(length)),
                None => Err(format!("time: invalid duration {text:?}")),
            },
            Self::Float32 => flag_text::float(text, true).map(TypedValue::Number),
            Self::Float64 => flag_text::float(text, false).map(TypedValue::Number),
            Self::Int => flag_text::whole(text, i64::MIN.into(), i64::MAX.into()).map(TypedValue::Whole),
            Self::Int32 => flag_text::whole(text, i32::MIN.into(), i32::MAX.into()).map(TypedValue::Whole),
            Self::Uint => match flag_values::unsigned(text) {
                Some(number) => Ok(TypedValue::Whole(number)),
                None => {
                    let is_large = flag_values::is_whole(text) && !text.starts_with(['+', '-']);
                    let problem = if is_large { OUT_OF_RANGE } else { INVALID_SYNTAX };
                    Err(format!("strconv.ParseUint: parsing {text:?}: {problem}"))
                }
            },
            Self::Verbosity => flag_text::decimal(text).map(TypedValue::Whole),
            Self::Severity => flag_text::severity(text).map(TypedValue::Text),
            Self::Quantity => match quantity::parse(text) {
                Some(_) => Ok(TypedValue::Text(text.to_owned())),
                None => Err("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".to_owned()),
            },
            Self::Text => Ok(TypedValue::Text(text.to_owned())),
            Self::Version => flag_text::version(text).map(TypedValue::Text),
            Self::TraceLocation => flag_text::trace_location(text).map(TypedValue::Text),
            Self::PortRange => match flag_values::port_range(text) {
                Some(_) => Ok(TypedValue::Text(text.to_owned())),
                None => Err(format!("{text:?} is not a valid port range")),
            },
            Self::Texts => Ok(TypedValue::List(vec![text.to_owned()])),
            Self::List => match flag_values::comma_separated(text) {
                Some(items) => Ok(TypedValue::List(items)),
                None => Err("parse error: bare or extraneous \" in field".to_owned()),
            },
            Self::Int32List => flag_text::whole_list(text).map(TypedValue::List),
            Self::CertificateKeys => flag_text::certificate_keys(text).map(TypedValue::List),
            Self::Taints => taints::parse_all(text).map(TypedValue::List),
            Self::Map => split_pairs(text, '=', MALFORMED),
            Self::MapEntry => match text.split_once('=') {
                Some((name, value)) => {
                    Ok(TypedValue::Map(vec![(name.trim().to_owned(), value.trim().to_owned())]))
                }
                None => Err(MALFORMED.to_owned()),
            },
            Self::Thresholds => split_pairs(text, '<', "malformed pair, expect string<string"),
            Self::Multimap => split_pairs(text, ':', "malformed pair, expect string:string"),
            Self::Gates => Ok(TypedValue::Map(flag_text::configuration(text))),
            Self::MapBool => flag_text::switches(text).map(TypedValue::Map),
            Self::Configuration => Ok(TypedValue::Map(flag_text::configuration(text))),
            Self::Pairs => flag_text::pairs(text).map(TypedValue::Map),
            Self::Modules => flag_text::modules(text).map(TypedValue::Map),
            Self::ReservedMemory => flag_text::reserved_memory(text).map(TypedValue::List),
        }
    }

    /// Tells whether an empty text leaves the flag as it is: pflag's `ip` from 1.0.6 on returns at once, `IPVar` and
    /// `IPPortVar` (pkg/util/flag/flags.go) drop their own pointer and not the value.
    #[must_use]
    pub fn ignores_empty(self, minor: KubernetesMinor) -> bool {
        match self {
            Self::Address => minor >= EMPTY_ADDRESS_FROM,
            Self::AddressText | Self::AddressPort => true,
            _ => false,
        }
    }

    /// Tells whether the flag has several values, each further occurrence adding to them.
    #[must_use]
    pub fn is_list(self) -> bool {
        matches!(self.zero(), TypedValue::List(_))
    }

    /// Tells whether the flag has names with values.
    #[must_use]
    pub fn is_map(self) -> bool {
        matches!(self.zero(), TypedValue::Map(_))
    }

    /// Returns the value that a flag of this type has if nobody gives it one: Go's zero value.
    #[must_use]
    pub fn zero(self) -> TypedValue {
        match self {
            Self::Bool => TypedValue::Bool(false),
            Self::Duration => TypedValue::Duration(0),
            Self::Float32 | Self::Float64 => TypedValue::Number(0.0),
            Self::Int | Self::Int32 | Self::Uint | Self::Verbosity => TypedValue::Whole(0),
            Self::CertificateKeys
            | Self::Int32List
            | Self::List
            | Self::ReservedMemory
            | Self::Taints
            | Self::Texts => TypedValue::List(Vec::new()),
            Self::Configuration
            | Self::Gates
            | Self::Map
            | Self::MapBool
            | Self::MapEntry
            | Self::Modules
            | Self::Multimap
            | Self::Pairs
            | Self::Thresholds => TypedValue::Map(Vec::new()),
            Self::Address
            | Self::AddressPort
            | Self::AddressText
            | Self::PortRange
            | Self::Quantity
            | Self::Severity
            | Self::Text
            | Self::TraceLocation
            | Self::Version => TypedValue::Text(String::new()),
        }
    }

    /// Returns why a value ends the component if the flag of this type has got an empty one before, which takes away what it
    /// writes to; none if it does not (`IPVar`, `IPPortVar` and `ReservedMemoryVar` in pkg/util/flag/flags.go of Kubernetes).
    #[must_use]
    pub fn fault_after_empty(self, text: &str) -> Option<&'static str> {
        let address = (!text.is_empty()).then_some("the string pointer passed into it should not be nil");
        match self {
            Self::AddressText | Self::AddressPort => address,
            Self::ReservedMemory => Some("no target (nil pointer to *[]MemoryReservation)"),
            _ => None,
        }
    }

    /// Returns what the flag takes, in words.
    #[must_use]
    pub fn wanted(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Int32 => "a whole number in 32 bits",
            Self::Uint => "a whole number, 0 or more",
            Self::Verbosity => "a level such as 2",
            Self::Float32 | Self::Float64 => "a number",
            Self::Duration => "a duration such as 300s, 5m or 1h30m",
            Self::Address | Self::AddressText => "an IP address",
            Self::AddressPort => "an IP address, or an IP address and a port",
            Self::List => "values with commas between them",
            Self::Int32List => "whole numbers with commas between them",
            Self::Map | Self::Pairs => "name=value pairs with commas between them",
            Self::MapEntry => "one name=value",
            Self::MapBool => "name=true or name=false, with commas between them",
            Self::Multimap => "name:value pairs with commas between them",
            Self::Thresholds => "signal<value pairs with commas between them",
            Self::CertificateKeys => "certificate,key or certificate,key:names",
            Self::Modules => "pattern=N pairs with commas between them",
            Self::PortRange => "a range of ports such as 30000-32767",
            Self::Quantity => "a quantity such as 100Mi",
            Self::ReservedMemory => "reserved memory such as 0:memory=1Gi",
            Self::Severity => "INFO, WARNING, ERROR, FATAL or a number",
            Self::Taints => "taints such as name=value:NoSchedule, with commas between them",
            Self::TraceLocation => "a place such as file.go:234",
            Self::Version => "true, false or raw",
            Self::Configuration | Self::Gates | Self::Text | Self::Texts => "a text",
        }
    }
}

fn split_pairs(text: &str, separator: char, malformed: &str) -> Result<TypedValue, String> {
    match flag_values::map(text, separator) {
        Some(pairs) => Ok(TypedValue::Map(pairs.into_iter().collect())),
        None => Err(malformed.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_each_type_reads_them() {
        let minor = KubernetesMinor::new(36);
        for (kind, good, bad) in [
            (
                FlagType::Address,
                vec!["", "127.0.0.1", " ::1 "],
                vec!["127.0.0.01", "10.0.0.0/8", "localhost"],
            ),
            (FlagType::AddressText, vec!["", "127.0.0.01", "::"], vec![" ::1", "10.0.0.0/8"]),
            (
                FlagType::AddressPort,
                vec!["", "0.0.0.0", "::", "1.2.3.4:0", "[::1]:65535"],
                vec!["::1:80:x", "1.2.3.4:", "1.2.3.4:65536", "[::1]", "[::1]80", "host:80", "1.2.3.4:+1"],
            ),
            (FlagType::Bool, vec!["1", "T", "False"], vec!["", "yes", "tRUE", " true"]),
            (
                FlagType::CertificateKeys,
                vec!["a,b", " a , b :x,y", ","],
                vec!["", "a", "a,b,c", "a,b:", "a,b: "],
            ),
            (FlagType::Duration, vec!["1s", "-1h", "0"], vec!["", "1", "1d"]),
            (FlagType::Float32, vec!["1", "NaN", "1e-50", "inf"], vec!["", "1e39", "x"]),
            (FlagType::Float64, vec!["1e39"], vec!["1e309"]),
            (FlagType::Int, vec!["-1", "0x10", "1_0"], vec!["", "9223372036854775808", "1.5"]),
            (FlagType::Int32, vec!["2147483647"], vec!["2147483648", "-2147483649"]),
            (FlagType::Int32List, vec!["1", "1,0x2"], vec!["", "1,", "1, 2"]),
            (FlagType::Uint, vec!["0", "0x10"], vec!["-1", "+1", ""]),
            (FlagType::Verbosity, vec!["0", "2147483647"], vec!["-1", "0x1", "2147483648", ""]),
            (FlagType::List, vec!["", "a,b", "\"a,b\""], vec!["a\"b", "\"a"]),
            (FlagType::Map, vec!["", "a=b, c = d", "a="], vec!["a", "a=b,c"]),
            (FlagType::MapEntry, vec!["a=b", "a=b,c", "="], vec!["", "a"]),
            (FlagType::MapBool, vec!["", "A=true, B = f"], vec!["A", "A=", "A=yes"]),
            (FlagType::Multimap, vec!["", "a:b,a:c", "a:b:c"], vec!["a"]),
            (FlagType::Pairs, vec!["a=b", "a=b,c=d", "\"a=b\""], vec!["", "a", "a=b,c=d,e", "a=\"b=c"]),
            (FlagType::Thresholds, vec!["", "a<b,c<d"], vec!["a", "a=b"]),
            (FlagType::Modules, vec!["", "a=1,", "a*=0"], vec!["a", "a=", "=1", "a=-1", "a=1=2", "a=0x1"]),
            (FlagType::PortRange, vec!["", "1-2", "80", "1+2"], vec!["a", "2-1"]),
            (FlagType::Quantity, vec!["0", "1Gi", "-1", "1e3"], vec!["", "1GiB", "x"]),
            (
                FlagType::ReservedMemory,
                vec!["", "0:memory=1Gi", "0:memory=1Gi,hugepages-2Mi=4;1:memory=1"],
                vec!["0", "a:memory=1", "0:cpu=1", "0:memory", "0:memory=x", "0:memory=1;", "0:memory=1:1"],
            ),
            (FlagType::Severity, vec!["info", "WARNING", "2", "-1"], vec!["", "nope", "0x1"]),
            (
                FlagType::TraceLocation,
                vec!["", "a.go:1"],
                vec!["a.go", "a:1", "a.go:0", "a.go:x", "a.go:1:1"],
            ),
            (FlagType::Version, vec!["true", "raw", "0", "v1.2"], vec!["", "x"]),
            (FlagType::Text, vec!["", "x"], vec![]),
        ] {
            for text in good {
                assert!(kind.read(text, minor).is_ok(), "{kind:?} {text:?}");
            }
            for text in bad {
                assert!(kind.read(text, minor).is_err(), "{kind:?} {text:?}");
            }
        }
        assert!(FlagType::Address.read("", KubernetesMinor::new(33)).is_err(), "pflag 1.0.5 refuses it");
    }
}
