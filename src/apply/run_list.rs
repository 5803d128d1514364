// SPDX-License-Identifier: Apache-2.0
//! The directory of the runs: their numbers, the mark that tells the newest of them, and what has no business there.
//!
//! ```text
//! runs/0001, runs/0002      the runs
//! runs/newest.0002          an empty file: there has been a run with this number, so its directory must be there
//! runs/.0003.coming         a run that has not begun; runs/.0001.leaving: one that is being removed
//! ```
//!
//! Each record names the run before it, and the mark names the last one: no run can vanish without being missed.

use super::damage::Damage;
use super::removal::{self, RunsEntry};
use super::state::{forget as remove_run, run_directory, runs_directory};
use super::strangers;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Owner;
use crate::node::{EntryKind, PathState, Root};

/// How often a reader without the lock reads again while runs come and go.
const MAX_READS: usize = 20;

/// What is in the directory of the runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RunList {
    /// The numbers of the runs, the oldest first.
    pub(super) ids: Vec<u32>,
    /// The number that the mark names; 0 without a mark.
    pub(super) newest: u32,
    /// What is neither a run nor one of our own temporary names.
    pub(super) damage: Vec<Damage>,
}

/// The number of a run that is about to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunNumber {
    /// Its number.
    pub(super) id: u32,
    /// That of the newest run before it; 0 if there is none.
    pub(super) previous: u32,
}

impl RunList {
    /// Lists the directory.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn read(root: &Root) -> Result<Self> {
        let mut list = Self::default();
        let directory = runs_directory();
        let Some(entries) = root.names_and_kinds_itself(&directory)? else {
            let reason = match root.look(&directory)? {
                PathState::Symlink { .. } => "it is a symlink",
                _ => "it is no directory",
            };
            list.damage.push(Damage::new(None, directory, reason));
            return Ok(list);
        };
        if removal::are_leaving(&entries) {
            return Ok(list);
        }
        for (name, kind) in &entries {
            list.add(name, *kind);
        }
        list.ids.retain(|id| !removal::is_leaving(&entries, *id));
        list.ids.sort_unstable();
        if list.ids.is_empty() && list.newest == 0 {
            list.damage.extend(strangers::moved_runs(root, entries.is_empty())?);
        }
        Ok(list)
    }

    fn add(&mut self, name: &str, kind: Option<EntryKind>) {
        let path = runs_directory().join(name);
        match (RunsEntry::of(name), kind) {
            (Some(RunsEntry::Run(id)), Some(EntryKind::Directory)) => self.ids.push(id),
            (Some(RunsEntry::Run(id)), Some(EntryKind::Symlink)) => {
                self.damage.push(Damage::new(id, path, "it is a symlink"));
            }
            (Some(RunsEntry::Newest(id)), Some(EntryKind::File)) => self.newest = self.newest.max(id),
            // It is gone by now, or a run that comes or goes.
            (_, None) | (Some(RunsEntry::Coming(_) | RunsEntry::Leaving(_) | RunsEntry::AllLeaving), _) => {}
            (Some(RunsEntry::Run(_) | RunsEntry::Newest(_)) | None, Some(_)) => {
                let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
                let run = digits.parse().ok().filter(|run| *run > 0);
                self.damage.push(Damage::new(run, path, "it is no run of k3s-harden"));
            }
        }
    }
}

/// Reads with `read`, and once more if runs have come or gone meanwhile: who has no lock may find a run removed that
/// was listed a moment ago. `read` tells whether it has found damage.
///
/// # Errors
/// If something cannot be read.
pub(super) fn settled<T>(root: &Root, read: impl Fn(&RunList) -> Result<(T, bool)>) -> Result<T> {
    let mut list = RunList::read(root)?;
    for _ in 1..MAX_READS {
        let result = read(&list);
        if let Ok((found, false)) = result {
            return Ok(found);
        }
        let again = RunList::read(root)?;
        if again == list {
            return Ok(result?.0);
        }
        list = again;
    }
    Ok(read(&list)?.0)
}

/// Returns the number of the next run.
///
/// # Errors
/// If the runs cannot be listed, or there are no numbers left.
pub(super) fn next_number(root: &Root) -> Result<RunNumber> {
    let list = RunList::read(root)?;
    let previous = list.ids.last().copied().unwrap_or_default().max(list.newest);
    let taken = list.damage.iter().filter_map(|damage| damage.run).chain(list.ids.last().copied());
    let last = taken.max().unwrap_or_default().max(previous);
    let none_left = || {
        let directory = root.display(&runs_directory());
        Error::new(ErrorKind::Failed, format!("there are no numbers left for a run in {directory}"))
    };
    Ok(RunNumber { id: last.checked_add(1).ok_or_else(none_left)?, previous })
}

/// Marks run `id` as the newest; 0 removes the mark. A mark that is too low does no harm, and a run gets its mark when it
/// is there already.
///
/// # Errors
/// If that fails.
pub(super) fn mark_newest(root: &Root, owner: Owner, id: u32) -> Result<()> {
    let path = |id: u32| runs_directory().join(&RunsEntry::Newest(id).name());
    let marked = RunList::read(root)?.newest;
    match (marked, id) {
        (marked, id) if marked == id => Ok(()),
        (0, id) => root.create_private(&path(id), &[], owner).and_then(|()| root.sync(&path(id))),
        (marked, 0) => root.remove_file(&path(marked)),
        (marked, id) => root.move_directory(&path(marked), &path(id)).map(drop),
    }
}

/// Removes a run in one step. If it is the newest, the one before it is marked so first.
///
/// # Errors
/// If that fails.
pub(super) fn forget(root: &Root, owner: Owner, id: u32) -> Result<()> {
    let list = RunList::read(root)?;
    if list.newest == id {
        let before = list.ids.into_iter().filter(|other| *other < id).max();
        mark_newest(root, owner, before.unwrap_or_default())?;
    }
    remove_run(root, id)
}

/// Returns the damage of a run that the mark names and that is not there.
pub(super) fn missing(id: u32) -> Damage {
    Damage::new(id, run_directory(id), "it is not there")
}

/// Returns the damage of a run that the record of run `after` names and that is not there.
pub(super) fn missing_before(id: u32, after: u32) -> Damage {
    Damage::new(id, run_directory(id), format!("it is not there, and run {after} came after it"))
}
