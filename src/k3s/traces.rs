//! What K3s has written on the node: whether it has started, in which role, and whether Rancher manages it.

use super::node_paths::NodePaths;
use super::service;
use crate::Role;
use crate::node::{Root, RootedPath};

/// What K3s has written on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The role that it has started in, with the file that proves it.
    pub started: Option<(Role, RootedPath)>,
    /// Whether it started with encrypted Secrets.
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
        Self {
            started: find(Role::Server, &paths.started_server)
                .or_else(kubeconfig)
                .or_else(|| find(Role::Agent, &paths.started_agent)),
            secrets_encrypted: root.exists(&data_dir.join(&paths.encryption_config)),
            rancher: paths.rancher.iter().any(|path| root.exists(path)),
        }
    }
}

/// Finds the role of the node: by the command in the services that the installer writes, whatever their names, else by
/// what a started K3s has written. None if there is no trace, or if the services disagree.
#[must_use]
pub fn role(root: &Root, data_dir: &RootedPath) -> Option<Role> {
    let paths = NodePaths::get();
    let mut roles = Vec::new();
    let units = paths.unit_folders.first().map(|folder| (folder, false));
    for (folder, is_init) in units.into_iter().chain([(&paths.init_scripts, true)]) {
        for name in root.list(folder).unwrap_or_default() {
            let Some(name) = name.to_str().filter(|name| name.starts_with("k3s")) else { continue };
            let bytes = root.read(&folder.join(name)).ok().flatten().unwrap_or_default();
            let by_command = service::role_in(&String::from_utf8_lossy(&bytes), is_init);
            roles.extend(by_command.or_else(|| role_of_name(name)));
        }
    }
    roles.dedup();
    match roles.as_slice() {
        [role] => Some(*role),
        [] => Traces::observe(root, data_dir).started.map(|(role, _)| role),
        _ => None,
    }
}

fn role_of_name(name: &str) -> Option<Role> {
    let name = name.trim_end_matches(".service");
    [Role::Server, Role::Agent].into_iter().find(|role| role.service() == name)
}
