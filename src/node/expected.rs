// SPDX-License-Identifier: Apache-2.0
//! What a change takes for granted of its path. It is looked at once more just before the change: another program may
//! have saved the path since the plan was made, and its bytes are in no backup.

use std::os::fd::OwnedFd;

use super::attributes;
use super::path::RootedPath;
use super::root::{PathState, Root};
use crate::error::{Error, ErrorKind, Result};
use crate::mode::{FileMode, Owner};

/// The permissions of one class: those of the owner, of the group, and of the others.
const CLASSES: [u32; 3] = [0o700, 0o070, 0o007];

/// What has to be at a path for a change to go on.
#[derive(Debug, Clone, Copy)]
pub enum Expected<'a> {
    /// Whatever is there: the path is k3s-harden's own.
    Anything,
    /// One of these states, or a mixture of them; see [`PathState::is_made_of`].
    Known(&'a [&'a PathState]),
}

impl Expected<'_> {
    /// Tells whether a change may go on where `now` is.
    pub(super) fn includes(self, now: &PathState) -> bool {
        match self {
            Self::Anything => true,
            Self::Known(known) => now.is_made_of(known),
        }
    }
}

impl PathState {
    /// Tells whether this is what `known` says. One state has to be there exactly, but for the labels, which the system
    /// gives. Of several states this may be a mixture: mode and owner change one by one, and a run can be stopped in
    /// between.
    #[must_use]
    pub fn is_made_of(&self, known: &[&Self]) -> bool {
        let [one] = known else { return self.is_mixture_of(known) };
        match (self, one) {
            (
                Self::File { mode, owner, attributes, bytes },
                Self::File { mode: mode2, owner: owner2, attributes: attributes2, bytes: bytes2 },
            ) => {
                (mode, owner, bytes) == (mode2, owner2, bytes2)
                    && attributes::differ_only_in_labels(attributes, attributes2)
            }
            (
                Self::Directory { mode, owner, attributes },
                Self::Directory { mode: mode2, owner: owner2, attributes: attributes2 },
            ) => {
                (mode, owner) == (mode2, owner2) && attributes::differ_only_in_labels(attributes, attributes2)
            }
            _ => self == *one,
        }
    }

    fn is_mixture_of(&self, known: &[&Self]) -> bool {
        let there: Vec<(FileMode, Owner)> = known.iter().filter_map(|state| state.permissions()).collect();
        // What did not exist before has nothing of somebody but its content.
        let is_new = known.contains(&&Self::Absent);
        let fits = |mode: &FileMode, owner: &Owner| {
            is_new || (there.iter().any(|(_, known)| known == owner) && is_mode_of(*mode, &there))
        };
        match self {
            Self::File { mode, owner, bytes, .. } => {
                let has_bytes =
                    |state: &&&Self| matches!(state, Self::File { bytes: known, .. } if known == bytes);
                known.iter().any(|state| has_bytes(&state)) && fits(mode, owner)
            }
            Self::Directory { mode, owner, .. } => {
                known.iter().any(|state| matches!(state, Self::Directory { .. })) && fits(mode, owner)
            }
            _ => known.contains(&self),
        }
    }

    fn permissions(&self) -> Option<(FileMode, Owner)> {
        match self {
            Self::File { mode, owner, .. } | Self::Directory { mode, owner, .. } => Some((*mode, *owner)),
            _ => None,
        }
    }
}

/// Tells whether the permissions of each class are those of a known mode. A list of access sets those of the group, and
/// a new owner takes setuid and setgid away.
fn is_mode_of(mode: FileMode, known: &[(FileMode, Owner)]) -> bool {
    let bits = |mode: FileMode, class: u32| mode.bits() & class;
    CLASSES.iter().all(|class| known.iter().any(|(known, _)| bits(*known, *class) == bits(mode, *class)))
}

impl Root {
    /// Checks, in the directory that the change is made in, that `expected` is at `path`.
    ///
    /// # Errors
    /// [`ErrorKind::ChangedMeanwhile`] if it is not; if it cannot be looked at.
    pub(super) fn check_expected(
        &self,
        parent: &OwnedFd,
        path: &RootedPath,
        expected: Expected<'_>,
    ) -> Result<PathState> {
        let now = self.look_in(parent, path)?;
        if expected.includes(&now) { Ok(now) } else { Err(self.changed_meanwhile(path)) }
    }

    /// Returns the error for a path that another program has changed.
    pub(super) fn changed_meanwhile(&self, path: &RootedPath) -> Error {
        let message = format!("{} was changed by another program while this run lasted", self.display(path));
        Error::new(ErrorKind::ChangedMeanwhile, message)
            .hint("its change is kept; run k3s-harden again when that program has ended")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Attributes;

    fn file(mode: &str, owner: u32, bytes: &str) -> PathState {
        PathState::File {
            mode: mode.parse().unwrap(),
            owner: Owner { uid: owner, gid: 0 },
            attributes: Attributes::new(),
            bytes: bytes.into(),
        }
    }

    #[test]
    fn one_state_is_there_exactly() {
        let known = file("0640", 5, "a");
        assert!(known.is_made_of(&[&known]));
        for other in [file("0641", 5, "a"), file("0640", 6, "a"), file("0640", 5, "b"), PathState::Absent] {
            assert!(!other.is_made_of(&[&known]), "{other:?}");
        }
        let mut labelled = known.clone();
        let PathState::File { attributes, .. } = &mut labelled else { unreachable!() };
        attributes.insert("security.selinux".to_owned(), b"etc_t".to_vec());
        assert!(labelled.is_made_of(&[&known]));
        let PathState::File { attributes, .. } = &mut labelled else { unreachable!() };
        attributes.insert("user.x".to_owned(), b"1".to_vec());
        assert!(!labelled.is_made_of(&[&known]));
    }

    #[test]
    fn of_two_states_there_may_be_a_mixture() {
        let (before, after) = (file("4755", 5, "a"), file("0600", 0, "b"));
        let known = [&before, &after];
        for ours in [file("0755", 0, "a"), file("0600", 5, "b"), file("0650", 0, "b"), before.clone()] {
            assert!(ours.is_made_of(&known), "{ours:?}");
        }
        for other in [file("0755", 0, "c"), file("0600", 6, "a"), file("0666", 5, "b"), PathState::Absent] {
            assert!(!other.is_made_of(&known), "{other:?}");
        }
    }

    #[test]
    fn what_was_made_is_known_by_its_content() {
        let (before, after) = (PathState::Absent, file("0600", 0, "b"));
        assert!(file("0777", 7, "b").is_made_of(&[&before, &after]));
        assert!(!file("0600", 0, "c").is_made_of(&[&before, &after]));
        assert!(PathState::Absent.is_made_of(&[&before, &after]));
        assert!(!PathState::Other.is_made_of(&[&before, &after]));
    }
}
