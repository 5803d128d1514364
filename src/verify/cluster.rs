//! A running cluster, as `kubectl get` answers: a list a kind, of all namespaces. Reading only; Secrets are never
//! asked for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Role;
use crate::error::{self, Error, Result};
use crate::k3s::{self, NodeConfig};
use crate::node::{Root, program};
use crate::version::KubernetesMinor;

/// Where K3s puts the administrator's kubeconfig.
const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";
/// How long the API server may take for an answer, in seconds.
const TIMEOUT_SECONDS: u32 = 10;
/// How long one question may take, and all of them: kubectl asks more than once, and not all that it does ends with the
/// above.
const LIMITS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(120));
/// Where kubectl would keep a cache and preferences: a directory that cannot be, so that nothing is written and nobody's
/// aliases count.
const HOME: &str = "/proc/none";
/// With what kubectl begins what the API server has answered.
const SERVER_SAYS: &str = "Error from server";

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
    /// Every kind that is asked for.
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

    /// The resource as kubectl takes it, with its group, so that nobody's custom resource is taken for it.
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

    /// Tells whether a minor has it.
    #[must_use]
    pub fn is_of(self, minor: KubernetesMinor) -> bool {
        let last = "1.24".parse().is_ok_and(|last: KubernetesMinor| minor <= last);
        self != Self::PodSecurityPolicy || last
    }
}

/// The objects of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The objects of each kind, or what kubectl says to it.
    lists: BTreeMap<ObjectKind, std::result::Result<Vec<Value>, String>>,
}

impl Cluster {
    /// Asks for all kinds that a minor has.
    ///
    /// # Errors
    /// Where no API server answers, or not in time. What one does not permit is an error only of the kind.
    pub fn read(kubectl: &Kubectl, minor: KubernetesMinor) -> Result<Self> {
        let mut cluster = Self::default();
        let (each, all) = LIMITS;
        let end = Instant::now() + all;
        for kind in ObjectKind::ALL.into_iter().filter(|kind| kind.is_of(minor)) {
            let list = kubectl.list(kind, each.min(end.saturating_duration_since(Instant::now())));
            match &list {
                Err(said) if !said.starts_with(SERVER_SAYS) && !said.contains("the server doesn't have") => {
                    return Err(failed(kind, said));
                }
                _ => cluster.lists.insert(kind, list),
            };
        }
        Ok(cluster)
    }

    /// Adds the objects of a kind, or why they are not known.
    #[must_use]
    pub fn with(mut self, kind: ObjectKind, list: std::result::Result<Vec<Value>, String>) -> Self {
        self.lists.insert(kind, list);
        self
    }

    /// Returns the objects of a kind.
    ///
    /// # Errors
    /// Where they are not known, with kubectl's own words.
    pub fn list(&self, kind: ObjectKind) -> Result<&[Value]> {
        match self.lists.get(&kind) {
            Some(Ok(items)) => Ok(items),
            Some(Err(said)) => Err(failed(kind, said)),
            None => Err(failed(kind, "they were not asked for")),
        }
    }
}

fn failed(kind: ObjectKind, said: &str) -> Error {
    Error::new(error::ErrorKind::Failed, format!("kubectl get {}: {said}", kind.resource()))
}

/// The program that asks a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubectl {
    program: String,
    arguments: Vec<String>,
}

impl Kubectl {
    /// Takes a program and the arguments that come first.
    #[must_use]
    pub fn new(program: impl Into<String>, arguments: &[&str]) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        }
    }

    /// Finds the one of a live node: the one in K3s, else one that is installed, with K3s' kubeconfig.
    ///
    /// Where K3s has never started nothing is run: K3s' own kubectl would unpack K3s into the data directory first.
    ///
    /// # Errors
    /// [`error::ErrorKind::Usage`] where the root is not the live one: a cluster would not be that of an image. Otherwise
    /// where there is no cluster to ask, or nothing to ask it with.
    pub fn of(node: &NodeConfig<'_>) -> Result<Self> {
        let error = |message: &str| Error::new(error::ErrorKind::Failed, message);
        if !node.root.is_live() {
            return Err(Error::new(error::ErrorKind::Usage, "no cluster belongs to the root of an image")
                .hint("look at a running node without --root, or at the image without --live"));
        }
        if node.role == Role::Agent {
            return Err(error("an agent has no administrator's kubeconfig: ask on a server"));
        }
        if node.traces().started.is_none() {
            return Err(error("K3s has never started here: there is no cluster yet"));
        }
        let kubeconfig = node.value("write-kubeconfig").map_or(KUBECONFIG, |(path, _)| path);
        let (program, first) = find(node.root).ok_or_else(|| {
            error("there is neither k3s nor kubectl, with which the cluster could be asked")
        })?;
        let more = ["--kubeconfig", kubeconfig];
        let arguments: Vec<&str> = first.into_iter().chain(more).collect();
        Ok(Self::new(program, &arguments))
    }

    /// Asks for the objects of a kind in all namespaces.
    fn list(&self, kind: ObjectKind, limit: Duration) -> std::result::Result<Vec<Value>, String> {
        let timeout = format!("--request-timeout={TIMEOUT_SECONDS}s");
        let get = ["get", kind.resource(), "--all-namespaces", "--output=json", timeout.as_str()];
        let arguments = self.arguments.iter().map(String::as_str).chain(get);
        let answer =
            program::output_within(limit, &self.program, arguments, &[("HOME", HOME)]).map_err(|said| {
                // Where nobody answers, the last line says so, after complaints of its discovery.
                let last = said.lines().rev().find(|line| !line.trim().is_empty());
                last.unwrap_or("it failed without a word").to_owned()
            })?;
        let mut list: Value =
            serde_json::from_slice(&answer).map_err(|error| format!("its answer is no JSON: {error}"))?;
        match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err("its answer is no list".to_owned()),
        }
    }
}

fn find(root: &Root) -> Option<(String, Option<&'static str>)> {
    if let Some(binary) = k3s::binary(root) {
        return Some((root.display(&binary), Some("kubectl")));
    }
    program::find("kubectl").map(|program| (program, None))
}

/// Returns the text at a path in an object, such as `/metadata/name`; empty where there is none.
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

/// Returns an object's namespace; empty for what has none.
pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// Returns `namespace/name`.
pub(crate) fn full_name(object: &Value) -> String {
    format!("{}/{}", namespace(object), name(object))
}

/// Returns a label; none where it is not set.
pub(crate) fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.pointer("/metadata/labels")?.get(name)?.as_str()
}
