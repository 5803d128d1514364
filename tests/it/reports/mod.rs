// SPDX-License-Identifier: Apache-2.0
//! A report of `verify` in all its forms.
//!
//! The second tier holds them against the schemas of others, and opens the page in a browser.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for something else than tests"
)]

mod answers;
pub(crate) mod browser;
pub(crate) mod html;
mod json;
mod others;
mod sample;
pub(crate) mod schema;
mod schemas;
mod terminal;
mod text;
