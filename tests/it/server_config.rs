// SPDX-License-Identifier: Apache-2.0
//! `preflight --server-config`: would K3s refuse a server that joins another one? And what `apply` says on such a server.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use serde_json::{Value, json};

use crate::support::Node;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const VERSION: &str = "v1.33.4+k3s1";

/// A server that joins another one, with these lines in its configuration.
fn joining(lines: &str) -> Node {
    Node::new().file(CONFIG, format!("server: https://10.0.0.1:6443\ntoken: V3ry-secret\n{lines}"))
}

/// What `effective-config` says of a first server with these lines.
fn first(lines: &str) -> Value {
    first_of(lines, VERSION, "server")
}

fn first_of(lines: &str, version: &str, role: &str) -> Value {
    let node = Node::new().file(CONFIG, lines).file("etc/hostname", "one\n");
    let done = node.run(&["effective-config", "--format", "json", "--k3s-version", version, "--role", role]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

/// Compares a node with a first server; returns the answer and the exit code.
fn compared(node: Node, first: &Value, version: &str) -> (Value, i32, Node) {
    let node = node.file("first.json", first.to_string());
    let file = node.path().join("first.json");
    let words = [
        "preflight",
        "--format",
        "json",
        "--k3s-version",
        version,
        "--role",
        "server",
        "--server-config",
        file.to_str().unwrap(),
    ];
    let done = node.run(&words);
    (serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stderr)), done.code, node)
}

fn differing(answer: &Value) -> Vec<(&str, &str)> {
    let found = answer["now"].as_array().unwrap().iter().filter(|one| one["code"] == "server-value-differs");
    found.map(|one| (one["class"].as_str().unwrap(), one["message"].as_str().unwrap())).collect()
}

#[test]
fn servers_that_agree_are_compared() {
    // However the values are written.
    let here = "cluster-cidr: 10.42.0.0/16\ndisable: [servicelb, traefik]\nsecrets-encryption: true\n";
    let there = "cluster-cidr: 10.42.9.9/16\ncluster-dns: 10.43.0.10\ndisable: servicelb\nsecrets-encryption: 1\nagent-token: a\n";
    let (answer, code, _) = compared(joining(here), &first(there), VERSION);
    assert_eq!((code, &answer["starts"]), (0, &json!(true)), "{answer:#}");
    assert_eq!(differing(&answer), []);
    let left: Vec<&Value> =
        answer["notes"].as_array().unwrap().iter().filter(|one| one["code"] == "critical-settings").collect();
    let [left] = left[..] else { panic!("{answer:#}") };
    assert_eq!(
        left["message"],
        "not compared with the first server (one): agent-token (it is a secret, which effective-config masks)"
    );
}

/// Each value that K3s compares, told apart.
#[test]
fn each_value_that_differs_stops_k3s() {
    for (here, there, key, said) in [
        ("cluster-cidr: 10.50.0.0/16", "", "cluster-cidr", "is 10.50.0.0/16 here, and 10.42.0.0/16 on"),
        ("cluster-dns: 10.43.0.53", "", "cluster-dns", "is 10.43.0.53 here, and 10.43.0.10 on"),
        ("", "cluster-domain: a.local", "cluster-domain", "is cluster.local here, and a.local on"),
        ("disable-cloud-controller: true", "", "disable-cloud-controller", "is true here, and false on"),
        ("", "disable-helm-controller: true", "disable-helm-controller", "is false here, and true on"),
        ("disable-network-policy: true", "", "disable-network-policy", "is true here"),
        ("", "disable: traefik,servicelb", "disable=servicelb", "is false here, and true on"),
        ("egress-selector-mode: disabled", "", "egress-selector-mode", "is disabled here, and agent on"),
        ("embedded-registry: true", "", "embedded-registry", "is true here"),
        (
            "flannel-backend: none",
            "flannel-backend: host-gw",
            "flannel-backend",
            "is none here, and host-gw on",
        ),
        ("flannel-external-ip: true", "", "flannel-external-ip", "is true here"),
        ("", "flannel-ipv6-masq: true", "flannel-ipv6-masq", "is false here"),
        ("secrets-encryption: true", "", "secrets-encryption", "is true here, and false on"),
        (
            "secrets-encryption-provider: secretbox",
            "",
            "secrets-encryption-provider",
            "is secretbox here, and aescbc on",
        ),
        ("supervisor-metrics: true", "", "supervisor-metrics", "is true here"),
    ] {
        let (answer, code, _) =
            compared(joining(&format!("{here}\n")), &first(&format!("{there}\n")), VERSION);
        let found = differing(&answer);
        let [(class, message)] = found[..] else { panic!("{key}: {answer:#}") };
        assert!(message.starts_with(&format!("{key} {said}")), "{key}: {message}");
        assert_eq!((class, code), ("stops", 2), "{key}");
        let finding =
            answer["now"].as_array().unwrap().iter().find(|one| one["code"] == "server-value-differs");
        let name = if key == "disable=servicelb" { "disable-service-lb" } else { key };
        assert_eq!(finding.unwrap()["says"], format!("critical configuration mismatched: {name}"));
        assert!(!answer.to_string().contains("V3ry-secret"));
    }
    // A network of services decides the address of DNS too.
    let (answer, ..) = compared(joining("service-cidr: 10.99.0.0/16\n"), &first(""), VERSION);
    let keys: Vec<&str> =
        differing(&answer).iter().map(|(_, message)| message.split(' ').next().unwrap()).collect();
    assert_eq!(keys, ["cluster-dns", "service-cidr"]);
}

/// The usual mistake: one of two servers is hardened.
#[test]
fn what_our_own_drop_in_writes_on_one_server_alone_is_told() {
    let node = joining("");
    let done = node.run(&["apply", "--k3s-version", VERSION, "--role", "server"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stderr.contains(
            "this server joins an existing cluster. K3s exits if one of these values differs from the first server: cluster-cidr, cluster-dns"
        ) && done.stderr.contains("k3s-harden writes secrets-encryption: true")
            && done.stderr.contains("preflight --server-config FILE"),
        "{}",
        done.stderr
    );
    assert!(!node.run(&["apply"]).stderr.contains("joins another one"), "what changes nothing says nothing");
    let (answer, code, node) = compared(node, &first(""), VERSION);
    assert_eq!((code, differing(&answer).len()), (2, 1), "{answer:#}");
    let finding =
        answer["now"].as_array().unwrap().iter().find(|one| one["code"] == "server-value-differs").unwrap();
    assert!(finding["path"].as_str().unwrap().ends_with("90-k3s-harden.yaml"), "{finding}");
    for part in ["harden the first server", "k3s secrets-encrypt enable", "--set secrets_encryption=false"] {
        assert!(finding["remedy"].as_str().unwrap().contains(part), "{finding}");
    }
    // The same on both.
    let hardened = Node::new();
    assert_eq!(hardened.run(&["apply", "-q", "--k3s-version", VERSION, "--role", "server"]).code, 0);
    let text = hardened.run(&["effective-config", "--format", "json"]).stdout;
    let (answer, code, _) = compared(node, &serde_json::from_str(&text).unwrap(), VERSION);
    assert_eq!((code, differing(&answer)), (0, vec![]), "{answer:#}");
    // The other way round.
    let (answer, code, _) = compared(joining(""), &serde_json::from_str(&text).unwrap(), VERSION);
    assert_eq!(code, 2);
    let finding =
        answer["now"].as_array().unwrap().iter().find(|one| one["code"] == "server-value-differs").unwrap();
    assert!(finding["remedy"].as_str().unwrap().contains("k3s-harden apply"), "{finding}");
}

#[test]
fn what_k3s_does_not_compare_does_not_stop_it() {
    let etcd = "var/lib/rancher/k3s/server/db/etcd/member/wal/0.wal";
    let has_joined = joining("flannel-backend: none\n").file(etcd, "");
    let datastore = Node::new().file(CONFIG, "datastore-endpoint: postgres://h/k\nflannel-backend: none\n");
    for (node, said) in [(has_joined, "this server has joined"), (datastore, "with an external datastore")] {
        let (answer, code, _) = compared(node, &first(""), VERSION);
        let found = differing(&answer);
        let [("warns", message)] = found[..] else { panic!("{answer:#}") };
        assert!(message.contains(said), "{message}");
        assert_eq!(code, 0);
    }
    // The token is not compared, and agents need one that fits.
    let mut shown = first("");
    shown["values"]["agent-token"] = json!({"value": "b", "origin": "x"});
    let (answer, code, _) = compared(joining("agent-token: V3ry\n"), &shown, VERSION);
    assert_eq!((code, differing(&answer)[0].0), (0, "warns"));
    assert!(!answer.to_string().contains("V3ry"));
}

#[test]
fn what_the_releases_do_not_share_is_not_compared() {
    let lines = "secrets-encryption-provider: secretbox\n";
    let (answer, code, _) = compared(joining(lines), &first_of("", "v1.32.3+k3s1", "server"), VERSION);
    let left =
        answer["notes"].as_array().unwrap().iter().find(|one| one["code"] == "critical-settings").unwrap();
    assert!(
        left["message"].as_str().unwrap().contains("secrets-encryption-provider (only one of K3s"),
        "{left}"
    );
    assert_eq!((code, differing(&answer)), (0, vec![]));
    // Of a minor alone it is not known whether its release compares it.
    let (answer, code, _) = compared(joining(lines), &first_of("", "1.32", "server"), "1.32");
    assert_eq!((code, &answer["starts"]), (0, &Value::Null), "{answer:#}");
    let (answer, ..) = compared(joining("node-ip: fd00::1\n"), &first(""), VERSION);
    assert!(
        answer
            .to_string()
            .contains("cluster-cidr (here cluster-cidr is not set, and its default depends on node-ip)")
    );
}

#[test]
fn another_file_is_refused() {
    let good = first("");
    let with = |key: &str, value: Value| {
        let mut other = good.clone();
        other[key] = value;
        other.to_string()
    };
    let mut roleless = good.clone();
    roleless.as_object_mut().unwrap().remove("role");
    let older = roleless.to_string();
    roleless["argv"] = json!(["agent"]);
    for (text, why) in [
        (String::new(), "it is empty"),
        ("a: b".to_owned(), "it is not JSON"),
        ("{}".to_owned(), "it has no format_version"),
        (with("format_version", json!("2.0")), "its format is \"2.0\""),
        (with("role", json!("agent")), "it is that of an agent"),
        (
            first_of("server: https://a:6443\ntoken: a\n", VERSION, "agent").to_string(),
            "it is that of an agent",
        ),
        (roleless.to_string(), "it is that of an agent"),
        (with("values", json!([])), "invalid type"),
        (with("values", json!({"cluster-cidr": {"value": 5}})), "values.cluster-cidr.value is 5"),
        (with("k3s_version", Value::Null), "which K3s it is of"),
        (json!({"format_version": "1.1", "controls": []}).to_string(), "missing field `argv`"),
    ] {
        let node = joining("").file("first.json", &text);
        let file = node.path().join("first.json");
        let done =
            node.run(&["preflight", "--k3s-version", VERSION, "--server-config", file.to_str().unwrap()]);
        assert_eq!((done.code, done.stdout.as_str()), (65, ""), "{why}: {}", done.stderr);
        assert!(
            done.stderr.contains(why) && done.stderr.contains("effective-config --format json"),
            "{why}: {}",
            done.stderr
        );
    }
    let (_, code, _) = compared(joining(""), &serde_json::from_str(&older).unwrap(), VERSION);
    assert_eq!(code, 0, "a file from before the role was told is read");
    let missing = joining("").run(&["preflight", "--k3s-version", VERSION, "--server-config", "/nowhere"]);
    assert_eq!(missing.code, 65);
}

#[test]
fn an_agent_is_told_that_nothing_is_compared() {
    let node = Node::new()
        .file(CONFIG, "server: https://a:6443\ntoken: a\n")
        .file("first.json", first("").to_string());
    let file = node.path().join("first.json");
    let words =
        ["preflight", "--k3s-version", VERSION, "--role", "agent", "--server-config", file.to_str().unwrap()];
    let done = node.run(&words);
    assert_eq!(done.code, 0, "{}", done.stdout);
    assert!(done.stdout.contains("this is an agent"), "{}", done.stdout);
}
