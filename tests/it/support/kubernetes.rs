// SPDX-License-Identifier: Apache-2.0
//! Programs of ours that are linked against Kubernetes: which release of each minor, and how they are built from the
//! Go module proxy. All are built with the same options, so that they share Go's build cache.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use k3s_harden::version::KubernetesMinor;
use serde_json::Value;

/// The release of each minor that is asked, newest first. tests/apiserver/run.sh reads them here, too.
pub(crate) const RELEASES: &[&str] = &[
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

/// The first minor for which a program may have files of its own.
const OLDEST_MINOR: u32 = 23;

/// Compares a table with the releases that are asked: the newest; in the third tier, or with `all` in an environment variable,
/// every one; or those of the minors that the variable names. `compare` writes what differs.
pub(crate) fn compare_minors(variable: &str, mut compare: impl FnMut(KubernetesMinor, &str, &mut String)) {
    let _busy = super::turns::busy();
    let default = if crate::IS_FULL { "all" } else { "" };
    let wanted = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    let supported = KubernetesMinor::supported();
    assert_eq!(supported.len(), RELEASES.len(), "a minor has no release here");
    let mut wrong = String::new();
    let mut asked = 0;
    for (index, (minor, release)) in supported.iter().rev().zip(RELEASES.iter().copied()).enumerate() {
        assert!(release.starts_with(&format!("v{minor}.")), "{release} is not of {minor}");
        let is_wanted = if wanted.is_empty() {
            index == 0
        } else {
            wanted == "all" || wanted.split([' ', ',']).any(|word| word == minor.to_string())
        };
        if is_wanted {
            asked += 1;
            compare(*minor, release, &mut wrong);
        }
    }
    assert!(asked > 0, "{variable}={wanted} names no minor");
    assert!(wrong.is_empty(), "the table differs:\n{wrong}");
}

/// Builds the Go program whose sources lie in `sources` against a release; returns the program.
pub(crate) fn build(directory: &Path, release: &str, sources: &Path) -> PathBuf {
    build_of(directory, release, &[sources])
}

/// Returns the folder of Kubernetes' sources that a program was built with in `directory`.
pub(crate) fn sources_of(directory: &Path) -> PathBuf {
    let mut command = super::tools::command("go");
    command.args(["list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes"]).current_dir(directory);
    let done = command.env("GOFLAGS", "-mod=mod").env("GOWORK", "off").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().into()
}

/// The same, with sources of several folders.
pub(crate) fn build_of(directory: &Path, release: &str, folders: &[&Path]) -> PathBuf {
    let go = |arguments: &[&str]| {
        let mut command = super::tools::command("go");
        command
            .args(arguments)
            .current_dir(directory)
            .env("GOFLAGS", "-mod=mod -buildvcs=false")
            .env("GOWORK", "off");
        let done = command.output().unwrap();
        assert!(done.status.success(), "go {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    fs::write(directory.join("go.mod"), "module asked\n").unwrap();
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
        "module asked\n\ngo {}\n\nrequire k8s.io/kubernetes {release}\n",
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
    let sources = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    for source in sources.map(|entry| entry.unwrap().path()) {
        let to = directory.join(source.file_name().unwrap());
        assert!(!to.exists(), "{} is there twice", source.display());
        fs::copy(&source, to).unwrap();
    }
    // K3s builds without the cloud providers. What differs by minor is in files with `//go:build since_1_36` or its
    // contrary.
    let mut tags = vec!["providerless".to_owned()];
    if kubernetes.join("cmd/kube-apiserver/app/options/globalflags.go").exists() {
        tags.push("customglobal".to_owned());
    }
    let minor: u32 = release.split('.').nth(1).unwrap().parse().unwrap();
    tags.extend((OLDEST_MINOR..=minor).map(|minor| format!("since_1_{minor}")));
    // Unoptimized, it takes a third of the time to build; the old minors' modules use names of the runtime that
    // today's Go hides.
    go(&[
        "build",
        "-tags",
        &tags.join(","),
        "-gcflags=all=-N -l",
        "-ldflags=-s -w -checklinkname=0",
        "-o",
        "program",
        ".",
    ]);
    directory.join("program")
}
