// SPDX-License-Identifier: Apache-2.0
//! The runs on a root as text and JSON.

use serde_json::{Value, json};

use super::origin::ReportOrigin;
use super::screen::{ScreenText, Style};
use super::visible::visible;
use crate::apply::{Damage, History, RunRecord, RunState, RunVerb};

/// Returns the runs as a table, oldest first; `in_progress` tells whether the last one is still running.
#[must_use]
pub fn history_text(history: &History, in_progress: bool) -> ScreenText {
    let mut text = ScreenText::new(Style::Plain);
    if history.runs().is_empty() && !history.damage().is_empty() {
        let is_newer = history.damage().iter().any(|damage| damage.is_newer);
        let why = if is_newer { "it is of a newer version" } else { "the history is damaged" };
        text.line(format!("No run can be read here: {why}."));
        return text;
    }
    if history.runs().is_empty() {
        text.line("No run has changed anything here.");
        return text;
    }
    let rows: Vec<[String; 5]> = history
        .runs()
        .iter()
        .map(|run| {
            let changes = run.entries.len();
            [number(run), run.time.clone(), what(run), changes.to_string(), state(history, run, in_progress)]
                .map(|cell| visible(&cell).into_owned())
        })
        .collect();
    let head = ["RUN", "TIME", "WHAT", "CHANGES", "STATE"].map(str::to_owned);
    let width = |column: usize| {
        rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in [&head].into_iter().chain(&rows) {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        text.line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

/// Returns the runs for programs.
#[must_use]
pub fn history_json(root: &str, history: &History, origin: &ReportOrigin) -> Value {
    let run = |run: &RunRecord| {
        let to = match run.verb {
            RunVerb::Rollback { to } => Some(to),
            RunVerb::Apply => None,
        };
        json!({
            "id": run.id,
            "through": run.through,
            "time": run.time,
            "tool": run.tool,
            "verb": verb(run),
            "to": to,
            "state": run.state,
            "undone": history.is_undone(run.id),
            "left": run.left,
            "role": run.about.role,
            "kubernetes": run.about.kubernetes,
            "benchmark": run.about.benchmark,
            "profile": run.about.profiles,
            "paths": run.entries.iter().map(|entry| entry.path.as_str()).collect::<Vec<_>>(),
        })
    };
    let runs: Vec<Value> = history.runs().iter().map(run).collect();
    let damage =
        |damage: &Damage| json!({"run": damage.run, "path": damage.path.as_str(), "reason": damage.reason});
    let damage: Vec<Value> = history.damage().iter().map(damage).collect();
    origin.answer(json!({"root": root, "runs": runs, "damage": damage}))
}

fn verb(run: &RunRecord) -> &'static str {
    match run.verb {
        RunVerb::Apply => "apply",
        RunVerb::Rollback { .. } => "rollback",
    }
}

fn number(run: &RunRecord) -> String {
    match run.through {
        Some(through) => format!("{}-{through}", run.id),
        None => run.id.to_string(),
    }
}

fn what(run: &RunRecord) -> String {
    match run.verb {
        RunVerb::Rollback { to } => format!("rollback to before {to}"),
        RunVerb::Apply => {
            format!("apply {} {}, {}", run.about.role, run.about.kubernetes, run.about.profiles.join(" + "))
        }
    }
}

/// Returns the paths that a run has left and that no rollback has restored since: one beside damage passes over some.
fn still_left<'a>(history: &History, run: &'a RunRecord) -> Vec<&'a str> {
    let later = history.runs().iter().filter(|later| later.id > run.id && !history.is_undone(later.id));
    let rollbacks = later.filter(|later| {
        matches!(later.verb, RunVerb::Rollback { to } if to <= run.id) && later.state == RunState::Committed
    });
    let restored: Vec<&str> =
        rollbacks.flat_map(|later| &later.entries).map(|entry| entry.path.as_str()).collect();
    run.left.iter().map(String::as_str).filter(|path| !restored.contains(path)).collect()
}

fn state(history: &History, run: &RunRecord, in_progress: bool) -> String {
    match run.state {
        RunState::Begun if in_progress => "at work".to_owned(),
        RunState::Begun => "interrupted".to_owned(),
        RunState::RolledBack if run.left.is_empty() => "failed, rolled back".to_owned(),
        RunState::RolledBack => match still_left(history, run).as_slice() {
            [] => "undone".to_owned(),
            left => format!("partly rolled back, all but {}", left.join(", ")),
        },
        RunState::Committed if history.is_undone(run.id) => "undone".to_owned(),
        RunState::Committed => "done".to_owned(),
    }
}
