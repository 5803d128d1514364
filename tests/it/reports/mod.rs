//! A report of `verify` in all its forms.
//!
//! With `K3S_HARDEN_TIER=2` they are held against the schemas of others, and the page is opened in a browser.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for something else than tests"
)]

mod browser;
mod html;
mod json;
mod others;
mod sample;
pub(crate) mod schema;
mod schemas;
mod terminal;
mod text;
mod tier;
