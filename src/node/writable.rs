// SPDX-License-Identifier: Apache-2.0
//! Tells, before anything is changed, whether something could be written.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::{AccessFlags, faccessat};
use rustix::fs::{AtFlags as StatxAt, StatxAttributes, StatxFlags, statx};

use super::mount;
use super::path::RootedPath;
use super::root::Root;
use crate::error::{Error, ErrorKind, Result};

impl Root {
    /// Returns how many bytes may still be written where `path` is or would be; none for the root itself.
    ///
    /// # Errors
    /// If the nearest directory above it cannot be looked at.
    pub fn free_bytes(&self, path: &RootedPath) -> Result<Option<u64>> {
        let Some((dir, directory)) = self.nearest_above(path)? else { return Ok(None) };
        let system = fstatvfs(&dir).map_err(|errno| self.failed("look at", &directory, errno))?;
        Ok(Some(system.blocks_available().saturating_mul(system.fragment_size())))
    }

    /// Opens the nearest directory above `path` that exists; none for the root itself.
    fn nearest_above(&self, path: &RootedPath) -> Result<Option<(OwnedFd, RootedPath)>> {
        let mut above = path.clone();
        loop {
            match (self.parent_of(&above)?, above.parent()) {
                (Some(dir), parent) => return Ok(Some((dir, parent.unwrap_or(above)))),
                (None, Some(parent)) => above = parent,
                (None, None) => return Ok(None),
            }
        }
    }

    /// Tells, before anything is changed, whether `path` could be written: the nearest directory above it that
    /// exists is on a file system that is not read-only, and the caller may write in it; neither it nor what is at `path`
    /// is immutable or append-only. In an append-only directory a file can be made, but neither get its name nor be removed.
    ///
    /// # Errors
    /// [`ErrorKind::CannotWrite`] or [`ErrorKind::NotPermitted`] with the directory.
    pub fn check_writable(&self, path: &RootedPath) -> Result<()> {
        let Some((dir, directory)) = self.nearest_above(path)? else { return Ok(()) };
        let system = fstatvfs(&dir).map_err(|errno| self.failed("look at", &directory, errno))?;
        let read_only = || {
            let directory = self.display(&directory);
            let point = mount::point_of(&dir).unwrap_or_else(|| directory.clone());
            let message = format!("{directory} is on a read-only file system, mounted at {point}");
            Error::new(ErrorKind::CannotWrite, message)
                .hint(format!("remount it with write access first: mount -o remount,rw {point}"))
        };
        if system.flags().contains(FsFlags::ST_RDONLY) {
            return Err(read_only());
        }
        refuse_fixed(&dir, OsStr::new(""), &self.display(&directory))?;
        if path.parent().as_ref() == Some(&directory) {
            refuse_fixed(&dir, &path.file_name(), &self.display(path))?;
        }
        match faccessat(&dir, ".", AccessFlags::W_OK, AtFlags::AT_EACCESS) {
            Ok(()) => Ok(()),
            Err(Errno::EROFS) => Err(read_only()),
            Err(errno) => Err(self.failed("write in", &directory, errno)),
        }
    }
}

/// Refuses a file or directory that its attributes keep from being changed (chattr(1)), as far as the file system tells: the entry
/// `name` of an open directory, or the directory itself.
fn refuse_fixed(dir: &OwnedFd, name: &OsStr, shown: &str) -> Result<()> {
    let flags = StatxAt::SYMLINK_NOFOLLOW | StatxAt::EMPTY_PATH;
    let Ok(found) = statx(dir, name, flags, StatxFlags::TYPE) else { return Ok(()) };
    for (attribute, says, letter) in
        [(StatxAttributes::IMMUTABLE, "immutable", 'i'), (StatxAttributes::APPEND, "append-only", 'a')]
    {
        if found.stx_attributes.contains(attribute) {
            return Err(Error::new(ErrorKind::NotPermitted, format!("cannot write {shown}: it is {says}"))
                .hint(format!("take the attribute away first: chattr -{letter} {shown}")));
        }
    }
    Ok(())
}
