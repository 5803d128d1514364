// SPDX-License-Identifier: Apache-2.0
//! The table of feature gates (src/kubernetes/data/feature-gates.yaml) against Kubernetes itself: a small Go program
//! (tests/oracle/feature_gates) is linked against a minor's features packages and prints every gate, and the table must have
//! exactly these for that minor, with their states; for the cloud controller manager by itself, too.
//!
//! It is part of the second tier for the newest minor: `cargo test --test it feature_gates -- --include-ignored`, with
//! Go. The third tier asks all minors (`tests/full`); `K3S_HARDEN_GATES_OF="1.23 1.30"` or `=all` names others. With
//! nothing built, one takes ten seconds. What differs is printed.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::support::kubernetes::{build, compare_minors};
use k3s_harden::kubernetes::feature_gates::{self, GateStage};
use k3s_harden::version::KubernetesMinor;
use serde_json::Value;

const MINORS: &str = "K3S_HARDEN_GATES_OF";
const SOURCES: &str = "tests/oracle/feature_gates";
/// The source that makes the program know what all components know together.
const ALL: &str = "kube.go";

#[test]
#[ignore = "needs Go"]
fn the_table_has_the_gates_that_kubernetes_has() {
    compare_minors(MINORS, |minor, release, wrong| {
        for component in ["kubelet", "cloud-controller-manager"] {
            compare(minor, release, component, wrong);
        }
    });
}

/// Compares the gates that a component knows, and writes what differs to `wrong`.
fn compare(minor: KubernetesMinor, release: &str, component: &str, wrong: &mut String) {
    let begin = Instant::now();
    let (directory, sources) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for source in fs::read_dir(SOURCES).unwrap().map(|entry| entry.unwrap().path()) {
        let name = source.file_name().unwrap();
        if name != ALL || component == "kubelet" {
            fs::copy(&source, sources.path().join(name)).unwrap();
        }
    }
    let program = build(directory.path(), release, sources.path());
    let (theirs, their_needs) = print(&program);
    let ours: BTreeMap<String, String> = feature_gates::known(component, minor)
        .into_iter()
        .map(|(name, state)| {
            let stage = match state.stage {
                GateStage::Alpha => "ALPHA",
                GateStage::Beta => "BETA",
                GateStage::Deprecated => "DEPRECATED",
                GateStage::Stable => "",
            };
            (name.to_owned(), format!("{stage} on={} locked={}", state.is_on, state.is_locked))
        })
        .collect();
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for name in names {
        let (one, other) = (ours.get(name), theirs.get(name));
        if one != other {
            writeln!(wrong, "{minor} {component}: {name} is {other:?}, and {one:?} in the table").unwrap();
        }
    }
    let ours: BTreeSet<(String, String)> = feature_gates::needs(component, minor)
        .map(|(name, other)| (name.to_owned(), other.to_owned()))
        .collect();
    for (name, other) in ours.symmetric_difference(&their_needs) {
        writeln!(wrong, "{minor} {component}: {name} needs {other} in only one of both").unwrap();
    }
    println!("{release}: {} gates of {component} in {:.0} s", theirs.len(), begin.elapsed().as_secs_f64());
}

/// Runs the program; returns the state of each gate, and the pairs of gates of which one needs the other.
fn print(program: &Path) -> (BTreeMap<String, String>, BTreeSet<(String, String)>) {
    let printed = Command::new(program).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let (mut states, mut needs) = (BTreeMap::new(), BTreeSet::new());
    for line in String::from_utf8(printed.stdout).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let name = row["name"].as_str().unwrap().to_owned();
        for other in row["needs"].as_array().into_iter().flatten() {
            needs.insert((name.clone(), other.as_str().unwrap().to_owned()));
        }
        let stage = row["stage"].as_str().unwrap();
        states.insert(name, format!("{stage} on={} locked={}", row["on"], row["locked"]));
    }
    (states, needs)
}
