//! The table of the files that a node gets: where each goes, its mode, and what writes its body.

use std::collections::BTreeMap;

use serde::Serialize;
use tera::Context;

use super::engine::Engine;
use super::{DropIn, DropInMerge, MergedDropIn, PresentFiles, configuration, header, policy};
use crate::Role;
use crate::mode::FileMode;
use crate::node::RootedPath;
use crate::profile::{ArgumentTable, ControlId, Profile, SysctlRow};

/// Our drop-in for K3s' configuration. Sorts after Rancher's 50-rancher.yaml: a later plain key would take
/// ours away.
pub const DROP_IN: &str = "/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";

/// The node that files are written for: what the templates need besides the profile.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSite {
    /// The node's role.
    pub role: Role,
    /// K3s' data directory.
    pub data_dir: RootedPath,
    /// The text of the user's own audit policy, checked, if the profile names one.
    pub audit_policy: Option<String>,
    /// The parts of k3s-harden's files that the node has already; empty unless a run is limited to some controls.
    pub present: PresentFiles,
    /// How the drop-in merges with the user's configuration of K3s.
    pub placing: DropInMerge,
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
    /// The benchmark's numbers of the controls that it serves.
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
    /// The benchmark's numbers of the controls that it serves.
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
}

/// The files in the order in which they are put there; the drop-in comes last, because it refers to the others.
const ROWS: [FileRow; 5] = [
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
        place: FileLocation::Fixed(DROP_IN),
        mode: FileMode::PRIVATE_FILE,
        roles: BOTH,
        about: "K3s' configuration, for this role only: an agent exits on a server's keys.",
        body: drop_in,
    },
];
const SERVER: &[Role] = &[Role::Server];
const BOTH: &[Role] = &[Role::Server, Role::Agent];

/// Directories below K3s' data directory that have an exact mode on a server, with the control each serves.
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
    site: &'a NodeSite,
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
        self.profile.selection.wants(controls) || self.site.present.has_document(key)
    }

    /// Tells whether the run is about `controls`, or the node's psa.yaml configures `plugin` already.
    fn wants_plugin(&self, controls: &[&str], plugin: &str) -> bool {
        self.profile.selection.wants(controls) || self.site.present.has_admission_configuration(plugin)
    }
}

/// A file without its header, and the controls that it serves.
type Body = (String, Vec<ControlId>);

/// Renders the files of a node, in the order in which they are written, with the K3s configuration before and after
/// it is merged with the node's.
pub(super) fn render(profile: &Profile, site: &NodeSite) -> (Vec<Document>, DropIn, MergedDropIn) {
    let mut templates = vec!["90-kubelet.conf.tera", "config.yaml.tera"];
    if site.role == Role::Server {
        templates.extend(["audit.yaml.tera", "psa.yaml.tera"]);
        templates.extend(policy::templates(profile, &site.present));
    }
    let settings = profile.values.iter().map(|(name, resolved)| (name, &resolved.value));
    let mut values = Context::new();
    values.insert("settings", &settings.collect::<BTreeMap<_, _>>());
    let mut context = RenderContext {
        profile,
        site,
        engine: Engine::new(templates),
        values,
        written: Vec::new(),
        requested: DropIn::default(),
        merged: MergedDropIn::default(),
    };

    let mut documents = Vec::new();
    for row in ROWS.iter().filter(|row| row.roles.contains(&site.role)) {
        let Some((body, controls)) = (row.body)(&mut context) else { continue };
        context.written.push((row.key, controls.clone()));
        let text = header(profile, row.about, &controls) + &body;
        let path = row.place.below(&site.data_dir);
        documents.push(Document { key: row.key, path, mode: row.mode, controls, text });
    }
    (documents, context.requested, context.merged)
}

/// Returns the directories of a node that have an exact mode, and the controls each serves.
pub(super) fn directories(profile: &Profile, site: &NodeSite) -> Vec<RenderedDirectory> {
    let server = site.role == Role::Server;
    let rows = DIRECTORIES.iter().filter(|_| server);
    rows.map(|(name, mode, controls)| RenderedDirectory {
        path: site.data_dir.join(name),
        mode: *mode,
        controls: profile.ids(controls),
    })
    .collect()
}

/// Returns the paths that files of ours can have on a node, wanted or not, with their keys.
#[must_use]
pub fn paths(data_dir: &RootedPath) -> Vec<(&'static str, RootedPath)> {
    ROWS.iter().map(|row| (row.key, row.place.below(data_dir))).collect()
}

/// Returns the kernel parameters that the profile wants.
pub(super) fn sysctls(profile: &Profile) -> Vec<&'static SysctlRow> {
    let on = |row: &&SysctlRow| row.settings.iter().all(|setting| profile.is_on(setting));
    ArgumentTable::get().sysctls.iter().filter(on).collect()
}

impl FileLocation {
    fn below(&self, data_dir: &RootedPath) -> RootedPath {
        match self {
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
        let own = context.site.audit_policy.clone();
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
        policy::render(&context.engine, context.profile, &context.site.present, &mut context.values);
    (!body.is_empty()).then(|| (body, context.profile.ids(&controls)))
}

fn drop_in(context: &mut RenderContext<'_>) -> Option<Body> {
    let RenderContext { profile, site, .. } = context;
    context.requested = configuration(profile, site.role, &site.data_dir, &context.written, &site.present);
    context.merged = site.placing.place(context.requested.clone());
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
