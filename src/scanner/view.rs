// SPDX-License-Identifier: Apache-2.0
//! The node as a scanner sees it: its files, its journal, and the files that K3s creates if it has not started yet.

use std::collections::BTreeMap;

use super::audit::Unit;
use super::path::matches;
use super::scanned_node::ScannedNode;
use crate::Role;
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::{FirstStart, ForecastFile, forecast_files};
use crate::mode::Owner;
use crate::node::{EntryKind, PathKind, PathState, RootedPath};

/// What reading a file gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CatOutput {
    /// The text of the file.
    Text(String),
    /// There is no file.
    Missing,
    /// There is something that `cat` cannot read, for this reason.
    Unreadable(&'static str),
}

/// What `stat` and `find` see at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenEntry {
    /// What it is; a symlink is not followed.
    pub(super) kind: EntryKind,
    /// The mode as `stat` prints it.
    pub(super) mode: String,
    /// The owner as `stat` prints it.
    pub(super) owner: String,
}

/// The device that swallows everything. systemd masks a unit with a link to it.
const NULL_DEVICE: &str = "/dev/null";

/// The node as a scanner sees it.
#[derive(Debug)]
pub(super) struct ScannerView<'a> {
    node: &'a ScannedNode<'a>,
    /// The files that K3s creates at its first start, by path.
    forecast: BTreeMap<String, ForecastFile>,
}

impl<'a> ScannerView<'a> {
    /// Returns the view of a node. It reads nothing yet.
    pub(super) fn new(node: &'a ScannedNode<'a>) -> Self {
        let ScannedNode { role, minor, data_dir, running, provider, .. } = *node;
        let forecast = match node.started {
            true => BTreeMap::new(),
            false => forecast_files(FirstStart { role, minor, data_dir, running, provider }),
        };
        Self { node, forecast }
    }

    /// Returns the journal of one unit, or of both; `on_disk` excludes a journal that is only in memory.
    pub(super) fn journal(&self, unit: Option<Unit>, on_disk: bool) -> &str {
        let is_other_unit = unit == Some(Unit::K3s) && self.node.role == Role::Agent;
        let is_missing = on_disk && !self.node.root.is_directory(&RootedPath::fixed("/var/log/journal"));
        if is_other_unit || is_missing { "" } else { self.node.journal }
    }

    /// Tells whether something exists at a path, as `os.Stat` and `test -e` do: they follow symlinks.
    pub(super) fn exists(&self, path: &str) -> bool {
        rooted(path).is_some_and(|path| self.node.root.exists(&path))
            || self.forecast.contains_key(path)
            || self.is_null(path)
    }

    /// Fails for a path at which kube-bench gives up: one that symlinks lead to in a circle.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] for such a path; any error of a path that cannot be looked at.
    pub(super) fn reachable(&self, path: &str) -> Result<()> {
        match rooted(path).map(|path| self.node.root.kind(&path)).transpose()? {
            Some(PathKind::Loop) => {
                let message =
                    format!("the scanner ends without a result: symlinks at {path} lead in a circle");
                Err(Error::new(ErrorKind::BadInput, message))
            }
            _ => Ok(()),
        }
    }

    /// Tells whether K3s's containerd runs on the node.
    pub(super) fn runs_containerd(&self) -> bool {
        self.node.running.has("containerd")
    }

    /// Returns what is at a path itself, as `stat` and `find` see it.
    ///
    /// # Errors
    /// Any error of a path that exists and cannot be looked at.
    pub(super) fn entry(&self, path: &str) -> Result<Option<SeenEntry>> {
        let existing = rooted(path).map(|path| self.node.root.entry(&path)).transpose()?.flatten();
        let (kind, mode, owner) = match (existing, self.forecast.get(path)) {
            (Some(entry), _) => (entry.kind, entry.mode, entry.owner),
            (None, Some(file)) => {
                let kind = if file.directory { EntryKind::Directory } else { EntryKind::File };
                (kind, file.mode, self.node.owner)
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(SeenEntry { kind, mode: mode.as_stat(), owner: self.owner_name(owner) }))
    }

    /// Tells whether a path leads to a directory.
    ///
    /// # Errors
    /// Any error of a path that cannot be looked at.
    pub(super) fn leads_to_directory(&self, path: &str) -> Result<bool> {
        Ok(match rooted(path).map(|path| self.node.root.kind(&path)).transpose()? {
            Some(PathKind::Directory) => true,
            Some(PathKind::Absent) => self.forecast.get(path).is_some_and(|file| file.directory),
            _ => false,
        })
    }

    /// Tells whether a path is a symlink to the null device, which every running system has, but no image.
    fn is_null(&self, path: &str) -> bool {
        let is_link = |path: &RootedPath| matches!(self.node.root.entry(path), Ok(Some(entry)) if entry.kind == EntryKind::Symlink);
        rooted(path).filter(is_link).is_some_and(|path| {
            matches!(self.node.root.look_without_attributes(&path),
                Ok(PathState::Symlink { target, .. }) if target == *NULL_DEVICE)
        })
    }

    /// Returns the name of an owner: `root` for the owner that counts as root, and a number for any other.
    fn owner_name(&self, owner: Owner) -> String {
        let name = |id: u32, root: u32| if id == root { "root".to_owned() } else { id.to_string() };
        format!("{}:{}", name(owner.uid, self.node.owner.uid), name(owner.gid, self.node.owner.gid))
    }

    /// Reads a file as `cat` does.
    ///
    /// # Errors
    /// Any error of a file that exists and cannot be read.
    pub(super) fn read(&self, path: &str) -> Result<CatOutput> {
        let forecast = || {
            self.forecast.get(path).map_or(CatOutput::Missing, |file| match file.directory {
                true => CatOutput::Unreadable("is a directory"),
                false => CatOutput::Text(file.text.clone()),
            })
        };
        let Some(at) = rooted(path) else { return Ok(CatOutput::Missing) };
        Ok(match self.node.root.kind(&at)? {
            _ if self.is_null(path) => CatOutput::Text(String::new()),
            PathKind::Absent => forecast(),
            PathKind::Directory => CatOutput::Unreadable("is a directory"),
            PathKind::Loop => CatOutput::Unreadable("is a symlink that leads in a circle"),
            PathKind::BelowFile => CatOutput::Unreadable("is below a file"),
            PathKind::File | PathKind::Other => {
                let bytes = self.node.root.read(&at)?.unwrap_or_default();
                CatOutput::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
        })
    }

    /// Returns the names in a directory, sorted.
    ///
    /// # Errors
    /// Any error of a directory that exists and cannot be read.
    pub(super) fn list(&self, path: &str) -> Result<Vec<String>> {
        let existing = match rooted(path) {
            Some(path) if self.node.root.kind(&path)? == PathKind::Directory => {
                self.node.root.names(&path)?
            }
            _ => Vec::new(),
        };
        let mut names = existing;
        let prefix = format!("{path}/");
        let forecast = self.forecast.keys().filter_map(|path| path.strip_prefix(&prefix));
        names.extend(forecast.filter(|name| !name.contains('/')).map(str::to_owned));
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Expands a path whose last part may have a `*`, as the shell does: without a match it stays as it is.
    ///
    /// # Errors
    /// Any error of a directory that exists and cannot be read.
    pub(super) fn glob(&self, path: &str) -> Result<Vec<String>> {
        let Some((directory, pattern)) = path.rsplit_once('/').filter(|(_, name)| name.contains('*')) else {
            return Ok(vec![path.to_owned()]);
        };
        let names = self.list(directory)?.into_iter();
        let matching = names.filter(|name| !name.starts_with('.') && matches(pattern, name));
        let found: Vec<String> = matching.map(|name| format!("{directory}/{name}")).collect();
        Ok(if found.is_empty() { vec![path.to_owned()] } else { found })
    }
}

/// Reads an absolute path, also one of names that were listed; any other text names no file.
fn rooted(path: &str) -> Option<RootedPath> {
    RootedPath::listed(path).ok()
}
