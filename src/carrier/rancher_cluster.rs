//! A provisioning cluster for Rancher: the guide's reference templates, with the resolved settings.
//!
//! What an agent takes too goes to every machine (machineSelectorConfig), the rest to the servers
//! (machineGlobalConfig), as the guide has it.

use serde::Serialize;

use super::{Carried, CarriedFile};
use crate::Role;
use crate::document::{self, Component, Configuration, Present, Site};
use crate::node::FileMode;
use crate::profile::Profile;

#[derive(Debug, Serialize)]
struct Cluster<'a> {
    release: Option<&'a str>,
    pod_security_template: Option<&'static str>,
    server: Configuration,
    agent: Configuration,
}

pub(super) fn render(profile: &Profile, site: &Site, release: Option<&str>) -> Carried {
    let mut warnings = Vec::new();
    let mut documents = Vec::new();
    if profile.selection.wants(&["audit-policy"]) {
        documents.push(("audit", profile.ids(&["audit-policy"])));
        warnings.push(format!(
            "audit.yaml must lie in {}/server on every server before K3s starts; the cluster object does not bring it",
            site.data_dir
        ));
    }
    // Rancher writes the admission configuration itself, from the named template, and it has PodSecurity only.
    let agent =
        document::configuration(profile, Role::Agent, &site.data_dir, &documents, &Present::default());
    let mut server =
        document::configuration(profile, Role::Server, &site.data_dir, &documents, &Present::default());
    server.keys.retain(|key| !agent.keys.contains(key));
    server.components.retain(|component: &Component| !agent.components.contains(component));
    if profile.is_on("event_rate_limit") && profile.selection.wants(&["event-rate-limit"]) {
        warnings.push("EventRateLimit is left out: Rancher's admission configuration has no limits, and without them the API server does not start".to_owned());
    }
    let pod_security_template = pod_security_template(profile, &mut warnings);
    let mut controls = server.ids();
    controls.extend(agent.ids());
    controls.sort();
    controls.dedup();
    let cluster = Cluster { release, pod_security_template, server, agent };
    let about = "A K3s cluster for Rancher to provision.";
    let text = document::render(profile, "rancher-cluster.yaml.tera", about, &controls, &cluster);
    let file = CarriedFile::new("rancher-cluster.yaml", FileMode::PRIVATE_FILE, text);
    Carried { warnings, ..Carried::one(file) }
}

/// Returns Rancher's own template for the Pod Security level; none where it is not wanted or has none.
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
