// SPDX-License-Identifier: Apache-2.0
//! The controls of the benchmarks (data/benchmark-controls.yaml), under names that never change.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::rule::ControlRule;
use crate::Role;
use crate::embedded;
use crate::error::{Error, ErrorKind, Result};
use crate::profile::{ControlId, built_in_names};

/// Returns the known benchmarks, oldest first: those for which there is a built-in profile.
#[must_use]
pub fn benchmarks() -> &'static [&'static str] {
    static BENCHMARKS: LazyLock<Vec<&str>> =
        LazyLock::new(|| built_in_names().into_iter().filter_map(|name| name.strip_prefix("cis-")).collect());
    &BENCHMARKS
}

/// The short names of the sections. Until 1.10 the number of the general policies was 5.7.
const SECTION_NAMES: [(&str, &str); 16] = [
    ("1.1", "Control plane files"),
    ("1.2", "API server"),
    ("1.3", "Controller manager"),
    ("1.4", "Scheduler"),
    ("2", "etcd"),
    ("3.1", "Authentication"),
    ("3.2", "Logging"),
    ("4.1", "Worker files"),
    ("4.2", "Kubelet"),
    ("4.3", "kube-proxy"),
    ("5.1", "RBAC and service accounts"),
    ("5.2", "Pod security"),
    ("5.3", "Network policies"),
    ("5.4", "Secrets"),
    ("5.5", "Admission of images"),
    ("5.6", "General policies"),
];

/// Returns the short name of a section, such as 1.2.
#[must_use]
pub fn section_name(number: &str) -> &'static str {
    let number = if number == "5.7" { "5.6" } else { number };
    SECTION_NAMES.iter().find(|(known, _)| *known == number).map_or("Other controls", |(_, name)| name)
}

/// A value that may differ between benchmarks.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum ByBenchmark<T> {
    /// Each value with the first benchmark that has it; `null` from the benchmark on that has none.
    Changing(BTreeMap<BenchmarkIndex, Option<T>>),
    /// The same value in every benchmark.
    Always(T),
}

/// The index of a benchmark in [`benchmarks`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct BenchmarkIndex(usize);

impl TryFrom<String> for BenchmarkIndex {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Self, String> {
        let index = benchmarks().iter().position(|known| *known == name);
        index
            .map(Self)
            .ok_or_else(|| format!("there is no benchmark {name:?}; there are {}", benchmarks().join(", ")))
    }
}

impl<T> ByBenchmark<T> {
    fn at(&self, benchmark: BenchmarkIndex) -> Option<&T> {
        match self {
            Self::Always(value) => Some(value),
            Self::Changing(values) => {
                values.range(..=benchmark).next_back().and_then(|(_, value)| value.as_ref())
            }
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlRow {
    title: String,
    #[serde(default = "level_one")]
    level: u8,
    ids: ByBenchmark<String>,
    automated: ByBenchmark<bool>,
    #[serde(default = "every_role")]
    roles: Vec<Role>,
    rule: ByBenchmark<ControlRule>,
    remedy: String,
}

fn level_one() -> u8 {
    1
}

fn every_role() -> Vec<Role> {
    vec![Role::Server, Role::Agent]
}

/// A control in one benchmark.
#[derive(Debug, Clone)]
pub struct Control {
    /// Its name, the same in every benchmark.
    pub name: String,
    /// Its number.
    pub id: ControlId,
    /// The short title of k3s-harden.
    pub title: String,
    /// Its profile level, 1 or 2.
    pub level: u8,
    /// Whether the benchmark marks it as automated.
    pub automated: bool,
    /// The roles of the nodes to which it applies.
    pub roles: Vec<Role>,
    /// The rule that decides it.
    pub rule: ControlRule,
    /// How to meet it.
    pub remedy: String,
}

/// Returns the controls of a benchmark by number.
///
/// # Errors
/// [`ErrorKind::BadInput`] for an unknown benchmark.
pub fn controls(benchmark: &str) -> Result<Vec<Control>> {
    static ROWS: LazyLock<BTreeMap<String, ControlRow>> =
        LazyLock::new(|| embedded::table("benchmark-controls"));
    let at = BenchmarkIndex::try_from(benchmark.to_owned())
        .map_err(|message| Error::new(ErrorKind::BadInput, message))?;
    let mut controls = Vec::new();
    for (name, row) in ROWS.iter() {
        let (Some(id), Some(rule)) = (row.ids.at(at), row.rule.at(at)) else { continue };
        controls.push(Control {
            name: name.clone(),
            id: id.parse()?,
            title: row.title.clone(),
            level: row.level,
            automated: row.automated.at(at).copied().unwrap_or(false),
            roles: row.roles.clone(),
            rule: rule.clone(),
            remedy: row.remedy.clone(),
        });
    }
    controls.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(controls)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::kubernetes::{component_flags, feature_gates};
    use crate::profile::ProfileRequest;
    use crate::version::KubernetesMinor;

    /// The number of controls of each benchmark: that of security-scan's definitions for K3s (2.0: kube-bench's general
    /// definition; 2.1: K3s's assessment), and in 1.11 also 4.2.15, which kube-bench's general definition has.
    const COUNTS: &[(&str, usize)] = &[
        ("1.23", 125),
        ("1.24", 125),
        ("1.7", 131),
        ("1.8", 130),
        ("1.9", 130),
        ("1.10", 130),
        ("1.11", 133),
        ("1.12", 131),
        ("2.0", 131),
        ("2.1", 134),
    ];

    #[test]
    fn each_benchmark_is_whole() {
        assert!(COUNTS.iter().map(|(benchmark, _)| benchmark).eq(benchmarks()), "{:?}", benchmarks());
        for (benchmark, count) in COUNTS {
            let controls = controls(benchmark).unwrap();
            let ids: BTreeSet<_> = controls.iter().map(|control| control.id.clone()).collect();
            assert_eq!(ids.len(), controls.len(), "{benchmark} has a number twice");
            let by_section =
                controls.iter().fold(BTreeMap::new(), |mut counts: BTreeMap<String, usize>, control| {
                    let id = control.id.to_string();
                    *counts.entry(id.rsplit_once('.').unwrap().0.to_owned()).or_default() += 1;
                    counts
                });
            assert_eq!(controls.len(), *count, "{benchmark}: {by_section:?}");
            // Numbers of a section follow one another.
            for control in &controls {
                let id = control.id.to_string();
                let (section, last) = id.rsplit_once('.').unwrap();
                assert!(
                    last.parse::<usize>().unwrap() <= by_section[section],
                    "{benchmark} has a hole before {id}"
                );
            }
        }
        assert!(controls("1.6").is_err());
    }

    #[test]
    fn rows_are_whole_and_used() {
        let mut used = BTreeSet::new();
        for benchmark in benchmarks() {
            for control in controls(benchmark).unwrap() {
                let is_manual = matches!(control.rule, ControlRule::Manual(_));
                assert!(!(control.automated && is_manual), "{benchmark} {} {}", control.id, control.name);
                // With the flag, by which it is searched.
                assert!(control.title.len() <= 90 && !control.title.ends_with('.'), "{}", control.title);
                assert!((1..=2).contains(&control.level) && !control.remedy.is_empty(), "{}", control.name);
                used.insert(control.name);
            }
        }
        let rows: BTreeMap<String, ControlRow> = embedded::table("benchmark-controls");
        assert!(rows.keys().eq(&used), "some rows are in no benchmark");
        for row in rows.values() {
            let ByBenchmark::Changing(ids) = &row.ids else { continue };
            let every =
                |changes: Vec<&BenchmarkIndex>| changes.into_iter().all(|from| row.ids.at(*from).is_some());
            assert!(ids.values().any(Option::is_some));
            if let ByBenchmark::Changing(changes) = &row.automated {
                assert!(every(changes.keys().collect()), "{}: automated where there is no number", row.title);
            }
            if let ByBenchmark::Changing(changes) = &row.rule {
                assert!(every(changes.keys().collect()), "{}: a rule where there is no number", row.title);
            }
        }
    }

    #[test]
    fn components_have_the_flags_of_the_rules() {
        fn check(rule: &ControlRule, name: &str) {
            match rule {
                ControlRule::All(rules) | ControlRule::Any(rules) => {
                    rules.iter().for_each(|rule| check(rule, name));
                }
                ControlRule::WithEtcd(rule) | ControlRule::WithAnyEtcd(rule) => check(rule, name),
                ControlRule::Gate(gate) => {
                    assert!(
                        feature_gates::is_on(&gate.name, KubernetesMinor::new(36), &[]).is_some(),
                        "{name}"
                    );
                }
                ControlRule::File(file) => {
                    for named in file.named_by.iter().chain(&file.also) {
                        let flag = &component_flags::all()[&named.component][&named.flag];
                        let is_field = named.component != "kubelet" || named.field.is_none();
                        assert!(is_field || flag.field == named.field, "{name}: {}", named.flag);
                    }
                }
                ControlRule::Flag(flag) => {
                    assert!(
                        component_flags::all()[&flag.component].contains_key(&flag.name),
                        "{name}: {}",
                        flag.name
                    );
                }
                _ => {}
            }
        }
        for benchmark in benchmarks() {
            for control in controls(benchmark).unwrap() {
                check(&control.rule, &control.name);
            }
        }
    }

    #[test]
    fn profiles_and_benchmarks_number_alike() {
        for benchmark in benchmarks() {
            let numbers: BTreeMap<String, String> = controls(benchmark)
                .unwrap()
                .into_iter()
                .map(|control| (control.id.to_string(), control.name))
                .collect();
            let profile = format!("cis-{benchmark}");
            let minor = crate::version::KubernetesMinor::supported()
                .into_iter()
                .find(|minor| {
                    let request = ProfileRequest {
                        profiles: vec![profile.clone()],
                        minor: *minor,
                        settings: None,
                        assignments: Vec::new(),
                        only: Vec::new(),
                        skip: Vec::new(),
                    };
                    request.resolve(&|_| unreachable!()).is_ok()
                })
                .unwrap();
            let request = ProfileRequest {
                profiles: vec![profile],
                minor,
                settings: None,
                assignments: Vec::new(),
                only: Vec::new(),
                skip: Vec::new(),
            };
            for (name, ids) in request.resolve(&|_| unreachable!()).unwrap().numbers {
                for id in ids {
                    let ours = &numbers[&id.to_string()];
                    assert!(
                        *ours == name || ours.starts_with("pod-security-") && name == "pod-security",
                        "{benchmark} {id}: {name}, {ours}"
                    );
                }
            }
        }
    }
}
