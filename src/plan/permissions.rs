// SPDX-License-Identifier: Apache-2.0
//! Mode and owner of a file or directory that K3s made: its content is never read, copied or written.

use super::change::{Change, metadata_diff};
use crate::error::Result;
use crate::mode::{FileMode, Owner};
use crate::node::{Attributes, EntryKind, Metadata, PathState, Root, RootedPath};
use crate::profile::ControlId;

/// The desired mode and owner of something that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// Its path.
    pub path: RootedPath,
    /// Its mode.
    pub mode: FileMode,
    /// Its owner.
    pub owner: Owner,
    /// The controls that it implements.
    pub controls: Vec<ControlId>,
}

impl Permissions {
    /// Looks at what is there: its mode and owner; else that there is nothing, or what is neither a file nor a directory, such
    /// as a symlink.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn observe(&self, root: &Root) -> Result<std::result::Result<(FileMode, Owner), PathState>> {
        Ok(match root.entry(&self.path)? {
            None => Err(PathState::Absent),
            Some(entry) => match entry.kind {
                EntryKind::File | EntryKind::Directory => Ok((entry.mode, entry.owner)),
                EntryKind::Symlink | EntryKind::Other => Err(PathState::Other),
            },
        })
    }

    /// Compares it with the mode and owner on the node.
    #[must_use]
    pub fn diff(&self, mode: FileMode, owner: Owner) -> (Change, String) {
        let wanted = Metadata { mode: self.mode, owner: self.owner, attributes: None };
        let diff = metadata_diff(mode, owner, &Attributes::new(), &wanted);
        if diff.is_empty() { (Change::None, diff) } else { (Change::Metadata, diff) }
    }

    /// Sets mode and owner, if what is there still has those of `before`.
    ///
    /// # Errors
    /// If that fails; [`crate::ErrorKind::ChangedMeanwhile`] if something else is there by now.
    pub fn apply(&self, root: &Root, before: (FileMode, Owner)) -> Result<()> {
        root.set_permissions_if(&self.path, (self.mode, self.owner), before)
    }

    /// Returns it with another mode and owner as its desired state.
    #[must_use]
    pub fn restored_to(&self, mode: FileMode, owner: Owner) -> Self {
        Self { mode, owner, ..self.clone() }
    }
}
