// SPDX-License-Identifier: Apache-2.0
//! What other hands do with what we render: cloud-init, Packer, shells, Ignition's own rules and systemd, each the real
//! program, on nodes of their own.
//!
//! They are part of the second tier: `cargo test --test it beds -- --include-ignored` as root. The roots of two Debian
//! releases are made once, below the target directory.

#![allow(clippy::disallowed_methods, reason = "tests look at their nodes by hand")]
#![allow(
    clippy::unwrap_used,
    missing_debug_implementations,
    reason = "clippy takes helpers of tests for something else than tests"
)]

mod bed;
mod boot;
mod cloud_init;
mod gate;
mod ignition;
mod packer;
mod shells;
mod systemd;
