// SPDX-License-Identifier: Apache-2.0
//! Where systemd finds a unit and its drop-ins: folders by precedence, aliases, masks, templates and their instances
//! (systemd v252, src/basic/unit-file.c and path-lookup.c, src/shared/dropin.c, src/basic/conf-files.c).

use std::collections::{BTreeMap, BTreeSet};

use super::specifiers::{SUFFIX, UnitName};
use crate::error::Result;
use crate::k3s::node_paths::NodePaths;
use crate::node::{PathState, Root, RootedPath};

/// How many links lead from an alias to its unit at most.
const MAX_ALIASES: usize = 8;

/// The names in the folders of units, in the order of the folders.
#[derive(Debug)]
pub(in crate::k3s) struct UnitFolders<'r> {
    root: &'r Root,
    folders: Vec<(RootedPath, BTreeSet<String>)>,
}

/// What stands behind the name of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::k3s) enum UnitFile {
    /// A file, with its path and text.
    Loaded(RootedPath, Vec<u8>),
    /// A link to /dev/null, or an empty file: systemd does not start such a unit.
    Masked(RootedPath),
    /// A link to the unit of this name.
    Alias(String),
    /// Nothing.
    Missing,
}

impl<'r> UnitFolders<'r> {
    /// Lists the folders of units.
    ///
    /// # Errors
    /// If a folder exists and cannot be listed.
    pub(in crate::k3s) fn list(root: &'r Root) -> Result<Self> {
        let list = |folder: &RootedPath| -> Result<BTreeSet<String>> {
            Ok(root.names(folder)?.into_iter().collect())
        };
        // Most of the folders are not there. Several have one parent, which is listed once.
        let mut parents = BTreeMap::new();
        let mut folders = Vec::new();
        for folder in &NodePaths::get().unit_folders {
            let Some(parent) = folder.parent() else { continue };
            if !parents.contains_key(&parent) {
                parents.insert(parent.clone(), list(&parent)?);
            }
            let is_there = parents.get(&parent).is_some_and(|names| names.contains(folder.name()));
            folders.push((folder.clone(), if is_there { list(folder)? } else { BTreeSet::new() }));
        }
        Ok(Self { root, folders })
    }

    /// Returns the names of services, and of the instances of templates that another unit wants.
    ///
    /// # Errors
    /// If a folder exists and cannot be listed.
    pub(in crate::k3s) fn services(&self) -> Result<Vec<UnitName>> {
        let own = self.folders.iter().flat_map(|(_, names)| names.iter().cloned());
        let mut names: BTreeSet<String> = own.filter(|name| name.ends_with(SUFFIX)).collect();
        if names.iter().any(|name| name.ends_with(&format!("@{SUFFIX}"))) {
            names.extend(self.wanted()?.into_iter().filter(|name| name.ends_with(SUFFIX)));
        }
        Ok(names.iter().filter_map(|name| UnitName::of(name)).collect())
    }

    /// Returns the names of the units that another unit wants or requires, which is what `systemctl enable` writes.
    ///
    /// # Errors
    /// If a folder exists and cannot be listed.
    pub(in crate::k3s) fn wanted(&self) -> Result<BTreeSet<String>> {
        let mut wanted = BTreeSet::new();
        for (folder, names) in &self.folders {
            for name in names.iter().filter(|name| name.ends_with(".wants") || name.ends_with(".requires")) {
                wanted.extend(self.root.names(&folder.join(name))?);
            }
        }
        Ok(wanted)
    }

    /// Returns the unit that `name` leads to, with its other names on the way, and what stands there.
    ///
    /// # Errors
    /// If a file of it cannot be read.
    pub(in crate::k3s) fn find(&self, name: &UnitName) -> Result<(UnitName, UnitFile)> {
        let mut name = name.clone();
        for _ in 0..MAX_ALIASES {
            let found = match self.look(name.as_str())? {
                UnitFile::Missing => match name.template() {
                    Some(template) => self.look(&template)?,
                    None => UnitFile::Missing,
                },
                found => found,
            };
            match found {
                UnitFile::Alias(target) => {
                    let Some(target) = UnitName::of(&target) else { return Ok((name, UnitFile::Missing)) };
                    // A link to a template gives that an instance.
                    name = match (target.is_template(), name.instance()) {
                        (true, Some(instance)) if !instance.is_empty() => {
                            let instance = format!("{}@{instance}{SUFFIX}", target.prefix());
                            match UnitName::of(&instance) {
                                Some(instance) if instance != name => instance,
                                _ => return Ok((name, self.look(target.as_str())?)),
                            }
                        }
                        _ => target,
                    };
                }
                found => return Ok((name, found)),
            }
        }
        Ok((name, UnitFile::Missing))
    }

    /// Looks at the first file of a name.
    fn look(&self, name: &str) -> Result<UnitFile> {
        for (folder, _) in self.folders.iter().filter(|(_, names)| names.contains(name)) {
            let path = folder.join(name);
            return Ok(match self.root.look_without_attributes(&path)? {
                PathState::File { bytes, .. } if bytes.is_empty() => UnitFile::Masked(path),
                PathState::File { bytes, .. } => UnitFile::Loaded(path, bytes),
                PathState::Symlink { target, .. } => {
                    let target = absolute(folder, &target.to_string_lossy());
                    match self.alias(&target) {
                        Some(alias) if alias != name => UnitFile::Alias(alias),
                        _ if target == "/dev/null" => UnitFile::Masked(path),
                        _ => match self.root.read(&path)? {
                            Some(bytes) if bytes.is_empty() => UnitFile::Masked(path),
                            Some(bytes) => UnitFile::Loaded(path, bytes),
                            None => UnitFile::Missing,
                        },
                    }
                }
                // The error says how large it is.
                PathState::Large { .. } => {
                    UnitFile::Loaded(path.clone(), self.root.read(&path)?.unwrap_or_default())
                }
                // systemd goes on to the next folder.
                PathState::Directory { .. } | PathState::Other | PathState::Absent => continue,
            });
        }
        Ok(UnitFile::Missing)
    }

    /// Returns the name that a link leads to, if it stays in the folders of units.
    fn alias(&self, target: &str) -> Option<String> {
        let stays = self.folders.iter().any(|(folder, _)| target.starts_with(&format!("{folder}/")));
        stays.then(|| target.rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// Returns the other names of a unit that have drop-ins: links that lead to it.
    ///
    /// # Errors
    /// If a link cannot be read.
    pub(in crate::k3s) fn aliases(&self, name: &UnitName) -> Result<Vec<UnitName>> {
        let mut aliases = Vec::new();
        for below in self.folders.iter().flat_map(|(_, names)| names) {
            let other = below.strip_suffix(".d").and_then(UnitName::of).filter(|other| other != name);
            let is_there =
                |other: &UnitName| self.folders.iter().any(|(_, names)| names.contains(other.as_str()));
            if let Some(other) = other.filter(is_there)
                && !aliases.contains(&other)
                && self.find(&other)?.0 == *name
            {
                aliases.push(other);
            }
        }
        Ok(aliases)
    }

    /// Returns the drop-ins of a unit with these names, in the order in which they are read. Of two with the same name, the
    /// one in the first folder counts.
    ///
    /// # Errors
    /// If a folder exists and cannot be listed.
    pub(in crate::k3s) fn drop_ins(&self, names: &[UnitName]) -> Result<Vec<RootedPath>> {
        let mut found = BTreeMap::new();
        let kind = format!("{}.d", SUFFIX.trim_start_matches('.'));
        let mut add = |folder: &RootedPath, below: &BTreeSet<String>, name: &str| -> Result<()> {
            if !below.contains(name) {
                return Ok(());
            }
            let folder = folder.join(name);
            let names = self.root.names(&folder)?.into_iter();
            for name in names.filter(|name| name.ends_with(".conf") && !name.starts_with('.')) {
                found.entry(RootedPath::fixed("/").join(&name)).or_insert_with(|| folder.join(&name));
            }
            Ok(())
        };
        for name in names {
            let own = name.drop_in_folders();
            for (folder, below) in &self.folders {
                for name in own.iter().filter(|name| **name != kind) {
                    add(folder, below, name)?;
                }
            }
        }
        for (folder, below) in &self.folders {
            add(folder, below, &kind)?;
        }
        Ok(found.into_values().collect())
    }
}

/// Returns the target of a link in `folder` from the root on.
fn absolute(folder: &RootedPath, target: &str) -> String {
    let whole = if target.starts_with('/') { target.to_owned() } else { format!("{folder}/{target}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("/{}", parts.join("/"))
}
