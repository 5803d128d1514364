// SPDX-License-Identifier: Apache-2.0
//! The kubelet's plugins for the credentials of images, which `image-credential-provider-config` and
//! `image-credential-provider-bin-dir` name: keys of K3s, and arguments of the kubelet.

use super::reader::{Answer, OwnReader};
use super::rules::OwnRule;
use crate::error::Result;
use crate::k3s::{NodeConfig, flags};
use crate::kubernetes::credential_providers::{self, TOKENS_GATE};
use crate::node::{PathKind, Root, RootedPath};
use crate::version::KubernetesMinor;

/// The first minor that wants a plugin to be a file that can be run (`exec.LookPath`); an older one wants it to be there.
const RUN_FROM: KubernetesMinor = KubernetesMinor::new(30);
/// The permission to run a file, of anybody.
const RUNS: u32 = 0o111;

/// The configuration of the plugins, if K3s hands it to the kubelet: the folder and the file are there.
pub(super) fn credential_providers(reader: &OwnReader<'_>, rule: &OwnRule) -> Result<Answer> {
    let [config, folder] = rule.keys.as_slice() else { return Ok(Answer::Fine) };
    let text = |key: &str| {
        reader.text(key).or_else(|| flags::default_text(key, reader.node.release)).unwrap_or_default()
    };
    let (config, folder) = (text(config), text(folder));
    if config.is_empty() || folder.is_empty() {
        return Ok(Answer::Fine);
    }
    let root = reader.node.root;
    if !root.is_directory(&reader.node.path(folder)?)
        || root.kind(&reader.node.path(config)?)? != PathKind::File
    {
        return Ok(Answer::Fine);
    }
    Ok(refused(reader.node, config, folder)?.map_or(Answer::Fine, |reason| Answer::because(config, reason)))
}

/// Returns why the kubelet refuses the configuration and the folder of the plugins that it gets; none if it takes them
/// (`RegisterCredentialProviderPlugins` in pkg/credentialprovider/plugin/plugin.go of Kubernetes).
///
/// # Errors
/// A file that cannot be read.
pub fn refused(node: &NodeConfig<'_>, config: &str, folder: &str) -> Result<Option<String>> {
    let root = node.root;
    let is_there = |kind| matches!(kind, PathKind::File | PathKind::Directory | PathKind::Other);
    // An empty name is no path: nothing is there.
    if folder.is_empty() || !is_there(root.kind(&node.path(folder)?)?) {
        return Ok(Some(format!("plugin binary directory {folder} did not exist")));
    }
    if config.is_empty() {
        return Ok(Some("credential provider config path is empty".to_owned()));
    }
    let path = node.path(config)?;
    let files = match root.kind(&path)? {
        PathKind::Directory if !credential_providers::takes_folder(node.minor()) => {
            return Ok(Some(format!("read {path}: is a directory")));
        }
        PathKind::Directory => files_in(root, &path)?,
        kind if is_there(kind) => vec![path.clone()],
        _ => return Ok(Some(format!("open {path}: no such file or directory"))),
    };
    if files.is_empty() {
        return Ok(Some(format!("no configuration files found in directory {path}")));
    }
    let mut texts = Vec::new();
    for file in &files {
        texts.push(root.read(file)?.unwrap_or_default());
    }
    let has_tokens = node.settings("kubelet").gate(TOKENS_GATE, node.minor()) == Some(true);
    match credential_providers::read(&texts, node.minor(), has_tokens) {
        Ok(names) => missing_plugin(node, &node.path(folder)?, &names),
        Err(reason) => Ok(Some(reason)),
    }
}

/// Returns the files of a folder that the kubelet reads.
fn files_in(root: &Root, folder: &RootedPath) -> Result<Vec<RootedPath>> {
    let mut found = Vec::new();
    for name in root.names(folder)?.iter().filter(|name| credential_providers::is_read(name)) {
        let path = folder.join(name);
        if !root.is_directory(&path) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Returns why a plugin cannot be run; none if all can.
fn missing_plugin(node: &NodeConfig<'_>, folder: &RootedPath, names: &[String]) -> Result<Option<String>> {
    for name in names {
        let path = folder.join(name);
        let runs = match node.root.kind(&path)? {
            PathKind::File | PathKind::Other => {
                let permissions = node.root.permissions(&path)?;
                node.minor() < RUN_FROM || permissions.is_some_and(|(mode, _)| mode.bits() & RUNS != 0)
            }
            PathKind::Directory => node.minor() < RUN_FROM,
            _ => false,
        };
        if !runs {
            return Ok(Some(format!("plugin binary executable {path} did not exist")));
        }
    }
    Ok(None)
}
