// SPDX-License-Identifier: Apache-2.0
//! Back to an older minor: only where the newer one has not started.

use k3s_harden::Role;
use k3s_harden::k3s::Datastore;

use super::bed::{now, run, start, started_at};
use crate::support::Node;

fn plan(node: &Node, code: i32, version: &str, more: &[&str]) -> String {
    run(node, code, &[&["plan", "-q", "--k3s-version", version], more].concat()).stderr
}

/// A node that was hardened for 1.33, and on which K3s has started since.
fn upgraded() -> Node {
    let node = Node::new();
    run(&node, 0, &["apply", "-q", "--k3s-version", "v1.33.4+k3s1"]);
    start(&node, "1.33", Role::Server, Datastore::Sqlite);
    started_at(&node, now() + 60);
    node
}

#[test]
fn an_older_minor_is_refused_where_the_newer_one_has_started_since_its_run() {
    let node = upgraded();
    let said = plan(&node, 65, "1.32", &[]);
    for words in [
        "Kubernetes 1.33, and 1.32 is older",
        "run 1 of",
        "which K3s writes when it starts",
        "--allow-downgrade",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    run(&node, 65, &["apply", "-q", "--k3s-version", "1.32"]);
    plan(&node, 0, "1.32", &["--allow-downgrade"]);
    // A patch step, and an upgrade.
    plan(&node, 0, "v1.33.1+k3s1", &[]);
    plan(&node, 0, "1.34", &[]);
}

#[test]
fn it_is_not_where_the_newer_one_has_never_started() {
    let node = upgraded();
    started_at(&node, now() - 3600);
    plan(&node, 0, "1.32", &[]);
    let fresh = Node::new();
    run(&fresh, 0, &["apply", "-q", "--k3s-version", "1.33"]);
    plan(&fresh, 0, "1.32", &[]);
}

#[test]
fn the_log_counts_more_than_the_record() {
    let log = |version: &str| {
        format!("time=\"2026-11-25T09:10:00Z\" level=info msg=\"Starting k3s {version}+k3s1 (abc)\"\n")
    };
    // The upgrade was planned, and the old one started again.
    let node = upgraded().file("var/log/k3s.log", log("v1.32.9"));
    plan(&node, 0, "1.32", &[]);
    let node = Node::new().file("var/log/k3s.log", log("v1.34.1"));
    start(&node, "1.34", Role::Server, Datastore::Sqlite);
    let said = plan(&node, 65, "1.33", &["--set", "secrets_encryption=false"]);
    assert!(said.contains("/var/log/k3s.log:1: Starting k3s v1.34.1+k3s1"), "{said}");
}

#[test]
fn an_installed_binary_counts_if_k3s_has_started_since() {
    let node = Node::new().file("usr/local/bin/k3s", "\u{7f}ELF v1.34.1+k3s1 v1.34.1+k3s1 ");
    start(&node, "1.34", Role::Server, Datastore::Sqlite);
    // The binary was put there now, long after K3s has started.
    plan(&node, 0, "1.33", &[]);
    started_at(&node, 4_000_000_000);
    let said = plan(&node, 65, "1.33", &[]);
    assert!(said.contains("/usr/local/bin/k3s is v1.34.1+k3s1"), "{said}");
}

#[test]
fn who_has_allowed_it_is_not_asked_again() {
    let log = "time=\"2026-11-25T09:10:00Z\" level=info msg=\"Starting k3s v1.34.1+k3s1 (abc)\"\n";
    let node = Node::new().file("var/log/k3s.log", log);
    start(&node, "1.34", Role::Server, Datastore::Sqlite);
    let words = ["apply", "-q", "--k3s-version", "1.33"];
    run(&node, 65, &words);
    run(&node, 0, &[&words[..], &["--allow-downgrade"]].concat());
    assert_eq!(run(&node, 0, &["apply"]).stdout, "Nothing to change.\n");
    // The newer one has started again.
    started_at(&node, now() + 60);
    run(&node, 65, &["apply"]);
}
