// SPDX-License-Identifier: Apache-2.0
//! Checks RBAC (5.1): the roles of a cluster, and the subjects that are bound to them.
//!
//! A built-in grant of Kubernetes or K3s is recognized by the name of its binding and by its subject: an added subject in a
//! built-in binding is not built in.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::live::cluster_or_review;
use super::workloads;
use crate::embedded;
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::rbac::BuiltInRbac;
use crate::verify::cluster::{Cluster, ObjectKind, full_name, items, label, name, namespace, text};
use crate::verify::evidence::{Evidence, list_names};
use crate::verify::facts::NodeFacts;
use crate::verify::rule_result::RuleResult;

/// The label of Kubernetes' own roles and bindings, and its value.
const BOOTSTRAPPING: (&str, &str) = ("kubernetes.io/bootstrapping", "rbac-defaults");
/// Groups that every user or every ServiceAccount is in.
const GROUPS_OF_ANYBODY: [&str; 3] =
    ["system:authenticated", "system:unauthenticated", "system:serviceaccounts"];
const MASTERS: &str = "system:masters";
const API_SERVER: &str = "kube-apiserver";

/// The kinds of roles and bindings.
pub(super) const ROLE_KINDS: [ObjectKind; 4] =
    [ObjectKind::ClusterRole, ObjectKind::Role, ObjectKind::ClusterRoleBinding, ObjectKind::RoleBinding];

/// A permission that the benchmark restricts (data/restricted-permissions.yaml).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RestrictedPermission {
    /// The `about` of the rule.
    about: String,
    /// The permission, in words.
    words: String,
    groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
    /// Whether only a ClusterRoleBinding can grant it.
    #[serde(default)]
    cluster_wide: bool,
    /// The feature gate of the API server without which the permission means nothing.
    #[serde(default)]
    gate: Option<String>,
    /// The beginning of the verbs of which the subject needs one too.
    #[serde(default)]
    together_with: Option<String>,
}

impl RestrictedPermission {
    /// Tells whether the permission means something on a node; it does if that is not known.
    fn is_in_force(&self, facts: &NodeFacts<'_>) -> bool {
        let is_on = |gate| facts.node.settings(API_SERVER).gate(gate, facts.node.minor());
        self.gate.as_deref().is_none_or(|gate| is_on(gate) != Some(false))
    }
}

static PERMISSIONS: LazyLock<Vec<RestrictedPermission>> =
    LazyLock::new(|| embedded::table("restricted-permissions"));

/// The roles of a cluster and their bindings.
#[derive(Debug, Default)]
pub(super) struct ClusterRoles<'a> {
    roles: BTreeMap<(&'a str, String), &'a Value>,
    bindings: Vec<(&'static str, &'a Value)>,
}

/// A subject that a binding grants a role.
#[derive(Debug)]
pub(super) struct RoleGrant<'a> {
    binding_kind: &'static str,
    pub(super) binding: &'a Value,
    pub(super) subject: &'a Value,
    /// The role; none if it does not exist.
    pub(super) role: Option<&'a Value>,
}

impl<'a> ClusterRoles<'a> {
    /// Collects the roles and bindings of a cluster.
    ///
    /// # Errors
    /// The error of reading them.
    pub(super) fn from_cluster(cluster: &'a Cluster) -> Result<Self> {
        let mut roles = Self::default();
        for kind in ROLE_KINDS {
            cluster.list(kind)?.iter().for_each(|object| roles.add(kind, object));
        }
        Ok(roles)
    }

    /// Adds an object if it is a role or a binding.
    pub(super) fn add(&mut self, kind: ObjectKind, object: &'a Value) {
        match kind {
            ObjectKind::ClusterRole => {
                self.roles.insert(("ClusterRole", name(object).to_owned()), object);
            }
            ObjectKind::Role => {
                self.roles.insert(("Role", full_name(object)), object);
            }
            ObjectKind::ClusterRoleBinding => self.bindings.push(("ClusterRoleBinding", object)),
            ObjectKind::RoleBinding => self.bindings.push(("RoleBinding", object)),
            _ => {}
        }
    }

    /// Returns every subject with the role that a binding grants it.
    pub(super) fn grants(&self) -> Vec<RoleGrant<'a>> {
        let mut grants = Vec::new();
        for (binding_kind, binding) in &self.bindings {
            let (kind, name) = (text(binding, "/roleRef/kind"), text(binding, "/roleRef/name"));
            let role = if kind == "Role" {
                self.roles.get(&("Role", format!("{}/{name}", namespace(binding))))
            } else {
                self.roles.get(&("ClusterRole", name.to_owned()))
            };
            let role = role.copied();
            let grant = |subject| RoleGrant { binding_kind, binding, subject, role };
            grants.extend(items(binding, "/subjects").iter().map(grant));
        }
        grants
    }
}

impl RoleGrant<'_> {
    fn rules(&self) -> &[Value] {
        self.role.map_or(&[], |role| items(role, "/rules"))
    }

    /// Tells whether the role allows one of the verbs on one of the resources.
    fn allows(&self, permission: &RestrictedPermission) -> bool {
        self.rules().iter().any(|rule| rule_allows(rule, permission))
    }

    /// Tells whether who gets this grant may get another one too, whose role has a verb with this beginning: it is for the
    /// same subject, or for a group. Which groups a user is in, the cluster does not know.
    fn may_come_with(&self, other: &RoleGrant<'_>, verbs: &str) -> bool {
        let of = |grant: &RoleGrant<'_>| {
            ["/kind", "/namespace", "/name"].map(|field| text(grant.subject, field).to_owned())
        };
        let [kind, _, group] = of(other);
        let has_namespace = text(self.subject, "/kind") == "ServiceAccount";
        let is_group = kind == "Group"
            && group != MASTERS
            && (!has_namespace
                || group == "system:authenticated"
                || group == "system:serviceaccounts"
                || group.strip_prefix("system:serviceaccounts:") == Some(text(self.subject, "/namespace")));
        let has_verb = |rule: &Value| {
            let mut listed = items(rule, "/verbs").iter().filter_map(Value::as_str);
            listed.any(|verb| verb == "*" || verb.starts_with(verbs))
        };
        (of(self) == of(other) || is_group) && other.rules().iter().any(has_verb)
    }

    fn is_cluster_wide(&self) -> bool {
        self.binding_kind == "ClusterRoleBinding"
    }

    /// Tells whether the subject is a group that anybody is in.
    pub(super) fn is_for_anybody(&self) -> bool {
        let subject = text(self.subject, "/name");
        text(self.subject, "/kind") == "Group"
            && (GROUPS_OF_ANYBODY.contains(&subject) || subject.starts_with("system:serviceaccounts:"))
    }

    /// Tells whether Kubernetes or K3s creates this grant.
    fn is_built_in(&self) -> bool {
        let own_binding =
            is_kubernetes(self.binding) || BuiltInRbac::get().bindings.contains(name(self.binding));
        let subject = text(self.subject, "/name");
        let own_subject = match text(self.subject, "/kind") {
            "ServiceAccount" => text(self.subject, "/namespace") == "kube-system",
            _ => subject.starts_with("system:") || BuiltInRbac::get().users.contains(subject),
        };
        own_binding && own_subject && !self.is_for_anybody()
    }

    fn describe(&self) -> String {
        let (kind, subject) = (text(self.subject, "/kind"), text(self.subject, "/name"));
        let who = match (kind, text(self.subject, "/namespace")) {
            ("ServiceAccount", namespace) => format!("ServiceAccount {namespace}/{subject}"),
            _ => format!("{kind} {subject}"),
        };
        let role = format!("{} {}", text(self.binding, "/roleRef/kind"), text(self.binding, "/roleRef/name"));
        let binding = match namespace(self.binding) {
            "" => name(self.binding).to_owned(),
            _ => full_name(self.binding),
        };
        format!("{who}, by {} {binding}, has {role}", self.binding_kind)
    }
}

/// Tells whether Kubernetes creates the object.
fn is_kubernetes(object: &Value) -> bool {
    label(object, BOOTSTRAPPING.0) == Some(BOOTSTRAPPING.1)
        && (name(object).starts_with("system:") || BuiltInRbac::get().kubernetes_roles.contains(name(object)))
}

/// Tells whether a rule allows one of the verbs on one of the resources (`VerbMatches`, `ResourceMatches` in
/// pkg/apis/rbac/v1/evaluation_helpers.go).
fn rule_allows(rule: &Value, permission: &RestrictedPermission) -> bool {
    let has = |field: &str, names: &[String]| {
        let mut listed = items(rule, field).iter().filter_map(Value::as_str);
        let is_below = |item: &str, name: &String| {
            name.strip_suffix('*').is_some_and(|above| above.ends_with('/') && item.starts_with(above))
        };
        listed.any(|item| item == "*" || names.iter().any(|name| name == item || is_below(item, name)))
    };
    let wildcard = |resource: &String| Some(format!("*/{}", resource.split_once('/')?.1));
    let wildcards: Vec<String> = permission.resources.iter().filter_map(wildcard).collect();
    has("/verbs", &permission.verbs)
        && has("/apiGroups", &permission.groups)
        && (has("/resources", &permission.resources)
            || (!wildcards.is_empty() && has("/resources", &wildcards)))
}

fn is_everything(rule: &Value) -> bool {
    ["/verbs", "/apiGroups", "/resources"]
        .iter()
        .all(|field| items(rule, field).iter().any(|item| item == "*"))
}

/// Checks the permission or roles that `about` names.
pub(super) fn check(facts: &NodeFacts<'_>, about: Option<&str>) -> Result<RuleResult> {
    match about.unwrap_or_default() {
        "cluster-admin" => check_cluster_admin(facts),
        "wildcards" => check_wildcards(facts),
        "system-masters" => check_system_masters(facts),
        "automount" => workloads::check_automount(facts),
        about => check_permission(facts, about),
    }
}

fn check_permission(facts: &NodeFacts<'_>, about: &str) -> Result<RuleResult> {
    let of_control = || PERMISSIONS.iter().filter(|permission| permission.about == about);
    let permissions: Vec<&RestrictedPermission> =
        of_control().filter(|permission| permission.is_in_force(facts)).collect();
    if of_control().next().is_none() {
        return Err(Error::new(ErrorKind::BadInput, format!("no check of roles is about {about:?}")));
    }
    let words: Vec<&str> = permissions.iter().map(|permission| permission.words.as_str()).collect();
    let expected = format!("few subjects {}: review every role and binding", words.join(" or "));
    let cluster = match cluster_or_review(facts, &expected)? {
        Ok(cluster) => cluster,
        Err(result) => return Ok(result),
    };
    let roles = ClusterRoles::from_cluster(cluster)?;
    let all = roles.grants();
    let has = |grant: &&RoleGrant<'_>| {
        permissions.iter().any(|permission| {
            let together = permission.together_with.as_deref();
            (grant.is_cluster_wide() || !permission.cluster_wide)
                && grant.allows(permission)
                && together.is_none_or(|verbs| all.iter().any(|other| grant.may_come_with(other, verbs)))
        })
    };
    let grants: Vec<&RoleGrant<'_>> = all.iter().filter(has).collect();
    Ok(review_grants(&expected, words[0], &grants))
}

/// Returns the result for the subjects that have a permission: built-in grants are only listed, and a person has to review
/// the others.
fn review_grants(expected: &str, words: &str, grants: &[&RoleGrant<'_>]) -> RuleResult {
    let (built_in, others): (Vec<&RoleGrant<'_>>, Vec<&RoleGrant<'_>>) =
        grants.iter().copied().partition(|grant| grant.is_built_in());
    let mut names: Vec<&str> = built_in.iter().map(|grant| text(grant.subject, "/name")).collect();
    names.sort_unstable();
    names.dedup();
    let mut evidence: Vec<Evidence> =
        others.iter().map(|grant| Evidence::without_place(grant.describe())).collect();
    evidence.push(Evidence::without_place(if names.is_empty() {
        format!("no built-in subject of Kubernetes or K3s {words}")
    } else {
        format!("built-in subjects of Kubernetes and K3s that {words}: {}", list_names(&names))
    }));
    if others.is_empty() {
        return RuleResult::met(true, expected, "only built-in subjects", evidence);
    }
    let mut others: Vec<String> = others
        .iter()
        .map(|grant| format!("{} {}", text(grant.subject, "/kind"), text(grant.subject, "/name")))
        .collect();
    others.sort();
    others.dedup();
    RuleResult::review(expected, format!("not only built-in subjects: {}", list_names(&others)), evidence)
}

fn check_cluster_admin(facts: &NodeFacts<'_>) -> Result<RuleResult> {
    let expected = "cluster-admin is bound only where it is needed: review every binding to it";
    let cluster = match cluster_or_review(facts, expected)? {
        Ok(cluster) => cluster,
        Err(result) => return Ok(result),
    };
    let roles = ClusterRoles::from_cluster(cluster)?;
    let is_admin = |grant: &RoleGrant<'_>| {
        let by_name = text(grant.binding, "/roleRef/kind") == "ClusterRole"
            && text(grant.binding, "/roleRef/name") == "cluster-admin";
        by_name || grant.rules().iter().any(is_everything)
    };
    let all = roles.grants();
    let grants: Vec<&RoleGrant<'_>> = all.iter().filter(|grant| is_admin(grant)).collect();
    Ok(review_grants(expected, "may do everything", &grants))
}

fn check_system_masters(facts: &NodeFacts<'_>) -> Result<RuleResult> {
    let expected = "no user is in the group system:masters, whose rights cannot be revoked: review the issued certificates, and who has access to K3s's own kubeconfig, which is in it";
    let cluster = match cluster_or_review(facts, expected)? {
        Ok(cluster) => cluster,
        Err(result) => return Ok(result),
    };
    let roles = ClusterRoles::from_cluster(cluster)?;
    let grants = roles.grants().into_iter().filter(|grant| text(grant.subject, "/name") == MASTERS);
    let evidence: Vec<Evidence> = grants.map(|grant| Evidence::without_place(grant.describe())).collect();
    Ok(RuleResult::review(expected, "the cluster does not know who is in a group".to_owned(), evidence))
}

fn check_wildcards(facts: &NodeFacts<'_>) -> Result<RuleResult> {
    let expected = "only built-in roles use * for resources or verbs";
    let cluster = match cluster_or_review(facts, expected)? {
        Ok(cluster) => cluster,
        Err(result) => return Ok(result),
    };
    let roles = ClusterRoles::from_cluster(cluster)?;
    let is_wild = |rule: &Value| {
        let wild = |field| items(rule, field).iter().any(|item| item == "*");
        // `*/scale` is that subresource of every resource.
        let mut resources = items(rule, "/resources").iter().filter_map(Value::as_str);
        wild("/resources")
            || wild("/verbs")
            || wild("/nonResourceURLs")
            || resources.any(|name| name.starts_with("*/"))
    };
    let (mut own, mut others, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
    for ((kind, full), role) in &roles.roles {
        if !items(role, "/rules").iter().any(is_wild) {
            continue;
        }
        let is_own = is_kubernetes(role)
            || (BuiltInRbac::get().roles.contains(name(role))
                && matches!(namespace(role), "" | "kube-system"));
        if is_own {
            own.push(full.as_str());
        } else {
            evidence.push(Evidence::without_place(format!("{kind} {full} uses *")));
            others.push(format!("{kind} {full}"));
        }
    }
    evidence.push(Evidence::without_place(format!(
        "{} roles; built-in roles that use *: {}",
        roles.roles.len(),
        if own.is_empty() { "none".to_owned() } else { list_names(&own) }
    )));
    let actual = if others.is_empty() {
        "only built-in roles".to_owned()
    } else {
        format!("not only built-in roles: {}", list_names(&others))
    };
    Ok(RuleResult::met(others.is_empty(), expected, actual, evidence))
}
