//! For programs.

use k3s_harden::output::verify_json;
use serde_json::Value;

use crate::sample::{HOSTILE, forecast, hostile, report};
use crate::schema;

#[test]
fn the_contract() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&verify_json(&report())).unwrap());
}

#[test]
fn texts_come_out_as_they_are() {
    let json = serde_json::to_string(&verify_json(&hostile())).unwrap();
    assert!(!json.contains(|c: char| c < ' '), "{json:?}");
    let read: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["controls"][0]["actual"], HOSTILE);
    assert_eq!(read["controls"][0]["evidence"][0]["path"], format!("/etc/rancher/k3s/{HOSTILE}"));
}

fn published() -> Value {
    serde_json::from_str(include_str!("../../docs/schema/verify.json")).unwrap()
}

#[test]
fn it_is_what_the_schema_says() {
    for report in [report(), forecast(), hostile()] {
        schema::check(&published(), &verify_json(&report));
    }
}

#[test]
fn the_schema_knows_every_field() {
    let report = verify_json(&hostile());
    let published = published();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let known = |pointer: &str| names(published.pointer(pointer).unwrap());
    assert_eq!(known("/properties"), names(&report));
    let of_control = known("/$defs/control/properties");
    let waived =
        report["controls"].as_array().unwrap().iter().find(|control| control.get("waiver").is_some());
    assert_eq!(of_control, names(waived.unwrap()));
    assert_eq!(known("/$defs/waiver/properties"), names(&waived.unwrap()["waiver"]));
    let evidence = waived.unwrap()["evidence"].as_array().unwrap();
    assert_eq!(known("/$defs/evidence/properties"), names(evidence.last().unwrap()));
}

#[test]
#[should_panic(expected = "$.controls[0].status: enum")]
fn the_schema_refuses_another_status() {
    let mut report = verify_json(&report());
    report["controls"][0]["status"] = "passed".into();
    schema::check(&published(), &report);
}

#[test]
#[should_panic(expected = "$.controls[3].evidence[0]: dependentRequired")]
fn the_schema_refuses_a_line_without_a_column() {
    let mut report = verify_json(&report());
    report["controls"][3]["evidence"][0]["line"] = 1.into();
    schema::check(&published(), &report);
}
