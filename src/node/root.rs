// SPDX-License-Identifier: Apache-2.0
//! The node's root directory, and everything that opens or looks at files below it.
//!
//! Every path is resolved by the kernel with the root directory as `/` (openat2, RESOLVE_IN_ROOT), so a symlink
//! that somebody planted below it (absolute, or with `..`) leads back inside and never out. Where openat2 is
//! missing (ENOSYS, before Linux 5.6) or refused (EPERM, as container runtimes answer), paths are walked part
//! by part with the same result. A write never follows the last part of a path, and nothing follows a symlink below a
//! sealed path.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use super::attributes::{self, Attributes};
use super::errno::{errno_of, is_of_the_call};
use super::live::RootPlace;
use super::name::bytes_of;
use super::path::RootedPath;
use super::resolve::{DIRECTORY, READING, Symlinks, in_root, walk};
use super::weaker::SaidOnce;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::{FileMode, Owner};

/// Largest file that is read as a whole, in bytes. The files of k3s-harden are a few kilobytes.
pub const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// How closely to look.
#[derive(Debug, Clone, Copy)]
enum LookDepth {
    /// At everything.
    Close,
    /// At everything but attributes.
    Glance,
}

/// The state of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathState {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// Mode.
        mode: FileMode,
        /// Owner and group.
        owner: Owner,
        /// Labels and other extended attributes.
        attributes: Attributes,
        /// Content.
        bytes: Vec<u8>,
    },
    /// A regular file of more than [`MAX_FILE_BYTES`], which is not read.
    Large {
        /// Mode.
        mode: FileMode,
        /// Owner and group.
        owner: Owner,
    },
    /// A directory.
    Directory {
        /// Mode.
        mode: FileMode,
        /// Owner and group.
        owner: Owner,
        /// Labels and other extended attributes.
        attributes: Attributes,
    },
    /// A symlink.
    Symlink {
        /// Owner and group.
        owner: Owner,
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
    place: RootPlace,
    openat2_works: Cell<bool>,
    pub(super) said: SaidOnce,
}

impl Root {
    /// Opens `path` as a root.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if it is no directory, [`ErrorKind::NotPermitted`] if it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = open(path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => {
                Error::new(ErrorKind::Usage, format!("--root {}: {}", path.display(), errno.desc()))
                    .hint("pass the root directory of the node, or create it first")
            }
            _ => Error::system("open the root", path.display(), errno),
        })?;
        let place = match (fstat(&dir), nix::sys::stat::stat("/")) {
            (Ok(this), Ok(slash)) if (this.st_dev, this.st_ino) == (slash.st_dev, slash.st_ino) => {
                RootPlace::of_slash()
            }
            _ => RootPlace::Image,
        };
        Ok(Self {
            dir,
            path: path.to_owned(),
            place,
            openat2_works: Cell::new(true),
            said: SaidOnce::default(),
        })
    }

    /// Tells whether this is the root of the running system: `/`, unless it is that of a chroot.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.place == RootPlace::Running
    }

    /// Returns what says that this is `/` of a chroot, if it is.
    #[must_use]
    pub fn chroot(&self) -> Option<&str> {
        match &self.place {
            RootPlace::Chroot(sign) => Some(sign),
            RootPlace::Running | RootPlace::Image => None,
        }
    }

    /// Returns the path under which the user named the root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns `path` as a path of the machine that the tool runs on, for messages only.
    #[must_use]
    pub fn display(&self, path: &RootedPath) -> String {
        let text = path.to_string();
        if self.is_live() { text } else { self.path.join(text.trim_start_matches('/')).display().to_string() }
    }

    /// Returns what is at `path`, without following a symlink there.
    ///
    /// # Errors
    /// If something cannot be read, or a part on the way is no directory.
    pub fn look(&self, path: &RootedPath) -> Result<PathState> {
        self.look_at(path, LookDepth::Close)
    }

    /// The same without attributes, which take two system calls and more for each path.
    ///
    /// # Errors
    /// As for [`Root::look`].
    pub fn look_without_attributes(&self, path: &RootedPath) -> Result<PathState> {
        self.look_at(path, LookDepth::Glance)
    }

    fn look_at(&self, path: &RootedPath, look: LookDepth) -> Result<PathState> {
        let Some(parent) = self.parent_of(path)? else { return Ok(PathState::Absent) };
        self.look_inside(&parent, path, look)
    }

    /// Returns what is at `path`, whose directory is open already.
    pub(super) fn look_in(&self, parent: &OwnedFd, path: &RootedPath) -> Result<PathState> {
        self.look_inside(parent, path, LookDepth::Close)
    }

    fn look_inside(&self, parent: &OwnedFd, path: &RootedPath, look: LookDepth) -> Result<PathState> {
        let stat = match fstatat(parent, &*path.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok(PathState::Absent),
            other => other.map_err(|errno| self.failed("look at", path, errno))?,
        };
        match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFDIR => {
                let flags = DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let open = || openat(parent, &*path.file_name(), flags, Mode::empty());
                let attributes = match look {
                    LookDepth::Glance => Attributes::new(),
                    LookDepth::Close => match open() {
                        // Who may not look into it may see that it is there.
                        Err(Errno::EACCES) => Attributes::new(),
                        other => {
                            let dir = other.map_err(|errno| self.failed("look at", path, errno))?;
                            self.attributes(&File::from(dir), path)?
                        }
                    },
                };
                let (mode, owner) = (FileMode::from_stat(stat.st_mode), owner_of(&stat));
                Ok(PathState::Directory { mode, owner, attributes })
            }
            SFlag::S_IFLNK => {
                let target = readlinkat(parent, &*path.file_name())
                    .map_err(|errno| self.failed("read", path, errno))?;
                Ok(PathState::Symlink { owner: owner_of(&stat), target })
            }
            SFlag::S_IFREG => {
                // Judged by what was opened, which may no longer be what was looked at.
                let (file, stat) = self.open_file(parent, path)?;
                let (mode, owner) = (FileMode::from_stat(stat.st_mode), owner_of(&stat));
                if usize::try_from(stat.st_size).is_ok_and(|size| size > MAX_FILE_BYTES) {
                    return Ok(PathState::Large { mode, owner });
                }
                let attributes = match look {
                    LookDepth::Glance => Attributes::new(),
                    LookDepth::Close => self.attributes(&file, path)?,
                };
                let bytes = self.read_all(file, &stat, path, MAX_FILE_BYTES)?;
                Ok(PathState::File { mode, owner, attributes, bytes })
            }
            _ => Ok(PathState::Other),
        }
    }

    /// Returns the directory at `path`, following symlinks inside the root, as one would who enters it.
    ///
    /// # Errors
    /// If it cannot be reached, or is no directory.
    pub fn look_directory(&self, path: &RootedPath) -> Result<PathState> {
        match self.resolve(path, DIRECTORY) {
            Ok(fd) => {
                let dir = File::from(fd);
                let stat = fstat(&dir).map_err(|errno| self.failed("look at", path, errno))?;
                let (mode, owner) = (FileMode::from_stat(stat.st_mode), owner_of(&stat));
                Ok(PathState::Directory { mode, owner, attributes: self.attributes(&dir, path)? })
            }
            Err(Errno::ENOENT) => match self.look(path)? {
                PathState::Absent => Ok(PathState::Absent),
                _ => Err(self
                    .failed("enter", path, Errno::ENOENT)
                    .hint("it is a symlink to nothing: remove it")),
            },
            Err(errno) => Err(self.failed("enter", path, errno)),
        }
    }

    /// Reads the regular file at `path`, following symlinks inside the root; none if there is nothing.
    ///
    /// # Errors
    /// If it cannot be read, is no regular file, or is larger than [`MAX_FILE_BYTES`].
    pub fn read(&self, path: &RootedPath) -> Result<Option<Vec<u8>>> {
        self.read_opened(path, READING)
    }

    /// Reads the regular file at `path`, which may have `most` bytes; none if there is nothing.
    ///
    /// # Errors
    /// As for [`Root::read`]; if it is larger.
    pub fn read_within(&self, path: &RootedPath, most: usize) -> Result<Option<Vec<u8>>> {
        let Some((file, stat)) = self.opened(path, READING)? else { return Ok(None) };
        self.read_all(file, &stat, path, most).map(Some)
    }

    /// Reads the regular file at `path` itself: a symlink there is refused, and not followed. None if there is nothing.
    ///
    /// # Errors
    /// As for [`Root::read`]; if it is a symlink.
    pub fn read_itself(&self, path: &RootedPath) -> Result<Option<Vec<u8>>> {
        self.read_opened(path, READING | OFlag::O_NOFOLLOW)
    }

    fn read_opened(&self, path: &RootedPath, flags: OFlag) -> Result<Option<Vec<u8>>> {
        let Some((file, stat)) = self.opened(path, flags)? else { return Ok(None) };
        self.read_all(file, &stat, path, MAX_FILE_BYTES).map(Some)
    }

    /// Reads the regular file at `path` in pieces of `size` bytes. Each call of `visit` gets the last `kept` bytes of the
    /// window before and the next piece, how many bytes of this window it has got before, and whether the file ends.
    /// Returns false if there is nothing.
    ///
    /// # Errors
    /// If it cannot be opened or read, or is no regular file.
    pub fn read_in_pieces(
        &self,
        path: &RootedPath,
        size: usize,
        kept: usize,
        mut visit: impl FnMut(&[u8], usize, bool),
    ) -> Result<bool> {
        let Some((mut file, _)) = self.opened(path, READING)? else { return Ok(false) };
        let mut window = Vec::with_capacity(size + kept);
        loop {
            let seen = window.len();
            let read = (&mut file).take(size as u64).read_to_end(&mut window);
            let read = read.map_err(|error| self.failed("read", path, errno_of(&error)))?;
            visit(&window, seen, read < size);
            if read < size {
                return Ok(true);
            }
            window.drain(..window.len().saturating_sub(kept));
        }
    }

    fn opened(&self, path: &RootedPath, flags: OFlag) -> Result<Option<(File, FileStat)>> {
        match self.resolve(path, flags) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(Errno::ELOOP) if flags.contains(OFlag::O_NOFOLLOW) => {
                Err(Error::new(ErrorKind::BadInput, format!("{} is a symlink", self.display(path))))
            }
            Err(errno) => Err(self.failed("read", path, errno)),
            Ok(fd) => self.regular(fd, path).map(Some),
        }
    }

    /// Opens the directory that holds `path`; none if it does not exist.
    pub(super) fn parent_of(&self, path: &RootedPath) -> Result<Option<OwnedFd>> {
        let Some(parent) = path.parent() else { return Ok(None) };
        match self.resolve(&parent, DIRECTORY) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.failed("enter", &parent, errno)),
        }
    }

    /// Opens the directory at `path` itself, to change or lock it.
    pub(super) fn directory(&self, path: &RootedPath) -> Result<OwnedFd> {
        self.resolve(path, DIRECTORY).map_err(|errno| self.failed("enter", path, errno))
    }

    /// The same, with none if there is nothing.
    pub(super) fn directory_if_there(&self, path: &RootedPath) -> Result<Option<OwnedFd>> {
        match self.resolve(path, DIRECTORY) {
            Err(Errno::ENOENT) => Ok(None),
            other => other.map(Some).map_err(|errno| self.failed("enter", path, errno)),
        }
    }

    /// Opens the regular file `path` in `parent`, never through a symlink and never waiting for a FIFO.
    pub(super) fn open_file(&self, parent: &OwnedFd, path: &RootedPath) -> Result<(File, FileStat)> {
        let flags = READING | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(parent, &*path.file_name(), flags, Mode::empty())
            .map_err(|errno| self.failed("read", path, errno))?;
        self.regular(fd, path)
    }

    /// Returns the error of a system call at `path`.
    pub(super) fn failed(&self, verb: &str, path: &RootedPath, errno: Errno) -> Error {
        if errno == Errno::ELOOP && path.below_seal().is_some() {
            let message = format!(
                "cannot {verb} {}: the path contains a symlink, and k3s-harden follows none in its own directories",
                self.display(path)
            );
            return Error::new(ErrorKind::CannotWrite, message)
                .hint("replace the symlink with a directory, a file or a mount");
        }
        let error = Error::system(verb, self.display(path), errno);
        // What the mode does not explain: to root the kernel says so of files that were made immutable.
        match errno {
            Errno::EPERM if nix::unistd::geteuid().is_root() => {
                error.hint("it may be immutable or append-only: see lsattr, and chattr -i or -a")
            }
            _ => error,
        }
    }

    fn regular(&self, fd: OwnedFd, path: &RootedPath) -> Result<(File, FileStat)> {
        let stat = fstat(&fd).map_err(|errno| self.failed("look at", path, errno))?;
        if SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFREG {
            return Ok((File::from(fd), stat));
        }
        Err(Error::new(ErrorKind::BadInput, format!("{} is not a regular file", self.display(path))))
    }

    fn attributes(&self, file: &File, path: &RootedPath) -> Result<Attributes> {
        attributes::read(file).map_err(|error| self.failed("read the attributes of", path, errno_of(&error)))
    }

    fn read_all(&self, file: File, stat: &FileStat, path: &RootedPath, limit: usize) -> Result<Vec<u8>> {
        let size = usize::try_from(stat.st_size).unwrap_or(0);
        // One byte more than expected, so that the end is seen without growing.
        let mut bytes = Vec::with_capacity(size.min(limit) + 1);
        let read = file.take(limit as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.failed("read", path, errno_of(&error)))?;
        if bytes.len() > limit {
            let message = format!("{} is larger than {limit} bytes", self.display(path));
            return Err(Error::new(ErrorKind::BadInput, message));
        }
        Ok(bytes)
    }

    /// Opens `path`; below a seal no symlink is followed.
    pub(super) fn resolve(&self, path: &RootedPath, flags: OFlag) -> nix::Result<OwnedFd> {
        let flags = flags | OFlag::O_CLOEXEC;
        let Some((above, below)) = path.below_seal() else {
            return self.open_in(self.dir.as_fd(), &path.relative(), flags, Symlinks::Followed);
        };
        match self.open_in(self.dir.as_fd(), &path.relative(), flags, Symlinks::Refused) {
            // The symlink may be above the seal.
            Err(Errno::ELOOP) => {
                let sealed = self.open_in(
                    self.dir.as_fd(),
                    &bytes_of(above),
                    OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
                    Symlinks::Followed,
                )?;
                self.open_in(sealed.as_fd(), &bytes_of(below), flags, Symlinks::Refused)
            }
            other => other,
        }
    }

    fn open_in(
        &self,
        dir: BorrowedFd<'_>,
        path: &OsStr,
        flags: OFlag,
        symlinks: Symlinks,
    ) -> nix::Result<OwnedFd> {
        if !self.openat2_works.get() {
            return walk(dir, path, flags, symlinks);
        }
        match in_root(dir, path, flags, symlinks) {
            // The walk does not mind that names change all the time.
            Err(Errno::EAGAIN) => walk(dir, path, flags, symlinks),
            // Some of these are also what openat answers for some files: the walk finds out which it was.
            Err(errno) if is_of_the_call(errno) || errno == Errno::EXDEV => {
                let walked = walk(dir, path, flags, symlinks);
                self.openat2_works.set(walked.is_err());
                walked
            }
            other => other,
        }
    }
}

pub(super) fn owner_of(stat: &FileStat) -> Owner {
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
        assert!(matches!(root.look(&RootedPath::fixed("/inside")).unwrap(), PathState::Symlink { .. }));
    }

    #[test]
    fn fifos_do_not_block() {
        let (outside, root) = root();
        nix::unistd::mkfifo(&outside.path().join("root/etc/pipe"), Mode::from_bits_truncate(0o600)).unwrap();
        let path = RootedPath::fixed("/etc/pipe");
        assert_eq!(root.look(&path).unwrap(), PathState::Other);
        assert!(root.read(&path).unwrap_err().to_string().ends_with("is not a regular file"));
    }
}
