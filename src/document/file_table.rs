// SPDX-License-Identifier: Apache-2.0
//! The table of the files that a node gets: where each goes, its mode, who reads it. files.rs says what writes it.

use super::target::{DROP_IN_NAME, RenderTarget, drop_in_path};
use super::{admission_files, anonymous_health, effects};
use crate::Role;
use crate::mode::FileMode;
use crate::node::RootedPath;
use crate::version::KubernetesMinor;

/// One row of the table.
pub(super) struct FileRow {
    pub(super) key: &'static str,
    pub(super) place: FileLocation,
    pub(super) mode: FileMode,
    pub(super) roles: &'static [Role],
    /// The component that reads it; none if K3s does.
    pub(super) component: Option<&'static str>,
    pub(super) about: &'static str,
}

/// Where a file goes.
pub(super) enum FileLocation {
    /// A path of the node.
    Fixed(&'static str),
    /// A path below K3s's data directory.
    Data(&'static str),
    /// In the folder of drop-ins beside K3s's configuration file.
    DropIn,
}

/// The user's own kernel parameters, on a node that was taken over.
pub(super) const LOCAL_SYSCTL: &str = "sysctl-local";
/// The user's own objects, on a node that was taken over.
pub(super) const LOCAL_POLICY: &str = "policy-local";

/// The files in the order in which they are put there; the drop-in comes last, because it refers to the others.
pub(super) const ROWS: &[FileRow] = &[
    FileRow {
        key: LOCAL_SYSCTL,
        place: FileLocation::Fixed("/etc/sysctl.d/89-kubelet-local.conf"),
        mode: FileMode::PUBLIC_FILE,
        roles: BOTH,
        component: Some("kubelet"),
        about: "Kernel parameters that were in 90-kubelet.conf. It is read before that file.",
    },
    FileRow {
        key: "sysctl",
        place: FileLocation::Fixed("/etc/sysctl.d/90-kubelet.conf"),
        mode: FileMode::PUBLIC_FILE,
        roles: BOTH,
        component: Some("kubelet"),
        about: "Kernel parameters as the kubelet expects them.",
    },
    FileRow {
        key: "audit",
        place: FileLocation::Data("server/audit.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "What the API server writes into its audit log.",
    },
    FileRow {
        key: admission_files::ACCESS,
        place: FileLocation::Data("server/admission.d/access.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "What the API server refuses, or warns of, before it serves its first request: access rights.",
    },
    FileRow {
        key: admission_files::PODS,
        place: FileLocation::Data("server/admission.d/pods.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "What the API server refuses, or warns of, before it serves its first request: pods.",
    },
    FileRow {
        key: admission_files::SERVICES,
        place: FileLocation::Data("server/admission.d/services.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "What the API server refuses, or warns of, before it serves its first request: Services.",
    },
    // It names the folder of the bodies::policies, so it comes after them.
    FileRow {
        key: "psa",
        place: FileLocation::Data("server/psa.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "Configuration of the API server's admission plugins.",
    },
    FileRow {
        key: anonymous_health::DOCUMENT,
        place: FileLocation::Data("server/authentication.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "Which paths of the API server are open without a login.",
    },
    FileRow {
        key: LOCAL_POLICY,
        place: FileLocation::Data("server/manifests/policy-local.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("deploy-controller"),
        about: "Objects that were in policy.yaml. K3s puts them into the cluster when it starts.",
    },
    FileRow {
        key: "policy",
        place: FileLocation::Data("server/manifests/policy.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("deploy-controller"),
        about: "Objects that K3s puts into the cluster when it starts.",
    },
    FileRow {
        key: "config",
        place: FileLocation::DropIn,
        mode: FileMode::PRIVATE_FILE,
        roles: BOTH,
        component: None,
        about: "K3s' configuration, for this role only: an agent exits on a server's keys.",
    },
];
const SERVER: &[Role] = &[Role::Server];
const BOTH: &[Role] = &[Role::Server, Role::Agent];

/// Directories below K3s's data directory that have an exact mode on a server, with the component that uses each (none for
/// K3s) and the control that it implements.
///
/// K3s makes `server` 0700 itself; a `mkdir -p -m 700` of something below it would leave it open to all.
pub(super) const DIRECTORIES: [(&str, FileMode, Option<&str>, &[&str]); 3] = [
    ("server", FileMode::PRIVATE_DIRECTORY, None, &[]),
    ("server/manifests", FileMode::PRIVATE_DIRECTORY, Some("deploy-controller"), &[]),
    ("server/logs", FileMode::PRIVATE_DIRECTORY, Some("kube-apiserver"), &["audit-log-path"]),
];

/// Tells whether a file is the user's from the run on that made it.
pub(super) fn is_local(key: &str) -> bool {
    [LOCAL_SYSCTL, LOCAL_POLICY].contains(&key)
}

/// Tells whether a file is the user's although k3s-harden made it: no run removes it but one that undoes another.
#[must_use]
pub fn is_users(path: &RootedPath) -> bool {
    ROWS.iter().any(|row| is_local(row.key) && row.place.is(path))
}

/// Returns the path of every file that k3s-harden can write on a node, wanted or not, with its key.
#[must_use]
pub fn paths(config: &RootedPath, data_dir: &RootedPath) -> Vec<(&'static str, RootedPath)> {
    ROWS.iter().map(|row| (row.key, row.place.on_node(config, data_dir))).collect()
}

/// Tells whether some settings give a node on this minor, in this role and with what runs on it the file at `path`, be it in
/// another data directory or beside another configuration file.
#[must_use]
pub fn is_possible(path: &RootedPath, minor: KubernetesMinor, target: &RenderTarget) -> bool {
    ROWS.iter().filter(|row| row.place.is(path)).any(|row| {
        row.roles.contains(&target.role)
            && row.component.is_none_or(|component| target.running.has(component))
            && effects::effect_of(row.key).is_none_or(|effect| effect.is_possible(minor))
    })
}

impl FileLocation {
    pub(super) fn on_node(&self, config: &RootedPath, data_dir: &RootedPath) -> RootedPath {
        match self {
            Self::DropIn => drop_in_path(config),
            Self::Fixed(path) => RootedPath::fixed(path),
            Self::Data(path) => data_dir.join(path),
        }
    }

    /// Tells whether it is `path` in some data directory, or beside some configuration file.
    pub(super) fn is(&self, path: &RootedPath) -> bool {
        match self {
            Self::DropIn => path.name() == DROP_IN_NAME,
            Self::Fixed(fixed) => path.as_str() == *fixed,
            Self::Data(below) => {
                path.as_str().strip_suffix(below).is_some_and(|data_dir| data_dir.ends_with('/'))
            }
        }
    }
}
