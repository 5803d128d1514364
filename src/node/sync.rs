// SPDX-License-Identifier: Apache-2.0
//! Brings what was written to the disk.
//!
//! An error of the disk is an error of the run. A file system that has no such call, or refuses it for a directory, is gone on
//! with: nothing else can be done there, and the rest holds.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::fsync;

use super::errno::is_of_the_call;
use super::path::RootedPath;
use super::root::Root;
use super::weaker::WeakerPromise;
use crate::error::Result;

/// How often a sync is tried again that a signal has interrupted.
const MAX_TRIES: usize = 100;

impl Root {
    /// Syncs the file or directory at `path`, and its name in its parent, to the disk.
    ///
    /// # Errors
    /// If that fails.
    pub fn sync(&self, path: &RootedPath) -> Result<()> {
        let Some(parent) = self.parent_of(path)? else { return Ok(()) };
        let failed = |errno| self.failed("sync", path, errno);
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        match openat(&parent, &*path.file_name(), flags, Mode::empty()) {
            // Nothing, or a symlink: all of it is in the directory.
            Err(Errno::ENOENT | Errno::ELOOP) => {}
            other => self.sync_file(&other.map_err(failed)?, path).map_err(failed)?,
        }
        self.sync_directory(&parent, path).map_err(failed)
    }

    /// Syncs an open file.
    pub(super) fn sync_file(&self, file: &impl AsFd, path: &RootedPath) -> nix::Result<()> {
        self.sync_as(WeakerPromise::FileSync, file, path)
    }

    /// Syncs the directory that `path` is in, or is.
    pub(super) fn sync_directory(&self, directory: &OwnedFd, path: &RootedPath) -> nix::Result<()> {
        self.sync_as(WeakerPromise::DirectorySync, directory, path)
    }

    fn sync_as(&self, promise: WeakerPromise, open: &impl AsFd, path: &RootedPath) -> nix::Result<()> {
        let mut tries = 0;
        loop {
            match fsync(open.as_fd()) {
                // A signal has come; a file system that says so for ever is at fault.
                Err(Errno::EINTR) if tries < MAX_TRIES => tries += 1,
                Err(errno) if is_of_the_call(errno) => {
                    self.said.say(promise, path, errno, |path| self.display(path));
                    return Ok(());
                }
                other => return other,
            }
        }
    }
}
