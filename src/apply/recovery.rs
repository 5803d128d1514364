//! A run that was killed: finished if only its last word was missing, else undone. Never guessed at.

use std::collections::BTreeSet;

use super::journal::{JOURNAL, RunEntry, RunRecord, RunState, RunVerb, SavedState};
use super::state::{STATE_DIRECTORY, forget, run_directory, unreadable};
use crate::error::Result;
use crate::mode::Owner;
use crate::node::{PathState, Root, RootedPath, selinux};
use crate::plan::{Action, Change, CurrentState};

/// A killed run that was put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Its number.
    pub id: u32,
    /// What it was doing.
    pub verb: RunVerb,
    /// Whether it was undone; else it is complete now.
    pub undone: bool,
    /// Whether something that somebody else has changed was left as it is.
    pub left: bool,
    /// The same in a sentence, with what was left alone.
    pub says: String,
}

/// Puts a killed run right.
///
/// # Errors
/// Where something cannot be put back; the next run tries it again.
pub(super) fn recover(root: &Root, owner: Owner, id: u32) -> Result<Recovered> {
    let mut journal = RunRecord::read(root, id)?
        .ok_or_else(|| unreadable(root, &run_directory(id).join(JOURNAL), "it is not there"))?;
    remove_temporaries(root, &journal)?;
    let mut says = format!("run {id} was interrupted");
    let done = journal.state == RunState::Committed || is_done(root, &journal)?;
    let mut left = Vec::new();
    if done {
        sync(root, &journal)?;
        journal.state = RunState::Committed;
        journal.write(root, owner)?;
        says.push_str(" after its last change: it is complete");
        // It may have been killed before it gave what it made its labels.
        if let Some(labels) = selinux::label_new(root, &made(&journal)?) {
            says.push_str(&format!("; {labels}"));
        }
    } else {
        left = undo(root, &journal)?;
        sync(root, &journal)?;
        journal.state = RunState::RolledBack;
        journal.write(root, owner)?;
        says.push_str(": what it had changed was put back");
        for path in &left {
            says.push_str(&format!(
                "; {path} was changed by somebody else since and stays as it is (what was there before: {STATE_DIRECTORY}/runs/{id:04})"
            ));
        }
    }
    if !journal.kept && left.is_empty() {
        forget(root, id)?;
    } else if !done && left.is_empty() {
        journal.drop_backups(root)?;
    }
    Ok(Recovered { id, verb: journal.verb, undone: !done, left: !left.is_empty(), says })
}

/// Brings everything that the run was about to the disk: what is right already may only seem so, because the run
/// was killed between a change and its sync, and from now on nobody looks any more.
fn sync(root: &Root, journal: &RunRecord) -> Result<()> {
    let nodes = journal.entries.iter().filter(|entry| entry.resource != "sysctl");
    nodes.map(|entry| entry.path.parse()).try_for_each(|path: Result<RootedPath>| root.sync(&path?))
}

/// What the run has made where nothing was.
fn made(journal: &RunRecord) -> Result<Vec<RootedPath>> {
    let is_made = |entry: &&RunEntry| {
        entry.before == SavedState::Absent
            && !matches!(entry.after, SavedState::Absent | SavedState::Value { .. })
    };
    journal.entries.iter().filter(is_made).map(|entry| entry.path.parse()).collect()
}

/// Tells whether everything is as the run wanted it.
fn is_done(root: &Root, journal: &RunRecord) -> Result<bool> {
    for entry in journal.entries.iter().filter(|entry| entry.concerns(root)) {
        let Some(resource) = entry.resource(&entry.after.load(root, journal.id)?)? else { continue };
        if !is_same(&resource.observe(root)?, &resource.wanted()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Puts everything back, the last change first; returns what somebody else has changed, which stays.
fn undo(root: &Root, journal: &RunRecord) -> Result<Vec<RootedPath>> {
    let mut left = Vec::new();
    for entry in journal.entries.iter().rev().filter(|entry| entry.concerns(root)) {
        let (before, after) = (entry.before.load(root, journal.id)?, entry.after.load(root, journal.id)?);
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

/// Tells whether something is as before or after the run, or on the way: mode and owner change one after the other.
fn is_ours(now: &CurrentState, before: &CurrentState, after: &CurrentState) -> bool {
    let content = |current: &CurrentState| match current {
        CurrentState::Node(PathState::File { bytes, .. }) => Some(bytes.clone()),
        _ => None,
    };
    match now {
        CurrentState::Node(PathState::Directory { .. }) => true,
        CurrentState::Node(PathState::File { .. }) => {
            [before, after].iter().any(|known| content(known) == content(now))
        }
        _ => [before, after].iter().any(|known| is_same(now, known)),
    }
}

/// Compares without labels: those are the business of the system's policy.
pub(super) fn is_same(one: &CurrentState, other: &CurrentState) -> bool {
    match (one, other) {
        (
            CurrentState::Node(PathState::File { mode, owner, bytes, .. }),
            CurrentState::Node(PathState::File { mode: mode2, owner: owner2, bytes: bytes2, .. }),
        ) => (mode, owner, bytes) == (mode2, owner2, bytes2),
        (
            CurrentState::Node(PathState::Directory { mode, owner, .. }),
            CurrentState::Node(PathState::Directory { mode: mode2, owner: owner2, .. }),
        ) => (mode, owner) == (mode2, owner2),
        _ => one == other,
    }
}

fn remove_temporaries(root: &Root, journal: &RunRecord) -> Result<()> {
    let files = journal.entries.iter().filter(|entry: &&RunEntry| entry.resource == "file");
    let paths = files.map(|entry| entry.path.parse()).collect::<Result<BTreeSet<RootedPath>>>()?;
    paths.iter().try_for_each(|path| root.remove_temporaries_of(path))?;
    root.remove_temporaries_of(&run_directory(journal.id).join(JOURNAL))
}
