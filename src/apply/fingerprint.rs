// SPDX-License-Identifier: Apache-2.0
//! What tells two states of a resource apart, without their bytes: labels do not count, the system's policy decides these.

use super::saved_state::{SavedState, content};
use crate::mode::{FileMode, Owner};
use crate::node::{PathState, Root, sha256};
use crate::plan::CurrentState;

/// The state of a resource, its bytes as their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fingerprint {
    /// Nothing.
    Absent,
    /// A file.
    File(FileMode, Owner, String),
    /// A directory.
    Directory(FileMode, Owner),
    /// A symlink, with the digest of its target.
    Symlink(Owner, String),
    /// The value of a kernel parameter.
    Value(String),
    /// Mode and owner of something whose content is not looked at.
    Permissions(FileMode, Owner),
    /// What is not known: a backup that is damaged, in a record without digests. It differs from all others.
    Unknown(u32, String),
}

impl Fingerprint {
    /// Returns that of a state on the node.
    pub(super) fn of(state: &CurrentState) -> Self {
        let digest = || content(state).map(sha256).unwrap_or_default();
        match state {
            CurrentState::Path(PathState::File { mode, owner, .. }) => Self::File(*mode, *owner, digest()),
            CurrentState::Path(PathState::Directory { mode, owner, .. }) => Self::Directory(*mode, *owner),
            CurrentState::Path(PathState::Symlink { owner, .. }) => Self::Symlink(*owner, digest()),
            CurrentState::Path(PathState::Absent) => Self::Absent,
            CurrentState::Value(value) => Self::Value(value.clone()),
            CurrentState::Permissions(mode, owner) => Self::Permissions(*mode, *owner),
            CurrentState::Path(PathState::Other | PathState::Large { .. }) | CurrentState::Unreadable(_) => {
                Self::Unknown(0, String::new())
            }
        }
    }

    /// Returns that of a state in the record of run `id`; bytes are read only if the record has no digest of them.
    pub(super) fn of_saved(root: &Root, id: u32, saved: &SavedState) -> Self {
        match (saved, saved.digest()) {
            (SavedState::File { mode, owner, .. }, Some(digest)) => {
                Self::File(*mode, *owner, digest.to_owned())
            }
            (SavedState::Symlink { owner, .. }, Some(digest)) => Self::Symlink(*owner, digest.to_owned()),
            _ => match saved.load(root, id) {
                Ok(state) => Self::of(&state),
                Err(_) => Self::Unknown(id, saved.backup().unwrap_or_default().to_owned()),
            },
        }
    }

    /// Returns the digest of its bytes; none if it has none.
    pub(super) fn bytes(&self) -> Option<&str> {
        match self {
            Self::File(.., digest) | Self::Symlink(_, digest) => Some(digest),
            _ => None,
        }
    }
}
