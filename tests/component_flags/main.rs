//! The table of the components' arguments (src/k3s/data/component-flags.yaml) against Kubernetes itself: a small Go
//! program (tests/oracle/component_flags) is linked against a minor and prints every flag, and the table must have
//! exactly these for that minor, each with its kind of value.
//!
//! `K3S_HARDEN_TIER=2 cargo test --test component_flags`, with Go installed; without the variable it is skipped. It
//! asks the newest minor; `K3S_HARDEN_FLAGS_OF="1.23 1.30"` or `=all` asks others. With nothing built, one takes four
//! to six minutes of CPU. What
//! differs is printed as rows of the table.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use k3s_harden::k3s::components::{self, Kind};
use k3s_harden::profile::KubernetesMinor;
use serde_json::Value;

const TIER: &str = "K3S_HARDEN_TIER";
const MINORS: &str = "K3S_HARDEN_FLAGS_OF";

/// The release of each minor that is asked, newest first.
const RELEASES: [&str; 15] = [
    "v1.37.2", "v1.36.3", "v1.35.4", "v1.34.4", "v1.33.13", "v1.32.13", "v1.31.14", "v1.30.14", "v1.29.15",
    "v1.28.15", "v1.27.16", "v1.26.15", "v1.25.16", "v1.24.17", "v1.23.17",
];

/// Modules that the public proxy does not serve in the version that belongs to a release, and another of the same
/// minor that it does; of the last, which holds no flag, of the minor before.
const REPLACED: [(&str, &str, &str); 11] = [
    ("v1.31.14", "kube-controller-manager", "v0.31.13"),
    ("v1.31.14", "kube-proxy", "v0.31.11"),
    ("v1.31.14", "kube-scheduler", "v0.31.13"),
    ("v1.26.15", "controller-manager", "v0.26.13"),
    ("v1.26.15", "kube-controller-manager", "v0.26.13"),
    ("v1.26.15", "kube-proxy", "v0.26.13"),
    ("v1.25.16", "cluster-bootstrap", "v0.25.9"),
    ("v1.25.16", "controller-manager", "v0.25.6"),
    ("v1.25.16", "kube-controller-manager", "v0.25.6"),
    ("v1.25.16", "kube-proxy", "v0.25.9"),
    ("v1.27.16", "legacy-cloud-providers", "v0.26.15"),
];

#[test]
fn the_table_has_what_kubernetes_has() {
    if !std::env::var(TIER).is_ok_and(|tier| tier == "2") {
        return println!("skipped: {TIER} is not 2");
    }
    let wanted = std::env::var(MINORS).unwrap_or_default();
    let supported = KubernetesMinor::supported();
    assert_eq!(supported.len(), RELEASES.len(), "a minor has no release here");
    let mut wrong = String::new();
    let mut asked = 0;
    for (index, (minor, release)) in supported.iter().rev().zip(RELEASES).enumerate() {
        assert!(release.starts_with(&format!("v{minor}.")), "{release} is not of {minor}");
        let chosen = if wanted.is_empty() {
            index == 0
        } else {
            wanted == "all" || wanted.split([' ', ',']).any(|word| word == minor.to_string())
        };
        if chosen {
            asked += 1;
            compare(*minor, release, &mut wrong);
        }
    }
    assert!(asked > 0, "{MINORS}={wanted} names no minor");
    assert!(wrong.is_empty(), "the table differs:\n{wrong}");
}

/// Compares the table for one minor, and writes what differs to `wrong`.
fn compare(minor: KubernetesMinor, release: &str, wrong: &mut String) {
    let begin = Instant::now();
    let directory = tempfile::tempdir().unwrap();
    let mut theirs: BTreeMap<(String, String), Kind> = BTreeMap::new();
    let mut count = 0;
    for line in print_flags(directory.path(), release).lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        count += 1;
        let (component, name) = (text("component"), text("name").replace('_', "-"));
        let kind = kind(&text("type"));
        if row["shared"] == true {
            let ours = components::all().get(&component).and_then(|flags| flags.get(&name));
            if ours.is_none_or(|flag| !flag.k3s || flag.from.is_some() || flag.until.is_some()) {
                writeln!(wrong, "{minor} {component}: {name}: {{kind: {kind:?}, k3s: true}}").unwrap();
            }
        } else {
            theirs.insert((component, name), kind);
        }
    }
    for (component, flags) in components::all() {
        for (name, flag) in flags.iter().filter(|(_, flag)| flag.is_of(minor)) {
            match theirs.remove(&(component.clone(), name.clone())) {
                Some(kind) if kind == flag.kind => {}
                Some(kind) => {
                    writeln!(wrong, "{minor} {component}: {name} is {kind:?}, not {:?}", flag.kind).unwrap();
                }
                None if flag.k3s => {}
                None => writeln!(wrong, "{minor} {component}: {name} is not there").unwrap(),
            }
        }
    }
    for ((component, name), kind) in theirs {
        writeln!(wrong, "{minor} {component}: {name}: {{kind: {kind:?}}} is missing").unwrap();
    }
    println!("{release}: {count} flags in {:.0} s", begin.elapsed().as_secs_f64());
}

/// Builds the Go program against a release and returns what it prints.
fn print_flags(directory: &Path, release: &str) -> String {
    let go = |arguments: &[&str]| {
        let mut command = Command::new("go");
        command
            .args(arguments)
            .current_dir(directory)
            .env("GOFLAGS", "-mod=mod -buildvcs=false")
            .env("GOWORK", "off");
        let done = command.output().expect("go is needed to ask Kubernetes");
        assert!(done.status.success(), "go {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    fs::write(directory.join("go.mod"), "module component_flags\n").unwrap();
    let found: Value =
        serde_json::from_str(&go(&["mod", "download", "-json", &format!("k8s.io/kubernetes@{release}")]))
            .unwrap();
    let kubernetes = Path::new(found["Dir"].as_str().unwrap()).to_owned();
    let theirs: Value =
        serde_json::from_str(&go(&["mod", "edit", "-json", kubernetes.join("go.mod").to_str().unwrap()]))
            .unwrap();

    // As Kubernetes' own go.mod, but with its staging modules as they are published.
    let staging = release.replacen("v1.", "v0.", 1);
    let mut text = format!(
        "module component_flags\n\ngo {}\n\nrequire k8s.io/kubernetes {release}\n",
        theirs["Go"].as_str().unwrap()
    );
    for replaced in theirs["Replace"].as_array().into_iter().flatten() {
        let old = replaced["Old"]["Path"].as_str().unwrap();
        let (path, version) = match replaced["New"]["Version"].as_str() {
            Some(version) => (replaced["New"]["Path"].as_str().unwrap(), version),
            None => (old, staging.as_str()),
        };
        writeln!(text, "replace {old} => {path} {version}").unwrap();
    }
    fs::write(directory.join("go.mod"), text).unwrap();
    fs::copy(kubernetes.join("go.sum"), directory.join("go.sum")).unwrap();
    for (_, module, version) in REPLACED.iter().filter(|(of, ..)| *of == release) {
        go(&["mod", "edit", &format!("-replace=k8s.io/{module}=k8s.io/{module}@{version}")]);
    }
    for source in ["main.go", "customglobal.go", "nocustomglobal.go"] {
        fs::copy(Path::new("tests/oracle/component_flags").join(source), directory.join(source)).unwrap();
    }
    // K3s builds without the cloud providers.
    let custom = kubernetes.join("cmd/kube-apiserver/app/options/globalflags.go").exists();
    let tags = if custom { "providerless,customglobal" } else { "providerless" };
    // Unoptimized, it takes a third of the time to build; the old minors' modules use names of the runtime that
    // today's Go hides.
    go(&[
        "build",
        "-tags",
        tags,
        "-gcflags=all=-N -l",
        "-ldflags=-s -w -checklinkname=0",
        "-o",
        "flags",
        ".",
    ]);
    let printed = Command::new(directory.join("flags")).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    String::from_utf8(printed.stdout).unwrap()
}

/// Returns the kind of a flag by what pflag calls its type.
fn kind(name: &str) -> Kind {
    match name {
        "bool" => Kind::Boolean,
        "int" | "int32" | "int64" | "Level" => Kind::Integer,
        "uint" | "uint32" | "uint64" => Kind::Unsigned,
        "float32" | "float64" => Kind::Number,
        "duration" => Kind::Duration,
        "ip" => Kind::Address,
        "stringSlice" | "stringArray" | "int32Slice" | "namedCertKey" | "[]v1.Taint" => Kind::List,
        "mapStringString" | "mapStringBool" | "stringToString" | "colonSeparatedMultimapStringString" => {
            Kind::Map
        }
        _ => Kind::Text,
    }
}
