//! What files of ours on a node hold already.
//!
//! A run about some controls (`--only`, `--skip`) must not take away what serves the others, and most of them
//! share files. So what is there stays part of what should be, whether the run is about it or not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::is_ours;

/// What files of ours hold; empty for a node without any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresentFiles {
    texts: BTreeMap<&'static str, String>,
    keys: BTreeSet<String>,
    arguments: BTreeSet<(String, String)>,
    plugins: BTreeSet<String>,
}

impl PresentFiles {
    /// Reads the files, given by the keys of the documents; what is not ours does not count.
    #[must_use]
    pub fn new(files: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> Self {
        let ours = files.into_iter().filter(|(_, bytes)| is_ours(bytes));
        let texts: BTreeMap<_, _> =
            ours.map(|(key, bytes)| (key, String::from_utf8_lossy(&bytes).into_owned())).collect();
        let mut present = Self { texts, ..Self::default() };
        let config = present.texts.get("config").map(String::as_str).unwrap_or_default();
        // A drop-in that was edited until it is no YAML holds nothing that could be kept.
        let config: BTreeMap<String, Value> = serde_yaml::from_str(config).unwrap_or_default();
        for (key, value) in config {
            // With a plain key the list was taken over from other files.
            let Some(component) = key.strip_suffix("-arg+").or_else(|| key.strip_suffix("-arg")) else {
                present.keys.insert(key);
                continue;
            };
            for argument in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
                let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
                present.arguments.insert((component.to_owned(), name.to_owned()));
                if name == "enable-admission-plugins" {
                    present.plugins.extend(value.split(',').map(str::to_owned));
                }
            }
        }
        present
    }

    /// Tells whether the document `key` is there and holds `mark`.
    #[must_use]
    pub fn holds(&self, key: &str, mark: &str) -> bool {
        self.texts.get(key).is_some_and(|text| text.contains(mark))
    }

    /// Tells whether the drop-in has one of K3s' own keys.
    #[must_use]
    pub fn has_key(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Tells whether the drop-in gives a component an argument.
    #[must_use]
    pub fn has_argument(&self, component: &str, name: &str) -> bool {
        self.arguments.contains(&(component.to_owned(), name.to_owned()))
    }

    /// Tells whether the drop-in turns an admission plugin on.
    #[must_use]
    pub fn has_plugin(&self, plugin: &str) -> bool {
        self.plugins.contains(plugin)
    }
}
