// SPDX-License-Identifier: Apache-2.0
//! The history of a root: its runs, which of them are undone, and what of it is damaged.
//!
//! A rollback to before run N undoes every run from N on. A rollback to before that rollback undoes it in turn, and
//! then those runs are in force again. So whether a run is undone follows from the runs after it alone.
//!
//! A step is a run that is committed, or one that was put back and had to leave paths, for these paths: what was there
//! before it is in its backups only.

use std::collections::BTreeSet;

use super::damage::Damage;
use super::run_entry::RunEntry;
use super::run_journal::FoundRun;
use super::run_list::{self, RunList, settled};
use super::run_record::{RunRecord, RunState, RunVerb};
use super::saved_state::JOURNAL;
use super::state::{run_directory, state_directory};
use super::strangers;
use crate::error::Result;
use crate::node::{PathState, Root};

/// A path that runs have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedPath<'a> {
    /// Its entry in the record of each of them, the oldest first; there is at least one.
    pub entries: Vec<(&'a RunRecord, &'a RunEntry)>,
}

/// Every run of a root that has a sound record, the oldest first, and what is damaged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    runs: Vec<RunRecord>,
    undone: BTreeSet<u32>,
    damage: Vec<Damage>,
}

impl History {
    /// Reads all records. What is damaged is listed, and the rest is read all the same.
    ///
    /// # Errors
    /// If the caller may not read them.
    pub fn read(root: &Root) -> Result<Self> {
        Self::read_how(root, false)
    }

    /// The same, and looks at each backup too.
    ///
    /// # Errors
    /// As for [`History::read`].
    pub fn read_with_backups(root: &Root) -> Result<Self> {
        Self::read_how(root, true)
    }

    fn read_how(root: &Root, with_backups: bool) -> Result<Self> {
        if let PathState::Absent = root.look_directory(&state_directory())? {
            return Ok(Self::default());
        }
        settled(root, |list| {
            let mut history = Self::read_listed(root, list)?;
            if with_backups {
                for run in &history.runs {
                    history.damage.extend(run.damaged_backups(root)?);
                }
                history.damage.extend(strangers::in_runs(root, history.runs.iter().map(|run| run.id))?);
                history.damage.dedup_by(|one, other| one.path == other.path);
            }
            let is_damaged = !history.damage.is_empty();
            Ok((history, is_damaged))
        })
    }

    fn read_listed(root: &Root, list: &RunList) -> Result<Self> {
        let (mut runs, mut damage) = (Vec::new(), list.damage.clone());
        for id in &list.ids {
            match RunRecord::read(root, *id)? {
                FoundRun::Sound(record) => runs.push(record),
                FoundRun::Damaged(found) => damage.push(found),
            }
        }
        // A run that was killed while it merged two left both, or a part of the second.
        let oldest = runs.first().filter(|run| list.ids.first() == Some(&run.id));
        let through = oldest.and_then(|run| run.through).unwrap_or_default();
        runs.retain(|run| run.through.is_some() || run.id > through);
        let is_united = |damage: &Damage| {
            let of = |run: u32| run <= through && damage.path == run_directory(run).join(JOURNAL);
            damage.run.is_some_and(of)
        };
        damage.retain(|damage| !is_united(damage));
        let present: BTreeSet<u32> =
            runs.iter().map(|run| run.id).chain(damage.iter().filter_map(|damage| damage.run)).collect();
        let is_there = |id: u32| id <= through || present.contains(&id);
        for run in &runs {
            if let Some(previous) = run.previous.filter(|previous| *previous > 0 && !is_there(*previous)) {
                damage.push(run_list::missing_before(previous, run.id));
            }
        }
        let newest = runs.last().map(|run| run.id).unwrap_or_default();
        if list.newest > newest && !is_there(list.newest) {
            damage.push(run_list::missing(list.newest));
        }
        damage.sort();
        Ok(Self { damage, ..Self::from_runs(runs) })
    }

    /// Returns what is damaged.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Returns what is damaged of the runs from `id` on.
    #[must_use]
    pub fn damage_since(&self, id: u32) -> Vec<Damage> {
        self.damage.iter().filter(|damage| damage.run.is_some_and(|run| run >= id)).cloned().collect()
    }

    /// Tells whether there is a step, undone or not.
    #[must_use]
    pub fn has_steps(&self) -> bool {
        self.steps().next().is_some()
    }

    /// Finds the runs that are undone, from the newest run to the oldest: those that a rollback in force reaches.
    fn from_runs(runs: Vec<RunRecord>) -> Self {
        let (mut undone, mut reach) = (BTreeSet::new(), u32::MAX);
        for run in runs.iter().rev().filter(|run| run.is_step()) {
            match run.verb {
                _ if run.id >= reach => drop(undone.insert(run.id)),
                // One that was put back undoes nothing.
                RunVerb::Rollback { to } if run.state == RunState::Committed => reach = reach.min(to),
                RunVerb::Rollback { .. } | RunVerb::Apply => {}
            }
        }
        Self { runs, undone, damage: Vec::new() }
    }

    /// Returns all runs, oldest first.
    #[must_use]
    pub fn runs(&self) -> &[RunRecord] {
        &self.runs
    }

    /// Returns a step by its number.
    #[must_use]
    pub fn step(&self, id: u32) -> Option<&RunRecord> {
        self.steps().find(|run| run.id == id)
    }

    /// Returns the newest `apply` that is not undone.
    #[must_use]
    pub fn newest_apply(&self) -> Option<&RunRecord> {
        let counts = |run: &&RunRecord| run.verb == RunVerb::Apply && !self.is_undone(run.id);
        // Merged runs that changed nothing together leave nothing to undo.
        self.steps().rev().filter(counts).find(|run| run.through.is_none() || run.steps().next().is_some())
    }

    /// Returns the run in force before run `id`.
    #[must_use]
    pub fn before(&self, id: u32) -> Option<&RunRecord> {
        self.steps().rev().find(|run| run.state == RunState::Committed && run.id < id)
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
        for run in self.steps().filter(|run| run.id >= id) {
            for entry in run.steps() {
                match changed.iter_mut().find(|changed| changed.entries[0].1.path == entry.path) {
                    Some(changed) => changed.entries.push((run, entry)),
                    None => changed.push(ChangedPath { entries: vec![(run, entry)] }),
                }
            }
        }
        changed
    }

    /// Returns the steps, the oldest first.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &RunRecord> {
        self.runs.iter().filter(|run| run.is_step())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::run_list::RunNumber;
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
            let number = RunNumber { id, previous: id - 1 };
            let mut run = RunRecord::new(number, head, about.clone(), &[]);
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
