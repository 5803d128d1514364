// SPDX-License-Identifier: Apache-2.0
//! The page of exit codes.

use super::markdown::{Page, anchor, with_code};
use crate::error::exit;

/// Returns the page.
pub(super) fn page() -> Page {
    let mut page = Page::new(
        "exit-codes.md",
        "Exit codes",
        "What an exit code of k3s-harden says, the same for every verb.",
    );
    let rows = exit::meanings().into_iter();
    page.table(
        &["exit", "meaning"],
        rows.map(|row| {
            vec![format!("{}{}", anchor(&row.code.to_string()), row.code), with_code(row.meaning)]
        }),
    );
    page
}
