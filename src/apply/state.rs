//! The state directory: where the history is, and what is locked.
//!
//! It comes and goes in one step, and whether it stays is decided with the lock held, by what is in it: a run that
//! waited for the lock may find that the one before it made the history, or took it away.

use std::cell::Cell;
use std::ffi::OsString;
use std::thread::sleep;
use std::time::Duration;

use tracing::{debug, warn};

use crate::error::{Error, ErrorKind, Result};
use crate::mode::{FileMode, Owner};
use crate::node::{Lock, Metadata, PathState, Root, RootedPath, Signals};

/// Where the journals and the backups are.
pub const STATE_DIRECTORY: &str = "/var/lib/k3s-harden";
/// Where it goes before it is removed, so that it is gone all at once.
const LEAVING: &str = ".k3s-harden.leaving";
/// Where it is made, so that it comes all at once.
const COMING: &str = ".k3s-harden.coming";
/// The file in it that lists the directories above it that were made for it.
const MADE: &str = "made";
/// The directory in it with a directory a run.
const RUNS: &str = "runs";
/// How often it is tried to make it while others make and remove it too, and how long to wait in between.
const MAX_TRIES: usize = 50;
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// Returns the state directory.
#[must_use]
pub fn state_directory() -> RootedPath {
    RootedPath::fixed(STATE_DIRECTORY)
}

/// Tells whether there is a state directory, or what is left of one that was to be removed.
///
/// # Errors
/// Where that cannot be looked at.
pub fn has_state(root: &Root) -> Result<bool> {
    Ok(root.look(&state_directory())? != PathState::Absent || !leftovers(root)?.is_empty())
}

/// Tells whether a run is at work on this root.
#[must_use]
pub fn is_at_work(root: &Root) -> bool {
    let lock = root.lock(&state_directory(), Duration::ZERO, &Signals::none());
    lock.is_err_and(|error| error.kind() == ErrorKind::Locked)
}

pub(super) fn runs_directory() -> RootedPath {
    state_directory().join(RUNS)
}

pub(super) fn run_directory(id: u32) -> RootedPath {
    runs_directory().join(&format!("{id:04}"))
}

/// Returns the numbers of the runs, oldest first.
///
/// # Errors
/// Where the directory cannot be read.
pub(super) fn ids(root: &Root) -> Result<Vec<u32>> {
    let number = |name: &OsString| {
        let name = name.to_str().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))?;
        name.parse().ok()
    };
    let mut ids: Vec<u32> = root.list(&runs_directory())?.iter().filter_map(number).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Returns the error for something in the state directory that is not as we write it.
pub(super) fn unreadable(root: &Root, path: &RootedPath, why: &str) -> Error {
    let run = path.parent().unwrap_or_else(|| path.clone());
    Error::new(ErrorKind::Failed, format!("the journal {} cannot be read: {why}", root.display(path))).hint(
        format!(
            "it is of another version of k3s-harden, or damaged; move {} away to go on without that run",
            root.display(&run)
        ),
    )
}

/// The state directory, locked.
#[derive(Debug)]
pub(super) struct StateDirectory<'a> {
    root: &'a Root,
    /// Whether it was removed: what is at its place by now is another run's.
    removed: Cell<bool>,
    _lock: Lock,
}

impl<'a> StateDirectory<'a> {
    /// Makes it where it is missing, private in any case, and locks it.
    ///
    /// # Errors
    /// Where it cannot be made; [`ErrorKind::Locked`] where another run holds it for longer than `timeout`.
    pub(super) fn open(root: &'a Root, owner: Owner, timeout: Duration, signals: &Signals) -> Result<Self> {
        if let PathState::Symlink { .. } = root.look(&state_directory())? {
            let message = format!("{} is a symlink", root.display(&state_directory()));
            return Err(
                Error::new(ErrorKind::CannotWrite, message).hint("put a directory there, or mount one")
            );
        }
        loop {
            make(root, owner)?;
            if let Some(lock) = root.lock(&state_directory(), timeout, signals)? {
                make_private(root, owner)?;
                sweep(root)?;
                return Ok(Self { root, removed: Cell::new(false), _lock: lock });
            }
            debug!("the state directory was removed while we waited for it");
        }
    }

    /// Tells whether no run has left anything here.
    pub(super) fn is_fresh(&self) -> Result<bool> {
        ids(self.root).map(|ids| ids.is_empty())
    }

    /// Returns the directories above it that were made for it, the outermost first.
    pub(super) fn made(&self) -> Result<Vec<RootedPath>> {
        made(self.root, &state_directory())
    }

    /// Removes it, and the directories that were made for it if nothing else is in them.
    ///
    /// # Errors
    /// Where that fails; what is left is removed by the next try.
    pub(super) fn remove(&self) -> Result<()> {
        let (root, state) = (self.root, state_directory());
        // Beside the first directory that goes, so that what is left does not keep it.
        let first = self.made()?.first().cloned().unwrap_or_else(|| state.clone());
        let leaving = beside(&first, LEAVING);
        root.remove_tree(&leaving)?;
        match root.move_directory(&state, &leaving) {
            Ok(true) => {
                self.removed.set(true);
                finish_leaving(root, &leaving)
            }
            Ok(false) => {
                Err(Error::new(ErrorKind::Failed, format!("{} is in the way", root.display(&leaving))))
            }
            // Something is mounted there, and stays.
            Err(_) => {
                root.remove_tree(&runs_directory())?;
                root.remove_tree(&state.join(MADE))
            }
        }
    }

    /// Removes it if nothing but an empty list of runs is in it.
    fn remove_if_unused(&self) -> Result<()> {
        let only_ours = self.root.list(&state_directory())?.iter().all(|name| name == RUNS || name == MADE);
        if only_ours && self.root.list(&runs_directory())?.is_empty() { self.remove() } else { Ok(()) }
    }
}

impl Drop for StateDirectory<'_> {
    fn drop(&mut self) {
        // The run is over, and how it ended is said elsewhere.
        if self.removed.get() {
            return;
        }
        if let Err(error) = self.remove_if_unused() {
            warn!("{error}");
        }
    }
}

/// Removes what a run has left that was killed while it removed the state directory.
fn finish_uninstalling(root: &Root) -> Result<()> {
    leftovers(root)?
        .iter()
        .filter(|path| path.name() == LEAVING)
        .try_for_each(|path| finish_leaving(root, path))
}

/// The list of what was made goes last: as long as it is there, the rest can be found.
fn finish_leaving(root: &Root, leaving: &RootedPath) -> Result<()> {
    root.remove_tree(&leaving.join(RUNS))?;
    for path in made(root, leaving)?.iter().rev() {
        if !root.remove_empty_directory(path)? {
            break;
        }
    }
    root.remove_tree(leaving)
}

/// Reads the list of directories that were made for the state directory, which is at `place`.
fn made(root: &Root, place: &RootedPath) -> Result<Vec<RootedPath>> {
    let listed = root.read(&place.join(MADE))?.unwrap_or_default();
    let paths =
        String::from_utf8_lossy(&listed).lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>();
    // Only what leads to us: the file may have been written by somebody else.
    Ok(paths.into_iter().filter(|path| is_above(path) && *path != state_directory()).collect())
}

/// Finds directories that are about to become the state directory, or no longer are.
fn leftovers(root: &Root) -> Result<Vec<RootedPath>> {
    let (mut found, mut above) = (Vec::new(), state_directory().parent());
    while let Some(folder) = above {
        let is_ours = |name: &&str| *name == LEAVING || name.strip_prefix(COMING).is_some_and(is_process);
        let names = root.list(&folder)?;
        found.extend(
            names.iter().filter_map(|name| name.to_str().filter(is_ours)).map(|name| folder.join(name)),
        );
        above = folder.parent();
    }
    Ok(found)
}

/// Removes what runs have left that were killed while they made or removed the state directory. Who is just making
/// one holds a lock on it.
///
/// # Errors
/// Where that fails.
pub fn sweep_beside(root: &Root) -> Result<()> {
    finish_uninstalling(root)?;
    for path in leftovers(root)? {
        if root.lock(&path, Duration::ZERO, &Signals::none()).is_ok_and(|lock| lock.is_some()) {
            // Who has just made it and has no lock on it yet fills it, and will see that it is gone.
            root.remove_tree(&path).unwrap_or_default();
        }
    }
    Ok(())
}

/// Removes all that killed runs have left.
fn sweep(root: &Root) -> Result<()> {
    sweep_beside(root)?;
    for name in root.list(&runs_directory())? {
        // A run that has not begun, or one that goes; see `Journal::begin` and `forget`.
        if let Some(name) = name.to_str().filter(|name| name.starts_with('.')) {
            root.remove_tree(&runs_directory().join(name))?;
        }
    }
    Ok(())
}

fn is_process(suffix: &str) -> bool {
    suffix.strip_prefix('.').is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Tells whether the state directory is below `path`, or is it.
pub(super) fn is_above(path: &RootedPath) -> bool {
    let state = state_directory();
    state == *path || state.as_str().strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// Removes a run, all at once.
///
/// # Errors
/// Where that fails.
pub(super) fn forget(root: &Root, id: u32) -> Result<()> {
    let leaving = runs_directory().join(&format!(".{id:04}.leaving"));
    root.remove_tree(&leaving)?;
    root.move_directory(&run_directory(id), &leaving)?;
    root.remove_tree(&leaving)
}

fn beside(path: &RootedPath, name: &str) -> RootedPath {
    path.parent().unwrap_or_else(|| path.clone()).join(name)
}

/// Makes it where it is missing, however many others do so or remove it at the same time.
fn make(root: &Root, owner: Owner) -> Result<()> {
    let mut tries = 0;
    loop {
        match make_once(root, owner) {
            Err(error) if error.kind() == ErrorKind::Failed && tries < MAX_TRIES => {
                debug!("{error}: once more");
                sleep(RETRY_INTERVAL);
                tries += 1;
            }
            other => return other,
        }
    }
}

/// All of it appears in one step, with a list of the directories above it that had to be made: a run that is killed
/// here has made nothing, or everything and the list too.
fn make_once(root: &Root, owner: Owner) -> Result<()> {
    let state = state_directory();
    let mut missing = Vec::new();
    let mut above = Some(state.clone());
    while let Some(path) = above.filter(|path| !root.exists(path)) {
        above = path.parent();
        missing.push(path);
    }
    let Some(first) = missing.last().cloned() else { return Ok(()) };
    missing.reverse();
    let coming = beside(&first, &format!("{COMING}.{}", std::process::id()));
    let public = Metadata { mode: FileMode::PUBLIC_DIRECTORY, owner, attributes: None };
    let private = Metadata::private_directory(owner);
    let mode = |path: &RootedPath| if *path == state { &private } else { &public };
    let make_all = || {
        root.remove_tree(&coming)?;
        root.make_directory(&coming, mode(&first))?;
        let lock = root.lock(&coming, Duration::ZERO, &Signals::none()).ok().flatten();
        let swept = || Error::new(ErrorKind::Failed, format!("{} was taken away", root.display(&coming)));
        let _ours = lock.ok_or_else(swept)?;
        let mut at = coming.clone();
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
        root.move_directory(&coming, &first)
    };
    let moved = make_all();
    if !matches!(moved, Ok(true)) {
        root.remove_tree(&coming).unwrap_or_default();
    }
    match moved {
        Ok(true) => Ok(()),
        // Another run was quicker; the lock decides which of us goes on.
        _ if root.exists(&state) => Ok(()),
        Ok(false) => Err(Error::new(ErrorKind::Failed, format!("{} is in the way", root.display(&first)))),
        Err(error) => Err(error),
    }
}

/// One that was there already may be open to others, and backups hold what was private.
fn make_private(root: &Root, owner: Owner) -> Result<()> {
    let metadata = Metadata::private_directory(owner);
    for path in [state_directory(), runs_directory()] {
        match root.look_directory(&path)? {
            PathState::Absent => root.make_directory(&path, &metadata)?,
            PathState::Directory { mode, owner, attributes } if metadata.fits(mode, owner, &attributes) => {}
            _ => root.set_metadata(&path, &metadata, true)?,
        }
    }
    Ok(())
}
