// SPDX-License-Identifier: Apache-2.0
//! How many instructions the verbs take, which is the same on a quiet machine and on a busy one. They are recorded in
//! `benches/instructions.yaml`; what takes over 5 % more than recorded fails.
//!
//! ```text
//! BENCH_BINARY=target/x86_64-unknown-linux-gnu/dist/k3s-harden cargo bench --profile dev --bench instructions
//! BENCH_BINARY=… cargo bench --profile dev --bench instructions -- --record "why it takes more"
//! ```
//!
//! It needs valgrind. Without `BENCH_BINARY` it counts the binary that cargo builds with the bench, which is not the one that is
//! recorded. `--record` writes what it counts, with the reason where something has grown.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench prints, and runs programs")]

#[path = "compare/nodes.rs"]
#[allow(dead_code, reason = "benches/compare needs more of it")]
mod nodes;

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use nodes::{Node, TOLD};
use serde::{Deserialize, Serialize};

const RECORD: &str = "benches/instructions.yaml";
/// How many percent more than recorded are too many.
const MARGIN: u64 = 5;

/// What is recorded of a command.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// What it does.
    run: String,
    /// The instructions that it took.
    instructions: u64,
    /// Why it takes so many more than before; empty for the first count.
    why: String,
}

fn main() -> ExitCode {
    let (flags, arguments): (Vec<String>, Vec<String>) =
        env::args().skip(1).partition(|one| one == "--bench");
    if flags.is_empty() {
        println!("nothing is counted: run it with cargo bench");
        return ExitCode::SUCCESS;
    }
    let reason = match arguments.as_slice() {
        [] => None,
        [word, reason] if word == "--record" && !reason.trim().is_empty() => Some(reason.as_str()),
        _ => panic!("say nothing, or --record and the reason"),
    };
    let text = fs::read_to_string(RECORD).expect("the record is part of the project");
    let recorded: Vec<Row> = serde_yaml::from_str(&text).expect("it has the shape of the record");
    let head: String = text.split_inclusive('\n').take_while(|line| line.starts_with('#')).collect();
    let mut counted = Vec::new();
    let mut is_worse = false;
    for (run, instructions) in counts() {
        let before = recorded.iter().find(|row| row.run == run);
        let why = before.map(|row| row.why.clone()).unwrap_or_default();
        let change = before.map_or("not recorded yet".to_owned(), |row| {
            let [now, then] =
                [instructions, row.instructions].map(|count| i64::try_from(count).expect("it fits"));
            format!("{:+.1} %", 100.0 * ratio(now - then, then))
        });
        println!(
            "{run}: {:.2} million instructions ({change})",
            ratio(i64::try_from(instructions).expect("it fits"), 1_000_000)
        );
        let grew = before.is_none_or(|row| instructions * 100 > row.instructions * (100 + MARGIN));
        is_worse |= grew;
        let why = if grew && before.is_some() { reason.map_or(why, str::to_owned) } else { why };
        counted.push(Row { run, instructions, why });
    }
    if reason.is_some() {
        let rows = serde_yaml::to_string(&counted).expect("it is data");
        fs::write(RECORD, format!("{head}{rows}")).expect("the record can be written");
        println!("written: {RECORD}");
        return ExitCode::SUCCESS;
    }
    if is_worse {
        println!(
            "over {MARGIN} % more than {RECORD} has: make it cheaper, or record it with --record and the reason"
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[allow(clippy::cast_precision_loss, reason = "it is shown with few digits")]
fn ratio(of: i64, whole: i64) -> f64 {
    of as f64 / whole as f64
}

/// Counts the instructions of each command, on nodes like those of benches/compare.
fn counts() -> Vec<(String, u64)> {
    let made = tempfile::tempdir().expect("a directory for the roots");
    let binary = env::var("BENCH_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_k3s-harden").to_owned());
    let fresh = Node::make(made.path().join("fresh"), &binary);
    let hardened = Node::hardened(made.path().join("hardened"), &binary);
    let (started, log) = Node::started(made.path().join("started"), &binary, 1 << 20);
    let large = Node::make(made.path().join("large"), &binary);
    let labels: String = (0..1000).map(|at| format!("  - number-{at}=a-value-of-{at}\n")).collect();
    large.write("etc/rancher/k3s/config.yaml.d/50-large.yaml", &format!("node-label:\n{labels}"));
    let reports = reports(made.path(), &hardened);
    let reports: Vec<&str> = reports.iter().map(String::as_str).collect();
    let told = |verb: &'static str| [&[verb], &TOLD[..]].concat();
    let lines = [
        ("--version", vec![binary.as_str(), "--version"]),
        ("read a configuration of 1 000 lines", large.words(&["effective-config", "--k3s-version", "1.37"])),
        ("render for cloud-init", fresh.words(&[&["render", "--as", "cloud-init"], &TOLD[..]].concat())),
        ("plan of a fresh node", fresh.words(&told("plan"))),
        ("apply of a converged node", hardened.words(&["apply"])),
        ("preflight of a hardened node", hardened.words(&["preflight"])),
        ("verify of a hardened node", hardened.words(&["verify"])),
        ("verify of a started node with 1 MiB of log", started.words(&["verify", "--journal", &log])),
        ("merge of 50 reports", [&[binary.as_str(), "report", "merge"], &reports[..]].concat()),
    ];
    lines.into_iter().map(|(run, words)| (run.to_owned(), instructions(&words))).collect()
}

/// Writes the reports of 50 nodes; returns their paths.
fn reports(folder: &Path, node: &Node) -> Vec<String> {
    let report = node.run(&["verify", "--format", "json", "--node", "node-name"]);
    let report = String::from_utf8(report).expect("JSON is text");
    let write = |at: usize| {
        let path = folder.join(format!("{at}.json"));
        fs::write(&path, report.replace("node-name", &format!("node-{at}"))).expect("the disk has room");
        path.to_str().expect("it is text").to_owned()
    };
    (0..50).map(write).collect()
}

/// Counts the instructions of one run.
fn instructions(words: &[&str]) -> u64 {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).args(words);
    let output = valgrind.output().expect("valgrind starts (Debian: valgrind)");
    let said = String::from_utf8_lossy(&output.stderr);
    // 2: something is worth a look, which is no failure.
    assert!(matches!(output.status.code(), Some(0 | 2)), "{words:?}: {said}");
    let count = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.unwrap_or_else(|| panic!("{words:?}: valgrind counts nothing: {said}"))
}
