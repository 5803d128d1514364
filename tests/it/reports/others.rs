// SPDX-License-Identifier: Apache-2.0
//! For other tools: kube-bench's JSON, JUnit XML, SARIF.

use std::collections::BTreeSet;

use k3s_harden::output::{SarifOptions, junit, kube_bench_json, sarif};
use serde_json::Value;

use super::sample::{TAKEN, forecast, hostile, hostile_origin, report};

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

fn names(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn kube_bench() {
    insta::assert_snapshot!(pretty(&kube_bench_json(&report(), &TAKEN)));
}

/// The names that kube-bench's Go structs give their fields, and that they add up.
#[test]
fn kube_bench_has_kube_benchs_fields() {
    let counters = ["pass", "fail", "warn", "info"];
    let totals = counters.map(|name| format!("total_{name}"));
    for report in [report(), hostile()] {
        let json = kube_bench_json(&report, &TAKEN);
        // Beside kube-bench's own two there is what every answer tells of its node.
        let mut own = BTreeSet::from(["Controls", "Totals"]);
        own.extend(["host", "k3s_version", "machine_id_sha256", "time", "tool_version"]);
        assert_eq!(names(&json), own);
        assert_eq!(names(&json["Totals"]), totals.iter().map(String::as_str).collect());
        let mut seen = [0; 4];
        for controls in json["Controls"].as_array().unwrap() {
            let mut wanted =
                BTreeSet::from(["id", "version", "detected_version", "text", "node_type", "tests"]);
            wanted.extend(totals.iter().map(String::as_str));
            assert_eq!(names(controls), wanted);
            for group in controls["tests"].as_array().unwrap() {
                let mut wanted = BTreeSet::from(["section", "type", "desc", "results"]);
                wanted.extend(counters);
                assert_eq!(names(group), wanted);
                for (count, name) in seen.iter_mut().zip(counters) {
                    *count += group[name].as_u64().unwrap();
                }
                for check in group["results"].as_array().unwrap() {
                    let mut found = names(check);
                    found.remove("reason");
                    let wanted = "test_number test_desc audit AuditEnv AuditConfig type remediation test_info status \
                                  actual_value scored IsMultiple expected_result";
                    assert_eq!(found, wanted.split_whitespace().collect());
                }
            }
        }
        assert_eq!(
            seen.to_vec(),
            totals.iter().map(|name| json["Totals"][name].as_u64().unwrap()).collect::<Vec<_>>()
        );
        assert_eq!(seen.iter().sum::<u64>(), report.verdicts.len() as u64);
    }
}

#[test]
fn junit_xml() {
    insta::assert_snapshot!(junit(&report(), &TAKEN));
}

#[test]
fn junit_holds_only_what_xml_can() {
    let xml = junit(&hostile(), &hostile_origin());
    let bad = |c: char| {
        (c < ' ' && c != '\n') || matches!(c, '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' | '\u{202e}')
    };
    assert!(!xml.contains(bad), "{xml:?}");
    assert!(!xml.contains("<img") && !xml.contains("]]>"));
    // Every `<` opens one of our own elements.
    let own = [
        "?xml",
        "testsuites",
        "testsuite",
        "testcase",
        "properties",
        "property",
        "failure",
        "error",
        "skipped",
        "system-out",
    ];
    for tag in xml.split('<').skip(1) {
        let name = tag.trim_start_matches('/').split([' ', '>', '/']).next().unwrap();
        assert!(own.contains(&name), "{tag}");
    }
}

#[test]
fn sarif_of_everything() {
    insta::assert_snapshot!(pretty(&sarif(&forecast(), &TAKEN, SarifOptions::default())));
}

#[test]
fn sarif_for_code_scanning_has_only_problems() {
    let json = sarif(&report(), &TAKEN, SarifOptions { only_findings: true });
    let run = &json["runs"][0];
    let results = run["results"].as_array().unwrap();
    let rows: Vec<String> = results
        .iter()
        .map(|result| {
            let rule = &run["tool"]["driver"]["rules"]
                [usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
            assert_eq!(rule["id"], result["ruleId"]);
            assert!(result.get("suppressions").is_none());
            format!("{} {} {}", rule["properties"]["control"], result["kind"], result["level"])
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n").replace('"', ""), @"
    1.2.9 fail warning
    1.2.16 fail error
    4.1.5 open none
    5.6.4 open none
    ");
}

#[test]
fn sarif_takes_no_placeholder_or_link_from_a_node() {
    fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(text)) = fields.get("text") {
                    found.push(text);
                }
                fields.values().for_each(|value| texts(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| texts(value, found)),
            _ => {}
        }
    }
    let json = sarif(&hostile(), &hostile_origin(), SarifOptions::default());
    let mut found = Vec::new();
    texts(&json, &mut found);
    assert!(found.len() > 50);
    for text in found {
        assert!(!text.replace("{{", "").replace("}}", "").contains(['{', '}']), "{text}");
        assert!(!text.replace("\\](", "").contains("]("), "{text}");
    }
    let uris = json["runs"][0]["results"].as_array().unwrap().iter();
    for uri in uris.flat_map(|result| result["locations"].as_array().unwrap()) {
        let uri = uri["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
        assert!(
            uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"{}|\\^`:?#[]".contains(&byte)),
            "{uri}"
        );
        assert!(!uri.starts_with('/'));
    }
}

#[test]
fn sarif_places_are_relative_to_the_root() {
    let mut report = forecast();
    let place = report.verdicts[3].evidence[0].place.as_mut().unwrap();
    place.file.insert_str(0, "/mnt/image");
    let json = sarif(&report, &TAKEN, SarifOptions::default());
    let run = &json["runs"][0];
    assert_eq!(run["originalUriBaseIds"]["ROOT"]["uri"], "file:///mnt/image/");
    let location = &run["results"][3]["locations"][0]["physicalLocation"]["artifactLocation"];
    assert_eq!(location["uri"], "var/lib/rancher/k3s/server/tls/server-ca.crt");
    report.root = "image".into();
    let json = sarif(&report, &TAKEN, SarifOptions::default());
    assert_eq!(json["runs"][0]["originalUriBaseIds"]["ROOT"].get("uri"), None);
}
