// SPDX-License-Identifier: Apache-2.0
//! What writes each file of a node, in the order of the table (file_table.rs).

use super::bodies::{self, ADMISSION_PLUGINS, Body, KERNEL, RenderContext};
use super::file_table::{DIRECTORIES, FileRow, LOCAL_POLICY, LOCAL_SYSCTL, ROWS, is_local};
use super::header::{FileWriter, has_header, header};
use super::target::{Document, RenderTarget, RenderedDirectory};
use super::{
    DropIn, MergedDropIn, PresentFiles, UsersPart, admission, admission_files, anonymous_health, drop_in,
    policy,
};
use crate::Role;
use crate::mode::FileMode;
use crate::node::RootedPath;
use crate::profile::{ArgumentTable, ControlId, ControlSelection, Profile};

/// What writes a file of the table.
struct BodyWriter {
    key: &'static str,
    /// Tells whether the run is about anything that the file can hold. Otherwise the node's file stays as it is.
    is_changed: fn(&Profile, &PresentFiles) -> bool,
    body: fn(&mut RenderContext<'_>) -> Option<Body>,
}

/// One for each row of the table, in its order.
const WRITERS: &[BodyWriter] = &[
    BodyWriter {
        key: LOCAL_SYSCTL,
        is_changed: |_, _| true,
        body: |context| bodies::local(LOCAL_SYSCTL, context),
    },
    BodyWriter {
        key: "sysctl",
        is_changed: |profile, _| profile.selection.wants(&[KERNEL]),
        body: bodies::kernel_parameters,
    },
    BodyWriter {
        key: "audit",
        is_changed: |profile, _| profile.selection.wants(&["audit-policy"]),
        body: bodies::audit_policy,
    },
    BodyWriter {
        key: admission_files::ACCESS,
        is_changed: |profile, present| admission::is_changed_by(admission_files::ACCESS, profile, present),
        body: |context| bodies::admission_policies(admission_files::ACCESS, context),
    },
    BodyWriter {
        key: admission_files::PODS,
        is_changed: |profile, present| admission::is_changed_by(admission_files::PODS, profile, present),
        body: |context| bodies::admission_policies(admission_files::PODS, context),
    },
    BodyWriter {
        key: admission_files::SERVICES,
        is_changed: |profile, present| admission::is_changed_by(admission_files::SERVICES, profile, present),
        body: |context| bodies::admission_policies(admission_files::SERVICES, context),
    },
    BodyWriter {
        key: "psa",
        is_changed: |profile, _| bodies::wants_admission_configuration(profile),
        body: bodies::admission_configuration,
    },
    BodyWriter {
        key: anonymous_health::DOCUMENT,
        is_changed: |profile, _| profile.selection.wants(&[anonymous_health::CONTROL]),
        body: bodies::authentication_configuration,
    },
    BodyWriter {
        key: LOCAL_POLICY,
        is_changed: |_, _| true,
        body: |context| bodies::local(LOCAL_POLICY, context),
    },
    BodyWriter { key: "policy", is_changed: policy::is_changed_by, body: bodies::policies },
    BodyWriter { key: "config", is_changed: drop_in::is_changed_by, body: bodies::configuration_file },
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
    /// What the user should know of his objects in policy.yaml and beside it.
    pub(super) object_warnings: Vec<String>,
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
        let writer = WRITERS.iter().find(|writer| writer.key == row.key).expect("each row has one");
        let body = (writer.body)(&mut context);
        let there =
            target.present.document(row.key).filter(|_| !(writer.is_changed)(profile, &target.present));
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
        object_warnings: context.object_warnings(),
        requested: context.requested,
        merged: context.merged,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_the_table_has_its_writer() {
        assert!(ROWS.iter().map(|row| row.key).eq(WRITERS.iter().map(|writer| writer.key)));
    }
}
