//! What a rule comes to on a node.

mod file;
mod flag;
mod must;

use super::control::Control;
use super::rule::{FlagRule, Judgement, Must, Outcome, Rule};
use super::{Evidence, Facts, Report, Status, Verdict, judges};
use crate::Role;
use crate::error::{Error, Result};
use crate::k3s::Datastore;

/// Judges a node by every control of a benchmark.
///
/// # Errors
/// Where there is no such benchmark.
pub fn verify(facts: &Facts<'_>, benchmark: &str) -> Result<Report> {
    let verdicts = super::controls(benchmark)?.into_iter().map(|control| verdict(facts, control)).collect();
    Ok(Report {
        root: facts.judged.root.path().to_owned(),
        role: facts.judged.role,
        kubernetes: facts.judged.minor,
        benchmark: benchmark.to_owned(),
        started: facts.started,
        verdicts,
        findings: Vec::new(),
    })
}

fn verdict(facts: &Facts<'_>, control: Control) -> Verdict {
    let role = facts.judged.role;
    let judgement = if control.roles.contains(&role) {
        judge(facts, &control.rule)
    } else {
        let what = if role == Role::Agent { "an agent runs no control plane" } else { "this is a server" };
        Judgement::not_applicable(what)
    };
    let status = match judgement.outcome {
        Outcome::Met => Status::Pass,
        Outcome::NotMet if control.automated => Status::Fail,
        Outcome::NotMet => Status::Warn,
        Outcome::Manual => Status::Manual,
        Outcome::NotApplicable => Status::NotApplicable,
        Outcome::Unknown => Status::Unknown,
    };
    Verdict {
        id: control.id,
        name: control.name,
        title: control.title,
        level: control.level,
        automated: control.automated,
        status,
        expected: judgement.expected,
        actual: judgement.actual,
        evidence: judgement.evidence,
        remedy: control.remedy,
        waiver: None,
        lapsed: false,
    }
}

/// Judges a node by one rule.
#[must_use]
pub fn judge(facts: &Facts<'_>, rule: &Rule) -> Judgement {
    let result = match rule {
        Rule::Flag(rule) => flag::judge(facts, rule),
        Rule::File(rule) => file::judge(facts, rule),
        Rule::Etcd(rule) => file::judge_etcd(facts, rule),
        Rule::All(rules) => Ok(all(rules.iter().map(|rule| judge(facts, rule)).collect())),
        Rule::Any(rules) => Ok(any(rules.iter().map(|rule| judge(facts, rule)).collect())),
        Rule::WithEtcd(rule) => match facts.datastore {
            Datastore::Etcd => return judge(facts, rule),
            other => Ok(Judgement::not_applicable(format!("the datastore is {other}"))),
        },
        Rule::NotApplicable(why) => Ok(Judgement::not_applicable(why.clone())),
        Rule::Manual(what) => Ok(Judgement::manual(what.clone())),
        Rule::By(rule) => match judges::find(&rule.judge) {
            Some(judge) => judge(facts, rule.about.as_deref()),
            None => Ok(Judgement::unknown("it is judged", format!("no judge is called {}", rule.judge))),
        },
    };
    result.unwrap_or_else(|error| Judgement::failed(&error))
}

/// Judges a node by a flag of a component that is not the kubelet.
pub(super) fn flag(facts: &Facts<'_>, component: &str, name: &str, must: Must) -> Result<Judgement> {
    let (component, name) = (component.to_owned(), name.to_owned());
    flag::judge(facts, &FlagRule { component, name, field: None, unset: None, must })
}

/// Errors are told once for every control that they keep from being judged.
pub(super) fn copy(error: &Error) -> Error {
    let copy = Error::new(error.kind(), error.message());
    match error.place() {
        Some(place) => copy.at(place.clone()),
        None => copy,
    }
}

/// Each has to be met. What is not applicable says nothing beside what is.
fn all(mut judgements: Vec<Judgement>) -> Judgement {
    if judgements.iter().any(|judgement| judgement.outcome != Outcome::NotApplicable) {
        judgements.retain(|judgement| judgement.outcome != Outcome::NotApplicable);
    }
    let worst = |judgement: &Judgement| match judgement.outcome {
        Outcome::NotMet => 0,
        Outcome::Unknown => 1,
        Outcome::Manual => 2,
        Outcome::Met => 3,
        Outcome::NotApplicable => 4,
    };
    let outcome =
        judgements.iter().min_by_key(|judgement| worst(judgement)).map(|judgement| judgement.outcome);
    let outcome = outcome.unwrap_or(Outcome::Unknown);
    let decisive: Vec<&Judgement> =
        judgements.iter().filter(|judgement| judgement.outcome == outcome).collect();
    Judgement {
        outcome,
        expected: joined(judgements.iter().map(|judgement| judgement.expected.as_str()), " and "),
        actual: joined(decisive.iter().map(|judgement| judgement.actual.as_str()), "; "),
        evidence: judgements.iter().flat_map(|judgement| judgement.evidence.clone()).collect(),
    }
}

/// One that is met is enough.
fn any(judgements: Vec<Judgement>) -> Judgement {
    let best = |judgement: &Judgement| match judgement.outcome {
        Outcome::Met => 0,
        Outcome::Unknown => 1,
        Outcome::Manual => 2,
        Outcome::NotMet => 3,
        Outcome::NotApplicable => 4,
    };
    let expected = joined(judgements.iter().map(|judgement| judgement.expected.as_str()), " or ");
    let Some(first) = judgements.iter().min_by_key(|judgement| best(judgement)).cloned() else {
        return Judgement::unknown("", "there is nothing to judge");
    };
    if first.outcome == Outcome::Met {
        return Judgement { expected, ..first };
    }
    let actual = joined(judgements.iter().map(|judgement| judgement.actual.as_str()), "; ");
    let evidence = judgements.into_iter().flat_map(|judgement| judgement.evidence).collect();
    Judgement { outcome: first.outcome, expected, actual, evidence }
}

fn joined<'a>(parts: impl Iterator<Item = &'a str>, with: &str) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for part in parts.filter(|part| !part.is_empty()) {
        if !seen.contains(&part) {
            seen.push(part);
        }
    }
    seen.join(with)
}

impl Judgement {
    /// There is nothing here that it is about, and why.
    #[must_use]
    pub fn not_applicable(why: impl Into<String>) -> Self {
        let actual = why.into();
        let evidence = vec![Evidence { text: actual.clone(), place: None }];
        Self { outcome: Outcome::NotApplicable, expected: String::new(), actual, evidence }
    }

    /// A person has to look at something.
    #[must_use]
    pub fn manual(what: impl Into<String>) -> Self {
        Self { outcome: Outcome::Manual, expected: what.into(), actual: String::new(), evidence: Vec::new() }
    }

    /// It could not be looked at, and why.
    #[must_use]
    pub fn unknown(expected: impl Into<String>, why: impl Into<String>) -> Self {
        let actual = why.into();
        let evidence = vec![Evidence { text: actual.clone(), place: None }];
        Self { outcome: Outcome::Unknown, expected: expected.into(), actual, evidence }
    }

    /// Something could not be read.
    #[must_use]
    pub fn failed(error: &Error) -> Self {
        let evidence = vec![Evidence { text: error.message().to_owned(), place: error.place().cloned() }];
        Self {
            outcome: Outcome::Unknown,
            expected: String::new(),
            actual: error.message().to_owned(),
            evidence,
        }
    }

    /// Met or not.
    #[must_use]
    pub fn met(
        met: bool,
        expected: impl Into<String>,
        actual: impl Into<String>,
        evidence: Vec<Evidence>,
    ) -> Self {
        let outcome = if met { Outcome::Met } else { Outcome::NotMet };
        Self { outcome, expected: expected.into(), actual: actual.into(), evidence }
    }
}
