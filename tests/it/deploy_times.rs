// SPDX-License-Identifier: Apache-2.0
//! A running K3s applies the changed manifest that `apply`, or another carrier, brings.
//!
//! K3s's deploy controller compares a file's modification time with the last one that it saw, and does not open a file whose time
//! is the same. A carrier that gives each version of a file the same time brings a change that K3s does not see.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::minors::newest;
use crate::support::Node;

pub(crate) const MANIFESTS: &str = "var/lib/rancher/k3s/server/manifests";

/// The deploy controller, as far as it decides whether to apply a file: pkg/deploy/controller.go of K3s at
/// 866d743e56ecec4a7a9860a22f9930afa39ff722 (`start`, `listFilesIn`, `deploy`).
#[derive(Debug)]
pub(crate) struct DeployController {
    folder: PathBuf,
    /// Of the first pass after a start.
    force: bool,
    times: BTreeMap<PathBuf, SystemTime>,
    /// What it applied last of each file; it stands in the cluster, so a restart does not lose it.
    applied: BTreeMap<PathBuf, Vec<u8>>,
}

impl DeployController {
    pub(crate) fn start(folder: PathBuf) -> Self {
        Self { folder, force: true, times: BTreeMap::new(), applied: BTreeMap::new() }
    }

    fn restart(&mut self) {
        (self.force, self.times) = (true, BTreeMap::new());
    }

    /// Looks at every file once, as K3s does every 15 s, and returns the names of those that it applies.
    pub(crate) fn pass(&mut self) -> Vec<String> {
        let mut names: Vec<PathBuf> =
            fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let mut deployed = Vec::new();
        for path in names {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let is_taken = !name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".json"));
            if !is_taken || self.folder.join(format!("{name}.skip")).exists() {
                continue;
            }
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            if !self.force && self.times.get(&path) == Some(&time) {
                continue;
            }
            let content = fs::read(&path).unwrap();
            if self.force || self.applied.get(&path) != Some(&content) {
                deployed.push(name);
                self.applied.insert(path.clone(), content);
            }
            self.times.insert(path, time);
        }
        self.force = false;
        deployed
    }

    /// Whether the cluster has what the file says.
    pub(crate) fn is_up_to_date(&self, name: &str) -> bool {
        let path = self.folder.join(name);
        self.applied.get(&path) == Some(&fs::read(&path).unwrap())
    }
}

fn write(path: &Path, text: &str, seconds: u64) {
    fs::write(path, text).unwrap();
    File::options()
        .append(true)
        .open(path)
        .unwrap()
        .set_modified(UNIX_EPOCH + Duration::from_secs(seconds))
        .unwrap();
}

/// What a K3s 1.36.3 did with policy.yaml: a line for each step, with the content, its time, whether K3s was
/// started before it, and whether K3s applied the file.
const RECORDED: [(&str, u64, bool, bool); 4] = [
    ("a: 1", 0, true, true),
    // A changed file with an unchanged time is not applied.
    ("a: 2", 0, false, false),
    // The first pass after a start applies every file.
    ("a: 2", 0, true, true),
    ("a: 3", 1, false, true),
];

#[test]
fn the_controller_of_these_tests_does_what_k3s_did() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    let mut controller = DeployController::start(folder.path().to_owned());
    for (text, seconds, is_start, is_applied) in RECORDED {
        write(&policy, text, seconds);
        if is_start {
            controller.restart();
        }
        assert_eq!(controller.pass() == ["policy.yaml"], is_applied, "{text} {seconds} {is_start}");
        assert_eq!(controller.is_up_to_date("policy.yaml"), is_applied, "{text} {seconds} {is_start}");
    }
    fs::write(folder.path().join("policy.yaml.skip"), "").unwrap();
    write(&policy, "a: 4", 2);
    assert!(controller.pass().is_empty() && !controller.is_up_to_date("policy.yaml"));
}

/// What brings files to a root.
#[derive(Debug, Clone, Copy)]
enum Carrier {
    Apply,
    Shell,
    Dir,
    /// With these options of `tar`.
    Tar(&'static [&'static str]),
}

const CARRIERS: [Carrier; 6] = [
    Carrier::Apply,
    Carrier::Shell,
    Carrier::Dir,
    Carrier::Tar(&["-xpf"]),
    Carrier::Tar(&["-xf"]),
    Carrier::Tar(&["--overwrite", "-xf"]),
];

fn run(node: &Node, words: &[&str]) {
    let output = node.run(words);
    assert_eq!(output.code, 0, "{words:?}: {}", output.stderr);
}

impl Carrier {
    fn bring(self, node: &Node, policy: &[&str]) {
        let words = [&["--k3s-version", newest(), "--role", "server"][..], policy].concat();
        let scratch = tempfile::tempdir().unwrap();
        let (out, root) = (scratch.path().join("out"), node.path().to_str().unwrap());
        let render = |format: &str, to: &str| {
            run(&Node::new(), &[&["render", "--as", format, "--out", to][..], &words].concat());
        };
        // The kernel's clock for files has ticks; K3s looks every 15 s.
        std::thread::sleep(Duration::from_millis(20));
        match self {
            Self::Apply => run(node, &[&["apply", "-q"][..], &words].concat()),
            Self::Dir => render("dir", root),
            Self::Shell => {
                render("shell", out.to_str().unwrap());
                let script = File::open(&out).unwrap();
                let mut shell = Command::new("sh");
                shell.args(["-s", root]).stdin(script).stdout(Stdio::null());
                assert!(shell.status().unwrap().success());
            }
            Self::Tar(options) => {
                render("tar", out.to_str().unwrap());
                let mut tar = Command::new("tar");
                tar.arg("--no-same-owner").args(options).arg(&out).args(["-C", root]);
                assert!(tar.status().unwrap().success());
            }
        }
    }
}

#[test]
fn a_running_k3s_applies_what_each_carrier_brings() {
    // Both are named each time: apply remembers what it was told.
    let (one, two) = (["--set", "ingress_to=blog"], ["--set", "ingress_to=shop"]);
    for carrier in CARRIERS {
        let node = Node::new();
        carrier.bring(&node, &one);
        let mut controller = DeployController::start(node.path().join(MANIFESTS));
        assert_eq!(controller.pass(), ["policy.yaml"], "{carrier:?}");
        assert!(controller.pass().is_empty());
        for (policy, when) in [(&two, "changed"), (&one, "changed back"), (&two, "changed again")] {
            carrier.bring(&node, policy);
            assert_eq!(controller.pass(), ["policy.yaml"], "{carrier:?}: {when}");
            assert!(controller.is_up_to_date("policy.yaml"), "{carrier:?}: {when}");
        }
        // The same once more is nothing to apply.
        carrier.bring(&node, &two);
        assert!(controller.pass().is_empty(), "{carrier:?}: the same again");
    }
}

#[test]
fn each_file_of_an_archive_has_a_time_between_2001_and_2020() {
    for role in ["server", "agent"] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("archive.tar");
        let words = [
            "render",
            "--as",
            "tar",
            "--k3s-version",
            newest(),
            "--role",
            role,
            "--out",
            out.to_str().unwrap(),
        ];
        run(&Node::new(), &words);
        let mut archive = tar::Archive::new(File::open(&out).unwrap());
        let times: Vec<u64> =
            archive.entries().unwrap().map(|entry| entry.unwrap().header().mtime().unwrap()).collect();
        assert!(times.len() >= 3, "{times:?}");
        for time in times {
            assert!((978_307_200..=1_609_459_199).contains(&time), "{time}");
        }
    }
}
