//! The ServiceAccounts `default` (5.1.5): no pod gets a token by them, and nobody has bound a role to them.
//!
//! The benchmark exempts no namespace, also not kube-system.

use serde_json::Value;

use super::applied::{self, Applied};
use super::asked::{named, running, seen};
use super::network::not_asked;
use super::rbac::ClusterRoles;
use crate::error::Result;
use crate::verify::cluster::{Cluster, ObjectKind, name, namespace, text};
use crate::verify::rule::RuleResult;
use crate::verify::{Evidence, NodeFacts};

const DEFAULT: &str = "default";
const FIELD: &str = "automountServiceAccountToken";

pub(super) fn judge(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = format!("the ServiceAccount default of every namespace has {FIELD}: false");
    let (lacking, bound, evidence) = match running(facts)? {
        Some(cluster) => of_cluster(cluster)?,
        None if facts.started => return Ok(not_asked(&expected, "ServiceAccounts")),
        None => of_manifests(facts)?,
    };
    let mut actual = Vec::new();
    if !lacking.is_empty() {
        actual.push(format!("not in {}", named(&lacking)));
    }
    if !bound.is_empty() {
        actual.push(format!("roles are bound to {}", named(&bound)));
    }
    let met = actual.is_empty();
    let actual = if met { "every one has it".to_owned() } else { actual.join("; ") };
    Ok(RuleResult::met(met, expected, actual, evidence))
}

type Found = (Vec<String>, Vec<String>, Vec<Evidence>);

fn is_off(account: &Value) -> bool {
    account.get(FIELD) == Some(&Value::Bool(false))
}

fn of_cluster(cluster: &Cluster) -> Result<Found> {
    let accounts = cluster.list(ObjectKind::ServiceAccount)?;
    let (mut lacking, mut bound, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
    for of in cluster.list(ObjectKind::Namespace)?.iter().map(name) {
        let mut its = accounts.iter().filter(|account| name(account) == DEFAULT && namespace(account) == of);
        let text = match its.next() {
            Some(account) if is_off(account) => format!("{of}/default has {FIELD}: false"),
            Some(account) => {
                lacking.push(of.to_owned());
                match account.get(FIELD) {
                    Some(value) => format!("{of}/default has {FIELD}: {value}"),
                    None => format!("{of}/default has no {FIELD}, which is true"),
                }
            }
            // The controller manager is about to make it, as it is made: with a token.
            None => {
                lacking.push(of.to_owned());
                format!("{of}/default is not there yet")
            }
        };
        evidence.push(seen(text));
    }
    for grant in ClusterRoles::of(cluster)?.grants() {
        let of = text(grant.subject, "/namespace");
        if text(grant.subject, "/kind") == "ServiceAccount" && text(grant.subject, "/name") == DEFAULT {
            let (binding, role) = (name(grant.binding), text(grant.binding, "/roleRef/name"));
            evidence.push(seen(format!("{of}/default is bound to {role} by {binding}")));
            bound.push(format!("{of}/default"));
        }
    }
    bound.dedup();
    Ok((lacking, bound, evidence))
}

fn of_manifests(facts: &NodeFacts<'_>) -> Result<Found> {
    let objects = applied::objects(facts)?;
    let (mut lacking, mut evidence) = (Vec::new(), Vec::new());
    for of in applied::namespaces(objects) {
        let is_its = |object: &&Applied| {
            object.kind() == "ServiceAccount" && object.name() == DEFAULT && object.namespace() == of
        };
        // Where two manifests have it, K3s applies one after the other, again and again.
        let its: Vec<&Applied> = objects.iter().filter(is_its).collect();
        let wrong = its.iter().find(|account| !is_off(&account.object));
        let (text, place) = match (wrong, its.first()) {
            (Some(account), _) => {
                (format!("{of}/default is made without {FIELD}: false"), account.place.clone())
            }
            (None, Some(account)) => (format!("{of}/default gets {FIELD}: false"), account.place.clone()),
            (None, None) => {
                (format!("no manifest has the ServiceAccount {of}/default"), applied::home(facts))
            }
        };
        if wrong.is_some() || its.is_empty() {
            lacking.push(of.to_owned());
        }
        evidence.push(Evidence { text, place: Some(place) });
    }
    Ok((lacking, Vec::new(), evidence))
}
