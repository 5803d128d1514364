// SPDX-License-Identifier: Apache-2.0
//! Old runs become one: the two oldest are united until few enough are left. The state before the first run is always
//! kept, and so is what somebody had put at a path between two runs.

use std::collections::BTreeSet;

use super::fingerprint::Fingerprint;
use super::run_entry::RunEntry;
use super::run_journal::FoundRun;
use super::run_list::{RunList, forget};
use super::run_record::{ForeignCopy, RunRecord, RunState, RunVerb};
use super::saved_state::{JOURNAL, SavedState};
use super::state::run_directory;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Owner;
use crate::node::{Metadata, Root};

/// Unites the two oldest runs until no more than `kept` are left besides the oldest.
///
/// # Errors
/// If something is damaged or cannot be written; no run is lost then.
pub(super) fn shorten(root: &Root, owner: Owner, kept: u32) -> Result<()> {
    loop {
        let ids = RunList::read(root)?.ids;
        let (Some(&first), Some(&second)) = (ids.first(), ids.get(1)) else { return Ok(()) };
        if ids.len() <= kept as usize + 1 {
            return Ok(());
        }
        unite(root, owner, first, second)?;
    }
}

/// Finishes the union of two runs after a run was killed in it. What is damaged stays.
///
/// # Errors
/// If something cannot be read or removed.
pub(super) fn finish_uniting(root: &Root, owner: Owner) -> Result<()> {
    let ids = RunList::read(root)?.ids;
    let (Some(&first), true) = (ids.first(), ids.len() > 1) else { return Ok(()) };
    let FoundRun::Sound(united) = RunRecord::read(root, first)? else { return Ok(()) };
    let through = united.through.unwrap_or_default();
    ids[1..].iter().filter(|id| **id <= through).try_for_each(|id| forget(root, owner, *id))
}

/// Unites two runs. The older record is replaced before the other is removed; `through` tells if a run was killed in
/// between.
fn unite(root: &Root, owner: Owner, first: u32, second: u32) -> Result<()> {
    let read = |id| RunRecord::read(root, id)?.sound(root);
    let (mut united, mut later) = (read(first)?, read(second)?);
    if united.state == RunState::Begun || later.state == RunState::Begun {
        let message = format!("runs {first} and {second} have not both ended");
        return Err(Error::new(ErrorKind::Failed, message));
    }
    if !united.is_step() {
        // It has put everything back: nothing leads to before it, and the next one becomes the oldest.
        if later.previous.is_some() {
            later.previous = united.previous.or(Some(0));
            later.write(root, owner)?;
        }
        return forget(root, owner, first);
    }
    if united.through.is_none_or(|through| through < second) {
        if later.is_step() {
            add(root, owner, &mut united, &later)?;
        }
        united.through = Some(second);
        united.write(root, owner)?;
    }
    forget(root, owner, second)?;
    let saved = united.states().chain(united.foreign.iter().map(|copy| &copy.state));
    let wanted: BTreeSet<&str> = saved.filter_map(SavedState::backup).collect();
    for name in root.names(&run_directory(first))? {
        if name != JOURNAL && !wanted.contains(name.as_str()) {
            root.remove_tree(&run_directory(first).join(&name))?;
        }
    }
    Ok(())
}

/// Adds the steps of a run to those of the one before it.
fn add(root: &Root, owner: Owner, united: &mut RunRecord, later: &RunRecord) -> Result<()> {
    let (first, second) = (united.id, later.id);
    let copy = |saved: &SavedState| copy_backup(root, owner, saved.clone(), (first, second));
    let mut entries: Vec<RunEntry> = united.steps().cloned().collect();
    for entry in later.steps() {
        let before = copy(&entry.before)?;
        let after = copy(&entry.after)?;
        match entries.iter_mut().find(|older| older.path == entry.path) {
            Some(older) => {
                let found = Fingerprint::of_saved(root, second, &entry.before);
                let is_of = |saved: &SavedState| Fingerprint::of_saved(root, first, saved) == found;
                let is_known = is_of(&older.before)
                    || is_of(&older.after)
                    || united.foreign.iter().any(|copy| copy.path == entry.path && is_of(&copy.state));
                if !is_known {
                    let path = entry.path.clone();
                    united.foreign.push(ForeignCopy { path, run: second, state: before });
                }
                older.after = after;
            }
            None => entries.push(RunEntry { before, after, ..entry.clone() }),
        }
        united.left.retain(|path| *path != entry.path);
    }
    united.left.extend(later.left.iter().cloned());
    for copied in &later.foreign {
        united.foreign.push(ForeignCopy { state: copy(&copied.state)?, ..copied.clone() });
    }
    united.entries = Vec::new();
    for entry in entries {
        // What was left is somebody's by now, whatever the run would have made of it.
        if united.left.contains(&entry.path)
            || entry.before.load(root, first)? != entry.after.load(root, first)?
        {
            united.entries.push(entry);
        }
    }
    if later.state == RunState::Committed || united.state != RunState::Committed {
        united.inputs.clone_from(&later.inputs);
        united.written.clone_from(&later.written);
        united.about = later.about.clone();
    }
    if later.state == RunState::Committed {
        united.state = RunState::Committed;
    }
    united.verb = RunVerb::Apply;
    Ok(())
}

/// Copies a backup file to another run, under a name that tells the run that it is from.
fn copy_backup(
    root: &Root,
    owner: Owner,
    mut saved: SavedState,
    (to, from): (u32, u32),
) -> Result<SavedState> {
    if let Some(bytes) = saved.read(root, from)? {
        let name = format!("{from:04}-{}", saved.backup().unwrap_or_default());
        root.replace(&run_directory(to).join(&name), &bytes, &Metadata::private_file(owner))?;
        saved.move_to(name, &bytes);
    }
    Ok(saved)
}
