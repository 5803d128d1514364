//! The changes since an earlier report as text and JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::origin::FORMAT_VERSION;
use super::text::Style;
use super::verify::{status_words, visible};
use crate::verify::baseline::{BaselineState, Trend, TrendChange};

/// Returns the changes for people: worse controls first, and the counts last.
#[must_use]
pub fn trend_text(trend: &Trend, style: Style) -> String {
    let since = &trend.since;
    let head =
        format!("Since {}: Kubernetes {}, CIS {}", visible(&since.file), since.kubernetes, since.benchmark);
    let mut text = style.paint("1", &head) + "\n";
    for remark in &trend.remarks {
        let _infallible = writeln!(text, "{remark}");
    }
    let lists = [
        ("worse", "1;31", &trend.worse),
        ("better", "32", &trend.better),
        ("changed", "36", &trend.changed),
        ("new", "36", &trend.new),
        ("gone", "2", &trend.gone),
    ];
    let mut counts = Vec::new();
    for (name, code, changes) in lists {
        for change in changes {
            let label = format!("{name:7}");
            let _infallible = writeln!(text, "{} {}", style.paint(code, &label), line(change));
        }
        if !changes.is_empty() {
            counts.push(format!("{} {name}", changes.len()));
        }
    }
    let sum = if counts.is_empty() { "Nothing has changed".to_owned() } else { counts.join(", ") };
    let _infallible = writeln!(text, "{}", style.paint("1", &format!("{sum}.")));
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
        let _infallible = write!(text, " ({})", visible(&change.actual));
    }
    text
}
