// SPDX-License-Identifier: Apache-2.0
//! What has changed since an older merged report.

use serde_json::{Value, json};

use super::sample::{Folder, report, with, with_control};

/// Merges some nodes and keeps the answer as `before.json`; then the same folder has `now`.
fn since(before: &[Value], now: &[Value]) -> (Folder, Vec<String>) {
    let mut folder = Folder::new();
    let mut files = Vec::new();
    for (index, report) in before.iter().enumerate() {
        files.push(format!("before-{index}.json"));
        folder = folder.report(&files[index], report);
    }
    let words: Vec<&str> = ["--format", "json"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let merged = folder.merge(&words);
    folder = folder.file("before.json", merged.stdout);
    let files: Vec<String> = (0..now.len()).map(|index| format!("now-{index}.json")).collect();
    for (file, report) in files.iter().zip(now) {
        folder = folder.report(file, &with(report.clone(), "time", "2026-11-26T09:00:00Z"));
    }
    (folder, files)
}

fn merged(before: &[Value], now: &[Value]) -> (Value, i32) {
    let (folder, files) = since(before, now);
    let words: Vec<&str> =
        ["--baseline", "before.json"].into_iter().chain(files.iter().map(String::as_str)).collect();
    (folder.merged(&words)["trend"].clone(), folder.merge(&words).code)
}

fn node(host: &str, status: &str) -> Value {
    report(host, "1.12", &[("audit-log-path", status)])
}

#[test]
fn the_same_change_on_several_nodes_is_one() {
    let before = [node("a", "pass"), node("b", "pass"), node("c", "fail"), node("gone", "pass")];
    let now = [node("a", "fail"), node("b", "fail"), node("c", "pass"), node("new", "pass")];
    let (trend, code) = merged(&before, &now);
    assert_eq!(code, 2);
    let changed = |name: &str| {
        let list = trend[name].as_array().unwrap();
        list.iter().map(|one| one["nodes"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(changed("worse"), [json!(["a", "b"])]);
    assert_eq!(changed("better"), [json!(["c"])]);
    assert_eq!((&trend["new_nodes"], &trend["gone_nodes"]), (&json!(["new"]), &json!(["gone"])));
    assert_eq!(trend["worse"][0]["id"], "1.2.16");
    let (folder, files) = since(&before, &now);
    let words: Vec<&str> =
        ["--baseline", "before.json"].into_iter().chain(files.iter().map(String::as_str)).collect();
    insta::assert_snapshot!(folder.merge(&words).stdout.split_once("Since ").unwrap().1);
}

#[test]
fn only_something_worse_fails_unless_more_is_asked() {
    for (before, now, code) in
        [("fail", "fail", 0), ("fail", "pass", 0), ("pass", "unknown", 2), ("warn", "fail", 0)]
    {
        assert_eq!(merged(&[node("a", before)], &[node("a", now)]).1, code, "{before} to {now}");
    }
    let waiver = json!({"control": "x", "reason": "r", "who": "w"});
    let waived = with_control(node("a", "fail"), "audit-log-path", "waiver", waiver);
    let (trend, code) = merged(&[node("a", "pass")], &[waived]);
    assert_eq!((trend["worse"].as_array().unwrap().len(), code), (1, 0), "somebody has accepted it");
    let (folder, _) = since(&[node("a", "fail")], &[node("a", "fail")]);
    let code =
        |words: &[&str]| folder.merge(&[words, &["--baseline", "before.json", "now-0.json"]].concat()).code;
    assert_eq!((code(&[]), code(&["--fail-on", "fail"])), (0, 2));
}

#[test]
fn controls_are_compared_by_name_over_benchmarks() {
    let (trend, code) =
        merged(&[report("a", "1.12", &[])], &[report("a", "2.0", &[("audit-log-path", "fail")])]);
    assert_eq!((trend["worse"].as_array().unwrap().len(), code), (1, 2));
    assert_eq!(trend["remarks"], json!(["1 node judged by another benchmark than then"]));
}

#[test]
fn the_same_reports_again_are_no_news() {
    let (folder, _) = since(&[node("a", "fail")], &[]);
    let trend = folder.merged(&["--baseline", "before.json", "before-0.json"])["trend"].clone();
    assert_eq!(trend["remarks"], json!(["1 node with the same report as then: no newer one was named"]));
    for list in ["worse", "better", "changed", "new", "gone", "new_nodes", "gone_nodes"] {
        assert_eq!(trend[list], json!([]), "{list}");
    }
}

#[test]
fn another_file_is_no_baseline() {
    let (folder, _) = since(&[node("a", "pass")], &[]);
    let merged = std::fs::read_to_string(folder.path().join("before.json")).unwrap();
    let mut other: Value = serde_json::from_str(&merged).unwrap();
    other["nodes"][0]["group"] = 7.into();
    let folder = folder
        .file("group.json", other.to_string())
        .file("next.json", merged.replace("\"format_version\": \"1.", "\"format_version\": \"2."))
        .file("none.json", "{}");
    for (file, why) in [
        ("before-0.json", "it is the report of one node"),
        ("group.json", "nodes[0].group is 7"),
        ("next.json", "its format is \"2."),
        ("none.json", "missing field"),
        ("nowhere.json", "cannot read"),
    ] {
        let done = folder.merge(&["--baseline", file, "before-0.json"]);
        assert_eq!(done.code, 65, "{file}: {}", done.stderr);
        assert!(done.stderr.contains(why), "{file}: {}", done.stderr);
    }
}
