// SPDX-License-Identifier: Apache-2.0
//! Removal of runs, in one step: a run gets a name that is no run's, and then is removed.
//!
//! A directory that cannot get another name (a mount point, a directory in a lower layer of an overlay file system) is removed in
//! place, and a mark that is made first carries the meaning of that step: what bears it is no longer there for any reader, and the
//! next run that changes something finishes its removal.

use crate::error::{Error, ErrorKind, Result};
use crate::mode::Owner;
use crate::node::{DirectoryMove, EntryKind, Root, RootedPath};

/// The mark of all runs.
const ALL_LEAVING: &str = ".leaving";

/// What a name in the directory of the runs stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunsEntry {
    /// The directory of a run.
    Run(u32),
    /// A run that is being made.
    Coming(u32),
    /// A run that is being removed, or the mark of one that is removed in place.
    Leaving(u32),
    /// The mark of all runs: they are removed in place.
    AllLeaving,
    /// The mark of the newest run.
    Newest(u32),
}

impl RunsEntry {
    /// Reads a name; none if no run makes it.
    pub(super) fn of(name: &str) -> Option<Self> {
        if name == ALL_LEAVING {
            return Some(Self::AllLeaving);
        }
        let number = name.split('.').find_map(|part| part.parse().ok()).filter(|number| *number > 0)?;
        let known = [Self::Run(number), Self::Coming(number), Self::Leaving(number), Self::Newest(number)];
        known.into_iter().find(|known| known.name() == name)
    }

    /// Returns its name.
    pub(super) fn name(self) -> String {
        match self {
            Self::Run(id) => format!("{id:04}"),
            Self::Coming(id) => format!(".{id:04}.coming"),
            Self::Leaving(id) => format!(".{id:04}.leaving"),
            Self::AllLeaving => ALL_LEAVING.to_owned(),
            Self::Newest(id) => format!("newest.{id:04}"),
        }
    }
}

/// Tells whether run `id`, among the entries of the directory of the runs, is being removed in place.
pub(super) fn is_leaving(entries: &[(String, Option<EntryKind>)], id: u32) -> bool {
    has_mark(entries, RunsEntry::Leaving(id))
}

/// Tells whether all runs are.
pub(super) fn are_leaving(entries: &[(String, Option<EntryKind>)]) -> bool {
    has_mark(entries, RunsEntry::AllLeaving)
}

fn has_mark(entries: &[(String, Option<EntryKind>)], mark: RunsEntry) -> bool {
    entries.iter().any(|(name, kind)| *kind == Some(EntryKind::File) && RunsEntry::of(name) == Some(mark))
}

/// Removes a run in one step.
///
/// # Errors
/// If that fails.
pub(super) fn remove_run(root: &Root, runs: &RootedPath, id: u32) -> Result<()> {
    let [run, leaving] = [RunsEntry::Run(id), RunsEntry::Leaving(id)].map(|entry| runs.join(&entry.name()));
    if !is_mark(root, &leaving)? {
        root.remove_tree(&leaving)?;
        match root.move_directory(&run, &leaving)? {
            DirectoryMove::Moved => return root.remove_tree(&leaving),
            DirectoryMove::NameTaken => {
                return Err(Error::new(
                    ErrorKind::Failed,
                    format!("{} is in the way", root.display(&leaving)),
                ));
            }
            DirectoryMove::Immovable => mark(root, &leaving)?,
        }
    }
    root.remove_tree(&run)?;
    root.remove_file(&leaving)
}

/// Removes what killed runs have left in the directory of the runs.
///
/// # Errors
/// If that fails.
pub(super) fn sweep(root: &Root, runs: &RootedPath) -> Result<()> {
    for name in root.names(runs)? {
        match RunsEntry::of(&name) {
            Some(entry @ RunsEntry::Coming(_)) => root.remove_tree(&runs.join(&entry.name()))?,
            Some(entry @ RunsEntry::Leaving(id)) => {
                let leaving = runs.join(&entry.name());
                match is_mark(root, &leaving)? {
                    true => remove_run(root, runs, id)?,
                    false => root.remove_tree(&leaving)?,
                }
            }
            Some(RunsEntry::Run(_) | RunsEntry::AllLeaving | RunsEntry::Newest(_)) | None => {}
        }
    }
    Ok(())
}

/// Marks all runs as being removed in place.
///
/// # Errors
/// If the mark cannot be made.
pub(super) fn mark_all(root: &Root, runs: &RootedPath) -> Result<()> {
    match root.is_directory(runs) && !are_all_leaving(root, runs)? {
        true => mark(root, &runs.join(ALL_LEAVING)),
        false => Ok(()),
    }
}

/// Tells whether all runs bear the mark.
///
/// # Errors
/// If that cannot be read.
pub(super) fn are_all_leaving(root: &Root, runs: &RootedPath) -> Result<bool> {
    is_mark(root, &runs.join(ALL_LEAVING))
}

/// Removes all that is in the directory of the runs, their mark at last, and the directory itself.
///
/// # Errors
/// If something cannot be removed.
pub(super) fn remove_all(root: &Root, runs: &RootedPath) -> Result<()> {
    for name in root.names(runs)?.iter().filter(|name| *name != ALL_LEAVING) {
        root.remove_tree(&runs.join(name))?;
    }
    root.remove_tree(runs)
}

fn mark(root: &Root, path: &RootedPath) -> Result<()> {
    let owner = path.parent().and_then(|runs| root.permissions(&runs).ok().flatten());
    root.create_private(path, b"", owner.map_or(Owner::ROOT, |(_, owner)| owner))?;
    root.sync(path)
}

fn is_mark(root: &Root, path: &RootedPath) -> Result<bool> {
    Ok(root.entry(path)?.is_some_and(|entry| entry.kind == EntryKind::File))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_exactly_ours_are_known() {
        for entry in [
            RunsEntry::Run(1),
            RunsEntry::Run(12345),
            RunsEntry::Coming(20),
            RunsEntry::Leaving(7),
            RunsEntry::AllLeaving,
            RunsEntry::Newest(20),
        ] {
            assert_eq!(RunsEntry::of(&entry.name()), Some(entry));
        }
        for other in [
            "1",
            "0000",
            "00001",
            "+001",
            "0001.damaged",
            ".ssh",
            ".0001",
            ".0001.tmp",
            ".1.coming",
            "..0001.coming",
            ".0001.coming.x",
            "0001.leaving",
            "leaving",
            ".leaving.",
            "newest.1",
            ".newest.0001",
            "newest.0001.tmp",
            "",
        ] {
            assert_eq!(RunsEntry::of(other), None, "{other:?}");
        }
    }
}
