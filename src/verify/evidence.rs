// SPDX-License-Identifier: Apache-2.0
//! Evidence: what verify found on the node, and where. This file imports nothing of the room.

use crate::error::Place;

/// The most names that a text lists one by one.
const MAX_NAMED: usize = 20;

/// Something that verify found on the node, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What verify found, as a sentence.
    pub text: String,
    /// The file and position; none for a fact that no file states, such as a default that is compiled in.
    pub place: Option<Place>,
}

impl Evidence {
    /// Returns evidence that no file states, such as an answer of the API server.
    pub(super) fn without_place(text: impl Into<String>) -> Self {
        Self { text: text.into(), place: None }
    }
}

/// Lists names; of many names only the first [`MAX_NAMED`] and the number of the others.
pub(super) fn list_names<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(MAX_NAMED).map(AsRef::as_ref).collect();
    match names.len().checked_sub(MAX_NAMED) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}
