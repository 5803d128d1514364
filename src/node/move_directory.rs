//! Moves a directory to a name that is free.

use nix::errno::Errno;
use nix::fcntl::{AtFlags, RenameFlags, renameat, renameat2};
use nix::sys::stat::fstatat;

use super::errno::is_of_the_call;
use super::path::RootedPath;
use super::root::Root;
use super::weaker::WeakerPromise;
use crate::error::Result;

/// The result of [`Root::move_directory`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryMove {
    /// It has the new name.
    Moved,
    /// Something has that name already; nothing was moved.
    NameTaken,
    /// This directory cannot be moved at all: it is a mount point, or lies in a lower layer of an overlay file system.
    Immovable,
}

impl Root {
    /// Moves the directory `from` to `to`, where nothing may be.
    ///
    /// Where the file system cannot make that a condition, it is looked at before. A directory that appears in between is not
    /// replaced unless it is empty: no rename does that. A run makes its directories complete before they get their names, so
    /// what another run puts there is never empty.
    ///
    /// # Errors
    /// If it cannot be done for another reason.
    pub fn move_directory(&self, from: &RootedPath, to: &RootedPath) -> Result<DirectoryMove> {
        let (old, new) = (self.existing_parent(from)?, self.existing_parent(to)?);
        let at_once =
            || renameat2(&old, &*from.file_name(), &new, &*to.file_name(), RenameFlags::RENAME_NOREPLACE);
        let in_two_steps = || match fstatat(&new, &*to.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Errno::EEXIST),
            Err(Errno::ENOENT) => renameat(&old, &*from.file_name(), &new, &*to.file_name()),
            Err(errno) => Err(errno),
        };
        let moved = match at_once() {
            Err(refusal) if is_of_the_call(refusal) => {
                let moved = in_two_steps();
                if moved.is_ok() {
                    self.said.say(WeakerPromise::FreeName, to, refusal, |path| self.display(path));
                }
                moved
            }
            other => other,
        };
        let is_taken =
            || !matches!(fstatat(&new, to.name(), AtFlags::AT_SYMLINK_NOFOLLOW), Err(Errno::ENOENT));
        match moved {
            // Some file systems say so where nothing is: that is an error of theirs.
            Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) if is_taken() => {
                Ok(DirectoryMove::NameTaken)
            }
            Err(Errno::EXDEV | Errno::EBUSY) => Ok(DirectoryMove::Immovable),
            other => other
                .and_then(|()| self.sync_directory(&new, to))
                .and_then(|()| self.sync_directory(&old, from))
                .map(|()| DirectoryMove::Moved)
                .map_err(|errno| self.failed("move", from, errno)),
        }
    }
}
