// SPDX-License-Identifier: Apache-2.0
//! What is said about a service that starts K3s: what of it is not understood, and why it does not start K3s.

use crate::error::Place;
use crate::node::RootedPath;

/// A part of a service that decides how K3s is started, and that is not understood: nothing is known of what it sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUnderstood {
    /// Where it is written.
    pub place: Place,
    /// What it is.
    pub reason: String,
    /// What it hides.
    pub(in crate::k3s) hides: Hidden,
}

/// What a note about something that is not understood hides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::k3s) enum Hidden {
    /// Any word and any variable.
    All,
    /// What a script that stands for K3s changes in the words that it gets: most change nothing about the places.
    Script,
    /// What a specifier in this word stands for.
    Word(String),
    /// The value of this variable.
    Variable(String),
}

/// Why systemd or OpenRC does not start K3s with a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFault {
    /// Where it is written.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// The remedy.
    pub remedy: String,
}

impl NotUnderstood {
    pub(super) fn new(place: Place, reason: impl Into<String>) -> Self {
        Self { place, reason: reason.into(), hides: Hidden::All }
    }

    pub(super) fn hiding(self, hides: Hidden) -> Self {
        Self { hides, ..self }
    }
}

impl ServiceFault {
    pub(super) fn new(place: Place, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place, message: message.into(), remedy: remedy.into() }
    }
}

/// Returns the place of a line.
pub(super) fn line_of(path: &RootedPath, line: usize) -> Place {
    Place { file: path.to_string(), position: Some((line, 1)) }
}

/// Returns the place of a file as a whole.
pub(super) fn file_of(path: &RootedPath) -> Place {
    Place { file: path.to_string(), position: None }
}
