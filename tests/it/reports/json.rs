// SPDX-License-Identifier: Apache-2.0
//! For programs.

use k3s_harden::output::verify_json;
use k3s_harden::verify::{ReportHistory, RunningConfiguration, RunningState, VerifyReport};
use serde_json::Value;

use super::sample::{HOSTILE, TAKEN, forecast, hostile, report};
use super::schema;
use crate::newer_minor::newer;
use crate::support::Node;

#[test]
fn the_contract() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&verify_json(&report(), &TAKEN)).unwrap());
}

#[test]
fn texts_come_out_as_they_are() {
    let json = serde_json::to_string(&verify_json(&hostile(), &TAKEN)).unwrap();
    assert!(!json.contains(|c: char| c < ' '), "{json:?}");
    let read: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["controls"][0]["actual"], HOSTILE);
    assert_eq!(read["controls"][0]["evidence"][0]["path"], format!("/etc/rancher/k3s/{HOSTILE}"));
}

fn published() -> Value {
    serde_json::from_str(include_str!("../../../docs/schema/verify.json")).unwrap()
}

/// Returns a report about a node with a history.
fn with_history() -> VerifyReport {
    let (state, why, runs) = (RunningState::Stale, "it has not restarted since".to_owned(), vec![2]);
    let history = ReportHistory {
        remembered: Some("Options remembered from run 2: --k3s-version 1.33.".to_owned()),
        running: Some(RunningConfiguration { state, why, runs }),
    };
    VerifyReport { history, ..hostile() }
}

#[test]
fn it_is_what_the_schema_says() {
    for report in [report(), forecast(), hostile(), with_history()] {
        schema::check(&published(), &verify_json(&report, &TAKEN));
    }
}

#[test]
fn the_schema_knows_every_field() {
    let report = verify_json(&with_history(), &TAKEN);
    let published = published();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let known = |pointer: &str| names(published.pointer(pointer).unwrap());
    let mut of_report = names(&report);
    // A trend and a newer minor than is known have tests of their own.
    of_report.extend(["assumed", "trend"].map(str::to_owned));
    of_report.sort();
    assert_eq!(known("/properties"), of_report);
    let of_control = known("/$defs/control/properties");
    let waived =
        report["controls"].as_array().unwrap().iter().find(|control| control.get("waiver").is_some());
    // A waiver counts, or it has lapsed.
    let mut of_waived = names(waived.unwrap());
    of_waived.push("lapsed".to_owned());
    of_waived.sort();
    assert_eq!(of_control, of_waived);
    assert_eq!(known("/$defs/waiver/properties"), names(&waived.unwrap()["waiver"]));
    let evidence = waived.unwrap()["evidence"].as_array().unwrap();
    assert_eq!(known("/$defs/evidence/properties"), names(evidence.last().unwrap()));
}

#[test]
#[should_panic(expected = "$.controls[0].status: enum")]
fn the_schema_refuses_another_status() {
    let mut report = verify_json(&report(), &TAKEN);
    report["controls"][0]["status"] = "passed".into();
    schema::check(&published(), &report);
}

#[test]
#[should_panic(expected = "$.controls[3].evidence[0]: dependentRequired")]
fn the_schema_refuses_a_line_without_a_column() {
    let mut report = verify_json(&report(), &TAKEN);
    report["controls"][3]["evidence"][0]["line"] = 1.into();
    schema::check(&published(), &report);
}

fn hardened(role: &str) -> Node {
    let node = Node::new().file("etc/machine-id", "0123456789\n");
    let done = node.run(&["apply", "-q", "--k3s-version", "1.33", "--role", role]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    node
}

fn written(node: &Node, arguments: &[&str]) -> Value {
    let words: Vec<&str> = ["verify", "--format", "json"].iter().chain(arguments).copied().collect();
    let done = node.run(&words);
    serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {}", done.stderr))
}

#[test]
fn what_a_scanner_prints_is_what_its_schema_says() {
    let published: Value = serde_json::from_str(include_str!("../../../docs/schema/scan.json")).unwrap();
    for role in ["server", "agent"] {
        let node = hardened(role);
        for scanner in ["kube-bench", "security-scan"] {
            let scan = written(&node, &["--as", scanner]);
            schema::check(&published, &scan);
            let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            let known = |pointer: &str| names(published.pointer(pointer).unwrap());
            let mut of_scan = names(&scan);
            of_scan.push("assumed".to_owned());
            of_scan.sort();
            assert_eq!(known("/properties"), of_scan);
            assert_eq!(known("/$defs/control/properties"), names(&scan["controls"][0]));
        }
    }
    // A scanner may have numbers that we do not.
    let mut scan = written(&hardened("agent"), &["--as", "kube-bench"]);
    scan["controls"][0]["verdict"] = Value::Null;
    schema::check(&published, &scan);
}

#[test]
fn what_a_newer_minor_is_taken_for_is_what_the_schemas_say() {
    let node = hardened("server");
    let minor = newer();
    let scan = include_str!("../../../docs/schema/scan.json");
    for (schema, words) in
        [(published(), &[][..]), (serde_json::from_str(scan).unwrap(), &["--as", "kube-bench"])]
    {
        let report = written(&node, &[words, &["--k3s-version", &minor]].concat());
        schema::check(&schema, &report);
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let known = schema.pointer("/properties/assumed/properties").unwrap();
        assert_eq!(names(known), names(&report["assumed"]));
    }
}

/// What has become worse and better, what is new, and what is gone.
#[test]
fn a_trend_is_what_the_schema_says() {
    let node = hardened("server");
    let earlier = node.path().join("earlier.json");
    let mut report = written(&node, &[]);
    for (index, status) in [(0, "fail"), (1, "unknown")] {
        report["controls"][index]["status"] = status.into();
    }
    report["controls"][2]["name"] = "a-control-of-old".into();
    std::fs::write(&earlier, report.to_string()).unwrap();
    let config = "etc/rancher/k3s/config.yaml.d/99-late.yaml";
    let node = node.file(config, "kube-apiserver-arg+: [profiling=true]\n");
    let now = written(&node, &["--baseline", earlier.to_str().unwrap()]);
    schema::check(&published(), &now);
    let trend = &now["trend"];
    for list in ["worse", "better", "new", "gone"] {
        assert!(!trend[list].as_array().unwrap().is_empty(), "{list}: {trend:#}");
    }
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let published = published();
    let known = |pointer: &str| names(published.pointer(pointer).unwrap());
    assert_eq!(known("/$defs/trend/properties"), names(trend));
    assert_eq!(known("/$defs/trend/properties/since/properties"), names(&trend["since"]));
    assert_eq!(known("/$defs/change/properties"), names(&trend["worse"][0]));
    assert_eq!(known("/$defs/state/properties"), names(&trend["worse"][0]["now"]));
}

#[test]
#[should_panic(expected = "$.trend.worse[0].now: type")]
fn the_schema_refuses_a_state_that_is_a_word() {
    let node = hardened("agent");
    let earlier = node.path().join("earlier.json");
    std::fs::write(&earlier, written(&node, &[]).to_string()).unwrap();
    let mut now = written(&node, &["--baseline", earlier.to_str().unwrap()]);
    now["trend"]["worse"] = serde_json::json!([{"name": "a", "before": null, "now": "fail"}]);
    schema::check(&published(), &now);
}
