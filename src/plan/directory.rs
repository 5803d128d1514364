// SPDX-License-Identifier: Apache-2.0
//! A directory: one with an exact mode, or a parent of one, which is left as it is.

use super::change::{Change, metadata_diff};
use crate::error::{Error, ErrorKind, Result};
use crate::node::{Expected, Metadata, PathState, Root, RootedPath};
use crate::profile::ControlId;

/// The desired state of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Its path.
    pub path: RootedPath,
    /// Its mode and owner.
    pub metadata: Metadata,
    /// The rule for it.
    pub rule: DirectoryRule,
    /// The controls that it implements.
    pub controls: Vec<ControlId>,
}

/// The desired state of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryRule {
    /// It exists, with its mode and owner.
    Exact,
    /// It exists; its mode and owner are set only if it is created.
    Parent,
    /// It does not exist. One that is not empty stays.
    Absent,
}

impl Directory {
    /// Reads its state. A symlink to a directory inside the root counts as that directory.
    ///
    /// # Errors
    /// If something other than a directory is in its place.
    pub fn observe(&self, root: &Root) -> Result<PathState> {
        self.check(root, root.look(&self.path)?)
    }

    /// The same without attributes.
    ///
    /// # Errors
    /// As for [`Directory::observe`].
    pub fn observe_without_attributes(&self, root: &Root) -> Result<PathState> {
        self.check(root, root.look_without_attributes(&self.path)?)
    }

    fn check(&self, root: &Root, node: PathState) -> Result<PathState> {
        let in_the_way = |node: &PathState| {
            !matches!(node, PathState::Absent | PathState::Directory { .. } | PathState::Symlink { .. })
        };
        if in_the_way(&node) {
            let message = format!("{} is not a directory", root.display(&self.path));
            return Err(
                Error::new(ErrorKind::CannotWrite, message).hint("move it away: K3s needs a directory there")
            );
        }
        if let PathState::Symlink { .. } = node { root.look_directory(&self.path) } else { Ok(node) }
    }

    /// Compares it with its state on the node.
    #[must_use]
    pub fn diff(&self, current: &PathState) -> (Change, String) {
        match (current, self.rule) {
            (PathState::Directory { .. }, DirectoryRule::Absent) => {
                (Change::Remove, "-directory\n".to_owned())
            }
            (PathState::Directory { mode, owner, attributes }, DirectoryRule::Exact)
                if !self.metadata.fits(*mode, *owner, attributes) =>
            {
                (Change::Metadata, metadata_diff(*mode, *owner, attributes, &self.metadata))
            }
            (PathState::Directory { .. }, _) | (_, DirectoryRule::Absent) => (Change::None, String::new()),
            _ => (Change::Create, format!("+mode {} owner {}\n", self.metadata.mode, self.metadata.owner)),
        }
    }

    /// Creates it, sets its mode and owner, or removes it if it is empty; returns a warning if it is not.
    ///
    /// # Errors
    /// If that fails; [`ErrorKind::ChangedMeanwhile`] if something else than `expected` is there by now.
    pub fn apply(&self, root: &Root, change: Change, expected: Expected<'_>) -> Result<Option<String>> {
        match change {
            Change::Create => root.make_directory_if(&self.path, &self.metadata, expected)?,
            Change::Remove => {
                let removed = root.remove_empty_directory(&self.path)?;
                return Ok(
                    (!removed).then(|| format!("{} stays: it is not empty, or leads elsewhere", self.path))
                );
            }
            _ => root.set_metadata_if(&self.path, &self.metadata, true, expected)?,
        }
        Ok(None)
    }

    /// Returns it with `state` as its desired state.
    #[must_use]
    pub fn restored_to(&self, state: &PathState) -> Self {
        match state {
            PathState::Directory { mode, owner, attributes } => {
                let metadata = Metadata { mode: *mode, owner: *owner, attributes: Some(attributes.clone()) };
                Self { metadata, rule: DirectoryRule::Exact, ..self.clone() }
            }
            _ => Self { rule: DirectoryRule::Absent, ..self.clone() },
        }
    }

    /// Returns its desired state.
    #[must_use]
    pub fn desired_state(&self) -> PathState {
        let Metadata { mode, owner, attributes } = self.metadata.clone();
        match self.rule {
            DirectoryRule::Absent => PathState::Absent,
            _ => PathState::Directory { mode, owner, attributes: attributes.unwrap_or_default() },
        }
    }
}
