// SPDX-License-Identifier: Apache-2.0
//! Checks network policies (5.3): whether something enforces them, and whether every namespace has one.
//!
//! Who enforces them is found in [`PolicyEnforcement`].

use serde_json::{Map, Value};

use super::live::needs_live;
use crate::error::Result;
use crate::k3s::{EnforcementFact, PolicyEnforcement, PolicyEnforcer};
use crate::verify::applied::{self, AppliedObject};
use crate::verify::cluster::{ObjectKind, full_name, items, name, namespace};
use crate::verify::evidence::{Evidence, list_names};
use crate::verify::facts::NodeFacts;
use crate::verify::rule_result::{RuleOutcome, RuleResult};

/// Returns who enforces network policies, and the evidence.
fn enforcement(facts: &NodeFacts<'_>) -> Result<(PolicyEnforcement, Vec<Evidence>)> {
    let mut found = PolicyEnforcement::of_node(&facts.node, &facts.log)?;
    if found.by != PolicyEnforcer::K3s
        && let Some(cluster) = facts.live_cluster()?
    {
        found = found.with_daemon_sets(cluster.list(ObjectKind::DaemonSet)?);
    }
    let evidence = |fact: &EnforcementFact| Evidence { text: fact.text.clone(), place: fact.place.clone() };
    let evidence = found.because.iter().map(evidence).collect();
    Ok((found, evidence))
}

/// Checks that something enforces network policies (5.3.1).
pub(super) fn check_cni(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "something enforces network policies";
    let (found, evidence) = enforcement(facts)?;
    let mut result = RuleResult::met(true, expected, found.in_words(), evidence);
    result.outcome = match found.by {
        PolicyEnforcer::K3s | PolicyEnforcer::Network(_) => RuleOutcome::Met,
        PolicyEnforcer::Nobody => RuleOutcome::NotMet,
        PolicyEnforcer::Unknown => RuleOutcome::Unknown,
    };
    Ok(result)
}

/// Checks that every namespace has a network policy (5.3.2).
pub(super) fn check_policies(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "every namespace has a NetworkPolicy, and something enforces it";
    let (found, mut evidence) = enforcement(facts)?;
    if found.by == PolicyEnforcer::Nobody {
        return Ok(RuleResult::met(false, expected, "nothing enforces network policies", evidence));
    }
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
    if found.by == PolicyEnforcer::Unknown && result.outcome == RuleOutcome::Met {
        result.outcome = RuleOutcome::Unknown;
        result.actual = format!("every namespace has one; who enforces them: {}", found.in_words());
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
