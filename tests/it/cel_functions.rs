// SPDX-License-Identifier: Apache-2.0
//! The table of the functions that expressions may call (src/kubernetes/data/cel-functions.yaml) against Kubernetes itself: a
//! Go program (tests/oracle/cel_functions) prints the overloads and macros of a minor's environment.
//!
//! It is part of the second tier: `cargo test --test it cel_functions -- --include-ignored`, with Go.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use k3s_harden::kubernetes::cel;
use k3s_harden::version::KubernetesMinor;
use serde_json::Value;

use crate::support::kubernetes::{RELEASES, build};
use crate::support::turns;

#[test]
#[ignore = "needs Go"]
fn the_table_has_the_functions_that_expressions_may_call() {
    let _busy = turns::busy();
    for release in &RELEASES[..2] {
        let minor: KubernetesMinor = release[1..].rsplit_once('.').unwrap().0.parse().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let program = build(directory.path(), release, Path::new("tests/oracle/cel_functions"));
        let printed = Command::new(program).output().unwrap();
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let (mut functions, mut macros) = (BTreeSet::new(), BTreeSet::new());
        for line in String::from_utf8(printed.stdout).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let name = row["name"].as_str().unwrap().to_owned();
            let dot = if row["member"] == true { "." } else { "" };
            if row["macro"] == true {
                macros.insert(format!("{dot}{name}/{}", row["count"]));
                continue;
            }
            let arguments = row["args"].as_array().into_iter().flatten().map(|of| of.as_str().unwrap());
            let arguments = arguments.collect::<Vec<_>>().join(", ");
            functions.insert((name, format!("{dot}{arguments} -> {}", row["result"].as_str().unwrap())));
        }
        let rows = cel::rows(minor);
        let ours: BTreeSet<(String, String)> =
            rows.into_iter().map(|(name, of)| (name.to_owned(), of.to_owned())).collect();
        let (missing, extra): (Vec<_>, Vec<_>) =
            (functions.difference(&ours).collect(), ours.difference(&functions).collect());
        assert!(missing.is_empty() && extra.is_empty(), "{release}: missing {missing:?}, too many {extra:?}");
        assert_eq!(cel::macros().iter().cloned().collect::<BTreeSet<_>>(), macros, "{release}");
        println!("{release}: {} functions, {} macros", functions.len(), macros.len());
    }
}
