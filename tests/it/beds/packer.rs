// SPDX-License-Identifier: Apache-2.0
//! Packer runs its examples: one against a server for SSH on a node, one on a root that is mounted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::bed::{Bed, Release, Run, applied, assert_same};
use crate::support::{tools, turns};

const WORDS: [&str; 4] = ["--k3s-version", "v1.33.4+k3s1", "--role", "server"];
const DROP_IN: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";

/// What stands for `curl`: K3s's installation is a program with its version in it, and a line about itself.
const CURL: &str = r#"#!/bin/sh
set -eu
file=$3 address=$4
[ "$1 $2 $address" = '-sfL -o https://get.k3s.io' ]
cat > "$file" << 'EOF'
echo "version.Version=$INSTALL_K3S_VERSION" > /usr/local/bin/k3s
echo "$INSTALL_K3S_VERSION $INSTALL_K3S_SKIP_START $*" > /installed
EOF
"#;

/// A node with a server for SSH, and what Packer is told about it.
struct Node {
    bed: Bed,
    /// Where the key is, and where the reports go.
    out: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let (bed, out) = (Bed::of(Release::Bookworm), tempfile::tempdir().unwrap());
        bed.write("/usr/local/bin/curl", 0o755, CURL);
        bed.prepare(
            "ssh-keygen -q -t ed25519 -N '' -f /key
             mkdir -p -m 0700 /root/.ssh /run/sshd
             cp /key.pub /root/.ssh/authorized_keys
             /usr/sbin/sshd -o ListenAddress=127.0.0.1 -o UsePAM=no",
        );
        fs::copy(bed.path("/key"), out.path().join("key")).unwrap();
        Self { bed, out }
    }

    fn packer(&self) -> Run {
        let key = self.out.path().join("key");
        let variables = [("host", Path::new("127.0.0.1")), ("key", &key), ("reports", self.out.path())];
        tools::need(&["packer"]);
        packer(|| self.bed.beside("--net", "packer"), "node.pkr.hcl", &variables)
    }
}

/// Runs Packer on an example, which it must know to be right.
fn packer(command: impl Fn() -> Command, example: &str, variables: &[(&str, &Path)]) -> Run {
    let home = tempfile::tempdir().unwrap();
    let run = |verb: &str| {
        let mut command = command();
        command.arg(verb).env("HOME", home.path()).env("PACKER_CONFIG_DIR", home.path());
        command.env("PACKER_CACHE_DIR", home.path().join("cache")).env("TMPDIR", home.path());
        command.env("CHECKPOINT_DISABLE", "1").env("PACKER_NO_COLOR", "1");
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_k3s-harden"));
        for (name, path) in variables.iter().chain(&[("binary", binary.as_path())]) {
            command.arg("-var").arg(format!("{name}={}", path.display()));
        }
        command.arg(Path::new("examples/packer").join(example));
        Run::of(command.output().unwrap())
    };
    run("validate").expect_when(0, "validate");
    run("build")
}

/// Reads the reports that were fetched.
fn reports(folder: &Path) -> Value {
    let html = fs::read_to_string(folder.join("k3s-harden.html")).unwrap();
    assert!(html.starts_with("<!") && html.trim_end().ends_with("</html>"), "{html}");
    serde_json::from_slice(&fs::read(folder.join("k3s-harden.json")).unwrap()).unwrap()
}

#[test]
#[ignore = "needs root, unshare, mmdebstrap and packer"]
fn a_machine_is_hardened_before_k3s_is_installed_and_judged_last() {
    let _busy = turns::busy();
    let node = Node::new();
    let run = node.packer().expect_when(0, "packer");
    assert!(run.stdout.contains("created /etc/sysctl.d/90-kubelet.conf"), "{}", run.stdout);
    assert_same(&node.bed.tree(), &applied(Release::Bookworm, &WORDS), "packer");
    node.bed.has_old_parameters("the machine that builds");
    let installed = fs::read_to_string(node.bed.path("/installed")).unwrap();
    assert_eq!(installed, "v1.33.4+k3s1 true server\n");
    assert!(!node.bed.has("/var/lib/k3s-harden"), "no history of it");
    assert!(fs::read_dir(node.bed.path("/tmp")).unwrap().next().is_none(), "nothing is left in /tmp");
    assert_eq!(reports(node.out.path())["summary"]["fail"], 0);
}

#[test]
#[ignore = "needs root, unshare, mmdebstrap and packer"]
fn where_a_control_fails_there_is_a_report_and_no_image() {
    let _busy = turns::busy();
    let node = Node::new();
    // The installation brings a drop-in of its own, which sorts after ours.
    let lax = "printf 'kube-apiserver-arg+:\\n- anonymous-auth=true\\n' > /etc/rancher/k3s/config.yaml.d/99-mine.yaml\necho \"v";
    node.bed.write("/usr/local/bin/curl", 0o755, CURL.replace("echo \"v", lax));
    let run = node.packer().expect_when(1, "packer");
    assert!(run.stdout.contains("Script exited with non-zero exit status: 2"), "{}", run.stdout);
    assert_ne!(reports(node.out.path())["summary"]["fail"], 0);
}

#[test]
#[ignore = "needs root, unshare, mmdebstrap and packer"]
fn where_hardening_fails_packer_installs_nothing() {
    let _busy = turns::busy();
    let node = Node::new();
    fs::create_dir_all(node.bed.path(DROP_IN)).unwrap();
    let run = node.packer().expect_when(1, "packer");
    assert!(run.stdout.contains("Script exited with non-zero exit status: "), "{}", run.stdout);
    assert!(!node.bed.has("/installed") && !node.bed.has("/var/lib/rancher"));
    assert!(!node.out.path().join("k3s-harden.html").exists());
}

#[test]
#[ignore = "needs root, unshare, mmdebstrap and packer"]
fn the_root_of_an_image_is_hardened_from_outside() {
    let _busy = turns::busy();
    let out = tempfile::tempdir().unwrap();
    let packer = |bed: &Bed| {
        let root = bed.path("/");
        packer(|| tools::command("packer"), "image-root.pkr.hcl", &[("root", &root), ("reports", out.path())])
    };
    let bed = Bed::of(Release::Trixie);
    packer(&bed).expect_when(0, "packer");
    assert_same(&bed.tree(), &applied(Release::Trixie, &WORDS), "packer");
    bed.has_old_parameters("an image");
    assert!(!bed.has("/var/lib/k3s-harden"), "no history of it");
    assert_eq!(reports(out.path())["summary"]["fail"], 0);

    let bed = Bed::of(Release::Trixie);
    fs::create_dir_all(bed.path(DROP_IN)).unwrap();
    fs::remove_file(out.path().join("k3s-harden.json")).unwrap();
    let before = bed.tree();
    packer(&bed).expect_when(1, "packer");
    assert_same(&bed.tree(), &before, "packer");
    assert!(!out.path().join("k3s-harden.json").exists());
}
