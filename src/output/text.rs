//! The text of `plan`, `apply`, `rollback` and `uninstall`, and of errors.

use std::fmt::Write as _;

use crate::Error;
use crate::document::{ChangeRow, join};
use crate::plan::{Action, Change, Plan};

/// The decoration of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// No decoration.
    Plain,
    /// ANSI colours.
    Coloured,
}

impl Style {
    /// Decorates a text with an ANSI code.
    pub(super) fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// Returns the text of `plan`.
#[must_use]
pub fn plan_text(plan: &Plan, style: Style) -> String {
    let mut text = subject(plan);
    for action in plan.changes() {
        text.push_str(&heading(action, &plan.changed_since(action), style));
        for line in action.diff.lines() {
            text.push_str(&match line.as_bytes().first() {
                Some(b'+') => style.paint("32", line),
                Some(b'-') => style.paint("31", line),
                Some(b'@') => style.paint("36", line),
                _ => line.to_owned(),
            });
            text.push('\n');
        }
    }
    let _infallible = match count(plan, ["to create", "to update", "to change in mode or owner", "to remove"])
    {
        counts if counts.is_empty() => writeln!(text, "\nNothing to change."),
        counts => writeln!(text, "\n{counts}."),
    };
    text
}

/// Returns the lines above a diff; `rows` are the rows of the table of changes that explain it.
fn heading(action: &Action, rows: &[&ChangeRow], style: Style) -> String {
    let controls = action.resource.controls();
    let controls = if controls.is_empty() { String::new() } else { format!("  CIS {}", join(controls)) };
    let line = format!("{} {}{}{controls}", imperative(action), action.resource.path(), mode(action));
    let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
    format!("\n{}\n{rows}", style.paint("1", &line))
}

/// Returns the text of `apply`.
#[must_use]
pub fn apply_text(plan: &Plan, style: Style) -> String {
    let mut text = String::new();
    for action in plan.changes() {
        let _infallible = writeln!(text, "{} {}{}", past(action), action.resource.path(), mode(action));
    }
    if plan.is_changed() {
        let counts = count(plan, ["created", "updated", "changed in mode or owner", "removed"]);
        text = format!("{}\n{text}\n{counts}.\n", subject(plan).trim_end());
    } else {
        text.push_str(&style.paint("32", "Nothing to change."));
        text.push('\n');
    }
    text
}

/// Returns the text of `rollback` and `uninstall`; `state` describes the node afterwards.
#[must_use]
pub fn undo_text(plan: &Plan, state: &str, style: Style) -> String {
    let mut text = format!("{} is {state}.\n", plan.subject.root.display());
    for action in plan.changes() {
        let _infallible = writeln!(text, "{} {}{}", past(action), action.resource.path(), mode(action));
    }
    if !plan.is_changed() {
        text.push_str(&style.paint("32", "Nothing had to change."));
        text.push('\n');
    }
    text
}

/// Returns an error with its hints.
#[must_use]
pub fn error_text(error: &Error, style: Style) -> String {
    let mut text = format!("{} {error}\n", style.paint("1;31", "error:"));
    for hint in error.hints() {
        let _infallible = writeln!(text, "{} {hint}", style.paint("1;36", " help:"));
    }
    text
}

fn subject(plan: &Plan) -> String {
    let subject = &plan.subject;
    format!(
        "{} at {}: Kubernetes {}, CIS {}, profile {}\n",
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
        assert_eq!(
            heading(&action, &[&row], Style::Plain),
            "\nupdate /x (0600)\nchanged since 0.1.0: more\n"
        );
        assert_eq!(heading(&action, &[], Style::Plain), "\nupdate /x (0600)\n");
        let json = |rows| serde_json::to_value(ReportedAction::new(&action, rows)).unwrap();
        let wanted = serde_json::json!([{"since": "0.1.0", "what": "more", "why": "reason"}]);
        assert_eq!(json(vec![&row])["changed_since"], wanted);
        assert_eq!(json(vec![]).get("changed_since"), None);
    }
}
