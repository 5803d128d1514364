// SPDX-License-Identifier: Apache-2.0
//! What this binary is: its version, the commit and the target that it was built from and for, and the age of its data.

use serde::Deserialize;

use crate::embedded;

/// The version of k3s-harden.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that it was built from, `-changed` behind it if files had changed since; `unknown` if the build was not told and
/// was no release build in a checkout (see build.rs).
pub const COMMIT: &str = env!("BUILT_FROM_COMMIT");
/// The target that it was built for, such as `x86_64-unknown-linux-gnu`.
pub const TARGET: &str = env!("BUILT_FOR_TARGET");

/// Returns the day on which the tables were last held against their sources, such as `2026-11-20` (data/data-date.yaml).
#[must_use]
pub fn data_date() -> String {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct DataDate {
        date: String,
    }
    embedded::table::<DataDate>("data-date").date
}
