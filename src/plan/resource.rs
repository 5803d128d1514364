//! The nouns as one type, and what can happen to one.

use serde::Serialize;

use super::{Directory, File, Sysctl};
use crate::error::Result;
use crate::node::{Node, Root, RootedPath};
use crate::profile::ControlId;

/// Something of the node that has a desired state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A directory.
    Directory(Directory),
    /// A file.
    File(File),
    /// A kernel parameter of the running system.
    Sysctl(Sysctl),
}

/// What a resource is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Current {
    /// What stands at its path.
    Node(Node),
    /// The value of the kernel parameter, or why it cannot be read.
    Value(std::result::Result<String, String>),
}

/// What has to happen to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Nothing: it is as desired.
    None,
    /// It is not there yet.
    Create,
    /// Its content differs.
    Update,
    /// Only its mode or owner differs.
    Metadata,
    /// It is ours and no longer wanted.
    Remove,
}

/// A resource with what it is now and what has to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The resource.
    pub resource: Resource,
    /// What it was when the plan was made.
    pub before: Current,
    /// What has to happen.
    pub change: Change,
    /// The same for a reader: a unified diff, or a line or two; empty for [`Change::None`].
    pub diff: String,
}

impl Resource {
    /// Returns where it is: a path of the node.
    #[must_use]
    pub fn path(&self) -> RootedPath {
        match self {
            Self::Directory(directory) => directory.path.clone(),
            Self::File(file) => file.path.clone(),
            Self::Sysctl(sysctl) => RootedPath::fixed(&sysctl.key.file()),
        }
    }

    /// Returns the noun, as the JSON output has it.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            Self::File(_) => "file",
            Self::Sysctl(_) => "sysctl",
        }
    }

    /// Returns the exact mode; a kernel parameter has none.
    #[must_use]
    pub fn mode(&self) -> Option<String> {
        match self {
            Self::Directory(directory) => Some(directory.mode.to_string()),
            Self::File(file) => Some(file.mode.to_string()),
            Self::Sysctl(_) => None,
        }
    }

    /// Returns the benchmark's numbers of the controls that it serves.
    #[must_use]
    pub fn controls(&self) -> &[ControlId] {
        match self {
            Self::Directory(directory) => &directory.controls,
            Self::File(file) => &file.controls,
            Self::Sysctl(sysctl) => &sysctl.controls,
        }
    }

    /// Looks at what it is now.
    ///
    /// # Errors
    /// Where it cannot be looked at.
    pub fn observe(&self, root: &Root) -> Result<Current> {
        match self {
            Self::Directory(directory) => directory.observe(root).map(Current::Node),
            Self::File(file) => file.observe(root).map(Current::Node),
            Self::Sysctl(sysctl) => Ok(Current::Value(sysctl.observe())),
        }
    }

    /// Compares it with what it is now.
    #[must_use]
    pub fn diff(&self, current: &Current) -> (Change, String) {
        match (self, current) {
            (Self::Directory(directory), Current::Node(node)) => directory.diff(node),
            (Self::File(file), Current::Node(node)) => file.diff(node),
            (Self::Sysctl(sysctl), Current::Value(value)) => sysctl.diff(value),
            // Observing a path gives a node, a parameter a value: see above.
            _ => (Change::None, String::new()),
        }
    }
}

impl Action {
    /// Makes it so. Returns a warning where something could not be done that is no reason to undo the rest.
    ///
    /// # Errors
    /// Where it fails; the resource is as it was then.
    pub fn apply(&self, root: &Root) -> Result<Option<String>> {
        match (&self.resource, &self.before) {
            _ if self.change == Change::None => Ok(None),
            (Resource::Directory(directory), _) => directory.apply(root, self.change).map(|()| None),
            (Resource::File(file), _) => file.apply(root, self.change).map(|()| None),
            (Resource::Sysctl(sysctl), _) => Ok(sysctl.apply()),
        }
    }

    /// Puts back what was there before.
    ///
    /// # Errors
    /// Where that fails.
    pub fn revert(&self, root: &Root) -> Result<()> {
        match (&self.resource, &self.before) {
            _ if self.change == Change::None => Ok(()),
            // What was not changed needs no room on a disk that may be full.
            (Resource::Directory(directory), Current::Node(before))
                if directory.observe(root)? != *before =>
            {
                directory.revert(root, before)
            }
            (Resource::File(file), Current::Node(before)) if file.observe(root)? != *before => {
                file.revert(root, before)
            }
            (Resource::Sysctl(sysctl), Current::Value(before)) => {
                sysctl.revert(before);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
