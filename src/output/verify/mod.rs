//! The report of `verify` in the forms that people and other programs read, one file a form.
//!
//! All text of a report may come from the node, and a node may be hostile: every form escapes what it shows.

mod html;
mod json;
mod junit;
mod kube_bench;
mod sarif;
mod section;
mod text;
mod visible;

use crate::verify::{ControlVerdict, Evidence, Status, VerifyReport};

pub(super) use visible::visible;

pub use html::html;
pub use json::verify_json;
pub use junit::junit;
pub use kube_bench::kube_bench_json;
pub use sarif::{SarifOptions, sarif};
pub use text::{TextOptions, verify_text};

/// When and where a report was taken, for the forms that have a place for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportOrigin<'a> {
    /// The time, as `2026-11-25T09:00:00Z`.
    pub time: Option<&'a str>,
    /// The node's name.
    pub host: Option<&'a str>,
}

/// Tells whether a status says that something is to be done.
fn is_finding(status: Status) -> bool {
    matches!(status, Status::Fail | Status::Warn | Status::Unknown)
}

/// Returns the word for a status in texts for people.
pub(super) fn word(status: Status) -> &'static str {
    match status {
        Status::NotApplicable => "not applicable",
        other => other.name(),
    }
}

/// Returns the report's subject as a line.
fn subject(report: &VerifyReport) -> String {
    format!(
        "{} at {}: Kubernetes {}, CIS {}",
        report.role,
        report.root.display(),
        report.kubernetes,
        report.benchmark
    )
}

/// What a report of a node on which K3s has not started says of itself.
const FORECAST: &str =
    "K3s has not started here. This is a forecast: what holds once it starts as it is configured now.";

/// Returns what a report has to say of itself before all else, if it is a forecast.
pub(super) fn forecast(report: &VerifyReport) -> Option<&'static str> {
    (!report.started).then_some(FORECAST)
}

/// What the score leaves out, wherever it is shown.
const SCORE_IS: &str = "pass of pass, fail and warn; manual, not applicable and unknown are left out";

/// Returns what was seen, behind where.
fn placed(evidence: &Evidence) -> String {
    match &evidence.place {
        Some(place) => format!("{place}: {}", evidence.text),
        None => evidence.text.clone(),
    }
}

/// Returns what was seen of a control, without what only says once more what is.
fn seen(verdict: &ControlVerdict) -> impl Iterator<Item = &Evidence> {
    verdict.evidence.iter().filter(|evidence| evidence.place.is_some() || evidence.text != verdict.actual)
}
