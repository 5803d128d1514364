//! A directory: one of ours with an exact mode, or one on the way to ours, which is left as it is.

use super::resource::{Change, metadata_diff};
use crate::error::{Error, ErrorKind, Result};
use crate::node::{Metadata, PathState, Root, RootedPath};
use crate::profile::ControlId;

/// The desired state of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Where.
    pub path: RootedPath,
    /// Its mode and owner.
    pub metadata: Metadata,
    /// When they count.
    pub rule: DirectoryRule,
    /// The controls that it serves.
    pub controls: Vec<ControlId>,
}

/// What is wanted of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryRule {
    /// That it is there, with its mode and owner.
    Exact,
    /// That it is there; mode and owner are ours to say only if we make it.
    OnTheWay,
    /// That it is not there. One with something in it stays.
    Gone,
}

impl Directory {
    /// Looks at what is there. A symlink to a directory inside the root is that directory.
    ///
    /// # Errors
    /// Where something else than a directory is in the way.
    pub fn observe(&self, root: &Root) -> Result<PathState> {
        self.judge(root, root.look(&self.path)?)
    }

    /// The same without attributes.
    ///
    /// # Errors
    /// As for [`Directory::observe`].
    pub fn glance(&self, root: &Root) -> Result<PathState> {
        self.judge(root, root.glance(&self.path)?)
    }

    fn judge(&self, root: &Root, node: PathState) -> Result<PathState> {
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

    /// Compares it with what is there.
    #[must_use]
    pub fn diff(&self, current: &PathState) -> (Change, String) {
        match (current, self.rule) {
            (PathState::Directory { .. }, DirectoryRule::Gone) => (Change::Remove, "-directory\n".to_owned()),
            (PathState::Directory { mode, owner, attributes }, DirectoryRule::Exact)
                if !self.metadata.fits(*mode, *owner, attributes) =>
            {
                (Change::Metadata, metadata_diff(*mode, *owner, attributes, &self.metadata))
            }
            (PathState::Directory { .. }, _) | (_, DirectoryRule::Gone) => (Change::None, String::new()),
            _ => (Change::Create, format!("+mode {} owner {}\n", self.metadata.mode, self.metadata.owner)),
        }
    }

    /// Makes it, gives it its mode and owner, or removes it if it is empty; returns what to say of one that is not.
    ///
    /// # Errors
    /// Where that fails.
    pub fn apply(&self, root: &Root, change: Change) -> Result<Option<String>> {
        match change {
            Change::Create => root.make_directory(&self.path, &self.metadata)?,
            Change::Remove => {
                let removed = root.remove_empty_directory(&self.path)?;
                return Ok(
                    (!removed).then(|| format!("{} stays: it is not empty, or leads elsewhere", self.path))
                );
            }
            _ => root.set_metadata(&self.path, &self.metadata, true)?,
        }
        Ok(None)
    }

    /// Returns it as it was.
    #[must_use]
    pub fn as_it_was(&self, before: &PathState) -> Self {
        match before {
            PathState::Directory { mode, owner, attributes } => {
                let metadata = Metadata { mode: *mode, owner: *owner, attributes: Some(attributes.clone()) };
                Self { metadata, rule: DirectoryRule::Exact, ..self.clone() }
            }
            _ => Self { rule: DirectoryRule::Gone, ..self.clone() },
        }
    }

    /// Returns what it should be.
    #[must_use]
    pub fn wanted(&self) -> PathState {
        let Metadata { mode, owner, attributes } = self.metadata.clone();
        match self.rule {
            DirectoryRule::Gone => PathState::Absent,
            _ => PathState::Directory { mode, owner, attributes: attributes.unwrap_or_default() },
        }
    }
}
