// SPDX-License-Identifier: Apache-2.0
//! What some file systems cannot do, so that less is promised there. It is said here, once a run.

use std::cell::RefCell;
use std::collections::BTreeSet;

use nix::errno::Errno;
use tracing::warn;

use super::path::RootedPath;

/// Something that a file system cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WeakerPromise {
    /// It does not sync files.
    FileSync,
    /// It does not sync directories.
    DirectorySync,
    /// It does not refuse to move a directory where there is one: `renameat2` takes no flags.
    FreeName,
    /// It does not exchange two names: `renameat2` takes no flags.
    SecondLook,
}

impl WeakerPromise {
    fn consequence(self) -> &'static str {
        match self {
            Self::FileSync => {
                "it cannot sync files, so a power failure soon after this run may leave them incomplete"
            }
            Self::DirectorySync => {
                "it cannot sync directories, so a power failure soon after this run may undo part of the run"
            }
            Self::FreeName => {
                "it cannot rename without replacing, so an empty directory that another program creates there at the same moment is replaced"
            }
            Self::SecondLook => {
                "it cannot exchange two names, so a change that another program saves at the moment of a replacement is lost"
            }
        }
    }
}

/// What has been said in this run.
#[derive(Debug, Default)]
pub(super) struct SaidOnce {
    promises: RefCell<BTreeSet<WeakerPromise>>,
    paths: RefCell<BTreeSet<String>>,
}

impl SaidOnce {
    /// Tells whether a path is named for the first time: one run may come upon a file that stays more than once.
    pub(super) fn is_first(&self, path: &str) -> bool {
        self.paths.borrow_mut().insert(path.to_owned())
    }

    /// Warns, for the first path that it is met at, that a promise does not hold on the file system of `path`, which
    /// `display` shows.
    pub(super) fn say(
        &self,
        promise: WeakerPromise,
        path: &RootedPath,
        errno: Errno,
        display: impl Fn(&RootedPath) -> String,
    ) {
        if self.promises.borrow_mut().insert(promise) {
            let (consequence, path) = (promise.consequence(), display(&lasting(path)));
            warn!("the file system of {path} lacks a guarantee: {consequence} ({})", errno.desc());
        }
    }
}

/// Returns the directory that a path is in, above all hidden ones: a temporary name is nothing to look for after the run.
fn lasting(path: &RootedPath) -> RootedPath {
    let is_hidden = |above: &RootedPath| above.name().starts_with('.');
    let mut above = path.parent();
    while let Some(hidden) = above.as_ref().filter(|above| is_hidden(above)) {
        above = hidden.parent();
    }
    above.unwrap_or_else(|| path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_that_stays() {
        for (path, place) in [
            ("/etc/sysctl.d/90-kubelet.conf", "/etc/sysctl.d"),
            ("/var/lib/tool/runs/.0001.abc.tmp/journal.json", "/var/lib/tool/runs"),
            ("/var/lib/tool/.x.tmp", "/var/lib/tool"),
            ("/", "/"),
        ] {
            assert_eq!(lasting(&RootedPath::fixed(path)).as_str(), place);
        }
    }
}
