// SPDX-License-Identifier: Apache-2.0
//! Why a component does not start with what it is given: the names and values of its arguments, and its configuration files.
//! `verify` asks, so that nothing of such a component passes.
//!
//! Files that arguments or fields name are not part of it: whether they are there, and what they hold, says nothing of a
//! value.

use super::{
    Class, Finding, admission, arguments, authentication, authorization, kubelet, newer, proxy, scheduler,
};
use crate::error::Result;
use crate::k3s::NodeConfig;

/// The codes of findings about files that an argument or a configuration file names and that are not there.
const OF_NAMED_FILES: [&str; 6] = [
    "admission-file-missing",
    "admission-path-missing",
    "authorization-kubeconfig",
    "proxy-kubeconfig-file",
    "scheduler-file",
    "scheduler-kubeconfig",
];
/// The codes of findings about the kubelet's own files.
const OF_KUBELET_FILES: [&str; 5] =
    ["kubelet-file", "kubelet-file-missing", "kubelet-folder-missing", "kubelet-type", "kubelet-value"];

/// Returns why a component does not start with its arguments and its configuration files.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn of_component(node: &NodeConfig<'_>, component: &str) -> Result<Vec<Finding>> {
    let mut found = arguments::refused_values(node, component);
    found.extend(match component {
        "kubelet" => kubelet::refused_values(node, true)?,
        // A plugin that is switched on needs its configuration.
        "kube-apiserver" => [of_files(node, component)?, admission::check(node)?].concat(),
        _ => of_files(node, component)?,
    });
    Ok(stopping(node, found))
}

/// Returns why a component does not start with its configuration files.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn of_files(node: &NodeConfig<'_>, component: &str) -> Result<Vec<Finding>> {
    let found = match component {
        "kubelet" => {
            let mut found = kubelet::refused_values(node, false)?;
            found.retain(|finding| OF_KUBELET_FILES.contains(&finding.code));
            found
        }
        "kube-apiserver" => [authorization::check(node)?, authentication::check(node)?].concat(),
        "kube-proxy" => proxy::check(node)?,
        "kube-scheduler" => scheduler::check(node)?,
        _ => Vec::new(),
    };
    Ok(stopping(node, found))
}

/// Leaves the findings out that do not stop the component, or that are about a file that something names.
fn stopping(node: &NodeConfig<'_>, found: Vec<Finding>) -> Vec<Finding> {
    let mut found = newer::judged(node.minor(), found);
    found.retain(|finding| finding.class == Class::Stops && !OF_NAMED_FILES.contains(&finding.code));
    found
}
