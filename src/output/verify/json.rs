// SPDX-License-Identifier: Apache-2.0
//! The report as JSON in format 1, whose schema is `docs/schema/verify.json`.

use serde_json::{Map, Value, json};

use crate::error::Place;
use crate::output::ReportOrigin;
use crate::verify::{ControlVerdict, Evidence, Status, StatusCounts, VerifyReport, Waiver};

/// Returns the report for programs. A waived control keeps its status and has a `waiver`; the summary counts it under its
/// status, and also as waived.
#[must_use]
pub fn verify_json(report: &VerifyReport, origin: &ReportOrigin) -> Value {
    let counts = StatusCounts::count(&report.verdicts);
    let mut summary: Map<String, Value> =
        Status::ALL.iter().map(|status| (status.name().to_owned(), counts.get(*status).into())).collect();
    summary.insert("waived".to_owned(), counts.waived.into());
    let mut answer = json!({
        "root": report.root.display().to_string(),
        "role": report.role,
        "kubernetes": report.kubernetes.to_string(),
        "benchmark": report.benchmark,
        "started": report.started,
        "summary": summary,
        "controls": report.verdicts.iter().map(control).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(evidence).collect::<Vec<_>>(),
    });
    if let Some(remembered) = &report.history.remembered {
        answer["remembered"] = json!(remembered);
    }
    if let Some(running) = &report.history.running {
        answer["running"] = json!(running);
    }
    origin.answer(answer)
}

fn control(verdict: &ControlVerdict) -> Value {
    let mut json = json!({
        "id": verdict.id.to_string(),
        "name": verdict.name,
        "title": verdict.title,
        "level": verdict.level,
        "automated": verdict.automated,
        "status": verdict.status,
        "expected": verdict.expected,
        "actual": verdict.actual,
        "evidence": verdict.evidence.iter().map(evidence).collect::<Vec<_>>(),
        "remedy": verdict.remedy,
    });
    if let Some(accepted) = &verdict.waiver {
        json["waiver"] = waiver(accepted);
    }
    if verdict.lapsed {
        json["lapsed"] = true.into();
    }
    json
}

fn evidence(evidence: &Evidence) -> Value {
    with_place(json!({"text": evidence.text}), evidence.place.as_ref())
}

fn waiver(waiver: &Waiver) -> Value {
    let mut json = json!({"control": waiver.control, "reason": waiver.reason, "who": waiver.who});
    let until = waiver.until.map(|until| until.to_string());
    for (key, value) in [("ticket", &waiver.ticket), ("until", &until), ("value", &waiver.value)] {
        if let Some(value) = value {
            json[key] = value.as_str().into();
        }
    }
    with_place(json, waiver.place.as_ref())
}

fn with_place(mut json: Value, place: Option<&Place>) -> Value {
    if let Some(place) = place {
        json["path"] = place.file.as_str().into();
        if let Some((line, column)) = place.position {
            json["line"] = line.into();
            json["column"] = column.into();
        }
    }
    json
}
