// SPDX-License-Identifier: Apache-2.0
//! Recovery of a run that was killed: it is committed if all its changes are made, else it is undone.

use super::damage::unreadable;
use super::fingerprint::Fingerprint;
use super::run_entry::RunEntry;
use super::run_list::forget;
use super::run_record::{RunRecord, RunState, RunVerb};
use super::saved_state::{JOURNAL, SavedState};
use super::state::{STATE_DIRECTORY, run_directory};
use crate::error::Result;
use crate::mode::{FileMode, Owner};
use crate::node::{PathState, Root, RootedPath, selinux};
use crate::plan::{Action, Change, ResourceKind};

/// A killed run that was recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Its number.
    pub id: u32,
    /// What it did.
    pub verb: RunVerb,
    /// Whether it was undone; else it is committed now.
    pub undone: bool,
    /// The paths that stay as they are, because another program has changed them or a backup is damaged.
    pub left: Vec<LeftPath>,
    /// The same as a sentence, with the paths that were left as they are.
    pub message: String,
}

/// A path that was not put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftPath {
    /// The path.
    pub path: RootedPath,
    /// Why it was not.
    pub reason: String,
    /// Whether what was there before is damaged: no run can bring it back.
    pub is_damaged: bool,
}

/// Recovers a killed run. With `skip_damaged`, what a damaged backup would be needed for stays as it is.
///
/// # Errors
/// If something cannot be restored; the next run tries again.
pub(super) fn recover(root: &Root, owner: Owner, id: u32, skip_damaged: bool) -> Result<Recovered> {
    let mut record = RunRecord::read(root, id)?.sound(root)?;
    remove_temporaries(root, &record)?;
    let mut message = format!("run {id} was interrupted");
    let done = record.state == RunState::Committed || is_done(root, &record)?;
    let mut left = Vec::new();
    if done {
        sync(root, &record)?;
        record.state = RunState::Committed;
        record.write(root, owner)?;
        message.push_str(" after its last change: it is complete");
        // The run may have been killed before it labelled what it created.
        if let Some(labels) = selinux::label_new(root, &created(&record)?) {
            message.push_str(&format!("; {labels}"));
        }
    } else {
        left = undo(root, &record, skip_damaged)?;
        sync(root, &record)?;
        record.state = RunState::RolledBack;
        record.left = left.iter().map(|left| left.path.to_string()).collect();
        record.write(root, owner)?;
        message.push_str(": its changes were rolled back");
        for LeftPath { path, reason, is_damaged } in &left {
            message.push_str(&format!("; {path} {reason} and stays as it is"));
            if !is_damaged {
                message.push_str(&format!(" (what was there before: {STATE_DIRECTORY}/runs/{id:04})"));
            }
        }
    }
    if !record.kept && left.is_empty() {
        forget(root, owner, id)?;
    } else if !done && left.is_empty() {
        record.drop_backups(root)?;
    }
    Ok(Recovered { id, verb: record.verb, undone: !done, left, message })
}

/// Syncs every path of the run to the disk: the run may have been killed between a change and its sync, and no later
/// run checks it again.
fn sync(root: &Root, record: &RunRecord) -> Result<()> {
    let nodes = record.entries.iter().filter(|entry| entry.resource != ResourceKind::Sysctl);
    nodes
        .map(|entry| RootedPath::recorded(&entry.path))
        .try_for_each(|path: Result<RootedPath>| root.sync(&path?))
}

/// Returns the paths that the run has created.
fn created(record: &RunRecord) -> Result<Vec<RootedPath>> {
    let is_created = |entry: &&RunEntry| {
        entry.before == SavedState::Absent
            && !matches!(entry.after, SavedState::Absent | SavedState::Value { .. })
    };
    record.entries.iter().filter(is_created).map(|entry| RootedPath::recorded(&entry.path)).collect()
}

/// Tells whether all changes of the run are made.
fn is_done(root: &Root, record: &RunRecord) -> Result<bool> {
    for entry in record.entries.iter().filter(|entry| entry.concerns(root)) {
        let Some(now) = entry.observe(root)? else { continue };
        if Fingerprint::of(&now) != Fingerprint::of_saved(root, record.id, &entry.after) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Undoes all changes, the last one first; returns the paths that stay.
fn undo(root: &Root, record: &RunRecord, skip_damaged: bool) -> Result<Vec<LeftPath>> {
    let mut left = Vec::new();
    for entry in record.entries.iter().rev().filter(|entry| entry.concerns(root)) {
        let Some(now) = entry.observe(root)? else { continue };
        let known = entry.states().map(|saved| Fingerprint::of_saved(root, record.id, saved));
        let now = Fingerprint::of(&now);
        if now != known[0] && !is_ours(&now, &known) {
            let reason = "was modified since".to_owned();
            left.push(LeftPath { path: RootedPath::recorded(&entry.path)?, reason, is_damaged: false });
            continue;
        }
        if let Some(damage) = entry.before.damage(root, record.id)? {
            if now == known[0] {
                continue;
            }
            if !skip_damaged {
                return Err(unreadable(root, &damage).hint(
                    "to restore everything that is not damaged: `k3s-harden rollback --skip-damaged`",
                ));
            }
            let reason = format!("cannot be rolled back: {}", damage.line(root));
            left.push(LeftPath { path: RootedPath::recorded(&entry.path)?, reason, is_damaged: true });
            continue;
        }
        let Some(resource) = entry.resource(&entry.before.load(root, record.id)?)? else { continue };
        let action = Action::between(resource, root)?;
        if action.change != Change::None {
            action.apply(root)?;
        }
    }
    Ok(left)
}

/// Tells whether a state is that before or after the run, or one in between: mode and owner change one by one.
fn is_ours(now: &Fingerprint, known: &[Fingerprint; 2]) -> bool {
    let is_between =
        |mode: FileMode, owner: Owner, of: &dyn Fn(&Fingerprint) -> Option<(FileMode, Owner)>| {
            let mut metadata = known.iter().filter_map(of).peekable();
            // What did not exist before gets its metadata step by step.
            metadata.peek().is_none()
                || (known
                    .iter()
                    .filter_map(of)
                    .any(|(known, _)| known == mode || known.without_set_ids() == mode)
                    && known.iter().filter_map(of).any(|(_, known)| known.uid == owner.uid)
                    && known.iter().filter_map(of).any(|(_, known)| known.gid == owner.gid))
        };
    match now {
        Fingerprint::File(mode, owner, _) => {
            let of = |state: &Fingerprint| match state {
                Fingerprint::File(mode, owner, _) => Some((*mode, *owner)),
                _ => None,
            };
            known.iter().any(|known| known.bytes() == now.bytes()) && is_between(*mode, *owner, &of)
        }
        Fingerprint::Directory(mode, owner) => {
            let of = |state: &Fingerprint| match state {
                Fingerprint::Directory(mode, owner) => Some((*mode, *owner)),
                _ => None,
            };
            known.contains(&Fingerprint::Absent) || is_between(*mode, *owner, &of)
        }
        _ => known.contains(now),
    }
}

/// Removes the hidden files that the run has left. One that holds something else than the run wrote or replaced is what
/// another program saved in the moment in which the run was killed: it stays.
fn remove_temporaries(root: &Root, record: &RunRecord) -> Result<()> {
    for entry in record.entries.iter().filter(|entry| entry.resource == ResourceKind::File) {
        // Loaded only if there is one; what is damaged knows none.
        let is_ours = |left: &PathState| {
            entry
                .states()
                .iter()
                .any(|saved| saved.load(root, record.id).is_ok_and(|known| known.has_content_of(left)))
        };
        drop(root.remove_temporaries_if(&RootedPath::recorded(&entry.path)?, is_ours)?);
    }
    root.remove_temporaries_of(&run_directory(record.id).join(JOURNAL))
}
