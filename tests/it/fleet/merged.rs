// SPDX-License-Identifier: Apache-2.0
//! What becomes of reports that are whole: groups, counts, which report counts, exit codes.

use k3s_harden::verify::controls;
use serde_json::{Value, json};

use super::sample::{FLEET, Folder, fleet, report, with, with_control};
use crate::reports::schema;

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect()
}

fn kinds(merged: &Value) -> Vec<&str> {
    merged["remarks"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect()
}

#[test]
fn for_people() {
    let done = fleet().merge(&FLEET);
    assert_eq!((done.code, done.stderr.as_str()), (2, ""));
    insta::assert_snapshot!(done.stdout);
}

#[test]
fn for_programs() {
    let published: Value =
        serde_json::from_str(include_str!("../../../docs/schema/report-merge.json")).unwrap();
    let folder = fleet();
    let merged = folder.merged(&FLEET);
    schema::check(&published, &merged);
    let groups: Vec<Vec<&str>> =
        merged["groups"].as_array().unwrap().iter().map(|group| names(&group["nodes"])).collect();
    assert_eq!(groups, [vec!["web-1", "web-2"], vec!["web-3"], vec!["db-1"], vec!["app-1"]]);
    assert_eq!(merged["groups"][1]["waived"], json!(["pod-max-pids"]));
    assert_eq!(merged["benchmarks"], json!({"1.12": 4, "2.0": 1}));
    let first = &merged["controls"][0];
    assert_eq!((&first["name"], &first["nodes"]["fail"]), (&json!("audit-log-path"), &json!(3)));
    let seen: Vec<(&str, u64)> = first["seen"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["actual"].as_str().unwrap(), one["nodes"].as_u64().unwrap()))
        .collect();
    assert_eq!(seen, [("not set", 2), ("off", 1)]);
    assert_eq!(kinds(&merged), ["several-machines", "forecast"]);
    // The order of the files is that of a shell, and changes nothing.
    let mut turned = FLEET;
    turned.reverse();
    let mut other = folder.merged(&turned);
    other["superseded"].as_array_mut().unwrap().reverse();
    assert_eq!(other, merged);
}

/// Every field of the schema is in some answer, and every field of an answer in the schema.
#[test]
fn the_schema_has_each_field() {
    let published: Value =
        serde_json::from_str(include_str!("../../../docs/schema/report-merge.json")).unwrap();
    let folder = fleet();
    let before = folder.merge(&["--format", "json", "web-1.json"]).stdout;
    let merged =
        folder.file("before.json", before).merged(&[&["--baseline", "before.json"], &FLEET[..]].concat());
    schema::check(&published, &merged);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&merged), keys(&published["properties"]));
    for (list, definition) in [
        ("nodes", "node"),
        ("groups", "group"),
        ("controls", "control"),
        ("broken", "broken"),
        ("superseded", "superseded"),
        ("remarks", "remark"),
    ] {
        assert_eq!(keys(&merged[list][0]), keys(&published["$defs"][definition]["properties"]), "{list}");
    }
    assert_eq!(keys(&merged["trend"]), keys(&published["$defs"]["trend"]["properties"]));
}

#[test]
#[should_panic(expected = "$.nodes[0].group: minimum")]
fn the_schema_refuses_a_group_that_is_none() {
    let published: Value =
        serde_json::from_str(include_str!("../../../docs/schema/report-merge.json")).unwrap();
    let mut merged = fleet().merged(&FLEET);
    merged["nodes"][0]["group"] = 0.into();
    schema::check(&published, &merged);
}

#[test]
fn the_newer_report_of_a_host_counts_and_the_other_is_named() {
    let failing = report("a", "1.12", &[("audit-log-path", "fail")]);
    for (time, counts) in [("2026-11-24T23:59:59Z", "new"), ("2026-11-26T00:00:00Z", "old")] {
        let folder = Folder::new()
            .report("new.json", &report("a", "1.12", &[]))
            .report("old.json", &with(failing.clone(), "time", time));
        for files in [["new.json", "old.json"], ["old.json", "new.json"]] {
            let merged = folder.merged(&files);
            assert_eq!(merged["nodes"][0]["file"], format!("{counts}.json"));
            assert_eq!(merged["superseded"][0]["by"], format!("{counts}.json"));
            assert_eq!(merged["superseded"].as_array().unwrap().len(), 1);
            assert_eq!(folder.merge(&files).code, if counts == "old" { 2 } else { 0 });
        }
    }
    // Without a time any other is newer.
    let folder = Folder::new()
        .report("none.json", &with(failing, "time", Value::Null))
        .report("new.json", &report("a", "1.12", &[]));
    let merged = folder.merged(&["new.json", "none.json"]);
    assert_eq!((&merged["nodes"][0]["file"], kinds(&merged)), (&json!("new.json"), vec![]));
}

#[test]
fn a_node_without_a_host_is_named_by_its_machine_or_its_file() {
    let nameless = with(report("", "1.12", &[]), "host", Value::Null);
    let machine = with(nameless.clone(), "machine_id_sha256", "c".repeat(64));
    let folder = Folder::new()
        .report("machine.json", &machine)
        .report("again.json", &with(machine.clone(), "time", "2026-11-26T09:00:00Z"))
        .report("edge-7.json", &nameless)
        .file("cut", "");
    std::fs::create_dir(folder.path().join("b")).unwrap();
    let folder = folder.report("b/edge-7.json", &nameless).report("edge-8.json", &nameless);
    let merged =
        folder.merged(&["machine.json", "again.json", "edge-7.json", "b/edge-7.json", "edge-8.json"]);
    let mut found: Vec<(&str, &str)> = merged["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["name"].as_str().unwrap(), node["named_by"].as_str().unwrap()))
        .collect();
    found.sort_unstable();
    let machine = "c".repeat(64);
    // Two files of one name are two nodes.
    let wanted = [
        ("b/edge-7.json", "file"),
        (machine.as_str(), "machine_id"),
        ("edge-7.json", "file"),
        ("edge-8", "file"),
    ];
    assert_eq!(found, wanted);
    assert_eq!(merged["superseded"][0]["file"], "machine.json");
    assert_eq!(kinds(&merged), ["no-host"]);
}

#[test]
fn older_formats_and_other_versions_are_merged_and_named() {
    let mut old = report("old", "1.12", &[]);
    for name in ["host", "time", "tool_version", "k3s_version"] {
        old.as_object_mut().unwrap().remove(name);
    }
    let newer = with_control(
        with(with(report("newer", "1.12", &[]), "format_version", "1.7"), "tool_version", "0.9.0"),
        "audit-log-path",
        "status",
        "half",
    );
    let folder = Folder::new()
        .report("old.json", &with(old, "format_version", "1.0"))
        .report("newer.json", &newer)
        .report("now.json", &report("now", "1.12", &[]))
        .report("next.json", &with(report("next", "1.12", &[]), "benchmark", "3.7"));
    let merged = folder.merged(&["old.json", "newer.json", "now.json", "next.json"]);
    assert_eq!(
        kinds(&merged),
        ["unknown-benchmark", "unknown-status", "no-time", "no-host", "formats", "tools"]
    );
    let status = |name: &str| {
        let group =
            merged["groups"].as_array().unwrap().iter().find(|one| names(&one["nodes"]).contains(&name));
        group.unwrap()["verdicts"]["audit-log-path"].clone()
    };
    assert_eq!(status("newer"), "unknown", "a word that is not known is no pass");
    assert_eq!(status("old"), "pass");
    // A benchmark that is not known may have controls that are not there.
    let codes = |files: &[&str]| folder.merge(&[&["--fail-on", "unknown"], files].concat()).code;
    assert_eq!((codes(&["now.json"]), codes(&["next.json"]), codes(&["newer.json"])), (0, 3, 3));
}

#[test]
fn a_report_of_some_controls_is_named() {
    let mut part = report("part", "1.12", &[]);
    part["controls"].as_array_mut().unwrap().truncate(20);
    let folder = Folder::new().report("part.json", &part).report("whole.json", &report("whole", "1.12", &[]));
    let merged = folder.merged(&["part.json", "whole.json"]);
    assert_eq!(kinds(&merged), ["incomplete"]);
    assert_eq!(merged["remarks"][0]["nodes"], json!(["part"]));
    assert!(merged["remarks"][0]["message"].as_str().unwrap().contains("for 111 of the 131 controls"));
    assert_eq!(folder.merge(&["--fail-on", "unknown", "part.json"]).code, 3);
    assert_eq!(folder.merge(&["--fail-on", "unknown", "whole.json"]).code, 0);
}

#[test]
fn it_fails_as_verify_does() {
    let waiver = |until: &str| json!({"control": "x", "reason": "r", "who": "w", "until": until});
    let failing = |status| report("a", "1.12", &[("audit-log-path", status)]);
    let waived = |status, until| with_control(failing(status), "audit-log-path", "waiver", waiver(until));
    let lapsed = with_control(failing("manual"), "audit-log-path", "lapsed", true);
    for (name, report, codes) in [
        ("pass", failing("pass"), [0, 0, 0, 0]),
        ("manual", failing("manual"), [0, 0, 0, 0]),
        ("fail", failing("fail"), [2, 2, 2, 0]),
        ("warn", failing("warn"), [0, 2, 2, 0]),
        ("unknown", failing("unknown"), [0, 0, 3, 0]),
        ("waived", waived("fail", "2999-12-31"), [0, 0, 0, 0]),
        // It counted when the report was made, and no longer does.
        ("ended", waived("fail", "2026-01-31"), [2, 2, 2, 0]),
        ("ended and manual", waived("manual", "2026-01-31"), [2, 2, 2, 0]),
        ("lapsed", lapsed, [2, 2, 2, 0]),
    ] {
        let folder = Folder::new()
            .report("a.json", &report)
            .report("b.json", &super::sample::report("b", "1.12", &[]));
        for (on, code) in ["fail", "warn", "unknown", "never"].iter().zip(codes) {
            let done = folder.merge(&["--fail-on", on, "a.json", "b.json"]);
            assert_eq!(done.code, code, "{name}, {on}: {}", done.stdout);
        }
        assert_eq!(folder.merge(&["a.json", "b.json"]).code, codes[0], "{name}");
    }
}

/// What `verify` itself writes is whole, in each role, and its lapsed waivers are told.
#[test]
fn what_verify_writes_is_merged() {
    let settings = "waivers:\n- {control: event-rate-limit, reason: r, who: w, until: 2020-01-31}\n";
    let mut folder = Folder::new();
    for (role, settings) in [("server", ""), ("agent", ""), ("server", settings)] {
        let node = crate::support::Node::new().file("etc/k3s-harden/settings.yaml", settings);
        let name = format!("{role}-{}", settings.len());
        assert_eq!(node.run(&["apply", "-q", "--k3s-version", "1.33", "--role", role]).code, 0);
        let done = node.run(&["verify", "--format", "json", "--node", &name]);
        folder = folder.file(&format!("{name}.json"), done.stdout);
    }
    let lapsed = format!("server-{}", settings.len());
    let files = ["server-0.json", "agent-0.json", &format!("{lapsed}.json")];
    let merged = folder.merged(&files);
    assert_eq!(kinds(&merged), ["waiver-not-counted", "forecast"], "{:#}", merged["remarks"]);
    assert_eq!(merged["nodes"].as_array().unwrap().len(), 3);
    let codes = files.map(|file| folder.merge(&[file]).code);
    assert_eq!(codes, [0, 0, 2], "a waiver that has ended fails, as in verify");
}

#[test]
fn what_is_typed_has_to_make_sense() {
    let folder = Folder::new().report("a.json", &report("a", "1.12", &[]));
    assert_eq!(folder.merge(&[]).code, 64);
    for format in ["junit", "sarif", "kube-bench"] {
        let done = folder.merge(&["--format", format, "a.json"]);
        assert_eq!(done.code, 64);
        assert!(done.stderr.contains("text, json or html"), "{}", done.stderr);
    }
}

/// A thousand reports of nodes that all differ, 90 MB: what is kept of each is little.
#[test]
#[ignore = "needs a shell with ulimit, and a while"]
fn a_thousand_reports_take_little_memory() {
    const KILOBYTES: u32 = 250_000;
    let names: Vec<String> = controls("1.12").unwrap().into_iter().map(|control| control.name).collect();
    let mut folder = Folder::new();
    for number in 0..1000 {
        let (one, other) = (&names[number % names.len()], &names[(number * 7 + number / 131) % names.len()]);
        let statuses = [(one.as_str(), "fail"), (other.as_str(), "warn")];
        let mut report = report(&format!("node-{number:04}"), "1.12", &statuses);
        for control in report["controls"].as_array_mut().unwrap() {
            control["evidence"] = json!([{"text": "x".repeat(500), "path": format!("/{number}")}]);
        }
        folder = folder.report(&format!("{number:04}.json"), &report);
    }
    for format in ["text", "json", "html"] {
        let begin = std::time::Instant::now();
        let script = format!("ulimit -v {KILOBYTES}; exec \"$0\" report merge --format {format} *.json");
        let mut command = std::process::Command::new("sh");
        command.current_dir(folder.path()).args(["-c", &script, env!("CARGO_BIN_EXE_k3s-harden")]);
        let done = crate::support::finish(command, folder.path());
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stdout.contains("1000"), "{format}");
        println!("a thousand reports as {format}: {:.1} s", begin.elapsed().as_secs_f64());
    }
}
