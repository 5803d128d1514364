// SPDX-License-Identifier: Apache-2.0
//! How much of a report is taken. A report of this version is below all of these by far.

/// The largest report of a node that is read, in bytes.
pub const MAX_NODE_REPORT_BYTES: usize = 16 * 1024 * 1024;

/// The largest merged report that is read as a baseline, in bytes: that of some 20 000 nodes without two alike.
pub const MAX_MERGE_BYTES: usize = 256 * 1024 * 1024;

/// The most controls of one report.
pub(super) const MAX_CONTROLS: usize = 1_000;

/// The most controls of all reports together: each has a line of its own.
pub(super) const MAX_ALL_CONTROLS: usize = 5_000;

/// The longest name, version or number, in bytes. A host name of DNS has at most 253.
pub(super) const MAX_NAME_BYTES: usize = 253;

/// The longest title or value that is kept, in characters; the rest of a longer one is left out.
pub(super) const MAX_TEXT_CHARACTERS: usize = 300;

/// Returns a text that is no longer than the limit; `…` stands for what is left out.
pub(super) fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARACTERS) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
