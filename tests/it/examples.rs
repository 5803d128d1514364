// SPDX-License-Identifier: Apache-2.0
//! Every example is run as its README says.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Node, owner, timeless};

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

/// The medium of a K3s release, with a stand-in for K3s's installer that says with what it was called.
fn medium() -> tempfile::TempDir {
    let medium = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| std::fs::write(medium.path().join(name), text).unwrap();
    for name in ["k3s", "k3s-arm64"] {
        write(name, b"\x7fELF...version.Version=v1.33.4+k3s1\0...");
    }
    write("k3s-airgap-images-amd64.tar.zst", b"images");
    write("install.sh", b"echo installed, download skipped: $INSTALL_K3S_SKIP_DOWNLOAD\n");
    let sums = Command::new("sha256sum")
        .args(["k3s", "k3s-arm64", "k3s-airgap-images-amd64.tar.zst"])
        .current_dir(medium.path())
        .output()
        .unwrap();
    write("sha256sum-amd64.txt", &sums.stdout);
    medium
}

fn bare_metal_node(root: &Path, medium: &Path) -> (Option<i32>, String) {
    let binary = Path::new(env!("CARGO_BIN_EXE_k3s-harden"));
    let output = Command::new("examples/bare-metal/node.sh")
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", binary.parent().unwrap().display()))
        .envs([("K3S_VERSION", "v1.33.4+k3s1"), ("OWNER", &owner())])
        .env("ROOT", root)
        .env("MEDIA", medium)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn bare_metal_goes_all_the_way_without_a_network() {
    let (node, medium) = (Node::new(), medium());
    let (code, said) = bare_metal_node(node.path(), medium.path());
    assert_eq!(code, Some(0), "{said}");
    let steps =
        ["whole", "harden", "start?", "install K3s", "installed, download skipped: true", "is it hardened?"];
    let at: Vec<usize> =
        steps.iter().map(|step| said.find(step).unwrap_or_else(|| panic!("{step}: {said}"))).collect();
    assert!(at.is_sorted(), "{said}");
    assert_eq!(node.read("var/lib/rancher/k3s/agent/images/k3s-airgap-images-amd64.tar.zst"), "images");
    assert_eq!(node.mode("var/lib/rancher/k3s/agent"), "0700");
    assert_eq!(node.mode("usr/local/bin/k3s"), "0755");
    assert_eq!(bare_metal_node(node.path(), medium.path()).0, Some(0), "a second time");
}

#[test]
fn bare_metal_installs_nothing_where_something_is_wrong() {
    // A medium that is not whole: nothing is touched.
    let (node, spoilt) = (Node::new(), medium());
    std::fs::write(spoilt.path().join("k3s"), "half").unwrap();
    let (code, said) = bare_metal_node(node.path(), spoilt.path());
    assert!(code != Some(0) && said.contains("k3s: FAILED") && !said.contains("installed,"), "{said}");
    assert!(!node.path().join("etc").exists());
    // Hardening fails; K3s would not start.
    let unhardened = Node::new().file("etc/rancher", "a file where a directory must be");
    let doomed = Node::new().file("etc/rancher/k3s/config.yaml", "kube-scheduler-arg: [nonsense=1]\n");
    for node in [unhardened, doomed] {
        let (code, said) = bare_metal_node(node.path(), medium().path());
        assert!(code != Some(0) && !said.contains("installed,"), "{said}");
        assert!(!node.path().join("usr/local/bin/k3s").exists());
    }
}

fn make(example: &str, arguments: &[&str]) {
    let binary = Path::new(env!("CARGO_BIN_EXE_k3s-harden"));
    let output = Command::new(format!("examples/{example}/make.sh"))
        .args(arguments)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", binary.parent().unwrap().display()))
        .output()
        .unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
}

#[test]
fn rancher_gets_a_cluster_and_its_files() {
    let out = tempfile::tempdir().unwrap();
    make("rancher", &["hardened", "v1.33.4+k3s1", out.path().to_str().unwrap()]);
    let read = |name: &str| -> serde_json::Value {
        serde_yaml::from_str(&std::fs::read_to_string(out.path().join(name)).unwrap()).unwrap()
    };
    let (cluster, files) = (read("rancher-cluster.yaml"), read("rancher-files.yaml"));
    assert_eq!(cluster["metadata"]["name"], "hardened");
    assert_eq!(cluster["spec"]["kubernetesVersion"], "v1.33.4+k3s1");
    let clusters = &files["metadata"]["annotations"]["rke.cattle.io/object-authorized-for-clusters"];
    assert_eq!(clusters, "hardened");
    assert_eq!(files["stringData"].as_object().unwrap().len(), 3);
}

#[test]
fn ignition_gets_its_configuration() {
    let out = tempfile::tempdir().unwrap();
    for role in ["server", "agent"] {
        let file = out.path().join(role);
        make("ignition", &["v1.33.4+k3s1", role, file.to_str().unwrap()]);
        let config: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let count = config["storage"]["files"].as_array().unwrap().len();
        assert_eq!(
            (&config["ignition"]["version"], count),
            (&"3.4.0".into(), if role == "server" { 5 } else { 2 })
        );
    }
}

#[test]
fn the_command_of_the_readme_does_the_main_job() {
    let readme = fs::read_to_string("README.md").unwrap();
    let command = readme.lines().find(|line| line.contains("cargo run --locked -- apply")).unwrap().trim();
    let command = command.replace("cargo run --locked --", env!("CARGO_BIN_EXE_k3s-harden"));
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("sh").args(["-ec", &command]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.path().join("demo-root/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml").exists());
    assert!(folder.path().join("demo-root/var/lib/rancher/k3s/server/manifests/policy.yaml").exists());
}

/// What the commands of examples/reports/README.md write, with other times and another root, is what lies beside it.
#[test]
fn reports_are_what_their_readme_makes() {
    let example = Path::new("examples/reports");
    let readme = fs::read_to_string(example.join("README.md")).unwrap();
    let commands: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let node = Node::new().file("etc/hostname", "node-1\n");
    let folder = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_k3s-harden"));
    let output = Command::new("sh")
        .args(["-ec", &commands.join("\n")])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", binary.parent().unwrap().display()))
        .env("ROOT", node.path())
        .env("K3S_HARDEN_OWNER", owner())
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    let update = std::env::var_os("UPDATE").is_some();
    for name in names(folder.path()) {
        let text = fs::read_to_string(folder.path().join(&name)).unwrap();
        let text = timeless(&text.replace(node.path().to_str().unwrap(), "/mnt/image"));
        if update {
            fs::write(example.join(&name), &text).unwrap();
        }
        let kept = fs::read_to_string(example.join(&name)).unwrap_or_default();
        let differs = kept.lines().zip(text.lines()).find(|(kept, made)| kept != made);
        assert!(
            kept == text,
            "{name} is not what is made, UPDATE=1 writes it anew; the first line: {differs:#?}"
        );
    }
    let mut listed = names(folder.path());
    listed.push("README.md".to_owned());
    listed.sort();
    assert_eq!(names(example), listed);
    for name in listed.iter().filter(|name| *name != "README.md") {
        assert!(readme.contains(&format!("(`{name}`")), "{name} is not told of");
    }
}

// What Ansible makes of it is in tests/it/ansible.
#[test]
fn the_ansible_collection_has_the_version_of_the_binary() {
    let text = std::fs::read_to_string("examples/ansible/collection/galaxy.yml").unwrap();
    let version = text.lines().find_map(|line| line.strip_prefix("version: ")).unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
}
