// SPDX-License-Identifier: Apache-2.0
//! Which files K3s hands to the kubelet as its configuration: K3s's own drop-in and the user's. The kubelet's command
//! line, which has precedence, is not part of it.
//!
//! Source: pkg/daemons/agent (`extractConfigArgs`, `writeKubeletConfig`) of K3s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value as Json;

use super::arguments;
use super::kubelet_files::KubeletFiles;
pub use super::kubelet_files::KubeletSource;
use super::node_paths::{self, DEFAULT_DATA_DIR};
use crate::embedded;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::kubernetes::kubelet_config::{DROP_IN_ENDING, KubeletConfig};
use crate::kubernetes::kubelet_fields;
use crate::node::{Root, RootedPath};
use crate::version::KubernetesMinor;

/// The folder of drop-ins, under K3s's data directory.
pub const DROP_INS: &str = "agent/etc/kubelet.conf.d";
/// The drop-in that K3s writes at every start.
pub const DEFAULTS: &str = "00-k3s-defaults.conf";

/// The copies that K3s makes of the file and the folder in the kubelet's arguments `config` and `config-dir`.
const COPIED_FILE: &str = "10-cli-config.conf";
const COPIED_FOLDER: &str = "20-cli-config-dir";
/// Deepest folder of drop-ins that is read.
const MAX_DEPTH: usize = 16;

/// Returns the documents of a node's kubelet in their order, with the arguments that the user gives it. `protects` is K3s'
/// key `protect-kernel-defaults`.
///
/// # Errors
/// A folder that cannot be read.
pub fn sources(
    root: &Root,
    data_dir: &RootedPath,
    minor: KubernetesMinor,
    arguments: &[&str],
    protects: bool,
) -> Result<Vec<KubeletSource>> {
    let path = |text: &str| node_paths::of_argument(data_dir, text);
    let mut found = Vec::new();
    let Some(own) = default_config(minor, data_dir) else {
        // K3s without a folder of drop-ins hands both arguments on, and an item without `=` is its own.
        let last = |name: &str| {
            let mut pairs = arguments.iter().map(|text| arguments::name_and_value(text));
            pairs.rfind(|pair| pair.0 == name).map(|pair| pair.1).filter(|text| !text.is_empty())
        };
        if let Some(file) = last("config") {
            found.push(KubeletSource::ConfigFile(path(&file)?));
        }
        if let Some(folder) = last("config-dir") {
            found.extend(walked(root, path(&folder)?)?);
        }
        return Ok(found);
    };
    let given = arguments::of_kubelet(arguments.iter().copied());
    // K3s does not know its argument with an underscore, and hands it on; the kubelet does, and reads no other folder.
    let handed_on = given.kept.iter().map(|text| arguments::name_and_value(text));
    if let Some((_, folder)) = handed_on.rev().find(|(name, _)| name == "config-dir") {
        return if folder.is_empty() { Ok(found) } else { walked(root, path(&folder)?) };
    }
    found.push(KubeletSource::Own(own));
    if protects {
        found.push(KubeletSource::Own("protectKernelDefaults: true".to_owned()));
    }
    let folder = data_dir.join(DROP_INS);
    if is_no_folder(root, &folder) {
        return Ok(Vec::new());
    }
    let mut files: Vec<(Vec<String>, KubeletSource)> = drop_ins(root, &folder, &[])?
        .into_iter()
        .filter(|(parts, _)| parts[0] != DEFAULTS)
        .map(|(parts, path)| (parts, KubeletSource::DropIn(path)))
        .collect();
    // At every start K3s copies the file and the folder into its own folder, over what is there, unless they are in it.
    let is_elsewhere = |text: &&str| !text.is_empty() && !text.starts_with(folder.as_str());
    if let Some(file) = given.config.filter(is_elsewhere) {
        files.retain(|(parts, _)| parts[0] != COPIED_FILE);
        files.push((vec![COPIED_FILE.to_owned()], KubeletSource::DropIn(path(file)?)));
    }
    if let Some(copied) = given.config_dir.filter(is_elsewhere) {
        let copies = folder_sources(root, path(copied)?, &[COPIED_FOLDER.to_owned()])?;
        files.retain(|(parts, _)| !copies.iter().any(|(copy, _)| copy == parts));
        files.extend(copies);
    }
    files.sort_by_cached_key(|(parts, _)| in_bytes(parts));
    found.extend(files.into_iter().map(|(_, source)| source));
    Ok(found)
}

/// Tells whether there is something that the kubelet does not walk: it follows no symlink (`filepath.WalkDir`).
fn is_no_folder(root: &Root, path: &RootedPath) -> bool {
    root.exists(path) && !root.is_directory(path)
}

/// Returns what the kubelet reads of the folder that its own argument names. What is no folder it takes for a file.
fn walked(root: &Root, folder: RootedPath) -> Result<Vec<KubeletSource>> {
    if is_no_folder(root, &folder) {
        let is_read = folder.name().ends_with(DROP_IN_ENDING);
        return Ok(is_read.then_some(KubeletSource::DropIn(folder)).into_iter().collect());
    }
    Ok(folder_sources(root, folder, &[])?.into_iter().map(|(_, source)| source).collect())
}

/// Returns the drop-ins of a folder that K3s copies, or the kubelet reads.
fn folder_sources(
    root: &Root,
    folder: RootedPath,
    below: &[String],
) -> Result<Vec<(Vec<String>, KubeletSource)>> {
    if !root.exists(&folder) {
        return Ok(vec![(below.to_vec(), KubeletSource::MissingFolder(folder))]);
    }
    let found = drop_ins(root, &folder, below)?;
    Ok(found.into_iter().map(|(parts, path)| (parts, KubeletSource::DropIn(path))).collect())
}

/// Reads the configuration of a node, with the arguments that the user gives its kubelet; `protects` is its key
/// `protect-kernel-defaults`, and `started` tells whether K3s has started. The drop-in that K3s has written counts; before
/// its first start, the one that it will write.
///
/// # Errors
/// [`ErrorKind::BadInput`] with the place for a file that the kubelet refuses, or a value that has another type than its
/// field; [`ErrorKind::Failed`] if K3s has started and its own drop-in is not there.
pub fn read(
    root: &Root,
    data_dir: &RootedPath,
    minor: KubernetesMinor,
    (arguments, protects): (&[&str], bool),
    started: bool,
) -> Result<KubeletConfig> {
    let mut found = sources(root, data_dir, minor, arguments, protects)?;
    let written = data_dir.join(DROP_INS).join(DEFAULTS);
    if found.iter().any(|source| matches!(source, KubeletSource::Own(_))) {
        if root.exists(&written) {
            found.retain(|source| !matches!(source, KubeletSource::Own(_)));
            found.insert(0, KubeletSource::DropIn(written));
        } else if started {
            let message = format!("{written} is not there, although K3s writes it at every start");
            let place = Place { file: written.to_string(), position: None };
            return Err(Error::new(ErrorKind::Failed, message).at(place));
        }
    }
    let files = KubeletFiles::read(root, &found, minor)?;
    let decoded = kubelet_fields::decode(files.root(), minor);
    if let Some(fault) = decoded.faults.first() {
        let error = Error::new(ErrorKind::BadInput, fault.message.clone());
        return Err(match files.place(fault.position) {
            Some(place) => error.at(place),
            None => error,
        });
    }
    let config = KubeletConfig::of_fields(&decoded.fields, &|position| files.place(position));
    // Before, the kubelet merged drop-ins into its settings as they were, and what was taken out stayed.
    let taken_out = if takes_pairs(minor) { files.taken_out.clone() } else { BTreeSet::new() };
    let of_file = found.iter().any(|source| matches!(source, KubeletSource::ConfigFile(_)));
    Ok(config.with_taken_out(taken_out, of_file))
}

/// A drop-in: the parts of its name below the folder, by which it is sorted, and its path.
type DropIn = (Vec<String>, RootedPath);

/// Finds the drop-ins in a folder and those below it, in the kubelet's order (`filepath.WalkDir`); `below` is what their
/// names begin with.
fn drop_ins(root: &Root, folder: &RootedPath, below: &[String]) -> Result<Vec<DropIn>> {
    let mut found = Vec::new();
    for name in root.names(folder)? {
        let path = folder.join(&name);
        let parts: Vec<String> = below.iter().cloned().chain([name.clone()]).collect();
        if root.is_directory(&path) {
            if parts.len() < MAX_DEPTH {
                found.extend(drop_ins(root, &path, &parts)?);
            }
        } else if name.ends_with(DROP_IN_ENDING) {
            found.push((parts, path));
        }
    }
    found.sort_by_cached_key(|(parts, _)| in_bytes(parts));
    Ok(found)
}

/// Returns what orders names by their bytes.
fn in_bytes(parts: &[String]) -> Vec<RootedPath> {
    parts.iter().map(|part| RootedPath::fixed("/").join(part)).collect()
}

/// Tells whether a place is in the drop-in that K3s writes at every start.
#[must_use]
pub fn is_own_file(place: &Place) -> bool {
    place.file.ends_with(&format!("{DROP_INS}/{DEFAULTS}"))
}

/// Tells whether K3s of a minor splits the kubelet's arguments itself: an item without `=` takes the next one as its
/// value, and K3s keeps `config` and `config-dir`.
#[must_use]
pub fn takes_pairs(minor: KubernetesMinor) -> bool {
    generation(minor).is_some()
}

/// Returns the text of the drop-in that K3s of a minor writes at every start, as JSON, which is YAML; none if it writes
/// none.
#[must_use]
pub fn default_config(minor: KubernetesMinor, data_dir: &RootedPath) -> Option<String> {
    Some(format!("{:#}\n", generation(minor)?).replace(DEFAULT_DATA_DIR, data_dir.as_str()))
}

/// Returns what K3s of a minor configures the kubelet with, from the newest generation that is not newer.
fn generation(minor: KubernetesMinor) -> Option<&'static Json> {
    static GENERATIONS: LazyLock<BTreeMap<KubernetesMinor, Json>> =
        LazyLock::new(|| embedded::table("kubelet-config"));
    GENERATIONS.range(..=minor).next_back().map(|(_, config)| config)
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
        let newest = *KubernetesMinor::supported().last().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config =
            read(&Root::open(folder.path()).unwrap(), &data_dir, newest, (&[], false), false).unwrap();
        let text = |path: &str| config.get(path).map(|field| field.items.join(","));
        assert_eq!(text("authentication.anonymous.enabled").as_deref(), Some("false"));
        assert_eq!(
            text("authentication.x509.clientCAFile").as_deref(),
            Some("/data/k3s/agent/client-ca.crt")
        );
        assert_eq!(text("clusterDNS").as_deref(), Some("10.43.0.10"));
    }
}
