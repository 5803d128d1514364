// SPDX-License-Identifier: Apache-2.0
//! What differs between the patch releases of a minor: the verdict is exact where the release is named in full, and unknown
//! where the minor alone is.
#![allow(clippy::unwrap_used, reason = "tests look at files by hand")]

use serde_json::Value;

use crate::support::Node;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const DROP_IN: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
const ANONYMOUS: &str = "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\nanonymous: {enabled: true, conditions: [{path: /livez}]}\n";
const TOKENS_ONLY: &str =
    "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\njwt: []\n";
const AUTHORIZATION: &str = "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthorizationConfiguration\nauthorizers: [{type: Node, name: node}, {type: RBAC, name: rbac}]\n";

/// Returns whether K3s starts, and what preflight prints.
fn starts(node: &Node, version: &str, role: &str) -> (Value, String) {
    let output = node.run(&["preflight", "--format", "json", "--k3s-version", version, "--role", role]);
    let json: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr));
    (json["starts"].clone(), output.stdout)
}

fn server(arguments: &str, name: &str, file: &str) -> Node {
    let config = format!("kube-apiserver-arg: [{arguments}]\n");
    Node::new().file(CONFIG, config).file(&format!("etc/k3s/{name}"), file)
}

#[test]
fn files_take_the_place_of_flags_from_their_releases_on() {
    let authorization = || server("authorization-config=/etc/k3s/a.yaml", "a.yaml", AUTHORIZATION);
    let anonymous = || server("authentication-config=/etc/k3s/a.yaml", "a.yaml", ANONYMOUS);
    let tokens = || server("authentication-config=/etc/k3s/a.yaml", "a.yaml", TOKENS_ONLY);
    let both = || server("authentication-config=/etc/k3s/a.yaml, anonymous-auth=false", "a.yaml", ANONYMOUS);
    let (yes, no, unknown) = (Some(true), Some(false), None);
    for (node, version, wanted, says) in [
        (authorization(), "v1.32.3+k3s1", no, "authorization-mode"),
        (authorization(), "v1.32.4+k3s1", yes, ""),
        (authorization(), "1.32", unknown, "before 1.32.4"),
        (authorization(), "v1.31.7+k3s1", no, "authorization-mode"),
        (authorization(), "v1.31.8+k3s1", yes, ""),
        (authorization(), "v1.30.11+k3s1", no, "authorization-mode"),
        (authorization(), "1.33", yes, ""),
        (anonymous(), "v1.33.0+k3s1", no, "field anonymous"),
        (anonymous(), "v1.33.1+k3s1", yes, ""),
        (anonymous(), "1.33", unknown, "before 1.33.1"),
        (anonymous(), "v1.32.4+k3s1", no, "field anonymous"),
        (anonymous(), "v1.32.5+k3s1", yes, ""),
        (anonymous(), "1.34", yes, ""),
        // Without the field the flag stands beside the file.
        (tokens(), "v1.33.0+k3s1", yes, ""),
        (tokens(), "1.33", yes, ""),
        // The user's own flag is given in every release.
        (both(), "v1.33.1+k3s1", no, "field anonymous"),
        (both(), "1.36", no, "field anonymous"),
    ] {
        let (found, printed) = starts(&node, version, "server");
        assert_eq!(found.as_bool(), wanted, "{version} {says}: {printed}");
        assert!(printed.contains(says), "{version}: {printed}");
    }
}

#[test]
fn a_wrong_value_of_a_key_that_came_later_stops_only_the_releases_that_have_it() {
    for (config, minor, before, from) in [
        ("secrets-encryption: true\nsecrets-encryption-provider: x\n", "1.32", "3", "4"),
        ("secrets-encryption: true\nsecrets-encryption-provider: x\n", "1.31", "7", "8"),
        ("cluster-init: true\netcd-snapshot-reconcile-interval: 0s\n", "1.32", "2", "3"),
    ] {
        let node = Node::new().file(CONFIG, config);
        let first = format!("{minor}.{from}");
        let starts = |version: &str| starts(&node, version, "server");
        assert_eq!(starts(&format!("v{minor}.{before}+k3s1")).0, true, "{config}");
        assert_eq!(starts(&format!("v{first}+k3s1")).0, false, "{config}");
        // The value is wrong in each release, so it counts, and the message says which do not look at it.
        let (found, printed) = starts(minor);
        assert_eq!(found, false, "{printed}");
        assert!(printed.contains(&format!("{first} and newer have it")), "{printed}");
    }
    let node = Node::new().file(CONFIG, "secrets-encryption: true\nsecrets-encryption-provider: x\n");
    assert!(!starts(&node, "1.33", "server").1.contains("newer have it"), "all releases of it have the key");
}

#[test]
fn the_flags_of_the_api_server_follow() {
    let node = server("authorization-config=/etc/k3s/a.yaml", "a.yaml", AUTHORIZATION);
    let line = |version: &str| {
        let output = node.run(&["effective-config", "--k3s-version", version, "--role", "server"]);
        output.stdout + &output.stderr
    };
    assert!(line("v1.32.3+k3s1").contains("--authorization-mode=Node,RBAC"));
    assert!(!line("v1.32.4+k3s1").contains("--authorization-mode"));
    assert!(line("1.32").contains("K3s before 1.32.4 passes its own authorization-mode to kube-apiserver"));
}

#[test]
fn the_read_only_port_is_closed_on_every_release() {
    let status = |node: &Node, version: &str| {
        let arguments = ["verify", "--only", "4.2.4", "--format", "json", "--k3s-version", version];
        let output = node.run(&[&arguments[..], &["--role", "server"]].concat());
        let json: Value = serde_json::from_str(&output.stdout).unwrap();
        json["controls"][0]["status"].as_str().unwrap().to_owned()
    };
    for (version, stock) in [
        ("v1.31.4+k3s1", "pass"),
        ("v1.32.0+k3s1", "fail"),
        ("v1.32.3+k3s1", "fail"),
        ("v1.32.4+k3s1", "pass"),
        ("1.32", "unknown"),
        ("1.33", "pass"),
    ] {
        assert_eq!(status(&Node::new(), version), stock, "{version}");
        for role in ["server", "agent"] {
            let node = Node::new();
            let output = node.run(&["apply", "-q", "--k3s-version", version, "--role", role]);
            assert_eq!(output.code, 0, "{version}: {}", output.stderr);
            let is_of_1_32 = version.trim_start_matches('v').starts_with("1.32");
            let closes = node.read(DROP_IN).contains("  - \"read-only-port=0\" # CIS 4.2.4\n");
            assert_eq!(closes, is_of_1_32, "{version} {role}");
            assert_eq!(status(&node, version), "pass", "{version} {role}, hardened");
        }
    }
    // A drop-in of the kubelet closes it on every release too.
    let folder = "var/lib/rancher/k3s/agent/etc/kubelet.conf.d";
    let kind = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
    let node = Node::new().file(&format!("{folder}/50-own.conf"), format!("{kind}readOnlyPort: 0\n"));
    assert_eq!(status(&node, "1.32"), "pass");
}

#[test]
fn an_agent_of_early_1_32_refuses_the_gates_of_its_own_minor() {
    let node = |gate: &str| {
        let config =
            format!("server: https://192.0.2.1:6443\ntoken: x\nkubelet-arg: [feature-gates={gate}=true]\n");
        Node::new().file(CONFIG, config)
    };
    let new = "InPlacePodVerticalScalingAllocatedStatus";
    let (yes, no, unknown) = (Some(true), Some(false), None);
    for (gate, version, role, wanted) in [
        (new, "v1.32.2+k3s1", "agent", no),
        (new, "v1.32.3+k3s1", "agent", yes),
        (new, "1.32", "agent", unknown),
        (new, "v1.32.2+k3s1", "server", yes),
        (new, "v1.33.0+k3s1", "agent", yes),
        ("InPlacePodVerticalScaling", "v1.32.2+k3s1", "agent", yes),
        ("InPlacePodVerticalScaling", "1.32", "agent", yes),
    ] {
        let (found, printed) = starts(&node(gate), version, role);
        assert_eq!(found.as_bool(), wanted, "{gate} {version} {role}: {printed}");
    }
}
