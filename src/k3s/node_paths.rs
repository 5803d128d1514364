// SPDX-License-Identifier: Apache-2.0
//! Where K3s, its installer and Rancher have files on a node (data/node-paths.yaml).

use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::embedded;
use crate::error::Result;
use crate::node::RootedPath;

/// The configuration file that K3s reads if nothing names another.
pub const DEFAULT_CONFIG: &str = "/etc/rancher/k3s/config.yaml";
/// K3s's data directory, as the tables of this room write it.
pub const DEFAULT_DATA_DIR: &str = "/var/lib/rancher/k3s";

/// The table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NodePaths {
    /// The K3s binary.
    #[serde(deserialize_with = "paths")]
    pub(super) binaries: Vec<RootedPath>,
    /// Folders of systemd units. The first has precedence.
    #[serde(deserialize_with = "paths")]
    pub(super) unit_folders: Vec<RootedPath>,
    /// The folder of init scripts.
    #[serde(deserialize_with = "path")]
    pub(super) init_scripts: RootedPath,
    /// What a node with OpenRC has.
    #[serde(deserialize_with = "paths")]
    pub(super) openrc: Vec<RootedPath>,
    /// What a node with systemd has.
    #[serde(deserialize_with = "paths")]
    pub(super) systemd: Vec<RootedPath>,
    /// The administrator's kubeconfig, which a server writes.
    #[serde(deserialize_with = "path")]
    pub kubeconfig: RootedPath,
    /// Files in the data directory that only a started server writes.
    pub(super) started_server: Vec<String>,
    /// Files in the data directory that only a started agent writes; a server runs an agent too.
    pub(super) started_agent: Vec<String>,
    /// Files in the data directory that K3s writes at every start.
    pub(super) written_at_start: Vec<String>,
    /// The file in the data directory that a server writes for encrypted Secrets.
    pub encryption_config: String,
    /// The file in the data directory with etcd's configuration.
    pub etcd_config: String,
    /// The folder in the data directory with the manifests that K3s applies.
    pub manifests: String,
    /// Folders in the data directory whose files K3s creates before it starts its components.
    pub created_folders: Vec<String>,
    /// The folder of CNI configurations that a container runtime reads if nothing names another.
    #[serde(deserialize_with = "path")]
    pub(super) cni_folder: RootedPath,
    /// The folder in the data directory with the configuration of K3s's flannel, which containerd reads then.
    pub(super) flannel_cni_folder: String,
    /// The user's templates of containerd's configuration in the data directory, and the folders of its drop-ins.
    pub(super) containerd_templates: Vec<String>,
    /// Files of Rancher.
    #[serde(deserialize_with = "paths")]
    pub(super) rancher: Vec<RootedPath>,
}

impl NodePaths {
    /// Returns the table.
    #[must_use]
    pub fn get() -> &'static Self {
        static PATHS: LazyLock<NodePaths> = LazyLock::new(|| embedded::table("node-paths"));
        &PATHS
    }

    /// Tells whether a file is one of Rancher's.
    #[must_use]
    pub fn is_ranchers(&self, path: &str) -> bool {
        self.rancher.iter().any(|known| known.as_str() == path)
    }
}

/// Returns a path that an argument of a component names: K3s runs in its `server` directory (pkg/cli/server).
///
/// # Errors
/// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) if it is no path.
pub(super) fn of_argument(data_dir: &RootedPath, text: &str) -> Result<RootedPath> {
    data_dir.join("server").resolve(text)
}

fn path<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<RootedPath, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn paths<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vec<RootedPath>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}
