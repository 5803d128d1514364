//! `PodSecurityPolicy` objects, which minors up to 1.24 serve: is there one that forbids something, and may anybody use
//! one that does not?
//!
//! Source: pkg/security/podsecuritypolicy of Kubernetes 1.24. The API server admits what one of the policies permits that
//! somebody may use.

use serde_json::Value;

use super::applied::{self, Applied};
use super::asked::{named, running, seen};
use super::network::not_asked;
use super::pod_security::PodSecurityCheck;
use super::rbac::{ClusterRoles, RoleGrant};
use crate::error::{Place, Result};
use crate::verify::cluster::{ObjectKind, items, name, namespace, text};
use crate::verify::rule::RuleResult;
use crate::verify::{Evidence, NodeFacts};

const KIND: &str = "PodSecurityPolicy";

/// Judges the policies.
pub(super) fn judge(facts: &NodeFacts<'_>, check: &PodSecurityCheck) -> Result<RuleResult> {
    let expected = format!("a PodSecurityPolicy keeps pods {} out, and nobody goes round it", check.words);
    if let Some(cluster) = running(facts)? {
        let policies: Vec<(&Value, Option<Place>)> =
            cluster.list(ObjectKind::PodSecurityPolicy)?.iter().map(|policy| (policy, None)).collect();
        let grants = ClusterRoles::of(cluster)?.grants();
        return Ok(decide(check, expected, &policies, &grants));
    }
    if facts.started {
        return Ok(not_asked(&expected, "policies"));
    }
    let objects = applied::objects(facts)?;
    let mut roles = ClusterRoles::default();
    objects.iter().for_each(|object| roles.add(object.kind(), &object.object));
    let of = |object: &Applied| object.kind() == KIND;
    let policies: Vec<(&Value, Option<Place>)> = objects
        .iter()
        .filter(|object| of(object))
        .map(|object| (&object.object, Some(object.place.clone())))
        .collect();
    Ok(decide(check, expected, &policies, &roles.grants()))
}

fn decide(
    check: &PodSecurityCheck,
    expected: String,
    policies: &[(&Value, Option<Place>)],
    grants: &[RoleGrant<'_>],
) -> RuleResult {
    let null = Value::Null;
    let (mut strict, mut open, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
    for (policy, place) in policies {
        let spec = policy.get("spec").unwrap_or(&null);
        let its = name(policy);
        let verb = if (check.forbids)(spec) {
            strict.push(its);
            "keeps out"
        } else if grants.iter().any(|grant| is_anybodys(grant, its)) {
            open.push(its);
            "admits, for anybody,"
        } else {
            "admits, for those who are bound to it,"
        };
        let text = format!("the policy {its} {verb} pods {}", check.words);
        evidence.push(Evidence { text, place: place.clone() });
    }
    if policies.is_empty() {
        evidence.push(seen("there is no PodSecurityPolicy"));
    }
    let actual = if !open.is_empty() {
        format!("anybody may use {}", named(&open))
    } else if strict.is_empty() {
        "no PodSecurityPolicy keeps them out".to_owned()
    } else {
        format!("kept out by {}", named(&strict))
    };
    RuleResult::met(open.is_empty() && !strict.is_empty(), expected, actual, evidence)
}

/// Tells whether anybody may use a policy outside of kube-system, whose pods are K3s' own.
fn is_anybodys(grant: &RoleGrant<'_>, policy: &str) -> bool {
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
    grant.is_anybodys()
        && namespace(grant.binding) != "kube-system"
        && grant.role.is_some_and(|role| items(role, "/rules").iter().any(uses))
}

fn is_on(spec: &Value, field: &str) -> bool {
    spec.get(field) == Some(&Value::Bool(true))
}

fn has(spec: &Value, field: &str, wanted: &[&str]) -> bool {
    let Some(Value::Array(items)) = spec.get(field) else { return false };
    items.iter().filter_map(Value::as_str).any(|item| wanted.contains(&item))
}

fn is_empty(spec: &Value, field: &str) -> bool {
    spec.get(field).and_then(Value::as_array).is_none_or(Vec::is_empty)
}

pub(super) fn is_privileged_forbidden(spec: &Value) -> bool {
    !is_on(spec, "privileged")
}

pub(super) fn is_host_pid_forbidden(spec: &Value) -> bool {
    !is_on(spec, "hostPID")
}

pub(super) fn is_host_ipc_forbidden(spec: &Value) -> bool {
    !is_on(spec, "hostIPC")
}

pub(super) fn is_host_network_forbidden(spec: &Value) -> bool {
    !is_on(spec, "hostNetwork")
}

/// It is permitted where nothing is said.
pub(super) fn is_escalation_forbidden(spec: &Value) -> bool {
    spec.get("allowPrivilegeEscalation") == Some(&Value::Bool(false))
}

pub(super) fn is_root_forbidden(spec: &Value) -> bool {
    match text(spec, "/runAsUser/rule") {
        "MustRunAsNonRoot" => true,
        "MustRunAs" => {
            let ranges = items(spec, "/runAsUser/ranges");
            let above = |range: &Value| range.get("min").and_then(Value::as_i64).is_some_and(|min| min > 0);
            !ranges.is_empty() && ranges.iter().all(above)
        }
        _ => false,
    }
}

pub(super) fn is_net_raw_dropped(spec: &Value) -> bool {
    has(spec, "requiredDropCapabilities", &["NET_RAW", "ALL"])
}

pub(super) fn is_all_dropped(spec: &Value) -> bool {
    has(spec, "requiredDropCapabilities", &["ALL"])
}

pub(super) fn is_adding_forbidden(spec: &Value) -> bool {
    is_empty(spec, "allowedCapabilities") && is_empty(spec, "defaultAddCapabilities")
}

/// Without a list of volumes there are none.
pub(super) fn is_host_path_forbidden(spec: &Value) -> bool {
    !has(spec, "volumes", &["hostPath", "*"])
}

pub(super) fn is_host_port_forbidden(spec: &Value) -> bool {
    is_empty(spec, "hostPorts")
}

/// Without a list there is only the default, which is masked.
pub(super) fn is_unmasked_proc_forbidden(spec: &Value) -> bool {
    !has(spec, "allowedProcMountTypes", &["Unmasked", "*"])
}
