// SPDX-License-Identifier: Apache-2.0
//! The places of K3s: the configuration file that is named, and the data directory.

use super::Finding;
use crate::Role;
use crate::error::{Place, Result};
use crate::k3s::{DataDir, NodeConfig, NodePaths};
use crate::node::PathState;
use crate::version::Availability;

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    findings.extend(config_file(node)?);
    findings.extend(kubeconfig_folder(node)?);
    findings.extend(data_dir(node)?);
    Ok(findings)
}

/// A server makes the folder of the administrator's kubeconfig (pkg/server/server.go, writeKubeConfig), and cannot make one
/// where a symlink leads to nothing.
fn kubeconfig_folder(node: &NodeConfig<'_>) -> Result<Option<Finding>> {
    let named = node.value("write-kubeconfig").filter(|(text, _)| !text.is_empty());
    let (path, place) = match named {
        Some((text, place)) => (node.path(text)?, Some(place)),
        None => (NodePaths::get().kubeconfig.clone(), None),
    };
    let Some(folder) = path.parent().filter(|_| node.role == Role::Server) else { return Ok(None) };
    if node.root.exists(&folder) || node.root.unreachable(&folder).is_some() {
        return Ok(None);
    }
    let mut above = Some(folder);
    while let Some(folder) = above {
        let parent = folder.parent();
        if parent.as_ref().is_none_or(|parent| node.root.exists(parent)) {
            let PathState::Symlink { .. } = node.root.look(&folder)? else { return Ok(None) };
            let message = format!(
                "{folder} is a symlink to nothing, so the server cannot write its kubeconfig below it"
            );
            let finding = Finding::stops("kubeconfig-folder", message, "remove it, or make what it leads to")
                .says(format!("mkdir {folder}: file exists"));
            let place = place.unwrap_or(Place { file: folder.to_string(), position: None });
            return Ok(Some(finding.at(place)));
        }
        above = parent;
    }
    Ok(None)
}

/// A configuration file that is named and that K3s does not read. That a release exits is in [`super::configuration`].
fn config_file(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let config = &node.config;
    let Some(place) = config.place() else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    if config.path.is_none() {
        let message = match config.text.as_str() {
            "" => "the name of K3s's configuration file is empty: K3s reads no configuration file".to_owned(),
            url => format!("K3s does not fetch {url}: it reads no configuration file"),
        };
        let remedy = "name a file, or leave the name out";
        findings.push(Finding::hardens_nothing("config-file-none", message, remedy).at(place.clone()));
    }
    match config.starts_without(node.root, node.release)? {
        Some(Availability::Differs { since }) => {
            let (file, minor) = (&config.text, node.minor());
            let message = format!(
                "{file} does not exist: K3s {since} and newer start without it, older releases of {minor} exit"
            );
            let remedy = "create the file, or name the version in full: --k3s-version v1.33.4+k3s1";
            findings.push(Finding::unknown("config-file-missing", message, remedy).at(place));
        }
        Some(Availability::Present) if config.path.is_some() => {
            let message = format!("{} does not exist: K3s starts without a configuration file", config.text);
            let remedy = "create the file, or name one that exists";
            findings.push(Finding::warns("config-file-missing", message, remedy).at(place));
        }
        _ => {}
    }
    Ok(findings)
}

fn data_dir(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    // The binary that starts K3s reads the variable before anything else (cmd/k3s/main.go, findDataDir).
    if let Some((text, origin)) = DataDir::relative_variable(&node.service, node.role, node.release) {
        let message = format!(
            "{text} is a relative path: the k3s binary does not find what it unpacks below it, and exits"
        );
        let finding = Finding::stops("data-dir-relative", message, "write an absolute path");
        let says = "exec: \"k3s-server\": cannot run executable found relative to current directory";
        let says = says.replace("server", &node.role.to_string());
        return Ok(vec![finding.at(origin.place()).says(says)]);
    }
    // That K3s cannot read its configuration is a finding of its own.
    let Ok(own) = &node.own_data_dir else { return Ok(findings) };
    let Some(place) = own.place() else { return Ok(findings) };
    if let Some(says) = &own.fault {
        let message =
            format!("K3s does not find the data directory {}, and exits: its service has no HOME", own.text);
        let remedy = "write the path without the home directory, or User=root into the unit";
        findings.push(Finding::stops("data-dir-home", message, remedy).at(place.clone()).says(says));
        return Ok(findings);
    }
    if let Some(doubt) = &own.doubt {
        let message = format!("unknown data directory of K3s: {doubt}");
        let remedy = format!("write data-dir: {} into K3s's configuration", own.path);
        findings.push(Finding::unknown("data-dir-uncertain", message, remedy).at(place.clone()));
    }
    if own.is_relative_word() {
        let (text, path) = (&own.text, &own.path);
        let message = format!(
            "{text} is a relative path: K3s keeps its data in {path}, but the k3s binary that starts it may not find what it unpacks there"
        );
        let remedy = format!("write it as {path}");
        findings.push(Finding::unknown("data-dir-relative", message, remedy).at(place));
    }
    Ok(findings)
}
