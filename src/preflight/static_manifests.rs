// SPDX-License-Identifier: Apache-2.0
//! Admission plugins that take policies and webhooks from files: the field `staticManifestsDir` of their configuration.

use super::apiserver::{ApiServer, FileAt, NAME, dropped_field, in_file, refused};
use super::plugin_config::PluginConfig;
use super::{Finding, argument_files};
use crate::error::Result;
use crate::kubernetes::admission_objects::AdmissionObjects;
use crate::kubernetes::admission_parts::UnjudgedPart;
use crate::kubernetes::argument_files::FileContent;
use crate::kubernetes::object::{Fault, Located, MAX_FAULTS, Refusal};
use crate::kubernetes::static_manifests::{self, ENDINGS, FIELD, FIELD_FROM, GATE, StaticRefusal};
use crate::node::{EntryKind, RootedPath};

/// Checks the configuration of such a plugin; nothing for another plugin.
///
/// # Errors
/// A folder or file that cannot be read.
pub(super) fn check(server: &ApiServer<'_>, plugin: &str, config: &PluginConfig) -> Result<Vec<Finding>> {
    if !static_manifests::takes_files(plugin) {
        return Ok(Vec::new());
    }
    let minor = server.node.minor();
    let result = match config.decoded() {
        Ok(Some(document)) => static_manifests::read(&document, plugin, minor),
        Ok(None) => return Ok(Vec::new()),
        Err(_) if static_manifests::is_unread(plugin, minor) => Ok(None),
        Err(fault) => Err(Refusal { reason: StaticRefusal::Syntax, fault }),
    };
    match result {
        Ok(Some(read)) => {
            let dropped = read.dropped.iter();
            let mut findings: Vec<Finding> =
                dropped.map(|fault| dropped_field("static-manifests-field", &config.path, fault)).collect();
            if let Some(file) = &read.kubeconfig {
                let named = ("kubeConfigFile", file.value.as_str());
                let content = FileContent::KubeconfigOrNothing;
                let found = argument_files::content(server.node, NAME, named, content)?;
                findings.extend(found.map(|finding| finding.at(in_file(&config.path, file.position))));
            }
            if let Some(folder) = &read.folder {
                findings.extend(folder_findings(server, plugin, config, folder)?);
            }
            Ok(findings)
        }
        Ok(None) => {
            let message =
                format!("{plugin} reads no configuration before {FIELD_FROM}: nothing of it is in force");
            let finding = Finding::hardens_nothing(
                "static-manifests-unread",
                message,
                "write the policies as objects of the cluster",
            );
            Ok(vec![finding.at(in_file(&config.path, config.position))])
        }
        Err(refusal) => Ok(vec![refused_config(plugin, &config.path, &refusal)]),
    }
}

fn folder_findings(
    server: &ApiServer<'_>,
    plugin: &str,
    config: &PluginConfig,
    folder: &Located<String>,
) -> Result<Vec<Finding>> {
    let place = in_file(&config.path, folder.position);
    let says = |text: &str| format!("failed to initialize admission plugin {plugin:?}: {FIELD}: {text}");
    let stops = |code, message: String, remedy: String, text: &str| {
        Ok(vec![Finding::stops(code, message, remedy).at(place.clone()).says(says(text))])
    };
    if !server.has_gate(GATE) {
        return stops(
            "static-manifests-gate",
            format!("{FIELD} needs the feature gate {GATE}, which is off here"),
            format!("write feature-gates={GATE}=true into kube-apiserver-arg, or remove {FIELD}"),
            &format!("Forbidden: staticManifestsDir requires the {GATE} feature gate to be enabled"),
        );
    }
    let path = server.node.path(&folder.value)?;
    let text = match server.look(&path)? {
        FileAt::Directory => {
            return contents(server, plugin, &path);
        }
        FileAt::Nothing => format!("unable to read: stat {path}: no such file or directory"),
        FileAt::File(_) => "must be a directory".to_owned(),
    };
    stops(
        "static-manifests-folder",
        format!("{path}, which {FIELD} names, is no directory"),
        "make the directory, or name another one".to_owned(),
        &format!("Invalid value: {:?}: {text}", folder.value),
    )
}

/// Checks the files of a folder.
fn contents(server: &ApiServer<'_>, plugin: &str, folder: &RootedPath) -> Result<Vec<Finding>> {
    let mut objects = AdmissionObjects::new(plugin, server.node.minor());
    let mut unjudged = Vec::new();
    for (name, kind) in server.node.root.names_and_kinds(folder)? {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
        let is_read = ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
        if !is_read || kind == Some(EntryKind::Directory) {
            continue;
        }
        let path = folder.join(&name);
        let bytes = match server.look(&path)?.into_bytes(&path) {
            Ok(bytes) => bytes,
            Err(no_file) => {
                let message =
                    format!("{path} cannot be read: it is a link, and what it names {}", no_file.what);
                let finding = Finding::stops("static-manifests-object", message, "remove it");
                let says = format!("failed to read file {:?}: {}", path.to_string(), no_file.error);
                return Ok(vec![finding.at(in_file(&path, (1, 1))).says(says)]);
            }
        };
        match objects.add(&bytes, &path.to_string()) {
            Ok(parts) => unjudged.extend(parts.into_iter().map(|part| (path.clone(), part))),
            Err(fault) => return Ok(vec![refused_object(&path, &fault, &format!("error loading {path}: "))]),
        }
    }
    if let Err((file, fault)) = objects.check_references() {
        return Ok(vec![refused_object(&server.node.path(&file)?, &fault, "")]);
    }
    let mut findings: Vec<Finding> =
        unjudged.iter().take(MAX_FAULTS).map(|(path, part)| unjudged_part(path, part)).collect();
    // They choose the functions of another minor.
    let emulating = ["emulated-version", "min-compatibility-version"];
    if let Some(flag) = emulating.into_iter().find(|flag| server.flags.value(flag).is_some())
        && objects.is_filled()
    {
        let message = format!("which functions expressions may call with {flag} is not judged");
        let remedy = "try the policies on a test cluster of the same minor";
        findings.push(server.at(flag, Finding::unknown("static-manifests-specs", message, remedy)));
    }
    Ok(findings)
}

fn refused_object(path: &RootedPath, fault: &Fault, says: &str) -> Finding {
    let remedy = "fix the value as described in the message; the folder is for this plugin alone";
    refused("static-manifests-object", path, fault, says, remedy)
}

fn unjudged_part(path: &RootedPath, part: &UnjudgedPart) -> Finding {
    let message = format!("{} here is not judged: the API server stops where it refuses it", part.what);
    Finding::unknown("static-manifests-specs", message, "try it on a test cluster of the same minor")
        .at(in_file(path, part.position))
}

fn refused_config(plugin: &str, path: &RootedPath, refusal: &Refusal<StaticRefusal>) -> Finding {
    let (code, remedy) = match refusal.reason {
        StaticRefusal::Syntax => {
            ("static-manifests-syntax", "write the configuration as Kubernetes reads it")
        }
        StaticRefusal::Version => (
            "static-manifests-version",
            "write apiVersion: apiserver.config.k8s.io/v1, and the kind of this plugin's configuration",
        ),
        StaticRefusal::Field => {
            ("static-manifests-field", "spell the field exactly as Kubernetes does, and set it once")
        }
        StaticRefusal::Path => ("static-manifests-path", "write an absolute path"),
    };
    refused(
        code,
        path,
        &refusal.fault,
        &format!("failed to initialize admission plugin {plugin:?}: "),
        remedy,
    )
}
