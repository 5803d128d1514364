// SPDX-License-Identifier: Apache-2.0
//! The node that a scanner scans.

use crate::Role;
use crate::k3s::RunningComponents;
use crate::mode::Owner;
use crate::node::{Root, RootedPath};
use crate::version::KubernetesMinor;

/// The node that a scanner scans.
#[derive(Debug, Clone, Copy)]
pub struct ScannedNode<'a> {
    /// The root of the node.
    pub root: &'a Root,
    /// K3s's data directory; the scanners read `/var/lib/rancher/k3s`, whatever it is.
    pub data_dir: &'a RootedPath,
    /// The role of K3s on the node.
    pub role: Role,
    /// The Kubernetes minor.
    pub minor: KubernetesMinor,
    /// The owner that counts as root: 0:0, or the owner of an image that is built without root's rights.
    pub owner: Owner,
    /// Every line that `journalctl -m -u k3s -u k3s-agent` prints.
    pub journal: &'a str,
    /// Whether K3s has started; if not, the files that it creates at its first start are forecast.
    pub started: bool,
    /// What runs on the node.
    pub running: &'a RunningComponents,
    /// The provider with which K3s encrypts Secrets from its first start on.
    pub provider: &'a str,
}
