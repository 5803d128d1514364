// SPDX-License-Identifier: Apache-2.0
//! The configuration that is on the node already: `config.yaml` and the drop-ins beside it, by file and line.
//!
//! It is read as K3s reads it (see `yaml` and `merge`), but key by key and file by file, because each value needs the
//! file that sets it. The drop-in of k3s-harden is left out.

use std::collections::BTreeMap;

use super::{DropIn, DropInComponent};
use crate::Role;
use crate::error::{ErrorKind, Place, Result};
use crate::k3s::arguments::{self, sets};
use crate::k3s::components::{self, present_name};
use crate::k3s::kubelet;
use crate::k3s::merge::{self, ConfigItem};
use crate::k3s::{self, RunningComponents};
use crate::kubernetes::flag_values::boolean;
use crate::kubernetes::scalar::Scalar;
use crate::kubernetes::yaml::YamlValue;
use crate::node::{Root, RootedPath};
use crate::version::KubernetesMinor;

/// The settings of the node's configuration files, in the order in which K3s reads them, without the drop-in's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExistingConfig {
    /// Every key as it is written.
    pub settings: Vec<ConfigEntry>,
    /// Warnings about files that K3s cannot read.
    pub problems: Vec<String>,
    /// Symlinks to nothing, for which K3s ignores all of it.
    pub dangling: Vec<RootedPath>,
}

/// A key in a configuration file.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigEntry {
    /// The key without `+`, by its present name.
    pub key: String,
    /// Whether it adds to earlier values.
    pub append: bool,
    /// The value, or the items of the list, as K3s understands them.
    pub items: Vec<ConfigItem>,
    /// The place of the key.
    pub place: Place,
    /// Whether the file sorts after the drop-in.
    pub after_ours: bool,
    /// Whether it is written under an old name, which K3s takes as a flag of its own.
    pub old_name: bool,
}

impl ExistingConfig {
    /// Reads K3s's configuration file `config` and its drop-ins; `ours` is the path of the drop-in that is left out.
    ///
    /// # Errors
    /// If the directory or a file in it cannot be read.
    pub fn read(root: &Root, config: &RootedPath, ours: &RootedPath) -> Result<Self> {
        let mut existing = Self::default();
        let drop_ins = k3s::drop_ins(config);
        let mut paths = vec![config.clone()];
        for name in root.names(&drop_ins)?.iter().filter(|name| merge::is_drop_in(name)) {
            let path = drop_ins.join(name);
            if root.is_directory(&path) {
                continue;
            }
            if root.exists(&path) {
                paths.push(path);
            } else {
                existing.problems.push(format!(
                    "{path} is a dangling symlink: K3s then ignores its whole configuration, including the drop-in. Remove the symlink"
                ));
                existing.dangling.push(path);
            }
        }
        for path in paths.into_iter().filter(|path| path != ours) {
            let bytes = match root.read(&path) {
                Err(error) if error.kind() == ErrorKind::NotPermitted => return Err(error),
                // K3s exits on it, which the checks of its configuration say.
                Err(error) => {
                    existing.problems.push(error.to_string());
                    continue;
                }
                Ok(None) => continue,
                Ok(Some(bytes)) => bytes,
            };
            let after_ours = path.parent() == ours.parent() && path > *ours;
            existing.add(&bytes, &path.to_string(), after_ours);
        }
        Ok(existing)
    }

    /// Tells whether there is no configuration besides the drop-in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.problems.is_empty()
    }

    /// Returns the last value of a key; none if the key is not there or its value is empty.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&ConfigItem> {
        let setting = self.settings.iter().rev().find(|setting| setting.key == key)?;
        setting.items.last().filter(|item| !item.text.is_empty())
    }

    /// Returns the items of a key that are in force without the drop-in, those of files that sort after it too.
    #[must_use]
    pub fn in_force(&self, key: &str) -> Vec<&str> {
        let mut items: Vec<&str> = Vec::new();
        for setting in self.settings.iter().filter(|setting| setting.key == key) {
            if !setting.append {
                items.clear();
            }
            items.extend(setting.items.iter().map(|item| item.text.as_str()));
        }
        items
    }

    /// Returns the items of a key in force from the files that K3s reads before the drop-in.
    #[must_use]
    pub(super) fn before_ours(&self, key: &str) -> Vec<ConfigItem> {
        let mut items: Vec<ConfigItem> = Vec::new();
        let settings = self.settings.iter().filter(|setting| setting.key == key);
        for setting in settings.filter(|setting| !setting.after_ours && !setting.old_name) {
            if !setting.append {
                items.clear();
            }
            // An empty argument has a warning of its own (`Self::warnings`).
            items.extend(setting.items.iter().filter(|item| !item.text.is_empty()).cloned());
        }
        items
    }

    /// Returns the items of a key that count beside the drop-in or after it.
    pub(super) fn after_ours(&self, key: &str) -> Vec<ConfigItem> {
        let settings = self.settings.iter().filter(|setting| setting.key == key);
        let later = settings.filter(|setting| setting.after_ours || setting.old_name);
        later.flat_map(|setting| setting.items.iter().filter(|item| !item.text.is_empty()).cloned()).collect()
    }

    /// Tells whether a file that K3s reads after the drop-in replaces what the drop-in has under a key.
    #[must_use]
    pub fn replaces_ours(&self, key: &str) -> bool {
        let mut later = self.settings.iter().filter(|setting| setting.after_ours && !setting.old_name);
        later.any(|setting| setting.key == key && !setting.append)
    }

    /// Returns warnings about what the drop-in cannot fix: files that K3s reads after it, and keys under old names.
    #[must_use]
    pub fn warnings(&self, ours: &DropIn) -> Vec<String> {
        let mut warnings = self.problems.clone();
        for setting in self.settings.iter().filter(|setting| setting.key.ends_with("-arg")) {
            let empty = setting.items.iter().filter(|item| item.text.is_empty());
            warnings.extend(empty.map(|item| {
                format!("{}: empty argument: K3s passes it as --=true, and the component exits", item.place)
            }));
        }
        let later = || self.settings.iter().filter(|setting| setting.after_ours || setting.old_name);
        for key in &ours.keys {
            let same_key = later().filter(|setting| setting.key == key.name);
            for ConfigItem { text, place, .. } in same_key
                .flat_map(|setting| &setting.items)
                .filter(|item| !is_same_value(&item.text, &key.value))
            {
                let (name, value) = (&key.name, &key.value);
                warnings.push(format!(
                    "{place} overrides {name} with {text:?} (k3s-harden sets {value}): remove it there"
                ));
            }
        }
        for component in &ours.components {
            let key = format!("{}-arg", component.name);
            for setting in later().filter(|setting| setting.key == key) {
                if setting.after_ours && !setting.append && !setting.old_name {
                    let place = &setting.place;
                    warnings.push(format!(
                        "{place} is read after the drop-in and replaces every {key} of k3s-harden: use {key}+ there"
                    ));
                    continue;
                }
                warnings.extend(
                    setting
                        .items
                        .iter()
                        .filter_map(|item| repeated_argument(component, &item.text, &item.place.to_string())),
                );
            }
        }
        warnings
    }

    /// Returns the arguments that reach a component of a minor that runs, and that it does not know, with their places.
    #[must_use]
    pub fn unknown_arguments(
        &self,
        role: Role,
        minor: KubernetesMinor,
        running: &RunningComponents,
    ) -> Vec<(String, Place)> {
        // An old name is a flag of its own, with a list of its own.
        let mut in_force: BTreeMap<(&str, bool), Vec<&ConfigItem>> = BTreeMap::new();
        for setting in self.settings.iter().filter(|setting| setting.key.ends_with("-arg")) {
            let items = in_force.entry((&setting.key, setting.old_name)).or_default();
            if !setting.append {
                items.clear();
            }
            items.extend(&setting.items);
        }
        let unknown = in_force.into_iter().filter_map(|((key, _), items)| {
            let component =
                components::of_key(key, role).filter(|name| !items.is_empty() && running.has(name))?;
            let items = reaching(component, minor, items);
            Some(items.into_iter().filter_map(move |item| {
                Some((arguments::unknown(component, minor, &item.text)?, item.place.clone()))
            }))
        });
        unknown.flatten().collect()
    }

    pub(super) fn add(&mut self, bytes: &[u8], file: &str, after_ours: bool) {
        let place = |position| Place { file: file.to_owned(), position: Some(position) };
        let pairs = match merge::read(bytes) {
            Err(problem) => {
                let place = Place { file: file.to_owned(), position: problem.position };
                return self.problems.push(format!("{place}: {}: K3s will not start", problem.message));
            }
            Ok(None) => return,
            Ok(Some(node)) => match node.value {
                YamlValue::Map(pairs) => pairs,
                YamlValue::Scalar(Scalar::Null) => return,
                _ => {
                    let place = place(node.position);
                    return self.problems.push(format!("{place}: this is not a mapping: K3s will not start"));
                }
            },
        };
        for (key, value) in pairs {
            let written = merge::text_of(&key);
            let name = written.strip_suffix('+').unwrap_or(&written);
            let name = present_name(name);
            self.settings.push(ConfigEntry {
                key: name.to_owned(),
                append: written.ends_with('+'),
                items: merge::items(file, &value),
                place: place(key.position),
                after_ours,
                old_name: name != written.strip_suffix('+').unwrap_or(&written),
            });
        }
    }
}

/// Returns the arguments that reach a component: K3s keeps some of the kubelet's for itself, and drops others.
fn reaching<'i>(component: &str, minor: KubernetesMinor, items: Vec<&'i ConfigItem>) -> Vec<&'i ConfigItem> {
    if component != "kubelet" || !kubelet::takes_pairs(minor) {
        return items;
    }
    let texts: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
    let kept = arguments::kubelet_items(&texts).into_iter().filter(|item| !item.is_of_k3s());
    kept.map(|item| items[item.at]).collect()
}

/// Returns a warning if `origin` gives a component an argument that the drop-in gives too.
pub(super) fn repeated_argument(component: &DropInComponent, text: &str, origin: &str) -> Option<String> {
    let ours = component.arguments.iter().find(|argument| sets(text, &argument.name))?;
    let (component, name, value) = (&component.name, &ours.name, &ours.value);
    Some(format!(
        "{origin} passes {component} the argument {text} in addition to {name}={value} of k3s-harden: remove it there"
    ))
}

/// Tells whether K3s takes `text` for `value`; for a boolean it has several words.
pub(super) fn is_same_value(text: &str, value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Bool(wanted) => boolean(text) == Some(*wanted),
        serde_json::Value::String(value) => value == text,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_with_their_lines() {
        let mut existing = ExistingConfig::default();
        let text = "token: &t x\nkube-controller-arg+:\n  - a=1\n  - b=2\nnode-label: [c, *t]\n";
        existing.add(text.as_bytes(), "config.yaml", false);
        let found: Vec<String> = existing
            .settings
            .iter()
            .flat_map(|setting| {
                setting.items.iter().map(|item| format!("{}={} {}", setting.key, item.text, item.place))
            })
            .collect();
        assert_eq!(
            found,
            [
                "token=x config.yaml:1:11",
                "kube-controller-manager-arg=a=1 config.yaml:3:5",
                "kube-controller-manager-arg=b=2 config.yaml:4:5",
                "node-label=c config.yaml:5:14",
                "node-label=x config.yaml:1:11",
            ]
        );
        assert!(existing.settings[1].append);
    }

    #[test]
    fn booleans_are_gos() {
        assert!(
            is_same_value("1", &true.into())
                && is_same_value("TRUE", &true.into())
                && !is_same_value("yes", &true.into())
        );
    }
}
