// SPDX-License-Identifier: Apache-2.0
//! A provisioning cluster for Rancher: the guide's reference templates, with the resolved settings.
//!
//! The configuration that an agent takes too goes to every machine (machineSelectorConfig), the rest to the servers
//! (machineGlobalConfig), as in the guide. The files that the arguments name are in a Secret beside the cluster, and
//! machineSelectorFiles writes them on the machines (Rancher 2.7.2 and newer; rancher pkg/apis/rke.cattle.io/v1).

use serde::Serialize;
use serde_json::json;

use super::rendered_file::{RenderInput, RenderedFile, RenderedFiles};
use super::tree::{Tree, TreeFile};
use crate::Role;
use crate::document::{self, DropIn, DropInComponent, PresentFiles, RenderTarget};
use crate::error::Result;
use crate::k3s::{Datastore, RunningComponents};
use crate::mode::FileMode;
use crate::profile::{Origin, Profile};

#[derive(Debug, Serialize)]
struct RancherCluster<'a> {
    release: Option<&'a str>,
    pod_security_template: Option<&'static str>,
    server: DropIn,
    agent: DropIn,
    /// For servers.
    server_files: Vec<SelectorFile>,
    /// For every machine.
    files: Vec<SelectorFile>,
}

/// A file that Rancher writes on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct SelectorFile {
    key: String,
    path: String,
    mode: String,
    text: String,
}

pub(super) fn render(input: &RenderInput<'_>) -> Result<RenderedFiles> {
    let RenderInput { profile, target, release, .. } = *input;
    let mut warnings = Vec::new();
    let mut documents = Vec::new();
    if profile.selection.wants(&["audit-policy"]) {
        documents.push(("audit", profile.ids(&["audit-policy"])));
    }
    let health = ["api-anonymous-auth"];
    if profile.is_on("anonymous_health") && profile.selection.wants(&health) {
        documents.push(("authentication", profile.ids(&health)));
    }
    // Rancher writes the admission configuration itself, from the named template, and it has PodSecurity only.
    // The machines of a cluster run everything, whatever this one does.
    let configuration = |role| {
        let running = RunningComponents::of_role(role, Datastore::Etcd);
        document::configuration(
            profile,
            role,
            &running,
            &target.data_dir,
            &documents,
            &PresentFiles::default(),
        )
    };
    let agent = configuration(Role::Agent);
    let mut server = configuration(Role::Server);
    server.keys.retain(|key| !agent.keys.contains(key));
    server.components.retain(|component: &DropInComponent| !agent.components.contains(component));
    if profile.is_on("event_rate_limit") && profile.selection.wants(&["event-rate-limit"]) {
        warnings.push("EventRateLimit is left out: Rancher's admission configuration has no limits, and without them the API server does not start".to_owned());
    }
    if document::has_admission_policies(profile) {
        warnings.push(format!(
            "the policies of {} are left out: Rancher's admission configuration does not name their folder",
            document::ADMISSION_FOLDER
        ));
    }
    let pod_security_template = pod_security_template(profile, &mut warnings);
    warnings.extend(pod_security_template.and_then(|template| lost_settings(profile, template)));
    let mut controls = server.ids();
    controls.extend(agent.ids());
    controls.sort();
    controls.dedup();
    let (server_files, files) = files(input)?;
    if !server_files.is_empty() || !files.is_empty() {
        warnings.push(
            "its files are in a Secret, which `k3s-harden render --as rancher-files` writes: make that first"
                .to_owned(),
        );
    }
    let cluster = RancherCluster { release, pod_security_template, server, agent, server_files, files };
    let about = "A K3s cluster for Rancher to provision.";
    let text = document::render(profile, "rancher-cluster.yaml.tera", about, &controls, &cluster);
    let file = RenderedFile::new("rancher-cluster.yaml", FileMode::PRIVATE_FILE, text);
    Ok(RenderedFiles { warnings, ..RenderedFiles::one(file) })
}

/// Renders the Secret with the files, which must exist before the cluster.
pub(super) fn secret(input: &RenderInput<'_>) -> Result<RenderedFiles> {
    let (server_files, files) = files(input)?;
    let about = "The files that a K3s cluster of Rancher's brings to its machines.";
    let context = json!({"files": ([server_files, files].concat())});
    let text = document::render(input.profile, "rancher-files.yaml.tera", about, &[], &context);
    Ok(RenderedFiles::one(RenderedFile::new("rancher-files.yaml", FileMode::PRIVATE_FILE, text)))
}

/// Returns the files of servers and of every machine, without those that Rancher writes itself: the arguments and the
/// admission configuration.
fn files(input: &RenderInput<'_>) -> Result<(Vec<SelectorFile>, Vec<SelectorFile>)> {
    let running = RunningComponents::of_role(Role::Server, Datastore::Etcd);
    let server_site = RenderTarget { role: Role::Server, running, ..input.target.clone() };
    let tree = Tree::new(&RenderInput { target: &server_site, ..*input })?;
    let rancher_writes = |path: &str| {
        document::paths(&input.target.config, &input.target.data_dir).iter().any(|(key, its)| {
            (["config", "psa"].contains(key) || document::is_admission_file(key)) && its.as_str() == path
        })
    };
    let selector = |file: TreeFile| SelectorFile {
        key: file.path.rsplit('/').next().unwrap_or_default().to_owned(),
        path: file.path,
        mode: file.mode.to_string(),
        text: file.text,
    };
    let selected = tree.files.into_iter().filter(|file| !rancher_writes(&file.path)).map(selector);
    let data_dir = input.target.data_dir.as_str();
    Ok(selected.partition(|file: &SelectorFile| file.path.starts_with(data_dir)))
}

/// The settings of Pod Security that a template of Rancher's does not take.
const OF_TEMPLATE: [&str; 7] = [
    "pod_security_audit",
    "pod_security_warn",
    "pod_security_version",
    "pod_security_preset",
    "pod_security_exempt_namespaces",
    "pod_security_exempt_users",
    "pod_security_exempt_runtime_classes",
];

/// Returns a warning about the settings that somebody has set and that Rancher's template decides instead.
fn lost_settings(profile: &Profile, template: &str) -> Option<String> {
    let is_told =
        |name: &str| profile.values.get(name).is_some_and(|resolved| resolved.origin != Origin::Default);
    // The preset of that name is what the template exempts.
    let is_same = |name: &str| name == "pod_security_preset" && profile.value(name) == "rancher";
    let lost: Vec<&str> = OF_TEMPLATE.into_iter().filter(|name| is_told(name) && !is_same(name)).collect();
    (!lost.is_empty()).then(|| {
        format!(
            "{} {} left out: Rancher's template {template} has levels and exemptions of its own; write yours into a PodSecurityAdmissionConfigurationTemplate, and name that in the cluster object",
            lost.join(", "),
            if lost.len() == 1 { "is" } else { "are" }
        )
    })
}

/// Returns Rancher's own template for the Pod Security level; none if the profile sets no level or Rancher has none.
fn pod_security_template(profile: &Profile, warnings: &mut Vec<String>) -> Option<&'static str> {
    let level = profile
        .value("pod_security_enforce")
        .as_str()
        .filter(|_| profile.selection.wants(&["pod-security"]))?;
    match level {
        "restricted" => Some("rancher-restricted"),
        "privileged" => Some("rancher-privileged"),
        _ => {
            warnings.push(format!(
                "Rancher has no template for the Pod Security level {level}: name one of your own in the cluster object"
            ));
            None
        }
    }
}
