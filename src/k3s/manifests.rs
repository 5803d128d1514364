//! The manifests below `server/manifests`, as K3s' deploy controller reads them.
//!
//! Source: pkg/deploy/controller.go of K3s. A file that a word of `disable` names is deleted. A file with a document that is no object is not applied at all; an object
//! that cannot be made is tried again every 15 s.

use std::collections::BTreeSet;

use serde_yaml::Value;

use super::NodeConfig;
use super::config_values::disabling;
use super::node_paths::NodePaths;
use crate::error::{ErrorKind, Place, Result};
use crate::kubernetes::manifest;
use crate::node::{PathState, RootedPath};

/// Deepest directory below `manifests` that is looked at.
const MAX_DEPTH: usize = 16;

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
        let folder = node.data_dir.join(&NodePaths::get().manifests);
        let base = format!("{folder}/");
        for path in files(node, &folder)? {
            let place = Place { file: path.to_string(), position: None };
            if !node.root.exists(&path) {
                let message =
                    "this is a symlink to nothing: K3s applies no manifest at all as long as it is there";
                let kind = ManifestFaultKind::DanglingLink;
                manifests.faults.push(ManifestFault::new(kind, message, place));
                continue;
            }
            if deletion(node, path.as_str().trim_start_matches(&base)).is_some() {
                continue;
            }
            let bytes = match node.root.read(&path) {
                Err(error) if error.kind() != ErrorKind::NotPermitted => {
                    let kind = ManifestFaultKind::NotRead;
                    manifests.faults.push(ManifestFault::new(kind, error.to_string(), place));
                    continue;
                }
                other => other?.unwrap_or_default(),
            };
            let at = |position| Place { file: path.to_string(), position: Some(position) };
            match manifest::read(&bytes) {
                Ok(objects) => manifests.objects.extend(
                    objects
                        .into_iter()
                        .map(|object| ManifestObject { value: object.value, place: at(object.position) }),
                ),
                Err(fault) => {
                    let message = format!("{}: K3s applies nothing of this file", fault.message);
                    let place = at(fault.position);
                    manifests.faults.push(ManifestFault::new(ManifestFaultKind::Document, message, place));
                }
            }
        }
        Ok(manifests)
    }
}

/// Lists the files that the controller takes, in its order: hidden ones are left out, and those whose name, with `.skip`
/// behind it, is that of another file in any folder.
fn files(node: &NodeConfig<'_>, folder: &RootedPath) -> Result<Vec<RootedPath>> {
    let mut all = Vec::new();
    list(node, folder, 0, &mut all)?;
    let skipped: BTreeSet<String> =
        all.iter().filter_map(|path| path.name().strip_suffix(".skip").map(str::to_owned)).collect();
    let mut found = Vec::new();
    for path in all {
        let name = path.name();
        if !name.starts_with('.')
            && is_manifest(name)
            && !skipped.contains(name)
            && !matches!(node.root.look(&path)?, PathState::Other)
        {
            found.push(path);
        }
    }
    Ok(found)
}

/// A word of `disable` that deletes a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestDeletion {
    /// The word.
    pub word: String,
    /// Where it is written.
    pub place: Place,
}

/// Returns the word of `disable` that names a manifest: K3s then deletes it, be it the user's. `path` is relative to
/// `manifests`.
#[must_use]
pub fn deletion(node: &NodeConfig<'_>, path: &str) -> Option<ManifestDeletion> {
    let values = &node.effective.as_ref().ok()?.values;
    let found =
        |word: &&str| Some(ManifestDeletion { word: (*word).to_owned(), place: disabling(values, word)? });
    names(path).iter().find_map(found)
}

/// Returns the words by which `disable` names a file in `manifests`: the name of a manifest without its ending, and each
/// folder that holds the file, relative to `manifests`.
///
/// `manifests` itself is the empty word: shouldDisableFile splits `/a.yaml`, and looks up what stands before the first slash.
pub(super) fn names(path: &str) -> Vec<&str> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.rsplit_once('.').map(|(stem, _)| stem).filter(|_| is_manifest(file));
    let folders = folder.match_indices('/').map(|(at, _)| &folder[..at]).chain([folder]);
    let folders = folders.filter(|folder| !folder.is_empty());
    stem.into_iter().chain(folders).chain([""]).collect()
}

/// Tells whether a file's name has an ending that the controller takes.
fn is_manifest(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    [".yaml", ".yml", ".json"].iter().any(|end| lower.ends_with(end))
}

/// Returns the file, in any folder, that keeps K3s from applying the manifests with a name.
///
/// # Errors
/// A directory that cannot be read.
pub fn skip_file(node: &NodeConfig<'_>, name: &str) -> Result<Option<RootedPath>> {
    let mut all = Vec::new();
    list(node, &node.data_dir.join(&NodePaths::get().manifests), 0, &mut all)?;
    Ok(all.into_iter().find(|path| path.name().strip_suffix(".skip") == Some(name)))
}

/// Lists every file below a folder.
pub(super) fn list(
    node: &NodeConfig<'_>,
    folder: &RootedPath,
    depth: usize,
    found: &mut Vec<RootedPath>,
) -> Result<()> {
    for name in node.root.list(folder)? {
        let Some(name) = name.to_str().filter(|name| !name.contains('\n')) else { continue };
        let path = folder.join(name);
        if !node.root.is_directory(&path) {
            found.push(path);
        } else if depth < MAX_DEPTH {
            list(node, &path, depth + 1, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_its_name_and_its_folders() {
        assert_eq!(names("policy.yaml"), ["policy", ""]);
        assert_eq!(names("a/b/my.policy.YAML"), ["my.policy", "a", "a/b", ""]);
        assert_eq!(names("a/notes.txt"), ["a", ""]);
        assert_eq!(names("noending"), [""]);
    }
}
