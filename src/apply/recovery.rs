//! Recovery of a run that was killed: it is committed if all its changes are made, else it is undone.

use std::collections::BTreeSet;

use super::run_record::{RunEntry, RunRecord, RunState, RunVerb};
use super::saved_state::{JOURNAL, SavedState};
use super::state::{STATE_DIRECTORY, forget, run_directory, unreadable};
use crate::error::Result;
use crate::mode::Owner;
use crate::node::{PathState, Root, RootedPath, selinux};
use crate::plan::{Action, Change, CurrentState, ResourceKind};

/// A killed run that was recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Its number.
    pub id: u32,
    /// What it did.
    pub verb: RunVerb,
    /// Whether it was undone; else it is committed now.
    pub undone: bool,
    /// Whether a path that another program has changed was left as it is.
    pub left: bool,
    /// The same as a sentence, with the paths that were left as they are.
    pub message: String,
}

/// Recovers a killed run.
///
/// # Errors
/// If something cannot be restored; the next run tries again.
pub(super) fn recover(root: &Root, owner: Owner, id: u32) -> Result<Recovered> {
    let mut record = RunRecord::read(root, id)?
        .ok_or_else(|| unreadable(root, &run_directory(id).join(JOURNAL), "it is not there"))?;
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
        left = undo(root, &record)?;
        sync(root, &record)?;
        record.state = RunState::RolledBack;
        record.write(root, owner)?;
        message.push_str(": what it had changed was put back");
        for path in &left {
            message.push_str(&format!(
                "; {path} was changed by somebody else since and stays as it is (what was there before: {STATE_DIRECTORY}/runs/{id:04})"
            ));
        }
    }
    if !record.kept && left.is_empty() {
        forget(root, id)?;
    } else if !done && left.is_empty() {
        record.drop_backups(root)?;
    }
    Ok(Recovered { id, verb: record.verb, undone: !done, left: !left.is_empty(), message })
}

/// Syncs every path of the run to the disk: the run may have been killed between a change and its sync, and no later
/// run checks it again.
fn sync(root: &Root, record: &RunRecord) -> Result<()> {
    let nodes = record.entries.iter().filter(|entry| entry.resource != ResourceKind::Sysctl);
    nodes.map(|entry| entry.path.parse()).try_for_each(|path: Result<RootedPath>| root.sync(&path?))
}

/// Returns the paths that the run has created.
fn created(record: &RunRecord) -> Result<Vec<RootedPath>> {
    let is_created = |entry: &&RunEntry| {
        entry.before == SavedState::Absent
            && !matches!(entry.after, SavedState::Absent | SavedState::Value { .. })
    };
    record.entries.iter().filter(is_created).map(|entry| entry.path.parse()).collect()
}

/// Tells whether all changes of the run are made.
fn is_done(root: &Root, record: &RunRecord) -> Result<bool> {
    for entry in record.entries.iter().filter(|entry| entry.concerns(root)) {
        let Some(resource) = entry.resource(&entry.after.load(root, record.id)?)? else { continue };
        if !is_same(&resource.observe(root)?, &resource.desired_state()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Undoes all changes, the last one first; returns the paths that another program has changed, which stay.
fn undo(root: &Root, record: &RunRecord) -> Result<Vec<RootedPath>> {
    let mut left = Vec::new();
    for entry in record.entries.iter().rev().filter(|entry| entry.concerns(root)) {
        let (before, after) = (entry.before.load(root, record.id)?, entry.after.load(root, record.id)?);
        let Some(resource) = entry.resource(&before)? else { continue };
        let action = Action::between(resource, root)?;
        match action.change {
            Change::None => {}
            _ if is_ours(&action.before, &before, &after) => drop(action.apply(root)?),
            _ => left.push(action.resource.path()),
        }
    }
    Ok(left)
}

/// Tells whether a state is that before or after the run, or one in between: mode and owner change one by one.
fn is_ours(now: &CurrentState, before: &CurrentState, after: &CurrentState) -> bool {
    let content = |current: &CurrentState| match current {
        CurrentState::Path(PathState::File { bytes, .. }) => Some(bytes.clone()),
        _ => None,
    };
    match now {
        CurrentState::Path(PathState::Directory { .. }) => true,
        CurrentState::Path(PathState::File { .. }) => {
            [before, after].iter().any(|known| content(known) == content(now))
        }
        _ => [before, after].iter().any(|known| is_same(now, known)),
    }
}

/// Compares two states without labels: the system's policy decides these.
pub(super) fn is_same(one: &CurrentState, other: &CurrentState) -> bool {
    match (one, other) {
        (
            CurrentState::Path(PathState::File { mode, owner, bytes, .. }),
            CurrentState::Path(PathState::File { mode: mode2, owner: owner2, bytes: bytes2, .. }),
        ) => (mode, owner, bytes) == (mode2, owner2, bytes2),
        (
            CurrentState::Path(PathState::Directory { mode, owner, .. }),
            CurrentState::Path(PathState::Directory { mode: mode2, owner: owner2, .. }),
        ) => (mode, owner) == (mode2, owner2),
        _ => one == other,
    }
}

fn remove_temporaries(root: &Root, record: &RunRecord) -> Result<()> {
    let files = record.entries.iter().filter(|entry: &&RunEntry| entry.resource == ResourceKind::File);
    let paths = files.map(|entry| entry.path.parse()).collect::<Result<BTreeSet<RootedPath>>>()?;
    paths.iter().try_for_each(|path| root.remove_temporaries_of(path))?;
    root.remove_temporaries_of(&run_directory(record.id).join(JOURNAL))
}
