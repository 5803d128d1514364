// SPDX-License-Identifier: Apache-2.0
//! Reads the objects of the running cluster with `kubectl get`: one list per kind, of all namespaces. It only reads, and
//! never reads Secrets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Role;
use crate::error::{self, Error, Result};
use crate::k3s::{self, NodeConfig, NodePaths};
use crate::kubernetes::served_kinds::{group_and_version, served_version};
use crate::node::{Root, program};
use crate::version::KubernetesMinor;

/// The timeout of one request to the API server, in seconds.
const TIMEOUT_SECONDS: u32 = 10;
/// The timeout of one kubectl command: kubectl sends several requests, and the request timeout does not end all of them.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout of all kubectl commands.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(120);
/// The home directory of kubectl. It cannot exist, so that kubectl writes no cache and reads no preferences.
const HOME: &str = "/proc/none";
/// The beginning of an error of kubectl that the API server answered.
const SERVER_ERROR: &str = "Error from server";
/// The end of the error of kubectl about a resource that the API server does not serve.
const UNKNOWN_RESOURCE: &str = "the server doesn't have";

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "they are Kubernetes' names")]
pub enum ObjectKind {
    Namespace,
    NetworkPolicy,
    ServiceAccount,
    ClusterRole,
    ClusterRoleBinding,
    Role,
    RoleBinding,
    Pod,
    Service,
    Deployment,
    DaemonSet,
    StatefulSet,
    Job,
    CronJob,
    PodSecurityPolicy,
}

impl ObjectKind {
    /// Every kind that verify reads.
    pub const ALL: [Self; 15] = [
        Self::Namespace,
        Self::NetworkPolicy,
        Self::ServiceAccount,
        Self::ClusterRole,
        Self::ClusterRoleBinding,
        Self::Role,
        Self::RoleBinding,
        Self::Pod,
        Self::Service,
        Self::Deployment,
        Self::DaemonSet,
        Self::StatefulSet,
        Self::Job,
        Self::CronJob,
        Self::PodSecurityPolicy,
    ];

    /// Returns the resource as kubectl takes it. The group excludes custom resources of the same name.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::NetworkPolicy => "networkpolicies.networking.k8s.io",
            Self::ServiceAccount => "serviceaccounts",
            Self::ClusterRole => "clusterroles.rbac.authorization.k8s.io",
            Self::ClusterRoleBinding => "clusterrolebindings.rbac.authorization.k8s.io",
            Self::Role => "roles.rbac.authorization.k8s.io",
            Self::RoleBinding => "rolebindings.rbac.authorization.k8s.io",
            Self::Pod => "pods",
            Self::Service => "services",
            Self::Deployment => "deployments.apps",
            Self::DaemonSet => "daemonsets.apps",
            Self::StatefulSet => "statefulsets.apps",
            Self::Job => "jobs.batch",
            Self::CronJob => "cronjobs.batch",
            Self::PodSecurityPolicy => "podsecuritypolicies.policy",
        }
    }

    /// Returns its name in objects.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::ServiceAccount => "ServiceAccount",
            Self::ClusterRole => "ClusterRole",
            Self::ClusterRoleBinding => "ClusterRoleBinding",
            Self::Role => "Role",
            Self::RoleBinding => "RoleBinding",
            Self::Pod => "Pod",
            Self::Service => "Service",
            Self::Deployment => "Deployment",
            Self::DaemonSet => "DaemonSet",
            Self::StatefulSet => "StatefulSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::PodSecurityPolicy => "PodSecurityPolicy",
        }
    }

    /// Returns its API group; empty for the core group.
    #[must_use]
    pub fn group(self) -> &'static str {
        self.resource().split_once('.').map_or("", |(_, group)| group)
    }

    /// Tells whether an object is of it: a kind of the same name in another group is another kind.
    #[must_use]
    pub fn is_of(self, object: &Value) -> bool {
        text(object, "/kind") == self.name()
            && group_and_version(text(object, "/apiVersion")).0 == self.group()
    }

    /// Tells whether a minor serves it.
    #[must_use]
    pub fn is_served_in(self, minor: KubernetesMinor) -> bool {
        served_version(self.group(), self.name(), minor)
            .is_some_and(|version| group_and_version(version).0 == self.group())
    }
}

/// The objects of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The objects of each kind, or the error of kubectl.
    lists: BTreeMap<ObjectKind, std::result::Result<Vec<Value>, String>>,
}

impl Cluster {
    /// Reads all kinds that a minor serves.
    ///
    /// # Errors
    /// [`error::ErrorKind::Failed`] if no API server answers, or not in time. If the API server forbids a kind, only
    /// [`Self::list`] of that kind returns the error.
    pub fn read(kubectl: &Kubectl, minor: KubernetesMinor) -> Result<Self> {
        let mut cluster = Self::default();
        let end = Instant::now() + TOTAL_TIMEOUT;
        for kind in ObjectKind::ALL.into_iter().filter(|kind| kind.is_served_in(minor)) {
            let remaining = end.saturating_duration_since(Instant::now());
            let list = kubectl.list(kind, COMMAND_TIMEOUT.min(remaining));
            match &list {
                Err(message) if !message.starts_with(SERVER_ERROR) && !message.contains(UNKNOWN_RESOURCE) => {
                    return Err(failed(kind, message));
                }
                _ => cluster.lists.insert(kind, list),
            };
        }
        Ok(cluster)
    }

    /// Adds the objects of a kind, or the error of reading them.
    #[must_use]
    pub fn with(mut self, kind: ObjectKind, list: std::result::Result<Vec<Value>, String>) -> Self {
        self.lists.insert(kind, list);
        self
    }

    /// Returns the objects of a kind.
    ///
    /// # Errors
    /// [`error::ErrorKind::Failed`] with the message of kubectl.
    pub fn list(&self, kind: ObjectKind) -> Result<&[Value]> {
        match self.lists.get(&kind) {
            Some(Ok(items)) => Ok(items),
            Some(Err(message)) => Err(failed(kind, message)),
            None => Err(failed(kind, "they were not asked for")),
        }
    }
}

fn failed(kind: ObjectKind, message: &str) -> Error {
    Error::new(error::ErrorKind::Failed, format!("kubectl get {}: {message}", kind.resource()))
}

/// The kubectl program with its first arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubectl {
    program: String,
    arguments: Vec<String>,
}

impl Kubectl {
    /// Returns the kubectl of a program and its first arguments.
    #[must_use]
    pub fn new(program: impl Into<String>, arguments: &[&str]) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        }
    }

    /// Finds the kubectl of a live node: that of K3s, or else an installed one, with the kubeconfig of K3s.
    ///
    /// It runs no kubectl if K3s has never started, because K3s's own kubectl would first unpack K3s into the data
    /// directory.
    ///
    /// # Errors
    /// [`error::ErrorKind::Usage`] if the root is not the live root, because the running cluster does not belong to an
    /// image. [`error::ErrorKind::Failed`] if there is no cluster or no kubectl.
    pub fn find(node: &NodeConfig<'_>) -> Result<Self> {
        let error = |message: &str| Error::new(error::ErrorKind::Failed, message);
        if !node.root.is_live() {
            return Err(Error::new(
                error::ErrorKind::Usage,
                "--live needs a running node: --root is an image",
            )
            .hint("look at a running node without --root, or at the image without --live"));
        }
        if node.role == Role::Agent {
            return Err(error("an agent has no administrator's kubeconfig: run this on a server"));
        }
        if node.traces().started.is_none() {
            return Err(error("K3s has never started here: there is no cluster yet"));
        }
        let own = NodePaths::get().kubeconfig.as_str();
        let kubeconfig = node.value("write-kubeconfig").map_or(own, |(path, _)| path);
        let (program, first) = find_program(node.root)
            .ok_or_else(|| error("cannot query the cluster: neither k3s nor kubectl was found"))?;
        let more = ["--kubeconfig", kubeconfig];
        let arguments: Vec<&str> = first.into_iter().chain(more).collect();
        Ok(Self::new(program, &arguments))
    }

    /// Reads the objects of a kind in all namespaces.
    fn list(&self, kind: ObjectKind, limit: Duration) -> std::result::Result<Vec<Value>, String> {
        let timeout = format!("--request-timeout={TIMEOUT_SECONDS}s");
        let get = ["get", kind.resource(), "--all-namespaces", "--output=json", timeout.as_str()];
        let arguments = self.arguments.iter().map(String::as_str).chain(get);
        let answer =
            program::output_within(limit, &self.program, arguments, &[("HOME", HOME)]).map_err(|stderr| {
                // If no API server answers, the last line states the error, after the errors of the discovery.
                let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
                last.unwrap_or("it failed silently").to_owned()
            })?;
        let mut list: Value =
            serde_json::from_slice(&answer).map_err(|error| format!("its answer is no JSON: {error}"))?;
        match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err("its answer is no list".to_owned()),
        }
    }
}

fn find_program(root: &Root) -> Option<(String, Option<&'static str>)> {
    if let Some(binary) = k3s::binary(root) {
        return Some((root.display(&binary), Some("kubectl")));
    }
    program::find("kubectl").map(|program| (program, None))
}

/// Returns the text at a path in an object, such as `/metadata/name`; empty if there is none.
pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the items of a list at a path in an object.
pub(crate) fn items<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    object.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns an object's name.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// Returns an object's namespace; empty for a cluster-scoped object.
pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// Returns `namespace/name`.
pub(crate) fn full_name(object: &Value) -> String {
    format!("{}/{}", namespace(object), name(object))
}

/// Returns a label; none if it is not set.
pub(crate) fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.pointer("/metadata/labels")?.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_served_in_its_group() {
        for minor in KubernetesMinor::supported() {
            for kind in ObjectKind::ALL {
                let gone = kind == ObjectKind::PodSecurityPolicy && minor >= KubernetesMinor::new(25);
                assert_eq!(kind.is_served_in(minor), !gone, "{} {minor}", kind.name());
            }
        }
    }

    #[test]
    fn a_kind_of_another_group_is_another_kind() {
        let object = |version: &str, kind: &str| serde_json::json!({"apiVersion": version, "kind": kind});
        for kind in ObjectKind::ALL {
            let own = format!("{}/v1", kind.group());
            let own = own.trim_start_matches('/');
            assert!(kind.is_of(&object(own, kind.name())), "{}", kind.name());
            for other in ["crd.projectcalico.org/v1", "cilium.io/v2", "example.com/v1", "v1", "apps/v1"] {
                let is_same = group_and_version(other).0 == kind.group();
                assert_eq!(kind.is_of(&object(other, kind.name())), is_same, "{other} {}", kind.name());
            }
        }
    }
}
