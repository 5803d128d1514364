// SPDX-License-Identifier: Apache-2.0
//! Preflight: predicts whether K3s, its components and the kubelet start with what is on a node.
//!
//! Each check turns the faults that the readers of `kubernetes/` and `k3s/` report into [`Finding`]s: a stable code, a
//! class, the place, K3s's own message, and the remedy. Something that cannot be read is no finding: it makes the verdict
//! unknown, never "starts". This room imports `document/` and the rooms below it.

mod admission;
mod apiserver;
mod argument_files;
mod arguments;
mod audit;
mod audit_log;
pub(crate) mod authentication;
pub(crate) mod authorization;
mod cloud_config;
mod component_file;
mod configuration;
mod credential_providers;
mod data_directory;
mod egress;
pub(crate) mod encryption;
mod event_rate_limit;
mod finding;
mod first_server;
mod image_policy;
mod kernel;
mod kubelet;
mod kubelet_arguments;
mod kubelet_serving;
mod made_folder;
pub(crate) mod manifests;
mod newer;
mod options;
mod own_values;
mod packaged;
mod places;
mod plugin_config;
mod plugin_configs;
pub(crate) mod pod_security;
pub(crate) mod policy_files;
mod proxy;
pub(crate) mod refusals;
mod registries;
mod releases;
mod scheduler;
mod service;
mod static_manifests;
mod surroundings;
mod tracing;

pub use finding::{Class, Finding, StartVerdict, When};
pub use first_server::{FirstServer, MAX_SERVER_CONFIG_BYTES, compare};

use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::node::commands;

/// A check of one thing.
type Check = fn(&NodeConfig<'_>) -> Result<Vec<Finding>>;

/// The checks, in the order in which K3s reads what they check.
const CHECKS: &[Check] = &[
    service::check,
    kernel::check,
    places::check,
    configuration::check,
    own_values::check,
    registries::check,
    data_directory::check,
    configuration::check_encryption,
    arguments::check,
    kubelet::check,
    kubelet_arguments::check,
    credential_providers::check,
    cloud_config::check,
    scheduler::check,
    proxy::check,
    audit::check,
    admission::check,
    authentication::check,
    authorization::check,
    egress::check,
    tracing::check,
    encryption::check,
    packaged::check,
    manifests::check,
    surroundings::check,
];

/// Returns what a node's configuration has and what nobody notices: arguments that K3s drops, words of its key `disable`
/// that name nothing, and a file that opens the API server by what it does not say.
pub(crate) fn notes(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let open = authentication::silently_open(node)?.into_iter().collect();
    Ok([kubelet_arguments::dropped(node), packaged::check(node)?, open].concat())
}

/// Returns findings whose remedies name commands for this node.
fn about(node: &NodeConfig<'_>, findings: Vec<Finding>) -> Vec<Finding> {
    let made = |finding: Finding| Finding {
        remedy: commands::with_commands(node.root.path(), &finding.remedy),
        ..finding
    };
    findings.into_iter().map(made).collect()
}

/// Checks a node.
#[must_use]
pub fn check(node: &NodeConfig<'_>) -> StartVerdict {
    let mut verdict = StartVerdict::default();
    verdict.add(newer::note(node.minor()).into_iter().collect());
    for check in CHECKS {
        match check(node) {
            Ok(findings) => verdict.add(newer::judged(node.minor(), about(node, findings))),
            Err(error) => verdict.add_unreadable(&error),
        }
    }
    verdict
}
