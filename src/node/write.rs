//! Everything that changes files below the root. Each call leaves a path whole: old or new, never between.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::{
    AccessFlags, Gid, Uid, UnlinkatFlags, faccessat, fchown, fchownat, fsync, symlinkat, unlinkat,
};

use tracing::{debug, warn};

use super::attributes;
use super::entry::names_in;
use super::expected::Expected;
use super::metadata::Metadata;
use super::mount;
use super::path::RootedPath;
use super::root::{Root, errno_of};
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
    /// If it cannot be made; [`ErrorKind::ChangedMeanwhile`] if something is there, and nothing is [`Expected`].
    pub fn make_directory_if(
        &self,
        path: &RootedPath,
        metadata: &Metadata,
        expected: Expected<'_>,
    ) -> Result<()> {
        let parent = self.existing_parent(path)?;
        let failed = |errno| self.failed("make the directory", path, errno);
        match (mkdirat(&parent, path.name(), metadata.mode.to_nix()), expected) {
            (Err(Errno::EEXIST), Expected::Known(_)) => return Err(self.changed_meanwhile(path)),
            (made, _) => made.map_err(failed)?,
        }
        let set = || {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let dir = File::from(openat(&parent, path.name(), flags, Mode::empty())?);
            set_metadata(&dir, metadata)?;
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
    /// If something fails; the old file is untouched then.
    pub fn replace(&self, path: &RootedPath, bytes: &[u8], metadata: &Metadata) -> Result<()> {
        self.replace_if(path, bytes, metadata, Expected::Anything)
    }

    /// The same where another program may have saved something at `path` since it was looked at.
    ///
    /// # Errors
    /// If something fails; the old file is untouched then. [`ErrorKind::ChangedMeanwhile`] if something else than
    /// `expected` is there when the name changes.
    pub fn replace_if(
        &self,
        path: &RootedPath,
        bytes: &[u8],
        metadata: &Metadata,
        expected: Expected<'_>,
    ) -> Result<()> {
        let parent = self.existing_parent(path)?;
        let failed = |errno| self.failed("write", path, errno);
        let mut temporary = TemporaryFile::create(&parent, path).map_err(failed)?;
        set_metadata(&temporary.file, metadata).map_err(failed)?;
        if metadata.attributes.is_none() {
            self.keep_labels(&temporary.file, &parent, path)?;
        }
        let failed_io = |error: io::Error| failed(errno_of(&error));
        temporary.file.write_all(bytes).map_err(failed_io)?;
        if metadata.attributes.is_some() {
            // Writing takes capabilities and setuid away.
            set_metadata(&temporary.file, metadata).map_err(failed)?;
        }
        temporary.file.sync_all().map_err(failed_io)?;
        if let Expected::Known(_) = expected {
            self.check_written(&parent, path, &temporary.name, bytes)?;
        }
        temporary.place(self, path, expected)?;
        fsync(&parent).map_err(failed)
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
        let created = openat(&parent, path.name(), flags, FileMode::PRIVATE_FILE.to_nix());
        let mut file = created.map(File::from).map_err(failed)?;
        set_metadata(&file, &Metadata::private_file(owner)).map_err(failed)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| failed(errno_of(&error)))
    }

    /// Gives a file that is about to be at `path` the labels of the one that is there.
    fn keep_labels(&self, file: &File, parent: &OwnedFd, path: &RootedPath) -> Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let old = match openat(parent, path.name(), flags, Mode::empty()) {
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
    /// If it cannot be done; [`ErrorKind::ChangedMeanwhile`] if something else than `expected` is there.
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
        set_metadata(&file, metadata)
            .and_then(|()| fsync(&file))
            .map_err(|errno| self.failed("change mode and owner of", path, errno))
    }

    /// Syncs the file or directory at `path`, and its name in its parent, to the disk.
    ///
    /// # Errors
    /// If that fails.
    pub fn sync(&self, path: &RootedPath) -> Result<()> {
        let Some(parent) = self.parent_of(path)? else { return Ok(()) };
        let failed = |errno| self.failed("sync", path, errno);
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        match openat(&parent, path.name(), flags, Mode::empty()) {
            // Nothing, or a symlink: all of it is in the directory.
            Err(Errno::ENOENT | Errno::ELOOP) => {}
            other => fsync(&other.map_err(failed)?).map_err(failed)?,
        }
        fsync(&parent).map_err(failed)
    }

    /// Puts a symlink at `path` in one step, in the place of what is there.
    ///
    /// # Errors
    /// If it cannot be done; [`ErrorKind::ChangedMeanwhile`] as for [`Root::replace`].
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
        fsync(&parent).map_err(failed)
    }

    /// Removes what a killed run has left beside `path`: hidden files of the kind that [`Root::replace`] makes.
    ///
    /// # Errors
    /// If one is there and cannot be removed.
    pub fn remove_temporaries_of(&self, path: &RootedPath) -> Result<()> {
        let Some(folder) = path.parent() else { return Ok(()) };
        for name in self.list(&folder)? {
            if let Some(name) = name.to_str().filter(|name| is_temporary_of(path.name(), name)) {
                let beside = folder.join(name);
                debug!(path = %beside, "left by a killed run");
                self.remove_file(&beside, Expected::Anything)?;
            }
        }
        Ok(())
    }

    /// Removes the file or symlink at `path`.
    ///
    /// # Errors
    /// If it cannot be done; [`ErrorKind::ChangedMeanwhile`] if something else than `expected` is there.
    pub fn remove_file(&self, path: &RootedPath, expected: Expected<'_>) -> Result<()> {
        let parent = self.existing_parent(path)?;
        match expected {
            Expected::Anything => unlinkat(&parent, path.name(), UnlinkatFlags::NoRemoveDir)
                .map_err(|errno| self.failed("remove", path, errno))?,
            Expected::Known(_) => self.take_away(&parent, path, expected)?,
        }
        fsync(&parent).map_err(|errno| self.failed("remove", path, errno))
    }

    /// Removes the directory at `path` if it is empty, and tells whether it did: not where it leads elsewhere (a
    /// symlink, a mount point).
    ///
    /// # Errors
    /// If it fails for another reason.
    pub fn remove_empty_directory(&self, path: &RootedPath) -> Result<bool> {
        let Some(parent) = self.parent_of(path)? else { return Ok(false) };
        match unlinkat(&parent, path.name(), UnlinkatFlags::RemoveDir) {
            Ok(()) => fsync(&parent).map(|()| true).map_err(|errno| self.failed("remove", path, errno)),
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOENT | Errno::ENOTDIR | Errno::EBUSY) => {
                Ok(false)
            }
            Err(errno) => Err(self.failed("remove", path, errno)),
        }
    }

    /// Moves the directory `from` to `to`, where nothing may be; false if something is.
    ///
    /// # Errors
    /// If it cannot be done.
    pub fn move_directory(&self, from: &RootedPath, to: &RootedPath) -> Result<bool> {
        let (old, new) = (self.existing_parent(from)?, self.existing_parent(to)?);
        match renameat2(&old, from.name(), &new, to.name(), RenameFlags::RENAME_NOREPLACE) {
            Err(Errno::EEXIST) => Ok(false),
            other => other
                .and_then(|()| fsync(&new))
                .and_then(|()| fsync(&old))
                .map(|()| true)
                .map_err(|errno| self.failed("move", from, errno)),
        }
    }

    /// Removes the directory at `path` with everything in it, whatever that is; symlinks are not followed.
    ///
    /// # Errors
    /// If something cannot be removed; what was removed before stays so.
    pub fn remove_tree(&self, path: &RootedPath) -> Result<()> {
        let Some(parent) = self.parent_of(path)? else { return Ok(()) };
        let removed = remove_tree(&parent, OsStr::new(path.name())).and_then(|()| fsync(&parent));
        removed.map_err(|errno| self.failed("remove", path, errno))
    }

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
    /// exists is on a file system that is not read-only, and the caller may write in it.
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
        match faccessat(&dir, ".", AccessFlags::W_OK, AtFlags::AT_EACCESS) {
            Ok(()) => Ok(()),
            Err(Errno::EROFS) => Err(read_only()),
            Err(errno) => Err(self.failed("write in", &directory, errno)),
        }
    }

    fn existing_parent(&self, path: &RootedPath) -> Result<OwnedFd> {
        self.parent_of(path)?.ok_or_else(|| self.failed("write", path, Errno::ENOENT))
    }
}

/// Owner first: chown clears setuid bits, and the mode must be set last. Lists of access are attributes, and
/// what the mode says of the group is in them, so attributes come before it too.
fn set_metadata(file: &File, metadata: &Metadata) -> nix::Result<()> {
    let Metadata { mode, owner, attributes } = metadata;
    let stat = nix::sys::stat::fstat(file)?;
    if (stat.st_uid, stat.st_gid) != (owner.uid, owner.gid) {
        fchown(file, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
    }
    if let Some(attributes) = attributes {
        attributes::set(file, attributes).map_err(|error| errno_of(&error))?;
    }
    fchmod(file, mode.to_nix())
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

/// How many random characters the name of a temporary file has.
const RANDOM_CHARACTERS: usize = 8;

/// Tells whether `name` is one that a [`TemporaryFile`] for `target` could have.
fn is_temporary_of(target: &str, name: &str) -> bool {
    let random = name
        .strip_prefix('.')
        .and_then(|name| name.strip_prefix(target)?.strip_prefix('.'))
        .and_then(|name| name.strip_suffix(".tmp"));
    random.is_some_and(|random| {
        random.chars().count() == RANDOM_CHARACTERS && random.chars().all(char::is_alphanumeric)
    })
}

/// A hidden file or symlink beside its target; removed again unless it was renamed.
pub(super) struct TemporaryFile<'a, F = File> {
    pub(super) parent: &'a OwnedFd,
    pub(super) name: String,
    file: F,
    /// Whether nothing of ours has the name any more.
    pub(super) renamed: bool,
}

impl<'a> TemporaryFile<'a> {
    fn create(parent: &'a OwnedFd, path: &RootedPath) -> nix::Result<Self> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Self::make(parent, path, |name| {
            openat(parent, name, flags, FileMode::PRIVATE_FILE.to_nix()).map(File::from)
        })
    }
}

impl<'a> TemporaryFile<'a, ()> {
    fn symlink(parent: &'a OwnedFd, path: &RootedPath, target: &OsStr) -> nix::Result<Self> {
        Self::make(parent, path, |name| symlinkat(target, parent, name))
    }
}

impl<'a, F> TemporaryFile<'a, F> {
    pub(super) fn make(
        parent: &'a OwnedFd,
        path: &RootedPath,
        make: impl Fn(&str) -> nix::Result<F>,
    ) -> nix::Result<Self> {
        let mut name = String::new();
        // K3s reads hidden *.yaml too, so the name must not end that way.
        let file = tempfile::Builder::new()
            .prefix(&format!(".{}.", path.name()))
            .suffix(".tmp")
            .rand_bytes(RANDOM_CHARACTERS)
            .disable_cleanup(true)
            // Only the random name is taken: a relative directory would become one below the working directory.
            .make_in("/", |candidate| {
                name = candidate.file_name().unwrap_or_default().to_string_lossy().into_owned();
                make(&name).map_err(io::Error::from)
            })
            .map_err(|error| errno_of(&error))?
            .into_file();
        Ok(Self { parent, name, file, renamed: false })
    }
}

impl<F> Drop for TemporaryFile<'_, F> {
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
        let temporary = TemporaryFile::create(&parent, &path).unwrap();
        let names: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, std::slice::from_ref(&temporary.name));
        // K3s reads every *.yaml, hidden or not.
        assert!(names[0].starts_with(".config.yaml.") && names[0].ends_with(".tmp"), "{names:?}");
        assert!(is_temporary_of("config.yaml", &names[0]) && !is_temporary_of("onfig.yaml", &names[0]));
        drop(temporary);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let path = RootedPath::fixed("/x.yaml");
        let others = [".x.yaml.tmp", ".x.yaml.12345678.bak", ".x.yaml.1234567-.tmp", "x.yaml.12345678.tmp"];
        for name in others.iter().chain(&[".x.yaml.aB345678.tmp"]) {
            fs::write(dir.path().join(name), "").unwrap();
        }
        root.remove_temporaries_of(&path).unwrap();
        let mut left = root.list(&RootedPath::fixed("/")).unwrap();
        left.sort();
        let mut others = others.to_vec();
        others.sort_unstable();
        assert_eq!(left, others);
    }
}
