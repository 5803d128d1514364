// SPDX-License-Identifier: Apache-2.0
//! How our settings meet a configuration that is there already. After each `apply`, K3s's own view of the result
//! (`effective-config`) must show every flag once per component, nothing lost, and the hardened value in force.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::BTreeMap;

use crate::support::{Node, Output};
use serde_json::Value;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const RANCHER: &str = "etc/rancher/k3s/config.yaml.d/50-rancher.yaml";
const OURS: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";

fn apply(node: &Node, arguments: &[&str]) -> Output {
    let output = node.run(&[&["apply", "--k3s-version", "1.33", "--role", "server"], arguments].concat());
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    assert_eq!(node.run(&["apply"]).stdout, "Nothing to change.\n");
    output
}

/// Returns a component's flags as K3s will give them, by name.
fn flags(node: &Node, component: &str) -> BTreeMap<String, Vec<String>> {
    let output = node.run(&["effective-config", "--format", "json"]);
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    let mut flags: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for flag in found["components"][component].as_array().unwrap() {
        let (name, value) = flag.as_str().unwrap().split_once('=').unwrap();
        flags.entry(name.trim_start_matches("--").to_owned()).or_default().push(value.to_owned());
    }
    flags
}

/// Returns the flags, after checking that none is there twice.
fn once(node: &Node, component: &str) -> BTreeMap<String, String> {
    let flags = flags(node, component).into_iter();
    flags
        .map(|(name, values)| {
            assert_eq!(values.len(), 1, "{component} gets {name} as {values:?}");
            (name, values[0].clone())
        })
        .collect()
}

#[test]
fn other_arguments_stay_and_ours_are_appended() {
    let node = Node::new()
        .file(CONFIG, "kube-apiserver-arg: [max-requests-inflight=800]\nkubelet-arg:\n- max-pods=200\n");
    apply(&node, &[]);
    assert!(node.read(OURS).contains("kube-apiserver-arg+:"));
    let server = once(&node, "kube-apiserver");
    assert_eq!(
        (server["max-requests-inflight"].as_str(), server["audit-log-maxage"].as_str()),
        ("800", "30")
    );
    assert_eq!(once(&node, "kubelet")["max-pods"], "200");
}

#[test]
fn lists_are_united_and_values_that_satisfy_stay() {
    let node = Node::new().file(
        CONFIG,
        "kube-apiserver-arg:\n- enable-admission-plugins=AlwaysPullImages,NodeRestriction\n- audit-log-maxage=90\n- v=4\n",
    );
    let output = apply(&node, &[]);
    assert!(!output.stderr.contains("audit-log-maxage"), "{}", output.stderr);
    let server = once(&node, "kube-apiserver");
    assert_eq!(server["enable-admission-plugins"], "AlwaysPullImages,NodeRestriction,ServiceAccount");
    assert_eq!(
        (server["audit-log-maxage"].as_str(), server["v"].as_str(), server["audit-log-maxbackup"].as_str()),
        ("90", "4", "10")
    );
    let ours = node.read(OURS);
    assert!(ours.contains("\nkube-apiserver-arg:\n"), "the list is taken over");
    assert!(ours.contains("\"v=4\" # from /etc/rancher/k3s/config.yaml\n"), "{ours}");
    assert!(ours.contains("kubelet-arg+:"), "the others are not");
}

#[test]
fn conflicts_are_decided_and_said() {
    let node =
        || Node::new().file(CONFIG, "secrets-encryption: false\nkube-apiserver-arg:\n- audit-log-maxage=7\n");
    let ours = node();
    let output = apply(&ours, &[]);
    insta::assert_snapshot!(output.stderr, @r#"
    WARN /etc/rancher/k3s/config.yaml:1:21: secrets-encryption is "false", but k3s-harden's value is "true": k3s-harden's value is used; to keep the existing value: --on-conflict keep
    WARN /etc/rancher/k3s/config.yaml:3:3: kube-apiserver: audit-log-maxage is "7", but k3s-harden's value is "30": k3s-harden's value is used; to keep the existing value: --on-conflict keep
    WARN NetworkPolicy intra-namespace blocks Traefik and NodePort traffic to applications in default; to allow Traefik: --set ingress_to=default
    "#);
    assert_eq!(once(&ours, "kube-apiserver")["audit-log-maxage"], "30");
    let kept = node();
    let output = apply(&kept, &["--on-conflict", "keep", "--set", "ingress_to=default"]);
    insta::assert_snapshot!(output.stderr, @r#"
    WARN /etc/rancher/k3s/config.yaml:1:21: secrets-encryption is "false", but k3s-harden's value is "true": the existing value is kept, and the control is not met
    WARN /etc/rancher/k3s/config.yaml:3:3: kube-apiserver: audit-log-maxage is "7", but k3s-harden's value is "30": the existing value is kept, and the control is not met
    "#);
    assert_eq!(once(&kept, "kube-apiserver")["audit-log-maxage"], "7");
    let failed = node();
    let before = failed.fingerprint();
    let output = failed.run(&["apply", "--k3s-version", "1.33", "--on-conflict", "fail"]);
    insta::assert_snapshot!(format!("{}[exit {}]", output.stderr, output.code), @r#"
    error: /etc/rancher/k3s/config.yaml:1:21: secrets-encryption is "false", but k3s-harden's value is "true": they contradict
     help: override the other value: --on-conflict ours; keep it: --on-conflict keep
    [exit 1]
    "#);
    assert_eq!(failed.fingerprint(), before);
}

#[test]
fn ranchers_admission_file_is_respected() {
    let node = Node::new().file(
        RANCHER,
        "kube-apiserver-arg:\n- admission-control-config-file=/etc/rancher/k3s/config/rancher-psact.yaml\nserver: https://r\n",
    );
    let node = node.file(
        "etc/rancher/k3s/config/rancher-psact.yaml",
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins: []\n",
    );
    let output = apply(&node, &["--profile", "strict"]);
    let server = once(&node, "kube-apiserver");
    assert_eq!(server["admission-control-config-file"], "/etc/rancher/k3s/config/rancher-psact.yaml");
    assert!(
        !server["enable-admission-plugins"].contains("EventRateLimit"),
        "its limits are not in Rancher's file"
    );
    assert!(output.stderr.contains("EventRateLimit is left out"), "{}", output.stderr);
}

#[test]
fn what_sorts_later_or_stands_in_the_service_is_named() {
    let node = Node::new()
        .file(
            "etc/rancher/k3s/config.yaml.d/99-last.yaml",
            "kubelet-arg: [max-pods=200]\nsecrets-encryption: no\n",
        )
        .file(
            "etc/systemd/system/k3s.service",
            "[Service]\nExecStart=/usr/local/bin/k3s server --kube-apiserver-arg=audit-log-maxage=3\n",
        );
    insta::assert_snapshot!(apply(&node, &["--set", "ingress_to=default"]).stderr, @r#"
    WARN /etc/rancher/k3s/config.yaml.d/99-last.yaml:2:21 overrides secrets-encryption with "false" (k3s-harden sets true): remove it there
    WARN /etc/rancher/k3s/config.yaml.d/99-last.yaml:1:1 is read after the drop-in and replaces every kubelet-arg of k3s-harden: use kubelet-arg+ there
    WARN /etc/systemd/system/k3s.service passes kube-apiserver the argument audit-log-maxage=3 in addition to audit-log-maxage=30 of k3s-harden: remove it there
    "#);
}

#[test]
fn keys_that_make_k3s_exit_are_named() {
    let node = Node::new().file(CONFIG, "disable: traefik\nprotect-kernel-defaults:\n");
    let output = node.run(&["plan", "--k3s-version", "1.33", "--role", "agent"]);
    insta::assert_snapshot!(output.stderr, @r#"
    WARN /etc/rancher/k3s/config.yaml:1:10: K3s exits on this: flag provided but not defined: -disable
    WARN /etc/rancher/k3s/config.yaml:2:24: K3s exits on this: invalid boolean value "" for -protect-kernel-defaults: parse error
    "#);
}

#[test]
fn a_list_that_was_taken_over_follows_its_file() {
    let node = Node::new().file(CONFIG, "kube-apiserver-arg:\n- audit-log-maxage=90\n- v=4\n");
    apply(&node, &[]);
    let node = node.file(CONFIG, "kube-apiserver-arg:\n- audit-log-maxage=90\n- v=6\n- profiling=true\n");
    let drift = node.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(drift.code, 2);
    assert!(
        drift.stdout.contains("+  - \"v=6\" # from") && drift.stdout.contains("-  - \"v=4\""),
        "{}",
        drift.stdout
    );
    apply(&node, &[]);
    assert_eq!(once(&node, "kube-apiserver")["v"], "6");
}

#[test]
fn an_agent_keeps_its_own_arguments() {
    let node = Node::new().file(CONFIG, "kubelet-arg:\n- tls-min-version=VersionTLS13\n- max-pods=50\n");
    let output =
        node.run(&["apply", "-q", "--k3s-version", "1.33", "--role", "agent", "--profile", "strict"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let kubelet = once(&node, "kubelet");
    assert_eq!(
        (kubelet["tls-min-version"].as_str(), kubelet["max-pods"].as_str(), kubelet["pod-max-pids"].as_str()),
        ("VersionTLS13", "50", "4096")
    );
}

#[test]
fn a_data_directory_is_found_wherever_it_is_named() {
    let unit = |line: &str| format!("[Service]\n{line}\n");
    let on = |text: &str| {
        Node::new().file("etc/systemd/system/k3s.service", unit(text)).file(CONFIG, "data-dir: /by/file\n")
    };
    for (line, directory) in [
        ("ExecStart=/usr/local/bin/k3s server", "by/file"),
        ("ExecStart=/usr/local/bin/k3s server --data-dir /by/service/", "by/service"),
        (
            "Environment=K3S_DATA_DIR=/by//variable\nExecStart=/usr/local/bin/k3s server --data-dir=/by/service",
            "by/service",
        ),
    ] {
        let node = on(line);
        apply(&node, &[]);
        assert_eq!(node.mode(&format!("{directory}/server")), "0700", "{line}");
        assert!(
            node.read(OURS).contains(&format!("audit-policy-file=/{directory}/server/audit.yaml")),
            "{line}"
        );
    }
}

#[test]
fn a_configuration_elsewhere_is_named() {
    let unit = "[Service]\nEnvironment=K3S_CONFIG_FILE=/srv/k3s.yaml\nExecStart=/usr/local/bin/k3s server\n";
    let output =
        Node::new().file("etc/systemd/system/k3s.service", unit).run(&["plan", "--k3s-version", "1.33"]);
    let named = "K3s reads /srv/k3s.yaml (set in K3S_CONFIG_FILE in the service)";
    assert!(output.stderr.contains(named), "{}", output.stderr);
    assert!(output.stdout.contains("/srv/k3s.yaml.d/90-k3s-harden.yaml"), "{}", output.stdout);
}

#[test]
fn plugins_that_would_stop_the_api_server_are_left_out() {
    let node = Node::new().file(CONFIG, "kube-apiserver-arg:\n- enable-admission-plugins=PodSecurityPolicy,AlwaysPullImages\n- disable-admission-plugins=ServiceAccount,DefaultStorageClass\n");
    let output = apply(&node, &[]);
    let server = once(&node, "kube-apiserver");
    assert_eq!(server["enable-admission-plugins"], "AlwaysPullImages,NodeRestriction,ServiceAccount");
    assert_eq!(server["disable-admission-plugins"], "DefaultStorageClass");
    assert!(output.stderr.contains("PodSecurityPolicy is left out"), "{}", output.stderr);
    assert!(output.stderr.contains("disable-admission-plugins with ServiceAccount"), "{}", output.stderr);
    let kept = Node::new().file(CONFIG, "kube-apiserver-arg: disable-admission-plugins=ServiceAccount\n");
    apply(&kept, &["--on-conflict", "keep"]);
    assert_eq!(once(&kept, "kube-apiserver")["enable-admission-plugins"], "NodeRestriction");
}

#[test]
fn an_event_rate_limit_without_limits_is_left_out() {
    let plugins = "kube-apiserver-arg:\n- enable-admission-plugins=EventRateLimit,AlwaysPullImages\n";
    let without = Node::new().file(CONFIG, plugins);
    let output = apply(&without, &[]);
    assert_eq!(
        once(&without, "kube-apiserver")["enable-admission-plugins"],
        "AlwaysPullImages,NodeRestriction,ServiceAccount"
    );
    assert!(output.stderr.contains("--set event_rate_limit=true"), "{}", output.stderr);
    let with = Node::new().file(CONFIG, plugins);
    apply(&with, &["--set", "event_rate_limit=true"]);
    assert!(once(&with, "kube-apiserver")["enable-admission-plugins"].contains("EventRateLimit"));
}

#[test]
fn a_run_about_one_control_keeps_a_list_that_was_taken_over() {
    let node =
        Node::new().file(CONFIG, "kube-apiserver-arg:\n- audit-log-maxage=7\n- max-requests-inflight=800\n");
    apply(&node, &[]);
    let before = node.read(OURS);
    assert!(!before.contains("kube-apiserver-arg+"), "the list was not taken over:\n{before}");
    let output = node.run(&["apply", "--only", "1.2.17"]);
    assert_eq!((output.code, node.read(OURS)), (0, before), "{}", output.stderr);
}

#[test]
fn feature_gates_are_united_as_the_api_server_merges_them() {
    const OFF: &str = "ManifestBasedAdmissionControlConfig=false";
    const ON: &str = "ManifestBasedAdmissionControlConfig=true";
    // The minor, the arguments that are there, all gates afterwards, and whether something of the user's loses.
    for (minor, given, gates, loses) in [
        ("1.36", "", ON, false),
        ("1.36", "NodeSwap=true", &format!("NodeSwap=true,{ON}"), false),
        ("1.36", "NodeSwap=true|AllAlpha=false", &format!("NodeSwap=true,AllAlpha=false,{ON}"), false),
        ("1.36", OFF, ON, true),
        ("1.36", " ManifestBasedAdmissionControlConfig = F,NodeSwap=1", &format!("NodeSwap=1,{ON}"), true),
        ("1.36", "kube:NodeSwap=true", &format!("kube:NodeSwap=true,kube:{ON}"), false),
        ("1.36", &format!("kube:{OFF},kube:NodeSwap=true"), &format!("kube:NodeSwap=true,kube:{ON}"), true),
        ("1.37", "NodeSwap=true", "NodeSwap=true", false),
        ("1.37", "AllBeta=false", &format!("AllBeta=false,{ON}"), false),
        ("1.37", "kube:AllBeta=false", &format!("kube:AllBeta=false,kube:{ON}"), false),
        ("1.37", &format!(" {OFF} "), ON, true),
        ("1.37", &format!("{OFF}|{ON}"), &format!("{OFF},{ON}"), false),
    ] {
        let arguments = given.split('|').filter(|list| !list.is_empty());
        let arguments: Vec<String> = arguments.map(|list| format!("'feature-gates={list}'")).collect();
        let node = Node::new().file(CONFIG, format!("kube-apiserver-arg: [{}]\n", arguments.join(", ")));
        let told = ["apply", "--k3s-version", minor, "--set", "admission_policies=audit"];
        let output = node.run(&told);
        assert_eq!(output.code, 0, "{minor} {given}: {}", output.stderr);
        let all = flags(&node, "kube-apiserver")["feature-gates"].join(",");
        assert_eq!(all, *gates, "{minor} {given}");
        let told = output.stderr.contains("k3s-harden's value is used");
        assert_eq!(told, loses, "{minor} {given}: {}", output.stderr);
        assert_eq!(output.stderr.contains("alpha in Kubernetes 1.36"), minor == "1.36", "{}", output.stderr);
        let preflight = node.run(&["preflight"]);
        assert_eq!(preflight.code, 0, "{minor} {given}: {}", preflight.stdout);
    }
}
