// SPDX-License-Identifier: Apache-2.0
//! One word of a POSIX shell.

/// Quotes text for a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
