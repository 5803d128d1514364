// SPDX-License-Identifier: Apache-2.0
//! What K3s's etcd takes behind `etcd-arg` (data/etcd-arguments.yaml).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::reader::{Answer, OwnReader};
use super::rules::OwnRule;
use crate::embedded;
use crate::kubernetes::flag_values;
use crate::version::KubernetesMinor;

/// The table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EtcdArguments {
    heartbeat: EtcdInterval,
    election: EtcdInterval,
    /// The argument that is a number or a duration in text.
    retention: String,
    arguments: Vec<EtcdArgumentRow>,
}

/// An interval that K3s sets, in milliseconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EtcdInterval {
    name: String,
    default: i64,
    #[serde(default)]
    most: i64,
    /// How often the other interval fits into it at least.
    #[serde(default)]
    times: i64,
}

/// Arguments of one type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EtcdArgumentRow {
    names: Vec<String>,
    #[serde(rename = "type")]
    kind: EtcdType,
    #[serde(default)]
    values: Vec<String>,
    from: Option<KubernetesMinor>,
}

/// The types of etcd's configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EtcdType {
    Count,
    Number,
    Duration,
    Boolean,
    List,
    Text,
}

/// A value as K3s writes it into etcd's configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EtcdWritten {
    Number(i64),
    List,
    Boolean,
    Text,
}

fn table() -> &'static EtcdArguments {
    static TABLE: LazyLock<EtcdArguments> = LazyLock::new(|| embedded::table("etcd-arguments"));
    &TABLE
}

/// Arguments whose values have the types of etcd's configuration file, and fit together.
pub(super) fn arguments(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let minor = reader.node.minor();
    let fault = arguments_fault(minor, &reader.items(rule.key()));
    fault.map_or(Answer::Fine, |(value, reason)| Answer::because(value, reason))
}

/// Returns the argument that etcd refuses, and its message.
fn arguments_fault(minor: KubernetesMinor, items: &[&str]) -> Option<(String, String)> {
    let mut given: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    for item in items {
        if let Some((name, value)) = item.split_once('=') {
            given.insert(name.trim_start_matches('-').to_ascii_lowercase(), (item, value));
        }
    }
    for row in &table().arguments {
        for name in row.names.iter().filter(|_| minor.is_within(row.from, None)) {
            if let Some((item, value)) = given.get(name)
                && let Some(reason) = row.fault(name, value)
            {
                return Some(((*item).to_owned(), reason));
            }
        }
    }
    let text = |name: &str| given.get(name).map(|(_, value)| *value);
    if let Some(value) = text(&table().retention).filter(|value| !is_retention(value)) {
        return Some((
            value.to_owned(),
            format!("error parsing CompactionRetention: time: invalid duration {value:?}"),
        ));
    }
    intervals_fault(&|name| text(name).and_then(|value| value.parse().ok()))
}

fn intervals_fault(given: &dyn Fn(&str) -> Option<i64>) -> Option<(String, String)> {
    let EtcdArguments { heartbeat, election, .. } = table();
    let value = |interval: &EtcdInterval| given(&interval.name).unwrap_or(interval.default);
    let (beat, wait) = (value(heartbeat), value(election));
    let shown = |interval: &EtcdInterval, value: i64| format!("--{}[{value}ms]", interval.name);
    let (beats, waits) = (shown(heartbeat, beat), shown(election, wait));
    let reason = if beat == 0 {
        format!("--{} must be >0 (set to 0ms)", heartbeat.name)
    } else if wait == 0 {
        format!("--{} must be >0 (set to 0ms)", election.name)
    } else if election.times.saturating_mul(beat) > wait {
        format!("{waits} should be at least as {} times as {beats}", election.times)
    } else if wait > election.most {
        format!("{waits} is too long, and should be set less than {}ms", election.most)
    } else {
        return None;
    };
    Some((format!("{beat}, {wait}"), reason))
}

/// A number of at least 0, or a duration.
fn is_retention(text: &str) -> bool {
    text.parse::<i64>().is_ok_and(|number| number >= 0) || flag_values::duration(text).is_some()
}

/// Returns what K3s writes for a value.
fn written(text: &str) -> EtcdWritten {
    let plain = text.trim();
    let is_nothing =
        plain.is_empty() || plain.starts_with('#') || ["~", "null", "Null", "NULL"].contains(&plain);
    if let Ok(number) = text.parse() {
        EtcdWritten::Number(number)
    } else if is_nothing || plain.starts_with("- ") || (plain.starts_with('[') && plain.ends_with(']')) {
        EtcdWritten::List
    } else if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
        EtcdWritten::Boolean
    } else {
        EtcdWritten::Text
    }
}

impl EtcdArgumentRow {
    fn fault(&self, name: &str, value: &str) -> Option<String> {
        let written = written(value);
        let fits = match self.kind {
            EtcdType::Count => matches!(written, EtcdWritten::Number(0..)),
            EtcdType::Number | EtcdType::Duration => matches!(written, EtcdWritten::Number(_)),
            EtcdType::Boolean => written == EtcdWritten::Boolean,
            EtcdType::List => written == EtcdWritten::List,
            EtcdType::Text => written != EtcdWritten::List,
        };
        if !fits {
            let shown = match written {
                EtcdWritten::Number(_) => "number",
                EtcdWritten::List => "array",
                EtcdWritten::Boolean => "bool",
                EtcdWritten::Text => "string",
            };
            return Some(format!("json: cannot unmarshal {shown} into Go struct field configYAML.{name}"));
        }
        let is_one = self.values.is_empty() || self.values.iter().any(|known| known == value);
        (!is_one).then(|| format!("unknown {name} {value:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(items: &[&str]) -> bool {
        arguments_fault("1.33".parse().unwrap(), items).is_some()
    }

    /// As a program with K3s's `ToConfigFile` and etcd's types read them.
    #[test]
    fn values_have_the_types_of_etcd() {
        for good in [
            "heartbeat-interval=200",
            "HEARTBEAT-INTERVAL=5",
            "--heartbeat-interval=+100",
            "grpc-keepalive-interval=1000",
            "pre-vote=TRUE",
            "auto-compaction-retention=5",
            "auto-compaction-retention=5m",
            "auto-compaction-mode=revision",
            "cipher-suites=[A, B]",
            "cipher-suites=",
            "quota-backend-bytes=8589934592",
            "log-level=debug",
            "bogus=1",
            "heartbeat-interval",
            "",
        ] {
            assert!(!refuses(&[good]), "{good}");
        }
        for bad in [
            "heartbeat-interval=-1",
            "heartbeat-interval=abc",
            "heartbeat-interval=",
            "heartbeat-interval=5m",
            "heartbeat-interval=0x10",
            "heartbeat-interval= 5",
            "--Heartbeat-Interval=x",
            "grpc-keepalive-interval=10s",
            "pre-vote=1",
            "pre-vote=yes",
            "auto-compaction-retention=",
            "auto-compaction-retention=[a]",
            "auto-compaction-retention=x",
            "auto-compaction-retention=true",
            "auto-compaction-mode=bogus",
            "cipher-suites=A,B",
            "cipher-suites=5",
            "log-level=bogus",
            "quota-backend-bytes=8G",
        ] {
            assert!(refuses(&[bad]), "{bad}");
        }
    }

    #[test]
    fn intervals_fit_together() {
        assert!(!refuses(&["heartbeat-interval=1000"]));
        assert!(refuses(&["heartbeat-interval=1001"]));
        assert!(!refuses(&["heartbeat-interval=1001", "election-timeout=5005"]));
        assert!(refuses(&["election-timeout=50001"]));
        assert!(refuses(&["election-timeout=0"]));
        assert!(refuses(&["heartbeat-interval=0"]));
        // The last one counts.
        assert!(!refuses(&["heartbeat-interval=abc", "heartbeat-interval=100"]));
    }

    #[test]
    fn a_value_has_its_minors() {
        let refuses = |minor: &str| arguments_fault(minor.parse().unwrap(), &["tls-min-version=x"]).is_some();
        assert!(refuses("1.28"));
        assert!(!refuses("1.27"));
    }
}
