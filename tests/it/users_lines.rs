// SPDX-License-Identifier: Apache-2.0
//! Whoever has to change a value is told the line of the user's own file, also where the drop-in carries the value over;
//! and a value with which a control fails is told of by `plan` and `apply`, before `verify` fails.

#![allow(clippy::unwrap_used, reason = "clippy takes helpers of tests for something else than tests")]

use serde_json::Value;

use crate::support::Node;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const EARLY: &str = "etc/rancher/k3s/config.yaml.d/10-early.yaml";
const LATE: &str = "etc/rancher/k3s/config.yaml.d/95-late.yaml";
const UNIT: &str = "etc/systemd/system/k3s.service";
const KUBELET_FILE: &str = "var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-own.conf";
const VERSION: [&str; 4] = ["--k3s-version", "1.33", "--role", "server"];

/// What a run warns of, of those warnings that say that apply keeps a value.
fn kept(node: &Node, verb: &str, more: &[&str]) -> Vec<String> {
    let words: Vec<&str> = [verb, "--format", "json"].iter().chain(&VERSION).chain(more).copied().collect();
    let done = node.run(&words);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let warnings = report["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap());
    warnings.filter(|text| text.contains("apply keeps it")).map(str::to_owned).collect()
}

/// The status of a control and the places of its evidence, as `path:line`.
fn verdict(node: &Node, id: &str) -> (String, Vec<String>) {
    let told = node.run(&["verify", "--format", "json", "--only", id]).stdout;
    let report: Value = serde_json::from_str(&told).unwrap();
    let control = &report["controls"][0];
    let places = control["evidence"].as_array().unwrap().iter();
    let places = places.map(|one| format!("{}:{}", one["path"].as_str().unwrap_or_default(), one["line"]));
    (control["status"].as_str().unwrap().to_owned(), places.collect())
}

/// Each source of an open API server, and the place where it is opened. A second argument is there so that the drop-in
/// takes the list over.
#[test]
fn every_source_is_named_by_its_own_line() {
    let list = "kube-apiserver-arg:\n  - audit-log-maxage=5\n  - anonymous-auth=true\n";
    let taken = "kube-apiserver-arg: [audit-log-maxage=5]\n";
    let more = "# more\nkube-apiserver-arg+:\n  - --anonymous-auth=true\n";
    let unit = "[Service]\nExecStart=/usr/local/bin/k3s server --kube-apiserver-arg=anonymous-auth=true\n";
    for (files, place) in [
        (vec![(CONFIG, list)], format!("/{CONFIG}:3")),
        (vec![(CONFIG, "kube-apiserver-arg: [anonymous-auth=true]\n")], format!("/{CONFIG}:1")),
        (vec![(CONFIG, taken), (EARLY, more)], format!("/{EARLY}:3")),
        (vec![(EARLY, list)], format!("/{EARLY}:3")),
        (vec![(CONFIG, taken), (LATE, more)], format!("/{LATE}:3")),
        (vec![(CONFIG, taken), (UNIT, unit)], format!("/{UNIT}:null")),
    ] {
        let mut node = Node::new();
        for (name, text) in &files {
            node = node.file(name, text);
        }
        let named = place.trim_end_matches(":null");
        let words: Vec<&str> = ["apply", "--on-conflict", "fail", "--set", "audit_log_maxage=5"]
            .iter()
            .chain(&VERSION)
            .copied()
            .collect();
        let refused = node.run(&words);
        assert_eq!(refused.code, 1, "{files:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(&format!("error: {named}")), "{files:?}: {}", refused.stderr);
        for verb in ["plan", "apply", "plan", "apply"] {
            let warnings = kept(&node, verb, &[]);
            assert!(warnings.len() == 1 && warnings[0].starts_with(named), "{verb} {files:?}: {warnings:#?}");
            for part in ["1.2.1 (", "will fail", "Remove anonymous-auth from kube-apiserver-arg"] {
                assert!(warnings[0].contains(part), "{part}: {}", warnings[0]);
            }
        }
        let (status, places) = verdict(&node, "1.2.1");
        assert_eq!((status.as_str(), &places[0]), ("fail", &place), "{files:?}");
        let told = node.run(&["explain", "1.2.1", "--format", "json"]).stdout;
        let explanation: Value = serde_json::from_str(&told).unwrap();
        let set = &explanation["controls"][0]["set_by"][0];
        let where_set = format!("{}:{}", set["file"].as_str().unwrap_or_default(), set["line"]);
        assert_eq!(where_set, place, "{files:?}: {set}");
    }
}

/// Every list: those of the other components, and a file of the kubelet's.
#[test]
fn every_list_is_named_by_its_own_line() {
    for (file, text, id, line) in [
        (
            CONFIG,
            "kube-controller-manager-arg:\n- terminated-pod-gc-threshold=0\n- profiling=true\n",
            "1.3.2",
            3,
        ),
        (CONFIG, "\nkube-controller-arg: [profiling=true]\n", "1.3.2", 2),
        (CONFIG, "kube-scheduler-arg: [profiling=true]\n", "1.4.1", 1),
        (CONFIG, "kubelet-arg:\n- make-iptables-util-chains=false\n- anonymous-auth=true\n", "4.2.1", 3),
        (
            KUBELET_FILE,
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nauthentication: {anonymous: {enabled: true}}\n",
            "4.2.1",
            3,
        ),
    ] {
        let node = Node::new().file(file, text);
        for verb in ["plan", "apply", "apply"] {
            let warnings = kept(&node, verb, &[]);
            let own = |text: &&String| {
                text.starts_with(&format!("/{file}:{line}:")) && text.contains(&format!(" {id} ("))
            };
            assert_eq!(warnings.iter().filter(own).count(), 1, "{verb} {text:?}: {warnings:#?}");
        }
        let (status, places) = verdict(&node, id);
        assert_eq!((status.as_str(), &places[0]), ("fail", &format!("/{file}:{line}")), "{text:?}");
    }
}

/// A list that is united: the word that the control is about leads to the user's line, a word that is only lacking does not.
#[test]
fn a_word_of_a_united_list_is_the_users() {
    let node = Node::new().file(CONFIG, "kube-apiserver-arg:\n- enable-admission-plugins=AlwaysAdmit\n");
    for verb in ["plan", "apply", "plan"] {
        let warnings = kept(&node, verb, &[]);
        assert_eq!(warnings.len(), 1, "{verb}: {warnings:#?}");
        assert!(
            warnings[0].starts_with(&format!("/{CONFIG}:2:3: ")) && warnings[0].contains(" 1.2.10 ("),
            "{warnings:?}"
        );
    }
    let drop_in = "/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml:";
    let (status, places) = verdict(&node, "1.2.10");
    assert!(
        status == "fail" && places[0] == format!("/{CONFIG}:2") && places[1].starts_with(drop_in),
        "{places:?}"
    );
    let (status, places) = verdict(&node, "1.2.11");
    assert!(
        status == "warn" && places[0].starts_with(drop_in) && places[1] == format!("/{CONFIG}:2"),
        "{places:?}"
    );
    let (status, places) = verdict(&node, "1.2.14");
    assert!(status == "pass" && places[0].starts_with(drop_in), "{places:?}");
}

/// A line that is gone is not named: what the drop-in has is still in force.
#[test]
fn a_line_that_is_gone_is_not_named() {
    let node = Node::new().file(CONFIG, "kube-apiserver-arg: [audit-log-maxage=5, anonymous-auth=true]\n");
    kept(&node, "apply", &[]);
    let node = node.file(CONFIG, "kube-apiserver-arg: [audit-log-maxage=5]\n");
    let (status, places) = verdict(&node, "1.2.1");
    assert!(status == "fail" && places[0].contains("90-k3s-harden.yaml:"), "{places:?}");
    assert!(kept(&node, "apply", &[]).is_empty());
    assert_eq!(verdict(&node, "1.2.1").0, "pass");
}

#[test]
fn who_has_decided_is_not_warned() {
    let open = "kube-apiserver-arg: [anonymous-auth=true]\nkubelet-arg: [make-iptables-util-chains=false]\n";
    let waiver = "waivers:\n  - {control: \"1.2.1\", reason: a probe, who: J. Doe}\n";
    let node = Node::new().file(CONFIG, open);
    assert_eq!(kept(&node, "plan", &[]).len(), 1);
    let skipped = kept(&node, "plan", &["--skip", "make-iptables-util-chains"]);
    assert_eq!(skipped.len(), 1, "{skipped:#?}");
    let node = node.file("etc/k3s-harden/settings.yaml", waiver);
    assert!(kept(&node, "plan", &[]).is_empty());
    let ended = waiver.replace("reason:", "until: 2020-01-01, reason:");
    let node = node.file("etc/k3s-harden/settings.yaml", &ended);
    assert_eq!(kept(&node, "plan", &[]).len(), 1);
}

#[test]
fn harmless_values_are_not_warned_of() {
    let text = "token: x\nkube-apiserver-arg: [v=2, anonymous-auth=false, profiling=false, enable-admission-plugins=NodeRestriction]\nkubelet-arg: [max-pods=50, anonymous-auth=false]\n";
    let node = Node::new().file(CONFIG, text);
    assert!(kept(&node, "plan", &[]).is_empty() && kept(&node, "apply", &[]).is_empty());
}

/// What keeps K3s from starting is in the user's line too, not in a drop-in that is put back.
#[test]
fn a_start_that_fails_names_the_users_line() {
    let text = "kube-apiserver-arg:\n  - audit-log-maxage=5\n  - request-timeout=soon\n  - v=many\n";
    let node = Node::new().file(CONFIG, text);
    let words: Vec<&str> = ["apply"].iter().chain(&VERSION).copied().collect();
    let done = node.run(&words);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains(&format!("/{CONFIG}:4:5")), "{}", done.stderr);
    assert!(!done.stderr.contains("90-k3s-harden.yaml:"), "{}", done.stderr);
}
