//! What a user types and sees: the outputs, the exit codes, and one clear error for each mistake.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

mod support;

use std::fs;
use std::process::Stdio;

use support::{Node, Output, binary, finish};

/// Stdout, stderr and the code in one text; the end is marked so that a missing line break is seen.
fn all(output: &Output) -> String {
    format!("{}{}[exit {}]", output.stdout, output.stderr, output.code)
}

/// Runs `apply` on a node that it must leave as it was.
fn refused(node: &Node, arguments: &[&str]) -> String {
    let before = node.fingerprint();
    let arguments: Vec<&str> = ["apply"].into_iter().chain(arguments.iter().copied()).collect();
    let output = node.run(&arguments);
    assert_ne!(output.code, 0, "{}", all(&output));
    assert_eq!(node.fingerprint(), before, "the node was changed: {arguments:?}");
    assert_eq!(output.stdout, "");
    all(&output)
}

#[test]
fn plan_shows_a_unified_diff_and_changes_nothing() {
    let node = Node::new().file("etc/sysctl.d/90-kubelet.conf", "kernel.panic=0\n");
    let before = node.fingerprint();
    let output = node.run(&["plan", "--k3s-version", "1.24", "--role", "agent"]);
    assert_eq!(node.fingerprint(), before);
    insta::assert_snapshot!(all(&output), @"");
}

#[test]
fn a_plan_that_finds_nothing_says_so() {
    let node = Node::new();
    assert_eq!(node.run(&["apply", "-q", "--k3s-version", "1.33"]).code, 0);
    insta::assert_snapshot!(all(&node.run(&["plan"])), @"");
    insta::assert_snapshot!(all(&node.run(&["apply"])), @"");
}

#[test]
fn later_runs_remember_what_the_first_was_told() {
    let site = tempfile::tempdir().unwrap();
    let profile = site.path().join("site.yaml");
    fs::write(&profile, "settings: {audit_log_maxage: 77}\n").unwrap();
    let node = Node::new();
    let first = ["apply", "-q", "--k3s-version", "1.30", "--role", "server", "--profile", "cis", "--profile", profile.to_str().unwrap(), "--set", "audit_log_maxsize=11"];
    assert_eq!(node.run(&first).code, 0);
    // The node may be far from where the profile was.
    fs::remove_file(&profile).unwrap();
    assert_eq!(node.run(&["apply"]).stdout, "Nothing to change.\n");
    let output = node.run(&["plan", "--set", "audit_log_maxage=5", "--detailed-exitcode"]);
    assert_eq!(output.code, 2);
    assert!(output.stdout.contains("-  - \"audit-log-maxage=77\""), "{}", output.stdout);
    assert!(output.stdout.contains("+  - \"audit-log-maxsize=100\""), "a new --set replaces all the earlier ones");
}

#[test]
fn what_is_no_longer_wanted_is_removed_if_it_is_ours() {
    let node = Node::new();
    assert_eq!(node.run(&["apply", "-q", "--k3s-version", "1.33", "--role", "server"]).code, 0);
    let output = node.run(&["apply", "-q", "--role", "agent", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let removed: Vec<&str> = report["actions"].as_array().unwrap().iter().filter(|action| action["action"] == "remove").map(|action| action["path"].as_str().unwrap()).collect();
    let server = "/var/lib/rancher/k3s/server";
    assert_eq!(removed, [format!("{server}/audit.yaml"), format!("{server}/psa.yaml"), format!("{server}/manifests/policy.yaml")]);
    assert!(!node.path().join("var/lib/rancher/k3s/server/audit.yaml").exists());
}

#[test]
fn a_run_about_some_controls_leaves_the_rest_alone() {
    let node = Node::new();
    assert_eq!(node.run(&["apply", "-q", "--k3s-version", "1.33", "--role", "server"]).code, 0);
    let output = node.run(&["plan", "--only", "3.2.1"]);
    assert!(!output.stdout.contains("remove "), "{}", output.stdout);
}

#[test]
fn a_mode_alone_is_repaired_without_a_rewrite() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let node = Node::new();
    assert_eq!(node.run(&["apply", "-q", "--k3s-version", "1.33"]).code, 0);
    let path = node.path().join("var/lib/rancher/k3s/server/psa.yaml");
    let before = fs::metadata(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    insta::assert_snapshot!(all(&node.run(&["apply"])), @"");
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.ino(), after.mtime_nsec(), after.mode() & 0o7777), (before.ino(), before.mtime_nsec(), 0o600));
}

#[test]
fn json_has_the_promised_fields() {
    let node = Node::new();
    let output = node.run(&["apply", "-q", "--k3s-version", "1.33", "--format", "json", "--detailed-exitcode"]);
    assert_eq!(output.code, 2);
    let report: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["actions", "benchmark", "changed", "format_version", "kubernetes", "profile", "role", "root", "warnings"]);
    assert_eq!((&report["format_version"], &report["kubernetes"], &report["benchmark"], &report["role"]), (&"1.0".into(), &"1.33".into(), &"1.12".into(), &"server".into()));
    assert_eq!(report["profile"], serde_json::json!(["cis-1.12"]));
    assert_eq!(report["changed"], true);
    let audit = report["actions"].as_array().unwrap().iter().find(|action| action["path"] == "/var/lib/rancher/k3s/server/audit.yaml").unwrap();
    let keys: Vec<&String> = audit.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["action", "controls", "diff", "mode", "path", "resource"]);
    assert_eq!((&audit["action"], &audit["mode"], &audit["resource"]), (&"create".into(), &"0600".into(), &"file".into()));
    assert_eq!(audit["controls"], serde_json::json!(["3.2.1"]));
    let again: serde_json::Value = serde_json::from_str(&node.run(&["apply", "--format", "json", "--detailed-exitcode"]).stdout).unwrap();
    assert_eq!(again["changed"], false);
    assert!(again["actions"].as_array().unwrap().iter().all(|action| action["action"] == "none"));
}

#[test]
fn each_mistake_has_one_clear_error_and_changes_nothing() {
    let node = Node::new();
    let site = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = site.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let clean = |text: String| text.replace(site.path().to_str().unwrap(), "SITE");
    let minor = ["--k3s-version", "1.33"];
    let mistake = |arguments: &[&str]| clean(refused(&node, &[&minor, arguments].concat()));

    insta::assert_snapshot!(clean(refused(&node, &[])), @"");
    insta::assert_snapshot!(clean(refused(&node, &["--k3s-version", "1.22"])), @"");
    insta::assert_snapshot!(clean(refused(&node, &["--k3s-version", "newest"])), @"");
    insta::assert_snapshot!(mistake(&["--profile", "cis-1.9"]), @"");
    insta::assert_snapshot!(mistake(&["--profile", "cis-1.12,cis-1.11"]), @"");
    insta::assert_snapshot!(mistake(&["--profile", "strickt"]), @"");
    insta::assert_snapshot!(mistake(&["--profile", "./nowhere.yaml"]), @"");
    insta::assert_snapshot!(mistake(&["--set", "audit_log_max=3"]), @"");
    insta::assert_snapshot!(mistake(&["--set", "audit_log_maxage=ninety"]), @"");
    insta::assert_snapshot!(mistake(&["--set", "write_kubeconfig_mode=rw"]), @"");
    insta::assert_snapshot!(mistake(&["--set", "audit_log_maxage"]), @"");
    insta::assert_snapshot!(mistake(&["--set", "pod_security_policies=true"]), @"");
    insta::assert_snapshot!(mistake(&["--only", "9.9.9"]), @"");
    insta::assert_snapshot!(mistake(&["--skip", "5.2.3"]), @"");
    insta::assert_snapshot!(mistake(&["--data-dir", "var/k3s"]), @"");
    insta::assert_snapshot!(mistake(&["--owner", "nobody-here"]), @"");
    insta::assert_snapshot!(mistake(&["--role", "master"]), @"");
    let unknown = file("unknown.yaml", "name: x\nsettings:\n  audit_log_maxage: 3\n  audit_polcy: writes\n");
    insta::assert_snapshot!(mistake(&["--profile", &unknown]), @"");
    let twice = file("twice.yaml", "settings:\n  tight_ports: true\n  tight_ports: false\n");
    insta::assert_snapshot!(mistake(&["--profile", &twice]), @"");
    let mode = file("mode.yaml", "write_kubeconfig_mode: 0640\n");
    insta::assert_snapshot!(mistake(&["--settings", &mode]), @"");
    let deep = file("deep.yaml", &format!("settings: {}{}\n", "[".repeat(80), "]".repeat(80)));
    insta::assert_snapshot!(mistake(&["--profile", &deep]), @"");
    let large = file("large.yaml", &"#".repeat(300_000));
    insta::assert_snapshot!(mistake(&["--profile", &large]), @"");
    let circle = file("circle.yaml", "extends: ./circle.yaml\n");
    insta::assert_snapshot!(mistake(&["--profile", &circle]), @"");
    let one = file("one.yaml", "settings:\n  audit_log_maxage: 60\n");
    let two = file("two.yaml", "settings:\n  tight_ports: true\n  audit_log_maxage: 90\n");
    insta::assert_snapshot!(mistake(&["--profile", &one, "--profile", &two]), @"");
    let policy = file("audit.yaml", "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n  - level: Everything\n");
    insta::assert_snapshot!(mistake(&["--set", &format!("audit_policy_file={policy}")]), @"");
}

#[test]
fn overlays_that_agree_or_extend_or_are_decided_do_not_contradict() {
    let node = Node::new();
    let site = tempfile::tempdir().unwrap();
    let path = |name: &str| site.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("one.yaml"), "settings: {audit_log_maxage: 60}\n").unwrap();
    fs::write(path("same.yaml"), "settings: {audit_log_maxage: 60, audit_log_maxbackup: 3}\n").unwrap();
    fs::write(path("heir.yaml"), "extends: one.yaml\nsettings: {audit_log_maxage: 90}\n").unwrap();
    fs::write(path("two.yaml"), "settings: {audit_log_maxage: 90}\n").unwrap();
    for arguments in [
        vec!["--profile", &path("one.yaml"), "--profile", &path("same.yaml")],
        vec!["--profile", &path("one.yaml"), "--profile", &path("heir.yaml")],
        vec!["--profile", &path("one.yaml"), "--profile", &path("two.yaml"), "--set", "audit_log_maxage=1"],
    ] {
        let output = node.run(&[&["plan", "-q", "--k3s-version", "1.33"], arguments.as_slice()].concat());
        assert_eq!(output.code, 0, "{}", all(&output));
    }
}

#[test]
fn something_else_in_the_place_of_ours_is_an_error() {
    let blocked = Node::new().file("var/lib/rancher/k3s/server/audit.yaml/inner", "");
    insta::assert_snapshot!(refused(&blocked, &["--k3s-version", "1.33"]), @"");
    let file = Node::new().file("etc/rancher", "");
    insta::assert_snapshot!(refused(&file, &["--k3s-version", "1.33"]), @"");
}

#[test]
fn a_root_that_is_not_there_is_a_mistake() {
    let mut command = binary();
    command.args(["plan", "--k3s-version", "1.33", "--root", "/nowhere/at/all"]);
    insta::assert_snapshot!(all(&finish(command, std::path::Path::new("/nowhere/at/all"))), @"");
}

#[test]
fn a_symlink_that_leads_out_is_replaced_and_never_followed() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), "untouched").unwrap();
    let node = Node::new().file("etc/sysctl.d/.keep", "");
    std::os::unix::fs::symlink(outside.path().join("victim"), node.path().join("etc/sysctl.d/90-kubelet.conf")).unwrap();
    std::os::unix::fs::symlink(outside.path(), node.path().join("etc/rancher")).unwrap();
    let output = node.run(&["apply", "--k3s-version", "1.33", "--role", "agent"]);
    assert_ne!(output.code, 0, "/etc/rancher leads nowhere inside the root");
    fs::remove_file(node.path().join("etc/rancher")).unwrap();
    let output = node.run(&["apply", "--k3s-version", "1.33", "--role", "agent"]);
    assert_eq!(output.code, 0, "{}", all(&output));
    assert_eq!(fs::read_to_string(outside.path().join("victim")).unwrap(), "untouched");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert!(fs::symlink_metadata(node.path().join("etc/sysctl.d/90-kubelet.conf")).unwrap().is_file());
}

#[test]
fn variables_are_flags_and_unknown_ones_are_named() {
    let node = Node::new();
    let variables = [
        ("K3S_HARDEN_K3S_VERSION", "1.29"),
        ("K3S_HARDEN_PROFILE", "cis-1.10,strict"),
        ("K3S_HARDEN_SET", "audit_log_maxage=8; namespaces=[default]"),
        ("K3S_HARDEN_PROFIL", "x"),
    ];
    let output = node.run_with(&["apply", "--set", "audit_log_maxage=9"], &variables);
    assert_eq!(output.code, 0, "{}", all(&output));
    assert!(output.stdout.starts_with("server at ROOT: Kubernetes 1.29, CIS 1.10, profile cis-1.10 + strict\n"), "{}", output.stdout);
    assert!(output.stderr.contains("the environment variable K3S_HARDEN_PROFIL means nothing"), "{}", output.stderr);
    assert!(node.read("etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml").contains("audit-log-maxage=9"), "the command line wins");
    assert_eq!(node.read("var/lib/rancher/k3s/server/manifests/policy.yaml").matches("name: intra-namespace").count(), 1);
}

#[test]
fn the_version_is_the_installed_binarys_then_the_installers() {
    let node = Node::new().file("usr/local/bin/k3s", b"\x7fELF...version.Version=v1.31.2+k3s1\0...");
    assert!(node.run(&["plan"]).stdout.starts_with("server at ROOT: Kubernetes 1.31,"));
    let named = node.run(&["plan", "--k3s-version", "v1.26.1+k3s1"]);
    assert!(named.stdout.starts_with("server at ROOT: Kubernetes 1.26, CIS 1.7, profile cis-1.7\n"), "{}", named.stdout);
    let installer = Node::new().run_with(&["plan"], &[("INSTALL_K3S_VERSION", "v1.28.9+k3s1")]);
    assert!(installer.stdout.starts_with("server at ROOT: Kubernetes 1.28,"));
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let node = Node::new();
    let mut command = binary();
    command.args(["plan", "-q", "--k3s-version", "1.33", "--root"]).arg(node.path()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn profiles_can_be_looked_at() {
    let node = Node::new();
    insta::assert_snapshot!(all(&node.run(&["profile", "list"])), @"");
    insta::assert_snapshot!(all(&node.run(&["profile", "diff", "cis-1.11", "cis-1.12"])), @"");
    let shown = node.run(&["profile", "show", "strict", "--k3s-version", "1.24"]).stdout;
    for line in ["  protect_kernel_defaults: true  # profiles/strict.yaml\n", "  audit_log_maxage: 30  # default\n", "  pod-security-policy-plugin: [\"1.2.13\"]"] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(!shown.contains("event_rate_limit"), "1.24 has none");
    let site = tempfile::tempdir().unwrap();
    let path = site.path().join("site.yaml");
    fs::write(&path, "extends: cis-1.12\nsettings:\n  tight_ports: true\n").unwrap();
    let path = path.to_str().unwrap();
    let shown = node.run(&["profile", "show", path, "--format", "json"]).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["settings"]["tight_ports"]["origin"], format!("{path}:3:16"));
    assert_eq!(shown["benchmark"], "1.12");
    assert_eq!(node.run(&["profile", "validate", path]).stdout, format!("{path}: valid\n"));
    fs::write(path, "settings: {tight_ports: maybe}\n").unwrap();
    assert_eq!(node.run(&["profile", "validate", path]).code, 65);
}

#[test]
fn carriers_go_to_files_of_their_own() {
    let node = Node::new();
    let out = tempfile::tempdir().unwrap();
    let path = |name: &str| out.path().join(name).to_str().unwrap().to_owned();
    assert_eq!(node.run(&["render", "--as", "account-update", "--k3s-version", "1.33", "--out", &path("update")]).code, 0);
    let script = fs::read_to_string(path("update/account_update.sh")).unwrap();
    assert!(script.starts_with("#!/bin/sh\n# "), "{script}");
    assert!(fs::metadata(path("update/account_update.yaml")).is_ok());
    let release = node.run(&["render", "-q", "--as", "rancher-cluster", "--k3s-version", "v1.33.4+k3s1", "--out", &path("cluster.yaml")]);
    assert_eq!(all(&release), "[exit 0]");
    assert!(fs::read_to_string(path("cluster.yaml")).unwrap().contains("kubernetesVersion: \"v1.33.4+k3s1\""));
}

#[test]
fn nothing_typed_shows_the_help() {
    let output = binary().output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let help = binary().arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8(help.stdout).unwrap().contains("Exit codes:"));
}
