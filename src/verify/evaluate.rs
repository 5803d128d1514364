// SPDX-License-Identifier: Apache-2.0
//! Evaluates the controls of a benchmark on a node. This is the top of the room: it imports the checks and the facts.

use super::checks::{self, CheckSubject, etcd, file, flag, gate};
use super::control::{Control, controls};
use super::evidence::Evidence;
use super::facts::{FlagOrigin, NodeFacts};
use super::kubelet_log;
use super::must::Must;
use super::policy_evidence;
use super::report::{ControlVerdict, ReportHistory, Status, VerifyReport};
use super::rule::{ControlRule, FlagRule};
use super::rule_result::{RuleOutcome, RuleResult};
use super::users_lines;
use crate::Role;
use crate::error::Result;
use crate::k3s::{Absence, Datastore, running};
use crate::profile::{Accepts, ArgumentTable};

/// Evaluates every control of a benchmark on a node.
///
/// # Errors
/// [`crate::ErrorKind::BadInput`] for an unknown benchmark.
pub fn verify(facts: &NodeFacts<'_>, benchmark: &str) -> Result<VerifyReport> {
    let mut report = report(facts, benchmark, |_| true)?;
    policy_evidence::add(facts, &mut report.verdicts);
    Ok(report)
}

/// Evaluates the controls of a benchmark that a value of the user's can break: those about flags of components. It reads no
/// other file of the node than those that the flags name.
///
/// # Errors
/// [`crate::ErrorKind::BadInput`] for an unknown benchmark.
pub fn verify_configuration(facts: &NodeFacts<'_>, benchmark: &str) -> Result<VerifyReport> {
    report(facts, benchmark, |control| is_broken_by_a_value(&control.rule))
}

/// Tells whether a value breaks a rule about flags. A list to which `apply` adds what a control asks for does not: a word
/// that it lacks is for a setting.
fn is_broken_by_a_value(rule: &ControlRule) -> bool {
    match rule {
        ControlRule::Flag(FlagRule { component, name, must, .. }) => {
            let mut arguments = ArgumentTable::get().arguments.iter();
            let is_united = arguments
                .any(|row| (&row.component, &row.name, row.accepts) == (component, name, Accepts::Union));
            !is_united || !matches!(must, Must::Have(_))
        }
        ControlRule::Gate(_) => true,
        ControlRule::All(rules) | ControlRule::Any(rules) => rules.iter().all(is_broken_by_a_value),
        ControlRule::WithAnyEtcd(rule) => is_broken_by_a_value(rule),
        ControlRule::Check(rule) => checks::subject(&rule.name) == Some(CheckSubject::Access),
        ControlRule::WithEtcd(_)
        | ControlRule::File(_)
        | ControlRule::Etcd(_)
        | ControlRule::NotApplicable(_)
        | ControlRule::Manual(_) => false,
    }
}

fn report(
    facts: &NodeFacts<'_>,
    benchmark: &str,
    is_asked: impl Fn(&Control) -> bool,
) -> Result<VerifyReport> {
    let asked = controls(benchmark)?.into_iter().filter(is_asked);
    let mut verdicts: Vec<ControlVerdict> = asked.map(|control| verdict(facts, control)).collect();
    users_lines::name(facts, &mut verdicts);
    Ok(VerifyReport {
        root: facts.node.root.path().to_owned(),
        config: facts.node.config.path_or_default(),
        role: facts.node.role,
        kubernetes: facts.node.minor().judged(),
        benchmark: benchmark.to_owned(),
        started: facts.started,
        verdicts,
        findings: kubelet_log::findings(facts).into_iter().collect(),
        history: ReportHistory::default(),
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
        remedy: facts.node.with_commands(&control.remedy),
        waiver: None,
        lapsed: false,
    }
}

/// Returns the result of a rule about components of which none runs on the node; none if the rule is about no component, or
/// if one of them runs.
fn absent(facts: &NodeFacts<'_>, rule: &ControlRule) -> Option<RuleResult> {
    let mut components = Vec::new();
    add_components(facts, rule, &mut components);
    let absences: Option<Vec<&Absence>> =
        components.iter().map(|component| facts.absence(component)).collect();
    let mut result = RuleResult::absent(absences?.first()?);
    // It was switched off behind its last start.
    result.evidence.extend(components.first().and_then(|component| {
        let FlagOrigin::Logged(line) = facts.flags(component).origin else { return None };
        let text =
            format!("K3s has logged a start of {component}, which no longer runs after the next start");
        Some(Evidence { text, place: Some(line) })
    }));
    Some(result)
}

/// Adds the components whose flags, configuration or objects a rule is about.
fn add_components<'r>(facts: &NodeFacts<'_>, rule: &'r ControlRule, components: &mut Vec<&'r str>) {
    match rule {
        ControlRule::Flag(rule) => components.push(&rule.component),
        ControlRule::Gate(rule) => components.push(&rule.component),
        ControlRule::Etcd(_) => components.push(running::ETCD),
        ControlRule::All(rules) | ControlRule::Any(rules) => {
            rules.iter().for_each(|rule| add_components(facts, rule, components));
        }
        ControlRule::WithEtcd(rule) | ControlRule::WithAnyEtcd(rule) => {
            add_components(facts, rule, components);
        }
        ControlRule::Check(rule) => match checks::subject(&rule.name) {
            Some(CheckSubject::ApiServer | CheckSubject::Access) => components.push("kube-apiserver"),
            Some(CheckSubject::Objects) if facts.cluster.is_none() => components.push("kube-apiserver"),
            _ => {}
        },
        ControlRule::File(_) | ControlRule::NotApplicable(_) | ControlRule::Manual(_) => {}
    }
}

/// Returns the result of a rule about etcd where the datastore is another one, or one that this machine does not run.
fn other_datastore(facts: &NodeFacts<'_>, datastore: Datastore) -> RuleResult {
    let stays = match datastore {
        Datastore::ExternalEtcd => ", and the control stays with the machine that runs it",
        _ => "",
    };
    let mut result = RuleResult::not_applicable(format!("the datastore is {datastore}{stays}"));
    if let (Some((_, place)), Some(evidence)) =
        (facts.node.value("datastore-endpoint"), result.evidence.first_mut())
    {
        evidence.place = Some(place);
    }
    result
}

/// Makes a result that is met unknown where the component does not start with what it is given. What is not met stays so: it
/// is as wrong with any start.
fn with_refusal(facts: &NodeFacts<'_>, component: &str, mut result: RuleResult) -> RuleResult {
    if let (RuleOutcome::Met, Some(refusal)) = (result.outcome, facts.refusal(component)) {
        result.outcome = RuleOutcome::Unknown;
        result.actual = format!("K3s does not start with this: {}", refusal.text);
        result.evidence.push(refusal);
    }
    result
}

/// Evaluates one rule on a node.
#[must_use]
pub fn evaluate_rule(facts: &NodeFacts<'_>, rule: &ControlRule) -> RuleResult {
    if let Some(result) = absent(facts, rule) {
        return result;
    }
    let each = |rules: &[ControlRule]| rules.iter().map(|rule| evaluate_rule(facts, rule)).collect();
    let result = match rule {
        ControlRule::Flag(rule) => {
            flag::check(facts, rule).map(|result| with_refusal(facts, &rule.component, result))
        }
        ControlRule::Gate(rule) => {
            gate::check(facts, rule).map(|result| with_refusal(facts, &rule.component, result))
        }
        ControlRule::File(rule) => file::check(facts, rule),
        ControlRule::Etcd(rule) => etcd::check(facts, rule),
        ControlRule::All(rules) => Ok(RuleResult::all(each(rules))),
        ControlRule::Any(rules) => Ok(RuleResult::any(each(rules))),
        ControlRule::WithEtcd(rule) => match (&facts.service_unknown, facts.datastore) {
            (Some(error), _) => Err(error.clone()),
            (None, Datastore::Etcd) => return evaluate_rule(facts, rule),
            (None, other) => Ok(other_datastore(facts, other)),
        },
        ControlRule::WithAnyEtcd(rule) => match (&facts.service_unknown, facts.datastore) {
            (Some(error), _) => Err(error.clone()),
            (None, Datastore::Etcd | Datastore::ExternalEtcd) => return evaluate_rule(facts, rule),
            (None, other) => Ok(other_datastore(facts, other)),
        },
        ControlRule::NotApplicable(reason) => Ok(RuleResult::not_applicable(reason.clone())),
        ControlRule::Manual(expected) => Ok(RuleResult::manual(expected.clone())),
        ControlRule::Check(rule) => match checks::find(&rule.name) {
            Some(check) => {
                let result = check(facts, rule.about.as_deref());
                match checks::subject(&rule.name) {
                    Some(CheckSubject::ApiServer | CheckSubject::Access) => {
                        result.map(|result| with_refusal(facts, "kube-apiserver", result))
                    }
                    _ => result,
                }
            }
            None => Ok(RuleResult::unknown("the check exists", format!("no check is named {}", rule.name))),
        },
    };
    result.unwrap_or_else(|error| RuleResult::failed(&error))
}
