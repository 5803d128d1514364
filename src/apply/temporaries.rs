// SPDX-License-Identifier: Apache-2.0
//! Removal of temporary files that earlier runs could not remove: their directory was append-only by then, or power failed.

use std::collections::BTreeSet;

use tracing::warn;

use super::fingerprint::Fingerprint;
use super::history::History;
use super::run_record::RunRecord;
use crate::node::{PathState, Root, RootedPath};
use crate::plan::{CurrentState, Plan, ResourceKind};

/// Returns the paths beside which an apply, or the undoing of one, may have left something.
pub(super) fn paths_of<'a>(
    plan: &'a Plan,
    written: impl IntoIterator<Item = &'a RootedPath>,
) -> BTreeSet<RootedPath> {
    let files = plan.actions.iter().filter(|action| action.resource.kind() == ResourceKind::File);
    files.map(|action| action.resource.path()).chain(written.into_iter().cloned()).collect()
}

/// Returns the same for all runs of a history.
pub(super) fn paths_of_runs(runs: &[RunRecord]) -> BTreeSet<RootedPath> {
    let entries = runs.iter().flat_map(|run| &run.entries);
    let files = entries.filter(|entry| entry.resource == ResourceKind::File);
    files.filter_map(|entry| RootedPath::recorded(&entry.path).ok()).collect()
}

/// Removes temporary files beside `paths`, where the lock is held: whoever made them is gone. One that stays does no harm.
///
/// A run that was killed while two files exchanged their names may have left what another program saved in that moment, an
/// edit of a file of ours among it. So only what the history or the plan knows is removed; returns what stays.
pub(super) fn sweep(root: &Root, plan: Option<&Plan>, paths: &BTreeSet<RootedPath>) -> Vec<RootedPath> {
    let mut kept = Vec::new();
    for path in paths {
        let is_ours = |there: &PathState| {
            let there = Fingerprint::of(&CurrentState::Path(there.clone()));
            there.bytes().is_some_and(|bytes| {
                known_states(root, plan, path).iter().any(|known| known.bytes() == Some(bytes))
            })
        };
        match root.remove_temporaries_if(path, is_ours) {
            Ok(stay) => kept.extend(stay),
            Err(error) => warn!("a temporary file of an earlier run stays: {error}"),
        }
    }
    kept
}

/// Returns what a path is, was and will be, as far as the plan and the history tell: records keep the digests of backups
/// that are gone.
fn known_states(root: &Root, plan: Option<&Plan>, path: &RootedPath) -> Vec<Fingerprint> {
    let actions = plan.into_iter().flat_map(|plan| &plan.actions);
    let actions = actions.filter(|action| action.resource.path() == *path);
    let planned = actions.flat_map(|action| [action.before.clone(), action.resource.desired_state()]);
    let history = History::read(root).unwrap_or_default();
    let entries = history.runs().iter().flat_map(|run| run.entries.iter().map(move |entry| (run.id, entry)));
    let entries = entries.filter(|(_, entry)| entry.path == path.to_string());
    let saved = entries.flat_map(|(id, entry)| entry.states().map(|state| (id, state)));
    let saved = saved.map(|(id, state)| Fingerprint::of_saved(root, id, state));
    planned.map(|state| Fingerprint::of(&state)).chain(saved).collect()
}
