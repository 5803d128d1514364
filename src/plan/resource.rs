//! The nouns as one type, and what can happen to one.

use serde::Serialize;

use super::{Directory, File, Sysctl};
use crate::error::{Error, ErrorKind, Result};
use crate::mode::{FileMode, Owner};
use crate::node::{Attributes, Metadata, PathState, Root, RootedPath};
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
pub enum CurrentState {
    /// What stands at its path.
    Node(PathState),
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
    /// Only its mode, owner or label differs.
    Metadata,
    /// It is ours and no longer wanted, or was not there before a run that is undone.
    Remove,
}

/// A resource with what it is now and what has to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The resource.
    pub resource: Resource,
    /// What it was when the plan was made.
    pub before: CurrentState,
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
            Self::Directory(directory) => Some(directory.metadata.mode.to_string()),
            Self::File(file) => Some(file.metadata.mode.to_string()),
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
    pub fn observe(&self, root: &Root) -> Result<CurrentState> {
        match self {
            Self::Directory(directory) => directory.observe(root).map(CurrentState::Node),
            Self::File(file) => file.observe(root).map(CurrentState::Node),
            Self::Sysctl(sysctl) => Ok(CurrentState::Value(sysctl.observe())),
        }
    }

    /// Looks at what it is now as closely as is needed: at all of it only where it has to change, because then it
    /// will have to be put back some day.
    ///
    /// # Errors
    /// Where it cannot be looked at.
    pub fn observe_as_needed(&self, root: &Root) -> Result<CurrentState> {
        let now = match self {
            Self::Directory(directory) => directory.glance(root).map(CurrentState::Node)?,
            Self::File(file) => file.glance(root).map(CurrentState::Node)?,
            Self::Sysctl(_) => return self.observe(root),
        };
        if self.diff(&now).0 == Change::None { Ok(now) } else { self.observe(root) }
    }

    /// Compares it with what it is now.
    #[must_use]
    pub fn diff(&self, current: &CurrentState) -> (Change, String) {
        match (self, current) {
            (Self::Directory(directory), CurrentState::Node(node)) => directory.diff(node),
            (Self::File(file), CurrentState::Node(node)) => file.diff(node),
            (Self::Sysctl(sysctl), CurrentState::Value(value)) => sysctl.diff(value),
            // Observing a path gives a node, a parameter a value: see above.
            _ => (Change::None, String::new()),
        }
    }

    /// Returns the same resource as it was; none where that is not known.
    #[must_use]
    pub fn as_it_was(&self, before: &CurrentState) -> Option<Self> {
        match (self, before) {
            (Self::Directory(directory), CurrentState::Node(node)) => {
                Some(Self::Directory(directory.as_it_was(node)))
            }
            (Self::File(file), CurrentState::Node(node)) => Some(Self::File(file.as_it_was(node))),
            (Self::Sysctl(sysctl), CurrentState::Value(Ok(value))) => {
                Some(Self::Sysctl(Sysctl { value: value.clone(), ..sysctl.clone() }))
            }
            _ => None,
        }
    }

    /// Returns what it should be.
    #[must_use]
    pub fn wanted(&self) -> CurrentState {
        match self {
            Self::Directory(directory) => CurrentState::Node(directory.wanted()),
            Self::File(file) => CurrentState::Node(file.wanted()),
            Self::Sysctl(sysctl) => CurrentState::Value(Ok(sysctl.value.clone())),
        }
    }
}

impl Action {
    /// Compares a resource with what is there.
    ///
    /// # Errors
    /// Where it cannot be looked at.
    pub fn between(resource: Resource, root: &Root) -> Result<Self> {
        let before = resource.observe(root)?;
        let (change, diff) = resource.diff(&before);
        Ok(Self { resource, before, change, diff })
    }

    /// Makes it so. Returns a warning where something could not be done that is no reason to undo the rest.
    ///
    /// # Errors
    /// Where it fails; the resource is as it was then.
    pub fn apply(&self, root: &Root) -> Result<Option<String>> {
        match &self.resource {
            _ if self.change == Change::None => Ok(None),
            Resource::Directory(directory) => directory.apply(root, self.change),
            Resource::File(file) => file.apply(root, self.change).map(|()| None),
            Resource::Sysctl(sysctl) => Ok(sysctl.apply()),
        }
    }

    /// Puts back what was there before. What was not changed is not written: the disk may be full.
    ///
    /// # Errors
    /// Where that fails.
    pub fn revert(&self, root: &Root) -> Result<()> {
        match self.resource.as_it_was(&self.before) {
            Some(was) if self.change != Change::None => Self::between(was, root)?.apply(root).map(drop),
            _ => Ok(()),
        }
    }

    /// Looks again whether it is so.
    ///
    /// # Errors
    /// Where it is not: somebody else is changing it, or the file system does not do what it says.
    pub fn verify(&self, root: &Root) -> Result<()> {
        if matches!(self.resource, Resource::Sysctl(_)) || self.change == Change::None {
            // What the kernel does not take was said when it was written.
            return Ok(());
        }
        let now = Self::between(self.resource.clone(), root)?;
        if now.change == Change::None || self.stays() {
            return Ok(());
        }
        let path = root.display(&self.resource.path());
        Err(Error::new(
            ErrorKind::Failed,
            format!("{path} was written, and is not as it was written:\n{}", now.diff),
        )
        .hint("is somebody else writing it?"))
    }

    /// A directory that should go and is not empty.
    fn stays(&self) -> bool {
        matches!(self.resource, Resource::Directory(_)) && self.change == Change::Remove
    }
}

/// Describes a change of mode, owner or attributes.
pub(super) fn metadata_diff(
    mode: FileMode,
    owner: Owner,
    attributes: &Attributes,
    wanted: &Metadata,
) -> String {
    let mut text = String::new();
    if mode != wanted.mode {
        text.push_str(&format!("-mode {mode}\n+mode {}\n", wanted.mode));
    }
    if owner != wanted.owner {
        text.push_str(&format!("-owner {owner}\n+owner {}\n", wanted.owner));
    }
    let Some(wanted) = &wanted.attributes else { return text };
    let line = |sign, (name, value): (&String, &Vec<u8>)| format!("{sign}{name} {}\n", value.escape_ascii());
    text.extend(
        attributes.iter().filter(|(name, value)| wanted.get(*name) != Some(value)).map(|it| line('-', it)),
    );
    text.extend(
        wanted.iter().filter(|(name, value)| attributes.get(*name) != Some(value)).map(|it| line('+', it)),
    );
    text
}
