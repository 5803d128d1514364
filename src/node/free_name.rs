// SPDX-License-Identifier: Apache-2.0
//! Gives a file or directory a name that nothing has.
//!
//! Where the file system cannot make that a condition of the rename, it is looked at before.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, RenameFlags, renameat, renameat2};
use nix::sys::stat::fstatat;

use super::errno::is_of_the_call;

/// A name in an open directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct NameIn<'a> {
    pub(super) dir: &'a OwnedFd,
    pub(super) name: &'a OsStr,
}

impl NameIn<'_> {
    /// Tells whether nothing has the name.
    pub(super) fn is_free(self) -> bool {
        self.look() == Err(Errno::ENOENT)
    }

    fn look(self) -> nix::Result<()> {
        fstatat(self.dir, self.name, AtFlags::AT_SYMLINK_NOFOLLOW).map(drop)
    }

    /// Gives what has this name another one, which nothing has: not even what comes at this moment. Where the file system
    /// refuses that condition, its answer is returned, and the name was free a moment before.
    ///
    /// # Errors
    /// EEXIST if something has it.
    pub(super) fn rename_to_free(self, to: NameIn<'_>) -> nix::Result<Option<Errno>> {
        match renameat2(self.dir, self.name, to.dir, to.name, RenameFlags::RENAME_NOREPLACE) {
            Err(refusal) if is_of_the_call(refusal) => self.rename_if_free(to).map(|()| Some(refusal)),
            other => other.map(|()| None),
        }
    }

    /// Gives what has this name another one, which nothing has by now.
    ///
    /// # Errors
    /// EEXIST if something has it.
    pub(super) fn rename_if_free(self, to: NameIn<'_>) -> nix::Result<()> {
        match to.look() {
            Ok(()) => Err(Errno::EEXIST),
            Err(Errno::ENOENT) => renameat(self.dir, self.name, to.dir, to.name),
            Err(errno) => Err(errno),
        }
    }
}
