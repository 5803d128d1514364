// SPDX-License-Identifier: Apache-2.0
//! The files below `server/manifests`, as K3s's deploy controller walks over them.
//!
//! Source: pkg/deploy/controller.go of K3s (`walkFiles`, `listFilesIn`, `basename`).

use std::sync::LazyLock;

use serde::Deserialize;

use super::NodeConfig;
use super::config_values::disabling;
use super::node_paths::NodePaths;
use crate::embedded;
use crate::error::{Place, Result};
use crate::node::{EntryKind, PathKind, RootedPath};
use crate::version::{Availability, FirstReleases};

/// How the name of a file or a folder ends that keeps another file from being applied.
const SKIP: &str = ".skip";
/// Deepest directory below `manifests` that is looked at.
const MAX_DEPTH: usize = 16;

/// How the controller walks (data/deploy-controller.yaml).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DeployController {
    follows_links: FirstReleases,
    epoch_is_no_time: Option<FirstReleases>,
}

impl DeployController {
    fn get() -> &'static Self {
        static TABLE: LazyLock<DeployController> = LazyLock::new(|| embedded::table("deploy-controller"));
        &TABLE
    }
}

/// What is below `manifests`.
#[derive(Debug, Default)]
pub(super) struct ManifestFiles {
    /// Its files, in the controller's order: what is no folder, or is not entered.
    pub(super) files: Vec<RootedPath>,
    /// Symlinks to nothing that end the walk.
    pub(super) dangling: Vec<RootedPath>,
    /// Symlinks to folders that the release does not enter, or not in each of its patch releases.
    pub(super) links: Vec<RootedPath>,
    /// The first release of the minor that enters such symlinks; none if no release of the minor does, or each.
    pub(super) links_since: Option<String>,
    /// What is called `.skip`, of a file or a folder.
    skips: Vec<RootedPath>,
}

impl ManifestFiles {
    /// Walks over the folder.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub(super) fn walk(node: &NodeConfig<'_>) -> Result<Self> {
        let follows = DeployController::get().follows_links.availability(node.release);
        let links_since = match &follows {
            Availability::Differs { since } => Some(since.clone()),
            _ => None,
        };
        let mut found = Self { links_since, ..Self::default() };
        let base = node.data_dir.join(&NodePaths::get().manifests);
        let is_link = || Ok(node.root.entry(&base)?.is_some_and(|entry| entry.kind == EntryKind::Symlink));
        if node.root.is_directory(&base) || !is_link()? {
            found.enter(node, &base, 0, &follows, false)?;
        } else {
            found.enter_link(node, &base, 0, &follows)?;
        }
        found.files.sort();
        Ok(found)
    }

    fn enter(
        &mut self,
        node: &NodeConfig<'_>,
        folder: &RootedPath,
        depth: usize,
        follows: &Availability,
        is_linked: bool,
    ) -> Result<()> {
        for (name, kind) in node.root.names_and_kinds(folder)? {
            let path = folder.join(&name);
            if name.ends_with(SKIP) {
                self.skips.push(path.clone());
            }
            // Within a linked folder no further link is looked at.
            match kind {
                Some(EntryKind::Symlink) if !is_linked => self.enter_link(node, &path, depth, follows)?,
                Some(EntryKind::Directory) if depth < MAX_DEPTH => {
                    self.enter(node, &path, depth + 1, follows, is_linked)?;
                }
                Some(EntryKind::Directory) | None => {}
                Some(_) => self.files.push(path),
            }
        }
        Ok(())
    }

    fn enter_link(
        &mut self,
        node: &NodeConfig<'_>,
        path: &RootedPath,
        depth: usize,
        follows: &Availability,
    ) -> Result<()> {
        match node.root.kind(path)? {
            PathKind::Directory => {}
            kind => {
                let is_file = matches!(kind, PathKind::File | PathKind::Other);
                let found = if is_file || *follows == Availability::Absent {
                    &mut self.files
                } else {
                    &mut self.dangling
                };
                found.push(path.clone());
                return Ok(());
            }
        }
        if *follows != Availability::Present {
            self.links.push(path.clone());
        }
        if *follows == Availability::Absent {
            Ok(())
        } else {
            self.enter(node, path, depth + 1, follows, true)
        }
    }

    /// Returns the `.skip` that keeps the files of a name from being applied.
    pub(super) fn skip_of(&self, name: &str) -> Option<&RootedPath> {
        self.skips.iter().find(|path| path.name().strip_suffix(SKIP) == Some(name))
    }

    /// Returns the link through which a file is reached, if not each release of the minor enters it.
    pub(super) fn doubtful_link(&self, file: &RootedPath) -> Option<&RootedPath> {
        self.links.iter().find(|link| file.as_str().starts_with(&format!("{link}/")))
    }
}

/// Tells whether a running K3s would not see that this manifest changes: its modification time is 0, which every later
/// version of it has too where something sets it, and K3s compares times before contents.
///
/// # Errors
/// If the file cannot be looked at.
pub(super) fn hides_changes(node: &NodeConfig<'_>, file: &RootedPath) -> Result<bool> {
    let mended = DeployController::get().epoch_is_no_time.as_ref();
    let is_mended = mended.is_some_and(|mended| mended.availability(node.release) == Availability::Present);
    // The first pass after a start applies every file.
    if is_mended || node.traces().started.is_none() {
        return Ok(false);
    }
    let entry = node.root.entry(file)?;
    Ok(entry.is_some_and(|entry| entry.kind == EntryKind::File && entry.modified == 0))
}

/// Returns the name of a file's Addon: that of the file up to its first dot.
pub(super) fn addon_name(file: &str) -> &str {
    let name = file.rsplit_once('/').map_or(file, |(_, name)| name);
    name.split_once('.').map_or(name, |(stem, _)| stem)
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
pub(super) fn is_manifest(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    [".yaml", ".yml", ".json"].iter().any(|end| lower.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::names;

    #[test]
    fn an_addon_is_named_by_the_file_up_to_its_first_dot() {
        for (file, name, is_fine) in [
            ("policy.yaml", "policy", true),
            ("a/policy.V2_a.YAML", "policy", true),
            ("my_policy.yaml", "my_policy", false),
            ("Policy.yaml", "Policy", false),
            ("a.b/10-policy.json", "10-policy", true),
            ("-policy.yaml", "-policy", false),
            ("policy-.yaml", "policy-", false),
            ("policy 2.yaml", "policy 2", false),
            ("pölicy.yaml", "pölicy", false),
            ("0.yaml", "0", true),
        ] {
            assert_eq!(addon_name(file), name);
            assert_eq!(names::is_subdomain(name), is_fine, "{name}");
        }
    }

    #[test]
    fn a_file_is_named_by_its_name_and_its_folders() {
        assert_eq!(super::names("policy.yaml"), ["policy", ""]);
        assert_eq!(super::names("a/b/my.policy.YAML"), ["my.policy", "a", "a/b", ""]);
        assert_eq!(super::names("a/notes.txt"), ["a", ""]);
        assert_eq!(super::names("noending"), [""]);
    }
}
