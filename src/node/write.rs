//! Everything that changes files below the root. Each call leaves a path whole: old or new, never between.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::{AccessFlags, Gid, Uid, UnlinkatFlags, faccessat, fchown, fsync, symlinkat, unlinkat};

use super::mode::{FileMode, Owner};
use super::path::RootedPath;
use super::root::Root;
use crate::error::{Error, Kind, Result};

impl Root {
    /// Makes the directory `path` with exactly `mode`, whatever the umask. Its parent must exist.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn make_directory(&self, path: &RootedPath, mode: FileMode, owner: Owner) -> Result<()> {
        let parent = self.existing_parent(path)?;
        let failed = |errno| self.failed("make the directory", path, errno);
        mkdirat(&parent, path.name(), mode.to_nix()).map_err(failed)?;
        let set = || {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let dir = openat(&parent, path.name(), flags, Mode::empty())?;
            set_owner_and_mode(&dir, mode, owner)?;
            fsync(&dir)?;
            fsync(&parent)
        };
        set().map_err(failed)
    }

    /// Puts a file with `bytes` at `path` in one step: a reader sees the old file or the new one.
    ///
    /// The bytes go to a hidden file beside it, which has its mode and owner before there is content in it,
    /// then to the disk, and only then does the name change; the directory is synced last, because a rename
    /// that is not on the disk is undone by a power cut.
    ///
    /// # Errors
    /// Where something fails; the old file is untouched then.
    pub fn replace(&self, path: &RootedPath, bytes: &[u8], mode: FileMode, owner: Owner) -> Result<()> {
        let parent = self.existing_parent(path)?;
        let failed = |errno| self.failed("write", path, errno);
        let mut temporary = Temporary::create(&parent, path).map_err(failed)?;
        set_owner_and_mode(&temporary.file, mode, owner).map_err(failed)?;
        temporary
            .file
            .write_all(bytes)
            .and_then(|()| temporary.file.sync_all())
            .map_err(|error| failed(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)))?;
        temporary.rename_to(path.name()).map_err(failed)?;
        fsync(&parent).map_err(failed)
    }

    /// Gives the file or directory at `path` its mode and owner without touching its content.
    ///
    /// # Errors
    /// Where it cannot be done.
    pub fn set_metadata(
        &self,
        path: &RootedPath,
        mode: FileMode,
        owner: Owner,
        directory: bool,
    ) -> Result<()> {
        let fd = if directory {
            self.directory(path)?
        } else {
            self.open_file(&self.existing_parent(path)?, path)?
        };
        set_owner_and_mode(&fd, mode, owner)
            .and_then(|()| fsync(&fd))
            .map_err(|errno| self.failed("change mode and owner of", path, errno))
    }

    /// Puts a symlink at `path`, where nothing may be.
    ///
    /// # Errors
    /// Where it cannot be done.
    pub fn make_symlink(&self, path: &RootedPath, target: &Path) -> Result<()> {
        let parent = self.existing_parent(path)?;
        symlinkat(target, &parent, path.name())
            .and_then(|()| fsync(&parent))
            .map_err(|errno| self.failed("make the symlink", path, errno))
    }

    /// Removes the file or symlink at `path`.
    ///
    /// # Errors
    /// Where it cannot be done.
    pub fn remove_file(&self, path: &RootedPath) -> Result<()> {
        self.remove(path, UnlinkatFlags::NoRemoveDir)
    }

    /// Removes the directory at `path` if it is empty, and tells whether it did.
    ///
    /// # Errors
    /// Where it fails for another reason.
    pub fn remove_empty_directory(&self, path: &RootedPath) -> Result<bool> {
        let Some(parent) = self.parent_of(path)? else { return Ok(false) };
        match unlinkat(&parent, path.name(), UnlinkatFlags::RemoveDir) {
            Ok(()) => fsync(&parent).map(|()| true).map_err(|errno| self.failed("remove", path, errno)),
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOENT) => Ok(false),
            Err(errno) => Err(self.failed("remove", path, errno)),
        }
    }

    /// Tells, before anything is changed, whether `path` could be written: the nearest directory above it that
    /// exists is on a file system that is not read-only, and the caller may write in it.
    ///
    /// # Errors
    /// [`Kind::CannotWrite`] or [`Kind::NotPermitted`] with the directory.
    pub fn check_writable(&self, path: &RootedPath) -> Result<()> {
        let mut above = path.clone();
        let dir = loop {
            match self.parent_of(&above)? {
                Some(dir) => break dir,
                None => match above.parent() {
                    Some(parent) => above = parent,
                    None => return Ok(()),
                },
            }
        };
        let directory = above.parent().unwrap_or(above);
        let system = fstatvfs(&dir).map_err(|errno| self.failed("look at", &directory, errno))?;
        let read_only = || {
            Error::new(
                Kind::CannotWrite,
                format!("{} is on a read-only file system", self.display(&directory)),
            )
            .hint("remount it with write access first: mount -o remount,rw")
        };
        if system.flags().contains(FsFlags::ST_RDONLY) {
            return Err(read_only());
        }
        match faccessat(&dir, ".", AccessFlags::W_OK, AtFlags::AT_EACCESS) {
            Ok(()) => Ok(()),
            Err(Errno::EROFS) => Err(read_only()),
            Err(errno) => Err(self.failed("write in", &directory, errno)),
        }
    }

    /// Locks the directory `path` for this process, until the lock is dropped.
    ///
    /// # Errors
    /// [`Kind::Locked`] where another process holds it.
    pub fn lock(&self, path: &RootedPath) -> Result<Lock> {
        let dir = self.directory(path)?;
        Flock::lock(dir, FlockArg::LockExclusiveNonblock).map(Lock).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => {
                Error::new(Kind::Locked, format!("another run holds the lock on {}", self.display(path)))
                    .hint("wait until it has ended and run again")
            }
            _ => self.failed("lock", path, errno),
        })
    }

    fn remove(&self, path: &RootedPath, how: UnlinkatFlags) -> Result<()> {
        let parent = self.existing_parent(path)?;
        unlinkat(&parent, path.name(), how)
            .and_then(|()| fsync(&parent))
            .map_err(|errno| self.failed("remove", path, errno))
    }

    fn existing_parent(&self, path: &RootedPath) -> Result<OwnedFd> {
        self.parent_of(path)?.ok_or_else(|| self.failed("write", path, Errno::ENOENT))
    }
}

/// An exclusive lock, held while it lives.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "dropping it unlocks")] Flock<OwnedFd>);

/// Owner first: chown clears setuid bits, and the mode must be the last word.
fn set_owner_and_mode(fd: impl AsFd, mode: FileMode, owner: Owner) -> nix::Result<()> {
    let stat = nix::sys::stat::fstat(&fd)?;
    if (stat.st_uid, stat.st_gid) != (owner.uid, owner.gid) {
        fchown(&fd, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
    }
    fchmod(&fd, mode.to_nix())
}

/// A hidden file beside its target; removed again unless it was renamed.
struct Temporary<'a> {
    parent: &'a OwnedFd,
    name: String,
    file: File,
    renamed: bool,
}

impl<'a> Temporary<'a> {
    fn create(parent: &'a OwnedFd, path: &RootedPath) -> nix::Result<Self> {
        let mut created = String::new();
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        // K3s reads hidden *.yaml too, so the name must not end that way.
        let file = tempfile::Builder::new()
            .prefix(&format!(".{}.", path.name()))
            .suffix(".tmp")
            .rand_bytes(8)
            .disable_cleanup(true)
            // Only the random name is taken: a relative directory would become one below the working directory.
            .make_in("/", |candidate| {
                created = candidate.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let fd = openat(parent, created.as_str(), flags, FileMode::PRIVATE_FILE.to_nix())?;
                Ok(File::from(fd))
            })
            .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?
            .into_file();
        Ok(Self { parent, name: created, file, renamed: false })
    }

    fn rename_to(&mut self, name: &str) -> nix::Result<()> {
        renameat(self.parent, self.name.as_str(), self.parent, name)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            // Best effort: the error that brought us here is the one to report.
            unlinkat(self.parent, self.name.as_str(), UnlinkatFlags::NoRemoveDir).unwrap_or_default();
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look at files by hand")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_temporary_file_lies_beside_its_target_and_does_not_stay() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let path = RootedPath::fixed("/config.yaml");
        let parent = root.parent_of(&path).unwrap().unwrap();
        let temporary = Temporary::create(&parent, &path).unwrap();
        let names: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, std::slice::from_ref(&temporary.name));
        // K3s reads every *.yaml, hidden or not.
        assert!(names[0].starts_with(".config.yaml.") && names[0].ends_with(".tmp"), "{names:?}");
        drop(temporary);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
