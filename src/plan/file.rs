// SPDX-License-Identifier: Apache-2.0
//! A file with exact content, mode and owner.

use std::ffi::OsString;

use super::change::{Change, metadata_diff};
use super::text_diff;
use crate::document::is_equivalent;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Owner;
use crate::node::{Expected, KeptMetadata, Metadata, PathState, Root, RootedPath};
use crate::profile::ControlId;

/// The desired state of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path.
    pub path: RootedPath,
    /// Its mode and owner.
    pub metadata: Metadata,
    /// Its content.
    pub content: Content,
    /// The controls that it implements.
    pub controls: Vec<ControlId>,
}

/// The desired content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Absent,
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// A symlink that a run replaced, with its owner; `apply` creates none.
    Symlink(OsString, Owner),
}

impl File {
    /// Reads its state.
    ///
    /// # Errors
    /// If it cannot be read, or if a directory or device is in its place.
    pub fn observe(&self, root: &Root) -> Result<PathState> {
        self.check(root, root.look(&self.path)?)
    }

    /// The same without attributes.
    ///
    /// # Errors
    /// As for [`File::observe`].
    pub fn observe_without_attributes(&self, root: &Root) -> Result<PathState> {
        self.check(root, root.look_without_attributes(&self.path)?)
    }

    fn check(&self, root: &Root, node: PathState) -> Result<PathState> {
        match node {
            PathState::Directory { .. } | PathState::Other => {
                let message = format!("{} is not a file", root.display(&self.path));
                Err(Error::new(ErrorKind::CannotWrite, message).hint("move it away: a file has to be there"))
            }
            node => Ok(node),
        }
    }

    /// Takes the current text as the desired one if the two differ only in comments: a file is not written again for its
    /// comments. Later steps compare bytes, and a run records the bytes on the disk.
    pub(super) fn keep_equivalent(&mut self, current: &PathState) {
        if let (PathState::File { bytes, .. }, Content::Bytes(wanted)) = (current, &mut self.content)
            && is_equivalent(&self.path, bytes, wanted)
        {
            wanted.clone_from(bytes);
        }
    }

    /// Compares it with its state on the node.
    #[must_use]
    pub fn diff(&self, current: &PathState) -> (Change, String) {
        // A line break in it would begin a line of its own.
        let pointing = |sign: char, target: &OsString| {
            format!("{sign}symlink to {}\n", target.display().to_string().replace('\n', "\\n"))
        };
        let large = || "-a file that is too large to be shown\n".to_owned();
        match (current, &self.content) {
            (PathState::Absent, Content::Absent) => (Change::None, String::new()),
            (PathState::Symlink { target: now, owner: now_owner }, Content::Symlink(target, owner))
                if (now, now_owner) == (target, owner) =>
            {
                (Change::None, String::new())
            }
            (PathState::Absent, Content::Symlink(target, _)) => (Change::Create, pointing('+', target)),
            (PathState::Symlink { target: now, .. }, Content::Symlink(target, _)) => {
                (Change::Update, pointing('-', now) + &pointing('+', target))
            }
            (PathState::File { bytes, .. }, Content::Symlink(target, _)) => {
                (Change::Update, self.unified(Some(bytes), None) + &pointing('+', target))
            }
            (PathState::Symlink { target, .. }, Content::Absent) => (Change::Remove, pointing('-', target)),
            (PathState::Symlink { target, .. }, Content::Bytes(wanted)) => {
                (Change::Update, pointing('-', target) + &self.unified(None, Some(wanted)))
            }
            (PathState::Absent, Content::Bytes(wanted)) => (Change::Create, self.unified(None, Some(wanted))),
            (PathState::File { bytes, .. }, Content::Absent) => {
                (Change::Remove, self.unified(Some(bytes), None))
            }
            (PathState::File { mode, owner, attributes, bytes }, Content::Bytes(wanted)) => {
                let metadata = metadata_diff(*mode, *owner, attributes, &self.metadata);
                match (bytes == wanted, metadata.is_empty()) {
                    (true, true) => (Change::None, String::new()),
                    (true, false) => (Change::Metadata, metadata),
                    (false, _) => (Change::Update, metadata + &self.unified(Some(bytes), Some(wanted))),
                }
            }
            (PathState::Large { .. }, Content::Absent) => (Change::Remove, large()),
            (PathState::Large { .. }, _) => (Change::Update, large()),
            // Something else is in the way, which `observe` refuses.
            (PathState::Directory { .. } | PathState::Other, _) => (Change::None, String::new()),
        }
    }

    /// Writes or removes it, or gives it its mode and owner.
    ///
    /// # Errors
    /// If that fails; the old file is whole then. [`ErrorKind::ChangedMeanwhile`] if something else than `expected` is
    /// there by now, which stays.
    pub fn apply(&self, root: &Root, change: Change, expected: Expected<'_>) -> Result<()> {
        let (path, metadata) = (&self.path, &self.metadata);
        match (change, &self.content) {
            (Change::Metadata, _) => root.set_metadata_if(path, metadata, false, expected),
            (_, Content::Bytes(bytes)) => {
                root.replace_if(path, bytes, metadata, expected, KeptMetadata::Exact)
            }
            (_, Content::Symlink(target, owner)) => root.replace_by_symlink(path, target, *owner, expected),
            (_, Content::Absent) => root.remove_file_if(path, expected),
        }
    }

    /// Writes its bytes where its mode or owner cannot be set.
    ///
    /// # Errors
    /// As for [`File::apply`].
    pub fn apply_bytes(&self, root: &Root, expected: Expected<'_>) -> Result<()> {
        match &self.content {
            Content::Bytes(bytes) => {
                root.replace_if(&self.path, bytes, &self.metadata, expected, KeptMetadata::AsFarAsPossible)
            }
            Content::Absent | Content::Symlink(..) => Ok(()),
        }
    }

    /// Returns it with `state` as its desired state.
    #[must_use]
    pub fn restored_to(&self, state: &PathState) -> Self {
        let mut restored = self.clone();
        restored.content = match state {
            PathState::File { mode, owner, attributes, bytes } => {
                restored.metadata =
                    Metadata { mode: *mode, owner: *owner, attributes: Some(attributes.clone()) };
                Content::Bytes(bytes.clone())
            }
            PathState::Symlink { target, owner } => Content::Symlink(target.clone(), *owner),
            _ => Content::Absent,
        };
        restored
    }

    /// Returns its desired state.
    #[must_use]
    pub fn desired_state(&self) -> PathState {
        let Metadata { mode, owner, attributes } = self.metadata.clone();
        match &self.content {
            Content::Absent => PathState::Absent,
            Content::Symlink(target, owner) => PathState::Symlink { target: target.clone(), owner: *owner },
            Content::Bytes(bytes) => PathState::File {
                mode,
                owner,
                attributes: attributes.unwrap_or_default(),
                bytes: bytes.clone(),
            },
        }
    }

    /// Returns how many lines that differ are left out of the diff from `current`.
    #[must_use]
    pub fn lines_left_out(&self, current: &PathState) -> usize {
        let before = if let PathState::File { bytes, .. } = current { Some(bytes.as_slice()) } else { None };
        let after = if let Content::Bytes(bytes) = &self.content { Some(bytes.as_slice()) } else { None };
        if before == after { 0 } else { text_diff::left_out(before, after) }
    }

    fn unified(&self, before: Option<&[u8]>, after: Option<&[u8]>) -> String {
        text_diff::unified(&self.path, before, after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Attributes;

    fn file(text: Option<&str>) -> File {
        File {
            path: RootedPath::fixed("/etc/x"),
            metadata: Metadata::private_file(Owner::ROOT),
            content: text.map_or(Content::Absent, |text| Content::Bytes(text.into())),
            controls: Vec::new(),
        }
    }

    fn node(mode: &str, bytes: &str) -> PathState {
        let (mode, owner) = (mode.parse().unwrap(), Owner::ROOT);
        PathState::File { mode, owner, attributes: Attributes::new(), bytes: bytes.into() }
    }

    #[test]
    fn each_difference_has_its_change() {
        let want = file(Some("a\nb\n"));
        assert_eq!(want.diff(&node("0600", "a\nb\n")), (Change::None, String::new()));
        assert_eq!(want.diff(&node("0644", "a\nb\n")), (Change::Metadata, "-mode 0644\n+mode 0600\n".into()));
        let (change, diff) = want.diff(&node("0600", "a\nc\n"));
        assert_eq!(
            (change, diff.as_str()),
            (Change::Update, "--- /etc/x\n+++ /etc/x\n@@ -1,2 +1,2 @@\n a\n-c\n+b\n")
        );
        assert_eq!(want.diff(&PathState::Absent).0, Change::Create);
        assert_eq!(
            want.diff(&PathState::Symlink { target: "/z".into(), owner: Owner::ROOT }).0,
            Change::Update
        );
        assert_eq!(file(None).diff(&node("0600", "a\n")).0, Change::Remove);
        assert_eq!(file(None).diff(&PathState::Absent).0, Change::None);
    }

    #[test]
    fn comments_alone_are_no_difference_and_modes_are() {
        let mut want = file(Some("# new\na: 1\n"));
        want.path = RootedPath::fixed("/etc/x.yaml");
        let settled = |there: &PathState| {
            let mut want = want.clone();
            want.keep_equivalent(there);
            want
        };
        let older = node("0600", "# old\na: 1\n");
        assert_eq!(settled(&older).diff(&older), (Change::None, String::new()));
        // Such a run records the current text.
        let lax = node("0644", "# old\na: 1\n");
        assert_eq!(settled(&lax).diff(&lax).0, Change::Metadata);
        assert_eq!(settled(&lax).desired_state(), older);
        let other = node("0600", "# old\na: 2\n");
        assert_eq!(settled(&other), want);
        // A plan ignores comments; a rollback restores bytes.
        assert_eq!(want.diff(&older).0, Change::Update);
        for there in [PathState::Absent, PathState::Symlink { target: "/z".into(), owner: Owner::ROOT }] {
            assert_eq!(settled(&there), want);
        }
    }

    #[test]
    fn an_earlier_state_can_be_desired() {
        let label: Attributes = [("security.selinux".to_owned(), b"etc_t".to_vec())].into();
        let labelled = PathState::File {
            mode: "0640".parse().unwrap(),
            owner: Owner { uid: 5, gid: 6 },
            attributes: label,
            bytes: vec![0xff],
        };
        for before in [
            PathState::Absent,
            labelled,
            node("0644", "c"),
            PathState::Symlink { target: "../z".into(), owner: Owner { uid: 7, gid: 8 } },
        ] {
            let restored = file(Some("ours")).restored_to(&before);
            assert_eq!(restored.desired_state(), before);
            assert_eq!(restored.diff(&before), (Change::None, String::new()));
            assert_ne!(restored.diff(&node("0600", "ours")).0, Change::None);
        }
    }
}
