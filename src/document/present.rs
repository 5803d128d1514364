//! The parts of k3s-harden's files that a node has already.
//!
//! A run that is limited to some controls (`--only`, `--skip`) must not remove what implements the others, and most
//! of them share files. So a part that the node has is written again, whether the run is about it or not.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize as _;
use serde_json::Value;

use super::has_header;

/// The parts of k3s-harden's files on a node; empty for a node without any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresentFiles {
    documents: BTreeSet<&'static str>,
    /// The objects of policy.yaml.
    objects: FileParts<(String, String)>,
    /// The plugins that psa.yaml configures.
    admission_plugins: FileParts<String>,
    keys: BTreeSet<String>,
    arguments: BTreeSet<(String, String)>,
    plugins: BTreeSet<String>,
}

/// The parts of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FileParts<T> {
    /// These, none if there is no file.
    Known(BTreeSet<T>),
    /// Any part: the file was edited and is no YAML any more, so no part is removed.
    Any,
}

impl<T> Default for FileParts<T> {
    fn default() -> Self {
        Self::Known(BTreeSet::new())
    }
}

impl<T> FileParts<T> {
    fn has(&self, is_wanted: impl FnMut(&T) -> bool) -> bool {
        match self {
            Self::Known(parts) => parts.iter().any(is_wanted),
            Self::Any => true,
        }
    }
}

impl<T: Ord> FileParts<T> {
    /// Reads the parts of each YAML document of a file.
    fn read(text: &str, parts: impl Fn(&Value) -> Vec<T>) -> Self {
        let documents = serde_yaml::Deserializer::from_str(text).map(Value::deserialize);
        let documents: Result<Vec<Value>, _> = documents.collect();
        documents.map_or(Self::Any, |documents| Self::Known(documents.iter().flat_map(parts).collect()))
    }
}

impl PresentFiles {
    /// Reads the files, given by the keys of the documents; a file without k3s-harden's header does not count.
    #[must_use]
    pub fn new(files: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> Self {
        let mut present = Self::default();
        for (key, bytes) in files.into_iter().filter(|(_, bytes)| has_header(bytes)) {
            let text = String::from_utf8_lossy(&bytes);
            present.documents.insert(key);
            match key {
                "policy" => present.objects = FileParts::read(&text, |object| vec![kind_and_name(object)]),
                "psa" => present.admission_plugins = FileParts::read(&text, configured_plugins),
                "config" => present.read_drop_in(&text),
                _ => {}
            }
        }
        present
    }

    fn read_drop_in(&mut self, text: &str) {
        // A drop-in that was edited until it is no YAML holds nothing that could be kept.
        let config: BTreeMap<String, Value> = serde_yaml::from_str(text).unwrap_or_default();
        for (key, value) in config {
            // With a plain key the list was taken over from other files.
            let Some(component) = key.strip_suffix("-arg+").or_else(|| key.strip_suffix("-arg")) else {
                self.keys.insert(key);
                continue;
            };
            for argument in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
                let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
                self.arguments.insert((component.to_owned(), name.to_owned()));
                if name == "enable-admission-plugins" {
                    self.plugins.extend(value.split(',').map(str::to_owned));
                }
            }
        }
    }

    /// Tells whether the document `key` is there.
    #[must_use]
    pub fn has_document(&self, key: &str) -> bool {
        self.documents.contains(key)
    }

    /// Tells whether policy.yaml has an object of a kind, of that name if one is given.
    #[must_use]
    pub fn has_object(&self, kind: &str, name: Option<&str>) -> bool {
        self.objects.has(|(its, called)| its == kind && name.is_none_or(|name| name == called))
    }

    /// Tells whether psa.yaml configures an admission plugin.
    #[must_use]
    pub fn has_admission_configuration(&self, plugin: &str) -> bool {
        self.admission_plugins.has(|configured| configured == plugin)
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

fn kind_and_name(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

fn configured_plugins(configuration: &Value) -> Vec<String> {
    let plugins = configuration["plugins"].as_array().into_iter().flatten();
    plugins.filter_map(|plugin| plugin["name"].as_str()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(key: &'static str, body: &str) -> PresentFiles {
        let text = format!("# a\n# Written by k3s-harden 0\n{body}");
        PresentFiles::new([(key, text.into_bytes())])
    }

    #[test]
    fn parts_are_found_by_their_objects() {
        let policy = ours(
            "policy",
            "---\nkind: NetworkPolicy\nmetadata: {name: \"dns\"}\n---\nkind: ServiceAccount\nmetadata:\n  name: default\n",
        );
        assert!(policy.has_document("policy") && !policy.has_document("psa"));
        assert!(policy.has_object("NetworkPolicy", Some("dns")) && policy.has_object("ServiceAccount", None));
        assert!(!policy.has_object("NetworkPolicy", Some("dns-2")));
        assert!(!policy.has_object("NetworkPolicy", Some("default")));
        assert!(!policy.has_object("PodSecurityPolicy", None));
        let psa = ours("psa", "plugins:\n  - name: EventRateLimit # PodSecurity\n");
        assert!(psa.has_admission_configuration("EventRateLimit"));
        assert!(!psa.has_admission_configuration("PodSecurity"));
    }

    #[test]
    fn what_is_not_ours_does_not_count_and_what_is_no_yaml_counts_in_full() {
        let theirs = PresentFiles::new([("policy", b"kind: ServiceAccount\n".to_vec())]);
        assert_eq!(theirs, PresentFiles::default());
        let broken = ours("policy", "kind: [NetworkPolicy\n");
        assert!(broken.has_object("PodSecurityPolicy", None));
        assert!(!broken.has_admission_configuration("PodSecurity"));
    }
}
