// SPDX-License-Identifier: Apache-2.0
//! From the oldest minor to the newest, one after the other on one root.

use std::collections::{BTreeMap, BTreeSet};

use k3s_harden::Role;
use k3s_harden::k3s::Datastore;
use k3s_harden::profile::declarations;
use k3s_harden::verify::controls;
use k3s_harden::version::KubernetesMinor;
use serde_json::Value;

use super::bed::{json, run, same, start, state};
use crate::support::Node;

/// Returns the status of each control by its name.
fn statuses(node: &Node) -> BTreeMap<String, String> {
    let report: Value = serde_json::from_str(&node.run(&["verify", "--format", "json"]).stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let known = controls(report["benchmark"].as_str().unwrap()).unwrap();
    let ids: BTreeMap<String, String> =
        known.into_iter().map(|control| (control.id.to_string(), control.name)).collect();
    let found = report["controls"].as_array().unwrap().iter();
    found.map(|control| (ids[&text(&control["id"])].clone(), text(&control["status"]))).collect()
}

/// The controls of which a benchmark asks the contrary of the one before, with the first minor that it is judged by: benchmark
/// 1.7 wants the plugin DenyServiceExternalIPs on, and 1.24 wanted it off.
const REVERSED: [(&str, &str); 1] = [("deny-service-external-ips", "1.25")];

#[test]
fn a_chain_of_upgrades_loses_no_pass_and_leads_back_run_by_run() {
    for (role, profile) in [("server", "cis"), ("server", "cis,strict"), ("agent", "cis")] {
        let node = Node::new();
        let first = state(&node);
        let (mut before, mut passed) = (Vec::new(), BTreeMap::<String, String>::new());
        let minors = KubernetesMinor::supported();
        for (index, minor) in minors.iter().enumerate() {
            let (minor, when) = (minor.to_string(), format!("{role} {profile} {minor}"));
            let words = ["--k3s-version", &minor, "--role", role, "--profile", profile];
            let plan = json(&node, 0, &[&["plan", "-q"], &words[..]].concat());
            if let (Some(previous), true) = (index.checked_sub(1), plan["changed"] == true) {
                assert_eq!(plan["upgrade"]["from"], minors[previous].to_string(), "{when}");
            }
            before.push(state(&node));
            run(&node, 0, &[&["apply", "-q"], &words[..]].concat());
            let there = node.fingerprint();
            assert_eq!(run(&node, 0, &["apply"]).stdout, "Nothing to change.\n", "{when}");
            assert_eq!(node.fingerprint(), there, "{when}: the second apply writes nothing");
            let answer = json(&node, 0, &["preflight"]);
            assert_eq!(answer["starts"], true, "{when}: {answer:#}");
            let now = statuses(&node);
            for (name, status) in &passed {
                let is_reversed = REVERSED.contains(&(name.as_str(), minor.as_str()));
                if status == "pass"
                    && !is_reversed
                    && let Some(now) = now.get(name)
                {
                    assert!(now == "pass" || now == "not_applicable", "{when}: {name} passed, and is {now}");
                }
            }
            passed = now;
        }
        // Each run told another version, so each is in the history.
        let runs = json(&node, 0, &["history"]);
        assert_eq!(runs["runs"].as_array().unwrap().len(), before.len());
        for (state_before, minor) in before.iter().zip(&minors).rev() {
            run(&node, 0, &["rollback"]);
            same(&state(&node), state_before, &format!("{role} {profile}: before {minor}"));
        }
        same(&state(&node), &first, &format!("{role} {profile}: all rollbacks"));
    }
}

/// Tells whether a setting of a file that not every node has is off, and writes nothing: a minor may have it for the first time.
fn is_off(name: &str, differing: &serde_json::Map<String, Value>) -> bool {
    let is_off =
        |name: &str| differing.get(name).is_some_and(|values| values[1] == "off" || values[1] == false);
    match name {
        "anonymous_health" => is_off(name),
        _ => name.starts_with("admission_") && is_off("admission_policies"),
    }
}

#[test]
fn profile_diff_and_plan_agree_on_each_step_between_neighbours() {
    for profile in ["cis", "cis,strict"] {
        let node = Node::new();
        let minors = KubernetesMinor::supported();
        run(&node, 0, &["apply", "-q", "--k3s-version", &minors[0].to_string(), "--profile", profile]);
        start(&node, &minors[0].to_string(), Role::Server, Datastore::Sqlite);
        for pair in minors.windows(2) {
            let [old, new] = pair else { unreachable!() };
            let when = format!("{profile}: {old} to {new}");
            let plan = json(&node, 0, &["plan", "-q", "--k3s-version", &new.to_string()]);
            let differing = match profile {
                "cis" => {
                    let (a, b) = (format!("cis@{old}"), format!("cis@{new}"));
                    let diff = json(&node, 0, &["profile", "diff", &a, &b]);
                    diff["settings"].as_object().unwrap().clone()
                }
                _ => plan["upgrade"]["settings"].as_object().cloned().unwrap_or_default(),
            };
            if plan["changed"] == true {
                let told = plan["upgrade"]["settings"].as_object().unwrap();
                assert_eq!(*told, differing, "{when}");
            } else {
                assert!(differing.keys().all(|name| is_off(name, &differing)), "{when}: {differing:?}");
            }
            // What the bytes of the files say, and what the profiles do, is the same.
            let known = declarations();
            let by_bytes: BTreeSet<&str> = plan["takes_effect"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|effect| effect["what"].as_str())
                .filter(|name| known.contains_key(*name))
                .collect();
            let by_profile: BTreeSet<&str> =
                differing.keys().map(String::as_str).filter(|name| !is_off(name, &differing)).collect();
            assert_eq!(by_bytes, by_profile, "{when}");
            run(&node, 0, &["apply", "-q", "--k3s-version", &new.to_string()]);
        }
    }
}

#[test]
fn over_the_end_of_pod_security_policies_the_plan_says_what_to_do_in_the_cluster() {
    let recorded = Node::new();
    run(&recorded, 0, &["apply", "-q", "--k3s-version", "1.24"]);
    let by_hand = "kube-apiserver-arg:\n  - enable-admission-plugins=NodeRestriction,PodSecurityPolicy,NamespaceLifecycle,ServiceAccount\n";
    let by_hand = Node::new().file("etc/rancher/k3s/config.yaml", by_hand);
    for (node, from) in [(&recorded, Value::from("1.24")), (&by_hand, Value::Null)] {
        let plan = json(node, 0, &["plan", "-q", "--k3s-version", "1.25"]);
        let upgrade = &plan["upgrade"];
        assert_eq!((&upgrade["from"], &upgrade["to"]), (&from, &Value::from("1.25")));
        assert_eq!(upgrade["borders"][0]["to"], "1.25");
        let lists = |name: &str| upgrade["borders"][0][name].to_string();
        for field in
            ["seccompProfile", "allowPrivilegeEscalation: false", "drop: [ALL]", "runAsNonRoot: true"]
        {
            assert!(lists("refused").contains(field), "{field}: {}", lists("refused"));
        }
        assert!(lists("admitted").contains("NET_BIND_SERVICE") && lists("same").contains("volumes"));
        let steps: Vec<String> = plan["steps"].as_array().unwrap().iter().map(ToString::to_string).collect();
        let at = |words: &str| {
            steps
                .iter()
                .position(|step| step.contains(words))
                .unwrap_or_else(|| panic!("{words}: {steps:#?}"))
        };
        let order = [
            "--dry-run=server",
            "k3s-harden apply --k3s-version 1.25",
            "Upgrade K3s to 1.25",
            "Remove the roles",
        ];
        assert!(order.map(at).is_sorted(), "{steps:#?}");
        assert!(steps[at("k3s-harden apply")].contains("neither restart k3s"));
        // The text has the same, numbered.
        let text = run(node, 0, &["plan", "-q", "--k3s-version", "1.25"]).stdout;
        assert!(text.contains(" 1. (before) Find the pods that the level restricted refuses"), "{text}");
        // Nothing of it is run, and on the other side of the border there is nothing to do.
        run(node, 0, &["apply", "-q", "--k3s-version", "1.25"]);
        let after = json(node, 0, &["plan", "-q", "--k3s-version", "1.25"]);
        assert!(after.get("steps").is_none() && after.get("upgrade").is_none(), "{after:#}");
    }
    // What goes out of policy.yaml is named by its own names.
    let node = Node::new();
    run(&node, 0, &["apply", "-q", "--k3s-version", "1.24"]);
    let plan = json(&node, 0, &["plan", "-q", "--k3s-version", "1.25"]);
    let last = plan["steps"].as_array().unwrap().last().unwrap().to_string();
    assert!(last.contains("k3s kubectl delete clusterrole psp:restricted-psp"), "{last}");
    assert!(!last.contains("delete podsecuritypolicy") && !last.contains("networkpolicy"), "{last}");
    // Another level is not what the lists are about.
    let baseline = ["plan", "-q", "--k3s-version", "1.25", "--set", "pod_security_enforce=baseline"];
    let plan = json(&node, 0, &baseline);
    assert_eq!(plan["upgrade"]["borders"][0]["refused"].as_array().unwrap().len(), 0);
    assert!(plan["steps"][0].to_string().contains("enforce=baseline"));
    // Without the plugin nothing is said.
    let without = Node::new();
    let plan = json(&without, 0, &["plan", "-q", "--k3s-version", "1.25"]);
    assert!(plan.get("steps").is_none(), "{plan:#}");
}
