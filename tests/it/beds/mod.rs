//! What other hands do with what we render: cloud-init, Packer, shells, Ignition's own rules and systemd, each the real
//! program, on nodes of their own.
//!
//! `K3S_HARDEN_TIER=2 cargo test --test beds` as root; without the variable every test is skipped. The roots of two
//! Debian releases are made once, below the target directory.

#![allow(clippy::disallowed_methods, reason = "tests look at their nodes by hand")]
#![allow(
    clippy::unwrap_used,
    missing_debug_implementations,
    reason = "clippy takes helpers of tests for something else than tests"
)]

mod bed;
mod cloud_init;
mod ignition;
mod packer;
mod shells;
mod systemd;

use std::io::Write as _;

/// Tells whether this tier of tests is asked for, or says that it is not.
fn wanted() -> bool {
    let asked = std::env::var("K3S_HARDEN_TIER").is_ok_and(|tier| tier == "2");
    if asked {
        assert!(nix::unistd::geteuid().is_root(), "this tier of tests has to be run by root");
    } else {
        report("skipped: K3S_HARDEN_TIER is not 2");
    }
    asked
}

/// Says something on the standard error itself, where it is seen although the test passes.
fn report(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}
