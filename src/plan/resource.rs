// SPDX-License-Identifier: Apache-2.0
//! The resources as one type, and the actions on them.

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::directory::Directory;
use super::file::File;
use super::permissions::Permissions;
use super::sysctl::Sysctl;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::{FileMode, Owner};
use crate::node::{Expected, PathState, Root, RootedPath};
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
    /// Mode and owner of what K3s made.
    Permissions(Permissions),
}

/// The kind of a resource, as plans, records and the JSON output name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceKind {
    /// A directory.
    Directory,
    /// A file.
    File,
    /// A kernel parameter of the running system.
    Sysctl,
    /// Mode and owner of what K3s made.
    Permissions,
}

/// The state of a resource on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CurrentState {
    /// What is at its path.
    Path(PathState),
    /// The value of the kernel parameter.
    Value(String),
    /// The kernel parameter cannot be read, with the reason.
    Unreadable(String),
    /// The mode and the owner of something whose content is not looked at.
    Permissions(FileMode, Owner),
}

/// A resource with its state and its change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The resource.
    pub resource: Resource,
    /// Its state when the plan was made.
    pub before: CurrentState,
    /// Its change.
    pub change: Change,
    /// The change as text: a unified diff, or a line or two; empty for [`Change::None`].
    pub diff: String,
}

/// What became of an action that was undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutBack {
    /// The state before it is there.
    Done,
    /// Another program has changed it since: it stays as it is.
    Left,
}

/// Tells whether `now` is one of two states, or a mixture of them.
fn is_made_of(now: &CurrentState, known: [&CurrentState; 2]) -> bool {
    if let CurrentState::Permissions(mode, owner) = now {
        // Mode and owner are set one after the other.
        let has = |is: &dyn Fn(FileMode, Owner) -> bool| {
            known
                .iter()
                .any(|state| matches!(state, CurrentState::Permissions(mode, owner) if is(*mode, *owner)))
        };
        return has(&|known, _| known == *mode) && has(&|_, known| known == *owner);
    }
    let states: Vec<&PathState> = known.into_iter().filter_map(path_state).collect();
    path_state(now).map_or_else(|| known.contains(&now), |now| now.is_made_of(&states))
}

fn path_state(state: &CurrentState) -> Option<&PathState> {
    match state {
        CurrentState::Path(state) => Some(state),
        CurrentState::Value(_) | CurrentState::Unreadable(_) | CurrentState::Permissions(..) => None,
    }
}

impl CurrentState {
    /// Tells whether `left` has the content of this state.
    #[must_use]
    pub fn has_content_of(&self, left: &PathState) -> bool {
        match (left, path_state(self)) {
            (PathState::File { bytes, .. }, Some(PathState::File { bytes: known, .. })) => known == bytes,
            (PathState::Symlink { target, .. }, Some(PathState::Symlink { target: known, .. })) => {
                target == known
            }
            _ => false,
        }
    }
}

impl Resource {
    /// Returns its path on the node.
    #[must_use]
    pub fn path(&self) -> RootedPath {
        match self {
            Self::Directory(directory) => directory.path.clone(),
            Self::File(file) => file.path.clone(),
            Self::Sysctl(sysctl) => RootedPath::fixed(&sysctl.key.file()),
            Self::Permissions(permissions) => permissions.path.clone(),
        }
    }

    /// Returns its kind.
    #[must_use]
    pub fn kind(&self) -> ResourceKind {
        match self {
            Self::Directory(_) => ResourceKind::Directory,
            Self::File(_) => ResourceKind::File,
            Self::Sysctl(_) => ResourceKind::Sysctl,
            Self::Permissions(_) => ResourceKind::Permissions,
        }
    }

    /// Returns the exact mode; a kernel parameter has none.
    #[must_use]
    pub fn mode(&self) -> Option<FileMode> {
        match self {
            Self::Directory(directory) => Some(directory.metadata.mode),
            Self::File(file) => Some(file.metadata.mode),
            Self::Sysctl(_) => None,
            Self::Permissions(permissions) => Some(permissions.mode),
        }
    }

    /// Returns the benchmark's numbers of the controls that it implements.
    #[must_use]
    pub fn controls(&self) -> &[ControlId] {
        match self {
            Self::Directory(directory) => &directory.controls,
            Self::File(file) => &file.controls,
            Self::Sysctl(sysctl) => &sysctl.controls,
            Self::Permissions(permissions) => &permissions.controls,
        }
    }

    /// Reads its state.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn observe(&self, root: &Root) -> Result<CurrentState> {
        match self {
            Self::Directory(directory) => directory.observe(root).map(CurrentState::Path),
            Self::File(file) => file.observe(root).map(CurrentState::Path),
            Self::Sysctl(sysctl) => {
                Ok(sysctl.observe().map_or_else(CurrentState::Unreadable, CurrentState::Value))
            }
            Self::Permissions(permissions) => Ok(permissions
                .observe(root)?
                .map_or_else(CurrentState::Path, |(mode, owner)| CurrentState::Permissions(mode, owner))),
        }
    }

    /// Reads its state without extended attributes, and once more with them only if it has to change: then a rollback
    /// needs them.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn observe_as_needed(&self, root: &Root) -> Result<CurrentState> {
        let now = match self {
            Self::Directory(directory) => {
                directory.observe_without_attributes(root).map(CurrentState::Path)?
            }
            Self::File(file) => file.observe_without_attributes(root).map(CurrentState::Path)?,
            Self::Sysctl(_) | Self::Permissions(_) => return self.observe(root),
        };
        if self.diff(&now).0 == Change::None { Ok(now) } else { self.observe(root) }
    }

    /// Compares it with its state on the node.
    #[must_use]
    pub fn diff(&self, current: &CurrentState) -> (Change, String) {
        match (self, current) {
            (Self::Directory(directory), CurrentState::Path(node)) => directory.diff(node),
            (Self::File(file), CurrentState::Path(node)) => file.diff(node),
            (Self::Sysctl(sysctl), CurrentState::Value(value)) => sysctl.diff(value),
            (Self::Permissions(permissions), CurrentState::Permissions(mode, owner)) => {
                permissions.diff(*mode, *owner)
            }
            // `observe` gives each resource a state of its kind. A parameter that cannot be read is not changed; see
            // `Sysctl::warning`.
            _ => (Change::None, String::new()),
        }
    }

    /// Returns the resource with `state` as its desired state; none if that is not known.
    #[must_use]
    pub fn restored_to(&self, state: &CurrentState) -> Option<Self> {
        match (self, state) {
            (Self::Directory(directory), CurrentState::Path(node)) => {
                Some(Self::Directory(directory.restored_to(node)))
            }
            (Self::File(file), CurrentState::Path(node)) => Some(Self::File(file.restored_to(node))),
            (Self::Sysctl(sysctl), CurrentState::Value(value)) => {
                Some(Self::Sysctl(Sysctl { value: value.clone(), ..sysctl.clone() }))
            }
            (Self::Permissions(permissions), CurrentState::Permissions(mode, owner)) => {
                Some(Self::Permissions(permissions.restored_to(*mode, *owner)))
            }
            _ => None,
        }
    }

    /// Returns its desired state.
    #[must_use]
    pub fn desired_state(&self) -> CurrentState {
        match self {
            Self::Directory(directory) => CurrentState::Path(directory.desired_state()),
            Self::File(file) => CurrentState::Path(file.desired_state()),
            Self::Sysctl(sysctl) => CurrentState::Value(sysctl.value.clone()),
            Self::Permissions(Permissions { mode, owner, .. }) => CurrentState::Permissions(*mode, *owner),
        }
    }
}

impl Action {
    /// Compares a resource with the node.
    ///
    /// # Errors
    /// If its state cannot be read.
    pub fn between(resource: Resource, root: &Root) -> Result<Self> {
        let before = resource.observe(root)?;
        let (change, diff) = resource.diff(&before);
        Ok(Self { resource, before, change, diff })
    }

    /// Carries out the change, if the resource is still as the plan saw it. Returns a warning if something failed that is
    /// no reason to undo the rest.
    ///
    /// # Errors
    /// If it fails; the resource is unchanged then. [`ErrorKind::ChangedMeanwhile`] if another program has changed it.
    pub fn apply(&self, root: &Root) -> Result<Option<String>> {
        let known: Vec<&PathState> = path_state(&self.before).into_iter().collect();
        let expected = Expected::Known(&known);
        match &self.resource {
            _ if self.change == Change::None => Ok(None),
            Resource::Directory(directory) => directory.apply(root, self.change, expected),
            Resource::File(file) => file.apply(root, self.change, expected).map(|()| None),
            Resource::Sysctl(sysctl) => match &self.before {
                CurrentState::Value(before) => sysctl.apply(&[before]),
                _ => Ok(None),
            },
            Resource::Permissions(permissions) => match self.before {
                CurrentState::Permissions(mode, owner) => {
                    permissions.apply(root, (mode, owner)).map(|()| None)
                }
                _ => Ok(None),
            },
        }
    }

    /// Restores the state before the action, if what is there is this state, that after the action, or a mixture of both.
    /// What has not changed is not written: the disk may be full.
    ///
    /// # Errors
    /// If that fails.
    pub fn put_back(&self, root: &Root) -> Result<PutBack> {
        let Some(restored) = self.resource.restored_to(&self.before).filter(|_| self.change != Change::None)
        else {
            return Ok(PutBack::Done);
        };
        let back = match Self::between(restored, root) {
            Err(_) if self.is_in_the_way(root) => return Ok(PutBack::Left),
            other => other?,
        };
        if back.change == Change::None {
            return Ok(PutBack::Done);
        }
        if !is_made_of(&back.before, [&self.before, &self.resource.desired_state()]) {
            return Ok(PutBack::Left);
        }
        match back.apply(root) {
            Ok(None) => Ok(PutBack::Done),
            // A directory in which another program has put something, or a value that the kernel does not take.
            Ok(Some(_)) => Ok(PutBack::Left),
            Err(error) if error.kind() == ErrorKind::ChangedMeanwhile => Ok(PutBack::Left),
            // If only the sync fails again, the old bytes are restored all the same.
            Err(error) => match self.resource.observe(root) {
                Ok(now) if now == self.before => Ok(PutBack::Done),
                _ => back.put_back_bytes(root).ok_or(error),
            },
        }
    }

    /// Restores at least the bytes where the file system keeps no modes or owners; `None` if the file is not as before then.
    fn put_back_bytes(&self, root: &Root) -> Option<PutBack> {
        let Resource::File(file) = &self.resource else { return None };
        let before = path_state(&self.before).filter(|_| self.change == Change::Update)?;
        file.apply_bytes(root, Expected::Known(&[before])).ok()?;
        let now = self.resource.observe(root).ok()?;
        (self.resource.diff(&now).0 == Change::None).then_some(PutBack::Done)
    }

    /// Returns how many lines that differ are left out of the diff.
    #[must_use]
    pub fn lines_left_out(&self) -> usize {
        match (&self.resource, &self.before) {
            (Resource::File(file), CurrentState::Path(before)) if !self.diff.is_empty() => {
                file.lines_left_out(before)
            }
            _ => 0,
        }
    }

    /// Tells whether `left`, a hidden file beside the path, is what this action writes there or replaces.
    #[must_use]
    pub fn has_left(&self, left: &PathState) -> bool {
        [&self.before, &self.resource.desired_state()].iter().any(|known| known.has_content_of(left))
    }

    /// Tells whether a file stands where a directory was, or the other way round.
    fn is_in_the_way(&self, root: &Root) -> bool {
        if matches!(self.resource, Resource::Permissions(_)) {
            // What is there is not read.
            return false;
        }
        let path = self.resource.path();
        let now = root.look(&path);
        match self.resource {
            Resource::Directory(_) => match now {
                Ok(PathState::Symlink { .. }) => root.look_directory(&path).is_err(),
                other => !matches!(other, Err(_) | Ok(PathState::Absent | PathState::Directory { .. })),
            },
            _ => matches!(now, Ok(PathState::Directory { .. } | PathState::Other)),
        }
    }

    /// Checks that the node has the desired state.
    ///
    /// # Errors
    /// [`ErrorKind::ChangedMeanwhile`] if it has not: another program changes it, or the file system does not store what is
    /// written. The error does not say what is there, which may be a secret of somebody.
    pub fn verify(&self, root: &Root) -> Result<()> {
        if matches!(self.resource, Resource::Sysctl(_)) || self.change == Change::None {
            // A value that the kernel refuses is a warning of `apply`.
            return Ok(());
        }
        if self.is_in_the_way(root) {
            return Err(self.is_not_as_written(root, "content"));
        }
        let now = Self::between(self.resource.clone(), root)?;
        match now.change {
            Change::None => Ok(()),
            _ if self.may_stay() => Ok(()),
            Change::Metadata => Err(self.is_not_as_written(root, "mode or owner")),
            _ => Err(self.is_not_as_written(root, "content")),
        }
    }

    fn is_not_as_written(&self, root: &Root, what: &str) -> Error {
        let path = root.display(&self.resource.path());
        Error::new(
            ErrorKind::ChangedMeanwhile,
            format!("{path} was written, but its {what} reads back different"),
        )
        .hint("another program writes it too, or the file system does not store what is written")
    }

    /// Tells whether this removes a directory: one that is not empty stays.
    fn may_stay(&self) -> bool {
        matches!(self.resource, Resource::Directory(_)) && self.change == Change::Remove
    }
}
