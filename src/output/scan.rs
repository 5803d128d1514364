// SPDX-License-Identifier: Apache-2.0
//! The predicted results of a scanner as text and JSON, with the verdicts of verify.

use serde_json::{Map, Value, json};

use super::origin::ReportOrigin;
use super::screen::{Ink, ScreenText};
use super::verify::{TextOptions, forecast_note, origin_words, status_words};
use crate::scanner::{CheckState, Prediction, Scan};
use crate::verify::{ControlVerdict, Status, VerifyReport};

/// Returns the predictions for people; `report` is the report of verify by the same benchmark. A prediction that
/// contradicts the verdict is shown with it.
#[must_use]
pub fn scan_text(
    scan: &Scan,
    report: &VerifyReport,
    origin: &ReportOrigin,
    options: &TextOptions,
) -> ScreenText {
    let head = format!(
        "{} with k3s-cis-{}: {} at {}, Kubernetes {}",
        scan.scanner,
        scan.benchmark,
        report.role,
        report.root.display(),
        report.kubernetes
    );
    let mut text = ScreenText::new(options.style);
    text.paint_line(Ink::Bold, head);
    text.line(origin_words(origin));
    if let Some(note) = forecast_note(report) {
        text.paint_line(Ink::BoldYellow, note);
    }
    let shown = |prediction: &&Prediction| {
        !options.summary
            && (!options.only_findings || matches!(prediction.state, CheckState::Fail | CheckState::Warn))
    };
    for prediction in scan.predictions.iter().filter(shown) {
        let verdict = verdict(report, prediction);
        let title = verdict.map(|verdict| format!(" {}", verdict.title)).unwrap_or_default();
        let ink = match prediction.state {
            CheckState::Pass => Ink::Green,
            CheckState::Fail => Ink::BoldRed,
            CheckState::Warn => Ink::BoldYellow,
            CheckState::Info => Ink::Faint,
        };
        text.paint(ink, format!("[{}]", prediction.state));
        text.line(format!(" {}{title}", prediction.id));
        let contradiction = verdict.filter(|verdict| disagree(prediction.state, verdict.status));
        if contradiction.is_some() || matches!(prediction.state, CheckState::Fail | CheckState::Warn) {
            text.line(format!("       {}", prediction.why));
        }
        if let Some(verdict) = contradiction {
            let (status, actual) = (status_words(verdict.status), &verdict.actual);
            text.push("       ");
            text.paint_line(Ink::Cyan, format!("verify says {status}: {actual}"));
        }
    }
    let counts: Vec<String> =
        CheckState::ALL.iter().map(|state| format!("{} {state}", scan.count(*state))).collect();
    if !options.summary {
        text.end();
    }
    let sum = format!("{} checks: {}", scan.predictions.len(), counts.join(", "));
    text.paint_line(Ink::Bold, format!("{sum}. Section 5 is left out."));
    text
}

/// Returns the predictions for programs.
#[must_use]
pub fn scan_json(scan: &Scan, report: &VerifyReport, origin: &ReportOrigin) -> Value {
    let summary: Map<String, Value> =
        CheckState::ALL.iter().map(|state| (state.to_string(), scan.count(*state).into())).collect();
    let control = |prediction: &Prediction| {
        let verdict = verdict(report, prediction);
        json!({
            "id": prediction.id.to_string(),
            "state": prediction.state,
            "scored": prediction.scored,
            "why": prediction.why,
            "verdict": verdict.map(|verdict| verdict.status),
        })
    };
    origin.answer(json!({
        "root": report.root.display().to_string(),
        "role": report.role,
        "kubernetes": report.kubernetes.to_string(),
        "scanner": scan.scanner.to_string(),
        "benchmark": scan.benchmark,
        "started": report.started,
        "summary": summary,
        "controls": scan.predictions.iter().map(control).collect::<Vec<_>>(),
    }))
}

fn verdict<'a>(report: &'a VerifyReport, prediction: &Prediction) -> Option<&'a ControlVerdict> {
    report.verdicts.iter().find(|verdict| verdict.id == prediction.id)
}

/// Tells whether a state and a status contradict each other.
fn disagree(state: CheckState, status: Status) -> bool {
    match state {
        CheckState::Pass => matches!(status, Status::Fail | Status::Warn),
        CheckState::Fail => matches!(status, Status::Pass | Status::NotApplicable),
        CheckState::Warn | CheckState::Info => false,
    }
}
