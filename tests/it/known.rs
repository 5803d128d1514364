// SPDX-License-Identifier: Apache-2.0
//! What a minor does not know: arguments on which a component exits, and keys that K3s skips on a server and exits on
//! as an agent. What we write, and what K3s gives its components by itself, is known everywhere.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fs;

use crate::minors::released;
use crate::support::Node;
use k3s_harden::Role;
use k3s_harden::k3s::{arguments, components, flags};
use k3s_harden::kubernetes::yaml;
use k3s_harden::version::KubernetesMinor;
use serde_json::Value;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const DROP_IN: &str = "etc/rancher/k3s/config.yaml.d/60-more.yaml";
const SERVICE: &str = "etc/systemd/system/k3s.service";

fn warnings(node: &Node, minor: &str, role: &str) -> String {
    let output = node.run(&["plan", "--k3s-version", minor, "--role", role]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let about = ["no argument", "Unknown flag", "not defined"];
    output
        .stderr
        .lines()
        .filter(|line| about.iter().any(|words| line.contains(words)))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn minor(text: &str) -> KubernetesMinor {
    text.parse().unwrap()
}

#[test]
fn arguments_that_a_component_does_not_know_are_named() {
    let node = Node::new().file(
        CONFIG,
        "kube-apiserver-arg:\n- insecure-port=0\n- --audit-log-maxage=30\n- encryption-provider-config-automatic-reload\nkubelet-arg:\n  - container-runtime=remote\n  - \"cloud_config=x\"\nkube-scheduler-arg: nonsense+=1\nkube-controller-arg: --pod-eviction-timeout-=5m\n",
    );
    insta::assert_snapshot!(warnings(&node, "1.33", "server"), @"
    WARN /etc/rancher/k3s/config.yaml:2:3: kube-apiserver of 1.33 has no argument insecure-port: it exits (it was removed in 1.24)
    WARN /etc/rancher/k3s/config.yaml:9:22: kube-controller-manager of 1.33 has no argument pod-eviction-timeout: it exits (it was removed in 1.27)
    WARN /etc/rancher/k3s/config.yaml:8:21: kube-scheduler of 1.33 has no argument nonsense: it exits
    WARN /etc/rancher/k3s/config.yaml:6:5: kubelet of 1.33 has no argument container-runtime: it exits (it was removed in 1.27)
    ");
    insta::assert_snapshot!(warnings(&node, "1.23", "server"), @"
    WARN /etc/rancher/k3s/config.yaml:4:3: kube-apiserver of 1.23 has no argument encryption-provider-config-automatic-reload: it exits (it comes with 1.26)
    WARN /etc/rancher/k3s/config.yaml:8:21: kube-scheduler of 1.23 has no argument nonsense: it exits
    ");
}

#[test]
fn an_argument_that_a_later_file_replaces_is_not_judged() {
    let node =
        Node::new().file(CONFIG, "kubelet-arg: nonsense=1\n").file(DROP_IN, "kubelet-arg: max-pods=20\n");
    assert_eq!(warnings(&node, "1.33", "server"), "");
    let node = node.file(DROP_IN, "kubelet-arg+: max-pods=20\n");
    assert!(
        warnings(&node, "1.33", "server")
            .contains("config.yaml:1:14: kubelet of 1.33 has no argument nonsense")
    );
}

#[test]
fn an_agent_has_two_components() {
    let node = Node::new()
        .file(CONFIG, "kubelet-arg: nonsense=1\nkube-proxy-arg: more=1\nkube-scheduler-arg: even=1\n");
    insta::assert_snapshot!(warnings(&node, "1.33", "agent"), @"
    WARN /etc/rancher/k3s/config.yaml:2:17: kube-proxy of 1.33 has no argument more: it exits
    WARN /etc/rancher/k3s/config.yaml:1:14: kubelet of 1.33 has no argument nonsense: it exits
    WARN /etc/rancher/k3s/config.yaml:3:21: K3s exits on this: flag provided but not defined: -kube-scheduler-arg
    ");
}

#[test]
fn arguments_of_the_service_are_judged() {
    let unit = "[Service]\nExecStart=/usr/local/bin/k3s server --kube-controller-arg=nonsense=1 --kubelet-arg container-runtime=remote --kube-apiserver-arg=v=2\n";
    let node = Node::new().file(SERVICE, unit);
    insta::assert_snapshot!(warnings(&node, "1.33", "server"), @"
    WARN /etc/systemd/system/k3s.service: kube-controller-manager of 1.33 has no argument nonsense: it exits
    WARN /etc/systemd/system/k3s.service: kubelet of 1.33 has no argument container-runtime: it exits (it was removed in 1.27)
    ");
    let output = node.run(&["effective-config", "--k3s-version", "1.33", "--format", "json"]);
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    insta::assert_snapshot!(found["warnings"].to_string(), @r#"["/etc/systemd/system/k3s.service: kube-controller-manager of 1.33 has no argument nonsense: it exits","/etc/systemd/system/k3s.service: kubelet of 1.33 has no argument container-runtime: it exits (it was removed in 1.27)"]"#);
}

#[test]
fn keys_are_those_of_the_minor() {
    let node = Node::new()
        .file(CONFIG, "no-flannel: true\nsecrets-encryption-provider: secretbox\nvpn-auth-file: /x\n");
    insta::assert_snapshot!(warnings(&node, "1.25", "server"), @"WARN /etc/rancher/k3s/config.yaml:2:30: Unknown flag --secrets-encryption-provider found in config.yaml, skipping: it comes with 1.30");
    insta::assert_snapshot!(warnings(&node, "1.23", "agent"), @"
    WARN /etc/rancher/k3s/config.yaml:2:30: K3s exits on this: flag provided but not defined: -secrets-encryption-provider
    WARN /etc/rancher/k3s/config.yaml:3:16: K3s exits on this: flag provided but not defined: -vpn-auth-file
    ");
    insta::assert_snapshot!(warnings(&node, "1.36", "agent"), @"
    WARN /etc/rancher/k3s/config.yaml:1:13: K3s exits on this: flag provided but not defined: -no-flannel
    WARN /etc/rancher/k3s/config.yaml:2:30: K3s exits on this: flag provided but not defined: -secrets-encryption-provider
    ");
}

#[test]
fn what_we_write_is_known() {
    let (mut files, mut arguments) = (0, 0);
    for entry in fs::read_dir("tests/fixtures").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let parts: Vec<&str> = name.split('-').collect();
        let [of, role, "default" | "strict"] = parts[..] else { continue };
        let (of, role) = (minor(of), if role == "agent" { Role::Agent } else { Role::Server });
        let bytes = fs::read(path.join("expected/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml")).unwrap();
        files += 1;
        let yaml::YamlValue::Map(pairs) = yaml::read(&bytes).unwrap().unwrap().value else {
            panic!("{name}")
        };
        for (key, value) in pairs {
            let key = key.go_text().trim_end_matches('+').to_owned();
            assert!(flags::find(role, of, &key).is_some(), "{name}: K3s does not know {key}");
            let Some(component) = components::of_key(&key, role) else { continue };
            let yaml::YamlValue::List(items) = value.value else { panic!("{name}: {key}") };
            for item in items {
                assert_eq!(arguments::unknown(component, of, &item.go_text()), None, "{name}");
                arguments += 1;
            }
        }
    }
    assert_eq!(files, released().len() * 4);
    assert!(arguments > 500, "{arguments}");
}

#[test]
fn what_k3s_gives_its_components_is_known() {
    for of in KubernetesMinor::supported() {
        for role in ["server", "agent"] {
            let output = Node::new().run(&[
                "effective-config",
                "--k3s-version",
                &of.to_string(),
                "--role",
                role,
                "--format",
                "json",
            ]);
            let found: Value = serde_json::from_str(&output.stdout).unwrap();
            for (component, flags) in found["components"].as_object().unwrap() {
                for flag in flags.as_array().unwrap() {
                    assert_eq!(arguments::unknown(component, of, flag.as_str().unwrap()), None);
                }
            }
        }
    }
}

#[test]
fn every_way_to_write_a_name() {
    for text in ["v=1", "--v=1", "v+=1", "v-=1", "v", "log_flush_frequency=1s", "--log-flush_frequency+=1s"] {
        assert_eq!(arguments::unknown("kubelet", minor("1.33"), text), None, "{text}");
    }
    for (text, name) in [("-v=1", "-v"), ("v =1", "v "), ("vv=1", "vv"), ("---v=1", "-v")] {
        let message = format!("kubelet of 1.33 has no argument {name}: it exits");
        assert_eq!(arguments::unknown("kubelet", minor("1.33"), text), Some(message), "{text}");
    }
}
