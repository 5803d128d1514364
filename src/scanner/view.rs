//! The node as a scanner sees it: its files, its journal, and the files that K3s creates if it has not started yet.

use std::collections::BTreeMap;

use super::audit::Unit;
use super::path::matches;
use super::scanned_node::ScannedNode;
use crate::Role;
use crate::error::Result;
use crate::k3s::{FirstStart, ForecastFile, forecast_files};
use crate::mode::Owner;
use crate::node::RootedPath;

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
        let ScannedNode { role, minor, data_dir, running, .. } = *node;
        let forecast = match node.started {
            true => BTreeMap::new(),
            false => forecast_files(FirstStart { role, minor, data_dir, running }),
        };
        Self { node, forecast }
    }

    /// Returns the journal of one unit, or of both; `on_disk` excludes a journal that is only in memory.
    pub(super) fn journal(&self, unit: Option<Unit>, on_disk: bool) -> &str {
        let is_other_unit = unit == Some(Unit::K3s) && self.node.role == Role::Agent;
        let is_missing = on_disk && !self.node.root.is_directory(&RootedPath::fixed("/var/log/journal"));
        if is_other_unit || is_missing { "" } else { self.node.journal }
    }

    /// Tells whether a path exists.
    pub(super) fn exists(&self, path: &str) -> bool {
        rooted(path).is_some_and(|path| self.node.root.exists(&path)) || self.forecast.contains_key(path)
    }

    /// Tells whether a path is a directory.
    pub(super) fn is_directory(&self, path: &str) -> bool {
        rooted(path).is_some_and(|path| self.node.root.is_directory(&path))
            || self.forecast_at(path).is_some_and(|file| file.directory)
    }

    /// Returns mode and owner as `stat` prints them.
    ///
    /// # Errors
    /// Any error of a path that exists and cannot be read.
    pub(super) fn permissions(&self, path: &str) -> Result<Option<(String, String)>> {
        let existing = match rooted(path) {
            Some(path) => self.node.root.permissions(&path)?,
            None => None,
        };
        let (mode, owner) = match (existing, self.forecast.get(path)) {
            (Some((mode, owner)), _) => (mode, owner),
            (None, Some(file)) => (file.mode, self.node.owner),
            (None, None) => return Ok(None),
        };
        Ok(Some((mode.as_stat(), self.owner_name(owner))))
    }

    /// Returns the name of an owner: `root` for the owner that counts as root, and a number for any other.
    fn owner_name(&self, owner: Owner) -> String {
        let name = |id: u32, root: u32| if id == root { "root".to_owned() } else { id.to_string() };
        format!("{}:{}", name(owner.uid, self.node.owner.uid), name(owner.gid, self.node.owner.gid))
    }

    /// Returns the text of a file.
    ///
    /// # Errors
    /// Any error of a file that exists and cannot be read.
    pub(super) fn read(&self, path: &str) -> Result<Option<String>> {
        let bytes = match rooted(path) {
            Some(path) => self.node.root.read(&path)?,
            None => None,
        };
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(text.or_else(|| self.forecast.get(path).map(|file| file.text.clone())))
    }

    /// Returns the names in a directory, sorted.
    ///
    /// # Errors
    /// Any error of a directory that exists and cannot be read.
    pub(super) fn list(&self, path: &str) -> Result<Vec<String>> {
        let existing = match rooted(path) {
            Some(path) => self.node.root.list(&path)?,
            None => Vec::new(),
        };
        let mut names: Vec<String> =
            existing.iter().map(|name| name.to_string_lossy().into_owned()).collect();
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

    /// Returns the file that K3s creates at a path that does not exist yet.
    fn forecast_at(&self, path: &str) -> Option<&ForecastFile> {
        let is_free = rooted(path).is_some_and(|path| !self.node.root.exists(&path));
        self.forecast.get(path).filter(|_| is_free)
    }
}

/// Reads an absolute path; any other text names no file.
fn rooted(path: &str) -> Option<RootedPath> {
    path.parse().ok()
}
