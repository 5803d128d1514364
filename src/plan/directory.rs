//! A directory: one of ours with an exact mode, or one on the way to ours, which is left as it is.

use super::resource::Change;
use crate::error::{Error, Kind, Result};
use crate::node::{FileMode, Node, Owner, Root, RootedPath};
use crate::profile::ControlId;

/// The desired state of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Where.
    pub path: RootedPath,
    /// Its mode, if we make it, or always if `exact`.
    pub mode: FileMode,
    /// Its owner, likewise.
    pub owner: Owner,
    /// Whether mode and owner are ours to say when it is there already.
    pub exact: bool,
    /// The controls that it serves.
    pub controls: Vec<ControlId>,
}

impl Directory {
    /// Looks at what is there. A symlink to a directory inside the root is that directory.
    ///
    /// # Errors
    /// Where something else than a directory is in the way.
    pub fn observe(&self, root: &Root) -> Result<Node> {
        let in_the_way =
            |node: &Node| !matches!(node, Node::Absent | Node::Directory { .. } | Node::Symlink { .. });
        let node = root.look(&self.path)?;
        if in_the_way(&node) {
            let message = format!("{} is not a directory", root.display(&self.path));
            return Err(
                Error::new(Kind::CannotWrite, message).hint("move it away: K3s needs a directory there")
            );
        }
        if let Node::Symlink { .. } = node { root.look_directory(&self.path) } else { Ok(node) }
    }

    /// Compares it with what is there.
    #[must_use]
    pub fn diff(&self, current: &Node) -> (Change, String) {
        match current {
            Node::Directory { mode, owner } if self.exact && (*mode, *owner) != (self.mode, self.owner) => {
                (Change::Metadata, metadata_diff((*mode, *owner), (self.mode, self.owner)))
            }
            Node::Directory { .. } => (Change::None, String::new()),
            _ => (Change::Create, format!("+mode {} owner {}\n", self.mode, self.owner)),
        }
    }

    /// Makes it, or gives it its mode and owner.
    ///
    /// # Errors
    /// Where that fails.
    pub fn apply(&self, root: &Root, change: Change) -> Result<()> {
        match change {
            Change::Create => root.make_directory(&self.path, self.mode, self.owner),
            _ => root.set_metadata(&self.path, self.mode, self.owner, true),
        }
    }

    /// Removes it if it is empty, or gives it back its mode and owner.
    ///
    /// # Errors
    /// Where that fails.
    pub fn revert(&self, root: &Root, before: &Node) -> Result<()> {
        match before {
            Node::Directory { mode, owner } => root.set_metadata(&self.path, *mode, *owner, true),
            _ => root.remove_empty_directory(&self.path).map(drop),
        }
    }
}

/// Describes a change of mode or owner.
pub(super) fn metadata_diff(before: (FileMode, Owner), after: (FileMode, Owner)) -> String {
    let mut text = String::new();
    if before.0 != after.0 {
        text.push_str(&format!("-mode {}\n+mode {}\n", before.0, after.0));
    }
    if before.1 != after.1 {
        text.push_str(&format!("-owner {}\n+owner {}\n", before.1, after.1));
    }
    text
}
