// SPDX-License-Identifier: Apache-2.0
//! Everything about a file or directory but its content.

use super::attributes::Attributes;
use crate::mode::{FileMode, Owner};

/// Everything about a file or directory but its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Mode.
    pub mode: FileMode,
    /// Owner and group.
    pub owner: Owner,
    /// Exactly these extended attributes; none if only the labels of what is replaced are kept.
    pub attributes: Option<Attributes>,
}

impl Metadata {
    /// Private to `owner`.
    #[must_use]
    pub fn private_file(owner: Owner) -> Self {
        Self { mode: FileMode::PRIVATE_FILE, owner, attributes: None }
    }

    /// Private to `owner`.
    #[must_use]
    pub fn private_directory(owner: Owner) -> Self {
        Self { mode: FileMode::PRIVATE_DIRECTORY, owner, attributes: None }
    }

    /// Tells whether something with `other` would have to be changed.
    #[must_use]
    pub fn fits(&self, mode: FileMode, owner: Owner, attributes: &Attributes) -> bool {
        let exact = self.attributes.as_ref();
        (self.mode, self.owner) == (mode, owner) && exact.is_none_or(|exact| exact == attributes)
    }
}
