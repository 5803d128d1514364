// SPDX-License-Identifier: Apache-2.0
//! Admission plugins that take policies and webhooks from files: the field `staticManifestsDir` of their configuration.

use super::apiserver::{ApiServer, FileAt, NAME, dropped_field, in_file, refused};
use super::plugin_config::PluginConfig;
use super::{Finding, argument_files};
use crate::error::Result;
use crate::kubernetes::argument_files::FileContent;
use crate::kubernetes::object::{Located, Refusal};
use crate::kubernetes::static_manifests::{
    self, ENDINGS, FIELD, FIELD_FROM, GATE, StaticObjects, StaticRefusal,
};
use crate::node::RootedPath;

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
            let mut objects = StaticObjects::default();
            return contents(server, plugin, &path, &mut objects);
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

/// Checks the files of a folder, as far as that goes without the schema of their objects.
fn contents(
    server: &ApiServer<'_>,
    plugin: &str,
    folder: &RootedPath,
    objects: &mut StaticObjects,
) -> Result<Vec<Finding>> {
    for name in server.node.root.names(folder)? {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
        if !ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
            continue;
        }
        let path = folder.join(&name);
        match server.look(&path)? {
            FileAt::Directory => {}
            FileAt::Nothing => {
                let message = format!("{path} cannot be read: it is a link to nothing");
                let finding = Finding::stops("static-manifests-object", message, "remove it");
                return Ok(vec![finding.at(in_file(&path, (1, 1)))]);
            }
            FileAt::File(bytes) => {
                if let Err(fault) = objects.add(&bytes, plugin) {
                    let says = format!("error loading {path}: ");
                    let remedy = "write it as the message says; the file is for this plugin alone";
                    return Ok(vec![refused("static-manifests-object", &path, &fault, &says, remedy)]);
                }
            }
        }
    }
    if objects.files == 0 {
        return Ok(Vec::new());
    }
    let message = format!(
        "the specs in {} files for {plugin} are not judged: the API server stops on one that it refuses",
        objects.files
    );
    let finding =
        Finding::unknown("static-manifests-specs", message, "try them on a test cluster of the same minor");
    Ok(vec![finding.at(in_file(folder, (1, 1)))])
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
        StaticRefusal::Field => ("static-manifests-field", "write the field as Kubernetes does, once"),
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
