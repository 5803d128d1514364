// SPDX-License-Identifier: Apache-2.0
//! Checks network policies (5.3): whether something enforces them, and whether every namespace has one.
//!
//! K3s enforces network policies itself (kube-router's controller) unless `disable-network-policy` is set. Flannel, the
//! CNI of K3s, does not enforce them. Source: pkg/agent/netpol of K3s.

use serde_json::{Map, Value};

use super::live::needs_live;
use crate::error::Result;
use crate::k3s::flags;
use crate::verify::applied::{self, AppliedObject};
use crate::verify::cluster::{ObjectKind, full_name, items, name, namespace};
use crate::verify::evidence::{Evidence, list_names};
use crate::verify::facts::NodeFacts;
use crate::verify::rule_result::{RuleOutcome, RuleResult};

const DISABLE: &str = "disable-network-policy";
const BACKEND: &str = "flannel-backend";

/// The program that enforces network policies.
enum PolicyEnforcer {
    /// K3s enforces them.
    K3s(Evidence),
    /// Nothing enforces them.
    Nothing(Vec<Evidence>),
    /// Another CNI may enforce them.
    AnotherCni(Vec<Evidence>),
}

fn policy_enforcer(facts: &NodeFacts<'_>) -> Result<PolicyEnforcer> {
    if let Err(error) = &facts.node.effective {
        return Err(error.clone());
    }
    if !facts.node.is_on(DISABLE) {
        let backend = facts.node.value(BACKEND).map(|(value, _)| value);
        let backend =
            backend.or_else(|| flags::default_text(BACKEND, facts.node.release)).unwrap_or_default();
        let text =
            format!("{BACKEND} is {backend}, and nothing sets {DISABLE}: K3s' own controller enforces them");
        let place = facts.node.value(BACKEND).map(|(_, place)| place);
        return Ok(PolicyEnforcer::K3s(Evidence { text, place }));
    }
    let place = facts.node.value(DISABLE).map(|(_, place)| place);
    let mut evidence = vec![Evidence { text: format!("{DISABLE} is set: K3s enforces none"), place }];
    match facts.node.value(BACKEND) {
        Some(("none", place)) => {
            let text = format!("{BACKEND} is none: another CNI is installed, which may enforce them");
            evidence.push(Evidence { text, place: Some(place) });
            Ok(PolicyEnforcer::AnotherCni(evidence))
        }
        _ => Ok(PolicyEnforcer::Nothing(evidence)),
    }
}

/// Checks that something enforces network policies (5.3.1).
pub(super) fn check_cni(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "something enforces network policies";
    Ok(match policy_enforcer(facts)? {
        PolicyEnforcer::K3s(evidence) => RuleResult::met(true, expected, "K3s itself does", vec![evidence]),
        PolicyEnforcer::Nothing(evidence) => RuleResult::met(false, expected, "nothing does", evidence),
        PolicyEnforcer::AnotherCni(evidence) => RuleResult {
            outcome: RuleOutcome::Manual,
            expected: "the CNI that is installed enforces network policies: look at what it is".to_owned(),
            actual: "K3s does not; another CNI may".to_owned(),
            evidence,
        },
    })
}

/// Checks that every namespace has a network policy (5.3.2).
pub(super) fn check_policies(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "every namespace has a NetworkPolicy, and something enforces it";
    let (mut evidence, by_another_cni) = match policy_enforcer(facts)? {
        PolicyEnforcer::K3s(evidence) => (vec![evidence], false),
        PolicyEnforcer::AnotherCni(evidence) => (evidence, true),
        PolicyEnforcer::Nothing(evidence) => {
            return Ok(RuleResult::met(false, expected, "nothing enforces network policies", evidence));
        }
    };
    let mut result = match facts.live_cluster()? {
        Some(cluster) => {
            let policies = cluster.list(ObjectKind::NetworkPolicy)?;
            let namespaces: Vec<&str> = cluster.list(ObjectKind::Namespace)?.iter().map(name).collect();
            let lacking: Vec<&str> = namespaces
                .iter()
                .filter(|name| !policies.iter().any(|policy| namespace(policy) == **name))
                .copied()
                .collect();
            for with_policy in namespaces.iter().filter(|name| !lacking.contains(name)) {
                let own: Vec<_> =
                    policies.iter().filter(|policy| namespace(policy) == *with_policy).collect();
                let names: Vec<String> = own.iter().map(|policy| full_name(policy)).collect();
                let some = if own.iter().any(|policy| selects_all(policy)) {
                    ""
                } else {
                    ", for some of its pods only"
                };
                evidence
                    .push(Evidence::without_place(format!("{with_policy} has {}{some}", list_names(&names))));
            }
            by_namespace(expected, &lacking, evidence)
        }
        None if facts.started => return Ok(needs_live(expected, "network policies")),
        None => {
            let objects = facts.applied_objects()?;
            let policies = applied::of_kind(objects, ObjectKind::NetworkPolicy)?;
            let mut lacking = Vec::new();
            for namespace in applied::namespaces(objects)? {
                let is_own = |policy: &&&AppliedObject| policy.namespace() == namespace;
                let own: Vec<&AppliedObject> = policies.iter().filter(is_own).copied().collect();
                let all = own.iter().find(|policy| selects_all(&policy.object));
                let Some(shown) = all.or(own.first()) else {
                    let text = format!("no manifest has a NetworkPolicy for {namespace}");
                    evidence.push(Evidence { text, place: Some(applied::policy_file(&facts.node)) });
                    lacking.push(namespace);
                    continue;
                };
                let some = if all.is_some() { "" } else { ", for some of its pods only" };
                let text = format!("{namespace} gets the NetworkPolicy {}{some}", shown.name());
                evidence.push(Evidence { text, place: Some(shown.place.clone()) });
            }
            by_namespace(expected, &lacking, evidence)
        }
    };
    if by_another_cni && result.outcome == RuleOutcome::Met {
        result.outcome = RuleOutcome::Manual;
        result.actual = "every namespace has one; whether the CNI enforces them is not known".to_owned();
    }
    Ok(result)
}

/// Returns the result for the namespaces that have no policy.
fn by_namespace(expected: &str, lacking: &[&str], evidence: Vec<Evidence>) -> RuleResult {
    let actual = match lacking {
        [] => "every namespace has one".to_owned(),
        _ => format!("none in {}", list_names(lacking)),
    };
    RuleResult::met(lacking.is_empty(), expected, actual, evidence)
}

/// Tells whether a policy selects every pod of its namespace.
fn selects_all(policy: &Value) -> bool {
    policy.pointer("/spec/podSelector").is_none_or(|selector| {
        let labels = selector.get("matchLabels").and_then(Value::as_object);
        labels.is_none_or(Map::is_empty) && items(selector, "/matchExpressions").is_empty()
    })
}
