// SPDX-License-Identifier: Apache-2.0
//! Nothing lost: runs that are killed, fail, race or lose power, on images whose every byte, mode, owner and label
//! is known before and after.
//!
//! They are part of the second tier, `cargo test --test it crash -- --include-ignored` as root: it takes some of the
//! points of each long sweep. The third tier takes all of them (`tests/full`).

#![allow(clippy::disallowed_methods, reason = "tests look at their images by hand")]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_debug_implementations,
    reason = "clippy takes helpers of tests for something else than tests"
)]

mod bed;
mod chroot;
mod damage;
mod everywhere;
mod exit_codes;
mod failing;
mod file_systems;
mod full;
mod limits;
mod power;
mod refusals;
mod signals;
mod strace;
mod symlinks;
mod third_party;
mod together;
mod tree;
mod twice;
mod verbs;
mod window;
