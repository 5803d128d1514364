// SPDX-License-Identifier: Apache-2.0
//! Puts a file or symlink at a path in one step: a reader sees what was there, or what comes.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, fchownat};
use tracing::warn;

use super::attributes;
use super::errno::errno_of;
use super::expected::Expected;
use super::metadata::Metadata;
use super::path::RootedPath;
use super::root::Root;
use super::temporary::TemporaryFile;
use crate::error::Result;
use crate::mode::{FileMode, Owner};

/// What a file needs of its mode and owner to be put at its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptMetadata {
    /// All of it.
    Exact,
    /// What its file system keeps: the bytes count.
    AsFarAsPossible,
}

impl Root {
    /// Puts a file with `bytes` at `path` in one step: a reader sees the old file or the new one.
    ///
    /// The bytes go to a hidden file beside it, which has its mode and owner before there is content in it,
    /// then to the disk, and only then does the name change; the directory is synced last, because a rename
    /// that is not on the disk is undone by a power cut.
    ///
    /// # Errors
    /// If something fails; the old file is untouched then.
    pub fn replace(&self, path: &RootedPath, bytes: &[u8], metadata: &Metadata) -> Result<()> {
        self.replace_if(path, bytes, metadata, Expected::Anything, KeptMetadata::Exact)
    }

    /// The same where another program may have saved something at `path` since it was looked at, or where the file system
    /// may keep no modes or owners.
    ///
    /// # Errors
    /// If something fails; the old file is untouched then. [`crate::error::ErrorKind::ChangedMeanwhile`] if something else than
    /// `expected` is there when the name changes.
    pub fn replace_if(
        &self,
        path: &RootedPath,
        bytes: &[u8],
        metadata: &Metadata,
        expected: Expected<'_>,
        kept: KeptMetadata,
    ) -> Result<()> {
        let parent = self.existing_parent(path)?;
        let failed = |errno| self.failed("write", path, errno);
        // A mode that cannot be set may be kept from the start; nothing is in the file yet.
        let first_mode = match kept {
            KeptMetadata::Exact => FileMode::PRIVATE_FILE,
            KeptMetadata::AsFarAsPossible => metadata.mode,
        };
        let mut temporary = TemporaryFile::create(&parent, path, first_mode).map_err(failed)?;
        let set = |file: &File| match (self.set_metadata_of(file, path, metadata), kept) {
            (Err(_), KeptMetadata::AsFarAsPossible) => Ok(()),
            (result, _) => result,
        };
        set(&temporary.file)?;
        if metadata.attributes.is_none() {
            self.keep_labels(&temporary.file, &parent, path)?;
        }
        let failed_io = |error: io::Error| failed(errno_of(&error));
        temporary.file.write_all(bytes).map_err(failed_io)?;
        if metadata.attributes.is_some() {
            // Writing takes capabilities and setuid away.
            set(&temporary.file)?;
        }
        self.sync_file(&temporary.file, path).map_err(failed)?;
        if let Expected::Known(_) = expected {
            self.check_written(&parent, path, &temporary.name, bytes)?;
        }
        temporary.place(self, path, expected)?;
        self.sync_directory(&parent, path).map_err(failed)
    }

    /// Puts a symlink at `path` in one step, in the place of what is there.
    ///
    /// # Errors
    /// If it cannot be done; [`crate::error::ErrorKind::ChangedMeanwhile`] as for [`Root::replace_if`].
    pub fn replace_by_symlink(
        &self,
        path: &RootedPath,
        target: &OsStr,
        owner: Owner,
        expected: Expected<'_>,
    ) -> Result<()> {
        let parent = self.existing_parent(path)?;
        let failed = |errno| self.failed("make the symlink", path, errno);
        let mut temporary = TemporaryFile::symlink(&parent, path, target).map_err(failed)?;
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        fchownat(&parent, temporary.name.as_str(), Some(uid), Some(gid), flags).map_err(failed)?;
        temporary.place(self, path, expected)?;
        self.sync_directory(&parent, path).map_err(failed)
    }

    /// Gives a file that is about to be at `path` the labels of the one that is there.
    fn keep_labels(&self, file: &File, parent: &OwnedFd, path: &RootedPath) -> Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let old = match openat(parent, &*path.file_name(), flags, Mode::empty()) {
            // Nothing is there, or a symlink, whose label says nothing about a file.
            Err(Errno::ENOENT | Errno::ELOOP) => return Ok(()),
            other => File::from(other.map_err(|errno| self.failed("read", path, errno))?),
        };
        let refused = attributes::read(&old)
            .and_then(|labels| attributes::keep_labels(file, &labels))
            .map_err(|error| self.failed("keep the label of", path, errno_of(&error)))?;
        for reason in refused {
            warn!("the label of {} could not be kept: {reason}", self.display(path));
        }
        Ok(())
    }
}
