// SPDX-License-Identifier: Apache-2.0
//! `effective-config`: the command line that K3s builds, where each value comes from, each component's flags.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use crate::support::Node;
use serde_json::{Value, json};

fn node() -> Node {
    Node::new()
        .file("etc/rancher/k3s/config.yaml", "token: hush\nkube-apiserver-arg:\n- audit-log-maxage=7\nnope: 1\nselinux: yes\nhttps-listen-port: [1, 2]\n")
        .file("etc/rancher/k3s/config.yaml.d/50-x.yaml", "kubelet-arg+: max-pods=200\n")
        .file("etc/systemd/system/k3s.service", "[Service]\nEnvironmentFile=-/etc/systemd/system/%N.service.env\nExecStart=/usr/local/bin/k3s \\\n  server \\\n\t'--kube-apiserver-arg=enable-admission-plugins+=EventRateLimit' --token hush2 --debug\n")
        .file("etc/systemd/system/k3s.service.env", "K3S_AGENT_TOKEN=hush3\nK3S_KUBECONFIG_MODE='0640'\n")
}

fn read(node: &Node, arguments: &[&str]) -> Value {
    let output =
        node.run(&[&["effective-config", "--k3s-version", "1.33", "--format", "json"], arguments].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

#[test]
fn every_value_names_its_origin() {
    let found = read(&node(), &["--", "--disable", "traefik"]);
    let keys: Vec<&String> = found.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "argv",
            "components",
            "files",
            "format_version",
            "host",
            "k3s_version",
            "role",
            "time",
            "tool_version",
            "values",
            "warnings"
        ]
    );
    let config = "/etc/rancher/k3s/config.yaml";
    let service = "/etc/systemd/system/k3s.service";
    assert_eq!(found["files"], json!([config, "/etc/rancher/k3s/config.yaml.d/50-x.yaml"]));
    let values = &found["values"];
    assert_eq!(values["selinux"], json!({"value": "true", "origin": format!("{config}:5:10")}));
    assert_eq!(
        values["https-listen-port"],
        json!({"value": "2", "origin": format!("{config}:6:24")}),
        "the last counts"
    );
    assert_eq!(values["disable"], json!({"value": ["traefik"], "origin": "command line"}));
    assert_eq!(values["debug"], json!({"value": "true", "origin": service}));
    assert_eq!(
        values["kube-apiserver-arg"],
        json!({"value": ["audit-log-maxage=7", "enable-admission-plugins+=EventRateLimit"], "origin": format!("{config}:3:3, {service}")})
    );
    let environment = "K3S_KUBECONFIG_MODE in /etc/systemd/system/k3s.service.env";
    assert_eq!(values["write-kubeconfig-mode"], json!({"value": "0640", "origin": environment}));
    assert!(values.get("nope").is_none());
    assert_eq!(found["warnings"], json!(["Unknown flag --nope found in config.yaml, skipping"]));
    assert_eq!(found["argv"].as_array().unwrap()[0], "server");
}

#[test]
fn components_get_k3s_own_flags_and_the_arguments() {
    let found = read(&node(), &[]);
    let server: Vec<&str> = found["components"]["kube-apiserver"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flag| flag.as_str().unwrap())
        .collect();
    for flag in [
        "--audit-log-maxage=7",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-admission-plugins=EventRateLimit",
        "--anonymous-auth=false",
    ] {
        assert!(server.contains(&flag), "{flag}");
    }
    assert!(server.is_sorted_by_key(|flag| flag.split('=').next()));
    let kubelet = found["components"]["kubelet"].to_string();
    assert!(kubelet.contains("--max-pods=200"), "{kubelet}");
    let agent = read(&Node::new(), &["--role", "agent"]);
    let names: Vec<&String> = agent["components"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["kube-proxy", "kubelet"]);
}

#[test]
fn the_service_of_a_package_and_its_variables_count() {
    let unit = "[Service]\nEnvironmentFile=-/etc/default/k3s\nExecStart=/usr/bin/k3s server $ARGS\n";
    let node = Node::new()
        .file("usr/lib/systemd/system/k3s.service", unit)
        .file("etc/default/k3s", "ARGS=\"--kube-apiserver-arg=profiling=true --debug\"\n");
    let profiling = |node: &Node| read(node, &[])["components"]["kube-apiserver"].to_string();
    assert!(profiling(&node).contains("--profiling=true"));
    assert_eq!(read(&node, &[])["values"]["debug"]["origin"], "/usr/lib/systemd/system/k3s.service");
    let drop_in = "[Service]\nExecStart=\nExecStart=/usr/bin/k3s server\n";
    let node = node.file("etc/systemd/system/k3s.service.d/10.conf", drop_in);
    assert!(profiling(&node).contains("--profiling=false"));
    let node = node.file(
        "etc/systemd/system/k3s.service.d/20.conf",
        "[Service]\nExecStart=\nExecStart=/usr/bin/k3s server --kube-apiserver-arg=profiling=1\n",
    );
    assert!(profiling(&node).contains("--profiling=1"));
}

#[test]
fn secrets_are_shown_only_when_asked_for() {
    let hidden = read(&node(), &[]).to_string();
    assert!(!hidden.contains("hush"), "{hidden}");
    let shown = read(&node(), &["--show-secrets"]);
    assert_eq!(shown["values"]["token"]["value"], "hush2", "the command line counts more than the file");
    assert_eq!(shown["values"]["agent-token"]["value"], "hush3");
}

#[test]
fn secrets_inside_arguments_are_masked() {
    let node = Node::new().file("etc/rancher/k3s/config.yaml", "datastore-endpoint: postgres://u:hush@db:5432/k3s\nkube-apiserver-arg:\n- oidc-client-secret=hush\n- max-requests-inflight=800\n");
    let hidden = read(&node, &[]).to_string();
    assert!(!hidden.contains("hush"), "{hidden}");
    assert!(hidden.contains("max-requests-inflight=800"), "{hidden}");
    assert!(read(&node, &["--show-secrets"]).to_string().contains("oidc-client-secret=hush"));
}

#[test]
fn what_k3s_refuses_is_named() {
    let node = Node::new().file("etc/rancher/k3s/config.yaml", "protect-kernel-defaults: \"yes\"\n");
    let warnings = read(&node, &[])["warnings"].to_string();
    assert!(
        warnings.contains("/etc/rancher/k3s/config.yaml:1:26: K3s exits: invalid boolean value"),
        "{warnings}"
    );
    let broken = Node::new().file("etc/rancher/k3s/config.yaml", "a: [1\n");
    assert_eq!(broken.run(&["effective-config", "--k3s-version", "1.33"]).code, 65);
}

#[test]
fn another_configuration_file_can_be_named() {
    let node =
        Node::new().file("srv/k3s.yaml", "selinux: true\n").file("srv/k3s.yaml.d/1.yaml", "debug: true\n");
    let found = read(&node, &["--", "--config", "/srv/k3s.yaml"]);
    assert_eq!(found["files"], json!(["/srv/k3s.yaml", "/srv/k3s.yaml.d/1.yaml"]));
    let node = node
        .file(
            "etc/systemd/system/k3s.service",
            "[Service]\nEnvironment=K3S_CONFIG_FILE=/srv/other.yaml\nExecStart=/usr/local/bin/k3s server\n",
        )
        .file("srv/other.yaml", "rootless: true\n");
    assert_eq!(
        read(&node, &["--", "--config", "/srv/k3s.yaml"])["files"],
        json!(["/srv/other.yaml"]),
        "the variable counts more"
    );
}
