// SPDX-License-Identifier: Apache-2.0
//! What a run means for a K3s that runs: when each setting takes effect, what is too late, and whether K3s runs with what the
//! newest run wrote.

use std::fs;

use k3s_harden::Role;
use k3s_harden::k3s::Datastore;
use serde_json::{Value, json};

use super::bed::{K3S, encryption, json as answer, now, run, start, started_at};
use crate::support::Node;

/// The nodes on which K3s has started, hardened before.
fn nodes() -> Vec<(&'static str, Node)> {
    let made = [
        ("sqlite", Role::Server, Datastore::Sqlite, ""),
        ("etcd", Role::Server, Datastore::Etcd, "cluster-init: true\n"),
        (
            "external",
            Role::Server,
            Datastore::External,
            "datastore-endpoint: mysql://u:p@tcp(10.0.0.9:3306)/k3s\n",
        ),
        ("agent", Role::Agent, Datastore::Sqlite, "server: https://10.0.0.1:6443\ntoken: t\n"),
    ];
    made.into_iter()
        .map(|(name, role, datastore, config)| {
            let node = Node::new().file("etc/rancher/k3s/config.yaml", config);
            run(&node, 0, &["apply", "-q", "--k3s-version", "1.33", "--role", &role.to_string()]);
            start(&node, "1.33", role, datastore);
            (name, node)
        })
        .collect()
}

fn effects(plan: &Value, when: &str) -> Vec<String> {
    let all = plan["takes_effect"].as_array().into_iter().flatten();
    all.filter(|effect| effect["when"] == when)
        .map(|effect| effect["what"].as_str().unwrap().to_owned())
        .collect()
}

/// The commands of a plan's steps, in their order.
fn commands(plan: &Value) -> Vec<&str> {
    let steps = plan["steps"].as_array().into_iter().flatten();
    steps
        .flat_map(|step| step["commands"].as_array().unwrap())
        .map(|command| command.as_str().unwrap())
        .collect()
}

#[test]
fn what_needs_a_restart_is_told_from_what_is_live() {
    for (name, node) in nodes() {
        let plan = answer(&node, 0, &["plan", "-q"]);
        assert_eq!(
            (&plan["changed"], &plan["restart_required"]),
            (&json!(false), &json!([])),
            "{name}: {plan:#}"
        );
        let set = ["--set", "pod_max_pids=77", "--set", "audit_log_maxage=90", "--set", "namespaces=shop"];
        let plan = answer(&node, 0, &[&["plan", "-q"], &set[..]].concat());
        let is_agent = name == "agent";
        let restart: &[&str] =
            if is_agent { &["pod_max_pids"] } else { &["audit_log_maxage", "pod_max_pids"] };
        let live: &[&str] = if is_agent { &[] } else { &["namespaces"] };
        assert_eq!(plan["restart_required"], json!(restart), "{name}");
        assert_eq!(effects(&plan, "live"), live, "{name}");
        let applied = answer(&node, 0, &[&["apply", "-q"], &set[..]].concat());
        assert_eq!(applied["restart_required"], json!(restart), "{name}");
        // The text says the same.
        let text = run(&node, 0, &["plan", "-q", "--set", "pod_max_pids=78"]).stdout;
        let service = if is_agent { "k3s-agent" } else { "k3s" };
        let line = format!("when K3s starts again (systemctl restart {service}): pod_max_pids\n");
        assert!(text.contains(&line), "{name}: {text}");
    }
    // Before the first start there is nothing to restart.
    let plan = answer(&Node::new(), 0, &["plan", "-q", "--k3s-version", "1.33"]);
    assert!(plan["restart_required"] == json!([]) && plan.get("takes_effect").is_none());
}

#[test]
fn a_plugin_and_a_document_are_named_by_their_settings() {
    let node = Node::new();
    run(&node, 0, &["apply", "-q", "--k3s-version", "1.33"]);
    start(&node, "1.33", Role::Server, Datastore::Sqlite);
    let set = ["--set", "event_rate_limit=true", "--set", "pod_security_warn=baseline"];
    let plan = answer(&node, 0, &[&["plan", "-q"], &set[..]].concat());
    assert_eq!(plan["restart_required"], json!(["event_rate_limit", "pod_security_warn"]));
}

#[test]
fn verify_says_whether_k3s_runs_with_what_the_newest_run_wrote() {
    for (name, node) in nodes() {
        let running = |node: &Node| {
            let output = node.run(&["verify", "--format", "json"]);
            serde_json::from_str::<Value>(&output.stdout).unwrap()["running"].clone()
        };
        let text = |node: &Node| node.run(&["verify"]).stdout;
        // It has started an hour before the run.
        let stale = running(&node);
        assert_eq!((&stale["state"], &stale["runs"]), (&json!("stale"), &json!([1])), "{name}");
        assert!(text(&node).contains("K3s still uses the configuration from before run 1"), "{name}");
        started_at(&node, now() + 60);
        assert_eq!(running(&node)["state"], "current", "{name}");
        // The log tells of a later start than the files do, too.
        started_at(&node, now() - 3600);
        let line = "time=\"2099-11-25T09:30:00Z\" level=info msg=\"Running kubelet --a=1\"\n";
        let node = node.file("var/log/k3s.log", line);
        assert_eq!(running(&node)["state"], "current", "{name}");
    }
    let node = Node::new().file(&format!("{K3S}/server/token"), "t");
    run(&node, 0, &["apply", "-q", "--k3s-version", "1.33", "--set", "secrets_encryption=false"]);
    let output = node.run(&["verify", "--format", "json"]);
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(report["running"]["state"], "unknown");
    // A run that only changes what is live leaves it current.
    let node = Node::new();
    run(&node, 0, &["apply", "-q", "--k3s-version", "1.33", "--only", "network-policies"]);
    start(&node, "1.33", Role::Server, Datastore::Sqlite);
    let output = node.run(&["verify", "--format", "json"]);
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert!(report.get("running").is_none(), "{}", report["running"]);
}

#[test]
fn late_encryption_is_refused_with_its_steps_and_verify_tells_the_stage() {
    let node = Node::new();
    start(&node, "1.36", Role::Server, Datastore::Sqlite);
    let config = node.path().join(K3S).join("server/cred/encryption-config.json");
    fs::remove_file(&config).unwrap();
    let words = ["--k3s-version", "v1.36.3+k3s1"];
    let refused = run(&node, 1, &[&["apply", "-q"], &words[..]].concat()).stderr;
    assert!(refused.contains("turned on by configuration alone"), "{refused}");
    let plan = answer(&node, 0, &[&["plan", "-q"], &words[..]].concat());
    const STEPS: [&str; 5] = [
        "k3s secrets-encrypt enable",
        "k3s-harden apply",
        "systemctl restart k3s",
        "k3s secrets-encrypt rotate-keys",
        "systemctl restart k3s",
    ];
    assert_eq!(commands(&plan), STEPS);
    let insists = answer(&node, 0, &[&["plan", "-q", "--late-encryption"], &words[..]].concat());
    assert_eq!(commands(&insists), STEPS[1..]);
    assert!(plan["steps"].as_array().unwrap().iter().all(|step| step["check"].is_string()));
    assert_eq!(effects(&plan, "too_late"), ["secrets_encryption"]);
    let stage = |node: &Node| {
        let output = node.run(
            &[&["verify", "--only", "encryption-provider-config", "--format", "json"], &words[..]].concat(),
        );
        let report: Value = serde_json::from_str(&output.stdout).unwrap();
        let evidence = report["controls"][0]["evidence"].as_array().unwrap().clone();
        let text =
            evidence.iter().filter_map(|one| one["text"].as_str()).find(|text| text.starts_with("stage: "));
        (report["controls"][0]["status"].as_str().unwrap().to_owned(), text.unwrap_or_default().to_owned())
    };
    let (status, text) = stage(&node);
    assert!(
        status != "pass" && text.ends_with("the next step: k3s secrets-encrypt enable"),
        "{status}: {text}"
    );
    // The command was given: apply goes on, and says so.
    fs::write(&config, encryption("identity")).unwrap();
    let (status, text) = stage(&node);
    assert!(status != "pass" && text.contains("the next step: k3s-harden apply"), "{status}: {text}");
    let plan = answer(&node, 0, &[&["plan", "-q"], &words[..]].concat());
    assert_eq!(
        (commands(&plan), effects(&plan, "too_late")),
        (STEPS[1..].to_vec(), vec!["secrets_encryption".to_owned()])
    );
    // Nothing is encrypted yet, so the way back is open.
    run(&node, 0, &[&["apply", "-q"], &words[..]].concat());
    run(&node, 0, &["rollback", "-q"]);
    run(&node, 0, &[&["apply", "-q"], &words[..]].concat());
    let (status, text) = stage(&node);
    assert!(status != "pass" && text.ends_with("k3s secrets-encrypt rotate-keys"), "{status}: {text}");
    fs::write(&config, encryption("aescbc")).unwrap();
    fs::write(config.with_file_name("encryption-state.json"), "reencrypt_finished-0a").unwrap();
    // Without a log nothing says with which arguments it runs.
    assert_eq!(stage(&node), ("unknown".to_owned(), String::new()));
    let log = format!(
        "time=\"t\" level=info msg=\"Running kube-apiserver --encryption-provider-config=/{K3S}/server/cred/encryption-config.json\"\n"
    );
    let node = node.file("var/log/k3s.log", log);
    assert_eq!(stage(&node), ("pass".to_owned(), String::new()));
    // Where `enable` fails, the key comes first, and only if somebody insists.
    let node = Node::new();
    start(&node, "1.36", Role::Server, Datastore::Sqlite);
    fs::remove_file(node.path().join(K3S).join("server/cred/encryption-config.json")).unwrap();
    run(&node, 0, &[&["apply", "-q", "--late-encryption"], &words[..]].concat());
    let (status, text) = stage(&node);
    assert!(
        status != "pass" && text.contains("restart K3s, then k3s secrets-encrypt rotate-keys"),
        "{status}: {text}"
    );
}

#[test]
fn what_is_remembered_is_said_and_what_is_not() {
    let node = Node::new();
    let first =
        run(&node, 0, &["apply", "--k3s-version", "1.33", "--set", "pod_max_pids=77", "--skip", "5.3.2"]);
    assert!(!first.stdout.contains("Options remembered"), "{}", first.stdout);
    let line = "Options remembered from run 1: --k3s-version 1.33 --skip 5.3.2 --set pod_max_pids=77.\n";
    for words in [&["plan"][..], &["plan", "--set", "audit_log_maxage=80"]] {
        let text = node.run(&[words, &["-q"]].concat()).stdout;
        assert!(text.contains(line), "{words:?}: {text}");
    }
    // `verify` judges every control, also those that a run was told to skip.
    let text = node.run(&["verify"]).stdout;
    assert!(text.contains(&line.replace(" --skip 5.3.2", "")), "{text}");
    // What is named anew is not remembered.
    let other = run(&node, 0, &["plan", "-q", "--set", "pod_max_pids=78", "--skip", "none"]).stdout;
    assert!(other.contains("Options remembered from run 1: --k3s-version 1.33.\n"), "{other}");
    let applied = run(&node, 0, &["apply", "--set", "audit_log_maxage=90"]).stdout;
    assert!(applied.contains(line), "{applied}");
    let back = run(&node, 0, &["rollback"]).stdout;
    assert!(
        back.contains("Options remembered again: --k3s-version 1.33 --skip 5.3.2 --set pod_max_pids=77.\n"),
        "{back}"
    );
    let plan = run(&node, 0, &["plan", "-q"]).stdout;
    assert!(
        plan.contains(
            "Options restored by run 3, a rollback: --k3s-version 1.33 --skip 5.3.2 --set pod_max_pids=77."
        ),
        "{plan}"
    );
    let none = run(&node, 0, &["rollback"]).stdout;
    assert!(none.contains("No options are remembered any more"), "{none}");
    let image = Node::new();
    let kept =
        run(&image, 0, &["apply", "--no-history", "--k3s-version", "1.33", "--set", "pod_max_pids=77"])
            .stdout;
    assert!(kept.contains("Not remembered, because this run keeps no history (--no-history): --k3s-version 1.33 --set pod_max_pids=77."), "{kept}");
}

#[test]
fn a_skip_that_is_remembered_is_named_where_it_swallows_a_word() {
    let node = Node::new();
    run(&node, 0, &["apply", "-q", "--k3s-version", "1.33", "--skip", "4.2.13"]);
    let set = ["apply", "--set", "pod_max_pids=1000"];
    let said = run(&node, 0, &set);
    assert!(said.stdout.ends_with("Nothing to change.\n"), "{}", said.stdout);
    assert!(
        said.stderr
            .contains("Skipped controls: 4.2.13 (remembered from run 1). To apply all controls: --skip none"),
        "{}",
        said.stderr
    );
    // It was told once, and the second run is silent.
    assert_eq!(run(&node, 0, &set).stderr, "");
    // What a run is only about is not skipped.
    run(&node, 0, &["apply", "-q", "--only", "4.2.13"]);
    assert!(node.read("etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml").contains("pod-max-pids=1000"));
}
