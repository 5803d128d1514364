// SPDX-License-Identifier: Apache-2.0
//! The table of served kinds (src/kubernetes/data/served-kinds.yaml) against Kubernetes itself: a small Go program
//! (tests/oracle/served_kinds) is linked against a minor's API server and prints every kind of which objects can be
//! created, and whether `runtime-config` has to ask for it. The table must have exactly these for that minor.
//!
//! It is part of the second tier for the newest minor: `cargo test --test it served_kinds -- --include-ignored`, with Go.
//! The third tier asks all minors (`tests/full`); `K3S_HARDEN_KINDS_OF="1.23 1.30"` or `=all` names others. What differs
//! is printed.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::support::kubernetes::{build, compare_minors, sources_of};
use k3s_harden::kubernetes::served_kinds;
use k3s_harden::version::KubernetesMinor;
use serde_json::Value;

const MINORS: &str = "K3S_HARDEN_KINDS_OF";
const SOURCES: &str = "tests/oracle/served_kinds";

/// A kind: its version, its name, and whether it has to be asked for.
type Served = (String, String, bool);

#[test]
#[ignore = "needs Go"]
fn the_table_has_the_kinds_that_the_api_server_serves() {
    compare_minors(MINORS, |minor, release, wrong| {
        let begin = Instant::now();
        let directory = tempfile::tempdir().unwrap();
        let program = build(directory.path(), release, Path::new(SOURCES));
        let theirs = print(&program, &sources_of(directory.path()));
        let ours = of_table(minor);
        for (version, kind, asked) in theirs.symmetric_difference(&ours) {
            let whose = if ours.contains(&(version.clone(), kind.clone(), *asked)) {
                "the table"
            } else {
                "Kubernetes"
            };
            writeln!(wrong, "{minor}: only {whose} has {version} {kind}, asked for: {asked}").unwrap();
        }
        println!("{release}: {} kinds in {:.0} s", theirs.len(), begin.elapsed().as_secs_f64());
    });
}

fn of_table(minor: KubernetesMinor) -> BTreeSet<Served> {
    let all = served_kinds::of_minor(minor);
    all.map(|(version, kind, asked)| (version.to_owned(), kind.to_owned(), asked)).collect()
}

/// Runs the program.
fn print(program: &Path, kubernetes: &Path) -> BTreeSet<Served> {
    let description = kubernetes.join("api/openapi-spec/swagger.json");
    let printed = Command::new(program).arg(description).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let text = String::from_utf8(printed.stdout).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| {
        let word = |name: &str| row[name].as_str().unwrap().to_owned();
        (word("version"), word("kind"), row["asked"].as_bool().unwrap())
    })
    .collect()
}
