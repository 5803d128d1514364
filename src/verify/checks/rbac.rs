//! Who may do what (5.1): roles, and those who are bound to them.
//!
//! What Kubernetes and K3s make by themselves is told apart by its name and its subjects, not by its name alone:
//! another subject in one of their bindings is somebody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::asked::{cluster, look, named, seen};
use super::workloads;
use crate::embedded;
use crate::error::{Error, ErrorKind, Result};
use crate::verify::cluster::{Cluster, ObjectKind, full_name, items, label, name, namespace, text};
use crate::verify::rule::RuleResult;
use crate::verify::{Evidence, NodeFacts};

/// The label of Kubernetes' own roles and bindings, and its value.
const BOOTSTRAPPING: (&str, &str) = ("kubernetes.io/bootstrapping", "rbac-defaults");
/// Kubernetes' own names that do not begin with `system:`.
const KUBERNETES: [&str; 4] = ["admin", "cluster-admin", "edit", "view"];
/// Groups that anybody is in.
const ANYBODY: [&str; 3] = ["system:authenticated", "system:unauthenticated", "system:serviceaccounts"];
const MASTERS: &str = "system:masters";

/// What K3s makes by itself (data/built-in-rbac.yaml).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BuiltInRbac {
    roles: BTreeSet<String>,
    bindings: BTreeSet<String>,
    users: BTreeSet<String>,
}

static K3S: LazyLock<BuiltInRbac> = LazyLock::new(|| embedded::table("built-in-rbac"));

/// A right that the benchmark wants few to have.
struct RestrictedRight {
    about: &'static str,
    /// In words.
    words: &'static str,
    groups: &'static [&'static str],
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    /// Whether only a binding for the whole cluster can give it.
    cluster_wide: bool,
}

const CORE: &[&str] = &[""];
const RBAC: &[&str] = &["rbac.authorization.k8s.io"];
const RIGHTS: [RestrictedRight; 9] = [
    RestrictedRight {
        about: "secrets",
        words: "may read Secrets",
        groups: CORE,
        resources: &["secrets"],
        verbs: &["get", "list", "watch"],
        cluster_wide: false,
    },
    RestrictedRight {
        about: "create-pods",
        words: "may create Pods",
        groups: CORE,
        resources: &["pods"],
        verbs: &["create"],
        cluster_wide: false,
    },
    RestrictedRight {
        about: "bind-impersonate-escalate",
        words: "may bind or escalate roles",
        groups: RBAC,
        resources: &["roles", "clusterroles"],
        verbs: &["bind", "escalate"],
        cluster_wide: false,
    },
    RestrictedRight {
        about: "bind-impersonate-escalate",
        words: "may impersonate others",
        groups: &["", "authentication.k8s.io"],
        resources: &["users", "groups", "serviceaccounts", "uids", "userextras"],
        verbs: &["impersonate"],
        cluster_wide: false,
    },
    RestrictedRight {
        about: "persistent-volumes",
        words: "may create PersistentVolumes",
        groups: CORE,
        resources: &["persistentvolumes"],
        verbs: &["create"],
        cluster_wide: true,
    },
    RestrictedRight {
        about: "nodes-proxy",
        words: "may use the proxy of nodes",
        groups: CORE,
        resources: &["nodes/proxy"],
        verbs: &["get", "create", "update", "patch", "delete"],
        cluster_wide: true,
    },
    RestrictedRight {
        about: "csr-approval",
        words: "may approve certificate signing requests",
        groups: &["certificates.k8s.io"],
        resources: &["certificatesigningrequests/approval"],
        verbs: &["update", "patch"],
        cluster_wide: true,
    },
    RestrictedRight {
        about: "webhooks",
        words: "may change admission webhooks",
        groups: &["admissionregistration.k8s.io"],
        resources: &["validatingwebhookconfigurations", "mutatingwebhookconfigurations"],
        verbs: &["create", "update", "patch", "delete", "deletecollection"],
        cluster_wide: true,
    },
    RestrictedRight {
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

/// Somebody who is bound to a role.
#[derive(Debug)]
pub(super) struct RoleGrant<'a> {
    binding_kind: &'static str,
    pub(super) binding: &'a Value,
    pub(super) subject: &'a Value,
    /// None where the role is not there.
    pub(super) role: Option<&'a Value>,
}

impl<'a> ClusterRoles<'a> {
    /// Takes those of a cluster.
    ///
    /// # Errors
    /// Where they are not known.
    pub(super) fn of(cluster: &'a Cluster) -> Result<Self> {
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

    /// Adds an object, if it is one of them.
    pub(super) fn add(&mut self, kind: &str, object: &'a Value) {
        match kind {
            "ClusterRole" => _ = self.roles.insert(("ClusterRole", name(object).to_owned()), object),
            "Role" => _ = self.roles.insert(("Role", full_name(object)), object),
            "ClusterRoleBinding" => self.bindings.push(("ClusterRoleBinding", object)),
            "RoleBinding" => self.bindings.push(("RoleBinding", object)),
            _ => {}
        }
    }

    /// Returns everybody with what they are bound to.
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

    /// Tells whether the role gives a right. Only a binding for the whole cluster gives what belongs to no namespace.
    pub(super) fn gives(&self, groups: &[&str], resources: &[&str], verbs: &[&str]) -> bool {
        self.rules().iter().any(|rule| allows(rule, groups, resources, verbs))
    }

    fn is_cluster_wide(&self) -> bool {
        self.binding_kind == "ClusterRoleBinding"
    }

    /// Tells whether anybody has it.
    pub(super) fn is_anybodys(&self) -> bool {
        let subject = text(self.subject, "/name");
        text(self.subject, "/kind") == "Group"
            && (ANYBODY.contains(&subject) || subject.starts_with("system:serviceaccounts:"))
    }

    /// Tells whether Kubernetes or K3s bind this subject by themselves.
    fn is_built_in(&self) -> bool {
        let bound = is_kubernetes(self.binding) || K3S.bindings.contains(name(self.binding));
        let subject = text(self.subject, "/name");
        let own = match text(self.subject, "/kind") {
            "ServiceAccount" => text(self.subject, "/namespace") == "kube-system",
            _ => subject.starts_with("system:") || K3S.users.contains(subject),
        };
        bound && own && !self.is_anybodys()
    }

    fn words(&self) -> String {
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

/// Tells whether Kubernetes has made it by itself.
fn is_kubernetes(object: &Value) -> bool {
    label(object, BOOTSTRAPPING.0) == Some(BOOTSTRAPPING.1)
        && (name(object).starts_with("system:") || KUBERNETES.contains(&name(object)))
}

/// Tells whether a rule allows one of the verbs on one of the resources (`VerbMatches`, `ResourceMatches` in
/// pkg/apis/rbac/v1/evaluation_helpers.go).
fn allows(rule: &Value, groups: &[&str], resources: &[&str], verbs: &[&str]) -> bool {
    let has = |field: &str, wanted: &[&str]| {
        items(rule, field).iter().filter_map(Value::as_str).any(|item| item == "*" || wanted.contains(&item))
    };
    let below: Vec<String> =
        resources.iter().filter_map(|resource| Some(format!("*/{}", resource.split_once('/')?.1))).collect();
    let below: Vec<&str> = below.iter().map(String::as_str).collect();
    has("/verbs", verbs)
        && has("/apiGroups", groups)
        && (has("/resources", resources) || (!below.is_empty() && has("/resources", &below)))
}

fn is_everything(rule: &Value) -> bool {
    ["/verbs", "/apiGroups", "/resources"]
        .iter()
        .all(|field| items(rule, field).iter().any(|item| item == "*"))
}

/// Judges by what it is about.
pub(super) fn judge(facts: &NodeFacts<'_>, about: Option<&str>) -> Result<RuleResult> {
    match about.unwrap_or_default() {
        "cluster-admin" => cluster_admin(facts),
        "wildcards" => wildcards(facts),
        "system-masters" => system_masters(facts),
        "automount" => workloads::automount(facts),
        about => right(facts, about),
    }
}

fn right(facts: &NodeFacts<'_>, about: &str) -> Result<RuleResult> {
    let rights: Vec<&RestrictedRight> = RIGHTS.iter().filter(|right| right.about == about).collect();
    if rights.is_empty() {
        return Err(Error::new(ErrorKind::BadInput, format!("nobody judges roles about {about:?}")));
    }
    let words: Vec<&str> = rights.iter().map(|right| right.words).collect();
    let expected = format!("few {}: look at every role and binding", words.join(" or "));
    let cluster = match cluster(facts, &expected)? {
        Ok(cluster) => cluster,
        Err(judgement) => return Ok(judgement),
    };
    let roles = ClusterRoles::of(cluster)?;
    let has = |grant: &RoleGrant<'_>| {
        rights.iter().any(|right| {
            (grant.is_cluster_wide() || !right.cluster_wide)
                && grant.gives(right.groups, right.resources, right.verbs)
        })
    };
    let grants: Vec<RoleGrant<'_>> = roles.grants().into_iter().filter(has).collect();
    Ok(by_subjects(&expected, words[0], &grants))
}

/// Judges by those who have something: what Kubernetes and K3s have made by themselves is said, all else is a
/// person's decision.
fn by_subjects(expected: &str, words: &str, grants: &[RoleGrant<'_>]) -> RuleResult {
    let (own, others): (Vec<_>, Vec<_>) = grants.iter().partition(|grant| grant.is_built_in());
    let mut names: Vec<&str> = own.iter().map(|grant| text(grant.subject, "/name")).collect();
    names.sort_unstable();
    names.dedup();
    let mut evidence: Vec<Evidence> = others.iter().map(|grant| seen(grant.words())).collect();
    evidence.push(seen(if names.is_empty() {
        format!("none of Kubernetes' and K3s' own subjects {words}")
    } else {
        format!("by themselves, Kubernetes and K3s have made that these {words}: {}", named(&names))
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
    look(expected, format!("so do {}", named(&others)), evidence)
}

fn cluster_admin(facts: &NodeFacts<'_>) -> Result<RuleResult> {
    let expected = "cluster-admin is only bound where it is needed: look at every binding to it";
    let cluster = match cluster(facts, expected)? {
        Ok(cluster) => cluster,
        Err(judgement) => return Ok(judgement),
    };
    let roles = ClusterRoles::of(cluster)?;
    let is_admin = |grant: &RoleGrant<'_>| {
        let named = text(grant.binding, "/roleRef/kind") == "ClusterRole"
            && text(grant.binding, "/roleRef/name") == "cluster-admin";
        named || grant.rules().iter().any(is_everything)
    };
    let grants: Vec<RoleGrant<'_>> = roles.grants().into_iter().filter(is_admin).collect();
    Ok(by_subjects(expected, "may do everything", &grants))
}

fn system_masters(facts: &NodeFacts<'_>) -> Result<RuleResult> {
    let expected = "nobody is in the group system:masters, whose rights cannot be taken away: look at the certificates that were issued, and at who has K3s' own kubeconfig, which is in it";
    let cluster = match cluster(facts, expected)? {
        Ok(cluster) => cluster,
        Err(judgement) => return Ok(judgement),
    };
    let roles = ClusterRoles::of(cluster)?;
    let grants = roles.grants().into_iter().filter(|grant| text(grant.subject, "/name") == MASTERS);
    let evidence: Vec<Evidence> = grants.map(|grant| seen(grant.words())).collect();
    Ok(look(expected, "who is in a group is not known to the cluster".to_owned(), evidence))
}

fn wildcards(facts: &NodeFacts<'_>) -> Result<RuleResult> {
    let expected = "no role but the built-in ones has * for its resources or its verbs";
    let cluster = match cluster(facts, expected)? {
        Ok(cluster) => cluster,
        Err(judgement) => return Ok(judgement),
    };
    let roles = ClusterRoles::of(cluster)?;
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
            evidence.push(seen(format!("{kind} {full} has *")));
            others.push(format!("{kind} {full}"));
        }
    }
    evidence.push(seen(format!(
        "of {} roles, these built-in ones have it: {}",
        roles.roles.len(),
        if own.is_empty() { "none".to_owned() } else { named(&own) }
    )));
    let actual = if others.is_empty() {
        "only built-in roles have it".to_owned()
    } else {
        format!("so have {}", named(&others))
    };
    Ok(RuleResult::met(others.is_empty(), expected, actual, evidence))
}
