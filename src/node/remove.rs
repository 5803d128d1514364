// SPDX-License-Identifier: Apache-2.0
//! Removes files, symlinks, empty directories and whole trees.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::entry::names_in;
use super::errno::errno_of;
use super::expected::Expected;
use super::path::RootedPath;
use super::root::Root;
use crate::error::Result;

impl Root {
    /// Removes the file or symlink at `path`.
    ///
    /// # Errors
    /// If it cannot be done.
    pub fn remove_file(&self, path: &RootedPath) -> Result<()> {
        self.remove_file_if(path, Expected::Anything)
    }

    /// The same where another program may have saved something there since it was looked at.
    ///
    /// # Errors
    /// If it cannot be done; [`crate::error::ErrorKind::ChangedMeanwhile`] if something else than `expected` is there.
    pub fn remove_file_if(&self, path: &RootedPath, expected: Expected<'_>) -> Result<()> {
        let parent = self.existing_parent(path)?;
        let failed = |errno| self.failed("remove", path, errno);
        match expected {
            Expected::Anything => {
                unlinkat(&parent, &*path.file_name(), UnlinkatFlags::NoRemoveDir).map_err(failed)?;
            }
            Expected::Known(_) => self.take_away(&parent, path, expected)?,
        }
        self.sync_directory(&parent, path).map_err(failed)
    }

    /// Removes the directory at `path` if it is empty, and tells whether it did: not where it leads elsewhere (a
    /// symlink, a mount point).
    ///
    /// # Errors
    /// If it fails for another reason.
    pub fn remove_empty_directory(&self, path: &RootedPath) -> Result<bool> {
        let Some(parent) = self.parent_of(path)? else { return Ok(false) };
        match unlinkat(&parent, &*path.file_name(), UnlinkatFlags::RemoveDir) {
            Ok(()) => self
                .sync_directory(&parent, path)
                .map(|()| true)
                .map_err(|errno| self.failed("remove", path, errno)),
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOENT | Errno::ENOTDIR | Errno::EBUSY) => {
                Ok(false)
            }
            Err(errno) => Err(self.failed("remove", path, errno)),
        }
    }

    /// Removes the directory at `path` with everything in it, whatever that is; symlinks are not followed.
    ///
    /// # Errors
    /// If something cannot be removed; what was removed before stays so.
    pub fn remove_tree(&self, path: &RootedPath) -> Result<()> {
        let Some(parent) = self.parent_of(path)? else { return Ok(()) };
        let removed =
            remove_tree(&parent, &path.file_name()).and_then(|()| self.sync_directory(&parent, path));
        removed.map_err(|errno| self.failed("remove", path, errno))
    }
}

fn remove_tree(parent: &OwnedFd, name: &OsStr) -> nix::Result<()> {
    match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
        // Linux says the first of a directory, POSIX the second.
        Err(Errno::EISDIR | Errno::EPERM) => {}
        // Somebody else removes it too.
        Err(Errno::ENOENT) => return Ok(()),
        other => return other,
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let dir = match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(()),
        other => other?,
    };
    for name in names_in(dir.try_clone().map_err(|error| errno_of(&error))?)? {
        remove_tree(&dir, &name)?;
    }
    match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}
