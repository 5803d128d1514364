//! Removal of temporary files that earlier runs could not remove: their directory was append-only by then, or power failed.

use std::collections::BTreeSet;

use tracing::warn;

use super::run_record::RunRecord;
use crate::node::{Root, RootedPath};
use crate::plan::{Plan, ResourceKind};

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
    files.filter_map(|entry| entry.path.parse().ok()).collect()
}

/// Removes temporary files beside `paths`, where the lock is held: whoever made them is gone. One that stays does no harm.
pub(super) fn sweep(root: &Root, paths: &BTreeSet<RootedPath>) {
    for path in paths {
        if let Err(error) = root.remove_temporaries_of(path) {
            warn!("a temporary file of an earlier run stays: {error}");
        }
    }
}
