// SPDX-License-Identifier: Apache-2.0
//! The manual is true: its links resolve, it is whole, its commands are those of the program, and what it says that the
//! program prints is what the program prints. docs/testing.md says how a page is written for that.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the project's own files")]

mod commands;
mod links;
mod pages;
mod picture;
mod transcripts;
mod whole;

pub(crate) use pages::{by_hand, quoted};
