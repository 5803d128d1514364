//! What a rule comes to on a node.

mod file;
mod flag;
mod must;

use super::control::Control;
use super::rule::{ControlRule, FlagRule, Must, RuleOutcome, RuleResult};
use super::{ControlVerdict, Evidence, NodeFacts, Status, VerifyReport, checks};
use crate::Role;
use crate::error::{Error, Result};
use crate::k3s::Datastore;

/// Judges a node by every control of a benchmark.
///
/// # Errors
/// Where there is no such benchmark.
pub fn verify(facts: &NodeFacts<'_>, benchmark: &str) -> Result<VerifyReport> {
    let verdicts = super::controls(benchmark)?.into_iter().map(|control| verdict(facts, control)).collect();
    Ok(VerifyReport {
        root: facts.node.root.path().to_owned(),
        role: facts.node.role,
        kubernetes: facts.node.minor,
        benchmark: benchmark.to_owned(),
        started: facts.started,
        verdicts,
        findings: Vec::new(),
    })
}

fn verdict(facts: &NodeFacts<'_>, control: Control) -> ControlVerdict {
    let role = facts.node.role;
    let judgement = if control.roles.contains(&role) {
        judge(facts, &control.rule)
    } else {
        let what = if role == Role::Agent { "an agent runs no control plane" } else { "this is a server" };
        RuleResult::not_applicable(what)
    };
    let status = match judgement.outcome {
        RuleOutcome::Met => Status::Pass,
        RuleOutcome::NotMet if control.automated => Status::Fail,
        RuleOutcome::NotMet => Status::Warn,
        RuleOutcome::Manual => Status::Manual,
        RuleOutcome::NotApplicable => Status::NotApplicable,
        RuleOutcome::Unknown => Status::Unknown,
    };
    ControlVerdict {
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
pub fn judge(facts: &NodeFacts<'_>, rule: &ControlRule) -> RuleResult {
    let result = match rule {
        ControlRule::Flag(rule) => flag::judge(facts, rule),
        ControlRule::File(rule) => file::judge(facts, rule),
        ControlRule::Etcd(rule) => file::judge_etcd(facts, rule),
        ControlRule::All(rules) => Ok(all(rules.iter().map(|rule| judge(facts, rule)).collect())),
        ControlRule::Any(rules) => Ok(any(rules.iter().map(|rule| judge(facts, rule)).collect())),
        ControlRule::WithEtcd(rule) => match facts.datastore {
            Datastore::Etcd => return judge(facts, rule),
            other => Ok(RuleResult::not_applicable(format!("the datastore is {other}"))),
        },
        ControlRule::NotApplicable(why) => Ok(RuleResult::not_applicable(why.clone())),
        ControlRule::Manual(what) => Ok(RuleResult::manual(what.clone())),
        ControlRule::By(rule) => match checks::find(&rule.judge) {
            Some(judge) => judge(facts, rule.about.as_deref()),
            None => Ok(RuleResult::unknown("it is judged", format!("no judge is called {}", rule.judge))),
        },
    };
    result.unwrap_or_else(|error| RuleResult::failed(&error))
}

/// Judges a node by a flag of a component that is not the kubelet.
pub(super) fn flag(facts: &NodeFacts<'_>, component: &str, name: &str, must: Must) -> Result<RuleResult> {
    let (component, name) = (component.to_owned(), name.to_owned());
    flag::judge(facts, &FlagRule { component, name, field: None, unset: None, must })
}

/// Errors are told once for every control that they keep from being judged.
pub(super) fn copy(error: &Error) -> Error {
    error.clone()
}

/// Each has to be met. What is not applicable says nothing beside what is.
fn all(mut judgements: Vec<RuleResult>) -> RuleResult {
    if judgements.iter().any(|judgement| judgement.outcome != RuleOutcome::NotApplicable) {
        judgements.retain(|judgement| judgement.outcome != RuleOutcome::NotApplicable);
    }
    let worst = |judgement: &RuleResult| match judgement.outcome {
        RuleOutcome::NotMet => 0,
        RuleOutcome::Unknown => 1,
        RuleOutcome::Manual => 2,
        RuleOutcome::Met => 3,
        RuleOutcome::NotApplicable => 4,
    };
    let outcome =
        judgements.iter().min_by_key(|judgement| worst(judgement)).map(|judgement| judgement.outcome);
    let outcome = outcome.unwrap_or(RuleOutcome::Unknown);
    let decisive: Vec<&RuleResult> =
        judgements.iter().filter(|judgement| judgement.outcome == outcome).collect();
    RuleResult {
        outcome,
        expected: joined(judgements.iter().map(|judgement| judgement.expected.as_str()), " and "),
        actual: joined(decisive.iter().map(|judgement| judgement.actual.as_str()), "; "),
        evidence: judgements.iter().flat_map(|judgement| judgement.evidence.clone()).collect(),
    }
}

/// One that is met is enough.
fn any(judgements: Vec<RuleResult>) -> RuleResult {
    let best = |judgement: &RuleResult| match judgement.outcome {
        RuleOutcome::Met => 0,
        RuleOutcome::Unknown => 1,
        RuleOutcome::Manual => 2,
        RuleOutcome::NotMet => 3,
        RuleOutcome::NotApplicable => 4,
    };
    let expected = joined(judgements.iter().map(|judgement| judgement.expected.as_str()), " or ");
    let Some(first) = judgements.iter().min_by_key(|judgement| best(judgement)).cloned() else {
        return RuleResult::unknown("", "there is nothing to judge");
    };
    if first.outcome == RuleOutcome::Met {
        return RuleResult { expected, ..first };
    }
    let actual = joined(judgements.iter().map(|judgement| judgement.actual.as_str()), "; ");
    let evidence = judgements.into_iter().flat_map(|judgement| judgement.evidence).collect();
    RuleResult { outcome: first.outcome, expected, actual, evidence }
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

impl RuleResult {
    /// There is nothing here that it is about, and why.
    #[must_use]
    pub fn not_applicable(why: impl Into<String>) -> Self {
        let actual = why.into();
        let evidence = vec![Evidence { text: actual.clone(), place: None }];
        Self { outcome: RuleOutcome::NotApplicable, expected: String::new(), actual, evidence }
    }

    /// A person has to look at something.
    #[must_use]
    pub fn manual(what: impl Into<String>) -> Self {
        Self {
            outcome: RuleOutcome::Manual,
            expected: what.into(),
            actual: String::new(),
            evidence: Vec::new(),
        }
    }

    /// It could not be looked at, and why.
    #[must_use]
    pub fn unknown(expected: impl Into<String>, why: impl Into<String>) -> Self {
        let actual = why.into();
        let evidence = vec![Evidence { text: actual.clone(), place: None }];
        Self { outcome: RuleOutcome::Unknown, expected: expected.into(), actual, evidence }
    }

    /// Something could not be read.
    #[must_use]
    pub fn failed(error: &Error) -> Self {
        let evidence = vec![Evidence { text: error.message().to_owned(), place: error.place().cloned() }];
        Self {
            outcome: RuleOutcome::Unknown,
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
        let outcome = if met { RuleOutcome::Met } else { RuleOutcome::NotMet };
        Self { outcome, expected: expected.into(), actual: actual.into(), evidence }
    }
}
