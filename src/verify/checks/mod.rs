//! Judges that are code: what more than one value decides.

pub(super) mod applied;
mod asked;
mod audit;
mod encryption;
mod namespaces;
mod network;
mod pod_security;
mod pod_security_policies;
mod rbac;
mod service_accounts;
mod workloads;

use super::rule::{Must, RuleOutcome, RuleResult};
use super::{Evidence, NodeFacts, evaluate};
use crate::error::{Place, Result};
use crate::node::RootedPath;

/// Looks at the node; the word is what it is asked about.
pub type Judge = fn(&NodeFacts<'_>, Option<&str>) -> Result<RuleResult>;

/// The judges by their names in data/benchmark-controls.yaml.
const JUDGES: [(&str, Judge); 14] = [
    ("audit-policy", audit::policy),
    ("audit-policy-coverage", audit::coverage),
    ("cni", network::cni),
    ("default-namespace", namespaces::default_is_empty),
    ("default-service-accounts", service_accounts::judge),
    ("encryption", encryption::is_on),
    ("encryption-providers", encryption::providers),
    ("namespaces", namespaces::boundaries),
    ("network-policies", network::policies),
    ("pod-security", pod_security::judge),
    ("rbac", rbac::judge),
    ("seccomp", workloads::seccomp),
    ("secrets-as-files", workloads::secrets_as_files),
    ("security-contexts", workloads::security_contexts),
];

/// Returns the judge of a name.
#[must_use]
pub fn find(name: &str) -> Option<Judge> {
    JUDGES.iter().find(|(known, _)| *known == name).map(|(_, judge)| *judge)
}

/// A file that a flag names.
enum FlagFile {
    /// It is there.
    File { path: RootedPath, bytes: Vec<u8>, evidence: Vec<Evidence> },
    /// It is not, and this is what that comes to.
    Judged(RuleResult),
}

/// Reads the file that a flag of a component names.
fn read(facts: &NodeFacts<'_>, component: &str, flag: &str, expected: &str) -> Result<FlagFile> {
    let judgement = evaluate::flag(facts, component, flag, Must::BeSet(true))?;
    let expected = expected.to_owned();
    if judgement.outcome != RuleOutcome::Met {
        return Ok(FlagFile::Judged(RuleResult { expected, ..judgement }));
    }
    let path = facts.node.path(&judgement.actual)?;
    let mut evidence = judgement.evidence;
    match facts.node.root.read(&path)? {
        Some(bytes) => Ok(FlagFile::File { path, bytes, evidence }),
        None => {
            let place = Place { file: path.to_string(), position: None };
            evidence.push(Evidence { text: format!("{path} is not there"), place: Some(place) });
            Ok(FlagFile::Judged(RuleResult::met(false, expected, "the file is not there", evidence)))
        }
    }
}
