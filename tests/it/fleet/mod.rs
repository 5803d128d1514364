// SPDX-License-Identifier: Apache-2.0
//! `report merge`: the reports of many nodes as one.
//!
//! The second tier opens the page in a browser, and merges a thousand reports with a limit on memory.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for something else than tests"
)]

mod broken;
mod browser;
mod merged;
mod page;
pub(crate) mod sample;
mod trend;
