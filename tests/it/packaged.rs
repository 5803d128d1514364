// SPDX-License-Identifier: Apache-2.0
//! K3s's packaged components and its key `disable`: what they do to policy.yaml, and words that name nothing.
//! (shouldDisableFile in pkg/deploy/controller.go of K3s.)
#![allow(clippy::unwrap_used, reason = "tests look at files by hand")]

use crate::support::Node;
use serde_json::Value;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const UNIT: &str = "etc/systemd/system/k3s.service";
const MANIFESTS: &str = "var/lib/rancher/k3s/server/manifests";

fn apply(node: &Node) -> String {
    let output = node.run(&["apply", "--k3s-version", "1.33", "--role", "server"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    output.stderr
}

fn useless(node: &Node) -> Vec<String> {
    let output = node.run(&["preflight", "--k3s-version", "1.33", "--role", "server", "--format", "json"]);
    let verdict: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(verdict["starts"], true, "{verdict}");
    let findings =
        ["now", "after_reboot", "notes"].into_iter().flat_map(|list| verdict[list].as_array().unwrap());
    let findings = findings.filter(|finding| finding["code"] == "disable-useless");
    findings
        .map(|finding| {
            format!("{} {} {}", finding["path"], finding["line"], finding["remedy"]).replace('"', "")
        })
        .collect()
}

#[test]
fn a_word_that_deletes_our_manifest_is_named() {
    let unit = "[Service]\nExecStart=/usr/local/bin/k3s server --disable traefik,policy\n";
    for (path, text, place) in [
        (CONFIG, "disable: [policy]\n", "/etc/rancher/k3s/config.yaml:1:11: disable contains policy"),
        (
            CONFIG,
            "disable:\n- traefik\n- ' coredns , policy '\n",
            "/etc/rancher/k3s/config.yaml:3:3: disable contains policy",
        ),
        (UNIT, unit, "/etc/systemd/system/k3s.service: disable contains policy"),
    ] {
        let node = Node::new().file(path, text);
        assert!(apply(&node).contains(place), "{text}");
        let again = node.run(&["apply"]);
        assert_eq!(again.stdout, "Nothing to change.\n");
        assert!(again.stderr.contains(place), "it is deleted at every start: {}", again.stderr);
    }
    for text in ["disable: [policies]\n", "disable: [traefik]\n", "disable-helm-controller: true\n"] {
        assert!(!apply(&Node::new().file(CONFIG, text)).contains("disable contains policy:"), "{text}");
    }
    for path in ["policy.yaml.skip", "any/folder/policy.yaml.skip"] {
        let skip = Node::new().file(&format!("{MANIFESTS}/{path}"), "");
        assert!(apply(&skip).contains(&format!("/{path}: K3s does not apply policy.yaml")), "{path}");
        let output = skip.run(&["verify", "--format", "json"]);
        let found: Value = serde_json::from_str(&output.stdout).unwrap();
        let controls = found["controls"].as_array().unwrap();
        let policies = controls.iter().find(|control| control["id"] == "5.3.2").unwrap();
        assert_ne!(policies["status"], "pass", "{path}");
    }
}

#[test]
fn an_empty_word_deletes_every_manifest() {
    let status = |node: &Node, id: &str| {
        let output = node.run(&["verify", "--format", "json"]);
        let found: Value = serde_json::from_str(&output.stdout).unwrap();
        let controls = found["controls"].as_array().unwrap();
        controls.iter().find(|control| control["id"] == id).unwrap()["status"].as_str().unwrap().to_owned()
    };
    let unit = "[Service]\nExecStart=/usr/local/bin/k3s server --disable=\n";
    for (path, text, place) in [
        (CONFIG, "disable: ''\n", "/etc/rancher/k3s/config.yaml:1:10: disable has an empty word"),
        (CONFIG, "disable: 'traefik,'\n", "/etc/rancher/k3s/config.yaml:1:10: disable has an empty word"),
        (CONFIG, "disable:\n", "/etc/rancher/k3s/config.yaml:1:8: disable has an empty word"),
        (UNIT, unit, "/etc/systemd/system/k3s.service: disable has an empty word"),
    ] {
        let node = Node::new().file(path, text);
        let said = apply(&node);
        assert!(said.contains(place), "{text}: {said}");
        assert_ne!(status(&node, "5.3.2"), "pass", "{text}");
    }
    let none = Node::new().file(CONFIG, "disable: []\n");
    assert!(!apply(&none).contains("empty word"));
    assert_eq!(status(&none, "5.3.2"), "pass");
}

#[test]
fn words_that_name_nothing_are_named() {
    let with = |text: &str| Node::new().file(CONFIG, text);
    assert_eq!(
        useless(&with("disable: [treafik]\n")),
        ["/etc/rancher/k3s/config.yaml 1 write traefik, or remove it"]
    );
    assert_eq!(
        useless(&with("disable: \"coredns, Metrics-Server.yaml\"\n")),
        ["/etc/rancher/k3s/config.yaml 1 write metrics-server, or remove it"]
    );
    assert_eq!(useless(&with("disable: [longhorn]\n")).len(), 1);
    for fine in [
        "disable: [coredns, servicelb, traefik, local-storage, metrics-server, runtimes, ccm, rolebindings]\n",
        "disable: [aggregated-metrics-reader]\n",
        "disable: ''\n",
        "disable: []\n",
    ] {
        assert_eq!(useless(&with(fine)), [""; 0], "{fine}");
    }
    // A manifest of the user, by its name or its folder.
    let object = "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n";
    let node = with("disable: [longhorn, extra, extra/deep, other]\n")
        .file(&format!("{MANIFESTS}/longhorn.yaml"), object)
        .file(&format!("{MANIFESTS}/extra/deep/x.yaml"), object)
        // Only a manifest has a name without its ending.
        .file(&format!("{MANIFESTS}/other.txt"), object);
    assert_eq!(useless(&node).len(), 1);
    assert!(apply(&with("disable: [treafik]\n")).contains("config.yaml:1:11: disable contains \"treafik\""));
    // The words mean nothing where no API server runs.
    assert_eq!(useless(&with("disable-apiserver: true\ndisable: [treafik]\n")), [""; 0]);
}

#[test]
fn load_balancers_that_policies_cut_off_are_named() {
    let service = |name: &str, more: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{type: LoadBalancer{more}}}\n"
        )
    };
    let shop = format!("{MANIFESTS}/apps/shop.yml");
    let said = |config: &str, text: &str| apply(&Node::new().file(CONFIG, config).file(&shop, text));
    let named = "apps/shop.yml:1:1: the LoadBalancer Service shop gets no traffic";
    assert!(said("", &service("shop", "")).contains(named));
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: shop}, spec: {type: LoadBalancer}}\n";
    assert!(said("", list).contains(named));
    // Another load balancer hands traffic to the pods of the Service themselves.
    let closed = service("shop", "").replace("namespace: shop", "namespace: default");
    assert!(said("disable: [servicelb]\n", &closed).contains("gets no external traffic"));
    for (config, text) in [
        ("", service("traefik", "")),
        ("", service("shop", ", loadBalancerClass: other.io/lb")),
        ("", service("shop", "").replace("LoadBalancer", "NodePort")),
        ("disable: [servicelb]\n", service("shop", "")),
        ("disable: [servicelb]\n", service("traefik", "").replace("shop", "kube-system")),
        ("servicelb-namespace: lb\n", service("shop", "")),
        ("disable: [shop]\n", service("shop", "")),
        ("disable: [apps]\n", service("shop", "")),
    ] {
        assert!(!said(config, &text).contains("LoadBalancer Service"), "{config}{text}");
    }
}
