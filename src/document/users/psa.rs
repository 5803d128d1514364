// SPDX-License-Identifier: Apache-2.0
//! An admission configuration of the user's, taken apart: Pod Security, limits of events, and the entries of other plugins.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::files::{UsersFile, named_beside};
use crate::kubernetes::admission_config::{self, PluginEntry};
use crate::kubernetes::manifest::to_json;
use crate::kubernetes::object::{self, Fault, Located, ObjectFile, Position};
use crate::kubernetes::{event_rate_limit, pod_security};
use crate::node::RootedPath;
use crate::version::KubernetesMinor;

pub(super) const POD_SECURITY: &str = "PodSecurity";
pub(super) const EVENT_RATE_LIMIT: &str = "EventRateLimit";
/// The modes of Pod Security.
pub(super) const MODES: [&str; 3] = ["enforce", "audit", "warn"];

/// What a configuration says.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadAdmission {
    /// What it says about Pod Security, if it has an entry.
    pub(super) pod_security: Option<ReadPodSecurity>,
    /// The limits of events.
    pub(super) limits: Vec<Located<Value>>,
    /// The entries of other plugins.
    pub(super) others: Vec<PluginValue>,
    /// What is not carried over: what it is, why, and where.
    pub(super) lost: Vec<(String, String, Position)>,
}

/// A plugin's whole entry.
#[derive(Debug, Clone)]
pub(super) struct PluginValue {
    pub(super) name: String,
    pub(super) entry: Value,
    pub(super) position: Position,
}

/// What a configuration says about Pod Security.
#[derive(Debug, Clone)]
pub(super) struct ReadPodSecurity {
    /// The level and the version of each mode, empty where it says none.
    pub(super) defaults: BTreeMap<&'static str, Located<(String, String)>>,
    pub(super) namespaces: Vec<Located<String>>,
    pub(super) usernames: Vec<Located<String>>,
    pub(super) runtime_classes: Vec<Located<String>>,
    /// The position of the exemptions, or of the entry.
    pub(super) exemptions: Position,
    /// The whole entry, with the configuration in it.
    pub(super) entry: Value,
    pub(super) position: Position,
}

/// Reads a configuration as the API server of a minor does; `beside` has the files that entries name.
///
/// # Errors
/// The first reason for which the API server refuses it.
pub(super) fn read(
    file: &UsersFile,
    beside: &BTreeMap<RootedPath, Vec<u8>>,
    minor: KubernetesMinor,
) -> Result<ReadAdmission, Fault> {
    let config = admission_config::read(&file.bytes, minor).map_err(|refusal| refusal.fault)?;
    let document = ObjectFile::read(&file.bytes)?;
    let mut read = ReadAdmission::default();
    for fault in &config.dropped {
        let why = "the API server drops it".to_owned();
        read.lost.push((fault.message.clone(), why, fault.position));
    }
    if let Some(position) = config.second_document {
        let why = "the API server reads only the first one".to_owned();
        read.lost.push(("a second document".to_owned(), why, position));
    }
    let nodes = object::items(&document.root, "plugins");
    let mut seen = Vec::new();
    for (entry, node) in config.plugins.iter().zip(nodes) {
        let what = format!("the entry of the plugin {}", entry.name);
        if seen.contains(&entry.name) {
            read.lost.push((what, "the API server reads only the first one".to_owned(), entry.position));
            continue;
        }
        seen.push(entry.name.clone());
        let added = match entry.name.as_str() {
            POD_SECURITY => read.add_pod_security(file, beside, entry, minor),
            EVENT_RATE_LIMIT => read.add_limits(file, beside, entry, minor),
            _ => read.add_other(file, entry, to_json(node)),
        };
        if let Err(why) = added {
            read.lost.push((what, why, entry.position));
        }
    }
    Ok(read)
}

/// Returns the configuration of an entry, which may be in a file of its own.
fn configuration(
    file: &UsersFile,
    beside: &BTreeMap<RootedPath, Vec<u8>>,
    entry: &PluginEntry,
) -> Result<ObjectFile, String> {
    if let Some(inline) = &entry.configuration {
        return Ok(inline.clone());
    }
    if entry.path.is_empty() {
        return Err("it has no configuration".to_owned());
    }
    let path = named_beside(&file.path, &entry.path).map_err(|error| error.to_string())?;
    let bytes = beside.get(&path).ok_or_else(|| format!("{path}, which it names, is no file"))?;
    ObjectFile::read(bytes).map_err(|fault| format!("{path}: {}", fault.message))
}

impl ReadAdmission {
    fn add_pod_security(
        &mut self,
        file: &UsersFile,
        beside: &BTreeMap<RootedPath, Vec<u8>>,
        entry: &PluginEntry,
        minor: KubernetesMinor,
    ) -> Result<(), String> {
        let document = configuration(file, beside, entry)?;
        let config = pod_security::read(&document, minor).map_err(|refusal| refusal.fault.message)?;
        // Positions in another file are of no use here.
        let at = |position| if entry.configuration.is_some() { position } else { entry.position };
        let defaults = object::field(&document.root, "defaults");
        let default = |mode: &'static str| {
            let text = |name: &str| defaults.map_or("", |node| object::text(node, name)).to_owned();
            let position = defaults.map_or(entry.position, |node| at(object::position_of(node, mode)));
            (mode, Located { value: (text(mode), text(&format!("{mode}-version"))), position })
        };
        let exemptions = object::field(&document.root, "exemptions");
        let names = |field: &str| {
            let found = exemptions.map_or_else(Vec::new, |node| object::located_texts(node, field));
            let names = found.into_iter().map(|name| Located { position: at(name.position), ..name });
            names.collect::<Vec<_>>()
        };
        self.pod_security = Some(ReadPodSecurity {
            defaults: MODES.into_iter().map(default).collect(),
            namespaces: names("namespaces"),
            usernames: names("usernames"),
            runtime_classes: names("runtimeClasses"),
            exemptions: at(config.exemptions_position),
            entry: json!({"name": POD_SECURITY, "configuration": to_json(&document.root)}),
            position: entry.position,
        });
        Ok(())
    }

    fn add_limits(
        &mut self,
        file: &UsersFile,
        beside: &BTreeMap<RootedPath, Vec<u8>>,
        entry: &PluginEntry,
        minor: KubernetesMinor,
    ) -> Result<(), String> {
        let document = configuration(file, beside, entry)?;
        event_rate_limit::read(&document, minor).map_err(|refusal| refusal.fault.message)?;
        for limit in object::items(&document.root, "limits") {
            let mut value = json!({
                "type": object::text(limit, "type"),
                "qps": object::number(limit, "qps"),
                "burst": object::number(limit, "burst"),
            });
            if object::field(limit, "cacheSize").is_some() {
                value["cacheSize"] = object::number(limit, "cacheSize").into();
            }
            let position = if entry.configuration.is_some() { limit.position } else { entry.position };
            self.limits.push(Located { value, position });
        }
        Ok(())
    }

    fn add_other(
        &mut self,
        file: &UsersFile,
        entry: &PluginEntry,
        value: Option<Value>,
    ) -> Result<(), String> {
        let mut value = value.ok_or("it has a number that JSON has not")?;
        if entry.configuration.is_none() && !entry.path.is_empty() {
            // It is looked for beside the file that names it, which may be another one now.
            let path = named_beside(&file.path, &entry.path).map_err(|error| error.to_string())?;
            value["path"] = path.as_str().into();
        }
        self.others.push(PluginValue { name: entry.name.clone(), entry: value, position: entry.position });
        Ok(())
    }
}
