// SPDX-License-Identifier: Apache-2.0
//! `settings show`: where each value comes from. `settings init`: a file that sets nothing, and of which each line can be
//! taken.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use k3s_harden::output::settings_file;
use k3s_harden::profile::declarations;
use k3s_harden::version::KubernetesMinor;
use serde_json::{Value, json};

use crate::reports::schema;
use crate::support::Node;

const FILE: &str = "etc/k3s-harden/settings.yaml";

fn shown(node: &Node, words: &[&str], variables: &[(&str, &str)]) -> Value {
    let done = node.run_with(&[&["settings", "show", "--format", "json"], words].concat(), variables);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let answer = serde_json::from_str(&done.stdout).unwrap();
    schema::check(&serde_json::from_str(include_str!("../../docs/schema/settings.json")).unwrap(), &answer);
    answer
}

#[test]
fn each_value_has_its_source() {
    let node = Node::new().file(FILE, "audit_log_maxbackup: 20\n");
    let told =
        ["apply", "-q", "--k3s-version", "1.33", "--profile", "strict", "--set", "audit_log_maxage=90"];
    assert_eq!(node.run(&told).code, 0);
    let words = ["--set", "audit_log_maxsize=200"];
    let answer = shown(&node, &words, &[("K3S_HARDEN_SET", "request_timeout=60s")]);
    for (name, value, source, origin, default) in [
        ("audit_log_maxage", json!(90), "record", "record of run 1", json!(30)),
        ("audit_log_maxbackup", json!(20), "settings-file", "settings.yaml:1:", json!(10)),
        ("audit_log_maxsize", json!(200), "command-line", "--set", json!(100)),
        ("request_timeout", json!("60s"), "environment", "K3S_HARDEN_SET", json!("300s")),
        ("event_rate_limit", json!(true), "profile", "profile profiles/strict.yaml", json!(false)),
        ("dns_policy", json!(true), "default", "default", json!(true)),
        ("terminated_pod_gc_threshold", json!(100), "default", "default on 1.33", json!(100)),
    ] {
        let setting = &answer["settings"][name];
        assert_eq!((&setting["value"], &setting["source"]), (&value, &json!(source)), "{name}: {setting}");
        assert!(setting["origin"].as_str().unwrap().contains(origin), "{name}: {setting}");
        assert_eq!(setting["default"], default, "{name}");
    }
    assert_eq!((&answer["run"], answer["settings"].get("pod_security_policies")), (&json!(1), None));
    let of_another = shown(&Node::new(), &["--k3s-version", "1.24"], &[]);
    assert_eq!(of_another["run"], Value::Null);
    assert!(of_another["settings"].get("pod_security_policies").is_some());
}

#[test]
fn for_people() {
    let node = Node::new().file(FILE, "audit_log_maxage: 90\n");
    let done = node.run(&["settings", "show", "--k3s-version", "1.33", "--set", "ingress_to=shop"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(done.stdout);
}

#[test]
fn the_file_sets_nothing() {
    let node = Node::new().file("etc/hostname", "a\n");
    let before = node.run(&["plan", "--format", "json", "--k3s-version", "1.33"]).stdout;
    let done = node.run(&["settings", "init", "--k3s-version", "1.33"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{}", done.stdout);
    assert_eq!(node.mode(FILE), "0600");
    assert_eq!(node.mode("etc/k3s-harden"), "0755");
    assert_eq!(node.read(FILE), node.run(&["settings", "init", "--stdout", "--k3s-version", "1.33"]).stdout);
    assert!(node.read(FILE).lines().all(|line| line.is_empty() || line.starts_with('#')));
    assert_eq!(node.run(&["plan", "--format", "json", "--k3s-version", "1.33"]).stdout, before);
    let again = node.run(&["settings", "init"]);
    assert_eq!(again.code, 73);
    assert!(
        again.stderr.contains("the file exists") && again.stderr.contains("--stdout"),
        "{}",
        again.stderr
    );
    // Nor through a link, nor over anything else.
    for node in [Node::new().file("etc/k3s-harden/settings.yaml/x", ""), {
        let node = Node::new().file("etc/k3s-harden/x", "");
        std::os::unix::fs::symlink("/nowhere", node.path().join(FILE)).unwrap();
        node
    }] {
        let before = node.fingerprint();
        assert_eq!(node.run(&["settings", "init"]).code, 73);
        assert_eq!(node.fingerprint(), before);
    }
}

/// Each line of the file, alone, with its first `#` away, on the minor that it was written for.
#[test]
fn each_line_can_be_taken() {
    for minor in KubernetesMinor::supported() {
        let file = settings_file(minor);
        let lines: Vec<&str> = file.lines().collect();
        let mut found = Vec::new();
        let (mut all, mut taken) = (Vec::new(), 0);
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let bare = line.strip_prefix('#').unwrap();
            all.push(bare);
            if bare.starts_with('#') {
                continue;
            }
            taken += 1;
            found.push(bare.split(':').next().unwrap());
        }
        let mut names: Vec<&str> = declarations().keys().map(String::as_str).collect();
        names.push("waivers");
        assert_eq!(found, names, "{minor}");
        assert_eq!(taken, names.len());
        // All at once, and each alone.
        let version = minor.to_string();
        let plan = |text: &str| {
            let node = Node::new().file(FILE, text);
            node.run(&["settings", "show", "--k3s-version", &version])
        };
        let done = plan(&all.join("\n"));
        assert_eq!(done.code, 0, "{minor}: {}", done.stderr);
        if minor != KubernetesMinor::newest() {
            continue;
        }
        for line in all.iter().filter(|line| !line.starts_with('#')) {
            let done = plan(line);
            assert_eq!(done.code, 0, "{line}: {}", done.stderr);
        }
    }
}
