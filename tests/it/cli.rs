// SPDX-License-Identifier: Apache-2.0
//! What a user types and sees: the outputs, the exit codes, and one clear error for each mistake.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fs;
use std::process::Stdio;

use crate::minors::with_newest;
use crate::support::{Node, Output, binary, finish};

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
    insta::assert_snapshot!(all(&output), @r#"
    agent at ROOT: Kubernetes 1.24, CIS 1.24, profile cis-1.24

    update /etc/sysctl.d/90-kubelet.conf (0644)  CIS 4.2.6
    --- /etc/sysctl.d/90-kubelet.conf
    +++ /etc/sysctl.d/90-kubelet.conf
    @@ -1 +1,7 @@
    -kernel.panic=0
    +# Kernel parameters as the kubelet expects them.
    +# Written by k3s-harden VERSION from profile cis-1.24, which replaces changes made here.
    +# CIS 1.24: 4.2.6
    +vm.panic_on_oom=0
    +vm.overcommit_memory=1
    +kernel.panic=10
    +kernel.panic_on_oops=1

    create /etc/rancher (0755)
    +mode 0755 owner OWNER

    create /etc/rancher/k3s (0755)
    +mode 0755 owner OWNER

    create /etc/rancher/k3s/config.yaml.d (0755)
    +mode 0755 owner OWNER

    create /etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml (0600)  CIS 4.2.6, 4.2.7
    --- /dev/null
    +++ /etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml
    @@ -0,0 +1,6 @@
    +# K3s' configuration, for this role only: an agent exits on a server's keys.
    +# Written by k3s-harden VERSION from profile cis-1.24, which replaces changes made here.
    +# CIS 1.24: 4.2.6, 4.2.7
    +protect-kernel-defaults: true # CIS 4.2.6
    +kubelet-arg+:
    +  - "make-iptables-util-chains=true" # CIS 4.2.7

    4 to create, 1 to update.
     WARN /etc/sysctl.d/90-kubelet.conf:1:1: kernel.panic is 0, but k3s-harden's value is 10: it is replaced: k3s-harden's is used; to keep the existing one: --on-conflict keep
     WARN /etc/sysctl.d/90-kubelet.conf was not written by k3s-harden: it is merged with k3s-harden's, and backed up under /var/lib/k3s-harden; to keep the file unchanged: --on-foreign keep
    [exit 0]
    "#);
}

#[test]
fn a_plan_that_finds_nothing_says_so() {
    let node = Node::new();
    assert_eq!(node.run(&["apply", "-q", "--k3s-version", "1.33"]).code, 0);
    insta::assert_snapshot!(all(&node.run(&["plan"])), @"
    server at ROOT: Kubernetes 1.33, CIS 1.12, profile cis-1.12
    Options remembered from run 1: --k3s-version 1.33.

    Nothing to change.
    [exit 0]
    ");
    insta::assert_snapshot!(all(&node.run(&["apply"])), @"
    Nothing to change.
    [exit 0]
    ");
}

#[test]
fn later_runs_remember_what_the_first_was_told() {
    let site = tempfile::tempdir().unwrap();
    let profile = site.path().join("site.yaml");
    fs::write(&profile, "settings: {audit_log_maxage: 77}\n").unwrap();
    let node = Node::new();
    let first = [
        "apply",
        "-q",
        "--k3s-version",
        "1.30",
        "--role",
        "server",
        "--profile",
        "cis",
        "--profile",
        profile.to_str().unwrap(),
        "--set",
        "audit_log_maxsize=11",
    ];
    assert_eq!(node.run(&first).code, 0);
    // The node may be far from where the profile was.
    fs::remove_file(&profile).unwrap();
    assert_eq!(node.run(&["apply"]).stdout, "Nothing to change.\n");
    let output = node.run(&["plan", "--set", "audit_log_maxage=5", "--detailed-exitcode"]);
    assert_eq!(output.code, 2);
    assert!(output.stdout.contains("-  - \"audit-log-maxage=77\""), "{}", output.stdout);
    assert!(!output.stdout.contains("audit-log-maxsize=100"), "each setting is remembered by itself");
    assert_eq!(node.run(&["apply", "-q", "--set", "audit_log_maxsize=null"]).code, 0);
    let drop_in = node.read("etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml");
    assert!(drop_in.contains("audit-log-maxsize=100"), "the default counts again: {drop_in}");
}

#[test]
fn what_is_no_longer_wanted_is_removed_if_it_is_ours() {
    let node = Node::new();
    assert_eq!(node.run(&["apply", "-q", "--k3s-version", "1.33", "--role", "server"]).code, 0);
    let output = node.run(&["apply", "-q", "--role", "agent", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let removed: Vec<&str> = report["actions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|action| action["action"] == "remove")
        .map(|action| action["path"].as_str().unwrap())
        .collect();
    let server = "/var/lib/rancher/k3s/server";
    assert_eq!(
        removed,
        [
            format!("{server}/audit.yaml"),
            format!("{server}/psa.yaml"),
            format!("{server}/manifests/policy.yaml")
        ]
    );
    assert!(!node.path().join("var/lib/rancher/k3s/server/audit.yaml").exists());
}

#[test]
fn a_file_without_our_header_gets_it_even_where_it_says_the_same() {
    const AUDIT: &str = "var/lib/rancher/k3s/server/audit.yaml";
    const APPLY: [&str; 5] = ["apply", "--k3s-version", "1.33", "--role", "server"];
    let first = Node::new();
    assert_eq!(first.run(&APPLY).code, 0);
    let bare: String =
        first.read(AUDIT).split_inclusive('\n').filter(|line| !line.starts_with('#')).collect();
    let node = Node::new().file(AUDIT, &bare);
    let output = node.run(&APPLY);
    assert!(output.stderr.contains("audit.yaml was not written by k3s-harden"), "{}", output.stderr);
    assert_eq!(node.read(AUDIT), first.read(AUDIT));
    // A run about another control leaves the audit policy in force.
    assert_eq!(node.run(&["plan", "--detailed-exitcode", "--only", "1.2.17"]).code, 0);
    assert_eq!(node.run(&["uninstall"]).code, 0);
    assert_eq!(node.read(AUDIT), bare);
}

#[test]
fn a_run_about_some_controls_leaves_the_rest_alone() {
    let node = Node::new();
    assert_eq!(node.run(&["apply", "-q", "--k3s-version", "1.33", "--profile", "strict"]).code, 0);
    let before = node.fingerprint();
    for arguments in [
        ["--only", "3.2.1"],
        ["--only", "pod-security"],
        ["--skip", "1.2"],
        ["--skip", "network-policies"],
        ["--skip", "5.2"],
    ] {
        let output = node.run(&[&["plan", "--detailed-exitcode"], arguments.as_slice()].concat());
        assert_eq!(output.code, 0, "{arguments:?}: {}", all(&output));
    }
    assert_eq!(node.fingerprint(), before);
    // What a run is about it does follow.
    let output = node.run(&["plan", "--only", "1.2.17", "--set", "audit_log_maxage=7"]);
    assert!(output.stdout.contains("+  - \"audit-log-maxage=7\""), "{}", output.stdout);
}

#[test]
fn what_was_skipped_stays_skipped_until_it_is_taken_back() {
    let node = Node::new();
    assert_eq!(node.run(&["apply", "-q", "--k3s-version", "1.33", "--skip", "network-policies"]).code, 0);
    assert_eq!(node.run(&["apply"]).stdout, "Nothing to change.\n");
    let policy = |node: &Node| {
        node.read("var/lib/rancher/k3s/server/manifests/policy.yaml").contains("kind: NetworkPolicy")
    };
    assert!(!policy(&node));
    assert_eq!(node.run(&["apply", "-q", "--skip", "none"]).code, 0);
    assert!(policy(&node));
}

#[test]
fn only_what_the_profile_leaves_off_is_said() {
    let output = Node::new().run(&["plan", "--k3s-version", "1.33", "--only", "pod-max-pids"]);
    assert!(output.stderr.contains("profile cis-1.12 does not implement pod-max-pids"), "{}", output.stderr);
    let output = Node::new().run(&[
        "plan",
        "--k3s-version",
        "1.33",
        "--profile",
        "strict",
        "--only",
        "pod-max-pids,3.2.1",
    ]);
    assert!(!output.stderr.contains("serves"), "{}", output.stderr);
}

#[test]
fn encryption_is_not_taken_off_a_cluster_that_has_it() {
    let node = Node::new();
    assert_eq!(node.run(&["apply", "-q", "--k3s-version", "1.33", "--role", "server"]).code, 0);
    let server = "var/lib/rancher/k3s/server";
    let node = node
        .file(&format!("{server}/token"), "t")
        .file(&format!("{server}/cred/encryption-config.json"), "{}");
    assert_eq!(node.run(&["apply", "-q", "--only", "3.2.1"]).code, 0);
    insta::assert_snapshot!(refused(&node, &["--set", "secrets_encryption=false"]), @"
    error: K3s has started with encrypted Secrets: without secrets-encryption, it can no longer read them
     help: leave it on: --set secrets_encryption=true
     help: or decrypt them with K3s's own command first: `k3s secrets-encrypt disable`
    [exit 1]
    ");
}

#[test]
fn an_installed_binary_counts_more_than_what_was_told() {
    let node = Node::new();
    assert_eq!(node.run(&["apply", "-q", "--k3s-version", "v1.24.17+k3s1", "--role", "server"]).code, 0);
    let node = node.file("usr/local/bin/k3s", "version.Version=v1.30.4+k3s1");
    let output = node.run(&["plan"]);
    assert!(output.stdout.starts_with("server at ROOT: Kubernetes 1.30,"), "{}", output.stdout);
    assert!(output.stdout.contains("-kind: PodSecurityPolicy"), "{}", output.stdout);
}

#[test]
fn what_runs_are_told_is_recorded_even_where_nothing_changes() {
    let node = Node::new();
    assert_eq!(node.run(&["apply", "-q", "--k3s-version", "1.30"]).code, 0);
    assert_eq!(node.run(&["apply", "--k3s-version", "1.31"]).stdout, "Nothing to change.\n");
    assert!(node.run(&["plan"]).stdout.starts_with("server at ROOT: Kubernetes 1.31,"));
    let before = node.fingerprint();
    assert_eq!(node.run(&["apply", "--k3s-version", "1.31"]).code, 0);
    assert_eq!(node.fingerprint(), before);
}

#[test]
fn a_role_is_found_in_what_k3s_left() {
    let role = |node: Node| {
        node.run(&["plan", "-q", "--k3s-version", "1.33"]).stdout.split(' ').next().unwrap().to_owned()
    };
    assert_eq!(role(Node::new().file("var/lib/rancher/k3s/agent/kubelet.kubeconfig", "")), "agent");
    assert_eq!(
        role(
            Node::new()
                .file("etc/systemd/system/k3s-blue.service", "ExecStart=/usr/local/bin/k3s \\\n  agent\n")
        ),
        "agent"
    );
    let joined =
        Node::new().run_with(&["plan", "-q", "--k3s-version", "1.33"], &[("K3S_URL", "https://server:6443")]);
    assert!(joined.stdout.starts_with("agent "), "{}", joined.stdout);
}

#[test]
fn empty_variables_are_no_wish() {
    let names = ["PROFILE", "SETTINGS", "SKIP", "ONLY", "OWNER", "DATA_DIR", "K3S_VERSION", "SET", "QUIET"];
    let names: Vec<String> = names.iter().map(|name| format!("K3S_HARDEN_{name}")).collect();
    let variables: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), ""))
        .chain([("INSTALL_K3S_VERSION", "v1.33.1+k3s1")])
        .collect();
    let output = Node::new().run_with(&["plan"], &variables);
    assert_eq!(output.code, 0, "{}", all(&output));
}

#[test]
fn logs_that_cannot_be_written_are_no_reason_to_fail() {
    let node = Node::new();
    let mut command = binary();
    command
        .args(["apply", "--k3s-version", "1.33", "--owner", &crate::support::owner(), "--root"])
        .arg(node.path());
    command.stderr(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    assert_eq!(command.output().unwrap().status.code(), Some(0));
}

#[test]
fn rendering_writes_through_links_and_into_devices() {
    let node = Node::new();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(folder.path().join("real.yaml"), folder.path().join("link.yaml")).unwrap();
    fs::write(folder.path().join("real.yaml"), "old").unwrap();
    let render = |out: &str| {
        node.run(&["render", "-q", "--as", "rancher-cluster", "--k3s-version", "1.33", "--out", out])
    };
    assert_eq!(render(folder.path().join("link.yaml").to_str().unwrap()).code, 0);
    assert!(fs::symlink_metadata(folder.path().join("link.yaml")).unwrap().is_symlink());
    assert!(fs::read_to_string(folder.path().join("real.yaml")).unwrap().contains("kind: Cluster"));
    // As the test's user, who may be root: a device must stay one.
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    assert_eq!(render(pipe.to_str().unwrap()).code, 0);
    assert!(reader.join().unwrap().contains("kind: Cluster"));
    assert!(
        render(folder.path().join("no/such/folder.yaml").to_str().unwrap()).stderr.contains("No such file")
    );
}

#[test]
fn a_mode_alone_is_repaired_without_a_rewrite() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let node = Node::new();
    assert_eq!(node.run(&["apply", "-q", "--k3s-version", "1.33"]).code, 0);
    let path = node.path().join("var/lib/rancher/k3s/server/psa.yaml");
    let before = fs::metadata(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    insta::assert_snapshot!(all(&node.run(&["apply"])), @"
    server at ROOT: Kubernetes 1.33, CIS 1.12, profile cis-1.12
    Options remembered from run 1: --k3s-version 1.33.
    changed mode or owner of /var/lib/rancher/k3s/server/psa.yaml (0600)

    1 changed in mode or owner.

    Next: check the image: k3s-harden verify --root ROOT
    [exit 0]
    ");
    let after = fs::metadata(&path).unwrap();
    assert_eq!(
        (after.ino(), after.mtime_nsec(), after.mode() & 0o7777),
        (before.ino(), before.mtime_nsec(), 0o600)
    );
}

#[test]
fn json_has_the_promised_fields() {
    let node = Node::new();
    let output =
        node.run(&["apply", "-q", "--k3s-version", "1.33", "--format", "json", "--detailed-exitcode"]);
    assert_eq!(output.code, 2);
    let report: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "actions",
            "benchmark",
            "changed",
            "format_version",
            "host",
            "k3s_version",
            "kubernetes",
            "profile",
            "restart_required",
            "role",
            "root",
            "time",
            "tool_version",
            "warnings"
        ]
    );
    assert_eq!(
        (&report["format_version"], &report["kubernetes"], &report["benchmark"], &report["role"]),
        (&"1.1".into(), &"1.33".into(), &"1.12".into(), &"server".into())
    );
    assert_eq!(report["profile"], serde_json::json!(["cis-1.12"]));
    assert_eq!(report["changed"], true);
    let audit = report["actions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|action| action["path"] == "/var/lib/rancher/k3s/server/audit.yaml")
        .unwrap();
    let keys: Vec<&String> = audit.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["action", "controls", "diff", "mode", "path", "resource"]);
    assert_eq!(
        (&audit["action"], &audit["mode"], &audit["resource"]),
        (&"create".into(), &"0600".into(), &"file".into())
    );
    assert_eq!(audit["controls"], serde_json::json!(["3.2.1"]));
    let again: serde_json::Value =
        serde_json::from_str(&node.run(&["apply", "--format", "json", "--detailed-exitcode"]).stdout)
            .unwrap();
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

    insta::assert_snapshot!(clean(refused(&node, &[])), @"
    error: K3s is not installed here: its version is unknown
     help: pass the version that you will install: --k3s-version v1.33.4+k3s1, or just 1.33
    [exit 64]
    ");
    insta::assert_snapshot!(with_newest(&clean(refused(&node, &["--k3s-version", "1.22"]))), @"
    error: Kubernetes 1.22 is not supported
     help: supported are 1.23 to NEWEST
    [exit 65]
    ");
    insta::assert_snapshot!(clean(refused(&node, &["--k3s-version", "newest"])), @r#"
    error: "newest" is not a K3s version
     help: write it as v1.33.4+k3s1 or 1.33
    [exit 64]
    "#);
    insta::assert_snapshot!(mistake(&["--profile", "cis-1.9"]), @"
    error: profile cis-1.9 fits Kubernetes 1.27 to 1.29, not 1.33
     help: for 1.33 use --profile cis-1.12, or --profile cis, which picks it
    [exit 65]
    ");
    insta::assert_snapshot!(mistake(&["--profile", "cis-1.12,cis-1.11"]), @"
    error: profiles cis-1.12 and cis-1.11 conflict: they are for different benchmarks, 1.12 and 1.11
     help: name one of them only
    [exit 65]
    ");
    insta::assert_snapshot!(mistake(&["--profile", "strickt"]), @r#"
    error: unknown profile "strickt"
     help: did you mean strict?
     help: the path of a file contains a slash: ./site.yaml
    [exit 65]
    "#);
    insta::assert_snapshot!(mistake(&["--profile", "./nowhere.yaml"]), @"
    error: cannot read ./nowhere.yaml: No such file or directory
    [exit 65]
    ");
    insta::assert_snapshot!(mistake(&["--set", "audit_log_max=3"]), @r#"
    error: --set: unknown setting "audit_log_max"
     help: did you mean audit_log_maxage?
    [exit 65]
    "#);
    insta::assert_snapshot!(mistake(&["--set", "audit_log_maxage=ninety"]), @r#"
    error: --set: audit_log_maxage: the text "ninety" does not fit
     help: write a number from 0 to 36500, or null
    [exit 65]
    "#);
    insta::assert_snapshot!(mistake(&["--set", "write_kubeconfig_mode=rw"]), @r#"
    error: --set: write_kubeconfig_mode: the text "rw" does not fit
     help: modes are octal: write "0600", in quotes
    [exit 65]
    "#);
    insta::assert_snapshot!(mistake(&["--set", "audit_log_maxage"]), @"
    error: --set audit_log_maxage has no value
     help: write it as --set audit_log_maxage=90
    [exit 64]
    ");
    insta::assert_snapshot!(mistake(&["--set", "pod_security_policies=true"]), @"
    error: pod_security_policies does nothing on Kubernetes 1.33
     help: it is for 1.24 and older: leave it out
    [exit 65]
    ");
    insta::assert_snapshot!(mistake(&["--only", "9.9.9"]), @"
    error: control 9.9.9 of benchmark 1.12 is not one that k3s-harden sets
     help: `k3s-harden profile show cis-1.12 --root ROOT` lists those it does
    [exit 65]
    ");
    insta::assert_snapshot!(mistake(&["--skip", "5.2.3"]), @"
    error: control 5.2.3 cannot be skipped alone: the same lines implement 5.2.1
     help: skip them together with --skip pod-security, or change the settings behind them
    [exit 65]
    ");
    insta::assert_snapshot!(mistake(&["--data-dir", "var/k3s"]), @r#"
    error: --data-dir: "var/k3s" is not an absolute path
     help: write an absolute path
    [exit 64]
    "#);
    insta::assert_snapshot!(mistake(&["--owner", "nobody-here"]), @r#"
    error: --owner nobody-here: the node has no user "nobody-here"
     help: write numbers, UID:GID
    [exit 64]
    "#);
    insta::assert_snapshot!(mistake(&["--role", "master"]), @r#"
    error: --role: invalid value "master"
     help: write one of server, agent
    [exit 64]
    "#);
    let unknown = file("unknown.yaml", "name: x\nsettings:\n  audit_log_maxage: 3\n  audit_polcy: writes\n");
    insta::assert_snapshot!(mistake(&["--profile", &unknown]), @r#"
    error: SITE/unknown.yaml:4:3: unknown setting "audit_polcy"
     help: did you mean audit_policy?
    [exit 65]
    "#);
    let twice = file("twice.yaml", "settings:\n  tight_ports: true\n  tight_ports: false\n");
    insta::assert_snapshot!(mistake(&["--profile", &twice]), @r#"
    error: SITE/twice.yaml:3:3: the key "tight_ports" is here a second time
     help: keep one of them
    [exit 65]
    "#);
    let mode = file("mode.yaml", "write_kubeconfig_mode: 0640\n");
    insta::assert_snapshot!(mistake(&["--settings", &mode]), @r#"
    error: SITE/mode.yaml:1:24: write_kubeconfig_mode: 0640 is a number to YAML
     help: modes are octal: write "0600", in quotes
    [exit 65]
    "#);
    let deep = file("deep.yaml", &format!("settings: {}{}\n", "[".repeat(80), "]".repeat(80)));
    insta::assert_snapshot!(mistake(&["--profile", &deep]), @"
    error: SITE/deep.yaml:1:74: nested deeper than 64 levels
    [exit 65]
    ");
    let large = file("large.yaml", &"#".repeat(300_000));
    insta::assert_snapshot!(mistake(&["--profile", &large]), @"
    error: SITE/large.yaml: the file is larger than 262144 bytes
    [exit 65]
    ");
    let circle = file("circle.yaml", "extends: ./circle.yaml\n");
    insta::assert_snapshot!(mistake(&["--profile", &circle]), @"
    error: SITE/circle.yaml:1:10: the profile extends itself: SITE/circle.yaml → SITE/circle.yaml
    [exit 65]
    ");
    let one = file("one.yaml", "settings:\n  audit_log_maxage: 60\n");
    let two = file("two.yaml", "settings:\n  tight_ports: true\n  audit_log_maxage: 90\n");
    insta::assert_snapshot!(mistake(&["--profile", &one, "--profile", &two]), @"
    error: SITE/two.yaml:3:21: audit_log_maxage is 90 here and 60 in SITE/one.yaml:2:21: the overlays contradict
     help: add `extends: one` to one of them, or set the value: --set audit_log_maxage=…
    [exit 65]
    ");
    let policy =
        file("audit.yaml", "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n  - level: Everything\n");
    insta::assert_snapshot!(mistake(&["--set", &format!("audit_policy_file={policy}")]), @r#"
    error: SITE/audit.yaml:4:12: rules[0].level: Unsupported value: "Everything": supported values: "None", "Metadata", "Request", "RequestResponse"
     help: write one of None, Metadata, Request, RequestResponse
    [exit 65]
    "#);
}

#[test]
fn plan_and_render_refuse_an_audit_policy_as_the_api_server_does() {
    let node = Node::new();
    let site = tempfile::tempdir().unwrap();
    let path = site.path().join("audit.yaml");
    for (minor, rule, message) in [
        (
            "1.33",
            "{level: None, namespaces: [a], nonResourceURLs: [/x]}",
            "rules[0].nonResourceURLs: Invalid value: rules cannot apply to both regular resources and non-resource URLs",
        ),
        (
            "1.35",
            "{level: None, resources: [{group: '*'}]}",
            "rules[0].resources.group: Invalid value: \"*\": ",
        ),
        (
            "1.36",
            "{level: None, resources: [{group: '*.apps'}]}",
            "rules[0].resources.group: Invalid value: \"*.apps\": ",
        ),
        (
            "1.33",
            "{level: None, nonResourceURLs: ['/a*b']}",
            "rules[0].nonResourceURLs[0]: Invalid value: \"/a*b\": ",
        ),
    ] {
        fs::write(&path, format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- {rule}\n")).unwrap();
        let setting = format!("audit_policy_file={}", path.display());
        let arguments = ["--k3s-version", minor, "--role", "server", "--set", &setting];
        for verb in [["plan"].as_slice(), &["render", "--as", "shell"]] {
            let output = node.run(&[verb, &arguments].concat());
            assert_eq!(output.code, 65, "{verb:?} {rule}: {}", output.stderr);
            assert!(output.stderr.contains("audit.yaml:4:"), "{}", output.stderr);
            assert!(output.stderr.contains(message), "{verb:?} {rule}: {}", output.stderr);
        }
    }
    assert_eq!(node.tree(), "");
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
    insta::assert_snapshot!(refused(&blocked, &["--k3s-version", "1.33"]), @"
    error: ROOT/var/lib/rancher/k3s/server/audit.yaml is not a file
     help: move it away: a file has to be there
    [exit 73]
    ");
    let file = Node::new().file("etc/rancher", "");
    insta::assert_snapshot!(refused(&file, &["--k3s-version", "1.33"]), @"
    error: ROOT/etc/rancher is not a directory
     help: move it away: K3s needs a directory there
    [exit 73]
    ");
}

#[test]
fn a_root_that_is_not_there_is_a_mistake() {
    let mut command = binary();
    command.args(["plan", "--k3s-version", "1.33", "--root", "/nowhere/at/all"]);
    insta::assert_snapshot!(all(&finish(command, std::path::Path::new("/nowhere/at/all"))), @"
    error: --root ROOT: No such file or directory
     help: pass the root directory of the node, or create it first
    [exit 64]
    ");
}

#[test]
fn a_symlink_that_leads_out_is_replaced_and_never_followed() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), "untouched").unwrap();
    let node = Node::new().file("etc/sysctl.d/.keep", "");
    std::os::unix::fs::symlink(
        outside.path().join("victim"),
        node.path().join("etc/sysctl.d/90-kubelet.conf"),
    )
    .unwrap();
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
    assert!(
        output.stdout.starts_with("server at ROOT: Kubernetes 1.29, CIS 1.10, profile cis-1.10 + strict\n"),
        "{}",
        output.stdout
    );
    assert!(output.stderr.contains("unknown environment variable K3S_HARDEN_PROFIL"), "{}", output.stderr);
    assert!(
        node.read("etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml").contains("audit-log-maxage=9"),
        "the command line wins"
    );
    assert_eq!(
        node.read("var/lib/rancher/k3s/server/manifests/policy.yaml")
            .matches("name: intra-namespace")
            .count(),
        1
    );
}

#[test]
fn a_variable_that_would_lead_to_another_node_ends_the_run() {
    let node = Node::new();
    let output = node.run_with(&["plan", "--k3s-version", "1.33"], &[("K3S_HARDEN_ROT", "/mnt/image")]);
    assert_eq!(output.code, 64, "{}", all(&output));
    assert!(output.stderr.contains("help: did you mean K3S_HARDEN_ROOT?"), "{}", output.stderr);
    let output = node.run_with(&["plan", "--k3s-version", "1.33"], &[("K3S_HARDEN_ROOT_DIR", "/mnt/image")]);
    assert_eq!(output.code, 64, "{}", all(&output));
    for (value, code) in [("nonsense", 64), ("", 0), ("no", 0), ("Yes", 2)] {
        let variables = [("K3S_HARDEN_DETAILED_EXITCODE", value)];
        let output = node.run_with(&["plan", "--k3s-version", "1.33"], &variables);
        assert_eq!(output.code, code, "{value:?}: {}", all(&output));
    }
}

#[test]
fn the_version_is_the_installed_binarys_then_the_installers() {
    let node = Node::new().file("usr/local/bin/k3s", b"\x7fELF...version.Version=v1.31.2+k3s1\0...");
    assert!(node.run(&["plan"]).stdout.starts_with("server at ROOT: Kubernetes 1.31,"));
    let named = node.run(&["plan", "--k3s-version", "v1.26.1+k3s1"]);
    assert!(
        named.stdout.starts_with("server at ROOT: Kubernetes 1.26, CIS 1.7, profile cis-1.7\n"),
        "{}",
        named.stdout
    );
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
    insta::assert_snapshot!(with_newest(&all(&node.run(&["profile", "list"]))), @"
    cis-1.23   Kubernetes 1.23          CIS Kubernetes Benchmark 1.23
    cis-1.24   Kubernetes 1.24          CIS Kubernetes Benchmark 1.24
    cis-1.7    Kubernetes 1.25 to 1.26  CIS Kubernetes Benchmark 1.7
    cis-1.8    Kubernetes 1.26          CIS Kubernetes Benchmark 1.8
    cis-1.9    Kubernetes 1.27 to 1.29  CIS Kubernetes Benchmark 1.9
    cis-1.10   Kubernetes 1.28 to 1.31  CIS Kubernetes Benchmark 1.10
    cis-1.11   Kubernetes 1.29 to 1.34  CIS Kubernetes Benchmark 1.11
    cis-1.12   Kubernetes 1.32 to 1.36  CIS Kubernetes Benchmark 1.12
    cis-2.0    Kubernetes 1.34 to NEWEST  CIS Kubernetes Benchmark 2.0
    cis-2.1    Kubernetes 1.36 to NEWEST  CIS Kubernetes Benchmark 2.1
    k3s-guide  Kubernetes any           Overlay with K3s's own hardening guide, corrected only where it stops K3s or blocks DNS
    strict     Kubernetes any           Overlay with every automatable control that does not break a stock K3s
    [exit 0]
    ");
    insta::assert_snapshot!(all(&node.run(&["profile", "diff", "cis-1.11", "cis-1.12"])), @r#"
    --- cis-1.11 for Kubernetes 1.34
    +++ cis-1.12 for Kubernetes 1.34
     controls:
    +  image-provenance: "5.5.1"
    -  pod-security: "5.2.1 to 5.2.13"
    +  pod-security: "5.2.1 to 5.2.12"
    +  pod-security-host-path: "5.2.11"
    +  service-account-token-mounts: "5.1.6"
    +  system-masters: "5.1.7"
    +  wildcards-in-roles: "5.1.3"
    [exit 0]
    "#);
    let same = node.run(&["profile", "diff", "cis", "cis-2.0", "--k3s-version", "1.35"]).stdout;
    assert_eq!(
        same,
        "--- cis-2.0 for Kubernetes 1.35\n+++ cis-2.0 for Kubernetes 1.35\n the profiles are identical\n"
    );
    let shown = node.run(&["profile", "show", "strict", "--k3s-version", "1.24"]).stdout;
    for line in [
        "  protect_kernel_defaults: true  # profiles/strict.yaml\n",
        "  audit_log_maxage: 30  # default\n",
        "  pod-security-policy-plugin: [\"1.2.13\"]",
    ] {
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
    assert_eq!(
        node.run(&["render", "--as", "account-update", "--k3s-version", "1.33", "--out", &path("update")])
            .code,
        0
    );
    let script = fs::read_to_string(path("update/account_update.sh")).unwrap();
    assert!(script.starts_with("#!/bin/sh\n# "), "{script}");
    assert!(fs::metadata(path("update/account_update.yaml")).is_ok());
    let release = node.run(&[
        "render",
        "-q",
        "--as",
        "rancher-cluster",
        "--k3s-version",
        "v1.33.4+k3s1",
        "--out",
        &path("cluster.yaml"),
    ]);
    assert_eq!(all(&release), "[exit 0]");
    assert!(
        fs::read_to_string(path("cluster.yaml")).unwrap().contains("kubernetesVersion: \"v1.33.4+k3s1\"")
    );
}

#[test]
fn nothing_typed_shows_the_help() {
    let output = binary().output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let help = binary().arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8(help.stdout).unwrap().contains("Exit codes:"));
}

#[test]
fn it_does_not_matter_where_it_is_called() {
    let node = Node::new();
    let script = "mkdir \"$1/gone\" && cd \"$1/gone\" && rmdir \"$1/gone\" && exec \"$2\" apply -q --root \"$3\" --owner \"$4\" --k3s-version 1.33";
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .arg(folder.path())
        .arg(env!("CARGO_BIN_EXE_k3s-harden"))
        .arg(node.path())
        .arg(crate::support::owner());
    let output = finish(command, node.path());
    assert_eq!(output.code, 0, "{}", all(&output));
}
