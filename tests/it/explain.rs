// SPDX-License-Identifier: Apache-2.0
//! `explain` as its users see it: what the tables know, put together, and who sets it on this node.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::BTreeSet;

use crate::minors::{newest, with_newest};
use crate::reports::schema;
use crate::support::{Node, Output};
use k3s_harden::version::KubernetesMinor;
use serde_json::Value;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";

/// A server of somebody who has begun to harden it by hand.
fn node() -> Node {
    Node::new().file(
        CONFIG,
        "kube-apiserver-arg:\n- audit-log-path=/var/log/audit.log\n- audit-log-maxage=7\nkubelet-arg:\n- rotate-certificates=true\n",
    )
}

fn explain(node: &Node, topic: &str, arguments: &[&str]) -> Output {
    node.run(&[&["explain", topic, "--k3s-version", "1.33"], arguments].concat())
}

fn text(topic: &str) -> String {
    let output = explain(&node(), topic, &[]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{topic}");
    output.stdout
}

fn json(node: &Node, topic: &str, arguments: &[&str]) -> Value {
    let output = explain(node, topic, &[&["--format", "json"], arguments].concat());
    assert_eq!(output.code, 0, "{topic}: {}", output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

#[test]
fn a_control_by_its_number() {
    insta::assert_snapshot!(text("1.2.16"));
}

#[test]
fn a_setting() {
    insta::assert_snapshot!(text("audit_log_maxage"));
}

#[test]
fn a_control_that_scanners_do_not_look_at() {
    insta::assert_snapshot!(text("4.2.1"));
}

#[test]
fn a_control_that_scanners_misread() {
    insta::assert_snapshot!(text("kubelet-rotates-certificates"));
}

#[test]
fn for_programs() {
    let found = json(&node(), "audit-log-maxage", &[]);
    insta::assert_snapshot!(with_newest(&serde_json::to_string_pretty(&found).unwrap()));
}

#[test]
fn numbers_are_read_in_a_benchmark() {
    let name = |arguments: &[&str]| {
        let found = json(&node(), "1.2.16", arguments);
        (
            found["benchmark"].as_str().unwrap().to_owned(),
            found["controls"][0]["name"].as_str().unwrap().to_owned(),
        )
    };
    let is = |benchmark: &str, name: &str| (benchmark.to_owned(), name.to_owned());
    assert_eq!(name(&[]), is("1.12", "audit-log-path"), "the profile's");
    assert_eq!(name(&["--benchmark", "1.11"]), is("1.11", "audit-log-path"));
    assert_eq!(name(&["--benchmark", "1.23"]), is("1.23", "node-restriction"));
    let older = node().run(&["explain", "1.2.16", "--k3s-version", "1.25"]);
    assert!(older.stdout.starts_with("1.2.16 secure-port: "), "{}", older.stdout);
    let wrong = explain(&node(), "1.2.16", &["--benchmark", "1.6"]);
    assert_eq!(wrong.code, 65, "{}", wrong.stderr);
}

#[test]
fn what_is_not_known_is_told_with_what_is_near() {
    for (topic, message, hint) in [
        (
            "audit_log_max_age",
            "\"audit_log_max_age\" is neither a control nor a setting",
            "did you mean audit_log_maxage?",
        ),
        (
            "cipher",
            "\"cipher\" is neither a control",
            "did you mean one of api-cipher-suites, kubelet-cipher-suites, kubelet_tls_cipher_suites?",
        ),
        ("Audit Policy File", "is neither a control", "did you mean audit_policy_file?"),
        ("xyzzy", "is neither a control", "` lists the controls"),
        ("1.2.99", "benchmark 1.12 has no control 1.2.99", "its section 1.2 goes from 1.2.1 to 1.2.30"),
        ("5.2", "benchmark 1.12 has no control 5.2", "its section 5.2 goes from 5.2.1 to 5.2.12"),
        ("4.2.15", "no control 4.2.15", "--benchmark 1.11 (kubelet-ip-address-deny)"),
        ("9", "no control 9", "` lists all controls"),
    ] {
        let output = explain(&node(), topic, &[]);
        assert_eq!((output.code, output.stdout.as_str()), (65, ""), "{topic}");
        assert!(
            output.stderr.contains(message) && output.stderr.contains(hint),
            "{topic}: {}",
            output.stderr
        );
    }
    assert_eq!(node().run(&["explain"]).code, 64);
}

/// What serves a control here, as `file:line what=value (by)`.
fn set_by(node: &Node, topic: &str, arguments: &[&str]) -> Vec<String> {
    let found = json(node, topic, arguments);
    let sets = found["controls"][0]["set_by"].as_array().unwrap().clone();
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let tell = |set: &Value| {
        let place = match (set.get("file"), set.get("line")) {
            (Some(file), Some(line)) => format!("{}:{line} ", word(file)),
            (Some(file), None) => format!("{} ", word(file)),
            _ => String::new(),
        };
        let value = set.get("value").map(|value| format!("={}", word(value))).unwrap_or_default();
        format!("{place}{}{value} ({})", word(&set["what"]), word(&set["by"]))
    };
    sets.iter().map(tell).collect()
}

const OURS: &str = "/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";

#[test]
fn who_sets_it_here_is_named() {
    let bare = Node::new();
    assert_eq!(
        set_by(&bare, "audit-log-maxage", &[]),
        [format!("{OURS} kube-apiserver audit-log-maxage=30 (apply)")]
    );
    assert_eq!(set_by(&bare, "pod-max-pids", &[]), [format!("{OURS} kubelet pod-max-pids (setting)")]);
    assert_eq!(set_by(&bare, "api-profiling", &[]), ["kube-apiserver profiling=false (k3s)"]);
    assert_eq!(set_by(&bare, "etcd-ca", &["--role", "agent"]), [""; 0], "it is about servers");
    assert_eq!(
        set_by(&bare, "encryption-providers", &[]),
        [
            format!("{OURS} K3s secrets-encryption=true (apply)"),
            format!("{OURS} K3s secrets-encryption-provider (setting)")
        ]
    );
    assert_eq!(
        set_by(&bare, "audit-policy", &[]),
        [
            format!("{OURS} kube-apiserver audit-policy-file=/var/lib/rancher/k3s/server/audit.yaml (apply)"),
            "/var/lib/rancher/k3s/server/audit.yaml file (apply)".to_owned()
        ]
    );
    assert_eq!(set_by(&bare, "pki-key-mode", &[]), ["/var/lib/rancher/k3s/server/tls/**/*.key mode (k3s)"]);

    let other = node();
    assert_eq!(
        set_by(&other, "audit-log-maxage", &[]),
        [
            "/etc/rancher/k3s/config.yaml:3 kube-apiserver audit-log-maxage=7 (node)".to_owned(),
            format!("{OURS} kube-apiserver audit-log-maxage=30 (apply)")
        ]
    );
    // What satisfies the control stays, so nothing of ours would come in its place.
    assert_eq!(
        set_by(&other, "audit-log-path", &[]),
        ["/etc/rancher/k3s/config.yaml:2 kube-apiserver audit-log-path=/var/log/audit.log (node)"]
    );

    let hardened = Node::new();
    assert_eq!(hardened.run(&["apply", "-q", "--k3s-version", "1.33"]).code, 0);
    let found = set_by(&hardened, "audit-log-maxage", &[]);
    assert!(
        found.len() == 1 && found[0].starts_with(&format!("{OURS}:")) && found[0].ends_with("=30 (node)"),
        "{found:?}"
    );
    let found = set_by(&hardened, "network-policies", &[]);
    assert_eq!(found, ["/var/lib/rancher/k3s/server/manifests/policy.yaml file (node)"]);

    let kubelet = Node::new().file(
        "var/lib/rancher/k3s/agent/etc/kubelet.conf.d/90-mine.conf",
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\npodPidsLimit: 99\n",
    );
    assert_eq!(
        set_by(&kubelet, "pod-max-pids", &[]),
        ["/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/90-mine.conf:3 kubelet pod-max-pids=99 (node)"]
    );
}

#[test]
fn a_configuration_that_cannot_be_read_is_said_and_all_else_told() {
    let elsewhere = Node::new().file("srv/k3s.yaml", "a: [1\n").file(
        "etc/systemd/system/k3s.service",
        "[Service]\nEnvironment=K3S_CONFIG_FILE=/srv/k3s.yaml\nExecStart=/usr/local/bin/k3s server\n",
    );
    let broken = Node::new().file(CONFIG, "a: [1\n");
    for (node, place) in [(elsewhere, "/srv/k3s.yaml:1:"), (broken, "/etc/rancher/k3s/config.yaml:1:")] {
        let output = explain(&node, "1.2.16", &[]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        let said = output.stderr.contains(place) && output.stderr.contains("unknown what sets the values");
        assert!(said, "{}", output.stderr);
        assert!(output.stdout.contains("Without an audit log"), "{}", output.stdout);
    }
}

#[test]
fn no_node_is_needed() {
    let output = Node::new().run(&["explain", "audit-log-path"]);
    assert_eq!(output.code, 0);
    assert!(with_newest(&output.stderr).contains("assuming NEWEST, the newest minor"), "{}", output.stderr);
    let wrong = Node::new().run(&["explain", "audit-log-path", "--set", "nonsense"]);
    assert_eq!(wrong.code, 64, "{}", wrong.stderr);
}

#[test]
fn it_only_reads() {
    let node = node();
    let before = node.fingerprint();
    explain(&node, "1.2.16", &[]);
    assert_eq!(node.fingerprint(), before);
}

fn published() -> Value {
    serde_json::from_str(include_str!("../../docs/schema/explain.json")).unwrap()
}

/// Every name that can be explained.
fn topics() -> BTreeSet<String> {
    let benchmarks = k3s_harden::verify::benchmarks().iter();
    let controls = benchmarks.flat_map(|benchmark| k3s_harden::verify::controls(benchmark).unwrap());
    let settings = k3s_harden::profile::declarations().keys().cloned();
    controls.map(|control| control.name).chain(settings).collect()
}

#[test]
fn everything_can_be_explained_and_is_what_the_schema_says() {
    let (node, published) = (node().file("etc/machine-id", "0123456789\n"), published());
    let mut fields: BTreeSet<(String, String)> = BTreeSet::new();
    let mut add = |kind: &str, value: &Value| {
        let names = value.as_object().unwrap().keys();
        fields.extend(names.map(|name| (kind.to_owned(), name.clone())));
    };
    for topic in topics() {
        let found = json(&node, &topic, &[]);
        schema::check(&published, &found);
        add("", &found);
        let controls = found["controls"].as_array().unwrap();
        assert!(!controls.is_empty() || topic == "history_runs", "{topic}");
        for control in controls {
            add("control", control);
            for (name, kind) in [
                ("ids", "id"),
                ("settings", "setting"),
                ("set_by", "set_by"),
                ("scanners", "check"),
                ("mistakes", "mistake"),
                ("pitfalls", "pitfall"),
            ] {
                control[name].as_array().unwrap().iter().for_each(|value| add(kind, value));
            }
            let is_about = ["cni", "network-policies"].contains(&control["name"].as_str().unwrap());
            assert_eq!(control.get("enforced_by").is_some(), is_about, "{topic}: {}", control["name"]);
            if is_about {
                assert_eq!(control["enforced_by"]["by"], "k3s");
            }
        }
    }
    let newer = newest().parse::<KubernetesMinor>().unwrap().next().to_string();
    let words = ["explain", "api-profiling", "--format", "json", "--role", "server", "--k3s-version", &newer];
    let newer: Value = serde_json::from_str(&node.run(&words).stdout).unwrap();
    schema::check(&published, &newer);
    add("", &newer);
    let calico = Node::new()
        .file("etc/rancher/k3s/config.yaml", "disable-network-policy: true\nflannel-backend: none\n")
        .file("etc/cni/net.d/10-calico.conflist", "{\"plugins\": [{\"type\": \"calico\"}]}");
    let found = json(&calico, "cni", &[]);
    schema::check(&published, &found);
    let enforced = &found["controls"][0]["enforced_by"];
    assert_eq!((&enforced["by"], &enforced["network"]), (&"network".into(), &"Calico".into()));
    add("enforced_by", enforced);
    let text = explain(&calico, "cni", &[]).stdout;
    assert!(text.contains("Enforced by") && text.contains("/etc/cni/net.d/10-calico.conflist: "), "{text}");
    // The schema knows every field, and every field of it is there somewhere.
    let mut known: BTreeSet<(String, String)> = BTreeSet::new();
    let mut of = |kind: &str, schema: &Value| {
        let names = schema["properties"].as_object().unwrap().keys();
        known.extend(names.map(|name| (kind.to_owned(), name.clone())));
    };
    of("", &published);
    published["$defs"].as_object().unwrap().iter().for_each(|(kind, schema)| of(kind, schema));
    assert_eq!(fields, known);
}

#[test]
#[should_panic(expected = "$.controls[0].set_by[0]: dependentRequired")]
fn the_schema_refuses_a_line_without_a_file() {
    let mut found = json(&Node::new(), "api-profiling", &[]);
    found["controls"][0]["set_by"][0]["line"] = 1.into();
    schema::check(&published(), &found);
}
