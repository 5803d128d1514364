//! The history of a root: which runs there were, what is undone, and what is forgotten.
//!
//! A rollback to before run N undoes every run from N on. It is undone in turn by a rollback to before itself, and
//! then what it had undone is done again. So whether a run is undone follows from the runs after it alone.

use std::collections::BTreeSet;

use super::journal::{JOURNAL, RunEntry, RunInputs, RunRecord, RunState, RunSummary, RunVerb, SavedState};
use super::state::{forget, ids, run_directory, state_directory, unreadable};
use crate::error::Result;
use crate::mode::Owner;
use crate::node::{Metadata, PathState, Root, RootedPath};

/// What later runs need to know of the earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedInputs {
    /// The inputs that the newest run in force recorded.
    pub inputs: Option<RunInputs>,
    /// Every path that one wrote, so that it is ours whatever stands there.
    pub paths: BTreeSet<RootedPath>,
    /// A run that was killed, and has to be undone or finished first.
    pub interrupted: Option<u32>,
}

impl RecordedInputs {
    /// Reads as little as possible: the newest run that was carried out has recorded the inputs of all.
    ///
    /// # Errors
    /// Where a journal cannot be read; one that is damaged names itself.
    pub fn read(root: &Root) -> Result<Self> {
        let mut recorded = Self::default();
        for id in ids(root)?.into_iter().rev() {
            // A run that was killed before it changed anything has no journal.
            let Some(journal) = RunSummary::read(root, id)? else { continue };
            match journal.state {
                RunState::RolledBack => {}
                RunState::Begun => recorded.interrupted = Some(id),
                RunState::Committed => {
                    if !journal.kept {
                        recorded.interrupted = Some(id);
                    }
                    recorded.paths = journal.written.iter().filter_map(|path| path.parse().ok()).collect();
                    recorded.inputs = journal.inputs;
                    break;
                }
            }
        }
        Ok(recorded)
    }
}

/// A path that runs have changed, by every one of them with its number, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed<'a> {
    /// What the first of them, at least, knows: what was there before.
    pub by: Vec<(&'a RunRecord, &'a RunEntry)>,
}

/// Every run of a root that has a journal, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    runs: Vec<RunRecord>,
    undone: BTreeSet<u32>,
}

impl History {
    /// Reads all journals.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn read(root: &Root) -> Result<Self> {
        if let PathState::Absent = root.look_directory(&state_directory())? {
            return Ok(Self::default());
        }
        let journals = ids(root)?.into_iter().map(|id| RunRecord::read(root, id));
        let mut runs = journals.filter_map(Result::transpose).collect::<Result<Vec<RunRecord>>>()?;
        // One that was killed while it united two left both.
        let through = runs.first().and_then(|run| run.through).unwrap_or_default();
        runs.retain(|run| run.through.is_some() || run.id > through);
        Ok(Self::of(runs))
    }

    /// Tells whether there is a run that was carried out, undone or not.
    #[must_use]
    pub fn has_carried_out(&self) -> bool {
        self.carried_out().next().is_some()
    }

    /// Finds out what is undone, from the newest run to the oldest: what a rollback in force reaches is.
    fn of(runs: Vec<RunRecord>) -> Self {
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

    /// Returns a run that was carried out, by its number.
    #[must_use]
    pub fn committed(&self, id: u32) -> Option<&RunRecord> {
        self.carried_out().find(|run| run.id == id)
    }

    /// Returns the newest `apply` that is not undone.
    #[must_use]
    pub fn newest_apply(&self) -> Option<&RunRecord> {
        let counts = |run: &&RunRecord| run.verb == RunVerb::Apply && !self.is_undone(run.id);
        // Old runs that came to nothing together are nothing to undo.
        self.carried_out().rev().filter(counts).find(|run| run.through.is_none() || !run.entries.is_empty())
    }

    /// Returns the run in force before run `id`.
    #[must_use]
    pub fn before(&self, id: u32) -> Option<&RunRecord> {
        self.carried_out().rev().find(|run| run.id < id)
    }

    /// Tells whether a run is undone by a later one that is not undone itself.
    #[must_use]
    pub fn is_undone(&self, id: u32) -> bool {
        self.undone.contains(&id)
    }

    /// Returns what runs from `id` on have changed, in the order in which it first happened.
    #[must_use]
    pub fn changed_since(&self, id: u32) -> Vec<Changed<'_>> {
        let mut changed: Vec<Changed<'_>> = Vec::new();
        for run in self.carried_out().filter(|run| run.id >= id) {
            for entry in &run.entries {
                match changed.iter_mut().find(|changed| changed.by[0].1.path == entry.path) {
                    Some(changed) => changed.by.push((run, entry)),
                    None => changed.push(Changed { by: vec![(run, entry)] }),
                }
            }
        }
        changed
    }

    fn carried_out(&self) -> impl DoubleEndedIterator<Item = &RunRecord> {
        self.runs.iter().filter(|run| run.state == RunState::Committed)
    }
}

/// Unites the two oldest runs until no more than `kept` are left besides the oldest. What was there before the
/// first of all runs is never forgotten.
///
/// # Errors
/// Where something cannot be written; the runs are all there then, united or not.
pub(super) fn prune(root: &Root, owner: Owner, kept: u32) -> Result<()> {
    loop {
        let ids = ids(root)?;
        let (Some(&first), Some(&second)) = (ids.first(), ids.get(1)) else { return Ok(()) };
        if ids.len() <= kept as usize + 1 {
            return Ok(());
        }
        unite(root, owner, first, second)?;
    }
}

/// Finishes what a run has begun that was killed while it united two.
///
/// # Errors
/// Where something cannot be read or removed.
pub(super) fn finish_uniting(root: &Root) -> Result<()> {
    let ids = ids(root)?;
    let (Some(&first), true) = (ids.first(), ids.len() > 1) else { return Ok(()) };
    let through = RunRecord::read(root, first)?.and_then(|run| run.through).unwrap_or_default();
    ids[1..].iter().filter(|id| **id <= through).try_for_each(|id| forget(root, *id))
}

/// Makes one run of two. The older one is written anew before the other goes; one that is killed in between is
/// found by `through`.
fn unite(root: &Root, owner: Owner, first: u32, second: u32) -> Result<()> {
    let carried_out = |journal: &RunRecord| journal.state == RunState::Committed;
    let Some(mut united) = RunRecord::read(root, first)?.filter(carried_out) else {
        return forget(root, first);
    };
    let later = RunRecord::read(root, second)?.filter(carried_out);
    if let Some(later) = later.filter(|_| united.through.is_none_or(|through| through < second)) {
        for entry in later.entries {
            let entry = RunEntry {
                before: adopt(root, owner, entry.before, (first, second))?,
                after: adopt(root, owner, entry.after, (first, second))?,
                ..entry
            };
            match united.entries.iter_mut().find(|older| older.path == entry.path) {
                Some(older) => older.after = entry.after,
                None => united.entries.push(entry),
            }
        }
        let mut entries = Vec::new();
        for entry in united.entries {
            if entry.before.load(root, first)? != entry.after.load(root, first)? {
                entries.push(entry);
            }
        }
        united.entries = entries;
        united.verb = RunVerb::Apply;
        united.through = Some(second);
        (united.inputs, united.written, united.about) = (later.inputs, later.written, later.about);
        united.write(root, owner)?;
    }
    forget(root, second)?;
    let saved = united.entries.iter().flat_map(|entry| [&entry.before, &entry.after]);
    let wanted: BTreeSet<&str> = saved.filter_map(SavedState::backup).collect();
    for name in root.list(&run_directory(first))? {
        if let Some(name) = name.to_str().filter(|name| *name != JOURNAL && !wanted.contains(name)) {
            root.remove_tree(&run_directory(first).join(name))?;
        }
    }
    Ok(())
}

/// Copies the bytes of a run to another one, under a name that says where they are from.
fn adopt(root: &Root, owner: Owner, mut saved: SavedState, (to, from): (u32, u32)) -> Result<SavedState> {
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
    use crate::apply::journal::RunHead;
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
        History::of((1..).zip(verbs).map(run).collect())
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
