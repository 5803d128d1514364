//! Network policies (5.3): is there something that enforces them, and has every namespace one?
//!
//! K3s enforces them itself (kube-router's controller) unless `disable-network-policy` is set; its own CNI, flannel,
//! does not. Source: pkg/agent/netpol of K3s.

use serde_json::{Map, Value};

use super::applied::{self, Applied};
use super::asked::{named, running, seen};
use crate::error::Result;
use crate::verify::cluster::{ObjectKind, full_name, items, name, namespace};
use crate::verify::rule::{RuleOutcome, RuleResult};
use crate::verify::{Evidence, NodeFacts};

const DISABLE: &str = "disable-network-policy";
const BACKEND: &str = "flannel-backend";

/// What enforces network policies.
enum PolicyEnforcer {
    /// K3s does.
    ByK3s(Evidence),
    /// Nothing does.
    No(Vec<Evidence>),
    /// Another CNI may.
    ByAnother(Vec<Evidence>),
}

fn enforced(facts: &NodeFacts<'_>) -> Result<PolicyEnforcer> {
    if let Err(error) = &facts.node.effective {
        return Err(error.clone());
    }
    if !facts.node.is_on(DISABLE) {
        let backend = facts.node.value(BACKEND).map_or("vxlan", |(value, _)| value);
        let text =
            format!("{BACKEND} is {backend}, and nothing sets {DISABLE}: K3s' own controller enforces them");
        let place = facts.node.value(BACKEND).map(|(_, place)| place);
        return Ok(PolicyEnforcer::ByK3s(Evidence { text, place }));
    }
    let place = facts.node.value(DISABLE).map(|(_, place)| place);
    let mut evidence = vec![Evidence { text: format!("{DISABLE} is set: K3s enforces none"), place }];
    match facts.node.value(BACKEND) {
        Some(("none", place)) => {
            let text = format!("{BACKEND} is none: another CNI is installed, which may enforce them");
            evidence.push(Evidence { text, place: Some(place) });
            Ok(PolicyEnforcer::ByAnother(evidence))
        }
        _ => Ok(PolicyEnforcer::No(evidence)),
    }
}

/// What is installed enforces network policies (5.3.1).
pub(super) fn cni(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "something enforces network policies";
    Ok(match enforced(facts)? {
        PolicyEnforcer::ByK3s(evidence) => RuleResult::met(true, expected, "K3s itself does", vec![evidence]),
        PolicyEnforcer::No(evidence) => RuleResult::met(false, expected, "nothing does", evidence),
        PolicyEnforcer::ByAnother(evidence) => RuleResult {
            outcome: RuleOutcome::Manual,
            expected: "the CNI that is installed enforces network policies: look at what it is".to_owned(),
            actual: "K3s does not; another CNI may".to_owned(),
            evidence,
        },
    })
}

/// Every namespace has a network policy (5.3.2).
pub(super) fn policies(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "every namespace has a NetworkPolicy, and something enforces it";
    let (mut evidence, another) = match enforced(facts)? {
        PolicyEnforcer::ByK3s(evidence) => (vec![evidence], false),
        PolicyEnforcer::ByAnother(evidence) => (evidence, true),
        PolicyEnforcer::No(evidence) => {
            return Ok(RuleResult::met(false, expected, "nothing enforces network policies", evidence));
        }
    };
    let mut judgement = match running(facts)? {
        Some(cluster) => {
            let policies = cluster.list(ObjectKind::NetworkPolicy)?;
            let namespaces: Vec<&str> = cluster.list(ObjectKind::Namespace)?.iter().map(name).collect();
            let lacking: Vec<&str> = namespaces
                .iter()
                .filter(|of| !policies.iter().any(|policy| namespace(policy) == **of))
                .copied()
                .collect();
            for of in namespaces.iter().filter(|of| !lacking.contains(of)) {
                let its: Vec<_> = policies.iter().filter(|policy| namespace(policy) == *of).collect();
                let names: Vec<String> = its.iter().map(|policy| full_name(policy)).collect();
                let some = if its.iter().any(|policy| selects_all(policy)) {
                    ""
                } else {
                    ", for some of its pods only"
                };
                evidence.push(seen(format!("{of} has {}{some}", named(&names))));
            }
            by_namespace(expected, &lacking, evidence)
        }
        None if facts.started => return Ok(not_asked(expected, "network policies")),
        None => {
            let objects = applied::objects(facts)?;
            let is_policy = |object: &&Applied| object.kind() == "NetworkPolicy";
            let mut lacking = Vec::new();
            for of in applied::namespaces(objects) {
                let its: Vec<&Applied> =
                    objects.iter().filter(is_policy).filter(|object| object.namespace() == of).collect();
                let all = its.iter().find(|policy| selects_all(&policy.object));
                let Some(shown) = all.or(its.first()) else {
                    let text = format!("no manifest has a NetworkPolicy for {of}");
                    evidence.push(Evidence { text, place: Some(applied::home(facts)) });
                    lacking.push(of);
                    continue;
                };
                let some = if all.is_some() { "" } else { ", for some of its pods only" };
                let text = format!("{of} gets the NetworkPolicy {}{some}", shown.name());
                evidence.push(Evidence { text, place: Some(shown.place.clone()) });
            }
            by_namespace(expected, &lacking, evidence)
        }
    };
    if another && judgement.outcome == RuleOutcome::Met {
        judgement.outcome = RuleOutcome::Manual;
        judgement.actual = "every namespace has one; whether the CNI enforces them is not known".to_owned();
    }
    Ok(judgement)
}

/// Says that a cluster that has started tells only when it is asked.
pub(super) fn not_asked(expected: &str, what: &str) -> RuleResult {
    let why = format!("K3s has started: which {what} its namespaces have, only the cluster tells (--live)");
    RuleResult::unknown(expected, why)
}

fn by_namespace(expected: &str, lacking: &[&str], evidence: Vec<Evidence>) -> RuleResult {
    let actual = match lacking {
        [] => "every namespace has one".to_owned(),
        _ => format!("none in {}", named(lacking)),
    };
    RuleResult::met(lacking.is_empty(), expected, actual, evidence)
}

fn selects_all(policy: &Value) -> bool {
    policy.pointer("/spec/podSelector").is_none_or(|selector| {
        let labels = selector.get("matchLabels").and_then(Value::as_object);
        labels.is_none_or(Map::is_empty) && items(selector, "/matchExpressions").is_empty()
    })
}
