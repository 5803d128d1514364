// SPDX-License-Identifier: Apache-2.0
//! The policies that an API server loads from files, for readers who ask what it refuses from its first request on.
//! `static_manifests` judges whether it starts with them.

use super::apiserver::{ApiServer, FileAt};
use super::plugin_config::{FLAG, PluginConfig};
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::static_manifests::{self, ENDINGS, GATE};
use crate::kubernetes::{admission_config, manifest};
use crate::node::{RootedPath, sha256};

/// The policies in force.
#[derive(Debug)]
pub(crate) struct PolicyFiles {
    /// Their folder.
    pub(crate) folder: RootedPath,
    /// The hash of all files, as the API server's metrics show it.
    pub(crate) hash: String,
    /// The bindings in the files.
    pub(crate) bindings: Vec<StaticBinding>,
}

/// A binding of a policy that is in the same folder.
#[derive(Debug)]
pub(crate) struct StaticBinding {
    /// The name of the policy.
    pub(crate) policy: String,
    /// What is done with what the policy is against, such as Deny.
    pub(crate) actions: Vec<String>,
    /// The file.
    pub(crate) path: RootedPath,
}

impl PolicyFiles {
    /// Reads the files of an API server with these flags (names without dashes, and values); none if its admission plugin for
    /// policies loads none, or would not start with them.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn read(
        node: &NodeConfig<'_>,
        flags: Vec<(String, String)>,
        plugin: &str,
    ) -> Result<Option<Self>> {
        let server = ApiServer::with(node, flags);
        if !server.plugins().contains(plugin) || !server.has_gate(GATE) {
            return Ok(None);
        }
        let Some(folder) = folder(&server, plugin)? else { return Ok(None) };
        let (mut bindings, mut policies, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for name in server.node.root.names(&folder)? {
            let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
            let path = folder.join(&name);
            let is_read = ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
            let FileAt::File(bytes) = server.look(&path)? else { continue };
            if !is_read || bytes.is_empty() {
                continue;
            }
            all.extend_from_slice(&bytes);
            all.push(0);
            let Ok(objects) = manifest::read(&bytes) else { return Ok(None) };
            for object in objects {
                let value = object.value;
                let text = |pointer: &str| {
                    value.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
                };
                if text("/kind") == plugin {
                    policies.push(text("/metadata/name"));
                    continue;
                }
                let actions = value.pointer("/spec/validationActions").and_then(serde_json::Value::as_array);
                let actions = actions.into_iter().flatten().filter_map(serde_json::Value::as_str);
                let actions = actions.map(str::to_owned).collect();
                bindings.push(StaticBinding {
                    policy: text("/spec/policyName"),
                    actions,
                    path: path.clone(),
                });
            }
        }
        bindings.retain(|binding| policies.contains(&binding.policy));
        Ok(Some(Self { folder, hash: format!("sha256:{}", sha256(&all)), bindings }))
    }
}

/// Returns the folder that the configuration of the plugin names.
fn folder(server: &ApiServer<'_>, plugin: &str) -> Result<Option<RootedPath>> {
    let Some(text) = server.flags.value(FLAG) else { return Ok(None) };
    let path = server.node.path(text)?;
    let FileAt::File(bytes) = server.look(&path)? else { return Ok(None) };
    let minor = server.node.minor();
    let Ok(config) = admission_config::read(&bytes, minor) else { return Ok(None) };
    let Some(entry) = config.plugins.iter().find(|entry| entry.name == plugin) else { return Ok(None) };
    let Ok(found) = PluginConfig::find(server, &path, entry)? else { return Ok(None) };
    let Ok(Some(document)) = found.decoded() else { return Ok(None) };
    let Ok(Some(read)) = static_manifests::read(&document, plugin, minor) else { return Ok(None) };
    let Some(named) = read.folder else { return Ok(None) };
    let folder = server.node.path(&named.value)?;
    Ok(matches!(server.look(&folder)?, FileAt::Directory).then_some(folder))
}
