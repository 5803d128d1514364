// SPDX-License-Identifier: Apache-2.0
//! systemd itself against our reading of services: random units, drop-ins and environment files are started by the systemd
//! of two Debian releases, all in one boot of a container. Each starts a program in the place of K3s that writes down its
//! words, environment and directory; ours have to be the same, and what we say does not start must not.
//!
//! It is part of the second tier, with 250 services: `cargo test --test it systemd:: -- --include-ignored`, as root. The
//! third tier takes 5 000 (`tests/full`). `SEED` and `UNITS` change the services.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

mod generate;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use k3s_harden::Role;
use k3s_harden::k3s::NodeService;
use k3s_harden::node::Root;

use self::generate::{COMMON, Content, UnitCase, VARIABLES};
use crate::support::counts::pick;
use crate::support::random::Random;
use crate::support::release::Release;
use crate::support::{container, tools, turns};

const SEED: u64 = 0x7379_7374_656d_6421;
const UNITS: usize = pick(250, 5_000);
/// How many services one boot starts.
const BATCH: usize = 1_000;
/// How many that differ are shown.
const SHOWN: usize = 5;

/// Makes the last unit the end of the boot.
const PREPARE: &str = "ln -sf /etc/systemd/system/judge.target /etc/systemd/system/default.target
chmod 0755 /usr/local/bin/k3s /usr/local/bin/end";

/// What stands for K3s. Its own words begin behind the shell and this file.
const K3S: &str = r#"#!/bin/sh
unit=$(/usr/bin/sed -n -e 's|^0::.*/||p' -e 's|^[0-9]*:name=systemd:.*/||p' /proc/$$/cgroup | /usr/bin/head -n 1)
[ ! -e "/out/$unit" ] || exit 0
/usr/bin/mkdir "/out/$unit"
/usr/bin/cat /proc/$$/environ > "/out/$unit/environment"
/usr/bin/readlink /proc/$$/cwd > "/out/$unit/directory"
/usr/bin/cat /proc/$$/cmdline > "/out/$unit/words"
"#;

/// The last unit: it waits for the others, and ends the boot.
const END: &str = r#"#!/bin/sh
exec 2> /out/end.log
sleep 1
while systemctl list-units --no-legend --state=active,activating 'k3s*.service' | grep -q .; do
  sleep 0.2
done
journalctl --no-pager -o cat > /out/journal
systemctl --no-block start poweroff.target
"#;

const FILES: [(&str, &str); 6] = [
    COMMON,
    ("etc/systemd/system/all.target", "[Unit]\n"),
    ("usr/local/bin/k3s", K3S),
    ("usr/local/bin/end", END),
    (
        "etc/systemd/system/end.service",
        "[Unit]\nAfter=all.target\n[Service]\nType=oneshot\nExecStart=/usr/local/bin/end\n",
    ),
    (
        "etc/systemd/system/judge.target",
        "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=all.target end.service\nAllowIsolate=yes\n",
    ),
];

/// What a service gets.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Started {
    words: Vec<String>,
    environment: BTreeMap<String, String>,
    directory: String,
}

/// What we say of a service.
#[derive(Debug, PartialEq, Eq)]
enum Forecast {
    Starts(Started),
    DoesNot(String),
    NotUnderstood,
}

fn lay(root: &Path, files: &[(String, Content)]) {
    for (path, content) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content {
            Content::Text(text) => fs::write(path, text).unwrap(),
            Content::Link(target) => symlink(target, path).unwrap(),
        }
    }
}

fn ours(case: &UnitCase) -> Forecast {
    let folder = tempfile::tempdir().unwrap();
    lay(folder.path(), &case.files);
    lay(folder.path(), &[(COMMON.0.to_owned(), Content::Text(COMMON.1.to_owned()))]);
    for directory in ["tmp", "root", "usr/lib"] {
        fs::create_dir_all(folder.path().join(directory)).unwrap();
    }
    let service = NodeService::find(&Root::open(folder.path()).unwrap(), Role::Server).unwrap();
    if let Some(fault) = service.faults.first() {
        return Forecast::DoesNot(fault.message.clone());
    }
    if !service.not_understood.is_empty() {
        return Forecast::NotUnderstood;
    }
    if service.path.is_none() {
        return Forecast::DoesNot("no service".to_owned());
    }
    let own = service.environment().filter(|(name, _)| VARIABLES.contains(name));
    Forecast::Starts(Started {
        words: service.words.clone(),
        environment: own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        directory: service.working_directory.to_string(),
    })
}

fn parts(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap();
    let mut parts: Vec<String> =
        bytes.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    // Each ends with a NUL.
    parts.pop();
    parts
}

fn theirs(out: &Path, unit: &str) -> Option<Started> {
    let folder = out.join(unit);
    if !folder.join("words").exists() {
        return None;
    }
    let environment = parts(&folder.join("environment"));
    let pairs = environment.iter().filter_map(|pair| pair.split_once('='));
    let own = pairs.filter(|(name, _)| VARIABLES.contains(name));
    Some(Started {
        words: parts(&folder.join("words")).split_off(2),
        environment: own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        directory: fs::read_to_string(folder.join("directory")).unwrap().trim().to_owned(),
    })
}

fn boot(release: Release, cases: &[UnitCase]) -> tempfile::TempDir {
    let over = tempfile::tempdir().unwrap();
    let fixed = FILES.map(|(path, text)| (path.to_owned(), Content::Text(text.to_owned())));
    lay(over.path(), &fixed);
    cases.iter().for_each(|case| lay(over.path(), &case.files));
    let (out, run) = container::boot(release, over.path(), PREPARE);
    assert!(out.path().join("journal").exists(), "{}{}", run.stdout, run.stderr);
    out
}

/// Asks the systemd of a release about services; returns how many of ours were right, and what differs.
fn judge(release: Release, cases: &[UnitCase]) {
    let (mut same, mut not_understood, mut refused) = (0, 0, 0);
    let (mut missed, mut false_alarms, mut other) = (Vec::new(), Vec::new(), Vec::new());
    for batch in cases.chunks(BATCH) {
        let out = boot(release, batch);
        for case in batch {
            let (ours, theirs) = (ours(case), theirs(out.path(), &case.unit));
            let report = || {
                let mut text = format!("{}: ours {ours:?}\n  systemd {theirs:?}\n", case.unit);
                for (path, content) in &case.files {
                    let _infallible = writeln!(text, "  {path}: {content:?}");
                }
                text
            };
            match (&ours, &theirs) {
                (Forecast::NotUnderstood, _) => not_understood += 1,
                (Forecast::Starts(ours), Some(theirs)) if ours == theirs => same += 1,
                (Forecast::Starts(_), Some(_)) => other.push(report()),
                (Forecast::DoesNot(_), None) => refused += 1,
                (Forecast::Starts(_), None) => missed.push(report()),
                (Forecast::DoesNot(_), Some(_)) => false_alarms.push(report()),
            }
        }
    }
    println!(
        "{release:?}: {} services: {same} started as forecast, {refused} refused as forecast, {not_understood} not understood; {} missed, {} false alarms, {} started in another way",
        cases.len(),
        missed.len(),
        false_alarms.len(),
        other.len(),
    );
    let wrong: Vec<String> = [missed, false_alarms, other].into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong[..SHOWN.min(wrong.len())].join("\n"));
    assert!(same * 2 > cases.len() && not_understood * 10 < cases.len() * 2, "the services are no test");
    assert!(refused * 50 > cases.len(), "too few services are refused to be a test");
}

#[test]
#[ignore = "needs root, unshare, mmdebstrap and systemd-nspawn"]
fn systemd_starts_services_as_forecast() {
    let _busy = turns::busy();
    tools::need_root();
    tools::need(&["systemd-nspawn"]);
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("SEED").unwrap_or(SEED);
    let units = number("UNITS").map_or(UNITS, |units| usize::try_from(units).unwrap());
    println!("seed {seed:#x}");
    let mut random = Random::new(seed);
    let cases: Vec<UnitCase> = (0..units).map(|index| generate::unit(&mut random, index)).collect();
    for release in [Release::Bookworm, Release::Trixie] {
        judge(release, &cases);
    }
}
