//! The history of a root: its runs, which of them are undone, and how old ones are merged.
//!
//! A rollback to before run N undoes every run from N on. A rollback to before that rollback undoes it in turn, and
//! then those runs are in force again. So whether a run is undone follows from the runs after it alone.

use std::collections::BTreeSet;

use super::run_record::{RunEntry, RunInputs, RunRecord, RunState, RunSummary, RunVerb};
use super::saved_state::{JOURNAL, SavedState};
use super::state::{forget, ids, run_directory, state_directory, unreadable};
use crate::error::Result;
use crate::mode::Owner;
use crate::node::{Metadata, PathState, Root, RootedPath};

/// What earlier runs recorded for later ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedInputs {
    /// The inputs that the newest run in force recorded.
    pub inputs: Option<RunInputs>,
    /// The paths that they wrote: these files belong to k3s-harden, whatever they hold.
    pub paths: BTreeSet<RootedPath>,
    /// A run that was killed: it is undone or finished before the next one.
    pub interrupted: Option<u32>,
}

impl RecordedInputs {
    /// Reads as little as possible: the newest committed run has recorded the inputs of all.
    ///
    /// # Errors
    /// If a record cannot be read; the error names a damaged file.
    pub fn read(root: &Root) -> Result<Self> {
        let mut recorded = Self::default();
        for id in ids(root)?.into_iter().rev() {
            // A run that was killed before it changed anything has no record.
            let Some(record) = RunSummary::read(root, id)? else { continue };
            match record.state {
                RunState::RolledBack => {}
                RunState::Begun => recorded.interrupted = Some(id),
                RunState::Committed => {
                    if !record.kept {
                        recorded.interrupted = Some(id);
                    }
                    recorded.paths = record.written.iter().filter_map(|path| path.parse().ok()).collect();
                    recorded.inputs = record.inputs;
                    break;
                }
            }
        }
        Ok(recorded)
    }
}

/// A path that runs have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedPath<'a> {
    /// Its entry in the record of each of them, the oldest first; there is at least one.
    pub entries: Vec<(&'a RunRecord, &'a RunEntry)>,
}

/// Every run of a root that has a record, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    runs: Vec<RunRecord>,
    undone: BTreeSet<u32>,
}

impl History {
    /// Reads all records.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn read(root: &Root) -> Result<Self> {
        if let PathState::Absent = root.look_directory(&state_directory())? {
            return Ok(Self::default());
        }
        let records = ids(root)?.into_iter().map(|id| RunRecord::read(root, id));
        let mut runs = records.filter_map(Result::transpose).collect::<Result<Vec<RunRecord>>>()?;
        // A run that was killed while it merged two left both.
        let through = runs.first().and_then(|run| run.through).unwrap_or_default();
        runs.retain(|run| run.through.is_some() || run.id > through);
        Ok(Self::from_runs(runs))
    }

    /// Tells whether there is a committed run, undone or not.
    #[must_use]
    pub fn has_committed(&self) -> bool {
        self.all_committed().next().is_some()
    }

    /// Finds the runs that are undone, from the newest run to the oldest: those that a rollback in force reaches.
    fn from_runs(runs: Vec<RunRecord>) -> Self {
        let (mut undone, mut reach) = (BTreeSet::new(), u32::MAX);
        for run in runs.iter().rev().filter(|run| run.state == RunState::Committed) {
            match run.verb {
                _ if run.id >= reach => drop(undone.insert(run.id)),
                RunVerb::Rollback { to } => reach = reach.min(to),
                RunVerb::Apply => {}
            }
        }
        Self { runs, undone }
    }

    /// Returns all runs, oldest first.
    #[must_use]
    pub fn runs(&self) -> &[RunRecord] {
        &self.runs
    }

    /// Returns a committed run by its number.
    #[must_use]
    pub fn committed(&self, id: u32) -> Option<&RunRecord> {
        self.all_committed().find(|run| run.id == id)
    }

    /// Returns the newest `apply` that is not undone.
    #[must_use]
    pub fn newest_apply(&self) -> Option<&RunRecord> {
        let counts = |run: &&RunRecord| run.verb == RunVerb::Apply && !self.is_undone(run.id);
        // Merged runs that changed nothing together leave nothing to undo.
        self.all_committed().rev().filter(counts).find(|run| run.through.is_none() || !run.entries.is_empty())
    }

    /// Returns the run in force before run `id`.
    #[must_use]
    pub fn before(&self, id: u32) -> Option<&RunRecord> {
        self.all_committed().rev().find(|run| run.id < id)
    }

    /// Tells whether a run is undone by a later one that is not undone itself.
    #[must_use]
    pub fn is_undone(&self, id: u32) -> bool {
        self.undone.contains(&id)
    }

    /// Returns the paths that runs from `id` on have changed, in the order of their first change.
    #[must_use]
    pub fn changed_since(&self, id: u32) -> Vec<ChangedPath<'_>> {
        let mut changed: Vec<ChangedPath<'_>> = Vec::new();
        for run in self.all_committed().filter(|run| run.id >= id) {
            for entry in &run.entries {
                match changed.iter_mut().find(|changed| changed.entries[0].1.path == entry.path) {
                    Some(changed) => changed.entries.push((run, entry)),
                    None => changed.push(ChangedPath { entries: vec![(run, entry)] }),
                }
            }
        }
        changed
    }

    fn all_committed(&self) -> impl DoubleEndedIterator<Item = &RunRecord> {
        self.runs.iter().filter(|run| run.state == RunState::Committed)
    }
}

/// Merges the two oldest runs until no more than `kept` are left besides the oldest. The state before the first run
/// is always kept.
///
/// # Errors
/// If something cannot be written; no run is lost then.
pub(super) fn prune(root: &Root, owner: Owner, kept: u32) -> Result<()> {
    loop {
        let ids = ids(root)?;
        let (Some(&first), Some(&second)) = (ids.first(), ids.get(1)) else { return Ok(()) };
        if ids.len() <= kept as usize + 1 {
            return Ok(());
        }
        merge_runs(root, owner, first, second)?;
    }
}

/// Finishes the merge of two runs after a run was killed in it.
///
/// # Errors
/// If something cannot be read or removed.
pub(super) fn finish_merge(root: &Root) -> Result<()> {
    let ids = ids(root)?;
    let (Some(&first), true) = (ids.first(), ids.len() > 1) else { return Ok(()) };
    let through = RunRecord::read(root, first)?.and_then(|run| run.through).unwrap_or_default();
    ids[1..].iter().filter(|id| **id <= through).try_for_each(|id| forget(root, *id))
}

/// Merges two runs into one. The older record is replaced before the other is removed; `through` tells if a run was
/// killed in between.
fn merge_runs(root: &Root, owner: Owner, first: u32, second: u32) -> Result<()> {
    let is_committed = |record: &RunRecord| record.state == RunState::Committed;
    let Some(mut merged) = RunRecord::read(root, first)?.filter(is_committed) else {
        return forget(root, first);
    };
    let later = RunRecord::read(root, second)?.filter(is_committed);
    if let Some(later) = later.filter(|_| merged.through.is_none_or(|through| through < second)) {
        for entry in later.entries {
            let entry = RunEntry {
                before: copy_backup(root, owner, entry.before, (first, second))?,
                after: copy_backup(root, owner, entry.after, (first, second))?,
                ..entry
            };
            match merged.entries.iter_mut().find(|older| older.path == entry.path) {
                Some(older) => older.after = entry.after,
                None => merged.entries.push(entry),
            }
        }
        let mut entries = Vec::new();
        for entry in merged.entries {
            if entry.before.load(root, first)? != entry.after.load(root, first)? {
                entries.push(entry);
            }
        }
        merged.entries = entries;
        merged.verb = RunVerb::Apply;
        merged.through = Some(second);
        (merged.inputs, merged.written, merged.about) = (later.inputs, later.written, later.about);
        merged.write(root, owner)?;
    }
    forget(root, second)?;
    let saved = merged.entries.iter().flat_map(|entry| [&entry.before, &entry.after]);
    let wanted: BTreeSet<&str> = saved.filter_map(SavedState::backup).collect();
    for name in root.list(&run_directory(first))? {
        if let Some(name) = name.to_str().filter(|name| *name != JOURNAL && !wanted.contains(name)) {
            root.remove_tree(&run_directory(first).join(name))?;
        }
    }
    Ok(())
}

/// Copies a backup file to another run, under a name that tells the run that it is from.
fn copy_backup(
    root: &Root,
    owner: Owner,
    mut saved: SavedState,
    (to, from): (u32, u32),
) -> Result<SavedState> {
    if let Some(backup) = saved.backup_mut() {
        let path = run_directory(from).join(backup);
        let bytes = root.read(&path)?.ok_or_else(|| unreadable(root, &path, "it is not there"))?;
        *backup = format!("{from:04}-{backup}");
        root.replace(&run_directory(to).join(backup), &bytes, &Metadata::private_file(owner))?;
    }
    Ok(saved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::run_record::RunHead;
    use crate::plan::PlanSubject;

    fn history(verbs: &[RunVerb]) -> History {
        let about = PlanSubject {
            root: "/".into(),
            role: crate::Role::Server,
            kubernetes: "1.33".parse().unwrap(),
            benchmark: "1.12".to_owned(),
            profiles: Vec::new(),
        };
        let run = |(id, verb): (u32, &RunVerb)| {
            let head = RunHead { verb: *verb, kept: true, inputs: None, written: Vec::new() };
            let mut run = RunRecord::new(id, head, about.clone(), &[]);
            run.state = RunState::Committed;
            run
        };
        History::from_runs((1..).zip(verbs).map(run).collect())
    }

    fn undone(verbs: &[RunVerb]) -> Vec<u32> {
        history(verbs).undone.into_iter().collect()
    }

    #[test]
    fn a_rollback_undoes_all_from_a_run_on_until_it_is_undone() {
        use RunVerb::{Apply, Rollback};
        assert!(undone(&[Apply, Apply]).is_empty());
        assert_eq!(undone(&[Apply, Apply, Rollback { to: 2 }]), [2]);
        assert_eq!(undone(&[Apply, Apply, Rollback { to: 2 }, Rollback { to: 1 }]), [1, 2, 3]);
        assert_eq!(undone(&[Apply, Apply, Rollback { to: 2 }, Rollback { to: 3 }]), [3]);
        let again = [Apply, Apply, Rollback { to: 2 }, Rollback { to: 1 }, Rollback { to: 4 }];
        assert_eq!(undone(&again), [2, 4]);
        assert_eq!(history(&again).newest_apply().map(|run| run.id), Some(1));
        assert_eq!(undone(&[Apply, Rollback { to: 1 }, Apply]), [1]);
    }

    #[test]
    fn going_back_and_forth_for_long_takes_no_longer() {
        let verbs: Vec<RunVerb> = (1..2000)
            .map(|id| if id == 1 { RunVerb::Apply } else { RunVerb::Rollback { to: id - 1 } })
            .collect();
        assert_eq!(history(&verbs).newest_apply().map(|run| run.id), Some(1));
    }
}
