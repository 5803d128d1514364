// SPDX-License-Identifier: Apache-2.0
//! The network that wires the pods of a node: K3s's flannel, or the first CNI configuration that the container runtime reads
//! (data/cni-plugins.yaml).
//!
//! Sources: pkg/executor/embed and pkg/agent/templates of K3s (containerd reads `agent/etc/cni/net.d` with flannel, and its own
//! default without); loadFromConfDir in opts.go of containerd/go-cni (the first file by name counts, and one that cannot be
//! read ends the search).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::flags;
use super::node_config::NodeConfig;
use super::node_paths::NodePaths;
use crate::embedded;
use crate::error::{Place, Result};
use crate::node::{EntryKind, RootedPath};

/// K3s's key for the backend of its flannel.
pub(super) const BACKEND: &str = "flannel-backend";
/// K3s's key for a configuration of the user's own, in place of flannel's, and the file that it becomes.
const FLANNEL_FILE: &str = "flannel-cni-conf";
const OWN_FILE: &str = "10-flannel.conflist";
/// The endings of the files that the container runtime reads as CNI configurations.
const ENDINGS: [&str; 3] = [".conf", ".conflist", ".json"];
/// The ending of a list of plugins; any other file is one plugin.
const LIST: &str = ".conflist";
/// The key of containerd's configuration that names the folder of CNI configurations.
const FOLDER_KEY: &str = "conf_dir";
/// What K3s puts into its template for its own folder.
const OWN_FOLDER: &str = "CNIConfDir";

/// A row of data/cni-plugins.yaml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CniPlugin {
    plugin: String,
    #[serde(default)]
    with: BTreeMap<String, String>,
    /// What users call it.
    pub(super) network: String,
    enforces: Option<bool>,
    #[serde(default)]
    beside: bool,
    #[serde(default)]
    delegates: bool,
    /// The container that enforces, in a DaemonSet.
    pub(super) container: Option<String>,
    /// The arguments with which it does not.
    #[serde(default)]
    pub(super) off: Vec<String>,
    /// Whether it filters whatever wires the pods.
    #[serde(default)]
    pub(super) any_network: bool,
}

/// What wires the pods of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodNetwork {
    /// What it makes of NetworkPolicies.
    pub(super) kind: NetworkKind,
    /// How that is known, as a sentence.
    pub(super) text: String,
    /// Where it is written.
    pub(super) place: Option<Place>,
    /// The backend of K3s's flannel, where that wires the pods.
    pub(super) flannel: Option<String>,
}

/// What a network makes of NetworkPolicies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NetworkKind {
    /// It enforces them: the name of the network.
    Enforces(&'static str),
    /// It enforces none, and its packets go through iptables, where others can filter them.
    Plain,
    /// A configuration that does not say it.
    NotSaid,
    /// There is no configuration on this machine.
    NotHere,
}

/// Returns the rows of the table.
pub(super) fn plugins() -> &'static [CniPlugin] {
    static ROWS: LazyLock<Vec<CniPlugin>> = LazyLock::new(|| embedded::table("cni-plugins"));
    &ROWS
}

impl PodNetwork {
    /// Looks for the network of a node.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub(super) fn read(node: &NodeConfig<'_>) -> Result<Self> {
        let backend = node.value(BACKEND);
        let place = backend.as_ref().map(|(_, place)| place.clone());
        let backend = backend.map(|(text, _)| text);
        let backend = backend.or_else(|| flags::default_text(BACKEND, node.release)).unwrap_or_default();
        let has_flannel = backend != "none";
        let flannel = || {
            let text = format!("{BACKEND} is {backend}: flannel enforces no NetworkPolicies");
            Self { kind: NetworkKind::Plain, text, place: place.clone(), flannel: Some(backend.to_owned()) }
        };
        let without =
            |kind: NetworkKind, text: String, place: Option<Place>| Self { kind, text, place, flannel: None };
        if node.running().absence("kubelet").is_some() {
            let elsewhere = || {
                let text = format!(
                    "{BACKEND} is none, and this server runs no pods: the configuration of the CNI is on the agents"
                );
                without(NetworkKind::NotHere, text, place.clone())
            };
            return Ok(if has_flannel { flannel() } else { elsewhere() });
        }
        if let Some(place) = other_folder(node)? {
            let text = format!(
                "this names another folder of CNI configurations ({FOLDER_KEY}), which is not looked into"
            );
            return Ok(without(NetworkKind::NotSaid, text, Some(place)));
        }
        let folder = folder(node, has_flannel);
        let there = first_file(node, &folder)?;
        let file = if has_flannel { flannel_file(node, there)? } else { there };
        let Some(file) = file else {
            if has_flannel {
                return Ok(flannel());
            }
            let text = format!("{BACKEND} is none, and no file in {folder} configures a CNI");
            return Ok(without(NetworkKind::NotHere, text, place));
        };
        let (kind, text) = match configured(node, &folder, &file) {
            Err(reason) => (NetworkKind::NotSaid, format!("the configuration of the CNI is {reason}")),
            Ok(plugins) => judged(&plugins),
        };
        // What K3s has written there for its flannel says nothing new.
        if has_flannel && kind == NetworkKind::Plain {
            return Ok(flannel());
        }
        Ok(without(kind, text, Some(Place { file: file.to_string(), position: None })))
    }
}

/// Returns the folder from which the container runtime reads CNI configurations.
fn folder(node: &NodeConfig<'_>, has_flannel: bool) -> RootedPath {
    let paths = NodePaths::get();
    if has_flannel { node.data_dir.join(&paths.flannel_cni_folder) } else { paths.cni_folder.clone() }
}

/// Returns where the user's part of containerd's configuration names a folder; none if none does.
fn other_folder(node: &NodeConfig<'_>) -> Result<Option<Place>> {
    if !node.runs("containerd") {
        return Ok(None);
    }
    for path in &NodePaths::get().containerd_templates {
        let path = node.data_dir.join(path);
        let files = match node.root.is_directory(&path) {
            true => node.root.names(&path)?.iter().map(|name| path.join(name)).collect(),
            false => vec![path],
        };
        for file in files {
            // What cannot be read may name one.
            let Ok(bytes) = node.root.read(&file) else {
                return Ok(Some(Place { file: file.to_string(), position: None }));
            };
            let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
            let names_one = |line: &str| {
                let line = line.trim_start();
                line.starts_with(FOLDER_KEY) && !line.contains(OWN_FOLDER)
            };
            if let Some(at) = text.lines().position(names_one) {
                return Ok(Some(Place { file: file.to_string(), position: Some((at + 1, 1)) }));
            }
        }
    }
    Ok(None)
}

/// Returns the file that the container runtime reads first; none if there is none.
fn first_file(node: &NodeConfig<'_>, folder: &RootedPath) -> Result<Option<RootedPath>> {
    let names = node.root.names_and_kinds(folder)?.into_iter();
    let mut files = names.filter(|(_, kind)| *kind != Some(EntryKind::Directory)).map(|(name, _)| name);
    let first = files.find(|name| ENDINGS.iter().any(|ending| name.ends_with(ending)));
    Ok(first.map(|name| folder.join(&name)))
}

/// Returns the configuration that K3s's flannel brings, of a user's own; `there` is the first that is in its folder.
fn flannel_file(node: &NodeConfig<'_>, there: Option<RootedPath>) -> Result<Option<RootedPath>> {
    let told = node.value(FLANNEL_FILE).map(|(text, _)| text).filter(|text| !text.is_empty());
    match (told, there) {
        // K3s copies it at every start.
        (Some(text), there) if there.as_ref().is_none_or(|there| there.name() >= OWN_FILE) => {
            Ok(Some(node.path(text)?))
        }
        (_, there) => Ok(there),
    }
}

/// Returns the plugins of a configuration, or why it has none that can be read.
fn configured(
    node: &NodeConfig<'_>,
    folder: &RootedPath,
    file: &RootedPath,
) -> std::result::Result<Vec<Value>, String> {
    let plugins = plugins_of(node, file)?;
    let Some(first) = plugins.first().filter(|first| row(first).is_some_and(|row| row.delegates)) else {
        return Ok(plugins);
    };
    // Multus hands the pods to the network that it names, and only without one to the first of its delegates.
    let Some(named) = first.get("clusterNetwork").and_then(Value::as_str).filter(|name| !name.is_empty())
    else {
        let Some(delegate) = first.pointer("/delegates/0") else {
            return Err("one of Multus, which names no network for the pods".to_owned());
        };
        return Ok(match delegate.get("plugins").and_then(Value::as_array) {
            Some(list) => list.clone(),
            None => vec![delegate.clone()],
        });
    };
    let name = named.rsplit('/').next().unwrap_or_default();
    if !named.starts_with('/') || !ENDINGS.iter().any(|ending| name.ends_with(ending)) {
        return Err(format!("one of Multus, which delegates to {named:?}; this node has no such file"));
    }
    // Its container has the folder of the node at another place.
    let delegate = folder.join(name);
    plugins_of(node, &delegate)
        .map_err(|reason| format!("one of Multus, which delegates to {delegate}, and that file is {reason}"))
}

/// Returns the plugins of a file.
fn plugins_of(node: &NodeConfig<'_>, file: &RootedPath) -> std::result::Result<Vec<Value>, String> {
    // What flannel-cni-conf names becomes a list, whatever its name.
    let is_told = node.value(FLANNEL_FILE).is_some_and(|(text, _)| text == file.as_str());
    let is_list = is_told || file.name().ends_with(LIST);
    let bytes = node.root.read(file).map_err(|error| format!("not read: {}", error.message()))?;
    let bytes = bytes.ok_or("not there")?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| format!("no JSON: {error}"))?;
    match value.get("plugins") {
        Some(Value::Array(list)) if is_list && !list.is_empty() => Ok(list.clone()),
        _ if is_list => Err("a list without plugins".to_owned()),
        _ => Ok(vec![value]),
    }
}

/// Returns the row of a plugin as it is configured.
fn row(plugin: &Value) -> Option<&'static CniPlugin> {
    let text = |key: &str| plugin.get(key).and_then(Value::as_str).unwrap_or_default();
    plugins().iter().find(|row| {
        row.plugin == text("type") && row.with.iter().all(|(key, value)| text(key) == value.as_str())
    })
}

/// Tells what the plugins of a configuration make of NetworkPolicies, and how that is known.
fn judged(configured: &[Value]) -> (NetworkKind, String) {
    let mut plain = None;
    let mut not_said = None;
    for plugin in configured {
        let named = plugin.get("type").and_then(Value::as_str).unwrap_or_default();
        match row(plugin) {
            Some(CniPlugin { enforces: Some(true), network, .. }) => {
                let text = format!("the plugin {named} is {network}'s, which enforces NetworkPolicies");
                return (NetworkKind::Enforces(network), text);
            }
            Some(CniPlugin { enforces: Some(false), .. }) => {
                plain.get_or_insert(format!("the plugin {named} enforces no NetworkPolicies"));
            }
            Some(CniPlugin { beside: true, .. }) => {}
            Some(CniPlugin { network, .. }) => {
                not_said.get_or_insert(format!(
                    "the plugin {named} is {network}'s, and this file does not say whether it enforces NetworkPolicies"
                ));
            }
            None => {
                not_said.get_or_insert(format!(
                    "whether the network of the plugin {named:?} enforces NetworkPolicies is not known"
                ));
            }
        }
    }
    let nothing = || "none of its plugins is a network".to_owned();
    match (not_said, plain) {
        (None, Some(text)) => (NetworkKind::Plain, text),
        (not_said, _) => (NetworkKind::NotSaid, not_said.unwrap_or_else(nothing)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_says_one_thing() {
        for row in plugins() {
            let said = [row.enforces.is_some(), row.beside, row.delegates, row.any_network];
            assert_eq!(said.iter().filter(|said| **said).count(), 1, "{row:?}");
            assert_eq!(row.container.is_some(), row.enforces == Some(true) || row.any_network, "{row:?}");
        }
    }

    #[test]
    fn one_plugin_that_enforces_is_enough_and_one_that_is_unknown_too_much() {
        let kind = |types: &[&str]| {
            let plugins: Vec<Value> = types.iter().map(|text| json!({"type": text})).collect();
            judged(&plugins).0
        };
        assert_eq!(kind(&["flannel", "portmap", "cilium-cni"]), NetworkKind::Enforces("Cilium"));
        assert_eq!(kind(&["flannel", "portmap", "bandwidth"]), NetworkKind::Plain);
        assert_eq!(kind(&["flannel", "portmap", "mystery"]), NetworkKind::NotSaid);
        assert_eq!(kind(&["portmap"]), NetworkKind::NotSaid);
        assert_eq!(kind(&[""]), NetworkKind::NotSaid);
        assert_eq!(judged(&[json!({"type": "bridge", "bridge": "cni0"})]).0, NetworkKind::Plain);
        assert_eq!(judged(&[json!({"type": "bridge", "bridge": "kube-bridge"})]).0, NetworkKind::NotSaid);
    }
}
