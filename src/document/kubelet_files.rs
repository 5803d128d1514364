// SPDX-License-Identifier: Apache-2.0
//! What the user's files of the kubelet's configuration say about the arguments that k3s-harden writes: a flag of the
//! kubelet and its field are one setting, and the flag counts more.
//!
//! A value that satisfies its control stays, and the argument is not written. Any other value is a conflict that
//! `--on-conflict` decides, as for an argument of the user's.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ExistingConfig;
use crate::error::{Place, Result};
use crate::k3s::kubelet::{self, KubeletSource};
use crate::k3s::kubelet_files::KubeletFiles;
use crate::k3s::{NodeConfig, ValueOrigin, arguments};
use crate::kubernetes::kubelet_fields;
use crate::kubernetes::yaml::{YamlNode, YamlValue};
use crate::profile::ArgumentTable;

pub(super) const KUBELET: &str = "kubelet";

/// The values in force of the user's files, by the kubelet's argument.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubeletFileValues {
    values: BTreeMap<String, KubeletFileValue>,
    /// Whether a file of the user's that K3s reads later replaces the arguments that k3s-harden gives the kubelet.
    pub is_ours_replaced: bool,
    /// Whether there are files of the user's.
    pub has_files: bool,
    /// Why the files are not known, with the place where it is.
    pub problem: Option<String>,
}

/// A value in a file of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletFileValue {
    /// The field of the kubelet's configuration.
    pub field: &'static str,
    /// Its value, as the argument has it.
    pub text: String,
    /// Where it is.
    pub place: Place,
}

/// An argument of the kubelet, or a key of K3s, that is not written, because a file of the user's has its field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftToFile {
    /// The argument or the key.
    pub name: String,
    /// The file.
    pub file: String,
    /// The benchmark's numbers of the controls that the argument implements, for a comment.
    pub controls: String,
    /// The same as numbers.
    #[serde(skip)]
    pub ids: Vec<crate::profile::ControlId>,
    /// The reason, with file and line; none if a conflict says it.
    #[serde(skip)]
    pub reason: Option<String>,
}

impl KubeletFileValues {
    /// Reads the user's files, for the kubelet as it starts with the configuration `existing` and the service.
    #[must_use]
    pub fn read(node: &NodeConfig<'_>, existing: &ExistingConfig) -> Self {
        Self::of_files(node, existing)
            .unwrap_or_else(|error| Self { problem: Some(error.to_string()), ..Self::default() })
    }

    fn of_files(node: &NodeConfig<'_>, existing: &ExistingConfig) -> Result<Self> {
        let mut found = Self::default();
        let Ok(effective) = &node.effective else { return Ok(found) };
        if !node.runs(KUBELET) {
            return Ok(found);
        }
        let key = format!("{KUBELET}-arg");
        found.is_ours_replaced = existing.replaces_ours(&key);
        let mut given = existing.in_force(&key);
        // What the service gives comes behind what the files give; the drop-in of k3s-harden does not count.
        if let Some(value) = effective.values.get(&key) {
            let items = value.items.iter().zip(&value.origins);
            given.extend(items.filter_map(|(text, origin)| match origin {
                ValueOrigin::File(_) => None,
                _ => Some(text.as_str()),
            }));
        }
        let minor = node.minor();
        let sources = kubelet::sources(node.root, &node.data_dir, minor, &given, false)?;
        let is_file = |source: &KubeletSource| {
            matches!(source, KubeletSource::ConfigFile(_) | KubeletSource::DropIn(_))
        };
        if !sources.iter().any(is_file) {
            return Ok(found);
        }
        found.has_files = sources.iter().any(|source| match source {
            KubeletSource::ConfigFile(path) | KubeletSource::DropIn(path) => {
                !kubelet::is_own_file(&Place { file: path.to_string(), position: None })
            }
            _ => false,
        });
        let files = KubeletFiles::read(node.root, &sources, minor)?;
        let decoded = kubelet_fields::decode(files.root(), minor);
        let own = node.own_flags(KUBELET);
        for name in names() {
            // An argument counts more than the field, also one of K3s's own.
            let is_given = || is_given(name, &given, kubelet::takes_pairs(minor));
            let Some(field) = kubelet_fields::of_flag(name).filter(|_| !own.contains(name) && !is_given())
            else {
                continue;
            };
            let Some(value) = decoded.fields.get(field) else { continue };
            if let Some(place) = files.place(value.position) {
                let value = KubeletFileValue { field, text: text_of(value), place };
                found.values.insert(name.to_owned(), value);
            }
        }
        Ok(found)
    }

    /// Returns the value that counts where the kubelet does not get the argument.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&KubeletFileValue> {
        self.values.get(name)
    }
}

/// The kubelet's arguments that k3s-harden writes, and the keys of K3s that it writes for the kubelet.
fn names() -> impl Iterator<Item = &'static str> {
    let table = ArgumentTable::get();
    let keys = table.keys.iter().filter(|row| row.component.as_deref() == Some(KUBELET));
    let arguments = table.arguments.iter().filter(|row| row.component == KUBELET);
    keys.map(|row| row.key.as_str()).chain(arguments.map(|row| row.name.as_str()))
}

/// Tells whether an argument is among those that the user gives the kubelet.
fn is_given(name: &str, given: &[&str], takes_pairs: bool) -> bool {
    match takes_pairs {
        true => arguments::kubelet_items(given).iter().any(|item| arguments::sets(item.name, name)),
        false => given.iter().any(|text| arguments::sets(text, name)),
    }
}

/// Writes a field as the argument has it.
fn text_of(value: &YamlNode) -> String {
    match &value.value {
        YamlValue::List(items) => items.iter().map(YamlNode::go_text).collect::<Vec<_>>().join(","),
        _ => value.go_text(),
    }
}
