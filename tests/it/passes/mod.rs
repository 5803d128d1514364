// SPDX-License-Identifier: Apache-2.0
//! A search for undeserved passes: what `verify` passes on random nodes is derived again by what is not ours.
//!
//! K3s's own library reads the configuration (`tests/oracle/k3s_cli`), the arguments that K3s was recorded with are merged
//! with it, and Kubernetes' own code reads them and the files of the node (`tests/oracle/passes`), as far as the component's
//! options go. A control that `verify` passes has to be met there. Where the component refuses an argument, no control that
//! reads it may pass; where the component does not run, none of its controls.
//!
//! ```text
//! cargo test --test it passes -- --include-ignored      as root, with Go
//! ```
//!
//! On some of the nodes the real kube-bench looks: its states have to be those that `verify --as kube-bench` forecasts, and
//! where it does not pass what `verify` passes, that is a known defect of its own (known.yaml).
//!
//! `K3S_HARDEN_PASSES_SEED` and `_NODES` change the nodes, `_SCANS` how many are scanned, `_KEEP` names a folder for those that are judged otherwise, and
//! `_JUDGE` a program that was built before.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

mod files;
mod judge;
mod node;
mod real_scanner;
mod started;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::Instant;

use serde::Deserialize;
use serde_json::Value;

use crate::support::counts::pick;
use crate::support::random::Random;
use crate::support::{self, kubernetes, tools, turns};
use judge::{Judge, Judged};
use node::{ARGUMENTS, Dice, Node};
use real_scanner::{NEWEST, RealScanner};
use started::Started;

const SEED: u64 = 0x7061_7373_6573;
const NODES: usize = pick(100, 2_000);
/// On how many of those that have started the real scanner looks.
const SCANS: usize = pick(20, 400);
/// The minor of the nodes: the newest that was recorded runs the newest that is asked.
const MINOR: &str = "1.37";

/// What is known to differ, with its reason (known.yaml).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// Controls that pass although nobody else was asked.
    underived: BTreeMap<String, String>,
    /// Checks of the scanner that do not pass although `verify` does.
    scanner: Vec<Defect>,
    /// Controls that do not pass although they are met.
    stricter: Vec<Stricter>,
}

/// A check of the scanner that says less than it should.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Defect {
    controls: Vec<String>,
    #[allow(dead_code, reason = "for whoever reads the table")]
    why: String,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| serde_yaml::from_str(include_str!("known.yaml")).unwrap());

/// A verdict that is stricter than the components.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stricter {
    controls: Vec<String>,
    /// What the evidence says.
    evidence: Option<String>,
    /// The control that the components do not meet on such a node.
    unmet: Option<String>,
    #[allow(dead_code, reason = "for whoever reads the table")]
    why: String,
}

fn told(name: &str) -> Option<String> {
    std::env::var(format!("K3S_HARDEN_PASSES_{name}")).ok()
}

/// What `verify` says of a control.
struct Status {
    id: String,
    status: String,
    evidence: String,
}

/// How often something is found, and the first that shows it.
type Found = BTreeMap<String, (usize, String)>;

/// What was found on all nodes.
#[derive(Debug, Default)]
struct Tally {
    /// Passes that were derived again.
    derived: usize,
    undeserved: Found,
    alarms: Found,
    underived: BTreeMap<String, usize>,
    /// States of the real scanner, and those that it prints although something else was forecast.
    states: usize,
    forecasts: Found,
    /// Passes that the real scanner does not confirm.
    unconfirmed: Found,
    /// How often each control was met and not met where it was judged.
    judged: BTreeMap<String, [usize; 2]>,
}

#[test]
#[ignore = "needs Go and root"]
fn what_verify_passes_is_met() {
    let _busy = turns::busy();
    tools::need_root();
    let number = |name: &str, or: usize| told(name).map_or(or, |text| text.parse().unwrap());
    let seed = told("SEED").map_or(SEED, |text| text.parse().unwrap());
    let begin = Instant::now();
    let directory = tempfile::tempdir().unwrap();
    let release = kubernetes::RELEASES[0];
    assert!(release.starts_with(&format!("v{MINOR}.")), "{release} is not of {MINOR}");
    let judge = Judge::build(directory.path(), release);
    println!("{release}: built in {:.0} s", begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    let mut random = Random::new(seed);
    let mut dice = Dice::new(&mut random);
    let nodes: Vec<Node> = (0..number("NODES", NODES)).map(|_| dice.node()).collect();
    let judged = judge.ask(&nodes);
    let refused = judged.iter().filter(|judged| judged.refused.is_some()).count();
    let asked = begin.elapsed().as_secs_f64();
    let scanner = RealScanner::build(directory.path());
    let tally = look_at_all(&nodes, &judged, &scanner, number("SCANS", SCANS));
    let count = |found: &Found| found.values().map(|(count, _)| count).sum::<usize>();
    tools::report(&format!(
        "{} nodes, seed {seed:#x}: {} passes derived again, {} undeserved; {} passes of {} controls that nobody derives; {} false alarms; {} states of the scanner, {} forecast otherwise, {} passes that it does not confirm; K3s refuses {refused} nodes; {asked:.0} s to judge, {:.0} s in all",
        nodes.len(),
        tally.derived,
        count(&tally.undeserved),
        tally.underived.values().sum::<usize>(),
        tally.underived.len(),
        count(&tally.alarms),
        tally.states,
        count(&tally.forecasts),
        count(&tally.unconfirmed),
        begin.elapsed().as_secs_f64(),
    ));
    assert!(refused * 10 < nodes.len(), "K3s refuses too many nodes");
    let fault = tally.fault();
    // What nobody derives is judged only where the component refuses it.
    let is_derived = |control: &String| !KNOWN.underived.contains_key(control);
    let one_sided: Vec<_> =
        tally.judged.iter().filter(|(control, counts)| is_derived(control) && counts.contains(&0)).collect();
    println!("{} controls are judged, these in one way only: {one_sided:?}", tally.judged.len());
    assert!(fault.is_empty(), "{fault}");
    // The few nodes of the second tier cannot have everything.
    let most = if crate::IS_FULL { 0 } else { tally.judged.len() / 3 };
    assert!(
        nodes.len() < NODES || one_sided.len() <= most,
        "too many are met always, or never: {one_sided:?}"
    );
}

/// Runs `verify` on all nodes, and compares.
fn look_at_all(nodes: &[Node], judged: &[Judged], scanner: &RealScanner, scans: usize) -> Tally {
    let is_scanned = |at: &usize| nodes[*at].started && judged[*at].refused.is_none();
    let scanned: Vec<usize> = (0..nodes.len()).filter(is_scanned).take(scans).collect();
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(node) = nodes.get(at) else { break };
            if judged[at].refused.is_none() {
                let laid = lay(node, &judged[at]);
                let statuses = verify(&laid, node, node.benchmark, &[]);
                let of_files = files::met(laid.path(), node, &judged[at]);
                let place = scanned.iter().position(|scanned| *scanned == at);
                let scan = place.map(|place| scan(scanner, &laid, node, place));
                let mut tally = tally.lock().unwrap();
                if let Some((benchmark, states)) = scan {
                    tally.add_scan((at, node, benchmark), states);
                }
                if tally.add((at, node, &judged[at]), &of_files, &statuses)
                    && let Some(folder) = told("KEEP")
                {
                    keep(&Path::new(&folder).join(at.to_string()), laid.path(), node, &judged[at]);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    tally.into_inner().unwrap()
}

/// Lays a node.
fn lay(node: &Node, judged: &Judged) -> support::Node {
    let mut laid = support::Node::new();
    let recorded = Started::of(node.datastore);
    if node.started {
        recorded.lay(laid.path(), node);
        laid = laid.file("journal", recorded.journal(&judged.lines));
    }
    let quoted = |word: &String| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""));
    let words: Vec<String> = node.words.iter().map(quoted).collect();
    let service = if node.role == "server" { "k3s" } else { "k3s-agent" };
    let unit = format!("[Service]\nExecStart=/usr/local/bin/k3s {} {}\n", node.role, words.join(" "));
    laid = laid.file(&format!("etc/systemd/system/{service}.service"), unit);
    for (path, text) in node.config.iter().map(|(path, text)| (path, text)).chain(&node.files) {
        laid = laid.file(path.trim_start_matches('/'), text);
    }
    laid
}

/// Returns what `verify` says of each control, or forecasts of each check.
fn verify(laid: &support::Node, node: &Node, benchmark: &str, more: &[&str]) -> BTreeMap<String, Status> {
    let journal = laid.path().join("journal");
    let mut arguments = vec!["verify", "--format", "json", "--k3s-version", MINOR, "--role", node.role];
    arguments.extend(["--benchmark", benchmark]);
    arguments.extend(more);
    if node.started {
        arguments.extend(["--journal", journal.to_str().unwrap()]);
    }
    let said = laid.run(&arguments);
    let report: Value =
        serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{node:?}: {}", said.stderr));
    let status = |control: &Value| {
        let text = |key: &str| control[key].as_str().unwrap_or_default().to_owned();
        let status = if control["state"].is_null() { text("status") } else { text("state") };
        let name = if control["name"].is_null() { text("id") } else { text("name") };
        (name, Status { id: text("id"), status, evidence: control["evidence"].to_string() })
    };
    report["controls"].as_array().unwrap().iter().map(status).collect()
}

/// What the real scanner says of a check, what was forecast of it, and the control that `verify` passes under its number.
struct Scanned {
    id: String,
    state: String,
    forecast: String,
    passed: Option<String>,
}

/// Has the real scanner look at a node with one of its benchmarks.
fn scan(
    scanner: &RealScanner,
    laid: &support::Node,
    node: &Node,
    place: usize,
) -> (&'static str, Vec<Scanned>) {
    let benchmark = real_scanner::BENCHMARKS[place % real_scanner::BENCHMARKS.len()];
    let forecast: BTreeMap<String, String> = verify(laid, node, benchmark, &["--as", "kube-bench"])
        .into_values()
        .map(|check| (check.id, check.status))
        .collect();
    let passed: BTreeMap<String, String> = verify(laid, node, benchmark, &[])
        .into_iter()
        .filter(|(_, control)| control.status == "pass")
        .map(|(name, control)| (control.id, name))
        .collect();
    let states = scanner.scan(laid.path(), node, MINOR, benchmark).into_iter().map(|(id, state)| Scanned {
        forecast: forecast.get(&id).cloned().unwrap_or_else(|| "nothing".to_owned()),
        passed: passed.get(&id).cloned(),
        id,
        state,
    });
    (benchmark, states.collect())
}

/// The component that each control is about.
fn component_of(control: &str) -> Option<&'static str> {
    let is_it = |(_, arguments): &(&String, &Vec<node::Argument>)| {
        arguments.iter().any(|argument| argument.controls.iter().any(|name| name == control))
    };
    ARGUMENTS.iter().find(is_it).map(|(component, _)| component.as_str())
}

impl Known {
    fn is_stricter(&self, control: &str, evidence: &str, met: &BTreeMap<String, bool>) -> bool {
        let is_it = |row: &Stricter| {
            row.controls.iter().any(|name| name == control)
                && row.evidence.as_ref().is_none_or(|text| evidence.contains(text))
                && row.unmet.as_ref().is_none_or(|other| met.get(other) == Some(&false))
        };
        self.stricter.iter().any(is_it)
    }
}

impl Tally {
    /// Compares what is said of a node; tells whether anything differs.
    fn add(
        &mut self,
        (at, node, judged): (usize, &Node, &Judged),
        of_files: &BTreeMap<String, bool>,
        statuses: &BTreeMap<String, Status>,
    ) -> bool {
        let known = &*KNOWN;
        let mut differs = false;
        for (control, Status { status, evidence, .. }) in statuses {
            let component = component_of(control);
            let wrong = if let Some(error) = judged.unread.get(control) {
                Some(format!("refused: {error}"))
            } else if component.is_some_and(|component| !judged.lines.contains_key(component))
                && !of_files.contains_key(control)
            {
                Some("does not run".to_owned())
            } else {
                match judged.met.get(control).or_else(|| of_files.get(control)) {
                    Some(false) => Some("not met".to_owned()),
                    Some(true) => None,
                    None => {
                        if status == "pass" && !component.is_some_and(|name| judged.broken.contains_key(name))
                        {
                            *self.underived.entry(control.clone()).or_default() += 1;
                        }
                        continue;
                    }
                }
            };
            self.judged.entry(control.clone()).or_default()[usize::from(wrong.is_none())] += 1;
            let example = || {
                let met = wrong.as_deref().unwrap_or("met");
                format!("node {at}: {met}; verify has {evidence}\n{}", node.shown())
            };
            let found = match (status.as_str(), &wrong) {
                ("pass", None) => {
                    self.derived += 1;
                    continue;
                }
                ("pass", Some(_)) => &mut self.undeserved,
                ("fail" | "warn", None) if known.is_stricter(control, evidence, &judged.met) => continue,
                ("fail" | "warn", None) => &mut self.alarms,
                _ => continue,
            };
            differs = true;
            found.entry(control.clone()).or_insert_with(|| (0, example())).0 += 1;
        }
        differs
    }

    /// Compares what the real scanner says of a node.
    fn add_scan(&mut self, (at, node, benchmark): (usize, &Node, &str), states: Vec<Scanned>) {
        self.states += states.len();
        for Scanned { id, state, forecast, passed } in states {
            let example =
                || format!("node {at}: the scanner says {state}, forecast is {forecast}\n{}", node.shown());
            if state != forecast {
                let found = self.forecasts.entry(format!("{benchmark} {id}"));
                found.or_insert_with(|| (0, example())).0 += 1;
            }
            let Some(control) =
                passed.filter(|_| benchmark == NEWEST && ["FAIL", "WARN"].contains(&state.as_str()))
            else {
                continue;
            };
            if !KNOWN.scanner.iter().any(|row| row.controls.contains(&control)) {
                let found = self.unconfirmed.entry(format!("{benchmark} {id} {control}"));
                found.or_insert_with(|| (0, example())).0 += 1;
            }
        }
    }

    /// Returns what must not be.
    fn fault(&self) -> String {
        let mut fault = String::new();
        let underived = &KNOWN.underived;
        for (control, (count, example)) in &self.undeserved {
            writeln!(fault, "{count} undeserved passes of {control}: {example}").unwrap();
        }
        for (control, (count, example)) in &self.alarms {
            writeln!(fault, "{count} false alarms of {control}: {example}").unwrap();
        }
        for (check, (count, example)) in &self.forecasts {
            writeln!(fault, "{count} wrong forecasts of {check}: {example}").unwrap();
        }
        for (check, (count, example)) in &self.unconfirmed {
            writeln!(fault, "{count} passes that the scanner does not confirm, of {check}: {example}")
                .unwrap();
        }
        for (control, count) in self.underived.iter().filter(|(name, _)| !underived.contains_key(*name)) {
            writeln!(fault, "{count} passes of {control}, which nobody derives").unwrap();
        }
        for control in underived.keys().filter(|name| !self.underived.contains_key(*name)) {
            writeln!(fault, "{control} never passes, or is derived: known.yaml need not name it").unwrap();
        }
        fault
    }
}

impl Node {
    fn shown(&self) -> String {
        let mut text = format!(
            "  {} {:?} {} benchmark {}: {:?}\n",
            self.role,
            self.datastore,
            if self.started { "started" } else { "before" },
            self.benchmark,
            self.words
        );
        if self.without_own_drop_in {
            text += "  without 00-k3s-defaults.conf\n";
        }
        let own = self.files.iter().filter(|(path, _)| !path.starts_with("/etc/documents/"));
        for (path, wrong) in &self.wrong {
            writeln!(text, "  {path}: {wrong:?}").unwrap();
        }
        for (path, content) in self.config.iter().map(|(path, text)| (path, text)).chain(own) {
            writeln!(text, "  {path}:\n    {}", content.trim_end().replace('\n', "\n    ")).unwrap();
        }
        text
    }
}

/// Keeps a node for somebody to look at.
fn keep(folder: &Path, laid: &Path, node: &Node, judged: &Judged) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("about.txt"), format!("{}\n{judged:#?}\n", node.shown())).unwrap();
    let copied =
        std::process::Command::new("cp").arg("-a").arg(laid).arg(folder.join("root")).status().unwrap();
    assert!(copied.success());
}
