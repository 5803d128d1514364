//! What should be, written out: the files of a hardened node.
//!
//! One table says which files there are, where they go and with which modes; a new one is a row and a
//! template. Every text in a template is quoted by the escape hook (see `quote`), so no reader takes it for a
//! number or a boolean. The output depends on the profile alone: no time, no host, no order of a hash map.

pub mod audit;
mod dropin;
mod engine;
mod policy;
mod quote;

use serde::Serialize;
use serde_json::{Map, Value};

pub use dropin::{Argument, Around, Component, Configuration, Key, join};
pub use policy::{BUILT_IN_NAMESPACES, warnings};
pub use quote::yaml_string;

use crate::Role;
use crate::node::{FileMode, RootedPath};
use crate::profile::{ArgumentTable, ControlId, Profile, SysctlRow};
use engine::Engine;

/// What is needed besides the profile to write the files of a node.
#[derive(Debug, Clone)]
pub struct Site {
    /// The node's role.
    pub role: Role,
    /// K3s' data directory.
    pub data_dir: RootedPath,
    /// The text of the user's own audit policy, checked, if there is one.
    pub audit_policy: Option<String>,
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

/// Our drop-in for K3s' configuration. Sorts after Rancher's 50-rancher.yaml: a later plain key would take
/// ours away.
pub const DROP_IN: &str = "/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";

/// Returns the directories of a node that have an exact mode, and the controls each serves.
///
/// K3s makes `server` 0700 itself; a `mkdir -p -m 700` of something below it would leave it open to all.
#[must_use]
pub fn directories(profile: &Profile, site: &Site) -> Vec<(RootedPath, FileMode, Vec<ControlId>)> {
    if site.role == Role::Agent {
        return Vec::new();
    }
    let logs = profile.ids(&["audit-log-path"]);
    [("server", Vec::new()), ("server/manifests", Vec::new()), ("server/logs", logs)]
        .into_iter()
        .map(|(name, controls)| (site.data_dir.join(name), FileMode::PRIVATE_DIRECTORY, controls))
        .collect()
}

/// Returns the kernel parameters that the profile wants.
#[must_use]
pub fn sysctls(profile: &Profile, table: &ArgumentTable) -> Vec<SysctlRow> {
    let on = |row: &&SysctlRow| row.settings.iter().all(|setting| profile.is_on(setting));
    table.sysctls.iter().filter(on).cloned().collect()
}

/// Writes the files of a node, in the order in which they are put there.
#[must_use]
pub fn documents(profile: &Profile, site: &Site) -> Vec<Document> {
    let table = ArgumentTable::load();
    let mut engine = Engine::new();
    let mut documents = Vec::new();
    let selection = &profile.selection;
    let mut add = |key, path, mode, about: &str, controls: Vec<ControlId>, body: &str| {
        let text = format!("{}{body}", header(profile, about, &controls));
        documents.push(Document { key, path, mode, controls, text });
    };

    if selection.wants::<&str>(&[]) || selection.wants(&["protect-kernel-defaults"]) {
        let body = engine.render(
            "90-kubelet.conf.tera",
            &Sysctls { sysctls: sysctls(profile, &table).iter().map(Pair::from).collect() },
        );
        let path = RootedPath::fixed("/etc/sysctl.d/90-kubelet.conf");
        let controls = profile.ids(&["protect-kernel-defaults"]);
        add(
            "sysctl",
            path,
            FileMode::PUBLIC_FILE,
            "Kernel parameters as the kubelet expects them.",
            controls,
            &body,
        );
    }
    let mut written: Vec<(&str, Vec<ControlId>)> = Vec::new();
    if site.role == Role::Server {
        let server = site.data_dir.join("server");
        if selection.wants(&["audit-policy"]) {
            let body = match &site.audit_policy {
                Some(text) => text.clone(),
                None => engine.render("audit.yaml.tera", &Settings { settings: &settings(profile) }),
            };
            let controls = profile.ids(&["audit-policy"]);
            written.push(("audit", controls.clone()));
            add(
                "audit",
                server.join("audit.yaml"),
                FileMode::PRIVATE_FILE,
                "What the API server writes into its audit log.",
                controls,
                &body,
            );
        }
        if let Some((body, controls)) = admission(profile, &table, &mut engine) {
            written.push(("psa", controls.clone()));
            add(
                "psa",
                server.join("psa.yaml"),
                FileMode::PRIVATE_FILE,
                "Configuration of the API server's admission plugins.",
                controls,
                &body,
            );
        }
        let (body, controls) = policy::render(&mut engine, profile);
        if !body.is_empty() {
            let controls = profile.ids(&controls);
            add(
                "policy",
                server.join("manifests/policy.yaml"),
                FileMode::PRIVATE_FILE,
                "Objects that K3s puts into the cluster when it starts.",
                controls,
                &body,
            );
        }
    }
    let configuration = configuration(profile, site.role, &site.data_dir, &written);
    if !configuration.is_empty() {
        let body = engine.render("config.yaml.tera", &configuration);
        let path = RootedPath::fixed(DROP_IN);
        let about = format!("K3s configuration of {} {}.", article(site.role), site.role);
        add("config", path, FileMode::PRIVATE_FILE, &about, configuration.ids(), &body);
    }
    documents
}

/// Returns the K3s configuration of a role; `documents` are the files that it refers to, by key and controls.
#[must_use]
pub fn configuration(
    profile: &Profile,
    role: Role,
    data_dir: &RootedPath,
    documents: &[(&str, Vec<ControlId>)],
) -> Configuration {
    let pod_security_policies = policy::has_pod_security_policies(profile);
    Configuration::new(
        profile,
        &ArgumentTable::load(),
        Around { role, data_dir, documents, pod_security_policies },
    )
}

/// Returns the paths that files of ours can have on a node, wanted or not.
#[must_use]
pub fn paths(data_dir: &RootedPath) -> Vec<RootedPath> {
    let server =
        ["audit.yaml", "psa.yaml", "manifests/policy.yaml"].map(|name| data_dir.join("server").join(name));
    let fixed = ["/etc/sysctl.d/90-kubelet.conf", DROP_IN].map(RootedPath::fixed);
    server.into_iter().chain(fixed).collect()
}

/// Renders a template that depends on nothing but `context`, with a header in front unless it is a script.
pub(crate) fn render(
    profile: &Profile,
    template: &str,
    about: &str,
    controls: &[ControlId],
    context: &impl Serialize,
) -> String {
    let body = Engine::new().render(template, context);
    // What other hands put in its place is not watched by us.
    let header =
        header(profile, about, controls).replace(MARK, "# Rendered by k3s-harden ").replace(WATCHED, "");
    match body.split_once('\n').filter(|(first, _)| first.starts_with("#!")) {
        Some((interpreter, rest)) => format!("{interpreter}\n{header}{rest}"),
        None => header + &body,
    }
}

/// Tells whether `bytes` begin with a header of ours.
#[must_use]
pub fn is_ours(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').take(4);
    lines.any(|line| line.starts_with(MARK.as_bytes()))
}

const MARK: &str = "# Written by k3s-harden ";
const WATCHED: &str = ", which replaces changes made here";

fn header(profile: &Profile, about: &str, controls: &[ControlId]) -> String {
    let controls = if controls.is_empty() { "none by itself".to_owned() } else { join(controls) };
    format!(
        "# {about}\n{MARK}{version} from profile {names}{WATCHED}.\n# CIS {benchmark}: {controls}\n",
        version = env!("CARGO_PKG_VERSION"),
        names = profile.names.join(" + "),
        benchmark = profile.benchmark,
    )
}

/// Renders psa.yaml: from 1.25 on, when one of its two plugins is wanted.
fn admission(
    profile: &Profile,
    table: &ArgumentTable,
    engine: &mut Engine,
) -> Option<(String, Vec<ControlId>)> {
    // The settings of PodSecurity are null on minors without it.
    let pod_security =
        !profile.value("pod_security_enforce").is_null() && profile.selection.wants(&["pod-security"]);
    let event_rate_limit =
        profile.is_on("event_rate_limit") && profile.selection.wants(&["event-rate-limit"]);
    if !pod_security && !event_rate_limit {
        return None;
    }
    let preset = profile.texts("pod_security_preset").concat();
    let mut exempt_namespaces = table.exempt_namespaces.get(&preset).cloned().unwrap_or_default();
    for namespace in profile.texts("pod_security_exempt_namespaces") {
        // The API server refuses to start on a name that is there twice.
        if !exempt_namespaces.contains(&namespace) {
            exempt_namespaces.push(namespace);
        }
    }
    let context =
        Admission { settings: &settings(profile), pod_security, event_rate_limit, exempt_namespaces };
    let mut controls: Vec<&str> = Vec::new();
    controls.extend(pod_security.then_some("pod-security"));
    controls.extend(event_rate_limit.then_some("event-rate-limit"));
    Some((engine.render("psa.yaml.tera", &context), profile.ids(&controls)))
}

/// Returns all settings by name, for templates.
fn settings(profile: &Profile) -> Map<String, Value> {
    profile.values.iter().map(|(name, resolved)| (name.clone(), resolved.value.clone())).collect()
}

fn article(role: Role) -> &'static str {
    match role {
        Role::Server => "a",
        Role::Agent => "an",
    }
}

#[derive(Debug, Serialize)]
struct Settings<'a> {
    settings: &'a Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct Admission<'a> {
    settings: &'a Map<String, Value>,
    pod_security: bool,
    event_rate_limit: bool,
    exempt_namespaces: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Sysctls {
    sysctls: Vec<Pair>,
}

#[derive(Debug, Serialize)]
struct Pair {
    key: String,
    value: u64,
}

impl From<&SysctlRow> for Pair {
    fn from(row: &SysctlRow) -> Self {
        Self { key: row.key.clone(), value: row.value }
    }
}
