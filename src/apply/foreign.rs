// SPDX-License-Identifier: Apache-2.0
//! What somebody has put at a path between two runs. Only the history holds it: it is in the backups of the run that
//! replaced it, and in copies that merged runs keep.

use super::fingerprint::Fingerprint;
use super::history::{ChangedPath, History};
use super::run_record::{RunRecord, RunVerb};
use crate::node::Root;

/// What the steps of a history tell of one path.
#[derive(Debug)]
pub(super) struct PathHistory {
    /// What runs left there.
    pub(super) left: Vec<Fingerprint>,
    /// What of it is theirs.
    pub(super) ours: Vec<Fingerprint>,
    /// What somebody put there in between, each with the run that found it.
    pub(super) foreign: Vec<(u32, Fingerprint)>,
    /// What was there first.
    first: Fingerprint,
}

/// Whose a state is that a run left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    Unsure,
}

impl PathHistory {
    /// Tells whose each state of a path is. A state that a run found is somebody's if no run before left it and it is not
    /// the first. What a rollback left is somebody's too if it is one of these.
    pub(super) fn of(root: &Root, history: &History, changed: &ChangedPath<'_>) -> Self {
        let (first_run, first_entry) = changed.entries[0];
        let first = Fingerprint::of_saved(root, first_run.id, &first_entry.before);
        let mut path = Self { left: Vec::new(), ours: Vec::new(), foreign: Vec::new(), first };
        path.foreign = copies(root, history, &first_entry.path);
        let (mut left, mut whose): (Vec<Fingerprint>, Vec<Whose>) = (Vec::new(), Vec::new());
        // Release 0.1.0 kept no copies when it merged runs: what a rollback behind them restored may be somebody's.
        let is_blind = history.steps().any(RunRecord::is_united_without_copies);
        for (run, entry) in &changed.entries {
            let before = Fingerprint::of_saved(root, run.id, &entry.before);
            if before != path.first && !left.contains(&before) && !path.is_foreign(&before) {
                path.foreign.push((run.id, before));
            }
            let after = Fingerprint::of_saved(root, run.id, &entry.after);
            let is_unsure =
                is_blind && run.verb != RunVerb::Apply && after != path.first && !left.contains(&after);
            whose.push(if is_unsure { Whose::Unsure } else { Whose::Ours });
            left.push(after);
        }
        let ours =
            left.iter().zip(whose).filter(|(state, whose)| *whose == Whose::Ours && !path.is_foreign(state));
        path.ours = ours.map(|(state, _)| state.clone()).collect();
        path.left = left;
        path
    }

    fn is_foreign(&self, state: &Fingerprint) -> bool {
        self.foreign.iter().any(|(_, foreign)| foreign == state)
    }

    /// Returns the runs that hold the only copy of bytes of somebody's, once the first state is there again.
    pub(super) fn only_copies(&self, after: &Fingerprint) -> Vec<u32> {
        let kept = [&self.first, after].into_iter().chain(&self.ours);
        let kept: Vec<&str> = kept.filter_map(Fingerprint::bytes).collect();
        let is_lost = |state: &Fingerprint| state.bytes().is_some_and(|bytes| !kept.contains(&bytes));
        self.foreign.iter().filter(|(_, state)| is_lost(state)).map(|(run, _)| *run).collect()
    }
}

/// Returns the copies that merged runs keep of a path.
fn copies(root: &Root, history: &History, path: &str) -> Vec<(u32, Fingerprint)> {
    let all = history.steps().flat_map(|run| run.foreign.iter().map(move |copy| (run.id, copy)));
    let of_path = all.filter(|(_, copy)| copy.path == path);
    of_path.map(|(id, copy)| (copy.run, Fingerprint::of_saved(root, id, &copy.state))).collect()
}

/// Returns the paths of which merged runs keep copies, but which no step has changed in the end.
pub(super) fn paths_with_copies_alone<'a>(history: &'a History, changed: &[ChangedPath<'a>]) -> Vec<&'a str> {
    let is_changed = |path: &str| changed.iter().any(|changed| changed.entries[0].1.path == path);
    let mut paths: Vec<&str> =
        history.steps().flat_map(|run| &run.foreign).map(|copy| copy.path.as_str()).collect();
    paths.retain(|path| !is_changed(path));
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Returns the runs that hold the only copy of what somebody had put at a path that no step has changed in the end;
/// `now` is what is there.
pub(super) fn only_copies_alone(root: &Root, history: &History, path: &str, now: &Fingerprint) -> Vec<u32> {
    let is_lost = |state: &Fingerprint| state.bytes().is_some_and(|bytes| now.bytes() != Some(bytes));
    copies(root, history, path).into_iter().filter(|(_, state)| is_lost(state)).map(|(run, _)| run).collect()
}
