// SPDX-License-Identifier: Apache-2.0
//! The way back of a run that failed: what was put back, what was not, and what that makes of the node.

use super::fingerprint::Fingerprint;
use super::run_journal::FoundRun;
use super::run_record::RunRecord;
use super::state::{STATE_DIRECTORY, is_above};
use crate::error::{Error, ErrorKind};
use crate::node::{Root, RootedPath};
use crate::plan::{Action, Change, PutBack, Resource};

/// What became of the actions of a run that failed.
#[derive(Debug, Default)]
pub(super) struct Undone {
    /// Whether the run had changed anything.
    pub(super) changed: bool,
    /// The paths that are not as before, or may not be, and why.
    pub(super) failed: Vec<(RootedPath, String)>,
    /// The paths that another program has changed since, which stay as they are.
    pub(super) left: Vec<RootedPath>,
}

impl Undone {
    /// Undoes the actions that were begun, the last one first. `error` is why the last one failed; none if all of them
    /// were done. `made` are directories that go away with the state directory.
    pub(super) fn of(root: &Root, begun: &[&Action], error: Option<&Error>, made: &[RootedPath]) -> Self {
        let mut undone = Self::default();
        for (index, action) in begun.iter().enumerate().rev() {
            let path = action.resource.path();
            let last = error.filter(|_| index + 1 == begun.len());
            // A conflict in the last action: what is there was never ours.
            if last.is_some_and(|error| error.kind() == ErrorKind::ChangedMeanwhile) {
                continue;
            }
            let stays = action.change == Change::Create && (made.contains(&path) || is_above(&path));
            let was_changed = !stays
                && (last.is_none() || !action.resource.observe(root).is_ok_and(|now| now == action.before));
            undone.changed |= was_changed;
            match action.put_back(root) {
                Ok(PutBack::Left) if !stays => undone.left.push(path),
                Ok(_) => {}
                Err(why) => undone.failed.push((path, not_put_back(root, action, &why))),
            }
            // One that could not be removed when its change failed.
            if let Resource::File(file) = &action.resource
                && let Err(why) = root.remove_temporaries_if(&file.path, |left| action.has_left(left))
            {
                let why = why.message_without(&root.display(&file.path));
                undone
                    .failed
                    .push((file.path.clone(), format!("has a temporary file beside it that stays: {why}")));
            }
        }
        undone
    }

    /// Tells whether everything that the run had changed is as before.
    pub(super) fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.left.is_empty()
    }

    /// Returns the error of the run: its kind tells what the node is like now, and its hints name each path that is not
    /// as it was.
    pub(super) fn told(&self, root: &Root, error: Error, record: &RunRecord) -> Error {
        let run = format!("{STATE_DIRECTORY}/runs/{:04}", record.id);
        if self.is_complete() {
            let kind = match error.kind() {
                // Not all was put back if what another program saved lies beside its path.
                kind @ (ErrorKind::HalfChanged | ErrorKind::ChangedMeanwhile) => kind,
                _ if self.changed => ErrorKind::Failed,
                kind => kind,
            };
            return error.of_kind(kind).hint("all changes of this run were rolled back");
        }
        let mut error = error.of_kind(ErrorKind::HalfChanged);
        for (path, why) in &self.failed {
            error = error.hint(format!("{} {why}", root.display(path)));
        }
        for path in &self.left {
            error = error.hint(format!(
                "{} was changed by another program and was not rolled back; its state before this run is saved in {run}",
                root.display(path)
            ));
        }
        if self.failed.is_empty() {
            return error.hint("all other changes of this run were rolled back");
        }
        let count = self.failed.len();
        error.hint(format!(
            "{count} changes could not be rolled back, or their result is unknown: the next run tries again; see {run}"
        ))
    }
}

/// Says of a path that was not put back why not. Where not even what is there can be seen, it may be as before.
fn not_put_back(root: &Root, action: &Action, why: &Error) -> String {
    let path = action.resource.path();
    match action.resource.observe(root) {
        Ok(_) => format!("could not be rolled back: {}", why.message_without(&root.display(&path))),
        Err(error) => could_not_be_seen(root, &path, &error),
    }
}

fn could_not_be_seen(root: &Root, path: &RootedPath, error: &Error) -> String {
    let why = error.message_without(&root.display(path));
    format!("could not be read, so it is unknown whether it was rolled back: {why}")
}

/// Returns the error for a killed run that cannot be undone: the node stands half changed, and the hints name each path
/// that is not as it was before that run.
pub(super) fn not_recovered(root: &Root, id: u32, error: Error) -> Error {
    let mut error = error
        .of_kind(ErrorKind::HalfChanged)
        .context(&format!("run {id} was interrupted, and its changes could not be rolled back"));
    // What cannot be read is what the error is about.
    let entries = match RunRecord::read(root, id) {
        Ok(FoundRun::Sound(record)) => record.entries,
        _ => Vec::new(),
    };
    for entry in entries.iter().filter(|entry| entry.concerns(root)) {
        let is_as_before = match entry.observe(root) {
            Ok(None) => true,
            Ok(Some(now)) => Fingerprint::of(&now) == Fingerprint::of_saved(root, id, &entry.before),
            Err(why) => {
                let seen = RootedPath::recorded(&entry.path);
                let why = seen
                    .map_or_else(|_| why.message().to_owned(), |path| could_not_be_seen(root, &path, &why));
                error = error.hint(format!("{} {why}", entry.path));
                continue;
            }
        };
        if !is_as_before {
            error = error.hint(format!("{} was not restored to its state before run {id}", entry.path));
        }
    }
    error.hint(format!("the next run tries it again: see {STATE_DIRECTORY}/runs/{id:04}"))
}

/// Returns `error` as that of a run that may have recovered a killed one before: then it did change something, and what
/// it changed is as it was before the killed run.
#[must_use]
pub fn after_recovery(recovered: bool, error: Error) -> Error {
    match error.kind() {
        ErrorKind::CannotWrite | ErrorKind::NotPermitted if recovered => error.of_kind(ErrorKind::Failed),
        _ => error,
    }
}
