//! The node as a scanner sees it: its files, with those that K3s will make where it has not started, and its journal.

use std::collections::BTreeMap;

use super::ScannedNode;
use super::audit::{Unit, fits};
use super::first_start::{self, ForecastFile};
use crate::Role;
use crate::error::Result;
use crate::mode::Owner;
use crate::node::RootedPath;

/// A node as a scanner sees it.
#[derive(Debug)]
pub(super) struct ScannerView<'a> {
    seen: &'a ScannedNode<'a>,
    /// What K3s will make, by path.
    made: BTreeMap<String, ForecastFile>,
}

impl<'a> ScannerView<'a> {
    /// Looks at nothing yet.
    pub(super) fn of(seen: &'a ScannedNode<'a>) -> Self {
        let made = if seen.started { BTreeMap::new() } else { first_start::files(seen) };
        Self { seen, made }
    }

    /// Returns the journal of the units that are asked.
    pub(super) fn journal(&self, unit: Option<Unit>, on_disk: bool) -> &str {
        let other_unit = unit == Some(Unit::K3s) && self.seen.role == Role::Agent;
        let not_there = on_disk && !self.seen.root.is_directory(&RootedPath::fixed("/var/log/journal"));
        if other_unit || not_there { "" } else { self.seen.journal }
    }

    /// Tells whether there is anything at a path.
    pub(super) fn exists(&self, path: &str) -> bool {
        rooted(path).is_some_and(|path| self.seen.root.exists(&path)) || self.made.contains_key(path)
    }

    /// Tells whether there is a directory at a path.
    pub(super) fn is_directory(&self, path: &str) -> bool {
        rooted(path).is_some_and(|path| self.seen.root.is_directory(&path))
            || self.made_at(path).is_some_and(|made| made.directory)
    }

    /// Returns mode and owner as `stat` prints them.
    ///
    /// # Errors
    /// Where it cannot be looked at.
    pub(super) fn permissions(&self, path: &str) -> Result<Option<(String, String)>> {
        let there = match rooted(path) {
            Some(path) => self.seen.root.permissions(&path)?,
            None => None,
        };
        let (mode, owner) = match (there, self.made.get(path)) {
            (Some((mode, owner)), _) => (mode, owner),
            (None, Some(made)) => (made.mode, self.seen.owner),
            (None, None) => return Ok(None),
        };
        Ok(Some((mode.as_stat(), self.owner(owner))))
    }

    /// Names an owner: who stands for root is root, anybody else a number.
    fn owner(&self, owner: Owner) -> String {
        let name = |id: u32, root: u32| if id == root { "root".to_owned() } else { id.to_string() };
        format!("{}:{}", name(owner.uid, self.seen.owner.uid), name(owner.gid, self.seen.owner.gid))
    }

    /// Returns the text of a file.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn read(&self, path: &str) -> Result<Option<String>> {
        let bytes = match rooted(path) {
            Some(path) => self.seen.root.read(&path)?,
            None => None,
        };
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(text.or_else(|| self.made.get(path).map(|made| made.text.clone())))
    }

    /// Returns the names in a directory, sorted.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn list(&self, path: &str) -> Result<Vec<String>> {
        let there = match rooted(path) {
            Some(path) => self.seen.root.list(&path)?,
            None => Vec::new(),
        };
        let mut names: Vec<String> = there.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        let below = format!("{path}/");
        let made = self.made.keys().filter_map(|made| made.strip_prefix(&below));
        names.extend(made.filter(|name| !name.contains('/')).map(str::to_owned));
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Returns what the shell makes of a path whose last part may have a `*`: the path itself where nothing fits.
    ///
    /// # Errors
    /// Where its directory cannot be read.
    pub(super) fn glob(&self, path: &str) -> Result<Vec<String>> {
        let Some((directory, pattern)) = path.rsplit_once('/').filter(|(_, name)| name.contains('*')) else {
            return Ok(vec![path.to_owned()]);
        };
        let names = self.list(directory)?.into_iter();
        let fitting = names.filter(|name| !name.starts_with('.') && fits(pattern, name));
        let found: Vec<String> = fitting.map(|name| format!("{directory}/{name}")).collect();
        Ok(if found.is_empty() { vec![path.to_owned()] } else { found })
    }

    /// What K3s will make at a path, where nothing stands yet.
    fn made_at(&self, path: &str) -> Option<&ForecastFile> {
        let free = rooted(path).is_some_and(|path| !self.seen.root.exists(&path));
        self.made.get(path).filter(|_| free)
    }
}

/// What is no path from the root on is nowhere.
fn rooted(path: &str) -> Option<RootedPath> {
    path.parse().ok()
}
