// SPDX-License-Identifier: Apache-2.0
//! Puts a file at its place, or takes one away, without losing what another program saves there at that moment.
//!
//! Between a look and a rename there is always a moment. So the old file is not thrown away by the rename: the two files
//! exchange their names, what was there is looked at under its new name, and only what was expected is removed. Anything
//! else gets its name back.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, RenameFlags, renameat, renameat2};
use nix::sys::stat::fstatat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::errno::is_of_the_call;
use super::expected::Expected;
use super::free_name::NameIn;
use super::path::RootedPath;
use super::root::{PathState, Root};
use super::temporary::{TemporaryEnding, TemporaryFile, swap_name};
use super::weaker::WeakerPromise;
use crate::error::{Error, ErrorKind, Result};

impl<F> TemporaryFile<'_, F> {
    /// Gives the file the name of `path`, in one step.
    ///
    /// # Errors
    /// If that fails; [`ErrorKind::ChangedMeanwhile`] if something else than `expected` is there, which stays.
    pub(super) fn place(&mut self, root: &Root, path: &RootedPath, expected: Expected<'_>) -> Result<()> {
        let failed = |errno| root.failed("write", path, errno);
        if let Expected::Anything = expected {
            return self.rename_over(path).map_err(failed);
        }
        // Where nothing is, something may come just before the rename.
        let flags = match root.check_expected(self.parent, path, expected)? {
            PathState::Absent => RenameFlags::RENAME_NOREPLACE,
            _ => RenameFlags::RENAME_EXCHANGE,
        };
        let own = self.identity(&self.name).map_err(failed)?;
        self.rename_to_swap().map_err(failed)?;
        match renameat2(self.parent, self.name.as_str(), self.parent, &*path.file_name(), flags) {
            Ok(()) if flags == RenameFlags::RENAME_NOREPLACE => self.renamed = true,
            Ok(()) => self.finish_exchange(root, path, expected, own)?,
            // Where nothing has come, the file system is at fault.
            Err(Errno::EEXIST) if (NameIn { dir: self.parent, name: &path.file_name() }).is_free() => {
                return Err(failed(Errno::EEXIST));
            }
            // Something has come, or what was there has gone.
            Err(Errno::EEXIST | Errno::ENOENT) => return Err(root.changed_meanwhile(path)),
            Err(errno) if is_of_the_call(errno) => {
                root.check_expected(self.parent, path, expected)?;
                self.rename_over(path).map_err(failed)?;
                root.said.say(WeakerPromise::SecondLook, path, errno, |path| root.display(path));
            }
            Err(errno) => return Err(failed(errno)),
        }
        Ok(())
    }

    /// Removes what has the temporary name now, if it is `expected`; else exchanges the names again.
    fn finish_exchange(
        &mut self,
        root: &Root,
        path: &RootedPath,
        expected: Expected<'_>,
        own: (u64, u64),
    ) -> Result<()> {
        // Until it is known what has the name, nothing removes it.
        self.renamed = true;
        let beside = path.beside(&self.name);
        let looked = root.look_in(self.parent, &beside).map(|old| expected.includes(&old));
        if let Ok(true) = looked {
            let removed = unlinkat(self.parent, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
            return removed.map_err(|errno| root.failed("remove", &beside, errno));
        }
        let (from, to) = (self.name.as_str(), path.file_name());
        let back = renameat2(self.parent, from, self.parent, &*to, RenameFlags::RENAME_EXCHANGE);
        match (back, self.identity(&self.name)) {
            (Ok(()), Ok(now)) if now == own => {
                self.renamed = false;
                Err(looked.err().unwrap_or_else(|| root.changed_meanwhile(path)))
            }
            _ => Err(root.kept_beside(self.parent, path, &beside)),
        }
    }

    /// Gives the complete file the name of one that may be another program's a moment later.
    fn rename_to_swap(&mut self) -> nix::Result<()> {
        let swap = swap_name(&self.name);
        renameat(self.parent, self.name.as_str(), self.parent, swap.as_str())?;
        self.name = swap;
        Ok(())
    }

    fn rename_over(&mut self, path: &RootedPath) -> nix::Result<()> {
        renameat(self.parent, self.name.as_str(), self.parent, &*path.file_name())?;
        self.renamed = true;
        Ok(())
    }

    /// Returns what a name in the directory stands for, whatever is done to its content.
    fn identity(&self, name: &str) -> nix::Result<(u64, u64)> {
        let stat = fstatat(self.parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok((stat.st_dev, stat.st_ino))
    }
}

impl Root {
    /// Checks that a file that was just written holds its bytes: a file system may say that it has taken what it has not.
    pub(super) fn check_written(
        &self,
        parent: &OwnedFd,
        path: &RootedPath,
        name: &str,
        bytes: &[u8],
    ) -> Result<()> {
        match self.look_in(parent, &path.beside(name))? {
            PathState::File { bytes: there, .. } if there == bytes => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Failed,
                format!("{} was written, but reads back different", self.display(path)),
            )
            .hint("the file system reported a write that it did not store: check the disk")),
        }
    }

    /// Removes the file or symlink at `path`, if it is `expected`.
    pub(super) fn take_away(
        &self,
        parent: &OwnedFd,
        path: &RootedPath,
        expected: Expected<'_>,
    ) -> Result<()> {
        let failed = |errno| self.failed("remove", path, errno);
        if let PathState::Absent = self.check_expected(parent, path, expected)? {
            return Ok(());
        }
        let taken = TemporaryFile::make(parent, path, TemporaryEnding::Swap, |name| {
            NameIn { dir: parent, name: &path.file_name() }
                .rename_if_free(NameIn { dir: parent, name: name.as_ref() })
        });
        let mut taken = match taken {
            Err(Errno::ENOENT) => return Err(self.changed_meanwhile(path)),
            other => other.map_err(failed)?,
        };
        // Until it is known what it is, nothing removes it.
        taken.renamed = true;
        let beside = path.beside(&taken.name);
        let looked = self.look_in(parent, &beside).map(|old| expected.includes(&old));
        if let Ok(true) = looked {
            return unlinkat(parent, taken.name.as_str(), UnlinkatFlags::NoRemoveDir).map_err(failed);
        }
        Err(match rename_to_free(parent, taken.name.as_ref(), &path.file_name()) {
            Ok(_) => looked.err().unwrap_or_else(|| self.changed_meanwhile(path)),
            Err(_) => self.kept_beside(parent, path, &beside),
        })
    }

    /// Keeps what another program has saved twice while one file was put at its place, under a name that no run sweeps
    /// away; returns the error that names it.
    fn kept_beside(&self, parent: &OwnedFd, path: &RootedPath, beside: &RootedPath) -> Error {
        let name = format!("{}.saved", beside.name());
        let kept = match rename_to_free(parent, &beside.file_name(), name.as_ref()) {
            Ok(_) => path.beside(&name),
            Err(_) => beside.clone(),
        };
        let (path, beside) = (self.display(path), self.display(&kept));
        let message =
            format!("{path} was changed by another program during this run: its version is kept as {beside}");
        Error::new(ErrorKind::HalfChanged, message).hint(format!("compare the two: diff {path} {beside}"))
    }
}

/// The same as [`NameIn::rename_to_free`] in one directory.
fn rename_to_free(dir: &OwnedFd, from: &OsStr, to: &OsStr) -> nix::Result<Option<Errno>> {
    NameIn { dir, name: from }.rename_to_free(NameIn { dir, name: to })
}
