// SPDX-License-Identifier: Apache-2.0
//! Checks `PodSecurityPolicy` objects, which minors up to 1.24 serve: whether a policy forbids a kind of pods, and whether
//! anybody may use a policy that permits it.
//!
//! Source: pkg/security/podsecuritypolicy of Kubernetes 1.24. The API server admits a pod if its user may use a policy
//! that permits the pod.

use serde_json::Value;

use super::pod_check::PodSecurityCheck;
use crate::error::{Place, Result};
use crate::verify::applied;
use crate::verify::checks::live::needs_live;
use crate::verify::checks::rbac::{ClusterRoles, ROLE_KINDS, RoleGrant};
use crate::verify::cluster::{ObjectKind, items, name, namespace};
use crate::verify::evidence::{Evidence, list_names};
use crate::verify::facts::NodeFacts;
use crate::verify::rule_result::RuleResult;

/// Checks the policies of the running cluster, or of the manifests before K3s first starts.
pub(super) fn check(facts: &NodeFacts<'_>, pods: &PodSecurityCheck) -> Result<RuleResult> {
    let expected = format!("a PodSecurityPolicy keeps pods {} out, and nobody can bypass it", pods.words);
    if let Some(cluster) = facts.live_cluster()? {
        let policies: Vec<(&Value, Option<Place>)> =
            cluster.list(ObjectKind::PodSecurityPolicy)?.iter().map(|policy| (policy, None)).collect();
        let grants = ClusterRoles::from_cluster(cluster)?.grants();
        return Ok(evaluate(pods, expected, &policies, &grants));
    }
    if facts.started {
        return Ok(needs_live(&expected, "policies"));
    }
    let objects = facts.applied_objects()?;
    let mut roles = ClusterRoles::default();
    for kind in ROLE_KINDS {
        applied::of_kind(objects, kind)?.iter().for_each(|object| roles.add(kind, &object.object));
    }
    let policies: Vec<(&Value, Option<Place>)> = applied::of_kind(objects, ObjectKind::PodSecurityPolicy)?
        .into_iter()
        .map(|object| (&object.object, Some(object.place.clone())))
        .collect();
    Ok(evaluate(pods, expected, &policies, &roles.grants()))
}

fn evaluate(
    pods: &PodSecurityCheck,
    expected: String,
    policies: &[(&Value, Option<Place>)],
    grants: &[RoleGrant<'_>],
) -> RuleResult {
    let null = Value::Null;
    let (mut strict, mut open, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
    for (policy, place) in policies {
        let spec = policy.get("spec").unwrap_or(&null);
        let policy_name = name(policy);
        let verb = if (pods.forbids)(spec) {
            strict.push(policy_name);
            "keeps out"
        } else if grants.iter().any(|grant| is_open_to_anybody(grant, policy_name)) {
            open.push(policy_name);
            "admits, for anybody,"
        } else {
            "admits, for those who are bound to it,"
        };
        let text = format!("the policy {policy_name} {verb} pods {}", pods.words);
        evidence.push(Evidence { text, place: place.clone() });
    }
    if policies.is_empty() {
        evidence.push(Evidence::without_place("there is no PodSecurityPolicy"));
    }
    let actual = if !open.is_empty() {
        format!("anybody may use {}", list_names(&open))
    } else if strict.is_empty() {
        "no PodSecurityPolicy keeps them out".to_owned()
    } else {
        format!("kept out by {}", list_names(&strict))
    };
    RuleResult::met(open.is_empty() && !strict.is_empty(), expected, actual, evidence)
}

/// Tells whether a grant lets anybody use a policy outside of kube-system, whose pods belong to K3s.
fn is_open_to_anybody(grant: &RoleGrant<'_>, policy: &str) -> bool {
    let uses = |rule: &Value| {
        let has = |field: &str, wanted: &[&str]| {
            items(rule, field)
                .iter()
                .filter_map(Value::as_str)
                .any(|item| item == "*" || wanted.contains(&item))
        };
        let names = items(rule, "/resourceNames");
        has("/verbs", &["use"])
            && has("/apiGroups", &["policy", "extensions"])
            && has("/resources", &["podsecuritypolicies"])
            && (names.is_empty() || names.iter().any(|name| name == policy))
    };
    grant.is_for_anybody()
        && namespace(grant.binding) != "kube-system"
        && grant.role.is_some_and(|role| items(role, "/rules").iter().any(uses))
}
