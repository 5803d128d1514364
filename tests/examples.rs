//! Every example is run as its README says.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use support::{Node, owner};

#[test]
fn bare_metal_hardens_an_empty_root_and_is_done_after_one_run() {
    let node = Node::new();
    let binary = Path::new(env!("CARGO_BIN_EXE_k3s-harden"));
    let run = || {
        let output = Command::new("examples/bare-metal/harden.sh")
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", binary.parent().unwrap().display()))
            .env("K3S_VERSION", "v1.33.4+k3s1")
            .env("ROOT", node.path())
            .env("OWNER", owner())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run().ends_with("Nothing to change.\n"));
    assert!(node.read("etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml").contains("audit-log-maxage=90"));
    assert!(node.read("var/lib/rancher/k3s/server/manifests/policy.yaml").contains("name: allow-traefik"));
    assert_eq!(node.mode("var/lib/rancher/k3s/server"), "0700");
    let before = node.fingerprint();
    run();
    assert_eq!(node.fingerprint(), before);
}

#[test]
fn bare_metal_stops_where_hardening_fails() {
    let node = Node::new().file("etc/rancher", "a file where a directory must be");
    let output = Command::new("examples/bare-metal/harden.sh")
        .env(
            "PATH",
            format!(
                "{}:/usr/bin:/bin",
                Path::new(env!("CARGO_BIN_EXE_k3s-harden")).parent().unwrap().display()
            ),
        )
        .env("K3S_VERSION", "1.33")
        .env("ROOT", node.path())
        .env("OWNER", owner())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(73));
    assert!(!node.path().join("var").exists());
}

#[test]
fn the_command_of_the_readme_does_the_main_job() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let command = readme.lines().find(|line| line.contains("cargo run --release -- apply")).unwrap().trim();
    let command = command.replace("cargo run --release --", env!("CARGO_BIN_EXE_k3s-harden"));
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("sh").args(["-ec", &command]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.path().join("demo-root/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml").exists());
    assert!(folder.path().join("demo-root/var/lib/rancher/k3s/server/manifests/policy.yaml").exists());
}

// What Ansible makes of it is in tests/ansible.
#[test]
fn the_ansible_collection_has_the_version_of_the_binary() {
    let text = std::fs::read_to_string("examples/ansible/collection/galaxy.yml").unwrap();
    let version = text.lines().find_map(|line| line.strip_prefix("version: ")).unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
}
