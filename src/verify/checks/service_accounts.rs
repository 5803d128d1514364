// SPDX-License-Identifier: Apache-2.0
//! Checks the ServiceAccounts `default` (5.1.5): they mount no token into pods, and no role is bound to them.
//!
//! The benchmark exempts no namespace, not even kube-system.

use serde_json::Value;

use super::live::needs_live;
use super::rbac::ClusterRoles;
use crate::error::Result;
use crate::verify::applied::{self, AppliedObject};
use crate::verify::cluster::{Cluster, ObjectKind, name, namespace, text};
use crate::verify::evidence::{Evidence, list_names};
use crate::verify::facts::NodeFacts;
use crate::verify::rule_result::RuleResult;

const DEFAULT: &str = "default";
const FIELD: &str = "automountServiceAccountToken";

/// Checks the ServiceAccount `default` of every namespace.
pub(super) fn check(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = format!("the ServiceAccount default of every namespace has {FIELD}: false");
    let AccountFindings { lacking, bound, evidence } = match facts.live_cluster()? {
        Some(cluster) => in_cluster(cluster)?,
        None if facts.started => return Ok(needs_live(&expected, "ServiceAccounts")),
        None => in_manifests(facts)?,
    };
    let mut actual = Vec::new();
    if !lacking.is_empty() {
        actual.push(format!("not in {}", list_names(&lacking)));
    }
    if !bound.is_empty() {
        actual.push(format!("roles are bound to {}", list_names(&bound)));
    }
    let met = actual.is_empty();
    let actual = if met { "every one has it".to_owned() } else { actual.join("; ") };
    Ok(RuleResult::met(met, expected, actual, evidence))
}

/// The findings about the ServiceAccounts.
struct AccountFindings {
    /// The namespaces whose account mounts a token.
    lacking: Vec<String>,
    /// The accounts to which a role is bound.
    bound: Vec<String>,
    evidence: Vec<Evidence>,
}

fn is_automount_off(account: &Value) -> bool {
    account.get(FIELD) == Some(&Value::Bool(false))
}

fn in_cluster(cluster: &Cluster) -> Result<AccountFindings> {
    let accounts = cluster.list(ObjectKind::ServiceAccount)?;
    let (mut lacking, mut bound, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
    for home in cluster.list(ObjectKind::Namespace)?.iter().map(name) {
        let mut own =
            accounts.iter().filter(|account| name(account) == DEFAULT && namespace(account) == home);
        let text = match own.next() {
            Some(account) if is_automount_off(account) => format!("{home}/default has {FIELD}: false"),
            Some(account) => {
                lacking.push(home.to_owned());
                match account.get(FIELD) {
                    Some(value) => format!("{home}/default has {FIELD}: {value}"),
                    None => format!("{home}/default has no {FIELD}, which is true"),
                }
            }
            // The controller manager is about to create the account, with a token.
            None => {
                lacking.push(home.to_owned());
                format!("{home}/default is not there yet")
            }
        };
        evidence.push(Evidence::without_place(text));
    }
    for grant in ClusterRoles::from_cluster(cluster)?.grants() {
        let home = text(grant.subject, "/namespace");
        if text(grant.subject, "/kind") == "ServiceAccount" && text(grant.subject, "/name") == DEFAULT {
            let (binding, role) = (name(grant.binding), text(grant.binding, "/roleRef/name"));
            evidence.push(Evidence::without_place(format!("{home}/default is bound to {role} by {binding}")));
            bound.push(format!("{home}/default"));
        }
    }
    bound.dedup();
    Ok(AccountFindings { lacking, bound, evidence })
}

fn in_manifests(facts: &NodeFacts<'_>) -> Result<AccountFindings> {
    let objects = facts.applied_objects()?;
    let (mut lacking, mut evidence) = (Vec::new(), Vec::new());
    let accounts = applied::of_kind(objects, ObjectKind::ServiceAccount)?;
    for home in applied::namespaces(objects)? {
        let is_own = |account: &&&AppliedObject| account.name() == DEFAULT && account.namespace() == home;
        // If two manifests have the account, K3s applies both in turn.
        let own: Vec<&AppliedObject> = accounts.iter().filter(is_own).copied().collect();
        let wrong = own.iter().find(|account| !is_automount_off(&account.object));
        let (text, place) = match (wrong, own.first()) {
            (Some(account), _) => {
                (format!("{home}/default is made without {FIELD}: false"), account.place.clone())
            }
            (None, Some(account)) => (format!("{home}/default gets {FIELD}: false"), account.place.clone()),
            (None, None) => (
                format!("no manifest has the ServiceAccount {home}/default"),
                applied::policy_file(&facts.node),
            ),
        };
        if wrong.is_some() || own.is_empty() {
            lacking.push(home.to_owned());
        }
        evidence.push(Evidence { text, place: Some(place) });
    }
    Ok(AccountFindings { lacking, bound: Vec::new(), evidence })
}
