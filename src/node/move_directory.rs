// SPDX-License-Identifier: Apache-2.0
//! Moves a directory to a name that is free.

use nix::errno::Errno;

use super::free_name::NameIn;
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
        let (old_name, new_name) = (from.file_name(), to.file_name());
        let target = NameIn { dir: &new, name: &new_name };
        match (NameIn { dir: &old, name: &old_name }).rename_to_free(target) {
            // Some file systems say so where nothing is: that is an error of theirs.
            Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) if !target.is_free() => {
                Ok(DirectoryMove::NameTaken)
            }
            Err(Errno::EXDEV | Errno::EBUSY) => Ok(DirectoryMove::Immovable),
            other => other
                .map(|refusal| {
                    if let Some(refusal) = refusal {
                        self.said.say(WeakerPromise::FreeName, to, refusal, |path| self.display(path));
                    }
                })
                .and_then(|()| self.sync_directory(&new, to))
                .and_then(|()| self.sync_directory(&old, from))
                .map(|()| DirectoryMove::Moved)
                .map_err(|errno| self.failed("move", from, errno)),
        }
    }
}
