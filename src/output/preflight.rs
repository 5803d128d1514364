// SPDX-License-Identifier: Apache-2.0
//! The verdict of `preflight` as text and JSON.

use serde_json::{Value, json};

use super::origin::ReportOrigin;
use super::screen::{Ink, ScreenText, Style};
use crate::preflight::{Class, Finding, StartVerdict, When};

/// Returns the verdict for people. The answer is the last line, next to the prompt of a terminal.
#[must_use]
pub fn preflight_text(verdict: &StartVerdict, style: Style) -> ScreenText {
    let mut text = ScreenText::new(style);
    for finding in &verdict.findings {
        let (ink, label) = label(finding);
        text.paint(ink, label);
        text.line(format!(" {}", sentence(finding)));
        if let Some(says) = &finding.says {
            text.line(format!("  K3s: {says}"));
        }
        text.line(format!("  {}", finding.remedy));
    }
    if !text.as_str().is_empty() {
        text.end();
    }
    match verdict.starts() {
        Some(true) => text.paint_line(Ink::Green, "K3s starts."),
        Some(false) if verdict.stopping().all(|finding| finding.when == When::AfterReboot) => {
            text.paint_line(Ink::BoldRed, "K3s starts now, and does not after a reboot.");
        }
        Some(false) => text.paint_line(Ink::BoldRed, "K3s does not start."),
        None => text.paint_line(Ink::BoldYellow, "Unknown whether K3s starts."),
    }
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

fn label(finding: &Finding) -> (Ink, &'static str) {
    match (finding.class, finding.when) {
        (Class::Stops, When::Now) => (Ink::BoldRed, "does not start:"),
        (Class::Stops, When::AfterReboot) => (Ink::BoldRed, "does not start after a reboot:"),
        (Class::HardensNothing, _) => (Ink::BoldYellow, "hardens nothing:"),
        (Class::Warns, _) => (Ink::Yellow, "starts, but:"),
        (Class::Unknown, _) => (Ink::BoldYellow, "unknown:"),
        (Class::NotJudged, _) => (Ink::Cyan, "not judged:"),
    }
}

/// Returns the message with its place and its code.
fn sentence(finding: &Finding) -> String {
    let place = finding.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
    format!("{place}{} [{}]", finding.message, finding.code)
}
