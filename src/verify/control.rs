//! The controls of the benchmarks (data/benchmark-controls.yaml), under names that never change.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::rule::Rule;
use crate::Role;
use crate::embedded;
use crate::error::{Error, Kind, Result};
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
enum Since<T> {
    /// The first benchmark of each value; `null` for none any more.
    Changing(BTreeMap<Benchmark, Option<T>>),
    /// The same in all of them.
    Always(T),
}

/// The place of a benchmark in [`BENCHMARKS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Benchmark(usize);

impl TryFrom<String> for Benchmark {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Self, String> {
        let at = BENCHMARKS.iter().position(|known| *known == name);
        at.map(Self)
            .ok_or_else(|| format!("there is no benchmark {name:?}; there are {}", BENCHMARKS.join(", ")))
    }
}

impl<T> Since<T> {
    fn at(&self, benchmark: Benchmark) -> Option<&T> {
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
struct Row {
    title: String,
    level: u8,
    ids: Since<String>,
    automated: Since<bool>,
    #[serde(default = "every_role")]
    roles: Vec<Role>,
    judge: Since<Rule>,
    remedy: String,
    source: String,
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
    pub rule: Rule,
    /// What to do where it is not met.
    pub remedy: String,
    /// Where it comes from.
    pub source: String,
}

/// Returns the controls of a benchmark by number.
///
/// # Errors
/// [`Kind::BadInput`] for a benchmark that is not known.
pub fn controls(benchmark: &str) -> Result<Vec<Control>> {
    static ROWS: LazyLock<BTreeMap<String, Row>> = LazyLock::new(|| embedded::table("benchmark-controls"));
    let at =
        Benchmark::try_from(benchmark.to_owned()).map_err(|message| Error::new(Kind::BadInput, message))?;
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
            source: row.source.clone(),
        });
    }
    controls.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(controls)
}
