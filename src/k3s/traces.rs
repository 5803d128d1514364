// SPDX-License-Identifier: Apache-2.0
//! What K3s has written on the node: whether it has started, in which role, and whether Rancher manages it.

use super::encryption_change::provider_in_force;
use super::node_paths::NodePaths;
use super::service;
use crate::Role;
use crate::node::{Root, RootedPath};

/// What K3s has written on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The role that it has started in, with the file that proves it.
    pub started: Option<(Role, RootedPath)>,
    /// Whether there is a configuration for the encryption of Secrets: `k3s secrets-encrypt enable` writes one that encrypts nothing.
    pub has_encryption_config: bool,
    /// Whether that configuration encrypts what is written.
    pub secrets_encrypted: bool,
    /// Whether Rancher manages it.
    pub rancher: bool,
}

impl Traces {
    /// Looks for traces of K3s with its data in `data_dir`.
    #[must_use]
    pub fn observe(root: &Root, data_dir: &RootedPath) -> Self {
        let paths = NodePaths::get();
        let find = |role, files: &[String]| {
            let mut files = files.iter().map(|file| data_dir.join(file));
            files.find(|path| root.exists(path)).map(|path| (role, path))
        };
        let kubeconfig = || root.exists(&paths.kubeconfig).then(|| (Role::Server, paths.kubeconfig.clone()));
        let has_encryption_config = root.exists(&data_dir.join(&paths.encryption_config));
        // What cannot be read may have encrypted something.
        let is_plain =
            || provider_in_force(root, data_dir).is_ok_and(|first| first.as_deref() == Some("identity"));
        Self {
            started: find(Role::Server, &paths.started_server)
                .or_else(kubeconfig)
                .or_else(|| find(Role::Agent, &paths.started_agent)),
            has_encryption_config,
            secrets_encrypted: has_encryption_config && !is_plain(),
            rancher: paths.rancher.iter().any(|path| root.exists(path)),
        }
    }
}

/// Finds the role of the node: by the services that start K3s, whatever their names, else by what a started K3s has
/// written. None if there is no trace, or if the services disagree.
#[must_use]
pub fn role(root: &Root, data_dir: &RootedPath) -> Option<Role> {
    match service::roles(root).unwrap_or_default().as_slice() {
        [role] => Some(*role),
        [] => Traces::observe(root, data_dir).started.map(|(role, _)| role),
        _ => None,
    }
}
