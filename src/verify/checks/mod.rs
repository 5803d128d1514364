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
mod live;
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

/// The checks by their names in data/benchmark-controls.yaml.
const CHECKS: [(&str, CheckFunction); 16] = [
    ("anonymous-requests", access_files::check_anonymous),
    ("audit-policy", audit_policy::check_policy),
    ("audit-policy-coverage", audit_policy::check_coverage),
    ("authorizers", access_files::check_authorizers),
    ("cni", network::check_cni),
    ("default-namespace", namespaces::check_default),
    ("default-service-accounts", service_accounts::check),
    ("encryption", encryption::check_enabled),
    ("encryption-providers", encryption::check_provider),
    ("namespaces", namespaces::check_boundaries),
    ("network-policies", network::check_policies),
    ("pod-security", pod_security::check),
    ("rbac", rbac::check),
    ("seccomp", workloads::check_seccomp),
    ("secrets-as-files", workloads::check_secrets),
    ("security-contexts", workloads::check_security_contexts),
];

/// Returns the check of a name.
#[must_use]
pub fn find(name: &str) -> Option<CheckFunction> {
    CHECKS.iter().find(|(known, _)| *known == name).map(|(_, check)| *check)
}
