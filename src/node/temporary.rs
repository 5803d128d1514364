// SPDX-License-Identifier: Apache-2.0
//! Hidden files beside the files that they will replace, and the removal of those that a killed run has left.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use nix::fcntl::{OFlag, openat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};
use tracing::{debug, warn};

use super::errno::errno_of;
use super::path::RootedPath;
use super::root::{PathState, Root};
use crate::error::Result;
use crate::mode::FileMode;

impl Root {
    /// Removes what a killed run has left beside `path`: hidden files of the kind that [`Root::replace`] makes.
    ///
    /// # Errors
    /// If one is there and cannot be removed.
    pub fn remove_temporaries_of(&self, path: &RootedPath) -> Result<()> {
        self.remove_temporaries_if(path, |_| true).map(drop)
    }

    /// The same for those that `is_ours` knows: a run may be killed in the moment in which a hidden file is what another
    /// program has just saved. Returns those that stay; each is named once a run.
    ///
    /// # Errors
    /// If one is there and cannot be looked at or removed.
    pub fn remove_temporaries_if(
        &self,
        path: &RootedPath,
        is_ours: impl Fn(&PathState) -> bool,
    ) -> Result<Vec<RootedPath>> {
        let mut kept = Vec::new();
        let Some(folder) = path.parent() else { return Ok(kept) };
        for name in self.names(&folder)? {
            let Some(ending) = ending_of(path.name(), &name) else { continue };
            let beside = folder.join(&name);
            if ending == TemporaryEnding::Tmp || is_ours(&self.look(&beside)?) {
                debug!(path = %beside, "left by a killed run");
                self.remove_file(&beside)?;
            } else {
                if self.said.is_first(beside.as_str()) {
                    warn!(
                        "{} is kept: another program saved it while a run was killed",
                        self.display(&beside)
                    );
                }
                kept.push(beside);
            }
        }
        Ok(kept)
    }
}

/// How the name of a hidden file ends. K3s reads hidden *.yaml too, so none may end that way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TemporaryEnding {
    /// It is being written: whatever is in it, it is ours.
    Tmp,
    /// It is complete, and changes places with the file that it replaces, or is one that is about to be removed: it may be
    /// what another program has saved a moment ago.
    Swap,
}

impl TemporaryEnding {
    fn text(self) -> &'static str {
        match self {
            Self::Tmp => ".tmp",
            Self::Swap => ".swap",
        }
    }
}

/// Returns the name that the temporary file `name` gets when it is complete.
pub(super) fn swap_name(name: &str) -> String {
    format!(
        "{}{}",
        name.strip_suffix(TemporaryEnding::Tmp.text()).unwrap_or(name),
        TemporaryEnding::Swap.text()
    )
}

/// How many random characters the name of a temporary file has.
const RANDOM_CHARACTERS: usize = 8;

/// Returns how `name` ends, if it is one that a [`TemporaryFile`] for `target` could have.
fn ending_of(target: &str, name: &str) -> Option<TemporaryEnding> {
    let name = name.strip_prefix('.').and_then(|name| name.strip_prefix(target)?.strip_prefix('.'))?;
    let ending = |ending: &TemporaryEnding| {
        let random = name.strip_suffix(ending.text());
        random.is_some_and(|random| {
            random.chars().count() == RANDOM_CHARACTERS && random.chars().all(char::is_alphanumeric)
        })
    };
    [TemporaryEnding::Tmp, TemporaryEnding::Swap].into_iter().find(ending)
}

/// A hidden file or symlink beside its target; removed again unless it was renamed.
pub(super) struct TemporaryFile<'a, F = File> {
    pub(super) parent: &'a OwnedFd,
    pub(super) name: String,
    pub(super) file: F,
    /// Whether nothing that may be removed has the name any more.
    pub(super) renamed: bool,
}

impl<'a> TemporaryFile<'a> {
    pub(super) fn create(parent: &'a OwnedFd, path: &RootedPath, mode: FileMode) -> nix::Result<Self> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Self::make(parent, path, TemporaryEnding::Tmp, |name| {
            openat(parent, name, flags, mode.to_nix()).map(File::from)
        })
    }
}

impl<'a> TemporaryFile<'a, ()> {
    pub(super) fn symlink(parent: &'a OwnedFd, path: &RootedPath, target: &OsStr) -> nix::Result<Self> {
        Self::make(parent, path, TemporaryEnding::Tmp, |name| symlinkat(target, parent, name))
    }
}

impl<'a, F> TemporaryFile<'a, F> {
    pub(super) fn make(
        parent: &'a OwnedFd,
        path: &RootedPath,
        ending: TemporaryEnding,
        make: impl Fn(&str) -> nix::Result<F>,
    ) -> nix::Result<Self> {
        let mut name = String::new();
        let file = tempfile::Builder::new()
            .prefix(&format!(".{}.", path.name()))
            .suffix(ending.text())
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
        let temporary = TemporaryFile::create(&parent, &path, FileMode::PRIVATE_FILE).unwrap();
        let names: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, std::slice::from_ref(&temporary.name));
        // K3s reads every *.yaml, hidden or not.
        assert!(names[0].starts_with(".config.yaml.") && names[0].ends_with(".tmp"), "{names:?}");
        assert_eq!(ending_of("config.yaml", &names[0]), Some(TemporaryEnding::Tmp));
        assert_eq!(ending_of("config.yaml", &swap_name(&names[0])), Some(TemporaryEnding::Swap));
        assert_eq!(ending_of("onfig.yaml", &names[0]), None);
        drop(temporary);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let path = RootedPath::fixed("/x.yaml");
        let others = [".x.yaml.tmp", ".x.yaml.12345678.bak", ".x.yaml.1234567-.tmp", "x.yaml.12345678.tmp"];
        for name in others.iter().chain(&[".x.yaml.aB345678.tmp", ".x.yaml.aB345678.swap"]) {
            fs::write(dir.path().join(name), "").unwrap();
        }
        root.remove_temporaries_of(&path).unwrap();
        let mut left = root.names(&RootedPath::fixed("/")).unwrap();
        left.sort();
        let mut others = others.to_vec();
        others.sort_unstable();
        assert_eq!(left, others);
    }
}
