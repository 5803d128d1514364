// SPDX-License-Identifier: Apache-2.0
//! Makes directories and private files, and sets mode, owner and attributes.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchown};

use super::attributes;
use super::errno::errno_of;
use super::expected::Expected;
use super::metadata::Metadata;
use super::mount;
use super::path::RootedPath;
use super::root::{Root, owner_of};
use crate::error::{Error, ErrorKind, Result};
use crate::mode::{FileMode, Owner};

impl Root {
    /// Makes the directory `path` with exactly `metadata`, whatever the umask. Its parent must exist.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make_directory(&self, path: &RootedPath, metadata: &Metadata) -> Result<()> {
        self.make_directory_if(path, metadata, Expected::Anything)
    }

    /// The same where something may have come to `path` since it was looked at.
    ///
    /// # Errors
    /// If it cannot be made; [`crate::error::ErrorKind::ChangedMeanwhile`] if something is there, and nothing is [`Expected`].
    pub fn make_directory_if(
        &self,
        path: &RootedPath,
        metadata: &Metadata,
        expected: Expected<'_>,
    ) -> Result<()> {
        let parent = self.existing_parent(path)?;
        let failed = |errno| self.failed("make the directory", path, errno);
        match (mkdirat(&parent, &*path.file_name(), metadata.mode.to_nix()), expected) {
            (Err(Errno::EEXIST), Expected::Known(_)) => return Err(self.changed_meanwhile(path)),
            (made, _) => made.map_err(failed)?,
        }
        let set = || {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let dir = File::from(openat(&parent, &*path.file_name(), flags, Mode::empty()).map_err(failed)?);
            self.set_metadata_of(&dir, path, metadata)?;
            self.sync_directory(&dir.into(), path)
                .and_then(|()| self.sync_directory(&parent, path))
                .map_err(failed)
        };
        set()
    }

    /// Makes the private file `path`, where nothing may be. The directory is not synced: that is the business of
    /// whoever fills it.
    ///
    /// # Errors
    /// If it cannot be done.
    pub fn create_private(&self, path: &RootedPath, bytes: &[u8], owner: Owner) -> Result<()> {
        let parent = self.existing_parent(path)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let failed = |errno| self.failed("write", path, errno);
        let created = openat(&parent, &*path.file_name(), flags, FileMode::PRIVATE_FILE.to_nix());
        let mut file = created.map(File::from).map_err(failed)?;
        self.set_metadata_of(&file, path, &Metadata::private_file(owner))?;
        file.write_all(bytes).map_err(|error| failed(errno_of(&error)))?;
        self.sync_file(&file, path).map_err(failed)
    }

    /// Gives the file or directory at `path` its mode, owner and attributes without touching its content.
    ///
    /// # Errors
    /// If it cannot be done.
    pub fn set_metadata(&self, path: &RootedPath, metadata: &Metadata, directory: bool) -> Result<()> {
        self.set_metadata_if(path, metadata, directory, Expected::Anything)
    }

    /// The same where another program may have changed it since it was looked at.
    ///
    /// # Errors
    /// If it cannot be done; [`crate::error::ErrorKind::ChangedMeanwhile`] if something else than `expected` is there.
    pub fn set_metadata_if(
        &self,
        path: &RootedPath,
        metadata: &Metadata,
        directory: bool,
        expected: Expected<'_>,
    ) -> Result<()> {
        let file = if directory {
            if let Expected::Known(_) = expected
                && !expected.includes(&self.look_directory(path)?)
            {
                return Err(self.changed_meanwhile(path));
            }
            File::from(self.directory(path)?)
        } else {
            let parent = self.existing_parent(path)?;
            if let Expected::Known(_) = expected {
                self.check_expected(&parent, path, expected)?;
            }
            self.open_file(&parent, path)?.0
        };
        self.set_metadata_of(&file, path, metadata)?;
        let synced = match directory {
            true => self.sync_directory(&file.into(), path),
            false => self.sync_file(&file, path),
        };
        synced.map_err(|errno| self.failed("sync", path, errno))
    }

    /// Sets mode and owner of the file or directory at `path` itself, if it has those of `before`. Its content is not read, and
    /// a symlink is not followed: not at its end, and nowhere on the way.
    ///
    /// # Errors
    /// If it cannot be done; [`crate::error::ErrorKind::ChangedMeanwhile`] if something else than `before` is there.
    pub fn set_permissions_if(
        &self,
        path: &RootedPath,
        (mode, owner): (FileMode, Owner),
        before: (FileMode, Owner),
    ) -> Result<()> {
        let changed = || self.changed_meanwhile(path);
        let mut above = path.parent();
        while let Some(directory) = above.filter(|directory| directory.as_str() != "/") {
            if !self.is_directory(&directory) {
                return Err(changed());
            }
            above = directory.parent();
        }
        let parent = self.existing_parent(path)?;
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = openat(&parent, &*path.file_name(), flags, Mode::empty());
        let file = match opened {
            Ok(fd) => File::from(fd),
            Err(Errno::ELOOP | Errno::ENOENT) => return Err(changed()),
            Err(errno) => return Err(self.failed("open", path, errno)),
        };
        let stat = fstat(&file).map_err(|errno| self.failed("look at", path, errno))?;
        let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
        if (FileMode::from_stat(stat.st_mode), owner_of(&stat)) != before
            || !matches!(kind, SFlag::S_IFREG | SFlag::S_IFDIR)
        {
            return Err(changed());
        }
        self.set_metadata_of(&file, path, &Metadata { mode, owner, attributes: None })?;
        self.sync_file(&file, path).map_err(|errno| self.failed("sync", path, errno))
    }

    /// Owner first: chown clears setuid bits, and the mode must be set last. Lists of access are attributes, and
    /// what the mode says of the group is in them, so attributes come before it too.
    pub(super) fn set_metadata_of(&self, file: &File, path: &RootedPath, metadata: &Metadata) -> Result<()> {
        let failed = |errno| self.failed("set mode and owner of", path, errno);
        let Metadata { mode, owner, attributes } = metadata;
        let stat = fstat(file).map_err(failed)?;
        if (stat.st_uid, stat.st_gid) != (owner.uid, owner.gid) {
            fchown(file, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid))).map_err(failed)?;
        }
        if let Some(attributes) = attributes {
            attributes::set(file, attributes).map_err(|(name, error)| {
                self.failed(&format!("restore the attribute {name} of"), path, errno_of(&error))
            })?;
        }
        fchmod(file, mode.to_nix()).map_err(failed)?;
        let stat = fstat(file).map_err(failed)?;
        let kept = (FileMode::from_stat(stat.st_mode), owner_of(&stat));
        if kept == (*mode, *owner) { Ok(()) } else { Err(self.not_kept(file, path, kept)) }
    }

    /// Returns the error for a file system that takes a mode or owner and ignores it: one whose server maps them, for example.
    fn not_kept(&self, file: &File, path: &RootedPath, (mode, owner): (FileMode, Owner)) -> Error {
        let path = self.display(path);
        let place =
            mount::point_of(file).map_or_else(|| format!("of {path}"), |place| format!("under {place}"));
        let message = format!(
            "cannot set mode and owner of {path}: the file system {place} keeps no modes or owners, and gives it mode {mode} owner {owner}"
        );
        Error::new(ErrorKind::Failed, message)
            .hint("use a file system that keeps modes and owners, or mount it with options that do so")
    }

    pub(super) fn existing_parent(&self, path: &RootedPath) -> Result<OwnedFd> {
        self.parent_of(path)?.ok_or_else(|| self.failed("write", path, Errno::ENOENT))
    }
}
