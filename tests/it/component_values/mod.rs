// SPDX-License-Identifier: Apache-2.0
//! What `preflight` says of the arguments and files of the six components, against Kubernetes' own code.
//!
//! The first tier compares what Kubernetes 1.36.2 answered (`tests/oracle/component-values.jsonl`): arguments as K3s hands
//! them on, which takes blanks off their ends, and with `late` what ends a component after its options. Of 1.29.15 it has what
//! is about certificates, credentials of images, cloud providers and the kubelet's folder of drop-ins
//! (`tests/oracle/component-values-1.29.jsonl`, of the program of the second tier). The second tier builds a
//! Go program against the newest minor (`tests/oracle/component_values`), and asks it about random values of all arguments
//! and about random documents; the third tier asks about more, and an old minor as well.
//!
//! ```text
//! cargo test --test it component_values -- --include-ignored      as root, with Go
//! ```
//!
//! `K3S_HARDEN_COMPONENT_VALUES_SEED`, `_VALUES` and `_DOCUMENTS` change the cases, `_RELEASES` the releases,
//! `_ONLY` (a regular expression) leaves only some groups; `_SHOW` names a file for all cases that the two judge
//! differently, and `_KEEP` one for all cases.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

mod documents;
mod judge;
mod node;
mod pools;
mod values;

use std::fs;
use std::time::Instant;

use crate::support::counts::pick;
use crate::support::random::Random;
use crate::support::{kubernetes, tools, turns};
use judge::Judge;
use node::{Case, Tally};
use regex::Regex;

const SEED: u64 = 0x7661_6c75_6573;
/// How many random values and documents each release is asked about.
const VALUES: usize = pick(500, 10_000);
const DOCUMENTS: usize = pick(100, 2_000);
/// The old minor that the third tier asks: before K3s splits the kubelet's configuration.
const OLD_MINOR: &str = "v1.29.";

/// Returns an environment variable of this test.
fn told(name: &str) -> Option<String> {
    std::env::var(format!("K3S_HARDEN_COMPONENT_VALUES_{name}")).ok()
}

/// Returns the releases that are asked.
fn releases() -> Vec<&'static str> {
    let all = kubernetes::RELEASES;
    if let Some(wanted) = told("RELEASES") {
        let named =
            |release: &&&str| wanted.split([' ', ',']).any(|word| word == release.trim_start_matches('v'));
        return all.iter().filter(named).copied().collect();
    }
    let old = all.iter().find(|release| release.starts_with(OLD_MINOR)).unwrap();
    if crate::IS_FULL { vec![all[0], old] } else { vec![all[0]] }
}

/// Compares what Kubernetes answered, by a file with so many lines.
fn compare_answers(file: &str, lines: usize) {
    let text = fs::read_to_string(format!("tests/oracle/{file}.jsonl")).unwrap();
    let cases: Vec<Case> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(cases.len(), lines);
    let fault = Tally::of(&cases).fault();
    assert!(fault.is_none(), "{}", fault.unwrap_or_default());
}

#[test]
fn what_kubernetes_answered_is_what_preflight_says() {
    compare_answers("component-values", 2_645);
}

#[test]
fn what_an_old_kubernetes_answered_is_what_preflight_says() {
    compare_answers("component-values-1.29", 163);
}

#[test]
#[ignore = "needs Go and root"]
fn random_values_and_documents_are_judged_as_kubernetes_judges_them() {
    let _busy = turns::busy();
    tools::need_root();
    let number = |name: &str, or: usize| told(name).map_or(or, |text| text.parse().unwrap());
    let seed = told("SEED").map_or(SEED, |text| text.parse().unwrap());
    let (values, documents) = (number("VALUES", VALUES), number("DOCUMENTS", DOCUMENTS));
    let only = Regex::new(&told("ONLY").unwrap_or_default()).unwrap();
    let releases = releases();
    assert!(!releases.is_empty(), "no release is asked");
    let (mut faults, mut shown, mut kept) = (String::new(), String::new(), String::new());
    for release in releases {
        let begin = Instant::now();
        let directory = tempfile::tempdir().unwrap();
        let judge = Judge::build(directory.path(), release);
        println!("{release}: built in {:.0} s", begin.elapsed().as_secs_f64());
        let mut random = Random::new(seed);
        let arguments = values::cases(&mut random, release, values, &only);
        let files = documents::cases(&mut random, release, documents, &only);
        for (what, cases) in [("values", arguments), ("documents", files)] {
            let begin = Instant::now();
            let judged = judge.ask(&cases);
            let tally = Tally::of(&judged);
            let (all, machine) = (cases.len(), cases.len() - judged.len());
            tools::report(&format!(
                "{} {what}, seed {seed:#x}: {} ({machine} of {all} depend on the machine) in {:.0} s",
                judge.release(),
                tally.figures(),
                begin.elapsed().as_secs_f64()
            ));
            shown += &tally.lines();
            kept.extend(judged.iter().map(|case| format!("{}\n", serde_json::to_string(case).unwrap())));
            for (name, text) in [("SHOW", &shown), ("KEEP", &kept)] {
                if let Some(file) = told(name) {
                    fs::write(file, text).unwrap();
                }
            }
            faults.extend(tally.fault().map(|fault| format!("{release} {what}: {fault}\n")));
            let accepted = tally.cases - tally.refused;
            assert!(
                only.as_str() != "" || (accepted > 0 && tally.refused > 0),
                "{what} are asked about in one way only"
            );
        }
    }
    assert!(faults.is_empty(), "{faults}");
}
