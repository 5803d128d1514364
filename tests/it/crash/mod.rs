//! Nothing lost: runs that are killed, fail, race or lose power, on images whose every byte, mode, owner and label
//! is known before and after.
//!
//! `K3S_HARDEN_TIER=2 cargo test --test crash` as root; without the variable every test is skipped.

#![allow(clippy::disallowed_methods, reason = "tests look at their images by hand")]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_debug_implementations,
    reason = "clippy takes helpers of tests for something else than tests"
)]

mod bed;
mod everywhere;
mod failing;
mod full;
mod power;
mod signals;
mod strace;
mod symlinks;
mod together;
mod tree;
mod twice;
mod window;

/// Tells whether this tier of tests is asked for, or says that it is not.
fn wanted() -> bool {
    let asked = std::env::var("K3S_HARDEN_TIER").is_ok_and(|tier| tier == "2");
    if asked {
        assert!(nix::unistd::geteuid().is_root(), "this tier of tests has to be run by root");
    } else {
        bed::report("skipped: K3S_HARDEN_TIER is not 2");
    }
    asked
}
