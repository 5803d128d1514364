// SPDX-License-Identifier: Apache-2.0
//! Explains a topic: finds the control or setting, and collects the data of the tables.

use super::explained_node::ExplainedNode;
use super::explanation::{
    BenchmarkNumber, ControlExplanation, Explanation, LastKubeletArgument, ScannerMistake, TopicKind,
};
use super::set_by::set_by;
use super::setting::SettingExplanation;
use super::table::{self, Pitfall};
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::PolicyEnforcement;
use crate::nearest::nearest;
use crate::profile::{ControlId, declarations};
use crate::scanner::{Scanner, check};
use crate::verify::control::{Control, benchmarks, controls};

/// Explains a control (`1.2.16`, `audit-log-path`) or a setting (`audit_log_maxage`).
///
/// # Errors
/// [`ErrorKind::BadInput`] for an unknown topic or benchmark, with similar names.
pub fn explain(topic: &str, here: &ExplainedNode<'_>) -> Result<Explanation> {
    let all = benchmarks()
        .iter()
        .map(|benchmark| Ok((*benchmark, controls(benchmark)?)))
        .collect::<Result<Vec<(&str, Vec<Control>)>>>()?;
    let own = controls(here.benchmark)?;
    let setting = SettingExplanation::named(topic, here.profile);
    let mut names: Vec<&str> = Vec::new();
    if topic.starts_with(|first: char| first.is_ascii_digit()) {
        names.push(name_of_number(topic, here.benchmark, &own, &all)?);
    } else {
        let known = all.iter().flat_map(|(_, controls)| controls).find(|control| control.name == topic);
        names.extend(known.map(|control| control.name.as_str()));
    }
    // A name may be both a control and a setting, such as `namespaces`.
    let kind = if names.is_empty() { TopicKind::Setting } else { TopicKind::Control };
    if kind == TopicKind::Setting && setting.is_none() {
        return Err(unknown(topic, &all));
    }
    let affected = table::rows().keys().map(String::as_str).filter(|name| {
        setting.as_ref().is_some_and(|setting| table::settings_of(name).contains(&setting.name))
    });
    let affected: Vec<&str> = affected.filter(|name| !names.contains(name)).collect();
    names.extend(affected);
    let controls = names.into_iter().filter_map(|name| explain_control(name, here, &all)).collect();
    Ok(Explanation { topic: topic.to_owned(), kind, setting, controls })
}

/// The controls of every benchmark.
type BenchmarkControls = [(&'static str, Vec<Control>)];

/// Returns the name of the control with a number in the benchmark.
fn name_of_number<'a>(
    topic: &str,
    benchmark: &str,
    own: &'a [Control],
    all: &BenchmarkControls,
) -> Result<&'a str> {
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
        error = error.hint(format!("other benchmarks have it: {}", elsewhere.join(", ")));
    }
    let section = topic.rsplit_once('.').and_then(|(section, _)| section.parse::<ControlId>().ok());
    let range_of = |section: &ControlId| {
        let mut within = own.iter().filter(|control| control.id.within(section));
        let (first, last) = (within.next()?, within.next_back()?);
        Some(format!("its section {section} goes from {} to {}", first.id, last.id))
    };
    // The topic may be a section, or a control of a section.
    match range_of(&id).or_else(|| range_of(&section?)) {
        Some(hint) => Err(error.hint(hint)),
        None => Err(error.hint("`k3s-harden verify` lists all controls")),
    }
}

/// Returns the error for a name that is neither a control nor a setting.
fn unknown(topic: &str, all: &BenchmarkControls) -> Error {
    /// The most names that the error lists.
    const MAX_LISTED: usize = 8;
    let controls = all.iter().flat_map(|(_, controls)| controls).map(|control| control.name.as_str());
    let mut names: Vec<&str> = controls.chain(declarations().keys().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    let plain = |name: &str| name.to_lowercase().replace(['_', ' '], "-");
    let part = plain(topic);
    let with_it: Vec<&str> =
        names.iter().copied().filter(|name| part.len() > 2 && plain(name).contains(&part)).collect();
    let error = Error::new(ErrorKind::BadInput, format!("{topic:?} is neither a control nor a setting"));
    match (nearest(topic, &names), with_it.as_slice()) {
        (None, []) => {
            error.hint("`k3s-harden verify` lists the controls, `k3s-harden profile show cis` the settings")
        }
        (Some(near), []) => error.hint(format!("did you mean {near}?")),
        (_, [one]) => error.hint(format!("did you mean {one}?")),
        (_, some) if some.len() <= MAX_LISTED => {
            error.hint(format!("did you mean one of {}?", some.join(", ")))
        }
        (_, many) => {
            let (first, rest) = many.split_at(MAX_LISTED);
            error.hint(format!(
                "did you mean one of {}, or of {} more with it?",
                first.join(", "),
                rest.len()
            ))
        }
    }
}

/// The controls about NetworkPolicies.
const ENFORCED: [&str; 2] = ["cni", "network-policies"];

/// Returns who enforces NetworkPolicies on the node, for a control about them.
fn enforced_by(control: &Control, here: &ExplainedNode<'_>) -> Option<PolicyEnforcement> {
    let facts = here.facts;
    let is_about = ENFORCED.contains(&control.name.as_str()) && control.roles.contains(&facts.node.role);
    is_about.then(|| PolicyEnforcement::of_node(&facts.node, &facts.log).ok()).flatten()
}

/// Explains the control of a name; none for an unknown name.
fn explain_control(
    name: &str,
    here: &ExplainedNode<'_>,
    all: &BenchmarkControls,
) -> Option<ControlExplanation> {
    let row = table::rows().get(name)?;
    let found: Vec<(&'static str, &Control)> = all
        .iter()
        .filter_map(|(benchmark, controls)| {
            Some((*benchmark, controls.iter().find(|control| control.name == name)?))
        })
        .collect();
    // The control in the benchmark of the node, or else in the newest benchmark.
    let current = found.iter().find(|(benchmark, _)| *benchmark == here.benchmark).or(found.last());
    let (_, control) = current?;
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
        remedy: here.facts.node.with_commands(&control.remedy),
        ids: found.iter().map(numbered).collect(),
        settings: settings.filter_map(|name| SettingExplanation::named(name, here.profile)).collect(),
        set_by: set_by(control, here),
        enforced_by: enforced_by(control, here),
        scanners: scanners.collect(),
        mistakes: row.scanners.iter().map(mistake).collect(),
        pitfalls: row.pitfalls.clone(),
    })
}
