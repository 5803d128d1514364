//! What is it, and why? Everything that the tables know of a control or a setting, and who sets it on this node.
//!
//! Nothing is told here that another table has: ids, levels and titles are the benchmarks', settings and arguments the
//! profiles', checks the scanners'. Only the reasons and the pitfalls are a table of their own
//! (data/explanations.yaml).

mod set_by;
mod setting;
mod table;

use serde::{Deserialize, Serialize};

use self::set_by::set_by;
use crate::Role;
use crate::document::{NodeSite, Rendered};
use crate::error::{Error, ErrorKind, Result};
use crate::profile::{ControlId, Profile, declarations, nearest};
use crate::scanner::{Scanner, ScannerCheck, check};
use crate::verify::control::{Control, benchmarks, controls};
use crate::verify::facts::NodeFacts;

pub use self::set_by::{SetBy, SetterKind};
pub use self::setting::{ProfileValue, SettingExplanation};

/// The node on which it is explained.
#[derive(Debug, Clone, Copy)]
pub struct ExplainedNode<'a> {
    /// The node.
    pub facts: &'a NodeFacts<'a>,
    /// What it should be.
    pub profile: &'a Profile,
    /// What else decides what is written.
    pub site: &'a NodeSite,
    /// What `apply` would write.
    pub rendered: &'a Rendered,
    /// The benchmark in which numbers are read.
    pub benchmark: &'a str,
}

/// What a topic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicKind {
    /// A control, by its number or its name.
    Control,
    /// A setting.
    Setting,
}

/// A topic, explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// As it was asked for.
    pub topic: String,
    /// What it is.
    pub kind: TopicKind,
    /// The setting of that name.
    pub setting: Option<SettingExplanation>,
    /// The controls: the one that was asked for, and those that the setting shapes.
    pub controls: Vec<ControlExplanation>,
}

/// A control, explained.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlExplanation {
    /// Its own name.
    pub name: String,
    /// Our own short title.
    pub title: String,
    /// Why it matters, and where that can be read.
    pub why: Pitfall,
    /// The roles that it is about.
    pub roles: Vec<Role>,
    /// What to do where it is not met.
    pub remedy: String,
    /// Its numbers, oldest benchmark first.
    pub ids: Vec<BenchmarkNumber>,
    /// The settings that shape it.
    pub settings: Vec<SettingExplanation>,
    /// Who sets what serves it on this node; nothing where it is not about the node's role.
    pub set_by: Vec<SetBy>,
    /// What the scanners do about it.
    pub scanners: Vec<ScannerCheck>,
    /// Where they are wrong about it.
    pub mistakes: Vec<ScannerMistake>,
    /// What goes wrong with it on K3s.
    pub pitfalls: Vec<Pitfall>,
}

/// A control in one benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchmarkNumber {
    /// The benchmark.
    pub benchmark: &'static str,
    /// Its number there.
    pub id: ControlId,
    /// Its profile level.
    pub level: u8,
    /// Whether the benchmark has it decided by a program.
    pub automated: bool,
}

/// A sentence with its source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pitfall {
    /// What there is to know.
    pub text: String,
    /// Where that can be read, or seen.
    pub source: String,
}

/// Where a scanner is wrong about a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannerMistake {
    /// What it does.
    pub text: String,
    /// How it is satisfied without harm, or that it is not.
    pub please: Option<String>,
    /// Where it is about the last argument of the kubelet's line: that argument, and which one is the last here.
    pub last: Option<LastKubeletArgument>,
    /// Where that can be read, or seen.
    pub source: String,
}

/// Which argument is the kubelet's last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastKubeletArgument {
    /// The one that is misread where it is.
    pub misread: String,
    /// The one that is on this node.
    pub here: String,
}

/// Explains a control (`1.2.16`, `audit-log-path`) or a setting (`audit_log_maxage`).
///
/// # Errors
/// [`ErrorKind::BadInput`] for a topic or a benchmark that is not known, with the names that are near.
pub fn explain(topic: &str, here: &ExplainedNode<'_>) -> Result<Explanation> {
    let all = benchmarks()
        .iter()
        .map(|benchmark| Ok((*benchmark, controls(benchmark)?)))
        .collect::<Result<Vec<(&str, Vec<Control>)>>>()?;
    let own = controls(here.benchmark)?;
    let setting = SettingExplanation::named(topic, here.profile);
    let mut names: Vec<&str> = Vec::new();
    if topic.starts_with(|first: char| first.is_ascii_digit()) {
        names.push(by_number(topic, here.benchmark, &own, &all)?);
    } else {
        let known = all.iter().flat_map(|(_, controls)| controls).find(|control| control.name == topic);
        names.extend(known.map(|control| control.name.as_str()));
    }
    // A name may be both: `namespaces` is a control and a setting.
    let kind = if names.is_empty() { TopicKind::Setting } else { TopicKind::Control };
    if kind == TopicKind::Setting && setting.is_none() {
        return Err(unknown(topic, &all));
    }
    let shaped = table::rows().keys().map(String::as_str).filter(|name| {
        setting.as_ref().is_some_and(|setting| table::settings_of(name).contains(&setting.name))
    });
    let shaped: Vec<&str> = shaped.filter(|name| !names.contains(name)).collect();
    names.extend(shaped);
    let controls = names.into_iter().filter_map(|name| about(name, here, &all)).collect();
    Ok(Explanation { topic: topic.to_owned(), kind, setting, controls })
}

/// The controls of every benchmark.
type All = [(&'static str, Vec<Control>)];

fn by_number<'a>(topic: &str, benchmark: &str, own: &'a [Control], all: &All) -> Result<&'a str> {
    let id: ControlId = topic.parse()?;
    if let Some(control) = own.iter().find(|control| control.id == id) {
        return Ok(&control.name);
    }
    let mut error = Error::new(ErrorKind::BadInput, format!("benchmark {benchmark} has no control {topic}"));
    let elsewhere: Vec<String> = all
        .iter()
        .filter_map(|(other, controls)| {
            let control = controls.iter().find(|control| control.id == id)?;
            Some(format!("--benchmark {other} ({})", control.name))
        })
        .collect();
    if !elsewhere.is_empty() {
        error = error.hint(format!("another one has: {}", elsewhere.join(", ")));
    }
    let section = topic.rsplit_once('.').and_then(|(section, _)| section.parse::<ControlId>().ok());
    let near = |section: &ControlId| {
        let mut within = own.iter().filter(|control| control.id.within(section));
        let (first, last) = (within.next()?, within.next_back()?);
        Some(format!("its section {section} goes from {} to {}", first.id, last.id))
    };
    // What is a section itself has controls; else the one that it would be in may.
    match near(&id).or_else(|| near(&section?)) {
        Some(hint) => Err(error.hint(hint)),
        None => Err(error.hint("`k3s-harden verify` lists those there are")),
    }
}

/// Returns the error for a name that is neither a control nor a setting.
fn unknown(topic: &str, all: &All) -> Error {
    /// As many names as a reader takes in at once.
    const MANY: usize = 8;
    let controls = all.iter().flat_map(|(_, controls)| controls).map(|control| control.name.as_str());
    let mut names: Vec<&str> = controls.chain(declarations().keys().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    let plain = |name: &str| name.to_lowercase().replace(['_', ' '], "-");
    let part = plain(topic);
    let with_it: Vec<&str> =
        names.iter().copied().filter(|name| part.len() > 2 && plain(name).contains(&part)).collect();
    let error = Error::new(ErrorKind::BadInput, format!("{topic:?} is no control and no setting"));
    match (nearest(topic, &names), with_it.as_slice()) {
        (None, []) => {
            error.hint("`k3s-harden verify` lists the controls, `k3s-harden profile show cis` the settings")
        }
        (Some(near), []) => error.hint(format!("did you mean {near}?")),
        (_, [one]) => error.hint(format!("did you mean {one}?")),
        (_, some) if some.len() <= MANY => error.hint(format!("did you mean one of {}?", some.join(", "))),
        (_, many) => {
            let (first, rest) = many.split_at(MANY);
            error.hint(format!(
                "did you mean one of {}, or of {} more with it?",
                first.join(", "),
                rest.len()
            ))
        }
    }
}

fn about(name: &str, here: &ExplainedNode<'_>, all: &All) -> Option<ControlExplanation> {
    let row = table::rows().get(name)?;
    let found: Vec<(&'static str, &Control)> = all
        .iter()
        .filter_map(|(benchmark, controls)| {
            Some((*benchmark, controls.iter().find(|control| control.name == name)?))
        })
        .collect();
    // As the benchmark in question has it, else the newest.
    let at = found.iter().find(|(benchmark, _)| *benchmark == here.benchmark).or(found.last());
    let (_, control) = at?;
    let numbered = |(benchmark, control): &(&'static str, &Control)| BenchmarkNumber {
        benchmark,
        id: control.id.clone(),
        level: control.level,
        automated: control.automated,
    };
    let scanners = [Scanner::KubeBench, Scanner::SecurityScan].into_iter().flat_map(|scanner| {
        found.iter().filter_map(move |(benchmark, control)| check(scanner, benchmark, &control.id))
    });
    let last = here.facts.forecast("kubelet").pop().map(|(name, _)| name);
    let mistake = |row: &table::MistakeRow| ScannerMistake {
        text: row.text.clone(),
        please: row.please.clone(),
        last: row.last.clone().zip(last.clone()).map(|(misread, here)| LastKubeletArgument { misread, here }),
        source: row.source.clone(),
    };
    let settings = table::settings_of(name).into_iter();
    Some(ControlExplanation {
        name: name.to_owned(),
        title: control.title.clone(),
        why: Pitfall { text: row.why.clone(), source: row.source.clone() },
        roles: control.roles.clone(),
        remedy: control.remedy.clone(),
        ids: found.iter().map(numbered).collect(),
        settings: settings.filter_map(|name| SettingExplanation::named(name, here.profile)).collect(),
        set_by: set_by(control, here),
        scanners: scanners.collect(),
        mistakes: row.scanners.iter().map(mistake).collect(),
        pitfalls: row.pitfalls.clone(),
    })
}
