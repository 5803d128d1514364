//! Removal of temporary files that earlier runs could not remove: their directory was append-only by then, or power failed.

use std::collections::BTreeSet;

use tracing::warn;

use super::history::History;
use super::run_record::RunRecord;
use crate::document::has_header;
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
/// A run that was killed while two files exchanged their names may have left what another program saved in that moment, so
/// only what k3s-harden wrote, or was about to restore, is removed.
pub(super) fn sweep(root: &Root, plan: Option<&Plan>, paths: &BTreeSet<RootedPath>) {
    for path in paths {
        let is_ours = |there: &PathState| match there {
            PathState::File { bytes, .. } if bytes.is_empty() || has_header(bytes) => true,
            _ => known_states(root, plan, path).iter().any(|known| is_start_of(there, known)),
        };
        if let Err(error) = root.remove_temporaries_if(path, is_ours) {
            warn!("a temporary file of an earlier run stays: {error}");
        }
    }
}

/// Returns what a path is, was and will be, as far as the plan and the history tell.
fn known_states(root: &Root, plan: Option<&Plan>, path: &RootedPath) -> Vec<PathState> {
    let actions = plan.into_iter().flat_map(|plan| &plan.actions);
    let actions = actions.filter(|action| action.resource.path() == *path);
    let planned = actions.flat_map(|action| [action.before.clone(), action.resource.desired_state()]);
    let history = History::read(root).unwrap_or_default();
    let entries = history.runs().iter().flat_map(|run| run.entries.iter().map(move |entry| (run.id, entry)));
    let entries = entries.filter(|(_, entry)| entry.path == path.to_string());
    let saved = entries.flat_map(|(id, entry)| [entry.before.load(root, id), entry.after.load(root, id)]);
    let states = planned.chain(saved.filter_map(Result::ok));
    let at_path = |state| match state {
        CurrentState::Path(state) => Some(state),
        CurrentState::Value(_) | CurrentState::Unreadable(_) => None,
    };
    states.filter_map(at_path).collect()
}

/// Tells whether something is what `known` says, or the start of it: a file may be half written.
fn is_start_of(there: &PathState, known: &PathState) -> bool {
    match (there, known) {
        (PathState::File { bytes, .. }, PathState::File { bytes: whole, .. }) => whole.starts_with(bytes),
        (PathState::Symlink { target, .. }, PathState::Symlink { target: known, .. }) => target == known,
        _ => false,
    }
}
