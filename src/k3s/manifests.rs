// SPDX-License-Identifier: Apache-2.0
//! The manifests below `server/manifests`, as K3s's deploy controller reads them.
//!
//! Source: pkg/deploy/controller.go of K3s. A file that a word of `disable` names is deleted. A file with a document that is no object is not applied at all; an object
//! that cannot be made is tried again every 15 s.

use std::collections::BTreeMap;

use serde_json::Value;

use super::NodeConfig;
pub use super::manifest_files::{ManifestDeletion, deletion};
use super::manifest_files::{ManifestFiles, addon_name, hides_changes, is_manifest};
use super::node_paths::NodePaths;
use super::packaged;
use crate::error::{ErrorKind, Place, Result};
use crate::kubernetes::manifest;
use crate::kubernetes::names;
use crate::node::{PathKind, RootedPath};

/// The manifests of a node.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The objects that K3s applies, in order.
    pub objects: Vec<ManifestObject>,
    /// What K3s does not apply.
    pub faults: Vec<ManifestFault>,
}

/// An object of a manifest.
#[derive(Debug)]
pub struct ManifestObject {
    /// The object.
    pub value: Value,
    /// Where it begins.
    pub place: Place,
    /// Why it is not certain that it stays in the cluster.
    pub doubt: Option<String>,
}

/// A manifest of which K3s applies nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFault {
    /// What is wrong with it.
    pub kind: ManifestFaultKind,
    /// What is wrong, in words.
    pub message: String,
    /// Where.
    pub place: Place,
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestFaultKind {
    /// A symlink to nothing: the walk over the directory fails on it every time, so K3s applies no manifest at all.
    DanglingLink,
    /// The file cannot be read here, so what K3s makes of it is unknown.
    NotRead,
    /// A document of the file is no object.
    Document,
    /// The file's Addon would have a name that no object can have: K3s applies nothing of the file.
    Name,
    /// Another file has the same Addon: each undoes the objects of the other.
    SharedAddon,
    /// A `.skip` in another folder names the file.
    Skipped,
    /// K3s does not enter the folder, which is a symlink, or not in each of its releases.
    LinkedFolder,
    /// The file's modification time is 0, so a running K3s may not see that it changes.
    Time,
}

impl ManifestFault {
    fn new(kind: ManifestFaultKind, message: impl Into<String>, place: Place) -> Self {
        Self { kind, message: message.into(), place }
    }
}

impl Manifests {
    /// Reads the manifests of a node.
    ///
    /// # Errors
    /// A directory that cannot be read, or a file without the right to.
    pub fn read(node: &NodeConfig<'_>) -> Result<Self> {
        let mut manifests = Self::default();
        let found = ManifestFiles::walk(node)?;
        manifests.add_link_faults(node, &found);
        let base = format!("{}/", node.data_dir.join(&NodePaths::get().manifests));
        let below = |path: &RootedPath| path.as_str().trim_start_matches(&base).to_owned();
        let is_taken = |path: &&RootedPath| {
            let name = path.name();
            !name.starts_with('.') && is_manifest(name) && deletion(node, &below(path)).is_none()
        };
        let (files, skipped): (Vec<&RootedPath>, Vec<&RootedPath>) =
            found.files.iter().filter(is_taken).partition(|path| found.skip_of(path.name()).is_none());
        for path in skipped {
            manifests.faults.extend(skipped_from_elsewhere(path, &found));
        }
        let own: Vec<&str> = packaged::own_manifests(node).collect();
        let addons = addons(&own, files.iter().map(|path| below(path)).collect());
        for path in files {
            let place = Place { file: path.to_string(), position: None };
            let name = addon_name(path.as_str());
            if !names::is_subdomain(name) {
                let message = format!(
                    "K3s does not apply this file: its Addon would have the name {name:?}, but a name has only lowercase letters, digits and inner dashes"
                );
                manifests.faults.push(ManifestFault::new(ManifestFaultKind::Name, message, place));
                continue;
            }
            let file = below(path);
            let others = addons.get(name).into_iter().flatten().filter(|other| **other != file);
            let others: Vec<&str> = others.map(String::as_str).collect();
            let is_replaced = node.traces().started.is_none() && own.contains(&file.as_str());
            let mut doubt = None;
            if is_replaced {
                doubt = Some("K3s writes its own manifest over this file at its first start".to_owned());
            } else if !others.is_empty() {
                doubt = Some(format!(
                    "this file and {} share the Addon {name}: each deletes the objects of the other when K3s applies it",
                    others.join(", ")
                ));
            }
            if let Some(message) = &doubt {
                let kind = ManifestFaultKind::SharedAddon;
                manifests.faults.push(ManifestFault::new(kind, message.clone(), place.clone()));
            }
            if let Some(link) = found.doubtful_link(path) {
                let since = found.links_since.as_deref().unwrap_or_default();
                doubt = Some(format!("K3s enters {link}, which is a symlink, only from {since} on"));
            }
            if hides_changes(node, path)? {
                let message = "this file has the modification time 0 (1970-01-01). K3s compares times before contents: while it runs, it does not apply a changed file that has the same time";
                let place = Place { file: path.to_string(), position: None };
                manifests.faults.push(ManifestFault::new(ManifestFaultKind::Time, message, place));
            }
            manifests.add_file(node, path, doubt.as_deref())?;
        }
        Ok(manifests)
    }

    fn add_link_faults(&mut self, node: &NodeConfig<'_>, found: &ManifestFiles) {
        let place = |path: &RootedPath| Place { file: path.to_string(), position: None };
        for path in &found.dangling {
            let message = "this is a dangling symlink: K3s applies no manifests until you remove it";
            self.faults.push(ManifestFault::new(ManifestFaultKind::DanglingLink, message, place(path)));
        }
        for link in &found.links {
            let message = match &found.links_since {
                Some(since) => {
                    format!(
                        "this folder is a symlink, which K3s {} enters only from {since} on",
                        node.minor()
                    )
                }
                None => format!("this folder is a symlink, which K3s {} does not enter", node.minor()),
            };
            self.faults.push(ManifestFault::new(ManifestFaultKind::LinkedFolder, message, place(link)));
        }
    }

    fn add_file(&mut self, node: &NodeConfig<'_>, path: &RootedPath, doubt: Option<&str>) -> Result<()> {
        let place = Place { file: path.to_string(), position: None };
        let unreadable = match node.root.kind(path)? {
            PathKind::Other => return Ok(()),
            PathKind::Directory => Some("this is a symlink to a folder"),
            PathKind::File => None,
            _ => Some("this is a symlink to nothing"),
        };
        if let Some(what) = unreadable {
            let message = format!("{what}: K3s applies nothing of it");
            self.faults.push(ManifestFault::new(ManifestFaultKind::Document, message, place));
            return Ok(());
        }
        let bytes = match node.root.read(path) {
            Err(error) if error.kind() != ErrorKind::NotPermitted => {
                self.faults.push(ManifestFault::new(ManifestFaultKind::NotRead, error.to_string(), place));
                return Ok(());
            }
            other => other?.unwrap_or_default(),
        };
        let at = |position| Place { file: path.to_string(), position: Some(position) };
        match manifest::read(&bytes) {
            Ok(objects) => self.objects.extend(objects.into_iter().map(|object| ManifestObject {
                value: object.value,
                place: at(object.position),
                doubt: doubt.map(str::to_owned),
            })),
            Err(fault) => {
                let message = format!("{}: K3s applies nothing of this file", fault.message);
                let place = at(fault.position);
                self.faults.push(ManifestFault::new(ManifestFaultKind::Document, message, place));
            }
        }
        Ok(())
    }
}

/// Returns the fault of a manifest that a `.skip` in another folder names: nobody looks for it there.
fn skipped_from_elsewhere(path: &RootedPath, found: &ManifestFiles) -> Option<ManifestFault> {
    let skip = found.skip_of(path.name()).filter(|skip| skip.parent() != path.parent())?;
    let message = format!("K3s applies nothing of this file: {skip} names it, whatever its folder");
    let place = Place { file: path.to_string(), position: None };
    Some(ManifestFault::new(ManifestFaultKind::Skipped, message, place))
}

/// Returns the files of each Addon, with those that K3s writes itself.
fn addons(own: &[&str], mut files: Vec<String>) -> BTreeMap<String, Vec<String>> {
    let others = own.iter().filter(|own| files.iter().all(|file| file != *own));
    let others: Vec<String> = others.map(|own| (*own).to_owned()).collect();
    files.extend(others);
    let mut addons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        addons.entry(addon_name(&file).to_owned()).or_default().push(file);
    }
    addons
}

/// Returns the `.skip`, in any folder, that keeps K3s from applying the manifests with a name.
///
/// # Errors
/// A directory that cannot be read.
pub fn skip_file(node: &NodeConfig<'_>, name: &str) -> Result<Option<RootedPath>> {
    Ok(ManifestFiles::walk(node)?.skip_of(name).cloned())
}
