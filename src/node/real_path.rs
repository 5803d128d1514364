// SPDX-License-Identifier: Apache-2.0
//! Where a path leads when all symlinks on the way are followed, inside the root.

use super::entry::EntryKind;
use super::path::RootedPath;
use super::root::{PathState, Root};
use crate::error::Result;

/// How many symlinks are followed on the way, as in the kernel.
const MAX_SYMLINKS: usize = 40;

impl Root {
    /// Returns the path that `path` leads to. What does not exist yet leads to itself; a circle of symlinks too.
    ///
    /// # Errors
    /// If something on the way cannot be looked at.
    pub fn real_path(&self, path: &RootedPath) -> Result<RootedPath> {
        let parts = |text: &str| text.split('/').rev().map(str::to_owned).collect::<Vec<_>>();
        let top = RootedPath::fixed("/");
        // The next part comes last.
        let (mut left, mut at, mut symlinks) = (parts(path.as_str()), top.clone(), 0);
        while let Some(part) = left.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    at = at.parent().unwrap_or(at);
                    continue;
                }
                _ => {}
            }
            let next = at.join(&part);
            match self.link_at(&next)? {
                Some(_) if symlinks == MAX_SYMLINKS => return Ok(path.clone()),
                Some(target) => {
                    symlinks += 1;
                    if target.starts_with('/') {
                        at = top.clone();
                    }
                    left.extend(parts(&target));
                }
                None => at = next,
            }
        }
        Ok(at)
    }

    /// Returns where the symlink at `path` points; none if there is none.
    fn link_at(&self, path: &RootedPath) -> Result<Option<String>> {
        if self.entry(path)?.is_none_or(|entry| entry.kind != EntryKind::Symlink) {
            return Ok(None);
        }
        match self.look_without_attributes(path)? {
            // A name that is no UTF-8 is none of ours.
            PathState::Symlink { target, .. } => Ok(target.into_string().ok()),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests build their roots by hand")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn symlinks_are_followed_inside_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let (base, root) = (folder.path(), Root::open(folder.path()).unwrap());
        fs::create_dir_all(base.join("var/lib/k3s")).unwrap();
        fs::create_dir(base.join("etc")).unwrap();
        symlink("/etc", base.join("var/lib/k3s/server")).unwrap();
        symlink("../../../../../var/lib/own/data", base.join("var/data")).unwrap();
        symlink("circle", base.join("circle")).unwrap();
        for (path, real) in [
            ("/var/lib/k3s", "/var/lib/k3s"),
            ("/var/lib/k3s/server", "/etc"),
            ("/var/lib/k3s/server/x/y", "/etc/x/y"),
            ("/var/data/k3s", "/var/lib/own/data/k3s"),
            ("/circle/x", "/circle/x"),
            ("/", "/"),
        ] {
            assert_eq!(root.real_path(&RootedPath::fixed(path)).unwrap().as_str(), real, "{path}");
        }
    }
}
