// SPDX-License-Identifier: Apache-2.0
//! Files that are no reports, and reports that mean harm: each is named, none stops the others, and none commands a
//! terminal.

use serde_json::json;

use super::sample::{Folder, report, with, with_control};

/// What is broken, and what is said of it.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let text = |value: serde_json::Value| value.to_string().into_bytes();
    let good = || report("x", "1.12", &[]);
    let mut twice = good();
    let first = twice["controls"][0].clone();
    twice["controls"].as_array_mut().unwrap().push(first);
    let many: Vec<_> = (0..1001)
        .map(|number| json!({"id": "1.1", "name": format!("c-{number}"), "status": "pass"}))
        .collect();
    vec![
        ("empty", Vec::new(), "it is empty"),
        ("blank", b" \n".to_vec(), "it is empty"),
        ("cut", text(good())[..5000].to_vec(), "it ends too early"),
        ("yaml", b"controls:\n- a\n".to_vec(), "it is not JSON"),
        ("binary", vec![0xff, 0xfe, 0, 1], "it is not JSON"),
        ("list", b"[]".to_vec(), "it is not a report of k3s-harden verify"),
        ("other", b"{\"a\": 1}".to_vec(), "it is not a report of k3s-harden verify"),
        (
            "next",
            text(with(with(good(), "format_version", "2.0"), "controls", json!({}))),
            "its format is \"2.0\"",
        ),
        ("none", text(with(good(), "controls", json!([]))), "it has no verdict"),
        (
            "scan",
            text(json!({"format_version": "1.1", "scanner": "kube-bench", "controls": []})),
            "forecast of a scanner",
        ),
        ("merged", text(json!({"format_version": "1.1", "nodes": [], "groups": []})), "it is merged already"),
        ("host", text(with(good(), "host", json!(5))), "invalid type: integer `5`, expected a string"),
        ("long", text(with(good(), "host", "x".repeat(300))), "host has 300 bytes"),
        ("time", text(with(good(), "time", "yesterday")), "time is \"yesterday\""),
        ("day", text(with(good(), "time", "2026-13-01T00:00:00Z")), "and not a time"),
        ("name", text(with_control(good(), "audit-log-path", "name", "A\u{1b}[2J")), "which is no control's"),
        ("id", text(with_control(good(), "audit-log-path", "id", "first")), "which is no number"),
        (
            "status",
            text(with_control(good(), "audit-log-path", "status", json!(true))),
            "invalid type: boolean",
        ),
        (
            "until",
            text(with_control(good(), "audit-log-path", "waiver", json!({"until": "soon"}))),
            "which is no day",
        ),
        ("twice", text(twice), "is there twice"),
        (
            "key-twice",
            br#"{"format_version": "1.1", "host": "a", "host": "b"}"#.to_vec(),
            "duplicate field `host`",
        ),
        ("many", text(with(good(), "controls", json!(many))), "more than 1000 controls"),
        ("deep", [b"[".repeat(100_000), b"]".repeat(100_000)].concat(), "it is not"),
        ("large", vec![b' '; 16 * 1024 * 1024 + 1], "it is larger than"),
    ]
}

#[test]
fn each_broken_file_is_named_and_stops_no_other() {
    let mut folder = Folder::new().report("good.json", &report("good", "1.12", &[]));
    let cases = broken();
    for (name, bytes, _) in &cases {
        folder = folder.file(name, bytes);
    }
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let mut files: Vec<&str> = cases.iter().map(|(name, ..)| *name).collect();
    files.extend(["folder", "nowhere", "good.json"]);
    let merged = folder.merged(&files);
    assert_eq!(merged["nodes"].as_array().unwrap().len(), 1);
    let said = |name: &str| {
        let broken = merged["broken"].as_array().unwrap().iter().find(|one| one["file"] == *name);
        broken.unwrap_or_else(|| panic!("{name}"))["why"].as_str().unwrap().to_owned()
    };
    for (name, _, why) in &cases {
        assert!(said(name).contains(why), "{name}: {}", said(name));
        assert!(said(name).chars().count() < 500, "{name}: it is short");
    }
    assert!(said("folder").contains("not a regular file") && said("nowhere").contains("cannot read"));
    assert_eq!(folder.merge(&files).code, 0);
    assert_eq!(folder.merge(&[&["--fail-on", "unknown"], files.as_slice()].concat()).code, 3);
}

#[test]
fn where_no_file_is_a_report_each_is_named() {
    let folder = Folder::new().file("a.json", "").file("b.json", "{");
    let done = folder.merge(&["a.json", "b.json"]);
    assert_eq!((done.code, done.stdout.as_str()), (65, ""));
    for text in [
        "a.json: it is empty",
        "b.json: line 1, column 1: it ends too early",
        "k3s-harden verify --format json",
    ] {
        assert!(done.stderr.contains(text), "{text}: {}", done.stderr);
    }
}

/// A deep value in a field that is not merged is skipped, and costs no stack.
#[test]
fn a_deep_value_that_nobody_reads_does_no_harm() {
    let text = with(report("a", "1.12", &[]), "extra", json!("DEEP")).to_string();
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let folder = Folder::new().file("a.json", text.replace("\"DEEP\"", &deep));
    let merged = folder.merged(&["a.json"]);
    // Either way is fine; that it ends well is what counts.
    let (nodes, broken) = (&merged["nodes"], &merged["broken"]);
    assert_eq!(nodes.as_array().unwrap().len() + broken.as_array().unwrap().len(), 1);
}

const HOSTILE: &str =
    "</script><img src=x onerror=alert(1)>\u{1b}[2J\u{1b}]0;owned\u{7}\r\n- K3s \u{202e}\u{0}";

#[test]
fn no_text_of_a_report_commands_a_terminal_or_a_page() {
    let mut hostile = with(report(HOSTILE, "1.12", &[("audit-log-path", "fail")]), "k3s_version", HOSTILE);
    for name in ["role", "kubernetes", "tool_version"] {
        hostile = with(hostile, name, HOSTILE);
    }
    for name in ["title", "actual"] {
        hostile = with_control(hostile, "audit-log-path", name, HOSTILE);
    }
    let file = "a\u{1b}[2J.json";
    let folder = Folder::new().report(file, &hostile).file("b\u{1b}[2J.json", "");
    for format in ["text", "json", "html"] {
        let done = folder.merge(&["--format", format, file, "b\u{1b}[2J.json"]);
        let is_harmful = |letter: char| (letter.is_control() && letter != '\n') || letter == '\u{202e}';
        assert!(!done.stdout.contains(is_harmful), "{format}: {}", done.stdout);
        assert!(!done.stdout.contains("<img") || format != "html");
        assert!(!done.stderr.contains(is_harmful), "{}", done.stderr);
    }
    let merged = folder.merged(&[file]);
    assert_eq!(merged["nodes"][0]["name"], HOSTILE, "for programs it is the same text");
}
