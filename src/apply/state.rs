//! The state directory: where the history is, and what is locked.

use std::time::Duration;

use tracing::debug;

use crate::error::{Error, Kind, Result};
use crate::node::{FileMode, Lock, Metadata, Node, Owner, Root, RootedPath, Signals, host};

/// Where the journals and the backups are.
pub const STATE_DIRECTORY: &str = "/var/lib/k3s-harden";
/// Where it goes before it is removed, so that it is gone all at once.
const LEAVING: &str = ".k3s-harden.leaving";
/// Where it is made, so that it comes all at once.
const COMING: &str = ".k3s-harden.coming";
/// The file in it that lists the directories above it that were made for it.
const MADE: &str = "made";

/// Returns the state directory.
#[must_use]
pub fn state_directory() -> RootedPath {
    RootedPath::fixed(STATE_DIRECTORY)
}

pub(super) fn runs_directory() -> RootedPath {
    state_directory().join("runs")
}

pub(super) fn run_directory(id: u32) -> RootedPath {
    runs_directory().join(&format!("{id:04}"))
}

/// Returns the error for something in the state directory that is not as we write it.
pub(super) fn unreadable(root: &Root, path: &RootedPath, why: &str) -> Error {
    Error::new(Kind::Failed, format!("the journal {} cannot be read: {why}", root.display(path)))
        .hint("it is of another version of k3s-harden, or damaged; move it away to go on without it")
}

/// The state directory, locked.
#[derive(Debug)]
pub(super) struct StateDirectory {
    /// The directories above it that this run has made.
    pub(super) made: Vec<RootedPath>,
    /// Whether this run has made it.
    pub(super) is_new: bool,
    _lock: Lock,
}

impl StateDirectory {
    /// Makes it where it is missing, private in any case, and locks it.
    ///
    /// # Errors
    /// Where it cannot be made; [`Kind::Locked`] where another run holds it for longer than `timeout`.
    pub(super) fn open(root: &Root, owner: Owner, timeout: Duration, signals: &Signals) -> Result<Self> {
        loop {
            let made = make(root, owner)?;
            if let Some(lock) = root.lock(&state_directory(), timeout, signals)? {
                make_private(root, owner)?;
                let (is_new, made) = made.map_or_else(|| (false, Vec::new()), |made| (true, made));
                return Ok(Self { made, is_new, _lock: lock });
            }
            debug!("the state directory was removed while we waited for it");
        }
    }

    /// Removes it, and the directories that were made for it if nothing else is in them.
    ///
    /// # Errors
    /// Where that fails.
    pub(super) fn remove(self, root: &Root) -> Result<()> {
        let state = state_directory();
        let listed = root.read(&state.join(MADE))?.unwrap_or_default();
        let leaving = beside(&state, LEAVING);
        root.remove_tree(&leaving)?;
        if !root.move_directory(&state, &leaving)? {
            return Err(Error::new(Kind::Failed, format!("{} is in the way", root.display(&leaving))));
        }
        root.remove_tree(&leaving)?;
        let text = String::from_utf8_lossy(&listed).into_owned();
        for path in text.lines().rev().filter_map(|line| line.parse::<RootedPath>().ok()) {
            // Only what leads to us: the file may have been written by somebody else.
            if is_above(&path) && !root.remove_empty_directory(&path)? {
                break;
            }
        }
        Ok(())
    }
}

/// Removes what runs have left that were killed while they made or removed it. It has to be locked.
pub(super) fn sweep(root: &Root) -> Result<()> {
    sweep_these(root, |_| true)
}

/// The same where there is none, and so no lock: what a process that lives is about to make stays.
///
/// # Errors
/// Where something is left that cannot be removed.
pub fn sweep_abandoned(root: &Root) -> Result<()> {
    sweep_these(root, |process| !host::exists(&format!("/proc/{process}")))
}

fn sweep_these(root: &Root, is_dead: impl Fn(u32) -> bool) -> Result<()> {
    let mut above = state_directory().parent();
    while let Some(folder) = above {
        for name in root.list(&folder)? {
            let left = |name: &&str| {
                *name == LEAVING || name.strip_prefix(COMING).and_then(process).is_some_and(&is_dead)
            };
            if let Some(name) = name.to_str().filter(left) {
                root.remove_tree(&folder.join(name))?;
            }
        }
        above = folder.parent();
    }
    Ok(())
}

fn process(suffix: &str) -> Option<u32> {
    suffix.strip_prefix('.')?.parse().ok()
}

/// Tells whether the state directory is below `path`, or is it.
pub(super) fn is_above(path: &RootedPath) -> bool {
    let state = state_directory();
    state == *path || state.as_str().strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

fn beside(path: &RootedPath, name: &str) -> RootedPath {
    path.parent().unwrap_or_else(|| path.clone()).join(name)
}

/// Makes it, with a list of the directories above it that had to be made; none where it is there already.
///
/// All of it appears in one step: a run that is killed here has made nothing, or everything and the list too.
fn make(root: &Root, owner: Owner) -> Result<Option<Vec<RootedPath>>> {
    let state = state_directory();
    if root.exists(&state) {
        return Ok(None);
    }
    let mut missing = vec![state.clone()];
    while let Some(parent) = missing.last().and_then(RootedPath::parent).filter(|path| !root.exists(path)) {
        missing.push(parent);
    }
    missing.reverse();
    let first = missing[0].clone();
    let coming = beside(&first, &format!("{COMING}.{}", std::process::id()));
    let make_all = || {
        root.remove_tree(&coming)?;
        let mut at = coming.clone();
        for (depth, path) in missing.iter().enumerate() {
            if depth > 0 {
                at = at.join(path.name());
            }
            let private = *path == state;
            let mode = if private { FileMode::PRIVATE_DIRECTORY } else { FileMode::PUBLIC_DIRECTORY };
            root.make_directory(&at, &Metadata { mode, owner, attributes: None })?;
        }
        root.make_directory(&at.join("runs"), &Metadata::private_directory(owner))?;
        let above = &missing[..missing.len() - 1];
        if !above.is_empty() {
            let list: String = above.iter().map(|path| format!("{path}\n")).collect();
            root.create_private(&at.join(MADE), list.as_bytes(), owner)?;
        }
        root.move_directory(&coming, &first)
    };
    let moved = make_all();
    if matches!(moved, Ok(true)) {
        return Ok(Some(missing[..missing.len() - 1].to_vec()));
    }
    root.remove_tree(&coming).unwrap_or_default();
    // Another run was quicker; the lock decides which of us goes on.
    if root.exists(&state) { Ok(None) } else { moved.map(|_| None) }
}

/// One that was there already may be open to others, and backups hold what was private.
fn make_private(root: &Root, owner: Owner) -> Result<()> {
    let metadata = Metadata::private_directory(owner);
    for path in [state_directory(), runs_directory()] {
        match root.look_directory(&path)? {
            Node::Absent => root.make_directory(&path, &metadata)?,
            Node::Directory { mode, owner, attributes } if metadata.fits(mode, owner, &attributes) => {}
            _ => root.set_metadata(&path, &metadata, true)?,
        }
    }
    Ok(())
}
