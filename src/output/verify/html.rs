//! The report as one page that loads nothing, for auditors. The template is `templates/report.html.tera`.

use std::io::{self, Write};

use serde_json::{Value, json};
use tera::Context;

use super::section::{Counts, Section};
use super::visible::visible;
use super::{FORECAST, ReportOrigin, is_finding, seen, word};
use crate::document::page;
use crate::error::Place;
use crate::verify::{ControlVerdict, Evidence, Status, VerifyReport};

/// What the bar and the ring are long.
const WHOLE: usize = 1000;

/// Returns the report as a page. All of it can be read without its script, which only filters.
///
/// Its content security policy lets in its own style and script by their hashes, and nothing else; whatever comes from
/// the node is text there, with what is not seen written out.
#[must_use]
pub fn html(report: &VerifyReport, taken: &ReportOrigin<'_>) -> String {
    let counts = Counts::of(&report.verdicts);
    let root = report.root.display().to_string();
    let mut context = Context::new();
    context.insert("version", env!("CARGO_PKG_VERSION"));
    context.insert("benchmark", &report.benchmark);
    context.insert("node", taken.host.unwrap_or(&root));
    context.insert("facts", &facts(report, taken, &root));
    context.insert("started", &report.started);
    context.insert("forecast", FORECAST);
    context.insert("score", &counts.score().map(|score| score.to_string()));
    context.insert("total", &counts.total());
    context.insert("arcs", &shares(&counts, &[Status::Pass, Status::Fail, Status::Warn]));
    context.insert("parts", &shares(&counts, &Status::ALL));
    context.insert("counts", &rows(&report.verdicts.iter().collect::<Vec<_>>()));
    context.insert("findings", &report.findings.iter().map(evidence).collect::<Vec<_>>());
    context.insert("sections", &Section::all(report).iter().map(section).collect::<Vec<_>>());
    page("report.html.tera", &context, html_text)
}

/// Writes text so that a page shows just that text.
fn html_text(text: &str, out: &mut dyn Write) -> io::Result<()> {
    tera::escape_html(&visible(text), out)
}

fn facts(report: &VerifyReport, taken: &ReportOrigin<'_>, root: &str) -> Vec<Value> {
    let started = if report.started { "has started" } else { "has not started" };
    [
        ("Node", taken.host.map(str::to_owned)),
        ("Role", Some(report.role.to_string())),
        ("Root", Some(root.to_owned())),
        ("Kubernetes", Some(report.kubernetes.to_string())),
        ("K3s", Some(started.to_owned())),
        ("Taken", taken.time.map(|time| time.replace('T', " ").replace('Z', " UTC"))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(json!({"name": name, "value": value?})))
    .collect()
}

/// Returns the counts by status, in the order of the reports.
fn rows(verdicts: &[&ControlVerdict]) -> Vec<Value> {
    let row = |status: Status| {
        let counts = Counts::of(verdicts.iter().copied().filter(|verdict| verdict.status == status));
        json!({"status": status.name(), "word": word(status), "count": counts.total(), "waived": counts.waived})
    };
    Status::ALL.into_iter().map(row).collect()
}

/// Returns where the share of each status begins in [`WHOLE`], and how long it is.
fn shares(counts: &Counts, of: &[Status]) -> Vec<Value> {
    let total: usize = of.iter().map(|status| counts.get(*status)).sum();
    let mut sum = 0;
    let mut shares = Vec::new();
    for status in of.iter().filter(|status| counts.get(**status) > 0) {
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
        "controls": section.verdicts.iter().map(|verdict| control(verdict)).collect::<Vec<_>>(),
    })
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
        "name": verdict.name,
        "title": verdict.title,
        "level": verdict.level,
        "automated": verdict.automated,
        "status": verdict.status.name(),
        "word": word(verdict.status),
        "open": is_finding(verdict.status) && waiver.is_none(),
        "waiver": waiver,
        "expected": verdict.expected,
        "actual": verdict.actual,
        "because": matches!(verdict.status, Status::NotApplicable | Status::Unknown),
        "evidence": seen(verdict).map(evidence).collect::<Vec<_>>(),
        // What is met needs none.
        "remedy": verdict.remedy.trim_end().lines().filter(|_| verdict.status != Status::Pass).collect::<Vec<_>>(),
    })
}

fn evidence(evidence: &Evidence) -> Value {
    json!({"text": evidence.text, "place": evidence.place.as_ref().map(Place::to_string)})
}
