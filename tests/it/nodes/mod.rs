// SPDX-License-Identifier: Apache-2.0
//! Whole nodes: what the tool says and does where the right answer is known from K3s's source, or from a real K3s.
//!
//! The nodes are data below `tests/nodes`: `k3s.jsonl` (one node a line, for each rule of K3s that a node can break), `verify.jsonl` (verdicts, for each rule that one
//! rests on), `public.jsonl` (of public reports),
//! `start.jsonl` (what a real K3s 1.36.3 did with a configuration), `real` (nodes as installers and distributions make
//! them, one a file). This module lays each on a temporary root and runs the binary.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

mod case;
mod start;

use std::fs;
use std::path::{Path, PathBuf};

use case::Case;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nodes")
}

/// Returns the lines of a file of nodes, one value a line.
fn lines<T: serde::de::DeserializeOwned>(name: &str) -> Vec<T> {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let lines = text.lines().enumerate();
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}:{}: {error}", at + 1))
        })
        .collect()
}

/// Runs every case, and fails with all the faults of all of them.
fn all_hold(cases: &[Case]) {
    assert!(!cases.is_empty());
    let faults: Vec<String> = cases.iter().flat_map(Case::faults).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_rule_of_k3s_that_a_node_can_break() {
    all_hold(&lines("k3s.jsonl"));
}

#[test]
fn verdicts_whose_evidence_is_known() {
    all_hold(&lines("verify.jsonl"));
}

#[test]
fn nodes_of_public_reports() {
    all_hold(&lines("public.jsonl"));
}

#[test]
fn nodes_as_people_make_them() {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder().join("real")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| -> Case {
        serde_yaml::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    all_hold(&paths.into_iter().map(read).collect::<Vec<_>>());
}
