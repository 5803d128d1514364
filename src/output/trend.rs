// SPDX-License-Identifier: Apache-2.0
//! The changes since an earlier report as text and JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::origin::FORMAT_VERSION;
use super::screen::{Ink, ScreenText, Style};
use super::verify::status_words;
use crate::verify::baseline::{BaselineState, Trend, TrendChange};

/// Returns the changes for people: worse controls first, and the counts last.
#[must_use]
pub fn trend_text(trend: &Trend, style: Style) -> ScreenText {
    let since = &trend.since;
    let head = format!("Since {}: Kubernetes {}, CIS {}", since.file, since.kubernetes, since.benchmark);
    let mut text = ScreenText::new(style);
    text.paint_line(Ink::Bold, head);
    for remark in &trend.remarks {
        text.line(remark);
    }
    let lists = [
        ("worse", Ink::BoldRed, &trend.worse),
        ("better", Ink::Green, &trend.better),
        ("changed", Ink::Cyan, &trend.changed),
        ("new", Ink::Cyan, &trend.new),
        ("gone", Ink::Faint, &trend.gone),
    ];
    let mut counts = Vec::new();
    for (name, ink, changes) in lists {
        for change in changes {
            text.paint(ink, format!("{name:7}"));
            text.line(format!(" {}", line(change)));
        }
        if !changes.is_empty() {
            counts.push(format!("{} {name}", changes.len()));
        }
    }
    let sum = if counts.is_empty() { "Nothing has changed".to_owned() } else { counts.join(", ") };
    text.paint_line(Ink::Bold, format!("{sum}."));
    text
}

/// Returns the changes for programs.
#[must_use]
pub fn trend_json(trend: &Trend) -> Value {
    let list = |changes: &[TrendChange]| changes.iter().map(change_json).collect::<Vec<_>>();
    json!({
        "format_version": FORMAT_VERSION,
        "since": {
            "file": trend.since.file,
            "role": trend.since.role,
            "kubernetes": trend.since.kubernetes.to_string(),
            "benchmark": trend.since.benchmark,
        },
        "remarks": trend.remarks,
        "worse": list(&trend.worse),
        "better": list(&trend.better),
        "changed": list(&trend.changed),
        "new": list(&trend.new),
        "gone": list(&trend.gone),
    })
}

fn change_json(change: &TrendChange) -> Value {
    let state = |state: &BaselineState| json!({"id": state.id.to_string(), "status": state.status, "waived": state.waived});
    let mut json = json!({
        "name": change.name,
        "before": change.before.as_ref().map(state),
        "now": change.now.as_ref().map(state),
    });
    if change.now.is_some() {
        json["actual"] = change.actual.as_str().into();
    }
    json
}

/// Describes a change: `1.2.16 audit-log-path: pass → fail (not set)`.
fn line(change: &TrendChange) -> String {
    let state = |state: &BaselineState| {
        format!("{}{}", status_words(state.status), if state.waived { ", waived" } else { "" })
    };
    let id = change.now.as_ref().or(change.before.as_ref()).map(|state| state.id.to_string());
    let mut text = format!("{:6} {}: ", id.unwrap_or_default(), change.name);
    match (&change.before, &change.now) {
        (Some(before), Some(now)) if before.status == now.status => {
            let waived = if now.waived { "waived now" } else { "no longer waived" };
            let _infallible = write!(text, "{}, {waived}", status_words(now.status));
        }
        (Some(before), Some(now)) => {
            let _infallible = write!(text, "{} → {}", state(before), state(now));
        }
        (Some(before), None) => {
            let _infallible = write!(text, "was {}", state(before));
        }
        (None, now) => text.push_str(&now.as_ref().map(state).unwrap_or_default()),
    }
    if !change.actual.is_empty() {
        let _infallible = write!(text, " ({})", change.actual);
    }
    text
}
