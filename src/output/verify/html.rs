// SPDX-License-Identifier: Apache-2.0
//! The report as a self-contained HTML page for auditors. The template is `templates/report.html.tera`.

use std::io::{self, Write};

use serde_json::{Value, json};
use tera::Context;

use super::section::{Section, section_number};
use super::{FORECAST, READING_ORDER, distinct_evidence, is_finding, status_words};
use crate::document::page;
use crate::error::Place;
use crate::output::ReportOrigin;
use crate::output::visible::visible;
use crate::verify::{ControlVerdict, Evidence, Status, StatusCounts, VerifyReport};

/// The length of the bar and of the ring.
const WHOLE: usize = 1000;

/// Returns the report as a page. The page is complete without its script, which only filters.
///
/// The content security policy allows only the page's own style and script, by their hashes. Text of the node is escaped,
/// and its invisible characters are written as numbers.
#[must_use]
pub fn html(report: &VerifyReport, origin: &ReportOrigin) -> String {
    let counts = StatusCounts::count(&report.verdicts);
    let root = report.root.display().to_string();
    let mut context = Context::new();
    context.insert("version", &origin.tool_version);
    context.insert("benchmark", &report.benchmark);
    context.insert("node", origin.host.as_ref().unwrap_or(&root));
    context.insert("facts", &facts(report, origin, &root));
    context.insert("started", &report.started);
    context.insert("forecast", FORECAST);
    context.insert("score", &counts.score().map(|score| score.to_string()));
    context.insert("total", &counts.total());
    context.insert("arcs", &shares(&counts, &[Status::Pass, Status::Fail, Status::Warn]));
    context.insert("parts", &shares(&counts, &Status::ALL));
    context.insert("counts", &rows(&report.verdicts.iter().collect::<Vec<_>>()));
    context.insert("findings", &report.findings.iter().map(evidence).collect::<Vec<_>>());
    context.insert("sections", &Section::all(report).iter().map(section).collect::<Vec<_>>());
    context.insert("groups", &groups(report));
    page(&page_parts("report.html.tera"), &context, html_text)
}

/// Returns the template of a page, and those that every page includes.
pub(in crate::output) fn page_parts(page: &'static str) -> [&'static str; 3] {
    [page, "report-style.css.tera", "report-icons.html.tera"]
}

/// Escapes text for a page.
pub(in crate::output) fn html_text(text: &str, out: &mut dyn Write) -> io::Result<()> {
    tera::escape_html(&visible(text), out)
}

fn facts(report: &VerifyReport, origin: &ReportOrigin, root: &str) -> Vec<Value> {
    let started = if report.started { "has started" } else { "has not started" };
    let k3s = match &origin.k3s_version {
        Some(version) => format!("{version}, {started}"),
        None => started.to_owned(),
    };
    [
        ("Node", origin.host.clone()),
        ("Role", Some(report.role.to_string())),
        ("Root", Some(root.to_owned())),
        ("Kubernetes", Some(report.kubernetes.to_string())),
        ("K3s", Some(k3s)),
        ("Report made", origin.time.as_ref().map(|time| time.replace('T', " ").replace('Z', " UTC"))),
        ("k3s-harden", Some(origin.tool_version.clone())),
        ("Machine id (SHA-256)", origin.machine_id_sha256.clone()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(json!({"name": name, "value": value?})))
    .collect()
}

/// Returns the counts by status, in the order of the reports.
fn rows(verdicts: &[&ControlVerdict]) -> Vec<Value> {
    let row = |status: Status| {
        let counts = StatusCounts::count(verdicts.iter().copied().filter(|verdict| verdict.status == status));
        json!({"status": status.name(), "word": status_words(status), "count": counts.total(), "waived": counts.waived})
    };
    Status::ALL.into_iter().map(row).collect()
}

/// Returns the start and the length of each status within [`WHOLE`].
pub(in crate::output) fn shares(counts: &StatusCounts, statuses: &[Status]) -> Vec<Value> {
    let total: usize = statuses.iter().map(|status| counts.get(*status)).sum();
    let mut sum = 0;
    let mut shares = Vec::new();
    for status in statuses.iter().filter(|status| counts.get(**status) > 0) {
        let from = sum * WHOLE / total;
        sum += counts.get(*status);
        shares.push(json!({"status": status.name(), "from": from, "length": sum * WHOLE / total - from}));
    }
    shares
}

fn section(section: &Section<'_>) -> Value {
    json!({
        "number": section.number,
        "name": section.name(),
        "counts": rows(&section.verdicts),
        "score": StatusCounts::count(section.verdicts.iter().copied()).score().map(|score| score.to_string()),
    })
}

/// Returns the controls by status, findings first.
fn groups(report: &VerifyReport) -> Vec<Value> {
    let group = |status: Status| {
        let of: Vec<&ControlVerdict> =
            report.verdicts.iter().filter(|verdict| verdict.status == status).collect();
        // On paper, only what there is to do gets room.
        let brief = !is_finding(status) || of.iter().all(|verdict| verdict.waits_for_start());
        (!of.is_empty()).then(|| {
            json!({
                "status": status.name(),
                "word": status_words(status),
                "brief": brief,
                "controls": of.into_iter().map(control).collect::<Vec<_>>(),
            })
        })
    };
    READING_ORDER.into_iter().filter_map(group).collect()
}

fn control(verdict: &ControlVerdict) -> Value {
    let waiver = verdict.waiver.as_ref().map(|waiver| {
        json!({
            "who": waiver.who,
            "until": waiver.until,
            "ticket": waiver.ticket,
            "reason": waiver.reason,
            "place": waiver.place.as_ref().map(Place::to_string),
        })
    });
    json!({
        "id": verdict.id.to_string(),
        "section": section_number(verdict),
        "name": verdict.name,
        "title": verdict.title,
        "level": verdict.level,
        "automated": verdict.automated,
        "status": verdict.status.name(),
        "word": status_words(verdict.status),
        "open": is_finding(verdict.status) && waiver.is_none() && !verdict.waits_for_start(),
        "waiver": waiver,
        "expected": verdict.expected,
        "actual": verdict.actual,
        "because": matches!(verdict.status, Status::NotApplicable | Status::Unknown),
        "evidence": distinct_evidence(verdict).map(evidence).collect::<Vec<_>>(),
        // A control that is met needs no remedy.
        "remedy": verdict.remedy.trim_end().lines().filter(|_| verdict.status != Status::Pass).map(remedy_line).collect::<Vec<_>>(),
    })
}

/// Returns a line of a remedy: its parts, and which of them are between backticks, so that they can be copied.
pub(in crate::output) fn remedy_line(line: &str) -> Vec<Value> {
    let parts = line.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    parts.map(|(index, part)| json!({"text": part, "is_code": index % 2 == 1})).collect()
}

fn evidence(evidence: &Evidence) -> Value {
    json!({"text": evidence.text, "place": evidence.place.as_ref().map(Place::to_string)})
}
