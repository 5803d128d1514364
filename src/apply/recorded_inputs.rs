// SPDX-License-Identifier: Apache-2.0
//! What earlier runs recorded for later ones.

use std::collections::BTreeSet;

use super::damage::Damage;
use super::run_journal::FoundRun;
use super::run_list::{self, RunList, settled};
use super::run_record::{RunInputs, RunRecord, RunState, RunVerb};
use super::state::{runs_directory, state_directory};
use crate::error::{Error, Result};
use crate::node::{Root, RootedPath};
use crate::plan::PlanSubject;

/// What earlier runs recorded for later ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedInputs {
    /// The inputs that the newest run in force recorded.
    pub inputs: Option<RunInputs>,
    /// The run that recorded them.
    pub run: Option<RecordedRun>,
    /// The paths that they wrote: these files belong to k3s-harden, whatever they hold.
    pub paths: BTreeSet<RootedPath>,
    /// A run that was killed: it is undone or finished before the next one.
    pub interrupted: Option<u32>,
    /// What is damaged, as far as it was looked at.
    pub damage: Vec<Damage>,
    /// Whether the newest run is damaged: then it is not known what is in force.
    pub newest_is_damaged: bool,
    /// Why nothing of this could be read.
    pub hidden: Option<Error>,
}

/// The run whose inputs are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRun {
    /// Its number.
    pub id: u32,
    /// When it began, in UTC (RFC 3339).
    pub time: String,
    /// Whether it is a rollback: what was told is older than it.
    pub is_rollback: bool,
    /// The node and the profile that it was about.
    pub about: PlanSubject,
}

impl RecordedInputs {
    /// Reads as little as possible: the newest committed run has recorded the inputs of all.
    ///
    /// # Errors
    /// If the caller may not read the records.
    pub fn read(root: &Root) -> Result<Self> {
        settled(root, |list| {
            let recorded = Self::read_listed(root, list)?;
            let is_damaged = !recorded.damage.is_empty();
            Ok((recorded, is_damaged))
        })
    }

    fn read_listed(root: &Root, list: &RunList) -> Result<Self> {
        let mut recorded = Self { damage: list.damage.clone(), ..Self::default() };
        let mut newest_sound = 0;
        for &id in list.ids.iter().rev() {
            let record = match RunRecord::read_alone(root, id)? {
                FoundRun::Sound(record) => record,
                FoundRun::Damaged(damage) => {
                    recorded.newest_is_damaged = true;
                    recorded.damage.push(damage);
                    continue;
                }
            };
            newest_sound = newest_sound.max(record.through.unwrap_or_default()).max(id);
            let is_in_force = record.state == RunState::Committed;
            if let Some(missing) = missing_before(root, list, id, record.previous)? {
                recorded.newest_is_damaged |= !is_in_force;
                recorded.damage.push(missing);
            }
            if record.state == RunState::Begun || (is_in_force && !record.kept) {
                recorded.interrupted = Some(id);
            }
            if is_in_force {
                recorded.paths =
                    record.written.iter().filter_map(|path| RootedPath::recorded(path).ok()).collect();
                recorded.run = record.inputs.is_some().then(|| RecordedRun {
                    id: record.through.unwrap_or(record.id),
                    time: record.time,
                    is_rollback: record.verb != RunVerb::Apply,
                    about: record.about,
                });
                recorded.inputs = record.inputs;
                break;
            }
        }
        if list.newest > newest_sound && !recorded.damage.iter().any(|damage| damage.run == Some(list.newest))
        {
            recorded.newest_is_damaged = true;
            recorded.damage.push(run_list::missing(list.newest));
        }
        let is_newer = |damage: &Damage| damage.run.is_some_and(|run| run > newest_sound);
        recorded.newest_is_damaged |= list.damage.iter().any(is_newer);
        // What is wrong with the directory of the runs itself hides all of them.
        recorded.newest_is_damaged |= list.damage.iter().any(|damage| damage.path == runs_directory());
        recorded.damage.sort();
        Ok(recorded)
    }

    /// Refuses to go on where the newest run is damaged: what it was told, and what it wrote, is not known.
    ///
    /// # Errors
    /// The damage, by path and reason.
    pub fn check_newest(&self, root: &Root) -> Result<()> {
        Damage::refuse_newer(&self.damage, root)?;
        if !self.newest_is_damaged {
            return Ok(());
        }
        let error = Damage::error(&self.damage, root, "the newest run is damaged: its options are unknown");
        Err(error.hint(format!(
            "to roll back the undamaged runs: `k3s-harden rollback --skip-damaged`; to start a new history: move all of {} into the copy",
            root.display(&state_directory())
        )))
    }
}

/// Looks for the run before run `id`, which its record names; damage if it is gone.
fn missing_before(root: &Root, list: &RunList, id: u32, previous: Option<u32>) -> Result<Option<Damage>> {
    let Some(before) = previous.filter(|before| *before > 0 && !list.ids.contains(before)) else {
        return Ok(None);
    };
    if let Some(&oldest) = list.ids.first().filter(|oldest| **oldest < before)
        && let FoundRun::Sound(record) = RunRecord::read_alone(root, oldest)?
        && record.through.is_some_and(|through| through >= before)
    {
        return Ok(None);
    }
    let named = list.damage.iter().any(|damage| damage.run == Some(before));
    Ok((!named).then(|| run_list::missing_before(before, id)))
}
