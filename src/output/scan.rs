//! What a scanner will print of a node, as text and JSON, beside what verify says itself.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::json::FORMAT_VERSION;
use super::verify::{TextOptions, forecast, visible, word};
use crate::scanner::{CheckState, Prediction, Scan};
use crate::verify::{ControlVerdict, Status, VerifyReport};

/// Returns it for people; `report` is ours by the same benchmark. What the two do not agree on is said beside it.
#[must_use]
pub fn scan_text(scan: &Scan, report: &VerifyReport, options: &TextOptions) -> String {
    let style = options.style;
    let head = format!(
        "{} with k3s-cis-{}: {} at {}, Kubernetes {}",
        scan.scanner,
        scan.benchmark,
        report.role,
        visible(&report.root.display().to_string()),
        report.kubernetes
    );
    let mut text = style.paint("1", &head) + "\n";
    if let Some(forecast) = forecast(report) {
        let _infallible = writeln!(text, "{}", style.paint("1;33", forecast));
    }
    let shown = |prediction: &&Prediction| {
        !options.summary
            && (!options.only_findings || matches!(prediction.state, CheckState::Fail | CheckState::Warn))
    };
    for prediction in scan.predictions.iter().filter(shown) {
        let verdict = verdict(report, prediction);
        let title = verdict.map(|verdict| format!(" {}", visible(&verdict.title))).unwrap_or_default();
        let code = match prediction.state {
            CheckState::Pass => "32",
            CheckState::Fail => "1;31",
            CheckState::Warn => "1;33",
            CheckState::Info => "2",
        };
        let label = style.paint(code, &format!("[{}]", prediction.state));
        let _infallible = writeln!(text, "{label} {}{title}", prediction.id);
        let otherwise = verdict.filter(|verdict| disagree(prediction.state, verdict.status));
        if otherwise.is_some() || matches!(prediction.state, CheckState::Fail | CheckState::Warn) {
            let _infallible = writeln!(text, "       {}", visible(&prediction.why));
        }
        if let Some(verdict) = otherwise {
            let (word, actual) = (word(verdict.status), visible(&verdict.actual));
            let _infallible =
                writeln!(text, "       {}", style.paint("36", &format!("verify says {word}: {actual}")));
        }
    }
    let counts: Vec<String> =
        CheckState::ALL.iter().map(|state| format!("{} {state}", scan.count(*state))).collect();
    let blank = if options.summary { "" } else { "\n" };
    let sum = format!("{} checks: {}", scan.predictions.len(), counts.join(", "));
    let _infallible =
        writeln!(text, "{blank}{}", style.paint("1", &format!("{sum}. Section 5 is left out.")));
    text
}

/// Returns it for programs.
#[must_use]
pub fn scan_json(scan: &Scan, report: &VerifyReport) -> Value {
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
    json!({
        "format_version": FORMAT_VERSION,
        "root": report.root.display().to_string(),
        "role": report.role,
        "kubernetes": report.kubernetes.to_string(),
        "scanner": scan.scanner.to_string(),
        "benchmark": scan.benchmark,
        "started": report.started,
        "summary": summary,
        "controls": scan.predictions.iter().map(control).collect::<Vec<_>>(),
    })
}

fn verdict<'a>(report: &'a VerifyReport, prediction: &Prediction) -> Option<&'a ControlVerdict> {
    report.verdicts.iter().find(|verdict| verdict.id == prediction.id)
}

/// Tells whether one calls met what is not met for the other.
fn disagree(state: CheckState, status: Status) -> bool {
    match state {
        CheckState::Pass => matches!(status, Status::Fail | Status::Warn),
        CheckState::Fail => matches!(status, Status::Pass | Status::NotApplicable),
        CheckState::Warn | CheckState::Info => false,
    }
}
