// SPDX-License-Identifier: Apache-2.0
//! The report of `verify` in its output formats, a file for each format.
//!
//! Any text of a report may come from a hostile node: every format escapes the text.

mod html;
mod json;
mod junit;
mod kube_bench;
mod sarif;
mod section;
mod text;

use super::ReportOrigin;
use crate::verify::{ControlVerdict, Evidence, Status, VerifyReport};

pub use html::html;
pub(super) use html::{html_text, page_parts, remedy_line, shares};
pub use json::verify_json;
pub use junit::junit;
pub use kube_bench::kube_bench_json;
pub use sarif::{SarifOptions, sarif};
pub use text::{TextOptions, verify_text};

/// The order of the statuses in reports for people: findings first.
const READING_ORDER: [Status; 6] =
    [Status::Fail, Status::Warn, Status::Unknown, Status::Manual, Status::Pass, Status::NotApplicable];

/// Tells whether a status is a finding.
pub(super) fn is_finding(status: Status) -> bool {
    matches!(status, Status::Fail | Status::Warn | Status::Unknown)
}

/// Returns a status in words for people.
pub(super) fn status_words(status: Status) -> &'static str {
    match status {
        Status::NotApplicable => "not applicable",
        other => other.name(),
    }
}

/// Returns the subject of a report in one line.
fn subject(report: &VerifyReport) -> String {
    format!(
        "{} at {}: Kubernetes {}, CIS {}",
        report.role,
        report.root.display(),
        report.kubernetes,
        report.benchmark
    )
}

/// Returns what is known of the node and of the report in one line.
pub(super) fn origin_words(origin: &ReportOrigin) -> String {
    let parts = [
        origin.host.as_ref().map(|host| format!("node {host}")),
        origin.k3s_version.as_ref().map(|version| match origin.judged_as() {
            Some(minor) => format!("K3s {version} (taken for {minor})"),
            None => format!("K3s {version}"),
        }),
        origin.time.as_ref().map(|time| format!("at {time}")),
        Some(format!("by k3s-harden {}", origin.tool_version)),
        origin.machine_id_sha256.as_ref().map(|hash| format!("machine id sha256:{hash}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The note of a report about a node on which K3s has not started.
const FORECAST: &str = "K3s has not started here. The results are a forecast for the first start with the current configuration.";

/// Returns the note at the beginning of a report that is a forecast.
pub(super) fn forecast_note(report: &VerifyReport) -> Option<&'static str> {
    (!report.started).then_some(FORECAST)
}

/// The definition of the score.
const SCORE_DEFINITION: &str =
    "pass / (pass + fail + warn); manual, not applicable and unknown are not counted";

/// Returns the text of evidence after its place.
fn with_place(evidence: &Evidence) -> String {
    match &evidence.place {
        Some(place) => format!("{place}: {}", evidence.text),
        None => evidence.text.clone(),
    }
}

/// Returns the evidence of a verdict, without evidence that only repeats the actual value.
fn distinct_evidence(verdict: &ControlVerdict) -> impl Iterator<Item = &Evidence> {
    verdict.evidence.iter().filter(|evidence| evidence.place.is_some() || evidence.text != verdict.actual)
}
