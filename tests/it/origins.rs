// SPDX-License-Identifier: Apache-2.0
//! Every answer and every report says which node it is about, when it was made, and by what.

use serde_json::Value;

use crate::support::Node;

/// coreutils' SHA-256 of 0123456789abcdef0123456789abcdef.
const HASH: &str = "3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9";

fn node() -> Node {
    Node::new()
        .file("etc/hostname", "node-1\n")
        .file("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        .file("etc/rancher/k3s/config.yaml", "token: x\n")
}

fn json(node: &Node, words: &[&str]) -> Value {
    let done = node.run(&[words, &["--format", "json"]].concat());
    serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{words:?}: {}", done.stderr))
}

fn check(found: &Value, words: &[&str]) {
    assert_eq!(found["host"], "node-1", "{words:?}");
    assert_eq!(found["machine_id_sha256"], HASH, "{words:?}");
    assert_eq!(found["time"], "2026-11-25T09:00:00Z", "{words:?}");
    assert_eq!(found["tool_version"], "VERSION", "{words:?}");
    assert_eq!(found["k3s_version"], "v1.33.4+k3s1", "{words:?}");
}

#[test]
fn every_verb_tells_the_node() {
    let node = node();
    let version = ["--k3s-version", "v1.33.4+k3s1"];
    for words in [
        &["plan"][..],
        &["apply"],
        &["apply"],
        &["preflight"],
        &["verify"],
        &["verify", "--as", "kube-bench"],
        &["explain", "1.2.1"],
        &["effective-config"],
        &["history"],
        &["profile", "list"],
        &["profile", "show", "cis"],
        &["profile", "diff", "cis-1.11", "cis-2.1"],
    ] {
        let about_a_run = !matches!(words[0], "history" | "profile");
        let words = if about_a_run { [words, &version].concat() } else { words.to_vec() };
        let found = json(&node, &words);
        check(&found, &words);
        assert_eq!(found["format_version"], "1.1", "{words:?}");
    }
    for words in [&["rollback"][..], &["uninstall"], &["rollback"]] {
        let found = json(&node, words);
        assert_eq!(
            (&found["host"], &found["machine_id_sha256"]),
            (&"node-1".into(), &HASH.into()),
            "{words:?}"
        );
    }
}

#[test]
fn every_format_tells_the_node() {
    let node = node();
    let version = ["--k3s-version", "v1.33.4+k3s1"];
    assert_eq!(node.run(&[&["apply", "-q"][..], &version].concat()).code, 0);
    for format in ["text", "html", "junit", "sarif", "kube-bench", "json"] {
        let told = node.run(&[&["verify", "--format", format][..], &version].concat()).stdout;
        let time = if format == "html" { "2026-11-25 09:00:00 UTC" } else { "2026-11-25T09:00:00Z" };
        for part in ["node-1", HASH, time, "VERSION", "v1.33.4+k3s1"] {
            assert!(told.contains(part), "{format}: {part}");
        }
    }
    let kube_bench: Value = serde_json::from_str(
        &node.run(&[&["verify", "--format", "kube-bench"][..], &version].concat()).stdout,
    )
    .unwrap();
    check(&kube_bench, &["kube-bench"]);
    let sarif: Value =
        serde_json::from_str(&node.run(&[&["verify", "--format", "sarif"][..], &version].concat()).stdout)
            .unwrap();
    check(&sarif["runs"][0]["properties"], &["sarif"]);
}

#[test]
fn the_user_may_name_the_node() {
    let found = json(&node(), &["verify", "--node", "edge-7", "--k3s-version", "1.33"]);
    assert_eq!((&found["host"], &found["k3s_version"]), (&"edge-7".into(), &"1.33".into()));
    let words = ["verify", "--k3s-version", "1.33", "--format", "json"];
    let told = node().run_with(&words, &[("K3S_HARDEN_NODE", "edge-8")]).stdout;
    assert!(told.contains("\"host\": \"edge-8\""), "{told}");
}

#[test]
fn an_image_is_no_node_yet() {
    let image = Node::new().file("etc/machine-id", "uninitialized\n");
    let found = json(&image, &["verify", "--k3s-version", "1.33"]);
    assert_eq!((found["host"].clone(), found.get("machine_id_sha256")), (Value::Null, None));
}

/// Findings come first, whatever the sections are.
#[test]
fn findings_come_first() {
    let node = node().file("etc/rancher/k3s/config.yaml", "kubelet-arg: [anonymous-auth=true]\n");
    let words = ["verify", "--k3s-version", "1.33"];
    let text = node.run(&words).stdout;
    let heads: Vec<&str> =
        ["Fail (", "Warn (", "Unknown (", "Manual (", "Pass (", "Not applicable ("].to_vec();
    let found: Vec<usize> = heads.iter().map(|head| text.find(&format!("\n{head}")).expect(head)).collect();
    assert!(found.is_sorted(), "{text}");
    let page = node.run(&[&words[..], &["--format", "html"]].concat()).stdout;
    let statuses = ["fail", "warn", "unknown", "manual", "pass", "not_applicable"];
    let at = |status: &&str| {
        assert!(
            page.contains(&format!("<a href=\"#status-{status}\">")),
            "{status} has a tile that leads to it"
        );
        page.find(&format!("id=\"status-{status}\"")).expect(status)
    };
    assert!(statuses.iter().map(at).collect::<Vec<_>>().is_sorted());
}

/// An image before its first start is no broken build; what is unknown for another reason is.
#[test]
fn what_waits_for_the_start_is_skipped_in_junit() {
    let node = node();
    let version = ["--k3s-version", "1.33"];
    assert_eq!(node.run(&[&["apply", "-q"][..], &version].concat()).code, 0);
    let xml = node.run(&["verify", "--format", "junit"]).stdout;
    assert!(!xml.contains("<error"), "{xml}");
    assert!(xml.contains(
        "<skipped message=\"unknown until K3s starts: not created yet: K3s creates it when it first starts\"/>"
    ));
    let broken = node.file("etc/rancher/k3s/config.yaml", "a: [1\n");
    let xml = broken.run(&["verify", "--format", "junit"]).stdout;
    assert!(xml.contains("<error"), "{xml}");
}

/// 2 where something fails, 3 where something is only unknown, 0 else.
#[test]
fn unknown_has_an_exit_code_of_its_own() {
    let node = node();
    let version = ["--k3s-version", "1.33"];
    assert_eq!(node.run(&[&["apply", "-q"][..], &version].concat()).code, 0);
    let code = |words: &[&str]| node.run(&[&["verify"][..], words].concat()).code;
    assert_eq!(code(&["--only", "1.1.13", "--fail-on", "unknown"]), 3);
    assert_eq!(code(&["--only", "1.1.13,1.2.16", "--fail-on", "unknown"]), 3);
    assert_eq!(code(&["--only", "1.2.16", "--fail-on", "unknown"]), 0);
    assert_eq!(code(&["--only", "1.1.13", "--fail-on", "warn"]), 0);
    let open = node.file("etc/rancher/k3s/config.yaml", "kubelet-arg: [anonymous-auth=true]\n");
    let code = |words: &[&str]| open.run(&[&["verify"][..], words].concat()).code;
    assert_eq!(code(&["--only", "1.1.13,4.2.1", "--fail-on", "unknown"]), 2);
    assert_eq!(code(&["--only", "4.2.1", "--fail-on", "unknown"]), 2);
}
