//! The table of the files that a node gets: where each goes, its mode, and what writes its body.

use std::collections::BTreeMap;

use serde::Serialize;
use tera::Context;

use super::drop_in::DropInContext;
use super::engine::Engine;
use super::header::{FileWriter, header};
use super::{DropIn, DropInMerge, MergedDropIn, PresentFiles, policy};
use crate::Role;
use crate::k3s;
use crate::kubernetes::kernel_parameters::{self, KernelParameter};
use crate::mode::FileMode;
use crate::node::RootedPath;
use crate::profile::{ArgumentTable, ControlId, Profile};

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
struct FileRow {
    key: &'static str,
    place: FileLocation,
    mode: FileMode,
    roles: &'static [Role],
    about: &'static str,
    body: fn(&mut RenderContext<'_>) -> Option<Body>,
}

/// Where a file goes.
enum FileLocation {
    /// A path of the node.
    Fixed(&'static str),
    /// A path below K3s' data directory.
    Data(&'static str),
    /// In the folder of drop-ins beside K3s' configuration file.
    DropIn,
}

/// The files in the order in which they are put there; the drop-in comes last, because it refers to the others.
const ROWS: &[FileRow] = &[
    FileRow {
        key: "sysctl",
        place: FileLocation::Fixed("/etc/sysctl.d/90-kubelet.conf"),
        mode: FileMode::PUBLIC_FILE,
        roles: BOTH,
        about: "Kernel parameters as the kubelet expects them.",
        body: kernel_parameters,
    },
    FileRow {
        key: "audit",
        place: FileLocation::Data("server/audit.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        about: "What the API server writes into its audit log.",
        body: audit_policy,
    },
    FileRow {
        key: "psa",
        place: FileLocation::Data("server/psa.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        about: "Configuration of the API server's admission plugins.",
        body: admission_configuration,
    },
    FileRow {
        key: "policy",
        place: FileLocation::Data("server/manifests/policy.yaml"),
        mode: FileMode::PRIVATE_FILE,
        roles: SERVER,
        about: "Objects that K3s puts into the cluster when it starts.",
        body: policies,
    },
    FileRow {
        key: "config",
        place: FileLocation::DropIn,
        mode: FileMode::PRIVATE_FILE,
        roles: BOTH,
        about: "K3s' configuration, for this role only: an agent exits on a server's keys.",
        body: drop_in,
    },
];
const SERVER: &[Role] = &[Role::Server];
const BOTH: &[Role] = &[Role::Server, Role::Agent];

/// Directories below K3s' data directory that have an exact mode on a server, with the control that each implements.
///
/// K3s makes `server` 0700 itself; a `mkdir -p -m 700` of something below it would leave it open to all.
const DIRECTORIES: [(&str, FileMode, &[&str]); 3] = [
    ("server", FileMode::PRIVATE_DIRECTORY, &[]),
    ("server/manifests", FileMode::PRIVATE_DIRECTORY, &[]),
    ("server/logs", FileMode::PRIVATE_DIRECTORY, &["audit-log-path"]),
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
}

impl RenderContext<'_> {
    /// Tells whether the run is about `controls`, or the node's document `key` is there already.
    fn wants_document(&self, controls: &[&str], key: &str) -> bool {
        self.profile.selection.wants(controls) || self.target.present.has_document(key)
    }

    /// Tells whether the run is about `controls`, or the node's psa.yaml configures `plugin` already.
    fn wants_plugin(&self, controls: &[&str], plugin: &str) -> bool {
        self.profile.selection.wants(controls) || self.target.present.has_admission_configuration(plugin)
    }
}

/// A file without its header, and the controls that it implements.
type Body = (String, Vec<ControlId>);

/// Renders the files of a node, in the order in which they are written, with the K3s configuration before and after
/// it is merged with the node's.
pub(super) fn render(profile: &Profile, target: &RenderTarget) -> (Vec<Document>, DropIn, MergedDropIn) {
    let mut templates = vec!["90-kubelet.conf.tera", "config.yaml.tera"];
    if target.role == Role::Server {
        templates.extend(["audit.yaml.tera", "psa.yaml.tera"]);
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
    };

    let mut documents = Vec::new();
    for row in ROWS.iter().filter(|row| row.roles.contains(&target.role)) {
        let Some((body, controls)) = (row.body)(&mut context) else { continue };
        context.written.push((row.key, controls.clone()));
        let text = header(FileWriter::K3sHarden, profile, row.about, &controls) + &body;
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
    data_dir: &RootedPath,
    documents: &[(&str, Vec<ControlId>)],
    present: &PresentFiles,
) -> DropIn {
    let pod_security_policies = policy::has_pod_security_policies(profile, present);
    let context = DropInContext { role, data_dir, documents, pod_security_policies, present };
    DropIn::new(profile, ArgumentTable::get(), context)
}

/// Returns the directories of a node that have an exact mode, and the controls that each implements.
pub(super) fn directories(profile: &Profile, target: &RenderTarget) -> Vec<RenderedDirectory> {
    let server = target.role == Role::Server;
    let rows = DIRECTORIES.iter().filter(|_| server);
    rows.map(|(name, mode, controls)| RenderedDirectory {
        path: target.data_dir.join(name),
        mode: *mode,
        controls: profile.ids(controls),
    })
    .collect()
}

/// Returns the path of every file that k3s-harden can write on a node, wanted or not, with its key.
#[must_use]
pub fn paths(config: &RootedPath, data_dir: &RootedPath) -> Vec<(&'static str, RootedPath)> {
    ROWS.iter().map(|row| (row.key, row.place.on_node(config, data_dir))).collect()
}

/// Returns the kernel parameters that the profile sets.
pub(super) fn sysctls(profile: &Profile) -> Vec<&'static KernelParameter> {
    let settings = &ArgumentTable::get().sysctl_settings;
    let is_written = |parameter: &&KernelParameter| {
        settings.get(&parameter.key).into_iter().flatten().all(|setting| profile.is_on(setting))
    };
    kernel_parameters::all().iter().filter(is_written).collect()
}

impl FileLocation {
    fn on_node(&self, config: &RootedPath, data_dir: &RootedPath) -> RootedPath {
        match self {
            Self::DropIn => drop_in_path(config),
            Self::Fixed(path) => RootedPath::fixed(path),
            Self::Data(path) => data_dir.join(path),
        }
    }
}

fn kernel_parameters(context: &mut RenderContext<'_>) -> Option<Body> {
    if !context.wants_document(&["protect-kernel-defaults"], "sysctl") {
        return None;
    }
    let rows = sysctls(context.profile);
    let parameters: Vec<Parameter<'_>> =
        rows.iter().map(|row| Parameter { key: &row.key, value: row.value }).collect();
    context.values.insert("sysctls", &parameters);
    (!rows.is_empty()).then(|| {
        let body = context.engine.render("90-kubelet.conf.tera", &context.values);
        (body, context.profile.ids(&["protect-kernel-defaults"]))
    })
}

fn audit_policy(context: &mut RenderContext<'_>) -> Option<Body> {
    context.wants_document(&["audit-policy"], "audit").then(|| {
        let own = context.target.audit_policy.clone();
        let body = own.unwrap_or_else(|| context.engine.render("audit.yaml.tera", &context.values));
        (body, context.profile.ids(&["audit-policy"]))
    })
}

/// From 1.25 on, when one of its two plugins is wanted.
fn admission_configuration(context: &mut RenderContext<'_>) -> Option<Body> {
    let profile = context.profile;
    // The settings of PodSecurity are null on minors without it.
    let pod_security = !profile.value("pod_security_enforce").is_null()
        && context.wants_plugin(&["pod-security"], "PodSecurity");
    let event_rate_limit =
        profile.is_on("event_rate_limit") && context.wants_plugin(&["event-rate-limit"], "EventRateLimit");
    if !pod_security && !event_rate_limit {
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
    context.values.insert("pod_security", &pod_security);
    context.values.insert("event_rate_limit", &event_rate_limit);
    context.values.insert("exempt_namespaces", &exempt);
    let mut controls: Vec<&str> = Vec::new();
    controls.extend(pod_security.then_some("pod-security"));
    controls.extend(event_rate_limit.then_some("event-rate-limit"));
    Some((context.engine.render("psa.yaml.tera", &context.values), profile.ids(&controls)))
}

fn policies(context: &mut RenderContext<'_>) -> Option<Body> {
    let (body, controls) =
        policy::render(&context.engine, context.profile, &context.target.present, &mut context.values);
    (!body.is_empty()).then(|| (body, context.profile.ids(&controls)))
}

fn drop_in(context: &mut RenderContext<'_>) -> Option<Body> {
    let RenderContext { profile, target, .. } = context;
    context.requested =
        configuration(profile, target.role, &target.data_dir, &context.written, &target.present);
    context.merged = target.drop_in_merge.merge(context.requested.clone());
    let configuration = &context.merged.configuration;
    context.values.insert("keys", &configuration.keys);
    context.values.insert("components", &configuration.components);
    (!configuration.is_empty())
        .then(|| (context.engine.render("config.yaml.tera", &context.values), configuration.ids()))
}

#[derive(Debug, Serialize)]
struct Parameter<'a> {
    key: &'a str,
    value: u64,
}
