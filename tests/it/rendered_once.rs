// SPDX-License-Identifier: Apache-2.0
//! Each verb renders the documents of a node at most once: the log says so.
#![allow(clippy::unwrap_used, reason = "a broken line of the log fails the test")]

use serde_json::Value;

use crate::support::Node;

/// Runs a verb with the whole log as JSON, and counts the renderings.
fn renderings(node: &Node, verb: &[&str], code: i32) -> usize {
    let log = ["-vv", "--log-format", "json"];
    let output = node.run(&log.into_iter().chain(verb.iter().copied()).collect::<Vec<_>>());
    assert_eq!(output.code, code, "{verb:?}: {}", output.stderr);
    let is_rendering = |line: &&str| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        event["fields"]["message"] == "documents rendered"
    };
    output.stderr.lines().filter(is_rendering).count()
}

#[test]
fn a_run_renders_the_documents_once() {
    let node = Node::new();
    let saved = node.path().join("saved-plan.json");
    let saved = saved.to_str().unwrap();
    let first = ["--k3s-version", "1.33", "--no-preflight"];
    assert_eq!(renderings(&node, &["plan", "--k3s-version", "1.33", "--out", saved], 0), 1, "plan");
    assert_eq!(renderings(&node, &["apply", "--no-preflight", saved], 0), 1, "a saved plan");
    assert_eq!(renderings(&node, &["apply"], 0), 1, "apply where nothing changes");
    assert_eq!(renderings(&node, &["rollback"], 0), 0, "rollback");
    assert_eq!(renderings(&node, &[&["apply"], &first[..]].concat(), 0), 1, "a first apply");
    assert_eq!(renderings(&node, &["apply", "--set", "audit_log_maxage=90"], 0), 1, "another setting");
    assert_eq!(renderings(&node, &["apply", "--only", "audit-log-maxage"], 0), 1, "one control");
    assert_eq!(renderings(&node, &["uninstall"], 0), 0, "uninstall");
}

#[test]
fn a_node_with_a_configuration_of_its_own_renders_once_too() {
    let config = "kube-apiserver-arg: [audit-log-maxage=90, enable-admission-plugins=AlwaysPullImages]\n";
    let node = Node::new().file("etc/rancher/k3s/config.yaml", config);
    assert_eq!(renderings(&node, &["apply", "--k3s-version", "1.33"], 0), 1, "the first apply");
    assert_eq!(renderings(&node, &["apply"], 0), 1, "the second apply");
}

#[test]
fn only_the_verbs_that_need_documents_render_them() {
    let node = Node::new();
    assert_eq!(renderings(&node, &["apply", "--k3s-version", "1.33"], 0), 1, "apply");
    for (verb, code, expected) in [
        (&["verify"][..], 0, 0),
        (&["verify", "--as", "kube-bench"], 2, 0),
        (&["preflight"], 0, 0),
        (&["effective-config"], 0, 0),
        (&["history"], 0, 0),
        (&["profile", "show", "cis-1.12"], 0, 0),
        (&["explain", "1.2.16"], 0, 1),
        (&["explain", "audit_log_maxage"], 0, 1),
        (&["explain", "pod-security"], 0, 1),
    ] {
        assert_eq!(renderings(&node, verb, code), expected, "{verb:?}");
    }
    for (format, expected) in [
        ("account-update", 0),
        ("cloud-init", 1),
        ("ignition", 1),
        ("rancher-cluster", 1),
        ("rancher-files", 1),
        ("shell", 1),
        ("systemd", 0),
        ("systemd-gate", 0),
        ("tar", 1),
    ] {
        assert_eq!(renderings(&node, &["render", "--as", format], 0), expected, "{format}");
    }
}
