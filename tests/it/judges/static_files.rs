// SPDX-License-Identifier: Apache-2.0
//! Directories of admission policies, webhooks and bindings (`staticManifestsDir`): loaded by Kubernetes' own loader, with its
//! validation and its compiler of expressions, and read by us. What we accept, it accepts; what we refuse, it refuses.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use k3s_harden::kubernetes::admission_objects::AdmissionObjects;
use k3s_harden::version::KubernetesMinor;
use serde_json::{Value, json};

use super::Judge;
use super::static_mutate::{self, Words};
use crate::support::counts::pick;
use crate::support::random::Random;
use crate::support::{kubernetes, turns};

const SEED: u64 = 0x7374_6174_6963;
/// How many files with mistakes are asked about, and how many expressions, of each release.
const FILES: usize = pick(1500, 20_000);
const EXPRESSIONS: usize = pick(3000, 60_000);
/// The most of them that may not be judged, in a hundred.
const MOST_UNJUDGED: usize = 5;

const SAMPLES: [&str; 5] = [
    include_str!("static/access.yaml"),
    include_str!("static/pods.yaml"),
    include_str!("static/services.yaml"),
    include_str!("static/all_fields.yaml"),
    include_str!("static/list.yaml"),
];
const PLUGIN: &str = "ValidatingAdmissionPolicy";

/// What is said of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Accepted,
    Refused,
    Unjudged,
}

/// What was said of many.
#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<(Said, Said), usize>,
    /// Those that the two judge differently.
    differences: Vec<String>,
    unjudged: Vec<String>,
}

impl Tally {
    fn add(&mut self, (ours, why): (Said, String), answer: &Value, text: &str) {
        let theirs = if answer["error"].is_null() { Said::Accepted } else { Said::Refused };
        *self.counts.entry((ours, theirs)).or_default() += 1;
        let shown = || format!("ours: {ours:?} {why}\n  Kubernetes: {answer}\n{text}");
        if ours == Said::Unjudged {
            self.unjudged.push(shown());
        } else if ours != theirs {
            self.differences.push(shown());
        }
    }

    fn check(&self, what: &str, seed: u64) {
        let count = |ours, theirs| self.counts.get(&(ours, theirs)).copied().unwrap_or_default();
        let all: usize = self.counts.values().sum();
        println!(
            "{all} {what}, seed {seed:#x}: {} accepted, {} refused, {} accepted and {} refused ones not judged",
            count(Said::Accepted, Said::Accepted),
            count(Said::Refused, Said::Refused),
            count(Said::Unjudged, Said::Accepted),
            count(Said::Unjudged, Said::Refused),
        );
        if let Some(file) = std::env::var_os("KEEP") {
            fs::write(file, self.unjudged.join("\n\n")).unwrap();
        }
        let shown = self.differences.iter().take(number("SHOW", 10)).cloned().collect::<Vec<_>>();
        assert!(self.differences.is_empty(), "{} differ:\n{}", self.differences.len(), shown.join("\n\n"));
        assert!(count(Said::Accepted, Said::Accepted) * 10 > all, "too few are right");
        assert!(count(Said::Refused, Said::Refused) * 10 > all, "too few are wrong");
        assert!(self.unjudged.len() * 100 <= all * MOST_UNJUDGED, "{} are not judged", self.unjudged.len());
    }
}

fn number(name: &str, or: usize) -> usize {
    std::env::var(name).ok().map_or(or, |text| text.parse().unwrap())
}

#[test]
#[ignore = "needs Go"]
fn kubernetes_loads_admission_files_as_we_say() {
    let _busy = turns::busy();
    let seed = number("SEED", usize::try_from(SEED).unwrap()) as u64;
    // Programs that were built before, as `RELEASE=PATH` with colons between them.
    let built = std::env::var("K3S_HARDEN_STATIC_JUDGES").unwrap_or_default();
    for release in &kubernetes::RELEASES[..2] {
        let directory = tempfile::tempdir().unwrap();
        let known = built.split(':').filter_map(|one| one.split_once('=')).find(|(of, _)| of == release);
        let program = known.map_or_else(
            || kubernetes::build(directory.path(), release, Path::new("tests/oracle/judges")),
            |(_, path)| PathBuf::from(path),
        );
        let mut judge = Judge::new(Command::new(program));
        let minor: KubernetesMinor = release[1..].rsplit_once('.').unwrap().0.parse().unwrap();
        println!("{release}:");
        whole_samples(&mut judge, minor);
        files_with_mistakes(&mut judge, minor, seed);
        expressions_with_mistakes(&mut judge, minor, seed);
    }
}

/// The samples as they are: all accepted by both.
fn whole_samples(judge: &mut Judge, minor: KubernetesMinor) {
    for text in SAMPLES {
        let files = [("a.yaml", text)];
        let answer = ask(judge, PLUGIN, &files);
        assert!(answer["error"].is_null(), "{answer}:\n{text}");
        assert_eq!(ours(PLUGIN, minor, &files), (Said::Accepted, String::new()), "{text}");
    }
}

fn files_with_mistakes(judge: &mut Judge, minor: KubernetesMinor, seed: u64) {
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    for _ in 0..number("COUNT", FILES) {
        let sample = SAMPLES[random.below(SAMPLES.len())];
        let text = static_mutate::file(&mut random, sample);
        let files = [("a.yaml", text.as_str())];
        tally.add(ours(PLUGIN, minor, &files), &ask(judge, PLUGIN, &files), &text);
    }
    tally.check("files", seed);
}

fn expressions_with_mistakes(judge: &mut Judge, minor: KubernetesMinor, seed: u64) {
    let mut random = Random::new(seed);
    let words = Words::of(&SAMPLES);
    let mut tally = Tally::default();
    for _ in 0..number("COUNT", EXPRESSIONS) {
        let text = static_mutate::policy(&mut random, &words);
        let files = [("a.yaml", text.as_str())];
        tally.add(ours(PLUGIN, minor, &files), &ask(judge, PLUGIN, &files), &text);
    }
    tally.check("expressions", seed);
}

/// Lets Kubernetes load a directory of these files.
fn ask(judge: &mut Judge, plugin: &str, files: &[(&str, &str)]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    judge.put(&json!({ "kind": "static", "form": plugin, "directory": directory.path(), "gate": true }))
}

/// Reads these files ourselves.
fn ours(plugin: &str, minor: KubernetesMinor, files: &[(&str, &str)]) -> (Said, String) {
    let mut objects = AdmissionObjects::new(plugin, minor);
    let mut unjudged = String::new();
    for (name, text) in files {
        match objects.add(text.as_bytes(), name) {
            Err(fault) => return (Said::Refused, fault.message),
            Ok(parts) => {
                for part in parts {
                    write!(unjudged, "{} at {:?}; ", part.what, part.position).unwrap();
                }
            }
        }
    }
    match objects.check_references() {
        Err((_, fault)) => (Said::Refused, fault.message),
        Ok(()) if unjudged.is_empty() => (Said::Accepted, String::new()),
        Ok(()) => (Said::Unjudged, unjudged),
    }
}
