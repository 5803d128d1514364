//! Evaluates the controls of a benchmark on a node. This is the top of the room: it imports the checks and the facts.

use super::checks::{self, etcd, file, flag};
use super::control::{Control, controls};
use super::facts::NodeFacts;
use super::report::{ControlVerdict, Status, VerifyReport};
use super::rule::ControlRule;
use super::rule_result::{RuleOutcome, RuleResult};
use crate::Role;
use crate::error::Result;
use crate::k3s::Datastore;

/// Evaluates every control of a benchmark on a node.
///
/// # Errors
/// [`crate::ErrorKind::BadInput`] for an unknown benchmark.
pub fn verify(facts: &NodeFacts<'_>, benchmark: &str) -> Result<VerifyReport> {
    let verdicts = controls(benchmark)?.into_iter().map(|control| verdict(facts, control)).collect();
    Ok(VerifyReport {
        root: facts.node.root.path().to_owned(),
        config: facts.node.config.path_or_default(),
        role: facts.node.role,
        kubernetes: facts.node.minor(),
        benchmark: benchmark.to_owned(),
        started: facts.started,
        verdicts,
        findings: Vec::new(),
    })
}

fn verdict(facts: &NodeFacts<'_>, control: Control) -> ControlVerdict {
    let role = facts.node.role;
    let result = if control.roles.contains(&role) {
        evaluate_rule(facts, &control.rule)
    } else {
        let reason = if role == Role::Agent { "an agent runs no control plane" } else { "this is a server" };
        RuleResult::not_applicable(reason)
    };
    let status = match result.outcome {
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
        expected: result.expected,
        actual: result.actual,
        evidence: result.evidence,
        remedy: control.remedy,
        waiver: None,
        lapsed: false,
    }
}

/// Evaluates one rule on a node.
#[must_use]
pub fn evaluate_rule(facts: &NodeFacts<'_>, rule: &ControlRule) -> RuleResult {
    let each = |rules: &[ControlRule]| rules.iter().map(|rule| evaluate_rule(facts, rule)).collect();
    let result = match rule {
        ControlRule::Flag(rule) => flag::check(facts, rule),
        ControlRule::File(rule) => file::check(facts, rule),
        ControlRule::Etcd(rule) => etcd::check(facts, rule),
        ControlRule::All(rules) => Ok(RuleResult::all(each(rules))),
        ControlRule::Any(rules) => Ok(RuleResult::any(each(rules))),
        ControlRule::WithEtcd(rule) => match facts.datastore {
            Datastore::Etcd => return evaluate_rule(facts, rule),
            other => Ok(RuleResult::not_applicable(format!("the datastore is {other}"))),
        },
        ControlRule::NotApplicable(reason) => Ok(RuleResult::not_applicable(reason.clone())),
        ControlRule::Manual(expected) => Ok(RuleResult::manual(expected.clone())),
        ControlRule::Check(rule) => match checks::find(&rule.name) {
            Some(check) => check(facts, rule.about.as_deref()),
            None => Ok(RuleResult::unknown("the check exists", format!("no check is named {}", rule.name))),
        },
    };
    result.unwrap_or_else(|error| RuleResult::failed(&error))
}
