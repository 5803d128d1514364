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
        Self { place, reason: reason.into() }
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
