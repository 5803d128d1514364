// SPDX-License-Identifier: Apache-2.0
//! The text of `plan`, `apply`, `rollback` and `uninstall`, and of errors.

use super::notes_text;
use super::screen::{Ink, ScreenText, Style};
use crate::Error;
use crate::document::{ChangeRow, join};
use crate::plan::{Action, Change, Plan};

/// Returns the text of `plan`.
#[must_use]
pub fn plan_text(plan: &Plan, style: Style) -> ScreenText {
    let mut text = ScreenText::new(style);
    text.line(subject(plan));
    notes_text::head(&mut text, plan);
    for action in plan.changes() {
        heading(&mut text, action, &plan.changed_since(action));
        for line in action.diff.split_terminator('\n') {
            let ink = match line.as_bytes().first() {
                Some(b'+') => Ink::Green,
                Some(b'-') => Ink::Red,
                Some(b'@') => Ink::Cyan,
                _ => Ink::Plain,
            };
            text.paint_line(ink, line);
        }
    }
    taken_over(&mut text, plan);
    text.end();
    match count(plan, ["to create", "to update", "to change in mode or owner", "to remove"]) {
        counts if counts.is_empty() => text.line("Nothing to change."),
        counts => text.line(format!("{counts}.")),
    }
    notes_text::tail(&mut text, plan);
    text
}

/// Names what of the user's is taken over.
fn taken_over(text: &mut ScreenText, plan: &Plan) {
    // The others are warnings.
    let mut kept = plan.taken_over.iter().filter(|part| !part.is_warning()).peekable();
    if kept.peek().is_none() {
        return;
    }
    text.end();
    text.paint_line(Ink::Bold, "Taken over from files that were here:");
    for part in kept {
        let ink = if part.weakens { Ink::Yellow } else { Ink::Plain };
        text.paint_line(ink, format!("  {part}"));
    }
}

/// Writes the lines above a diff; `rows` are the rows of the table of changes that explain it.
fn heading(text: &mut ScreenText, action: &Action, rows: &[&ChangeRow]) {
    let controls = action.resource.controls();
    let controls = if controls.is_empty() { String::new() } else { format!("  CIS {}", join(controls)) };
    let line = format!("{} {}{}{controls}", imperative(action), action.resource.path(), mode(action));
    text.end();
    text.paint_line(Ink::Bold, line);
    rows.iter().for_each(|row| text.line(row));
}

/// Returns the text of `apply`.
#[must_use]
pub fn apply_text(plan: &Plan, style: Style) -> ScreenText {
    let mut text = ScreenText::new(style);
    if !plan.is_changed() {
        text.paint_line(Ink::Green, "Nothing to change.");
        return text;
    }
    text.line(subject(plan));
    notes_text::head(&mut text, plan);
    done(&mut text, plan);
    taken_over(&mut text, plan);
    text.end();
    let counts = count(plan, ["created", "updated", "changed in mode or owner", "removed"]);
    text.line(format!("{counts}."));
    notes_text::tail(&mut text, plan);
    text
}

/// Adds what the user does next to an answer.
pub fn add_next_step(text: &mut ScreenText, next: &str) {
    text.end();
    text.line(format!("Next: {next}"));
}

fn done(text: &mut ScreenText, plan: &Plan) {
    for action in plan.changes() {
        text.line(format!("{} {}{}", past(action), action.resource.path(), mode(action)));
    }
}

/// Returns the text of `rollback` and `uninstall`; `state` describes the node afterwards.
#[must_use]
pub fn undo_text(plan: &Plan, state: &str, style: Style) -> ScreenText {
    let mut text = ScreenText::new(style);
    text.line(format!("{}: restored to {state}.", plan.subject.root.display()));
    done(&mut text, plan);
    if !plan.is_changed() {
        text.paint_line(Ink::Green, "No file had to change.");
    }
    notes_text::head(&mut text, plan);
    text
}

/// Returns an error with its hints.
#[must_use]
pub fn error_text(error: &Error, style: Style) -> ScreenText {
    let mut text = ScreenText::new(style);
    text.paint(Ink::BoldRed, "error:");
    text.push(" ");
    text.message(error);
    for hint in error.hints() {
        text.paint(Ink::BoldCyan, " help:");
        text.push(" ");
        text.message(hint);
    }
    text
}

fn subject(plan: &Plan) -> String {
    let subject = &plan.subject;
    format!(
        "{} at {}: Kubernetes {}, CIS {}, profile {}",
        subject.role,
        subject.root.display(),
        subject.kubernetes,
        subject.benchmark,
        subject.profiles.join(" + ")
    )
}

fn count(plan: &Plan, words: [&str; 4]) -> String {
    let number = |change| plan.changes().filter(|action| action.change == change).count();
    [Change::Create, Change::Update, Change::Metadata, Change::Remove]
        .into_iter()
        .zip(words)
        .filter(|(change, _)| number(*change) > 0)
        .map(|(change, word)| format!("{} {word}", number(change)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn mode(action: &Action) -> String {
    match (action.change, action.resource.mode()) {
        (Change::Remove, _) | (_, None) => String::new(),
        (_, Some(mode)) => format!(" ({mode})"),
    }
}

fn imperative(action: &Action) -> &'static str {
    match action.change {
        Change::None => "keep",
        Change::Create => "create",
        Change::Update => "update",
        Change::Metadata => "change mode or owner of",
        Change::Remove => "remove",
    }
}

fn past(action: &Action) -> &'static str {
    match action.change {
        Change::None => "kept",
        Change::Create => "created",
        Change::Update => "updated",
        Change::Metadata => "changed mode or owner of",
        Change::Remove => "removed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::Owner;
    use crate::node::{Metadata, PathState, RootedPath};
    use crate::output::json::ReportedAction;
    use crate::plan::{Content, CurrentState, File, Resource};

    #[test]
    fn a_row_of_the_table_of_changes_stands_beside_its_action() {
        let resource = Resource::File(File {
            path: RootedPath::fixed("/x"),
            metadata: Metadata::private_file(Owner::ROOT),
            content: Content::Bytes(Vec::new()),
            controls: Vec::new(),
        });
        let before = CurrentState::Path(PathState::Absent);
        let action = Action { resource, before, change: Change::Update, diff: String::new() };
        let row: ChangeRow =
            serde_yaml::from_str("{since: 0.1.0, path: /x, what: more, why: reason}").unwrap();
        let heading = |rows: &[&ChangeRow]| {
            let mut text = ScreenText::new(Style::Plain);
            heading(&mut text, &action, rows);
            text.as_str().to_owned()
        };
        assert_eq!(heading(&[&row]), "\nupdate /x (0600)\nchanged since 0.1.0: more\n");
        assert_eq!(heading(&[]), "\nupdate /x (0600)\n");
        let json = |rows| serde_json::to_value(ReportedAction::new(&action, rows)).unwrap();
        let wanted = serde_json::json!([{"since": "0.1.0", "what": "more", "why": "reason"}]);
        assert_eq!(json(vec![&row])["changed_since"], wanted);
        assert_eq!(json(vec![]).get("changed_since"), None);
    }
}
