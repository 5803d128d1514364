// SPDX-License-Identifier: Apache-2.0
//! Looks at what is there without reading it: kind, mode and owner of a path, and the names in a directory.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, SFlag, fstat};

use super::name::text_of;
use super::path::RootedPath;
use super::resolve::DIRECTORY;
use super::root::{Root, owner_of};
use crate::error::Result;
use crate::mode::{FileMode, Owner};

/// What a path leads to, with symlinks followed inside the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// Nothing: the path, or the target of a symlink, does not exist.
    Absent,
    /// Nothing: a part on the way is no directory.
    BelowFile,
    /// Nothing: symlinks lead in a circle.
    Loop,
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A device, FIFO or socket.
    Other,
}

/// What is at a path itself, as `lstat` says it: a symlink at the end of the path is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathEntry {
    /// What it is.
    pub kind: EntryKind,
    /// Its mode; that of a symlink is 777.
    pub mode: FileMode,
    /// Its owner.
    pub owner: Owner,
    /// When it was last modified, in seconds since 1970.
    pub modified: i64,
}

/// The names in a directory, sorted by bytes, each with what it is; none if it has gone since, or that was not looked at.
pub type Entries = Vec<(String, Option<EntryKind>)>;

/// The kind of an entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symlink.
    Symlink,
    /// A device, FIFO or socket.
    Other,
}

impl Root {
    /// Returns mode and owner of what is at `path`, following symlinks inside the root, without opening it; none if
    /// there is nothing.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn permissions(&self, path: &RootedPath) -> Result<Option<(FileMode, Owner)>> {
        let fd = match self.resolve(path, OFlag::O_PATH) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            other => other.map_err(|errno| self.failed("look at", path, errno))?,
        };
        let stat = fstat(&fd).map_err(|errno| self.failed("look at", path, errno))?;
        Ok(Some((FileMode::from_stat(stat.st_mode), owner_of(&stat))))
    }

    /// Returns what is at `path` itself, without opening it: a symlink there is not followed. None if there is nothing, or
    /// nobody can get there.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn entry(&self, path: &RootedPath) -> Result<Option<PathEntry>> {
        let fd = match self.resolve(path, OFlag::O_PATH | OFlag::O_NOFOLLOW) {
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(None),
            other => other.map_err(|errno| self.failed("look at", path, errno))?,
        };
        let stat = fstat(&fd).map_err(|errno| self.failed("look at", path, errno))?;
        let kind = kind_of(&stat);
        Ok(Some(PathEntry {
            kind,
            mode: FileMode::from_stat(stat.st_mode),
            owner: owner_of(&stat),
            modified: stat.st_mtime,
        }))
    }

    /// Returns what `path` leads to, without opening it.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn kind(&self, path: &RootedPath) -> Result<PathKind> {
        let fd = match self.resolve(path, OFlag::O_PATH) {
            Err(Errno::ENOENT) => return Ok(PathKind::Absent),
            Err(Errno::ENOTDIR) => return Ok(PathKind::BelowFile),
            Err(Errno::ELOOP) => return Ok(PathKind::Loop),
            other => other.map_err(|errno| self.failed("look at", path, errno))?,
        };
        let stat = fstat(&fd).map_err(|errno| self.failed("look at", path, errno))?;
        Ok(match kind_of(&stat) {
            EntryKind::File => PathKind::File,
            EntryKind::Directory => PathKind::Directory,
            EntryKind::Symlink | EntryKind::Other => PathKind::Other,
        })
    }

    /// Tells whether there is anything at `path`, following symlinks inside the root.
    #[must_use]
    pub fn exists(&self, path: &RootedPath) -> bool {
        self.resolve(path, OFlag::O_PATH).is_ok()
    }

    /// Returns the kernel's words for why nobody can reach `path`: something on the way is no directory, or symlinks lead
    /// in a circle. None if it can be reached, or nothing is there.
    #[must_use]
    pub fn unreachable(&self, path: &RootedPath) -> Option<&'static str> {
        match self.resolve(path, OFlag::O_PATH) {
            Err(Errno::ENOTDIR) => Some("not a directory"),
            Err(Errno::ELOOP) => Some("too many levels of symbolic links"),
            _ => None,
        }
    }

    /// Tells whether there is a directory at `path`, not counting a symlink to one.
    #[must_use]
    pub fn is_directory(&self, path: &RootedPath) -> bool {
        self.resolve(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).is_ok()
    }

    /// Returns the names in the directory at `path`, sorted by bytes, each as text that stands for its bytes
    /// ([`RootedPath::join`]); none if there is no directory.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn names(&self, path: &RootedPath) -> Result<Vec<String>> {
        Ok(self.entries(path)?.into_iter().map(|(name, _)| name).collect())
    }

    /// Returns the same, each with what [`Root::entry`] says it is. Most file systems say it with the names, so that the
    /// entries are not opened.
    ///
    /// # Errors
    /// If the directory, or an entry, cannot be read.
    pub fn names_and_kinds(&self, path: &RootedPath) -> Result<Entries> {
        self.with_kinds(path, self.entries(path)?)
    }

    /// Returns the same for the directory at `path` itself; none if a symlink or something else is there.
    ///
    /// # Errors
    /// As for [`Root::names_and_kinds`].
    pub fn names_and_kinds_itself(&self, path: &RootedPath) -> Result<Option<Entries>> {
        match self.resolve(path, DIRECTORY | OFlag::O_NOFOLLOW) {
            Err(Errno::ENOENT) => Ok(Some(Vec::new())),
            Err(Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
            other => self.with_kinds(path, self.sorted(path, other)?).map(Some),
        }
    }

    fn entries(&self, path: &RootedPath) -> Result<Entries> {
        match self.resolve(path, DIRECTORY) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(Vec::new()),
            other => self.sorted(path, other),
        }
    }

    fn sorted(&self, path: &RootedPath, opened: nix::Result<OwnedFd>) -> Result<Entries> {
        let entries = opened.and_then(entries_in).map_err(|errno| self.failed("list", path, errno));
        let mut entries = entries?;
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(entries.into_iter().map(|(name, kind)| (text_of(name.as_bytes()), kind)).collect())
    }

    /// Looks at the entries of a directory of which it was not said with their names what they are.
    fn with_kinds(&self, path: &RootedPath, mut entries: Entries) -> Result<Entries> {
        for (name, kind) in entries.iter_mut().filter(|(_, kind)| kind.is_none()) {
            *kind = self.entry(&path.join(name))?.map(|entry| entry.kind);
        }
        Ok(entries)
    }
}

fn kind_of(stat: &FileStat) -> EntryKind {
    match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG => EntryKind::File,
        SFlag::S_IFDIR => EntryKind::Directory,
        SFlag::S_IFLNK => EntryKind::Symlink,
        _ => EntryKind::Other,
    }
}

/// Returns the names in a directory, in the order in which the file system has them.
pub(super) fn names_in(dir: OwnedFd) -> nix::Result<Vec<OsString>> {
    Ok(entries_in(dir)?.into_iter().map(|(name, _)| name).collect())
}

/// Returns the same with what each is, where the file system says it.
fn entries_in(dir: OwnedFd) -> nix::Result<Vec<(OsString, Option<EntryKind>)>> {
    let mut entries = Vec::new();
    for entry in Dir::from_fd(dir)?.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes().to_vec();
        let kind = entry.file_type().map(|file_type| match file_type {
            Type::File => EntryKind::File,
            Type::Directory => EntryKind::Directory,
            Type::Symlink => EntryKind::Symlink,
            _ => EntryKind::Other,
        });
        if name != b"." && name != b".." {
            entries.push((OsString::from_vec(name), kind));
        }
    }
    Ok(entries)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look at files by hand")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn an_entry_is_the_link_itself() {
        let folder = tempfile::tempdir().unwrap();
        let (base, root) = (folder.path(), Root::open(folder.path()).unwrap());
        fs::create_dir(base.join("etc")).unwrap();
        fs::create_dir(base.join("etc/private")).unwrap();
        fs::write(base.join("etc/private/file"), "").unwrap();
        symlink("private", base.join("etc/link")).unwrap();
        symlink("nowhere", base.join("etc/dangling")).unwrap();
        symlink("circle", base.join("etc/circle")).unwrap();
        let kind = |path: &'static str| root.entry(&RootedPath::fixed(path)).unwrap().map(|entry| entry.kind);
        assert_eq!(kind("/etc/private"), Some(EntryKind::Directory));
        assert_eq!(kind("/etc/link/file"), Some(EntryKind::File), "a link on the way is followed");
        for link in ["/etc/link", "/etc/dangling", "/etc/circle"] {
            assert_eq!(kind(link), Some(EntryKind::Symlink), "{link}");
        }
        assert_eq!(["/etc/none", "/etc/circle/file", "/etc/private/file/x"].map(kind), [None; 3]);
        let link = root.entry(&RootedPath::fixed("/etc/link")).unwrap().unwrap();
        assert_eq!(link.mode.as_stat(), "777");
    }
}
