// SPDX-License-Identifier: Apache-2.0
//! The configuration of admission plugins that the API server's flag `admission-control-config-file` names.
//!
//! Source: pkg/admission/config.go of k8s.io/apiserver.

use super::config_fields;
use super::object::{self, Fault, ObjectFile, Position, Refusal};
use super::yaml::YamlValue;
use crate::version::KubernetesMinor;

const KIND: &str = "AdmissionConfiguration";
/// Top-level keys of the files that configured a single plugin before AdmissionConfiguration existed.
const LEGACY_KEYS: [&str; 2] = ["imagePolicy", "podNodeSelectorPluginConfig"];
/// The first minor that decodes the file strictly (k8s.io/apiserver v0.32, pkg/admission/config.go).
const STRICT_FROM: KubernetesMinor = KubernetesMinor::new(32);

/// A configuration that the API server accepts.
#[derive(Debug, Clone)]
pub struct AdmissionConfig {
    /// The entries in order: of two for one plugin the first counts.
    pub plugins: Vec<PluginEntry>,
    /// The position of the entries.
    pub plugins_position: Position,
    /// Fields that are unknown or there twice: the API server drops them silently.
    pub dropped: Vec<Fault>,
    /// The position of a second document, which is not read.
    pub second_document: Option<Position>,
}

/// The entry of a plugin.
#[derive(Debug, Clone)]
pub struct PluginEntry {
    /// The plugin.
    pub name: String,
    /// The file with its configuration, empty if it names none.
    pub path: String,
    /// Its configuration in the entry itself, which counts more than the file.
    pub configuration: Option<ObjectFile>,
    /// The position of the entry.
    pub position: Position,
    /// The position of its name.
    pub name_position: Position,
    /// The position of its path.
    pub path_position: Position,
}

/// Why the API server refuses a configuration, or reads nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionRefusal {
    /// It is no YAML or JSON, or a field has the wrong type.
    Syntax,
    /// Its API version or kind is another.
    Version,
    /// A field is unknown or there twice, and the minor is strict.
    Field,
    /// The API server does not refuse it: it is the older form for one plugin, with this key.
    Legacy(&'static str),
}

/// Reads a configuration as the API server of a minor reads it.
///
/// # Errors
/// Why the API server refuses it.
pub fn read(bytes: &[u8], minor: KubernetesMinor) -> Result<AdmissionConfig, Refusal<AdmissionRefusal>> {
    let syntax = || Refusal::with_reason(AdmissionRefusal::Syntax);
    let document = ObjectFile::read(bytes).map_err(syntax())?;
    document.kind().map_err(syntax())?;
    document.expect(&config_fields::registered(KIND, minor)).map_err(|fault| {
        match LEGACY_KEYS.into_iter().find(|key| has(&document, key)) {
            Some(key) => Refusal { reason: AdmissionRefusal::Legacy(key), fault },
            None => Refusal { reason: AdmissionRefusal::Version, fault },
        }
    })?;
    let dropped = config_fields::decode_file(&document, minor).map_err(syntax())?.unknown;
    if minor >= STRICT_FROM {
        object::refuse_dropped(&dropped).map_err(Refusal::with_reason(AdmissionRefusal::Field))?;
    }
    let root = &document.root;
    let entry = |node| PluginEntry {
        name: object::text(node, "name").to_owned(),
        path: object::text(node, "path").to_owned(),
        configuration: object::field(node, "configuration").map(|inline| document.part(inline)),
        position: node.position,
        name_position: object::position_of(node, "name"),
        path_position: object::position_of(node, "path"),
    };
    Ok(AdmissionConfig {
        plugins: object::items(root, "plugins").iter().map(entry).collect(),
        plugins_position: object::position_of(root, "plugins"),
        dropped,
        second_document: document.second_document,
    })
}

fn has(document: &ObjectFile, key: &str) -> bool {
    match &document.root.value {
        YamlValue::Map(pairs) => pairs.iter().any(|(name, _)| name.go_text() == key),
        _ => false,
    }
}
