//! Would it start? What K3s, its components and the kubelet will say to what is on a node, before anyone tries.
//!
//! Every judge looks at one thing and returns [`Finding`]s. A finding has a stable code, the place, what K3s would
//! say, and the remedy. What could not be read is no finding: it makes the verdict unknown, never a pass.

mod admission;
mod apiserver;
mod arguments;
mod audit;
mod configuration;
pub(crate) mod encryption;
mod event_rate_limit;
mod finding;
mod kernel;
pub(crate) mod manifests;
mod options;
mod plugin_config;
pub(crate) mod pod_security;
mod surroundings;

pub use finding::{Class, Finding, StartVerdict, When};

use crate::error::Result;
use crate::k3s::NodeConfig;

/// What looks at one thing.
type Judge = fn(&NodeConfig<'_>) -> Result<Vec<Finding>>;

/// The judges, in the order in which K3s would come across what they look at.
const JUDGES: [Judge; 9] = [
    kernel::judge,
    configuration::judge,
    configuration::judge_encryption,
    arguments::judge,
    audit::judge,
    admission::judge,
    encryption::judge,
    manifests::judge,
    surroundings::judge,
];

/// Judges a node.
#[must_use]
pub fn judge(node: &NodeConfig<'_>) -> StartVerdict {
    let mut verdict = StartVerdict::default();
    for judge in JUDGES {
        match judge(node) {
            Ok(findings) => verdict.add(findings),
            Err(error) => verdict.unknown(&error),
        }
    }
    verdict
}
