// SPDX-License-Identifier: Apache-2.0
//! The table of the files that a node gets: where each goes, its mode, and what writes its body.

use std::collections::BTreeMap;

use serde::Serialize;
use tera::Context;

use super::drop_in::DropInContext;
use super::engine::Engine;
use super::excluded::Exclusion;
use super::header::{FileWriter, has_header, header};
use super::{
    DropIn, DropInMerge, MergedDropIn, PresentFiles, admission, admission_files, anonymous_health, drop_in,
    policy,
};
use crate::Role;
use crate::k3s::{self, RunningComponents};
use crate::kubernetes::kernel_parameters::{self, KernelParameter};
use crate::mode::FileMode;
use crate::node::RootedPath;
use crate::profile::{ArgumentTable, ControlId, ControlSelection, Profile};

/// The name of the drop-in for K3s' configuration. It sorts after Rancher's 50-rancher.yaml, where a later plain key
/// would replace its keys.
pub const DROP_IN_NAME: &str = "90-k3s-harden.yaml";

/// Returns the path of the drop-in beside a configuration file of K3s.
#[must_use]
pub fn drop_in_path(config: &RootedPath) -> RootedPath {
    k3s::drop_ins(config).join(DROP_IN_NAME)
}

/// The node that files are written for: what the templates need besides the profile.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderTarget {
    /// The node's role.
    pub role: Role,
    /// The configuration file that K3s reads: the drop-in goes beside it.
    pub config: RootedPath,
    /// What runs on it: what only another component reads is not written.
    pub running: RunningComponents,
    /// K3s' data directory.
    pub data_dir: RootedPath,
    /// The text of the user's own audit policy, checked, if the profile names one.
    pub audit_policy: Option<String>,
    /// The parts of k3s-harden's files that the node has already; empty unless a run is limited to some controls.
    pub present: PresentFiles,
    /// How the drop-in merges with the user's configuration of K3s.
    pub drop_in_merge: DropInMerge,
}

/// A file of a hardened node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its key, such as audit.
    pub key: &'static str,
    /// Where it goes.
    pub path: RootedPath,
    /// Its exact mode.
    pub mode: FileMode,
    /// The benchmark's numbers of the controls that it implements.
    pub controls: Vec<ControlId>,
    /// Its content.
    pub text: String,
}

/// A directory of a hardened node that has an exact mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedDirectory {
    /// Where it is.
    pub path: RootedPath,
    /// Its mode.
    pub mode: FileMode,
    /// The benchmark's numbers of the controls that it implements.
    pub controls: Vec<ControlId>,
}

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

/// The files in the order in which they are put there; the drop-in comes last, because it refers to the others.
pub(super) const ROWS: &[FileRow] = &[
    FileRow {
        key: "sysctl",
        place: FileLocation::Fixed("/etc/sysctl.d/90-kubelet.conf"),
        mode: FileMode::PUBLIC_FILE,
        roles: BOTH,
        component: Some("kubelet"),
        about: "Kernel parameters as the kubelet expects them.",
        is_changed: |profile, _| profile.selection.wants(&[KERNEL]),
        body: kernel_parameters,
    },
    FileRow {
        key: "audit",
        place: FileLocation::Data("server/audit.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "What the API server writes into its audit log.",
        is_changed: |profile, _| profile.selection.wants(&["audit-policy"]),
        body: audit_policy,
    },
    FileRow {
        key: admission_files::ACCESS,
        place: FileLocation::Data("server/admission.d/access.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "What the API server refuses, or warns of, before it serves its first request: access rights.",
        is_changed: |profile, present| admission::is_changed_by(admission_files::ACCESS, profile, present),
        body: |context| admission_policies(admission_files::ACCESS, context),
    },
    FileRow {
        key: admission_files::PODS,
        place: FileLocation::Data("server/admission.d/pods.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "What the API server refuses, or warns of, before it serves its first request: pods.",
        is_changed: |profile, present| admission::is_changed_by(admission_files::PODS, profile, present),
        body: |context| admission_policies(admission_files::PODS, context),
    },
    FileRow {
        key: admission_files::SERVICES,
        place: FileLocation::Data("server/admission.d/services.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "What the API server refuses, or warns of, before it serves its first request: Services.",
        is_changed: |profile, present| admission::is_changed_by(admission_files::SERVICES, profile, present),
        body: |context| admission_policies(admission_files::SERVICES, context),
    },
    // It names the folder of the policies, so it comes after them.
    FileRow {
        key: "psa",
        place: FileLocation::Data("server/psa.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "Configuration of the API server's admission plugins.",
        is_changed: |profile, _| wants_admission_configuration(profile),
        body: admission_configuration,
    },
    FileRow {
        key: anonymous_health::DOCUMENT,
        place: FileLocation::Data("server/authentication.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("kube-apiserver"),
        about: "Which paths of the API server are open without a login.",
        is_changed: |profile, _| profile.selection.wants(&[anonymous_health::CONTROL]),
        body: authentication_configuration,
    },
    FileRow {
        key: "policy",
        place: FileLocation::Data("server/manifests/policy.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        component: Some("deploy-controller"),
        about: "Objects that K3s puts into the cluster when it starts.",
        is_changed: policy::is_changed_by,
        body: policies,
    },
    FileRow {
        key: "config",
        place: FileLocation::DropIn,
        mode: FileMode::PRIVATE_FILE,
        roles: BOTH,
        component: None,
        about: "K3s' configuration, for this role only: an agent exits on a server's keys.",
        is_changed: drop_in::is_changed_by,
        body: configuration_file,
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

/// What the functions that write a body share.
struct RenderContext<'a> {
    profile: &'a Profile,
    target: &'a RenderTarget,
    engine: Engine,
    /// The values that templates read: all settings, and what a function adds for its template.
    values: Context,
    /// The documents written so far, by key, with the controls that each implements: the drop-in refers to them.
    written: Vec<(&'a str, Vec<ControlId>)>,
    /// The K3s configuration that the profile sets, before and after it is merged with the node's.
    requested: DropIn,
    merged: MergedDropIn,
    /// What the user's arguments leave of the authentication configuration.
    exclusion: Exclusion,
}

impl RenderContext<'_> {
    /// Tells whether the run is about `controls`, or the node's document `key` is there already.
    fn wants_document(&self, controls: &[&str], key: &str) -> bool {
        self.profile.selection.wants(controls) || self.target.present.has_document(key)
    }

    /// Returns what psa.yaml has for an admission plugin, if it has anything: `rendered` if the run is about its control.
    fn admission_plugin(&self, control: &str, plugin: &str, is_on: bool) -> Option<PluginText> {
        let present = self.target.present.admission_plugins();
        if self.profile.selection.wants(&[control]) {
            return is_on.then_some(PluginText::Rendered);
        }
        match present {
            Some(plugins) => {
                let entry = plugins.iter().find(|(name, _)| name == plugin);
                entry.map(|(_, text)| PluginText::Kept(text.clone()))
            }
            // The file cannot be taken apart: nothing of it is removed.
            None => is_on.then_some(PluginText::Rendered),
        }
    }

    /// Tells whether the files with policies are there after the run, some of them at least.
    fn has_policies(&self) -> bool {
        let is_left = |row: &FileRow| {
            let present = &self.target.present;
            present.has_document(row.key) && !(row.is_changed)(self.profile, present)
        };
        self.written.iter().any(|(key, _)| admission_files::is_admission_file(key))
            || ROWS.iter().any(|row| admission_files::is_admission_file(row.key) && is_left(row))
    }
}

/// The text of an admission plugin in psa.yaml.
enum PluginText {
    /// That of the template.
    Rendered,
    /// What the node has.
    Kept(String),
}

impl PluginText {
    fn kept(text: Option<&Self>) -> &str {
        match text {
            Some(Self::Kept(text)) => text,
            _ => "",
        }
    }
}

/// A file without its header, and the controls that it implements.
type Body = (String, Vec<ControlId>);

/// Renders the files of a node, in the order in which they are written, with the K3s configuration before and after
/// it is merged with the node's.
pub(super) fn render(profile: &Profile, target: &RenderTarget) -> (Vec<Document>, DropIn, MergedDropIn) {
    let mut templates = vec!["90-kubelet.conf.tera", "config.yaml.tera"];
    if target.role == Role::Server {
        templates.extend(["audit.yaml.tera", "psa.yaml.tera", "authentication.yaml.tera"]);
        templates.extend(admission::templates());
        templates.extend(policy::templates(profile, &target.present));
    }
    let settings = profile.values.iter().map(|(name, resolved)| (name, &resolved.value));
    let mut values = Context::new();
    values.insert("settings", &settings.collect::<BTreeMap<_, _>>());
    let mut context = RenderContext {
        profile,
        target,
        engine: Engine::new(templates),
        values,
        written: Vec::new(),
        requested: DropIn::default(),
        merged: MergedDropIn::default(),
        exclusion: Exclusion::default(),
    };

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
            (None, Some((body, controls))) => {
                (header(FileWriter::K3sHarden, profile, row.about, &controls) + &body, controls)
            }
        };
        context.written.push((row.key, controls.clone()));
        let path = row.place.on_node(&target.config, &target.data_dir);
        documents.push(Document { key: row.key, path, mode: row.mode, controls, text });
    }
    (documents, context.requested, context.merged)
}

/// Returns the K3s configuration of a role; `documents` are the files that it refers to, by key and controls.
#[must_use]
pub fn configuration(
    profile: &Profile,
    role: Role,
    running: &RunningComponents,
    data_dir: &RootedPath,
    documents: &[(&str, Vec<ControlId>)],
    present: &PresentFiles,
) -> DropIn {
    let pod_security_policies = policy::has_pod_security_policies(profile, present);
    let context = DropInContext { role, running, data_dir, documents, pod_security_policies, present };
    DropIn::new(profile, ArgumentTable::get(), context)
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

/// Returns the path of every file that k3s-harden can write on a node, wanted or not, with its key.
#[must_use]
pub fn paths(config: &RootedPath, data_dir: &RootedPath) -> Vec<(&'static str, RootedPath)> {
    ROWS.iter().map(|row| (row.key, row.place.on_node(config, data_dir))).collect()
}

/// Returns the kernel parameters that the profile sets in the running kernel; none if the run is not about them.
pub(super) fn live_sysctls(profile: &Profile, running: &RunningComponents) -> Vec<&'static KernelParameter> {
    if profile.selection.wants(&[KERNEL]) { sysctls(profile, running) } else { Vec::new() }
}

/// Returns the kernel parameters that the profile sets on a node, for its kubelet.
fn sysctls(profile: &Profile, running: &RunningComponents) -> Vec<&'static KernelParameter> {
    if !running.has("kubelet") {
        return Vec::new();
    }
    let settings = &ArgumentTable::get().sysctl_settings;
    let is_written = |parameter: &&KernelParameter| {
        settings.get(&parameter.key).into_iter().flatten().all(|setting| profile.is_on(setting))
    };
    kernel_parameters::all().iter().filter(is_written).collect()
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

/// The control of the kernel parameters.
const KERNEL: &str = "protect-kernel-defaults";
/// The admission plugins that psa.yaml configures, with their controls.
const ADMISSION_PLUGINS: [(&str, &str); 2] =
    [("pod-security", "PodSecurity"), ("event-rate-limit", "EventRateLimit")];

fn wants_admission_configuration(profile: &Profile) -> bool {
    ADMISSION_PLUGINS.iter().any(|(control, _)| profile.selection.wants(&[control]))
        || wants_policies(profile)
}

/// Tells whether the run is about a policy of the API server's own files.
fn wants_policies(profile: &Profile) -> bool {
    admission::controls().iter().any(|control| profile.selection.wants(&[control]))
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

fn kernel_parameters(context: &mut RenderContext<'_>) -> Option<Body> {
    if !context.wants_document(&[KERNEL], "sysctl") {
        return None;
    }
    let rows = sysctls(context.profile, &context.target.running);
    let parameters: Vec<Parameter<'_>> =
        rows.iter().map(|row| Parameter { key: &row.key, value: row.value }).collect();
    context.values.insert("sysctls", &parameters);
    (!rows.is_empty()).then(|| {
        let body = context.engine.render("90-kubelet.conf.tera", &context.values);
        (body, context.profile.ids(&[KERNEL]))
    })
}

fn audit_policy(context: &mut RenderContext<'_>) -> Option<Body> {
    context.wants_document(&["audit-policy"], "audit").then(|| {
        let own = context.target.audit_policy.clone();
        let body = own.unwrap_or_else(|| context.engine.render("audit.yaml.tera", &context.values));
        (body, context.profile.ids(&["audit-policy"]))
    })
}

fn admission_policies(key: &'static str, context: &mut RenderContext<'_>) -> Option<Body> {
    let RenderContext { profile, target, engine, values, .. } = context;
    let (body, controls) = admission::render(key, engine, profile, &target.present, values);
    (!body.is_empty()).then(|| (body, profile.ids(&controls)))
}

/// From 1.25 on, when one of its plugins is wanted.
fn admission_configuration(context: &mut RenderContext<'_>) -> Option<Body> {
    let profile = context.profile;
    // Without a part that the run is about there is nothing to write beside a file in another data directory.
    if !wants_admission_configuration(profile) && !context.target.present.has_document("psa") {
        return None;
    }
    // The settings of PodSecurity are null on minors without it.
    let has_pod_security = !profile.value("pod_security_enforce").is_null();
    let pod_security = context.admission_plugin("pod-security", "PodSecurity", has_pod_security);
    let is_on = profile.is_on("event_rate_limit");
    let event_rate_limit = context.admission_plugin("event-rate-limit", "EventRateLimit", is_on);
    let policies = match context.target.present.admission_plugins() {
        Some(plugins) if !wants_policies(profile) => {
            let entry = plugins.iter().find(|(name, _)| name == admission::POLICY_PLUGIN);
            entry.map(|(_, text)| PluginText::Kept(text.clone()))
        }
        _ => context.has_policies().then_some(PluginText::Rendered),
    };
    if pod_security.is_none() && event_rate_limit.is_none() && policies.is_none() {
        return None;
    }
    let preset = profile.texts("pod_security_preset").concat();
    let mut exempt = ArgumentTable::get().exempt_namespaces.get(&preset).cloned().unwrap_or_default();
    for namespace in profile.texts("pod_security_exempt_namespaces") {
        // The API server refuses to start on a name that is there twice.
        if !exempt.contains(&namespace) {
            exempt.push(namespace);
        }
    }
    context.values.insert("kept_pod_security", PluginText::kept(pod_security.as_ref()));
    context.values.insert("kept_event_rate_limit", PluginText::kept(event_rate_limit.as_ref()));
    context.values.insert("kept_policies", PluginText::kept(policies.as_ref()));
    context.values.insert("policies", &policies.is_some());
    let folder = context.target.data_dir.join(admission_files::ADMISSION_FOLDER);
    context.values.insert("policies_folder", folder.as_str());
    let (pod_security, event_rate_limit) = (pod_security.is_some(), event_rate_limit.is_some());
    context.values.insert("pod_security", &pod_security);
    context.values.insert("event_rate_limit", &event_rate_limit);
    context.values.insert("exempt_namespaces", &exempt);
    let mut controls: Vec<&str> = Vec::new();
    controls.extend(pod_security.then_some("pod-security"));
    controls.extend(event_rate_limit.then_some("event-rate-limit"));
    let mut ids = profile.ids(&controls);
    if policies.is_some() {
        let written = context.written.iter().filter(|(key, _)| admission_files::is_admission_file(key));
        let mut of_policies: Vec<ControlId> = written.flat_map(|(_, ids)| ids).cloned().collect();
        of_policies.sort();
        of_policies.dedup();
        context.written.push((admission_files::ANY, of_policies.clone()));
        ids.extend(of_policies);
        ids.sort();
        ids.dedup();
    }
    Some((context.engine.render("psa.yaml.tera", &context.values), ids))
}

/// From 1.32 on, unless the user's arguments exclude it. A run that is not about it takes no decision anew.
fn authentication_configuration(context: &mut RenderContext<'_>) -> Option<Body> {
    let RenderContext { profile, target, .. } = *context;
    let control = [anonymous_health::CONTROL];
    if !profile.is_on(anonymous_health::SETTING)
        || !context.wants_document(&control, anonymous_health::DOCUMENT)
    {
        return None;
    }
    let rows = &ArgumentTable::get().arguments;
    let row = rows.iter().find(|row| row.document.as_deref() == Some(anonymous_health::DOCUMENT))?;
    if profile.selection.wants(&control) {
        let value = drop_in::text_of(&row.value, profile, &target.data_dir).unwrap_or_default();
        context.exclusion = target.drop_in_merge.exclusion(row, &value, anonymous_health::SETTING);
    }
    context.exclusion.left.is_none().then(|| {
        context.values.insert("authentication_version", anonymous_health::api_version(profile.minor));
        (context.engine.render("authentication.yaml.tera", &context.values), profile.ids(&control))
    })
}

fn policies(context: &mut RenderContext<'_>) -> Option<Body> {
    let (body, controls) =
        policy::render(&context.engine, context.profile, &context.target.present, &mut context.values);
    (!body.is_empty()).then(|| (body, context.profile.ids(&controls)))
}

fn configuration_file(context: &mut RenderContext<'_>) -> Option<Body> {
    let RenderContext { profile, target, .. } = context;
    let mut requested = configuration(
        profile,
        target.role,
        &target.running,
        &target.data_dir,
        &context.written,
        &target.present,
    );
    if let Some((_, ids)) = context.written.iter().find(|(key, _)| *key == admission_files::ANY) {
        requested.set_gates_that_are_off(profile, &target.drop_in_merge.existing, ids);
    }
    context.requested = requested;
    context.merged = target.drop_in_merge.merge(context.requested.clone());
    context.merged.conflicts.append(&mut context.exclusion.conflicts);
    context.merged.excluded.extend(context.exclusion.left.take());
    let configuration = &context.merged.configuration;
    context.values.insert("keys", &configuration.keys);
    context.values.insert("components", &configuration.components);
    context.values.insert("left", &context.merged.left);
    // What is left to other files is said also where nothing else is.
    (!configuration.is_empty() || !context.merged.left.is_empty())
        .then(|| (context.engine.render("config.yaml.tera", &context.values), configuration.ids()))
}

#[derive(Debug, Serialize)]
struct Parameter<'a> {
    key: &'a str,
    value: u64,
}
