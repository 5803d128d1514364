// SPDX-License-Identifier: Apache-2.0
//! The state directory: it holds the history, and its lock is the lock of a run.
//!
//! It is created and removed in one step. Whether it stays is decided with the lock held, by its content: the run before
//! may have created or removed the history while this one waited for the lock.

use std::cell::Cell;
use std::thread::sleep;
use std::time::Duration;

use tracing::{debug, warn};

use super::removal::{self, RunsEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::mode::{FileMode, Owner};
use crate::node::{DirectoryMove, Lock, Metadata, PathState, Root, RootedPath, Signals, accounts};

/// The directory of the records and the backups.
pub const STATE_DIRECTORY: &str = "/var/lib/k3s-harden";
/// The name that it gets before it is removed, so that it disappears in one step.
const BEING_REMOVED: &str = ".k3s-harden.leaving";
/// The name under which it is created, so that it appears in one step.
const BEING_CREATED: &str = ".k3s-harden.coming";
/// The file in it that lists the directories above it that were created for it.
const MADE: &str = "made";
/// The directory in it that holds a directory for each run.
const RUNS: &str = "runs";
/// How often to try to create it while other runs create and remove it too, and how long to wait in between.
const MAX_TRIES: usize = 50;
const RETRY_INTERVAL: Duration = Duration::from_millis(5);
/// How often to open it while other runs remove it.
const MAX_OPENS: usize = 10_000;

/// Returns the state directory. Nothing below it is reached through a symlink.
#[must_use]
pub fn state_directory() -> RootedPath {
    RootedPath::fixed(STATE_DIRECTORY).sealed()
}

/// Tells whether there is a state directory, or a leftover of one.
///
/// # Errors
/// If that cannot be read.
pub fn has_state(root: &Root) -> Result<bool> {
    Ok(root.look(&state_directory())? != PathState::Absent || !leftovers(root)?.is_empty())
}

/// Tells whether a run is in progress on this root.
#[must_use]
pub fn is_run_in_progress(root: &Root) -> bool {
    let lock = root.lock(&state_directory(), Duration::ZERO, &Signals::none());
    lock.is_err_and(|error| error.kind() == ErrorKind::Locked)
}

pub(super) fn runs_directory() -> RootedPath {
    state_directory().join(RUNS)
}

pub(super) fn run_directory(id: u32) -> RootedPath {
    runs_directory().join(&format!("{id:04}"))
}

/// The state directory, locked.
#[derive(Debug)]
pub(super) struct StateDirectory<'a> {
    root: &'a Root,
    /// Whether it was removed: a directory in its place is another run's.
    removed: Cell<bool>,
    _lock: Lock,
}

impl<'a> StateDirectory<'a> {
    /// Creates it if it is missing, makes it private, and locks it.
    ///
    /// # Errors
    /// If it cannot be created; [`ErrorKind::Locked`] if another run holds the lock for longer than `timeout`.
    pub(super) fn open(root: &'a Root, owner: Owner, timeout: Duration, signals: &Signals) -> Result<Self> {
        if let PathState::Symlink { .. } = root.look(&state_directory())? {
            let message = format!("{} is a symlink", root.display(&state_directory()));
            return Err(
                Error::new(ErrorKind::CannotWrite, message).hint("put a directory there, or mount one")
            );
        }
        match root.look(&runs_directory())? {
            PathState::Absent | PathState::Directory { .. } => {}
            PathState::Symlink { .. } => return Err(no_runs(root, "it is a symlink")),
            _ => return Err(no_runs(root, "it is no directory")),
        }
        // Before anything is made or recovered.
        root.check_writable(&runs_directory().join(&RunsEntry::Coming(1).name()))?;
        for _ in 0..MAX_OPENS {
            signals.check()?;
            create(root, owner)?;
            let Some(lock) = root.lock(&state_directory(), timeout, signals)? else {
                debug!("the state directory was removed while we waited for it");
                continue;
            };
            let state = Self { root, removed: Cell::new(false), _lock: lock };
            if removal::are_all_leaving(root, &runs_directory())? {
                debug!("a run was killed while it removed the state directory");
                state.remove()?;
                continue;
            }
            make_private(root, owner)?;
            take_list_back(root, owner)?;
            remove_leftovers(root)?;
            removal::sweep(root, &runs_directory())?;
            return Ok(state);
        }
        let message = format!("another program keeps removing {}", root.display(&state_directory()));
        Err(Error::new(ErrorKind::Failed, message).hint("find this program, then run k3s-harden again"))
    }

    /// Makes the directory of the runs in a state directory that somebody else has made, such as a mount point.
    ///
    /// # Errors
    /// If that fails.
    pub(super) fn make_runs(&self, owner: Owner) -> Result<()> {
        let runs = runs_directory();
        match self.root.look(&runs)? {
            PathState::Absent => self.root.make_directory(&runs, &Metadata::private_directory(owner)),
            _ => Ok(()),
        }
    }

    /// Returns the directories above it that were created for it, the outermost first.
    pub(super) fn made(&self) -> Result<Vec<RootedPath>> {
        made(self.root, &state_directory())
    }

    /// Removes it, and the directories that were created for it if nothing else is in them.
    ///
    /// # Errors
    /// If that fails; the next try removes what is left.
    pub(super) fn remove(&self) -> Result<()> {
        let (root, state) = (self.root, state_directory());
        let removing = self.removing()?;
        if !removal::are_all_leaving(root, &runs_directory())? {
            root.remove_tree(&removing)?;
            match root.move_directory(&state, &removing) {
                Ok(DirectoryMove::Moved) => {
                    self.removed.set(true);
                    return finish_removal(root, &removing);
                }
                Ok(DirectoryMove::NameTaken) => {
                    let message = format!("{} is in the way", root.display(&removing));
                    return Err(Error::new(ErrorKind::Failed, message));
                }
                // It is a mount point, lies in a lower layer, or in a directory that is another user's.
                Ok(DirectoryMove::Immovable) | Err(_) => removal::mark_all(root, &runs_directory())?,
            }
        }
        self.remove_in_place(&removing)
    }

    /// Removes it where it is. The list of created directories goes beside it before it does, so that at each moment the rest
    /// can be found. What is another program's stays, with the directory itself, and so does a mount point.
    fn remove_in_place(&self, removing: &RootedPath) -> Result<()> {
        let (root, state) = (self.root, state_directory());
        let list = state.join(MADE);
        if let Some(made) = root.read(&list)? {
            let owner = root.permissions(&state)?.map_or(Owner::ROOT, |(_, owner)| owner);
            root.remove_tree(removing)?;
            root.make_directory(removing, &Metadata::private_directory(owner))?;
            root.create_private(&removing.join(MADE), &made, owner)?;
            root.sync(&removing.join(MADE))?;
            root.remove_file(&list)?;
        }
        self.remove_runs()?;
        self.removed.set(true);
        match root.remove_empty_directory(&state) {
            // Who may not remove it has found it there, or was given it.
            Err(error) if error.kind() == ErrorKind::NotPermitted && accounts::own().uid != 0 => {
                debug!("{error}: it stays, empty");
            }
            other => drop(other?),
        }
        finish_removal(root, removing)
    }

    /// Removes all runs, and leaves the directory.
    ///
    /// # Errors
    /// If that fails; the next run removes what is left.
    pub(super) fn remove_runs(&self) -> Result<()> {
        removal::mark_all(self.root, &runs_directory())?;
        removal::remove_all(self.root, &runs_directory())
    }

    /// Returns the name that it gets before it is removed: beside the first directory that is removed, so that what is left
    /// does not keep that directory.
    fn removing(&self) -> Result<RootedPath> {
        let first = self.made()?.first().cloned();
        let begun = || leftovers(self.root).ok()?.into_iter().find(|path| path.name() == BEING_REMOVED);
        Ok(match first.or_else(begun) {
            Some(path) => path.beside(BEING_REMOVED),
            None => state_directory().beside(BEING_REMOVED),
        })
    }

    /// Removes it if nothing but an empty list of runs is in it. A list that cannot be found is not taken for an empty one: the
    /// kernel removes it only where it is.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(super) fn remove_if_unused(&self) -> Result<()> {
        let (root, runs) = (self.root, runs_directory());
        let names = root.names(&state_directory())?;
        let is_unused = names.iter().all(|name| name == RUNS || name == MADE)
            && root.names_and_kinds_itself(&runs)?.is_some_and(|runs| runs.is_empty())
            && (root.remove_empty_directory(&runs)? || !names.iter().any(|name| name == RUNS));
        if is_unused { self.remove() } else { Ok(()) }
    }
}

impl Drop for StateDirectory<'_> {
    fn drop(&mut self) {
        // The result of the run is reported elsewhere.
        if self.removed.get() {
            return;
        }
        if let Err(error) = self.remove_if_unused() {
            warn!("{error}");
        }
    }
}

/// Returns the error of a run that finds something else where the directory of the runs belongs.
fn no_runs(root: &Root, reason: &str) -> Error {
    let (runs, state) = (root.display(&runs_directory()), root.display(&state_directory()));
    Error::new(ErrorKind::Failed, format!("the history is damaged, and nothing was done: {runs}: {reason}"))
        .hint(format!(
            "keep a copy of {state} outside this directory, then replace runs with the directory itself"
        ))
}

/// Returns what is in the state directory and was not put there by k3s-harden, such as the data of a K3s whose data
/// directory it is.
///
/// # Errors
/// If it cannot be read.
pub fn foreign_in_state(root: &Root) -> Result<Vec<RootedPath>> {
    let names = root.names(&state_directory())?;
    let foreign = names.iter().filter(|name| *name != RUNS && *name != MADE);
    Ok(foreign.map(|name| state_directory().join(name)).collect())
}

/// Finishes the removal of the state directory after a run was killed in it.
fn finish_removals(root: &Root) -> Result<()> {
    leftovers(root)?
        .iter()
        .filter(|path| path.name() == BEING_REMOVED)
        .try_for_each(|path| finish_removal(root, path))
}

/// Removes the list of created directories last: as long as it exists, the rest can be found.
fn finish_removal(root: &Root, removing: &RootedPath) -> Result<()> {
    root.remove_tree(&removing.join(RUNS))?;
    for path in made(root, removing)?.iter().rev() {
        if !root.remove_empty_directory(path)? {
            break;
        }
    }
    root.remove_tree(removing)
}

/// Reads the list of directories that were created for the state directory, which is at `place`.
fn made(root: &Root, place: &RootedPath) -> Result<Vec<RootedPath>> {
    let listed = root.read(&place.join(MADE))?.unwrap_or_default();
    let paths =
        String::from_utf8_lossy(&listed).lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>();
    // Only parents of the state directory count: another program may have written the file.
    Ok(paths.into_iter().filter(|path| is_above(path) && *path != state_directory()).collect())
}

/// Finds directories that a run creates as the state directory, or removes.
fn leftovers(root: &Root) -> Result<Vec<RootedPath>> {
    let (mut found, mut above) = (Vec::new(), state_directory().parent());
    while let Some(folder) = above {
        let is_ours = |name: &&String| {
            *name == BEING_REMOVED || name.strip_prefix(BEING_CREATED).is_some_and(is_process)
        };
        found.extend(root.names(&folder)?.iter().filter(is_ours).map(|name| folder.join(name)));
        above = folder.parent();
    }
    Ok(found)
}

/// Returns what is there of the state directory and of its leftovers.
pub(super) fn what_is_left(root: &Root) -> Vec<RootedPath> {
    let state = Some(state_directory()).filter(|state| root.exists(state));
    state.into_iter().chain(leftovers(root).unwrap_or_default()).collect()
}

/// Removes what runs have left that were killed while they created or removed the state directory. A run that is just
/// creating one holds a lock on it.
///
/// # Errors
/// If that fails.
pub fn remove_leftovers(root: &Root) -> Result<()> {
    finish_removals(root)?;
    for path in leftovers(root)? {
        // What is being created holds no run: somebody has given the state directory that name.
        if path.name() != BEING_REMOVED && !root.names(&path.join(RUNS))?.is_empty() {
            warn!("{} holds runs, and stays", root.display(&path));
            continue;
        }
        if root.lock(&path, Duration::ZERO, &Signals::none()).is_ok_and(|lock| lock.is_some()) {
            // A run that has just created it and has no lock yet notices that it is gone.
            root.remove_tree(&path).unwrap_or_default();
        }
    }
    Ok(())
}

/// Gives the state directory back its list of created directories, if a run was killed that had put it beside it to remove it.
fn take_list_back(root: &Root, owner: Owner) -> Result<()> {
    let list = state_directory().join(MADE);
    if root.exists(&list) {
        return Ok(());
    }
    for removing in leftovers(root)?.iter().filter(|path| path.name() == BEING_REMOVED) {
        if let Some(made) = root.read(&removing.join(MADE))? {
            root.create_private(&list, &made, owner)?;
            root.sync(&list)?;
            // Its directories stay as long as the state directory does.
            root.remove_tree(removing)?;
        }
    }
    Ok(())
}

fn is_process(suffix: &str) -> bool {
    let number = suffix.strip_prefix('.').and_then(|number| number.parse::<u32>().ok());
    number.is_some_and(|number| suffix == format!(".{number}"))
}

/// Tells whether the state directory is below `path`, or is it.
pub(super) fn is_above(path: &RootedPath) -> bool {
    state_directory().is_within(path)
}

/// Removes a run in one step.
///
/// # Errors
/// If that fails.
pub(super) fn forget(root: &Root, id: u32) -> Result<()> {
    removal::remove_run(root, &runs_directory(), id)
}

/// Creates it if it is missing, however many other runs create or remove it at the same time.
fn create(root: &Root, owner: Owner) -> Result<()> {
    let mut tries = 0;
    loop {
        match create_once(root, owner) {
            Err(error) if error.kind() == ErrorKind::Failed && tries < MAX_TRIES => {
                debug!("{error}: once more");
                sleep(RETRY_INTERVAL);
                tries += 1;
            }
            other => return other,
        }
    }
}

/// Creates it in one step, with a list of the directories above it that were missing: a run that is killed here has
/// created nothing, or everything with the list.
fn create_once(root: &Root, owner: Owner) -> Result<()> {
    let state = state_directory();
    let mut missing = Vec::new();
    let mut above = Some(state.clone());
    while let Some(path) = above.filter(|path| !root.exists(path)) {
        above = path.parent();
        missing.push(path);
    }
    let Some(first) = missing.last().cloned() else { return Ok(()) };
    missing.reverse();
    let creating = first.beside(&format!("{BEING_CREATED}.{}", std::process::id()));
    let public = Metadata { mode: FileMode::PUBLIC_DIRECTORY, owner, attributes: None };
    let private = Metadata::private_directory(owner);
    let mode = |path: &RootedPath| if *path == state { &private } else { &public };
    let create_all = || {
        root.remove_tree(&creating)?;
        root.make_directory(&creating, mode(&first))?;
        let lock = root.lock(&creating, Duration::ZERO, &Signals::none()).ok().flatten();
        let swept = || Error::new(ErrorKind::Failed, format!("{} was taken away", root.display(&creating)));
        let _ours = lock.ok_or_else(swept)?;
        let mut at = creating.clone();
        for path in &missing[1..] {
            at = at.join(path.name());
            root.make_directory(&at, mode(path))?;
        }
        root.make_directory(&at.join(RUNS), &private)?;
        let above = &missing[..missing.len() - 1];
        if !above.is_empty() {
            let list: String = above.iter().map(|path| format!("{path}\n")).collect();
            root.create_private(&at.join(MADE), list.as_bytes(), owner)?;
        }
        root.move_directory(&creating, &first)
    };
    let moved = create_all();
    if !matches!(moved, Ok(DirectoryMove::Moved)) {
        root.remove_tree(&creating).unwrap_or_default();
    }
    match moved {
        Ok(DirectoryMove::Moved) => Ok(()),
        // Another run was faster; the lock decides which of them continues.
        _ if root.exists(&state) => Ok(()),
        Ok(DirectoryMove::NameTaken) => {
            Err(Error::new(ErrorKind::Failed, format!("{} is in the way", root.display(&first))))
        }
        Ok(DirectoryMove::Immovable) => Err(not_moved(root, &creating)),
        Err(error) => Err(error),
    }
}

/// Returns the error for a new directory that cannot get its name.
pub(super) fn not_moved(root: &Root, path: &RootedPath) -> Error {
    let message = format!(
        "{} cannot get its name: the file system does not move a directory that was just made",
        root.display(path)
    );
    Error::new(ErrorKind::CannotWrite, message).hint("mount another file system at /var/lib/k3s-harden")
}

/// Makes an existing directory private: backups may hold what only root could read.
fn make_private(root: &Root, owner: Owner) -> Result<()> {
    let metadata = Metadata::private_directory(owner);
    for path in [state_directory(), runs_directory()] {
        match root.look_directory(&path)? {
            // That of the runs is made once it is known that it was not moved away.
            PathState::Absent if path == runs_directory() => {}
            PathState::Absent => root.make_directory(&path, &metadata)?,
            PathState::Directory { mode, owner, attributes } if metadata.fits(mode, owner, &attributes) => {}
            _ => root.set_metadata(&path, &metadata, true)?,
        }
    }
    Ok(())
}
