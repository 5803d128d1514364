// SPDX-License-Identifier: Apache-2.0
//! The merged report of many nodes in its output formats, a file for each.
//!
//! Every text of it comes from files of other machines: each format escapes them.

mod html;
mod json;
mod text;

pub use html::merge_html;
pub use json::merge_json;
pub use text::{MergeTextOptions, merge_text};

use crate::report::{EarlierVerdict, FleetChange, MergeTrend, MergedControl};

use super::verify::status_words;

/// Returns a verdict in words, such as `fail, waived`.
fn verdict_words(verdict: EarlierVerdict) -> String {
    format!("{}{}", status_words(verdict.status), if verdict.waived { ", waived" } else { "" })
}

/// Returns a change in words, such as `pass → fail`.
fn change_words(change: &FleetChange) -> String {
    match (change.before, change.now) {
        (Some(before), Some(now)) if before.status == now.status => {
            let waived = if now.waived { "waived now" } else { "no longer waived" };
            format!("{}, {waived}", status_words(now.status))
        }
        (Some(before), Some(now)) => format!("{} → {}", verdict_words(before), verdict_words(now)),
        (Some(before), None) => format!("was {}", verdict_words(before)),
        (None, now) => now.map(verdict_words).unwrap_or_default(),
    }
}

/// Returns the lists of changes with their names, those that need somebody first.
fn change_lists(trend: &MergeTrend) -> [(&'static str, &[FleetChange]); 5] {
    [
        ("worse", &trend.worse),
        ("better", &trend.better),
        ("changed", &trend.changed),
        ("new", &trend.new),
        ("gone", &trend.gone),
    ]
}

/// Returns the number of a control: that of the newest benchmark in use, and behind it those of others that differ.
fn number_words(control: &MergedControl) -> String {
    let Some((_, newest)) = control.ids.last() else { return String::new() };
    let mut others: Vec<String> = Vec::new();
    for (benchmark, id) in control.ids.iter().rev().skip(1) {
        if id != newest {
            others.push(format!("{id} in {benchmark}"));
        }
    }
    if others.is_empty() { newest.to_string() } else { format!("{newest} ({})", others.join(", ")) }
}

/// Returns `1 node` or `2 nodes`.
fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}
