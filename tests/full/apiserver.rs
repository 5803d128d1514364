// SPDX-License-Identifier: Apache-2.0
//! A real kube-apiserver on a hardened root (tests/apiserver): the two oldest minors whose files differ, the newest, and the
//! one before it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test of programs")]

use crate::support::{kubernetes, tools, turns};

/// Builds the server of a minor, which takes 4 to 10 minutes once, and runs what proves it.
fn prove(minor: &str) {
    let _quiet = turns::quiet();
    tools::need_root();
    tools::need(&["gcc", "go", "ip", "jq", "mount", "openssl", "python3", "unshare"]);
    let mut command = std::process::Command::new("tests/apiserver/run.sh");
    let status = command.arg(minor).env("BINARY", env!("CARGO_BIN_EXE_k3s-harden")).status().unwrap();
    assert!(status.success(), "{minor}: {status}");
}

#[test]
#[ignore = "needs root, unshare, Go, gcc, jq, openssl and python3"]
fn a_real_api_server_of_1_24() {
    prove("1.24");
}

#[test]
#[ignore = "needs root, unshare, Go, gcc, jq, openssl and python3"]
fn a_real_api_server_of_1_25() {
    prove("1.25");
}

#[test]
#[ignore = "needs root, unshare, Go, gcc, jq, openssl and python3"]
fn a_real_api_server_of_the_newest_minor() {
    let release = kubernetes::RELEASES[0].trim_start_matches('v');
    prove(release.rsplit_once('.').unwrap().0);
}

/// Where policies from files need a feature gate.
#[test]
#[ignore = "needs root, unshare, Go, gcc, jq, openssl and python3"]
fn a_real_api_server_of_1_36() {
    prove("1.36");
}
