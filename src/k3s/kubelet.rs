//! The kubelet's configuration: K3s' own drop-in and the user's beside it, merged as the kubelet merges them. What is on
//! its command line counts more.
//!
//! Source: pkg/daemons/agent (`extractConfigArgs`, `writeKubeletConfig`) of K3s; cmd/kubelet/app/server.go
//! (`mergeKubeletConfigurations`) of Kubernetes: files that end in `.conf`, also in folders, in the order of their names,
//! each a JSON merge patch.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::arguments;
use super::node_paths::DEFAULT_DATA_DIR;
use crate::embedded;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::kubernetes::yaml::{self, YamlNode, YamlValue};
use crate::node::{Root, RootedPath};
use crate::version::KubernetesMinor;

/// The folder of drop-ins, under K3s' data directory.
pub const DROP_INS: &str = "agent/etc/kubelet.conf.d";
/// The one that K3s writes at every start.
pub const DEFAULTS: &str = "00-k3s-defaults.conf";

/// The copies that K3s makes of what the kubelet's arguments `config` and `config-dir` name.
const COPIED_FILE: &str = "10-cli-config.conf";
const COPIED_FOLDER: &str = "20-cli-config-dir";
/// Deepest folder of drop-ins that is looked at.
const MAX_DEPTH: usize = 16;

/// The configuration that is in force, by dotted path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KubeletConfig {
    fields: BTreeMap<String, Field>,
}

/// A field, and where it is set.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its value; several for a list.
    pub items: Vec<String>,
    /// Where; none where K3s will set it by itself.
    pub place: Option<Place>,
}

impl KubeletConfig {
    /// Reads the configuration of a node, with the arguments that the user gives its kubelet. Where K3s has not written
    /// its own drop-in yet, what it will write counts; `protects` is its key `protect-kernel-defaults`.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the place for a file that the kubelet cannot read.
    pub fn read(
        root: &Root,
        data_dir: &RootedPath,
        minor: KubernetesMinor,
        arguments: &[&str],
        protects: bool,
    ) -> Result<Self> {
        let mut config = Self::default();
        let given = arguments::of_kubelet(arguments.iter().copied());
        let Some(own) = default_config(minor, data_dir) else {
            // Before K3s has a folder of drop-ins it hands both arguments on.
            if let Some(file) = given.config {
                config.add_file(root, &file.parse()?)?;
            }
            if let Some(folder) = given.config_dir {
                for (_, path) in drop_ins(root, &folder.parse()?, &[])? {
                    config.add_file(root, &path)?;
                }
            }
            return Ok(config);
        };
        let folder = data_dir.join(DROP_INS);
        let mut files = drop_ins(root, &folder, &[])?;
        let is_there = |files: &[DropIn], name: &str| files.iter().any(|(parts, _)| parts[0] == name);
        if !is_there(&files, DEFAULTS) {
            config.add(own.as_bytes(), None)?;
            if protects {
                config.add(b"protectKernelDefaults: true", None)?;
            }
        }
        // At every start K3s copies what the arguments name into its folder, unless it is from there.
        let is_elsewhere = |text: &&str| !text.starts_with(folder.as_str());
        if let Some(file) = given.config.filter(is_elsewhere)
            && !is_there(&files, COPIED_FILE)
        {
            files.push((vec![COPIED_FILE.to_owned()], file.parse()?));
        }
        if let Some(copied) = given.config_dir.filter(is_elsewhere)
            && !is_there(&files, COPIED_FOLDER)
        {
            files.extend(drop_ins(root, &copied.parse()?, &[COPIED_FOLDER.to_owned()])?);
        }
        files.sort();
        for (_, path) in files {
            config.add_file(root, &path)?;
        }
        Ok(config)
    }

    /// Reads one file, which may be another component's.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the place where it is not there or no YAML.
    pub fn of_file(root: &Root, path: &RootedPath) -> Result<Self> {
        let mut config = Self::default();
        config.add_file(root, path)?;
        Ok(config)
    }

    /// Returns a field by its dotted path, such as `authentication.anonymous.enabled`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Field> {
        self.fields.get(path)
    }

    /// Returns the fields of a mapping, such as `featureGates`, by their names in it.
    pub fn below<'c>(&'c self, path: &str) -> impl Iterator<Item = (&'c str, &'c Field)> {
        let below = format!("{path}.");
        self.fields.iter().filter_map(move |(known, field)| Some((known.strip_prefix(&below)?, field)))
    }

    fn add_file(&mut self, root: &Root, path: &RootedPath) -> Result<()> {
        let place = Place { file: path.to_string(), position: None };
        let bytes = root.read(path)?.ok_or_else(|| {
            Error::new(ErrorKind::BadInput, format!("{path}, which is to be read, is not there")).at(place)
        })?;
        self.add(&bytes, Some(path.as_str()))
    }

    fn add(&mut self, bytes: &[u8], file: Option<&str>) -> Result<()> {
        let place = |position| file.map(|file| Place { file: file.to_owned(), position });
        let node = yaml::read(bytes).map_err(|problem| {
            let error = Error::new(ErrorKind::BadInput, problem.message);
            match place(problem.position) {
                Some(place) => error.at(place),
                None => error,
            }
        })?;
        if let Some(node) = node {
            self.patch("", &node, &|position| place(Some(position)));
        }
        Ok(())
    }

    /// A JSON merge patch (RFC 7396): null takes away, a mapping is merged, everything else replaces.
    fn patch(&mut self, path: &str, node: &YamlNode, place: &dyn Fn((usize, usize)) -> Option<Place>) {
        let below = format!("{path}.");
        if let YamlValue::Map(pairs) = &node.value {
            self.fields.remove(path);
            for (key, value) in pairs {
                let key = key.go_text();
                let path = if path.is_empty() { key } else { format!("{below}{key}") };
                self.patch(&path, value, place);
            }
            return;
        }
        self.fields.retain(|known, _| known != path && !known.starts_with(&below));
        if node.is_null() || path.is_empty() {
            return;
        }
        let items = match &node.value {
            YamlValue::List(items) => items.iter().map(YamlNode::go_text).collect(),
            _ => vec![node.go_text()],
        };
        self.fields.insert(path.to_owned(), Field { items, place: place(node.position) });
    }
}

/// A drop-in: the parts of its name below the folder, by which it is sorted, and its path.
type DropIn = (Vec<String>, RootedPath);

/// Finds the drop-ins in a folder and those below it, in the kubelet's order (`filepath.WalkDir`); `below` is what their
/// names begin with.
fn drop_ins(root: &Root, folder: &RootedPath, below: &[String]) -> Result<Vec<DropIn>> {
    let mut found = Vec::new();
    for name in root.list(folder)? {
        let name = name.into_string().map_err(|name| {
            Error::new(ErrorKind::BadInput, format!("{} in {folder} is no text", name.display()))
        })?;
        let path: RootedPath = format!("{folder}/{name}").parse()?;
        let parts: Vec<String> = below.iter().cloned().chain([name.clone()]).collect();
        if root.is_directory(&path) {
            if parts.len() < MAX_DEPTH {
                found.extend(drop_ins(root, &path, &parts)?);
            }
        } else if name.ends_with(".conf") {
            found.push((parts, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the text of the drop-in that K3s of a minor writes at every start, as JSON, which is YAML; none where it
/// writes none.
#[must_use]
pub fn default_config(minor: KubernetesMinor, data_dir: &RootedPath) -> Option<String> {
    let generations: BTreeMap<String, Json> = embedded::table("kubelet-config");
    let known =
        generations.iter().filter_map(|(from, config)| Some((from.parse::<KubernetesMinor>().ok()?, config)));
    let (_, config) = known.filter(|(from, _)| *from <= minor).max_by_key(|(from, _)| *from)?;
    Some(format!("{config:#}\n").replace(DEFAULT_DATA_DIR, data_dir.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(text: &str) -> KubernetesMinor {
        text.parse().unwrap()
    }

    #[test]
    fn what_k3s_writes_by_itself_is_known_from_1_32_on() {
        let data_dir = RootedPath::fixed("/data/k3s");
        assert_eq!(default_config(minor("1.31"), &data_dir), None);
        let mut config = KubeletConfig::default();
        config
            .add(
                default_config(*KubernetesMinor::supported().last().unwrap(), &data_dir).unwrap().as_bytes(),
                None,
            )
            .unwrap();
        let text = |path: &str| config.get(path).map(|field| field.items.join(","));
        assert_eq!(text("authentication.anonymous.enabled").as_deref(), Some("false"));
        assert_eq!(
            text("authentication.x509.clientCAFile").as_deref(),
            Some("/data/k3s/agent/client-ca.crt")
        );
        assert_eq!(text("clusterDNS").as_deref(), Some("10.43.0.10"));
    }

    #[test]
    fn a_drop_in_is_a_merge_patch() {
        let mut config = KubeletConfig::default();
        config
            .add(
                b"authentication:\n  anonymous: {enabled: false}\n  webhook: {enabled: true}\nx: [a]\n",
                Some("/00"),
            )
            .unwrap();
        config
            .add(b"authentication:\n  anonymous: {enabled: true}\n  webhook: null\nx: [b, c]\n", Some("/10"))
            .unwrap();
        let place = Place { file: "/10".into(), position: Some((2, 24)) };
        let enabled = Field { items: vec!["true".into()], place: Some(place) };
        assert_eq!(config.get("authentication.anonymous.enabled"), Some(&enabled));
        assert_eq!(config.get("authentication.webhook.enabled"), None);
        assert_eq!(config.get("x").unwrap().items, ["b", "c"]);
        config.add(b"gates: {a: true, b: false}\ngatesToo: {c: true}\n", Some("/15")).unwrap();
        let gates = config.below("gates").map(|(name, field)| format!("{name}={}", field.items.join(",")));
        assert_eq!(gates.collect::<Vec<_>>(), ["a=true", "b=false"]);
        config.add(b"authentication: 3\n", None).unwrap();
        assert_eq!(config.get("authentication.anonymous.enabled"), None);
        let error = config.add(b"a: [\n", Some("/20")).unwrap_err();
        assert_eq!(error.place().unwrap().file, "/20");
    }
}
