//! The controls of the benchmarks (data/benchmark-controls.yaml), under names that never change.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::rule::ControlRule;
use crate::Role;
use crate::embedded;
use crate::error::{Error, ErrorKind, Result};
use crate::profile::ControlId;

/// The benchmarks that are known, oldest first: CIS took up its own numbering after Kubernetes 1.24.
const BENCHMARKS: [&str; 10] = ["1.23", "1.24", "1.7", "1.8", "1.9", "1.10", "1.11", "1.12", "2.0", "2.1"];

/// Returns the benchmarks that are known, oldest first.
#[must_use]
pub fn benchmarks() -> &'static [&'static str] {
    &BENCHMARKS
}

/// Something that may change from benchmark to benchmark.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum ByBenchmark<T> {
    /// The first benchmark of each value; `null` for none any more.
    Changing(BTreeMap<BenchmarkIndex, Option<T>>),
    /// The same in all of them.
    Always(T),
}

/// The place of a benchmark in [`BENCHMARKS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct BenchmarkIndex(usize);

impl TryFrom<String> for BenchmarkIndex {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Self, String> {
        let at = BENCHMARKS.iter().position(|known| *known == name);
        at.map(Self)
            .ok_or_else(|| format!("there is no benchmark {name:?}; there are {}", BENCHMARKS.join(", ")))
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
    judge: ByBenchmark<ControlRule>,
    remedy: String,
}

fn level_one() -> u8 {
    1
}

fn every_role() -> Vec<Role> {
    vec![Role::Server, Role::Agent]
}

/// A control as one benchmark has it.
#[derive(Debug, Clone)]
pub struct Control {
    /// Its own name, the same in every benchmark.
    pub name: String,
    /// Its number.
    pub id: ControlId,
    /// Our own short title.
    pub title: String,
    /// Its profile level, 1 or 2.
    pub level: u8,
    /// Whether the benchmark has it decided by a program.
    pub automated: bool,
    /// The roles that it is about.
    pub roles: Vec<Role>,
    /// What decides it.
    pub rule: ControlRule,
    /// What to do where it is not met.
    pub remedy: String,
}

/// Returns the controls of a benchmark by number.
///
/// # Errors
/// [`ErrorKind::BadInput`] for a benchmark that is not known.
pub fn controls(benchmark: &str) -> Result<Vec<Control>> {
    static ROWS: LazyLock<BTreeMap<String, ControlRow>> =
        LazyLock::new(|| embedded::table("benchmark-controls"));
    let at = BenchmarkIndex::try_from(benchmark.to_owned())
        .map_err(|message| Error::new(ErrorKind::BadInput, message))?;
    let mut controls = Vec::new();
    for (name, row) in ROWS.iter() {
        let (Some(id), Some(rule)) = (row.ids.at(at), row.judge.at(at)) else { continue };
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
    use crate::kubernetes::component_flags;
    use crate::profile::ProfileRequest;

    /// How many controls each benchmark has: as many as security-scan's definitions for K3s (2.0: the general one of
    /// kube-bench; 2.1: K3s' assessment), and in 1.11 also 4.2.15, which the general one of kube-bench has.
    const COUNTS: [(&str, usize); 10] = [
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
            assert_eq!(controls.len(), count, "{benchmark}: {by_section:?}");
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
        for benchmark in BENCHMARKS {
            for control in controls(benchmark).unwrap() {
                let by_hand = matches!(control.rule, ControlRule::Manual(_));
                assert!(!(control.automated && by_hand), "{benchmark} {} {}", control.id, control.name);
                assert!(control.title.len() <= 60 && !control.title.ends_with('.'), "{}", control.title);
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
            if let ByBenchmark::Changing(changes) = &row.judge {
                assert!(every(changes.keys().collect()), "{}: a judge where there is no number", row.title);
            }
        }
    }

    #[test]
    fn components_know_the_flags_that_they_are_judged_by() {
        fn check(rule: &ControlRule, name: &str) {
            match rule {
                ControlRule::All(rules) | ControlRule::Any(rules) => {
                    rules.iter().for_each(|rule| check(rule, name))
                }
                ControlRule::WithEtcd(rule) => check(rule, name),
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
        for benchmark in BENCHMARKS {
            for control in controls(benchmark).unwrap() {
                check(&control.rule, &control.name);
            }
        }
    }

    #[test]
    fn profiles_and_benchmarks_number_alike() {
        for benchmark in BENCHMARKS {
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
