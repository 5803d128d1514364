// SPDX-License-Identifier: Apache-2.0
//! Whether a component can make a folder, as `os.MkdirAll` does: it goes through symlinks to folders, and replaces nothing.

use crate::error::Result;
use crate::node::{EntryKind, PathKind, Root, RootedPath};

/// Where nobody makes files and folders: file systems of the kernel, and devices.
const PSEUDO: [&str; 3] = ["/proc", "/sys", "/dev/null"];

pub(super) const NO_ENTRY: &str = "no such file or directory";
pub(super) const NO_DIRECTORY: &str = "not a directory";

/// What is in the way of a folder.
pub(super) struct FolderObstacle {
    /// The part of the path.
    pub(super) part: RootedPath,
    /// Go's reason.
    pub(super) reason: &'static str,
}

impl FolderObstacle {
    /// Returns what is in the way of a folder; none if it is there, or can be made.
    ///
    /// # Errors
    /// If something on the way cannot be looked at.
    pub(super) fn find(root: &Root, folder: &RootedPath) -> Result<Option<Self>> {
        let mut above = vec![folder.clone()];
        above.extend(std::iter::successors(folder.parent(), RootedPath::parent));
        for part in above.iter().rev().filter(|part| part.parent().is_some()) {
            let found = |reason| Ok(Some(Self { part: part.clone(), reason }));
            if PSEUDO.contains(&part.as_str()) {
                return found(NO_ENTRY);
            }
            match root.kind(part)? {
                PathKind::Directory => {}
                PathKind::Absent if !is_symlink(root, part)? => return Ok(None),
                PathKind::Absent | PathKind::Loop => return found("file exists"),
                PathKind::File | PathKind::Other | PathKind::BelowFile => return found(NO_DIRECTORY),
            }
        }
        Ok(None)
    }
}

fn is_symlink(root: &Root, path: &RootedPath) -> Result<bool> {
    Ok(root.entry(path)?.is_some_and(|entry| entry.kind == EntryKind::Symlink))
}
