// SPDX-License-Identifier: Apache-2.0
//! The nodes that are measured on: roots below a temporary directory.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What a first apply is told.
pub(crate) const TOLD: [&str; 6] =
    ["--k3s-version", "v1.37.2+k3s1", "--role", "server", "--profile", "cis,strict"];
/// How many files below sysctl.d a node has.
const SYSCTL_FILES: usize = 20;
/// The files of a server that has started, with their modes.
const STARTED: &str = include_str!("../../tests/scanner/files.txt");

/// A root, and the binary that is measured on it.
pub(crate) struct Node {
    pub(crate) root: PathBuf,
    pub(crate) binary: String,
}

impl Node {
    /// Makes a node as they are found: systemd's directories, a unit, a configuration with three drop-ins, other files for
    /// sysctl.
    pub(crate) fn make(root: PathBuf, binary: &str) -> Self {
        let node = Self { root, binary: binary.to_owned() };
        node.write(
            "etc/systemd/system/k3s.service",
            "[Unit]\nDescription=Lightweight Kubernetes\n\n[Service]\nType=notify\nEnvironmentFile=-/etc/systemd/system/k3s.service.env\nExecStart=/usr/local/bin/k3s server\n",
        );
        node.write("etc/systemd/system/k3s.service.env", "K3S_RESOLV_CONF=/etc/resolv.conf\n");
        for (at, name) in ["10-limits", "20-proxy", "30-start"].iter().enumerate() {
            node.write(
                &format!("etc/systemd/system/k3s.service.d/{name}.conf"),
                &format!("[Service]\nEnvironment=BENCH_{at}={at}\n"),
            );
        }
        for at in 0..40 {
            let unit =
                format!("[Unit]\nDescription=Service {at}\n\n[Service]\nExecStart=/usr/bin/service-{at}\n");
            node.write(&format!("usr/lib/systemd/system/service-{at}.service"), &unit);
        }
        node.write(
            "etc/rancher/k3s/config.yaml",
            "write-kubeconfig-mode: \"0600\"\ntls-san:\n  - k3s.example.com\n",
        );
        node.write(
            "etc/rancher/k3s/config.yaml.d/10-network.yaml",
            "cluster-cidr: 10.52.0.0/16\nservice-cidr: 10.53.0.0/16\n",
        );
        node.write("etc/rancher/k3s/config.yaml.d/20-labels.yaml", "node-label:\n  - zone=a\n  - rack=7\n");
        node.write("etc/rancher/k3s/config.yaml.d/30-kubelet.yaml", "kubelet-arg:\n  - max-pods=200\n");
        for at in 0..SYSCTL_FILES {
            let folder = ["etc/sysctl.d", "usr/lib/sysctl.d"][at % 2];
            node.write(
                &format!("{folder}/{at:02}-distribution.conf"),
                &format!("# {at}\nnet.ipv4.neigh.default.gc_thresh{} = 1024\n", at % 3 + 1),
            );
        }
        node
    }

    /// Makes one that has been hardened.
    pub(crate) fn hardened(root: PathBuf, binary: &str) -> Self {
        let node = Self::make(root, binary);
        node.run(&[&["apply", "-q"], &TOLD[..]].concat());
        node
    }

    /// Makes one on which K3s has started, with a log of `bytes` beside it. Returns the log's path too.
    pub(crate) fn started(root: PathBuf, binary: &str, bytes: usize) -> (Self, String) {
        let node = Self::hardened(root, binary);
        let log = node.root.with_extension("log");
        fs::write(&log, node.log(bytes)).expect("the disk has room");
        for line in STARTED.lines().filter(|line| line.contains('/') && !line.starts_with('#')) {
            let (file, _) = line.split_once("  # ").unwrap_or((line, ""));
            let (mode, path) = file.split_once(' ').expect("a mode and a path");
            let at = node.root.join(path.trim_start_matches('/'));
            if !at.exists() {
                if path.ends_with('/') {
                    fs::create_dir_all(&at).expect("the disk has room");
                } else {
                    node.write(path, "");
                }
                let mode = u32::from_str_radix(mode, 8).expect("a mode");
                fs::set_permissions(&at, fs::Permissions::from_mode(mode)).expect("it is ours");
            }
        }
        (node, log.to_str().expect("it is text").to_owned())
    }

    /// Returns the words of a command on it.
    pub(crate) fn words<'a>(&'a self, verb: &[&'a str]) -> Vec<&'a str> {
        let root = self.root.to_str().expect("it is text");
        [&[self.binary.as_str()], verb, &["--root", root]].concat()
    }

    /// Writes a file, and makes the directories above it.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let at = self.root.join(path.trim_start_matches('/'));
        fs::create_dir_all(at.parent().expect("it is below the root")).expect("the disk has room");
        fs::write(at, text).expect("the disk has room");
    }

    /// Returns what a command on it prints; it has to exit with 0.
    pub(crate) fn run(&self, verb: &[&str]) -> Vec<u8> {
        let words = self.words(verb);
        let output = Command::new(words[0]).args(&words[1..]).output().expect("the binary starts");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Returns a log of K3s with at least `bytes`: other lines, and in their middle those with which it starts its components.
    fn log(&self, bytes: usize) -> String {
        let effective: Value =
            serde_json::from_slice(&self.run(&["effective-config", "--format", "json"])).expect("it is JSON");
        let mut starts = String::new();
        for (component, flags) in effective["components"].as_object().expect("the components") {
            let flags: Vec<&str> =
                flags.as_array().expect("flags").iter().filter_map(Value::as_str).collect();
            writeln!(
                starts,
                "time=\"2026-11-29T01:30:00Z\" level=info msg=\"Running {component} {}\"",
                flags.join(" ")
            )
            .expect("a string takes it");
        }
        let mut log = String::with_capacity(bytes + starts.len() + 1024);
        let mut at = 0;
        while log.len() < bytes {
            if !starts.is_empty() && log.len() >= bytes / 2 {
                log += &std::mem::take(&mut starts);
            }
            writeln!(log, "I1129 01:30:{:02}.{at:06}    1723 reconciler.go:{} \"Reconciler: start to sync state\" pod=\"kube-system/coredns-{at}\"", at % 60, at % 900)
                .expect("a string takes it");
            at += 1;
        }
        log + &starts
    }
}

/// Copies a directory to where nothing is.
pub(crate) fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp starts");
    assert!(status.success(), "cp {} {}", from.display(), to.display());
}

/// Puts a copy of a root in the place of what a run has made of it.
pub(crate) fn again(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).expect("it is ours");
    }
    copy(from, to);
}
