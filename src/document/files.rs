// SPDX-License-Identifier: Apache-2.0
//! The table of the files that a node gets: where each goes, its mode, and what writes its body.

use std::collections::BTreeSet;

use super::bodies::{self, ADMISSION_PLUGINS, Body, KERNEL, RenderContext};
use super::header::{FileWriter, has_header, header};
use super::target::{DROP_IN_NAME, Document, RenderTarget, RenderedDirectory, drop_in_path};
use super::{
    DropIn, MergedDropIn, PresentFiles, UsersPart, admission, admission_files, anonymous_health, drop_in,
    effects, policy,
};
use crate::Role;
use crate::mode::FileMode;
use crate::node::RootedPath;
use crate::profile::{ArgumentTable, ControlId, ControlSelection, Profile};
use crate::version::KubernetesMinor;

/// One row of the table.
pub(super) struct FileRow {
    pub(super) key: &'static str,
    pub(super) place: FileLocation,
    pub(super) mode: FileMode,
    pub(super) roles: &'static [Role],
    /// The component that reads it; none if K3s does.
    component: Option<&'static str>,
    pub(super) about: &'static str,
    /// Tells whether the run is about anything that the file can hold. Otherwise the node's file stays as it is.
    is_changed: fn(&Profile, &PresentFiles) -> bool,
    body: fn(&mut RenderContext<'_>) -> Option<Body>,
}

/// Where a file goes.
pub(super) enum FileLocation {
    /// A path of the node.
    Fixed(&'static str),
    /// A path below K3s' data directory.
    Data(&'static str),
    /// In the folder of drop-ins beside K3s' configuration file.
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
        is_changed: |_, _| true,
        body: |context| bodies::local(LOCAL_SYSCTL, context),
    },
    FileRow {
        key: "sysctl",
        place: FileLocation::Fixed("/etc/sysctl.d/90-kubelet.conf"),
        mode: FileMode::PUBLIC_FILE,
        roles: BOTH,
        component: Some("kubelet"),
        about: "Kernel parameters as the kubelet expects them.",
        is_changed: |profile, _| profile.selection.wants(&[KERNEL]),
        body: bodies::kernel_parameters,
    },
    FileRow {
        key: "audit",
        place: FileLocation::Data("server/audit.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "What the API server writes into its audit log.",
        is_changed: |profile, _| profile.selection.wants(&["audit-policy"]),
        body: bodies::audit_policy,
    },
    FileRow {
        key: admission_files::ACCESS,
        place: FileLocation::Data("server/admission.d/access.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "What the API server refuses, or warns of, before it serves its first request: access rights.",
        is_changed: |profile, present| admission::is_changed_by(admission_files::ACCESS, profile, present),
        body: |context| bodies::admission_policies(admission_files::ACCESS, context),
    },
    FileRow {
        key: admission_files::PODS,
        place: FileLocation::Data("server/admission.d/pods.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "What the API server refuses, or warns of, before it serves its first request: pods.",
        is_changed: |profile, present| admission::is_changed_by(admission_files::PODS, profile, present),
        body: |context| bodies::admission_policies(admission_files::PODS, context),
    },
    FileRow {
        key: admission_files::SERVICES,
        place: FileLocation::Data("server/admission.d/services.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "What the API server refuses, or warns of, before it serves its first request: Services.",
        is_changed: |profile, present| admission::is_changed_by(admission_files::SERVICES, profile, present),
        body: |context| bodies::admission_policies(admission_files::SERVICES, context),
    },
    // It names the folder of the bodies::policies, so it comes after them.
    FileRow {
        key: "psa",
        place: FileLocation::Data("server/psa.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "Configuration of the API server's admission plugins.",
        is_changed: |profile, _| bodies::wants_admission_configuration(profile),
        body: bodies::admission_configuration,
    },
    FileRow {
        key: anonymous_health::DOCUMENT,
        place: FileLocation::Data("server/authentication.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "Which paths of the API server are open without a login.",
        is_changed: |profile, _| profile.selection.wants(&[anonymous_health::CONTROL]),
        body: bodies::authentication_configuration,
    },
    FileRow {
        key: LOCAL_POLICY,
        place: FileLocation::Data("server/manifests/policy-local.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("deploy-controller"),
        about: "Objects that were in policy.yaml. K3s puts them into the cluster when it starts.",
        is_changed: |_, _| true,
        body: |context| bodies::local(LOCAL_POLICY, context),
    },
    FileRow {
        key: "policy",
        place: FileLocation::Data("server/manifests/policy.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("deploy-controller"),
        about: "Objects that K3s puts into the cluster when it starts.",
        is_changed: policy::is_changed_by,
        body: bodies::policies,
    },
    FileRow {
        key: "config",
        place: FileLocation::DropIn,
        mode: FileMode::PRIVATE_FILE,
        roles: BOTH,
        component: None,
        about: "K3s' configuration, for this role only: an agent exits on a server's keys.",
        is_changed: drop_in::is_changed_by,
        body: bodies::configuration_file,
    },
];
const SERVER: &[Role] = &[Role::Server];
const BOTH: &[Role] = &[Role::Server, Role::Agent];

/// Directories below K3s' data directory that have an exact mode on a server, with the component that uses each (none for
/// K3s) and the control that it implements.
///
/// K3s makes `server` 0700 itself; a `mkdir -p -m 700` of something below it would leave it open to all.
pub(super) const DIRECTORIES: [(&str, FileMode, Option<&str>, &[&str]); 3] = [
    ("server", FileMode::PRIVATE_DIRECTORY, None, &[]),
    ("server/manifests", FileMode::PRIVATE_DIRECTORY, Some("deploy-controller"), &[]),
    ("server/logs", FileMode::PRIVATE_DIRECTORY, Some("kube-apiserver"), &["audit-log-path"]),
];

/// The files of a node, and what came of the user's.
pub(super) struct RenderedNode {
    /// The files, in the order in which they are written.
    pub(super) documents: Vec<Document>,
    /// The K3s configuration that the profile sets.
    pub(super) requested: DropIn,
    /// The same, merged with the node's.
    pub(super) merged: MergedDropIn,
    /// What of the user's is taken over.
    pub(super) taken_over: Vec<UsersPart>,
    /// The kernel parameters that are the user's.
    pub(super) left_sysctls: Vec<String>,
}

/// Renders the files of a node.
pub(super) fn render(profile: &Profile, target: &RenderTarget) -> RenderedNode {
    let mut templates = vec!["90-kubelet.conf.tera", "config.yaml.tera"];
    if target.role == Role::Server {
        templates.extend(["audit.yaml.tera", "psa.yaml.tera", "authentication.yaml.tera"]);
        templates.extend(admission::templates());
        templates.extend(policy::templates(profile, target));
    }
    let mut context = RenderContext::new(profile, target, templates);

    let mut documents = Vec::new();
    let is_read = |row: &&FileRow| row.component.is_none_or(|component| target.running.has(component));
    for row in ROWS.iter().filter(|row| row.roles.contains(&target.role)).filter(is_read) {
        let body = (row.body)(&mut context);
        let there = target.present.document(row.key).filter(|_| !(row.is_changed)(profile, &target.present));
        let (text, controls) = match (there, body) {
            (Some(Some(whole)), body) => {
                (whole.to_owned(), body.map_or_else(Vec::new, |(_, controls)| controls))
            }
            // No text: the file is left where it is.
            (Some(None), _) | (None, None) => continue,
            (None, Some((body, controls))) if is_local(row.key) => match has_header(body.as_bytes()) {
                // It is the user's: not even its header changes.
                true => (body, controls),
                false => (header(FileWriter::ForUser, profile, row.about, &controls) + &body, controls),
            },
            (None, Some((body, controls))) => {
                (header(FileWriter::K3sHarden, profile, row.about, &controls) + &body, controls)
            }
        };
        context.written.push((row.key, controls.clone()));
        let path = row.place.on_node(&target.config, &target.data_dir);
        documents.push(Document { key: row.key, path, mode: row.mode, controls, text });
    }
    RenderedNode {
        documents,
        taken_over: context.taken_over(),
        left_sysctls: context.left_sysctls(),
        requested: context.requested,
        merged: context.merged,
    }
}

/// Tells whether a file is the user's from the run on that made it.
fn is_local(key: &str) -> bool {
    [LOCAL_SYSCTL, LOCAL_POLICY].contains(&key)
}

/// Returns the directories of a node that have an exact mode, and the controls that each implements. That of the policies is
/// among them if one of `documents` is in it.
pub(super) fn directories(
    profile: &Profile,
    target: &RenderTarget,
    documents: &[Document],
) -> Vec<RenderedDirectory> {
    let server = target.role == Role::Server;
    let is_used = |component: &Option<&str>| component.is_none_or(|component| target.running.has(component));
    let rows = DIRECTORIES.iter().filter(|(_, _, component, _)| server && is_used(component));
    let mut directories: Vec<RenderedDirectory> = rows
        .map(|(name, mode, _, controls)| RenderedDirectory {
            path: target.data_dir.join(name),
            mode: *mode,
            controls: profile.ids(controls),
        })
        .collect();
    let policies: Vec<&Document> =
        documents.iter().filter(|document| admission_files::is_admission_file(document.key)).collect();
    if !policies.is_empty() {
        let mut controls: Vec<ControlId> =
            policies.iter().flat_map(|document| &document.controls).cloned().collect();
        controls.sort();
        controls.dedup();
        let path = target.data_dir.join(admission_files::ADMISSION_FOLDER);
        directories.push(RenderedDirectory { path, mode: FileMode::PRIVATE_DIRECTORY, controls });
    }
    directories
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

/// Returns the path of every file that some settings give a node on this minor, in this role and with what runs on it.
#[must_use]
pub fn possible_paths(minor: KubernetesMinor, target: &RenderTarget) -> BTreeSet<RootedPath> {
    let is_possible = |row: &&FileRow| {
        row.roles.contains(&target.role)
            && row.component.is_none_or(|component| target.running.has(component))
            && effects::effect_of(row.key).is_none_or(|effect| effect.is_possible(minor))
    };
    ROWS.iter().filter(is_possible).map(|row| row.place.on_node(&target.config, &target.data_dir)).collect()
}

/// Tells whether a selection is about everything that our file at `path` holds; a file that is not ours, or that holds
/// something else, is not covered by a selection.
#[must_use]
pub fn is_covered(selection: &ControlSelection, path: &RootedPath, bytes: &[u8]) -> bool {
    let Some(row) = ROWS.iter().find(|row| row.place.is(path)).filter(|_| has_header(bytes)) else {
        return false;
    };
    let present = PresentFiles::new([(row.key, bytes.to_vec())]);
    let all = |parts: Vec<&[&str]>| parts.iter().all(|controls| selection.wants(controls));
    match row.key {
        key if is_local(key) => false,
        "sysctl" => selection.wants(&[KERNEL]),
        "audit" => selection.wants(&["audit-policy"]),
        anonymous_health::DOCUMENT => selection.wants(&[anonymous_health::CONTROL]),
        "psa" => present.admission_plugins().is_some_and(|plugins| {
            plugins.iter().all(|(name, _)| {
                let control = ADMISSION_PLUGINS.iter().find(|(_, plugin)| plugin == name);
                control.is_some_and(|(control, _)| selection.wants(&[control]))
                    || name == admission::POLICY_PLUGIN
                        && admission::controls().iter().all(|control| selection.wants(&[control]))
            })
        }),
        "policy" => policy::controls_of(&present).is_some_and(all),
        key if admission_files::is_admission_file(key) => {
            admission::controls_of(key, &present).is_some_and(all)
        }
        _ => drop_in::is_covered(selection, ArgumentTable::get(), &present),
    }
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
    fn is(&self, path: &RootedPath) -> bool {
        match self {
            Self::DropIn => path.name() == DROP_IN_NAME,
            Self::Fixed(fixed) => path.as_str() == *fixed,
            Self::Data(below) => {
                path.as_str().strip_suffix(below).is_some_and(|data_dir| data_dir.ends_with('/'))
            }
        }
    }
}
