// SPDX-License-Identifier: Apache-2.0
//! What a run changes: a resource, with its state before the run and after it.

use serde::{Deserialize, Serialize};

use super::saved_state::SavedState;
use crate::error::Result;
use crate::mode::{FileMode, Owner};
use crate::node::{Metadata, PathState, Root, RootedPath, SysctlKey, sysctl};
use crate::plan::{
    Content, CurrentState, Directory, DirectoryRule, File, Permissions, Resource, ResourceKind, Sysctl,
};

/// A resource that a run changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEntry {
    /// Its path.
    pub path: String,
    /// Its kind.
    pub resource: ResourceKind,
    /// Its state before the run.
    pub before: SavedState,
    /// Its state after the run.
    pub after: SavedState,
}

impl RunEntry {
    /// Returns its states before and after the run.
    pub(super) fn states(&self) -> [&SavedState; 2] {
        [&self.before, &self.after]
    }

    /// Tells whether the entry applies to this root: the running kernel is not an image's.
    pub(super) fn concerns(&self, root: &Root) -> bool {
        root.is_live() || self.resource != ResourceKind::Sysctl
    }

    /// Returns what is at its path now; none for a kernel parameter that could not be read before the run.
    ///
    /// # Errors
    /// If the record is damaged, or the path cannot be looked at.
    pub(super) fn observe(&self, root: &Root) -> Result<Option<CurrentState>> {
        if self.before == SavedState::Unknown {
            return Ok(None);
        }
        let path = RootedPath::recorded(&self.path)?;
        match self.resource {
            // Whatever somebody has put there: a directory is no error here.
            ResourceKind::File => root.look(&path).map(|now| Some(CurrentState::Path(now))),
            ResourceKind::Directory => {
                let now = root.look(&path)?;
                let is_link = matches!(now, PathState::Symlink { .. });
                let led = if is_link { root.look_directory(&path).unwrap_or(now) } else { now };
                Ok(Some(CurrentState::Path(led)))
            }
            ResourceKind::Permissions => {
                Resource::Permissions(bare_permissions(path)).observe(root).map(Some)
            }
            ResourceKind::Sysctl => {
                let value = sysctl::read(&SysctlKey::of_file(&self.path)?);
                Ok(Some(value.map_or_else(CurrentState::Unreadable, CurrentState::Value)))
            }
        }
    }

    /// Returns the resource with `current`, one of the entry's two states, as its desired state; none for a kernel
    /// parameter that could not be read.
    ///
    /// # Errors
    /// If the record is damaged.
    pub(super) fn resource(&self, current: &CurrentState) -> Result<Option<Resource>> {
        let metadata = Metadata::private_file(Owner::ROOT);
        let path = RootedPath::recorded(&self.path)?;
        let bare = match self.resource {
            ResourceKind::Directory => Resource::Directory(Directory {
                path,
                metadata,
                rule: DirectoryRule::Absent,
                controls: Vec::new(),
            }),
            ResourceKind::Sysctl => Resource::Sysctl(Sysctl {
                key: SysctlKey::of_file(&self.path)?,
                value: String::new(),
                controls: Vec::new(),
            }),
            ResourceKind::Permissions => Resource::Permissions(bare_permissions(path)),
            ResourceKind::File => {
                Resource::File(File { path, metadata, content: Content::Absent, controls: Vec::new() })
            }
        };
        Ok(bare.restored_to(current))
    }
}

/// Returns the resource for a path, whose mode and owner come from a state of the entry.
fn bare_permissions(path: RootedPath) -> Permissions {
    Permissions { path, mode: FileMode::PRIVATE_FILE, owner: Owner::ROOT, controls: Vec::new() }
}
