//! The node's root directory, and everything that opens or looks at files below it.
//!
//! Every path is resolved by the kernel with the root directory as `/` (openat2, RESOLVE_IN_ROOT), so a symlink
//! that somebody planted below it (absolute, or with `..`) leads back inside and never out. Where openat2 is
//! missing (ENOSYS) or forbidden (EPERM, as container runtimes answer), paths are walked part by part and
//! symlinks refused. The last part of a path is never followed when we write.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use super::mode::{FileMode, Owner};
use super::path::RootedPath;
use crate::error::{Error, Kind, Result};

/// Largest file that is read as a whole, in bytes. Files of ours are a few kilobytes.
pub const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// Mode.
        mode: FileMode,
        /// Owner and group.
        owner: Owner,
        /// Content.
        bytes: Vec<u8>,
    },
    /// A directory.
    Directory {
        /// Mode.
        mode: FileMode,
        /// Owner and group.
        owner: Owner,
    },
    /// A symlink.
    Symlink {
        /// Where it points, as written.
        target: OsString,
    },
    /// A device, FIFO or socket.
    Other,
}

/// The root directory of a node: `/`, or the directory of an image.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
    path: PathBuf,
    live: bool,
    openat2_works: Cell<bool>,
}

impl Root {
    /// Opens `path` as a root.
    ///
    /// # Errors
    /// [`Kind::Usage`] where it is no directory, [`Kind::NotPermitted`] where it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = open(path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => {
                Error::new(Kind::Usage, format!("--root {}: {}", path.display(), errno.desc()))
                    .hint("name the directory of the node's file system, or make it first")
            }
            _ => Error::system("open the root", path.display(), errno),
        })?;
        let live = match (fstat(&dir), nix::sys::stat::stat("/")) {
            (Ok(this), Ok(slash)) => (this.st_dev, this.st_ino) == (slash.st_dev, slash.st_ino),
            _ => false,
        };
        Ok(Self { dir, path: path.to_owned(), live, openat2_works: Cell::new(true) })
    }

    /// Tells whether this is the root of the running system.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Returns the path under which the user named the root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns `path` as a path of the machine that the tool runs on, for messages only.
    #[must_use]
    pub fn display(&self, path: &RootedPath) -> String {
        if self.live { path.to_string() } else { self.path.join(path.relative()).display().to_string() }
    }

    /// Returns what stands at `path`, without following a symlink there.
    ///
    /// # Errors
    /// Where something cannot be read, or a part on the way is no directory.
    pub fn look(&self, path: &RootedPath) -> Result<Node> {
        let Some(parent) = self.parent_of(path)? else { return Ok(Node::Absent) };
        let stat = match fstatat(&parent, path.name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok(Node::Absent),
            other => other.map_err(|errno| self.failed("look at", path, errno))?,
        };
        match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFDIR => {
                Ok(Node::Directory { mode: FileMode::from_stat(stat.st_mode), owner: owner_of(&stat) })
            }
            SFlag::S_IFLNK => {
                let target =
                    readlinkat(&parent, path.name()).map_err(|errno| self.failed("read", path, errno))?;
                Ok(Node::Symlink { target })
            }
            SFlag::S_IFREG => {
                let fd = self.open_file(&parent, path)?;
                // Judged by what was opened, which may no longer be what was looked at.
                let stat = fstat(&fd).map_err(|errno| self.failed("look at", path, errno))?;
                let bytes = self.read_all(fd, path, MAX_FILE_BYTES)?;
                Ok(Node::File { mode: FileMode::from_stat(stat.st_mode), owner: owner_of(&stat), bytes })
            }
            _ => Ok(Node::Other),
        }
    }

    /// Returns the directory at `path`, following symlinks inside the root, as one would who enters it.
    ///
    /// # Errors
    /// Where it cannot be reached, or is no directory.
    pub fn look_directory(&self, path: &RootedPath) -> Result<Node> {
        match self.resolve(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
            Ok(fd) => {
                let stat = fstat(&fd).map_err(|errno| self.failed("look at", path, errno))?;
                Ok(Node::Directory { mode: FileMode::from_stat(stat.st_mode), owner: owner_of(&stat) })
            }
            Err(Errno::ENOENT) => match self.look(path)? {
                Node::Absent => Ok(Node::Absent),
                _ => Err(self
                    .failed("enter", path, Errno::ENOENT)
                    .hint("it is a symlink to nothing: remove it")),
            },
            Err(errno) => Err(self.failed("enter", path, errno)),
        }
    }

    /// Reads the regular file at `path`, following symlinks inside the root; none where there is nothing.
    ///
    /// # Errors
    /// Where it cannot be read, is no regular file, or is larger than [`MAX_FILE_BYTES`].
    pub fn read(&self, path: &RootedPath) -> Result<Option<Vec<u8>>> {
        match self.resolve(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(self.failed("read", path, errno)),
            Ok(fd) => self.read_all(self.regular(fd, path)?, path, MAX_FILE_BYTES).map(Some),
        }
    }

    /// Opens the regular file at `path` for reading in pieces; none where there is nothing.
    ///
    /// # Errors
    /// Where it cannot be opened or is no regular file.
    pub fn open_for_reading(&self, path: &RootedPath) -> Result<Option<File>> {
        match self.resolve(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(self.failed("read", path, errno)),
            Ok(fd) => self.regular(fd, path).map(|fd| Some(File::from(fd))),
        }
    }

    /// Tells whether there is anything at `path`, following symlinks inside the root.
    #[must_use]
    pub fn exists(&self, path: &RootedPath) -> bool {
        self.resolve(path, OFlag::O_PATH).is_ok()
    }

    /// Tells whether there is a directory at `path`, not counting a symlink to one.
    #[must_use]
    pub fn is_directory(&self, path: &RootedPath) -> bool {
        self.resolve(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).is_ok()
    }

    /// Returns the names in the directory at `path`, sorted by bytes; none where there is no directory.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn list(&self, path: &RootedPath) -> Result<Vec<OsString>> {
        let fd = match self.resolve(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Vec::new()),
            other => other.map_err(|errno| self.failed("list", path, errno))?,
        };
        let mut dir = Dir::from_fd(fd).map_err(|errno| self.failed("list", path, errno))?;
        let mut names = Vec::new();
        for entry in dir.iter() {
            let entry = entry.map_err(|errno| self.failed("list", path, errno))?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name.to_vec()));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens the directory that holds `path`; none where it does not exist.
    pub(super) fn parent_of(&self, path: &RootedPath) -> Result<Option<OwnedFd>> {
        let Some(parent) = path.parent() else { return Ok(None) };
        match self.resolve(&parent, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.failed("enter", &parent, errno)),
        }
    }

    /// Opens the directory at `path` itself, to change or lock it.
    pub(super) fn directory(&self, path: &RootedPath) -> Result<OwnedFd> {
        self.resolve(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)
            .map_err(|errno| self.failed("enter", path, errno))
    }

    /// Opens the regular file `path` in `parent`, never through a symlink and never waiting for a FIFO.
    pub(super) fn open_file(&self, parent: &OwnedFd, path: &RootedPath) -> Result<OwnedFd> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = openat(parent, path.name(), flags, Mode::empty())
            .map_err(|errno| self.failed("read", path, errno))?;
        self.regular(fd, path)
    }

    /// Returns the error of a system call at `path`.
    pub(super) fn failed(&self, verb: &str, path: &RootedPath, errno: Errno) -> Error {
        Error::system(verb, self.display(path), errno)
    }

    fn regular(&self, fd: OwnedFd, path: &RootedPath) -> Result<OwnedFd> {
        let stat = fstat(&fd).map_err(|errno| self.failed("look at", path, errno))?;
        if SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFREG {
            return Ok(fd);
        }
        Err(Error::new(Kind::BadInput, format!("{} is not a regular file", self.display(path))))
    }

    fn read_all(&self, fd: OwnedFd, path: &RootedPath, limit: usize) -> Result<Vec<u8>> {
        let size = fstat(&fd).map_or(0, |stat| usize::try_from(stat.st_size).unwrap_or(0));
        // One byte more than expected, so that the end is seen without growing.
        let mut bytes = Vec::with_capacity(size.min(limit) + 1);
        let read = File::from(fd).take(limit as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| {
            self.failed("read", path, error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
        })?;
        if bytes.len() > limit {
            let message = format!("{} is larger than {limit} bytes", self.display(path));
            return Err(Error::new(Kind::BadInput, message));
        }
        Ok(bytes)
    }

    fn resolve(&self, path: &RootedPath, flags: OFlag) -> nix::Result<OwnedFd> {
        let flags = flags | OFlag::O_CLOEXEC;
        if self.openat2_works.get() {
            let how = OpenHow::new()
                .flags(flags)
                .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
            loop {
                match openat2(&self.dir, path.relative(), how) {
                    Err(Errno::EINTR | Errno::EAGAIN) => {}
                    // EPERM is also what openat answers for some files: the walk finds out which it was.
                    Err(Errno::ENOSYS | Errno::EPERM) => break,
                    other => return other,
                }
            }
        }
        let walked = walk(self.dir.as_fd(), path, flags);
        if walked.is_ok() {
            self.openat2_works.set(false);
        }
        walked
    }
}

/// Resolves `path` part by part; a symlink on the way is ELOOP or ENOTDIR.
fn walk(root: BorrowedFd<'_>, path: &RootedPath, flags: OFlag) -> nix::Result<OwnedFd> {
    let step = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut parts = path.relative().split('/').peekable();
    let mut at: Option<OwnedFd> = None;
    while let Some(part) = parts.next() {
        let dir = at.as_ref().map_or(root, AsFd::as_fd);
        let flags = if parts.peek().is_some() { step } else { flags | OFlag::O_NOFOLLOW };
        at = Some(openat(dir, part, flags, Mode::empty())?);
    }
    at.ok_or(Errno::ENOENT)
}

fn owner_of(stat: &FileStat) -> Owner {
    Owner { uid: stat.st_uid, gid: stat.st_gid }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests build their roots by hand")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn root() -> (tempfile::TempDir, Root) {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "outside").unwrap();
        fs::create_dir_all(outside.path().join("root/etc")).unwrap();
        let root = Root::open(&outside.path().join("root")).unwrap();
        (outside, root)
    }

    #[test]
    fn symlinks_lead_back_inside() {
        let (outside, root) = root();
        let base = outside.path().join("root");
        symlink(outside.path(), base.join("absolute")).unwrap();
        symlink("../..", base.join("etc/up")).unwrap();
        symlink("/etc", base.join("inside")).unwrap();
        fs::write(base.join("etc/hosts"), "in").unwrap();
        for path in ["/absolute/secret", "/etc/up/secret", "/etc/up/up/secret"] {
            assert_eq!(root.read(&RootedPath::fixed(path)).unwrap(), None, "{path}");
        }
        assert_eq!(root.read(&RootedPath::fixed("/inside/hosts")).unwrap().unwrap(), b"in");
        assert!(matches!(root.look(&RootedPath::fixed("/inside")).unwrap(), Node::Symlink { .. }));
    }

    #[test]
    fn the_walk_refuses_symlinks() {
        let (outside, root) = root();
        symlink(outside.path(), outside.path().join("root/out")).unwrap();
        let walk = |path| walk(root.dir.as_fd(), &RootedPath::fixed(path), OFlag::O_RDONLY);
        assert!(walk("/out/secret").is_err());
        assert!(walk("/out").is_err());
        assert!(walk("/etc").is_ok());
    }

    #[test]
    fn fifos_do_not_block() {
        let (outside, root) = root();
        nix::unistd::mkfifo(&outside.path().join("root/etc/pipe"), Mode::from_bits_truncate(0o600)).unwrap();
        let path = RootedPath::fixed("/etc/pipe");
        assert_eq!(root.look(&path).unwrap(), Node::Other);
        assert!(root.read(&path).unwrap_err().to_string().ends_with("is not a regular file"));
    }
}
