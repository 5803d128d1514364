// SPDX-License-Identifier: Apache-2.0
//! What lies in the state directory and is of nobody that is known: runs that were moved away, and somebody's own files.

use super::damage::Damage;
use super::saved_state::JOURNAL;
use super::state::{foreign_in_state, run_directory, runs_directory};
use crate::error::Result;
use crate::node::{EntryKind, Root, RootedPath};

/// Looks for runs that were moved out of the directory of the runs, which holds none; `is_gone` tells that it is not there
/// or empty. What may be the history is not passed over: a run would begin another one.
///
/// # Errors
/// If that cannot be read.
pub(super) fn moved_runs(root: &Root, is_gone: bool) -> Result<Option<Damage>> {
    let mut found = None;
    for path in foreign_in_state(root)? {
        if has_journal(root, &path)? {
            found = Some(path);
            break;
        }
    }
    let runs = runs_directory();
    Ok(found.filter(|_| is_gone).map(|found| {
        let is_run = root.exists(&found.join(JOURNAL));
        let to = if is_run { runs.join(found.name()) } else { runs.clone() };
        let (found, to) = (root.display(&found), root.display(&to));
        let way_on = match is_run {
            true => format!("move it back into {}, with the name it had", root.display(&runs)),
            false => format!("move it back to {to}"),
        };
        Damage::new(
            None,
            runs,
            format!("no runs found, and {found} may be the history: {way_on}; if it is not the history, move it elsewhere"),
        )
    }))
}

/// Tells whether a directory is one of a run, or holds one.
fn has_journal(root: &Root, path: &RootedPath) -> Result<bool> {
    if root.entry(path)?.is_none_or(|entry| entry.kind != EntryKind::Directory) {
        return Ok(false);
    }
    if root.exists(&path.join(JOURNAL)) {
        return Ok(true);
    }
    Ok(root.names(path)?.iter().any(|name| root.exists(&path.join(name).join(JOURNAL))))
}

/// Looks for what somebody has put into the directories of the runs: it would be removed with the run.
///
/// # Errors
/// If they cannot be read.
pub(super) fn in_runs(root: &Root, ids: impl Iterator<Item = u32>) -> Result<Vec<Damage>> {
    let mut found = Vec::new();
    for directory in ids.map(run_directory) {
        for (name, kind) in root.names_and_kinds_itself(&directory)?.unwrap_or_default() {
            if kind != Some(EntryKind::File) || !is_of_a_run(&name) {
                let path = directory.join(&name);
                // Something that is not a file where a backup belongs is named as a damaged backup too.
                found.push(Damage::new(
                    None,
                    path,
                    "k3s-harden did not write it, but would remove it with the run",
                ));
            }
        }
    }
    Ok(found)
}

/// Tells whether a file in the directory of a run may be its record, a backup, or a temporary file of one.
fn is_of_a_run(name: &str) -> bool {
    let is_backup = |name: &str| {
        let number = name.strip_suffix(".before").or_else(|| name.strip_suffix(".after"));
        number.is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
        })
    };
    let whole = name.strip_prefix('.').and_then(|name| {
        let name = name.strip_suffix(".tmp").or_else(|| name.strip_suffix(".swap"))?;
        name.rsplit_once('.').map(|(whole, _)| whole)
    });
    let name = whole.unwrap_or(name);
    name == JOURNAL || is_backup(name)
}
