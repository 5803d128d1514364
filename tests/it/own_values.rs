// SPDX-License-Identifier: Apache-2.0
//! K3s's own values: what K3s refuses in them, on whom, and since when.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::Node;
use k3s_harden::Role;
use k3s_harden::k3s::flags;
use k3s_harden::k3s::own_values::{self, FlagJudgement};
use serde_json::Value;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";

fn preflight(node: &Node, minor: &str, role: &str) -> (Value, String) {
    let output = node.run(&["preflight", "--format", "json", "--k3s-version", minor, "--role", role]);
    let verdict: Value = serde_json::from_str(&output.stdout).unwrap();
    (verdict["starts"].clone(), output.stdout)
}

fn starts(minor: &str, role: &str, config: &str) -> Value {
    preflight(&Node::new().file(CONFIG, config), minor, role).0
}

#[test]
fn a_value_counts_where_it_is_read() {
    for (config, expected) in [
        ("egress-selector-mode: none\n", Value::Bool(false)),
        ("egress-selector-mode: cluster\n", Value::Bool(true)),
        ("flannel-backend: vlan\n", Value::Bool(false)),
        ("flannel-backend: vlan\ndisable-agent: true\n", Value::Bool(true)),
        ("service-cidr: 10.43.0.0/29\n", Value::Bool(false)),
        ("service-cidr: 10.43.0.0/29\ncluster-dns: 10.43.0.2\n", Value::Bool(true)),
        ("advertise-address: fd00::3\n", Value::Bool(false)),
        ("advertise-address: fd00::3\ndisable-apiserver: true\n", Value::Bool(true)),
        ("etcd-s3-timeout: 0s\n", Value::Bool(true)),
        ("etcd-s3: true\netcd-s3-timeout: 0s\n", Value::Bool(false)),
        ("datastore-cafile: /none\n", Value::Bool(true)),
        ("datastore-endpoint: mysql://u:p@h:3306/k\n", Value::Bool(false)),
        ("datastore-endpoint: mysql://u:p@tcp(h:3306)/k\n", Value::Null),
        ("bind-address: 127.0.0.1\n", Value::Bool(true)),
        ("bind-address: 10.9.9.9\n", Value::Null),
        ("node-label: [node-role.kubernetes.io/worker=true]\n", Value::Bool(false)),
        ("node-taint: [a=b:Never]\n", Value::Bool(false)),
        ("server: no URL\n", Value::Bool(true)),
        ("server: no URL\ntoken: t\n", Value::Bool(false)),
        ("token: K10abc\n", Value::Bool(false)),
        ("agent-token: K10abc\n", Value::Bool(true)),
        ("supervisor-port: 9345\napiserver-port: 9345\n", Value::Bool(false)),
        ("https-listen-port: 10257\n", Value::Bool(false)),
        ("apiserver-port: 10257\ndisable-controller-manager: true\n", Value::Bool(true)),
        ("kube-controller-manager-arg: secure-port=10300\nhttps-listen-port: 10300\n", Value::Bool(false)),
        ("apiserver-port: 10258\n", Value::Bool(false)),
        ("apiserver-port: 2379\n", Value::Bool(true)),
        ("apiserver-port: 2379\ncluster-init: true\n", Value::Bool(false)),
        ("cluster-cidr: 10.42.0.0/25\n", Value::Bool(false)),
        (
            "cluster-cidr: 10.42.0.0/25\nkube-controller-manager-arg: node-cidr-mask-size=26\n",
            Value::Bool(true),
        ),
        ("cluster-cidr: 10.42.0.0/25\nkube-controller-arg: allocate-node-cidrs=false\n", Value::Bool(true)),
        ("cluster-cidr: 10.42.0.0/25\ndisable-controller-manager: true\n", Value::Bool(true)),
        ("cluster-cidr: 10.42.0.0/16,10.44.0.0/16\n", Value::Bool(false)),
        ("kube-controller-manager-arg: node-cidr-mask-size=8\n", Value::Bool(false)),
        ("cluster-domain: cl\u{fc}ster.local\n", Value::Bool(false)),
        ("cluster-domain: 'a\"b'\n", Value::Bool(false)),
        ("node-name: n\u{f6}de\ndisable-agent: true\n", Value::Bool(false)),
        ("advertise-address: b\u{f6}gus\ndisable-apiserver: true\n", Value::Bool(false)),
        ("write-kubeconfig: /root/.kube/config\n", Value::Bool(true)),
        ("write-kubeconfig: /etc\n", Value::Bool(false)),
        ("write-kubeconfig: /etc/rancher/k3s/config.yaml/x\n", Value::Bool(false)),
        ("write-kubeconfig: /proc/k3s.yaml\n", Value::Bool(false)),
        ("server: https:/x\ntoken: t\n", Value::Bool(false)),
        ("bind-address: 127.0.0.1:6443\n", Value::Bool(false)),
        ("bind-address: k3s.example\n", Value::Null),
    ] {
        assert_eq!(starts("1.33", "server", config), expected, "{config}");
    }
    for (config, expected) in [
        ("server: https://10.0.0.1:6443\ntoken: t\n", Value::Bool(true)),
        ("server: http://10.0.0.1:6443\ntoken: t\n", Value::Bool(false)),
        ("server: https://10.0.0.1:6443\ntoken: t\nnode-external-ip: here\n", Value::Bool(false)),
        ("server: https://10.0.0.1:6443\ntoken: t\nlb-server-port: 70000\n", Value::Bool(false)),
    ] {
        assert_eq!(starts("1.33", "agent", config), expected, "{config}");
    }
}

#[test]
fn a_check_has_its_minors() {
    let of = |minor: &str, config: &str| starts(minor, "server", config);
    assert_eq!(of("1.25", "flannel-backend: wireguard\n"), Value::Bool(true));
    assert_eq!(of("1.26", "flannel-backend: wireguard\n"), Value::Bool(false));
    assert_eq!(of("1.26", "flannel-backend: wireguard-native=Mode=auto\n"), Value::Bool(true));
    assert_eq!(of("1.27", "flannel-backend: wireguard-native=Mode=auto\n"), Value::Bool(false));
    assert_eq!(of("1.25", "no-deploy: traefik\n"), Value::Bool(false));
    assert_eq!(of("1.24", "no-deploy: traefik\n"), Value::Bool(true));
    let without_scheme = "datastore-endpoint: 10.0.0.1:2379\n";
    assert_eq!(of("1.33", without_scheme), Value::Bool(false));
    assert_eq!(of("1.30", without_scheme), Value::Null);
}

#[test]
fn no_secret_is_in_a_finding() {
    let config = "token: K10geheim\ndatastore-endpoint: 'postgres://u:geheim%zz@h/d'\nvpn-auth: name=x,joinKey=geheim\n";
    let (starts, text) = preflight(&Node::new().file(CONFIG, config), "1.33", "server");
    assert_eq!(starts, Value::Bool(false));
    assert!(text.matches("own-value").count() >= 3 && !text.contains("geheim"), "{text}");
}

#[test]
fn what_is_in_the_way_in_the_data_directory_is_named() {
    let data = "var/lib/rancher/k3s";
    for (path, text, expected) in [
        ("server/tls", "x", false),
        ("server/token", "K10abc\n", false),
        ("server/token", "", true),
        ("server/cred/passwd", "x\n", false),
        ("server/cred/passwd", "a,b,c\n", true),
        ("server/static", "x", true),
        ("server/tls/server-ca.crt", "x", true),
        ("server/tls/server-ca.key", "x", false),
        ("server/tls/service.key", "", false),
        ("agent", "x", false),
    ] {
        let node = Node::new().file(&format!("{data}/{path}"), text);
        assert_eq!(preflight(&node, "1.33", "server").0, Value::Bool(expected), "{path}: {text:?}");
    }
}

#[test]
fn a_value_that_is_not_judged_is_named() {
    let node = Node::new().file(CONFIG, "snapshotter: x\ndefault-runtime: y\ndebug: true\n");
    let answer: Value = serde_json::from_str(&preflight(&node, "1.33", "server").1).unwrap();
    let named: Vec<&str> =
        answer["not_judged"].as_array().unwrap().iter().filter_map(|one| one["why"].as_str()).collect();
    for (flag, is_named) in [("default-runtime", true), ("snapshotter", true), ("debug", false)] {
        let found = named.iter().any(|why| why.starts_with(&format!("the value of {flag} is not judged: ")));
        assert_eq!(found, is_named, "{flag}: {named:?}");
    }
}

/// What is done with the value of every flag, as a page of the manual.
#[test]
fn the_page_of_flags_is_what_the_table_says() {
    let mut page = String::from(
        "# The flags of K3s, and how their values are judged\n\nThis page is made by a test (`tests/it/own_values.rs`) from `src/k3s/data/own-values.yaml`. The type of a value is judged for\nevery flag; this page is about its meaning. Sources are files of k3s-io/k3s unless another project is named.\n",
    );
    for role in [Role::Server, Role::Agent] {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut rows = String::new();
        for flag in flags::all(role) {
            let name = &flag.names[0];
            let (what, why) = match own_values::judgement(role, name).unwrap() {
                FlagJudgement::Checked(sources) => ("judged", sources.join("; ")),
                FlagJudgement::Elsewhere(by) => ("judged by another check", by.to_owned()),
                FlagJudgement::AnyValue(source) => ("any value", source.to_owned()),
                FlagJudgement::NotJudged(why, source) => ("not judged", format!("{why} ({source})")),
            };
            *counts.entry(what).or_default() += 1;
            rows += &format!("| `{name}` | {what} | {} |\n", why.replace('|', "\\|"));
        }
        let counts: Vec<String> = counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        page += &format!(
            "\n## k3s {role}: {}\n\n| flag | value | source or reason |\n|---|---|---|\n{rows}",
            counts.join(", ")
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/K3S-FLAGS.md");
    if std::env::var_os("K3S_HARDEN_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), page, "K3S_HARDEN_BLESS=1 writes the page");
}
