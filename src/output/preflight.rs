//! The verdict of `preflight` as text and JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Style;
use super::origin::ReportOrigin;
use crate::preflight::{Class, Finding, StartVerdict, When};

/// Returns the verdict for people. The answer is the last line, next to the prompt of a terminal.
#[must_use]
pub fn preflight_text(verdict: &StartVerdict, style: Style) -> String {
    let mut text = String::new();
    for finding in &verdict.findings {
        let _infallible = writeln!(text, "{} {}", label(finding, style), sentence(finding));
        if let Some(says) = &finding.says {
            let _infallible = writeln!(text, "  K3s: {says}");
        }
        let _infallible = writeln!(text, "  {}", finding.remedy);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&match verdict.starts() {
        Some(true) => style.paint("32", "K3s starts."),
        Some(false) if verdict.stopping().all(|finding| finding.when == When::AfterReboot) => {
            style.paint("1;31", "K3s starts now, and does not after a reboot.")
        }
        Some(false) => style.paint("1;31", "K3s does not start."),
        None => style.paint("1;33", "It cannot be told whether K3s starts."),
    });
    text.push('\n');
    text
}

/// Returns the verdict for programs.
#[must_use]
pub fn preflight_json(verdict: &StartVerdict, origin: &ReportOrigin) -> Value {
    let list = |include: &dyn Fn(&Finding) -> bool| -> Vec<Value> {
        verdict.findings.iter().filter(|finding| include(finding)).map(finding_json).collect()
    };
    let is_note = |finding: &Finding| matches!(finding.class, Class::NotJudged | Class::Unknown);
    let not_judged: Vec<Value> =
        verdict.findings.iter().filter(|it| is_note(it)).map(not_judged_json).collect();
    origin.answer(json!({
        "starts": verdict.starts(),
        "now": list(&|finding| !is_note(finding) && finding.when == When::Now),
        "after_reboot": list(&|finding| !is_note(finding) && finding.when == When::AfterReboot),
        "notes": list(&is_note),
        "not_judged": not_judged,
    }))
}

/// Returns what was not judged, where it is, and why.
fn not_judged_json(finding: &Finding) -> Value {
    let mut json = json!({"what": finding.code, "why": finding.message});
    if let Some(place) = &finding.place {
        json["path"] = place.file.clone().into();
    }
    json
}

fn finding_json(finding: &Finding) -> Value {
    let mut json = json!({
        "code": finding.code,
        "class": finding.class,
        "message": finding.message,
        "remedy": finding.remedy,
    });
    if let Some(place) = &finding.place {
        json["path"] = place.file.clone().into();
        if let Some((line, column)) = place.position {
            json["line"] = line.into();
            json["column"] = column.into();
        }
    }
    if let Some(says) = &finding.says {
        json["says"] = says.clone().into();
    }
    json
}

fn label(finding: &Finding, style: Style) -> String {
    match (finding.class, finding.when) {
        (Class::Stops, When::Now) => style.paint("1;31", "does not start:"),
        (Class::Stops, When::AfterReboot) => style.paint("1;31", "does not start after a reboot:"),
        (Class::HardensNothing, _) => style.paint("1;33", "hardens nothing:"),
        (Class::Warns, _) => style.paint("33", "starts, but:"),
        (Class::Unknown, _) => style.paint("1;33", "unknown:"),
        (Class::NotJudged, _) => style.paint("36", "not judged:"),
    }
}

/// Returns the message with its place and its code.
fn sentence(finding: &Finding) -> String {
    let place = finding.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
    format!("{place}{} [{}]", finding.message, finding.code)
}
