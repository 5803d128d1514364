// SPDX-License-Identifier: Apache-2.0
//! The checks: code for what one value cannot decide, and the checks of flags, files and etcd's configuration that the
//! rules of data/benchmark-controls.yaml describe. Checks import the facts, the results and one another, and never the
//! evaluation above them.

mod access_files;
mod audit_policy;
mod encryption;
pub(super) mod etcd;
pub(super) mod file;
pub(super) mod flag;
mod flag_file;
pub(super) mod gate;
mod live;
mod named_file;
mod namespaces;
mod network;
mod pod_security;
mod rbac;
mod service_accounts;
mod workloads;

use super::facts::NodeFacts;
use super::rule_result::RuleResult;
use crate::error::Result;

/// Checks a node; the text is the `about` of the rule.
pub type CheckFunction = fn(&NodeFacts<'_>, Option<&str>) -> Result<RuleResult>;

/// What a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckSubject {
    /// The API server of the node.
    ApiServer,
    /// Who the API server of the node lets in: its flags, and the files that they name.
    Access,
    /// The objects of the cluster, or the manifests of the node, which only a node with an API server applies.
    Objects,
    /// K3s's configuration.
    Configuration,
}
use CheckSubject::{Access, ApiServer, Configuration, Objects};

/// The checks by their names in data/benchmark-controls.yaml.
const CHECKS: [(&str, CheckSubject, CheckFunction); 16] = [
    ("anonymous-requests", Access, access_files::check_anonymous),
    ("audit-policy", ApiServer, audit_policy::check_policy),
    ("audit-policy-coverage", ApiServer, audit_policy::check_coverage),
    ("authorizers", Access, access_files::check_authorizers),
    ("cni", Configuration, network::check_cni),
    ("default-namespace", Objects, namespaces::check_default),
    ("default-service-accounts", Objects, service_accounts::check),
    ("encryption", ApiServer, encryption::check_enabled),
    ("encryption-providers", ApiServer, encryption::check_provider),
    ("namespaces", Objects, namespaces::check_boundaries),
    ("network-policies", Objects, network::check_policies),
    ("pod-security", ApiServer, pod_security::check),
    ("rbac", Objects, rbac::check),
    ("seccomp", Objects, workloads::check_seccomp),
    ("secrets-as-files", Objects, workloads::check_secrets),
    ("security-contexts", Objects, workloads::check_security_contexts),
];

/// Returns the check of a name.
#[must_use]
pub fn find(name: &str) -> Option<CheckFunction> {
    CHECKS.iter().find(|(known, ..)| *known == name).map(|(.., check)| *check)
}

/// Returns what the check of a name looks at.
pub(super) fn subject(name: &str) -> Option<CheckSubject> {
    CHECKS.iter().find(|(known, ..)| *known == name).map(|(_, subject, _)| *subject)
}
