// SPDX-License-Identifier: Apache-2.0
//! A part of a file of the user's, and what becomes of it.

use std::fmt;

use serde::Serialize;

use crate::document::OnConflict;
use crate::error::Place;
use crate::node::RootedPath;

/// A part of a file of the user's that k3s-harden takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsersPart {
    /// The file of ours whose change brings it.
    pub file: RootedPath,
    /// Where the user has it.
    pub place: Place,
    /// What it is.
    pub what: String,
    /// What becomes of it.
    pub fate: PartFate,
    /// Whether the node is less hardened with it.
    pub weakens: bool,
    /// The file that has it now, if it is another one.
    pub to: Option<RootedPath>,
    /// Why, where that is not plain.
    pub why: Option<String>,
    /// Whether `--on-conflict` decided it.
    pub is_conflict: bool,
    /// Whether it is the whole file at our path, of which nothing is taken over.
    pub is_whole: bool,
}

/// What becomes of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartFate {
    /// It stays in force.
    Stays,
    /// It goes to another file, and stays in force.
    Moves,
    /// What k3s-harden has is in force in its place.
    Replaced,
    /// It is not carried over.
    LeftOut,
}

impl UsersPart {
    /// Returns a part that stays in force.
    pub(super) fn stays(file: &RootedPath, place: Place, what: impl Into<String>) -> Self {
        Self::new(file, place, what, PartFate::Stays)
    }

    /// Returns a part that is not carried over, with the reason.
    pub(super) fn left_out(
        file: &RootedPath,
        place: Place,
        what: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self { why: Some(why.into()), ..Self::new(file, place, what, PartFate::LeftOut) }
    }

    /// Returns a file of which nothing is taken over, because nobody can read it.
    pub(super) fn unreadable(file: &RootedPath, place: Place, what: &str, why: impl fmt::Display) -> Self {
        let why = format!("the file cannot be read ({why}), so nothing is taken over from it");
        let is_whole = place.file == file.as_str();
        Self { is_whole, ..Self::left_out(file, place, what, why) }
    }

    /// Returns what a file of ours no longer tells of earlier runs, because somebody has edited the line that does.
    pub(super) fn damaged(file: &RootedPath, why: impl fmt::Display) -> Self {
        let place = Place { file: file.to_string(), position: None };
        let why = format!("the line that begins with \"# Taken over:\" cannot be read ({why})");
        Self::left_out(file, place, "what an earlier run took over", why)
    }

    /// Returns a part that contradicts what k3s-harden has, and is decided.
    pub(super) fn conflict(
        file: &RootedPath,
        place: Place,
        what: impl Into<String>,
        decision: OnConflict,
    ) -> Self {
        let (fate, weakens, why) = match decision {
            OnConflict::Ours => (
                PartFate::Replaced,
                false,
                "k3s-harden's is used; to keep the existing one: --on-conflict keep",
            ),
            OnConflict::Keep => (PartFate::Stays, true, "the control is not met"),
            OnConflict::Fail => (PartFate::Replaced, false, "they contradict"),
        };
        let part = Self::new(file, place, what, fate);
        Self { weakens, why: Some(why.to_owned()), is_conflict: true, ..part }
    }

    /// The same, as a weakening.
    pub(super) fn weakening(self) -> Self {
        Self { weakens: true, ..self }
    }

    /// The same, as one in whose place ours is in force.
    pub(super) fn replaced(self) -> Self {
        Self { fate: PartFate::Replaced, ..self }
    }

    pub(super) fn moved_to(self, to: &RootedPath) -> Self {
        Self { fate: PartFate::Moves, to: Some(to.clone()), ..self }
    }

    pub(super) fn because(self, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..self }
    }

    fn new(file: &RootedPath, place: Place, what: impl Into<String>, fate: PartFate) -> Self {
        Self {
            file: file.clone(),
            place,
            what: what.into(),
            fate,
            weakens: false,
            to: None,
            why: None,
            is_conflict: false,
            is_whole: false,
        }
    }

    /// Tells whether a warning names it: it is no longer in force, or somebody has to decide about it.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        self.is_lost() || self.is_conflict
    }

    /// Tells whether it is no longer in force.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.fate, PartFate::Replaced | PartFate::LeftOut)
    }
}

impl fmt::Display for UsersPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.place, self.what)?;
        match (self.fate, &self.to) {
            (PartFate::Stays, _) => f.write_str("it stays")?,
            (PartFate::Moves, Some(to)) => write!(f, "it moves to {to}")?,
            (PartFate::Moves, None) => f.write_str("it goes to another file")?,
            (PartFate::Replaced, _) => f.write_str("it is replaced")?,
            (PartFate::LeftOut, _) => f.write_str("it is left out")?,
        }
        if self.weakens {
            f.write_str(", and weakens the hardening")?;
        }
        match &self.why {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}
