// SPDX-License-Identifier: Apache-2.0
//! How long the run takes that happens a thousand times: `apply` on a node that is as desired.
//!
//! The whole process is timed against `/bin/true`, in turn, because a machine's speed drifts. The ratio is printed and
//! judged by nobody: the same commit has 2.1 on one machine and 3.0 on another. What must not grow is counted by
//! `tests/it/converged.rs`. For the shipped form of the binary, which is built as README.md says:
//!
//! ```text
//! BENCH_BINARY=target/x86_64-unknown-linux-gnu/dist/k3s-harden cargo bench --profile dev --bench converged
//! ```
//!
//! Without `BENCH_BINARY` it times the binary that cargo builds with the bench.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench prints, and runs programs")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 200;
const WARM_UP: usize = 20;

fn main() {
    // `cargo test --benches` calls benches too, with --test or without arguments.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("nothing is timed: run it with cargo bench");
        return;
    }
    // As an installer puts it there: a linker leaves a file in the page cache in small pieces, and each is a fault.
    let installed = tempfile::tempdir().expect("a directory for the binary");
    let binary = installed.path().join("k3s-harden");
    let built = std::env::var_os("BENCH_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_k3s-harden").into());
    std::fs::copy(built, &binary).expect("the binary can be copied");
    let binary = binary.to_str().expect("it is text");
    for (role, version, profile) in
        [("server", "1.33", "cis"), ("server", "1.24", "cis,strict"), ("agent", "1.33", "cis")]
    {
        let root = tempfile::tempdir().expect("a directory for a root");
        let path = root.path().to_str().expect("it is text");
        let owner = format!("{}:{}", nix::unistd::geteuid(), nix::unistd::getegid());
        let first = [
            "apply",
            "-q",
            "--root",
            path,
            "--k3s-version",
            version,
            "--role",
            role,
            "--profile",
            profile,
            "--owner",
            &owner,
        ];
        assert!(time(binary, &first).1, "the first apply works");
        let again = ["apply", "--root", path, "--owner", &owner];
        let (converged, yardstick, ratio) = pairs(binary, &again);
        println!(
            "{role} {version} {profile}: {converged:?}, /bin/true {yardstick:?}, ratio {ratio:.2} (medians of {RUNS} pairs)"
        );
    }
}

/// Times both in turn; returns the median times and the median of the pairs' ratios.
fn pairs(binary: &str, arguments: &[&str]) -> (Duration, Duration, f64) {
    let (mut ours, mut trues, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..WARM_UP + RUNS {
        let (our, done) = time(binary, arguments);
        assert!(done, "a converged apply works");
        let (yardstick, _) = time("/bin/true", &[]);
        if run >= WARM_UP {
            ours.push(our);
            trues.push(yardstick);
            ratios.push(our.as_secs_f64() / yardstick.as_secs_f64());
        }
    }
    ours.sort();
    trues.sort();
    ratios.sort_by(f64::total_cmp);
    (ours[RUNS / 2], trues[RUNS / 2], ratios[RUNS / 2])
}

fn time(program: &str, arguments: &[&str]) -> (Duration, bool) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status().expect("it runs");
    (begun.elapsed(), status.success())
}
