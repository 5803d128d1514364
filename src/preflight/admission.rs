// SPDX-License-Identifier: Apache-2.0
//! The configuration of admission plugins, and what each plugin that is on needs of it.

use super::apiserver::{ApiServer, NoFile, dropped_field, in_file, refused, second_document};
use super::plugin_config::{FLAG, PluginConfig};
use super::{Finding, event_rate_limit, image_policy, plugin_configs, pod_security, static_manifests};
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::admission_config::{self, AdmissionConfig, AdmissionRefusal, PluginEntry};
use crate::kubernetes::admission_plugins::{self, CONFIGURABLE};
use crate::kubernetes::object::{MAX_FAULTS, Refusal};
use crate::kubernetes::static_manifests::takes_files;
use crate::node::RootedPath;

/// The configurations of the plugins that are on, by plugin.
type PluginConfigs<'c> = Vec<(&'c str, PluginConfig)>;

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(server) = ApiServer::configured(node) else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    let plugins = server.plugins();
    if !plugins.contains("PodSecurity") && !plugins.contains("PodSecurityPolicy") {
        let finding = Finding::hardens_nothing(
            "pod-security-disabled",
            "the admission plugin PodSecurity is switched off: any pod is admitted",
            "remove it from disable-admission-plugins",
        );
        findings.push(server.at("disable-admission-plugins", finding));
    }
    let Some(text) = server.flags.value(FLAG) else {
        check_configs(&server, &Vec::new(), &mut findings);
        return Ok(findings);
    };
    let path = node.path(text)?;
    let bytes = match server.look(&path)?.into_bytes(&path) {
        Ok(bytes) => bytes,
        Err(NoFile { what, error }) => {
            let finding = Finding::stops(
                "admission-file-missing",
                format!("the admission configuration {path} {what}"),
                format!("write it, or remove {FLAG}"),
            );
            let says = format!("unable to read admission control configuration from \"{path}\" [{error}]");
            findings.push(server.at(FLAG, finding.says(says)));
            return Ok(findings);
        }
    };
    match admission_config::read(&bytes, node.minor()) {
        Ok(config) => {
            findings
                .extend(config.dropped.iter().map(|fault| dropped_field("admission-field", &path, fault)));
            if let Some(position) = config.second_document {
                let remedy = "put all plugins into the first";
                findings.push(second_document("admission-second-document", &path, position, remedy));
            }
            let configs = check_entries(&server, &path, &config, &mut findings)?;
            check_configs(&server, &configs, &mut findings);
            for (plugin, config) in &configs {
                findings.extend(plugin_configs::check(plugin, config, node.minor()));
                findings.extend(static_manifests::check(&server, plugin, config)?);
                if *plugin == image_policy::PLUGIN {
                    findings.extend(image_policy::check(&server, config)?);
                }
            }
        }
        Err(refusal) => {
            // The older form is the configuration of this plugin itself.
            if matches!(refusal.reason, AdmissionRefusal::Legacy(_)) && plugins.contains(image_policy::PLUGIN)
            {
                findings.extend(image_policy::check(&server, &PluginConfig::whole(&path, &bytes))?);
            }
            findings.push(refused_config(&path, &refusal));
        }
    }
    Ok(findings)
}

fn refused_config(path: &RootedPath, refusal: &Refusal<AdmissionRefusal>) -> Finding {
    let (code, remedy) = match refusal.reason {
        AdmissionRefusal::Syntax => ("admission-syntax", "fix the YAML"),
        AdmissionRefusal::Version => (
            "admission-version",
            "write apiVersion: apiserver.config.k8s.io/v1 and kind: AdmissionConfiguration",
        ),
        AdmissionRefusal::Field => {
            ("admission-field", "spell the field exactly as Kubernetes does, and set it once")
        }
        AdmissionRefusal::Legacy(key) => {
            let finding = Finding::hardens_nothing(
                "admission-legacy",
                format!("a file with {key:?} configures only one plugin, and not PodSecurity"),
                "write an AdmissionConfiguration that has an entry for each plugin",
            );
            return finding.at(in_file(path, (1, 1)));
        }
    };
    refused(code, path, &refusal.fault, "failed to read plugin config: ", remedy)
}

/// Checks the entries of the plugins. Returns the configurations of those that are on.
fn check_entries<'c>(
    server: &ApiServer<'_>,
    path: &RootedPath,
    config: &'c AdmissionConfig,
    findings: &mut Vec<Finding>,
) -> Result<PluginConfigs<'c>> {
    let plugins = server.plugins();
    let mut configs: PluginConfigs<'c> = Vec::new();
    for entry in &config.plugins {
        let name = entry.name.as_str();
        let is_configured = configs.iter().any(|(known, _)| *known == name);
        if let Some(finding) = unread_entry(server, entry, is_configured) {
            if findings.len() <= MAX_FAULTS {
                findings.push(finding.at(in_file(path, entry.name_position)));
            }
            continue;
        }
        if !plugins.contains(name) {
            continue;
        }
        if entry.configuration.is_some() && !entry.path.is_empty() {
            let finding = Finding::warns(
                "admission-path-ignored",
                format!("{} is not read: the configuration in the entry counts", entry.path),
                "keep one of them",
            );
            findings.push(finding.at(in_file(path, entry.path_position)));
        }
        match PluginConfig::find(server, path, entry)? {
            Ok(config) => configs.push((name, config)),
            Err(finding) => findings.push(*finding),
        }
    }
    let is_secured = config.plugins.iter().any(|entry| entry.name == "PodSecurity");
    if plugins.contains("PodSecurity") && !plugins.contains("PodSecurityPolicy") && !is_secured {
        let finding = Finding::hardens_nothing(
            "pod-security-absent",
            "the file configures no PodSecurity: any pod is admitted",
            "add an entry with name: PodSecurity and a PodSecurityConfiguration",
        );
        findings.push(finding.at(in_file(path, config.plugins_position)));
    }
    Ok(configs)
}

/// Returns the finding for an entry that the API server does not read, if it does not.
fn unread_entry(server: &ApiServer<'_>, entry: &PluginEntry, is_configured: bool) -> Option<Finding> {
    let (name, minor) = (entry.name.as_str(), server.node.minor());
    if !admission_plugins::has(minor, name) {
        let remedy = admission_plugins::nearest(minor, name).map_or_else(
            || "write the name of an admission plugin of this minor".to_owned(),
            |nearest| format!("write {nearest}"),
        );
        let availability = admission_plugins::availability(minor, name);
        let message =
            format!("there is no admission plugin {name:?}{availability}: its configuration is not read");
        return Some(Finding::hardens_nothing("admission-plugin-name", message, remedy));
    }
    if is_configured {
        let message = format!("{name} has two entries: the API server reads only the first, not this one");
        return Some(Finding::warns("admission-plugin-twice", message, "keep one of them"));
    }
    let takes_files = takes_files(name);
    let is_known = takes_files || (name != "PodSecurity" && CONFIGURABLE.contains(&name));
    (is_known && !server.plugins().contains(name)).then(|| {
        let message = format!("{name} is configured, but not switched on");
        let remedy = match takes_files {
            true => format!("take {name} out of disable-admission-plugins"),
            false => format!("add {name} to enable-admission-plugins"),
        };
        Finding::hardens_nothing("admission-plugin-off", message, remedy)
    })
}

/// Checks the configurations that the plugins that are on have, or lack.
fn check_configs(server: &ApiServer<'_>, configs: &PluginConfigs<'_>, findings: &mut Vec<Finding>) {
    let plugins = server.plugins();
    let config = |name: &str| configs.iter().find(|(known, _)| *known == name).map(|(_, config)| config);
    // The finding for an entry whose own file is missing says enough.
    let missing = findings.iter().any(|finding| finding.code == "admission-path-missing");
    if let Some(config) = config("PodSecurity") {
        findings.extend(pod_security::check(config, server.node.minor()));
    }
    if plugins.contains("EventRateLimit") {
        match config("EventRateLimit") {
            Some(config) => findings.extend(event_rate_limit::check(config, server.node.minor())),
            None if missing => {}
            None => findings.push(event_rate_limit::without_limits(server)),
        }
    }
    if plugins.contains("ImagePolicyWebhook") && !missing {
        let is_given =
            config("ImagePolicyWebhook").is_some_and(|config| !matches!(config.document, Ok(None)));
        if !is_given {
            let remedy = format!(
                "add its configuration to the file that {FLAG} names, or take it out of enable-admission-plugins"
            );
            let message = "ImagePolicyWebhook is on without a configuration";
            let finding = Finding::stops("image-policy-webhook-configuration", message, remedy)
                .says("couldn't init admission plugin \"ImagePolicyWebhook\": no config specified");
            findings.push(server.at("enable-admission-plugins", finding));
        }
    }
}
