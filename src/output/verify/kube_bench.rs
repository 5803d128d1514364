// SPDX-License-Identifier: Apache-2.0
//! The report in the JSON format of kube-bench, for programs that read it.

use serde_json::{Value, json};

use super::section::{Section, waiver_words};
use crate::output::ReportOrigin;
use crate::verify::{ControlVerdict, Status, VerifyReport};

/// The chapters: number, short name, and kube-bench's name of the node type.
const CHAPTERS: [(&str, &str, &str); 5] = [
    ("1", "Control plane", "master"),
    ("2", "etcd", "etcd"),
    ("3", "Control plane configuration", "controlplane"),
    ("4", "Worker node", "node"),
    ("5", "Policies", "policies"),
];

/// kube-bench's states, in the order of its counters.
const STATES: [&str; 4] = ["PASS", "FAIL", "WARN", "INFO"];

/// Returns the report as `kube-bench --json` writes one (kube-bench 0.15, `check/controls.go` and `check/check.go`).
///
/// | ours           | kube-bench's | `reason`                          |
/// |----------------|--------------|-----------------------------------|
/// | pass           | PASS         |                                   |
/// | fail           | FAIL         |                                   |
/// | warn           | WARN         |                                   |
/// | manual         | WARN         | a person has to look              |
/// | unknown        | WARN         | why it could not be checked       |
/// | not applicable | INFO         | why it is not applicable          |
/// | … and waived   | the same     | who accepted it, until when, why  |
///
/// kube-bench has no state for a check that could not run: unknown is WARN, and never PASS. A waiver does not change FAIL.
/// `type` is `manual` for manual controls and `skip` for controls that are not applicable; `scored` is true for automated
/// controls. `audit` has the evidence, because verify runs no command. Beside kube-bench's `Controls` and `Totals` stands what
/// every answer tells of its node; readers of kube-bench's JSON leave out what they do not know.
#[must_use]
pub fn kube_bench_json(report: &VerifyReport, origin: &ReportOrigin) -> Value {
    let sections = Section::all(report);
    let mut controls = Vec::new();
    for (id, text, node_type) in CHAPTERS {
        let of_chapter: Vec<&Section<'_>> =
            sections.iter().filter(|section| section.number.split('.').next() == Some(id)).collect();
        if of_chapter.is_empty() {
            continue;
        }
        let mut chapter = json!({
            "id": id,
            "version": format!("k3s-cis-{}", report.benchmark),
            "detected_version": report.kubernetes.to_string(),
            "text": text,
            "node_type": node_type,
            "tests": of_chapter.iter().map(|section| group(section)).collect::<Vec<_>>(),
        });
        let verdicts = of_chapter.iter().flat_map(|section| section.verdicts.iter().copied());
        count(&mut chapter, "total_", verdicts);
        controls.push(chapter);
    }
    let mut totals = json!({});
    count(&mut totals, "total_", &report.verdicts);
    let mut json = origin.fields();
    json.insert("Controls".to_owned(), controls.into());
    json.insert("Totals".to_owned(), totals);
    json.into()
}

fn group(section: &Section<'_>) -> Value {
    let mut group = json!({
        "section": section.number,
        "type": "",
        "desc": section.name(),
        "results": section.verdicts.iter().map(|verdict| check(verdict)).collect::<Vec<_>>(),
    });
    count(&mut group, "", section.verdicts.iter().copied());
    group
}

fn check(verdict: &ControlVerdict) -> Value {
    let kind = match verdict.status {
        Status::Manual => "manual",
        Status::NotApplicable => "skip",
        _ => "",
    };
    let evidence: Vec<String> = verdict.evidence.iter().map(super::with_place).collect();
    let mut json = json!({
        "test_number": verdict.id.to_string(),
        "test_desc": verdict.title,
        "audit": evidence.join("\n"),
        "AuditEnv": "",
        "AuditConfig": "",
        "type": kind,
        "remediation": verdict.remedy,
        "test_info": [verdict.remedy],
        "status": state(verdict.status),
        "actual_value": verdict.actual,
        "scored": verdict.automated,
        "IsMultiple": false,
        "expected_result": verdict.expected,
    });
    if let Some(reason) = reason(verdict) {
        json["reason"] = reason.into();
    }
    json
}

fn state(status: Status) -> &'static str {
    match status {
        Status::Pass => "PASS",
        Status::Fail => "FAIL",
        Status::Warn | Status::Manual | Status::Unknown => "WARN",
        Status::NotApplicable => "INFO",
    }
}

fn reason(verdict: &ControlVerdict) -> Option<String> {
    let own = match verdict.status {
        Status::Pass | Status::Fail | Status::Warn => None,
        Status::Manual => Some(format!("a person has to look at {}", verdict.expected)),
        Status::Unknown => Some(format!("it could not be checked: {}", verdict.actual)),
        Status::NotApplicable => Some(format!("not applicable: {}", verdict.actual)),
    };
    let waived = verdict.waiver.as_ref().map(|waiver| format!("waived, {}", waiver_words(waiver)));
    match (waived, own) {
        (Some(waived), Some(own)) => Some(format!("{waived}; {own}")),
        (waived, own) => waived.or(own),
    }
}

fn count<'a>(json: &mut Value, prefix: &str, verdicts: impl IntoIterator<Item = &'a ControlVerdict>) {
    let mut counts = [0_usize; STATES.len()];
    for verdict in verdicts {
        if let Some(at) = STATES.iter().position(|known| *known == state(verdict.status)) {
            counts[at] += 1;
        }
    }
    for (name, count) in STATES.iter().zip(counts) {
        json[format!("{prefix}{}", name.to_lowercase())] = count.into();
    }
}
