//! Checks RBAC (5.1): the roles of a cluster, and the subjects that are bound to them.
//!
//! A built-in grant of Kubernetes or K3s is recognized by the name of its binding and by its subject: an added subject in a
//! built-in binding is not built in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::live::cluster_or_review;
use super::workloads;
use crate::embedded;
use crate::error::{Error, ErrorKind, Result};
use crate::verify::cluster::{Cluster, ObjectKind, full_name, items, label, name, namespace, text};
use crate::verify::evidence::{Evidence, list_names};
use crate::verify::facts::NodeFacts;
use crate::verify::rule_result::RuleResult;

/// The label of Kubernetes' own roles and bindings, and its value.
const BOOTSTRAPPING: (&str, &str) = ("kubernetes.io/bootstrapping", "rbac-defaults");
/// Kubernetes' own roles whose names do not begin with `system:`.
const KUBERNETES_ROLES: [&str; 4] = ["admin", "cluster-admin", "edit", "view"];
/// Groups that every user or every ServiceAccount is in.
const GROUPS_OF_ANYBODY: [&str; 3] =
    ["system:authenticated", "system:unauthenticated", "system:serviceaccounts"];
const MASTERS: &str = "system:masters";

/// The roles, bindings and users that K3s creates (data/built-in-rbac.yaml).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BuiltInRbac {
    roles: BTreeSet<String>,
    bindings: BTreeSet<String>,
    users: BTreeSet<String>,
}

static K3S: LazyLock<BuiltInRbac> = LazyLock::new(|| embedded::table("built-in-rbac"));

/// A permission that the benchmark restricts.
struct RestrictedPermission {
    /// The `about` of the rule.
    about: &'static str,
    /// The permission, in words.
    words: &'static str,
    groups: &'static [&'static str],
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    /// Whether only a ClusterRoleBinding can grant it.
    cluster_wide: bool,
}

const CORE: &[&str] = &[""];
const RBAC: &[&str] = &["rbac.authorization.k8s.io"];
const PERMISSIONS: [RestrictedPermission; 9] = [
    RestrictedPermission {
        about: "secrets",
        words: "may read Secrets",
        groups: CORE,
        resources: &["secrets"],
        verbs: &["get", "list", "watch"],
        cluster_wide: false,
    },
    RestrictedPermission {
        about: "create-pods",
        words: "may create Pods",
        groups: CORE,
        resources: &["pods"],
        verbs: &["create"],
        cluster_wide: false,
    },
    RestrictedPermission {
        about: "bind-impersonate-escalate",
        words: "may bind or escalate roles",
        groups: RBAC,
        resources: &["roles", "clusterroles"],
        verbs: &["bind", "escalate"],
        cluster_wide: false,
    },
    RestrictedPermission {
        about: "bind-impersonate-escalate",
        words: "may impersonate others",
        groups: &["", "authentication.k8s.io"],
        resources: &["users", "groups", "serviceaccounts", "uids", "userextras"],
        verbs: &["impersonate"],
        cluster_wide: false,
    },
    RestrictedPermission {
        about: "persistent-volumes",
        words: "may create PersistentVolumes",
        groups: CORE,
        resources: &["persistentvolumes"],
        verbs: &["create"],
        cluster_wide: true,
    },
    RestrictedPermission {
        about: "nodes-proxy",
        words: "may use the proxy of nodes",
        groups: CORE,
        resources: &["nodes/proxy"],
        verbs: &["get", "create", "update", "patch", "delete"],
        cluster_wide: true,
    },
    RestrictedPermission {
        about: "csr-approval",
        words: "may approve certificate signing requests",
        groups: &["certificates.k8s.io"],
        resources: &["certificatesigningrequests/approval"],
        verbs: &["update", "patch"],
        cluster_wide: true,
    },
    RestrictedPermission {
        about: "webhooks",
        words: "may change admission webhooks",
        groups: &["admissionregistration.k8s.io"],
        resources: &["validatingwebhookconfigurations", "mutatingwebhookconfigurations"],
        verbs: &["create", "update", "patch", "delete", "deletecollection"],
        cluster_wide: true,
    },
    RestrictedPermission {
        about: "service-account-tokens",
        words: "may create tokens of ServiceAccounts",
        groups: CORE,
        resources: &["serviceaccounts/token"],
        verbs: &["create"],
        cluster_wide: false,
    },
];

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
        for (kind, name) in [
            (ObjectKind::ClusterRole, "ClusterRole"),
            (ObjectKind::Role, "Role"),
            (ObjectKind::ClusterRoleBinding, "ClusterRoleBinding"),
            (ObjectKind::RoleBinding, "RoleBinding"),
        ] {
            cluster.list(kind)?.iter().for_each(|object| roles.add(name, object));
        }
        Ok(roles)
    }

    /// Adds an object if it is a role or a binding.
    pub(super) fn add(&mut self, kind: &str, object: &'a Value) {
        match kind {
            "ClusterRole" => _ = self.roles.insert(("ClusterRole", name(object).to_owned()), object),
            "Role" => _ = self.roles.insert(("Role", full_name(object)), object),
            "ClusterRoleBinding" => self.bindings.push(("ClusterRoleBinding", object)),
            "RoleBinding" => self.bindings.push(("RoleBinding", object)),
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
    fn allows(&self, groups: &[&str], resources: &[&str], verbs: &[&str]) -> bool {
        self.rules().iter().any(|rule| rule_allows(rule, groups, resources, verbs))
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
        let own_binding = is_kubernetes(self.binding) || K3S.bindings.contains(name(self.binding));
        let subject = text(self.subject, "/name");
        let own_subject = match text(self.subject, "/kind") {
            "ServiceAccount" => text(self.subject, "/namespace") == "kube-system",
            _ => subject.starts_with("system:") || K3S.users.contains(subject),
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
        && (name(object).starts_with("system:") || KUBERNETES_ROLES.contains(&name(object)))
}

/// Tells whether a rule allows one of the verbs on one of the resources (`VerbMatches`, `ResourceMatches` in
/// pkg/apis/rbac/v1/evaluation_helpers.go).
fn rule_allows(rule: &Value, groups: &[&str], resources: &[&str], verbs: &[&str]) -> bool {
    let has = |field: &str, names: &[&str]| {
        items(rule, field).iter().filter_map(Value::as_str).any(|item| item == "*" || names.contains(&item))
    };
    let subresources: Vec<String> =
        resources.iter().filter_map(|resource| Some(format!("*/{}", resource.split_once('/')?.1))).collect();
    let subresources: Vec<&str> = subresources.iter().map(String::as_str).collect();
    has("/verbs", verbs)
        && has("/apiGroups", groups)
        && (has("/resources", resources) || (!subresources.is_empty() && has("/resources", &subresources)))
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
    let permissions: Vec<&RestrictedPermission> =
        PERMISSIONS.iter().filter(|permission| permission.about == about).collect();
    if permissions.is_empty() {
        return Err(Error::new(ErrorKind::BadInput, format!("no check of roles is about {about:?}")));
    }
    let words: Vec<&str> = permissions.iter().map(|permission| permission.words).collect();
    let expected = format!("few {}: look at every role and binding", words.join(" or "));
    let cluster = match cluster_or_review(facts, &expected)? {
        Ok(cluster) => cluster,
        Err(result) => return Ok(result),
    };
    let roles = ClusterRoles::from_cluster(cluster)?;
    let has = |grant: &RoleGrant<'_>| {
        permissions.iter().any(|permission| {
            (grant.is_cluster_wide() || !permission.cluster_wide)
                && grant.allows(permission.groups, permission.resources, permission.verbs)
        })
    };
    let grants: Vec<RoleGrant<'_>> = roles.grants().into_iter().filter(has).collect();
    Ok(review_grants(&expected, words[0], &grants))
}

/// Returns the result for the subjects that have a permission: built-in grants are only listed, and a person has to review
/// the others.
fn review_grants(expected: &str, words: &str, grants: &[RoleGrant<'_>]) -> RuleResult {
    let (built_in, others): (Vec<_>, Vec<_>) = grants.iter().partition(|grant| grant.is_built_in());
    let mut names: Vec<&str> = built_in.iter().map(|grant| text(grant.subject, "/name")).collect();
    names.sort_unstable();
    names.dedup();
    let mut evidence: Vec<Evidence> =
        others.iter().map(|grant| Evidence::without_place(grant.describe())).collect();
    evidence.push(Evidence::without_place(if names.is_empty() {
        format!("none of Kubernetes' and K3s' own subjects {words}")
    } else {
        format!("by themselves, Kubernetes and K3s have made that these {words}: {}", list_names(&names))
    }));
    if others.is_empty() {
        return RuleResult::met(true, expected, "only Kubernetes' and K3s' own subjects do", evidence);
    }
    let mut others: Vec<String> = others
        .iter()
        .map(|grant| format!("{} {}", text(grant.subject, "/kind"), text(grant.subject, "/name")))
        .collect();
    others.sort();
    others.dedup();
    RuleResult::review(expected, format!("so do {}", list_names(&others)), evidence)
}

fn check_cluster_admin(facts: &NodeFacts<'_>) -> Result<RuleResult> {
    let expected = "cluster-admin is only bound where it is needed: look at every binding to it";
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
    let grants: Vec<RoleGrant<'_>> = roles.grants().into_iter().filter(is_admin).collect();
    Ok(review_grants(expected, "may do everything", &grants))
}

fn check_system_masters(facts: &NodeFacts<'_>) -> Result<RuleResult> {
    let expected = "nobody is in the group system:masters, whose rights cannot be taken away: look at the certificates that were issued, and at who has K3s' own kubeconfig, which is in it";
    let cluster = match cluster_or_review(facts, expected)? {
        Ok(cluster) => cluster,
        Err(result) => return Ok(result),
    };
    let roles = ClusterRoles::from_cluster(cluster)?;
    let grants = roles.grants().into_iter().filter(|grant| text(grant.subject, "/name") == MASTERS);
    let evidence: Vec<Evidence> = grants.map(|grant| Evidence::without_place(grant.describe())).collect();
    Ok(RuleResult::review(expected, "who is in a group is not known to the cluster".to_owned(), evidence))
}

fn check_wildcards(facts: &NodeFacts<'_>) -> Result<RuleResult> {
    let expected = "no role but the built-in ones has * for its resources or its verbs";
    let cluster = match cluster_or_review(facts, expected)? {
        Ok(cluster) => cluster,
        Err(result) => return Ok(result),
    };
    let roles = ClusterRoles::from_cluster(cluster)?;
    let is_wild = |rule: &Value| {
        let wild = |field| items(rule, field).iter().any(|item| item == "*");
        wild("/resources") || wild("/verbs") || wild("/nonResourceURLs")
    };
    let (mut own, mut others, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
    for ((kind, full), role) in &roles.roles {
        if !items(role, "/rules").iter().any(is_wild) {
            continue;
        }
        let is_own = is_kubernetes(role)
            || (K3S.roles.contains(name(role)) && matches!(namespace(role), "" | "kube-system"));
        if is_own {
            own.push(full.as_str());
        } else {
            evidence.push(Evidence::without_place(format!("{kind} {full} has *")));
            others.push(format!("{kind} {full}"));
        }
    }
    evidence.push(Evidence::without_place(format!(
        "of {} roles, these built-in ones have it: {}",
        roles.roles.len(),
        if own.is_empty() { "none".to_owned() } else { list_names(&own) }
    )));
    let actual = if others.is_empty() {
        "only built-in roles have it".to_owned()
    } else {
        format!("so have {}", list_names(&others))
    };
    Ok(RuleResult::met(others.is_empty(), expected, actual, evidence))
}
