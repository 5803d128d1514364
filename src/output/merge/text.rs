// SPDX-License-Identifier: Apache-2.0
//! The merged report as text: the groups, a table of controls and groups, the values that nodes have, what does not count,
//! and the sum in the last line, next to the prompt of a terminal.

use super::{change_lists, change_words, counted, number_words};
use crate::output::screen::{Ink, ScreenText, Style};
use crate::output::verify::status_words;
use crate::output::wrap::{MIN_WIDTH, wrap};
use crate::report::{MergeTrend, MergedControl, MergedReport, NodeGroup, Verdict};
use crate::verify::Status;

/// The options of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeTextOptions {
    /// The decoration.
    pub style: Style,
    /// The number of columns; none for output that is not wrapped.
    pub width: Option<usize>,
}

/// How many names a line has at most; the JSON and the page have all of them.
const MOST_NAMES: usize = 6;
/// How many groups the list shows at most.
const MOST_GROUPS: usize = 30;
/// How many columns of groups the table has where there is no terminal.
const MOST_COLUMNS: usize = 24;
/// How many lines a list of what does not count has at most.
const MOST_LINES: usize = 20;

/// Returns the merged report for people.
#[must_use]
pub fn merge_text(
    merged: &MergedReport,
    trend: Option<&MergeTrend>,
    options: &MergeTextOptions,
) -> ScreenText {
    let width = options.width.map(|width| width.max(MIN_WIDTH));
    let mut page = MergedText { merged, text: ScreenText::new(options.style), width };
    page.head();
    page.remarks();
    page.groups();
    page.table();
    page.values();
    if let Some(trend) = trend {
        page.trend(trend);
    }
    page.closing();
    page.text
}

/// Builds the text.
struct MergedText<'a> {
    merged: &'a MergedReport,
    text: ScreenText,
    width: Option<usize>,
}

impl MergedText<'_> {
    fn head(&mut self) {
        let benchmarks = self.merged.benchmarks.iter();
        let benchmarks: Vec<String> = match self.merged.benchmarks.as_slice() {
            [(one, _)] => vec![format!("CIS {one}")],
            _ => benchmarks.map(|(name, nodes)| format!("CIS {name} ({nodes})")).collect(),
        };
        let nodes = counted(self.merged.nodes.len(), "node");
        let groups = counted(self.merged.groups.len(), "group");
        self.text.paint_line(Ink::Bold, format!("{nodes} in {groups}, {}", benchmarks.join(", ")));
        if let Some((oldest, newest)) = &self.merged.times {
            let times = if oldest == newest {
                format!("reports made at {oldest}")
            } else {
                format!("reports made from {oldest} to {newest}")
            };
            self.text.line(times);
        }
    }

    /// What is not counted, and what else has to be known: before the numbers that it is about.
    fn remarks(&mut self) {
        let broken = self.merged.broken.iter().map(|one| format!("{}: {}", one.file, one.why)).collect();
        self.list("Files that are no reports", ("BROKEN", Ink::BoldRed), broken);
        let superseded = self.merged.superseded.iter().map(|one| {
            let time = one.time.as_ref().map(|time| format!(" of {time}")).unwrap_or_default();
            let other = if one.other_machine { ", and the two are of different machines" } else { "" };
            format!("{}{time}: {} counts for {}{other}", one.file, one.by, one.node)
        });
        self.list("Reports that do not count", ("older", Ink::Cyan), superseded.collect());
        let remarks = self.merged.remarks.iter().map(|one| {
            let nodes = match one.nodes.len() {
                0 => String::new(),
                all if all == self.merged.nodes.len() && all > 1 => " (every node)".to_owned(),
                _ => format!(": {}", names(&one.nodes)),
            };
            (one.is_doubt(), format!("{}{nodes}", one.message))
        });
        let (doubts, notes): (Vec<_>, Vec<_>) = remarks.partition(|(is_doubt, _)| *is_doubt);
        let texts = |list: Vec<(bool, String)>| list.into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        self.list("Uncertain results", ("DOUBT", Ink::BoldYellow), texts(doubts));
        self.list("To know", ("note", Ink::Cyan), texts(notes));
    }

    fn list(&mut self, heading: &str, label: (&str, Ink), lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        self.text.end();
        self.text.paint_line(Ink::Bold, format!("{heading} ({})", lines.len()));
        let more = lines.len().saturating_sub(MOST_LINES);
        for line in lines.into_iter().take(MOST_LINES) {
            self.labelled(label, &line);
        }
        if more > 0 {
            self.labelled(("", Ink::Plain), &format!("and {more} more, which --format json names"));
        }
    }

    fn labelled(&mut self, (word, ink): (&str, Ink), line: &str) {
        const INDENT: usize = 8;
        let width = self.width.map(|width| width.saturating_sub(INDENT));
        for (index, part) in wrap(line, width, width).into_iter().enumerate() {
            if index == 0 {
                self.text.paint(ink, format!("{word:INDENT$}"));
            } else {
                self.text.push(" ".repeat(INDENT));
            }
            self.text.line(part);
        }
    }

    fn groups(&mut self) {
        self.text.end();
        let heads = ["group", "nodes", "fail", "warn", "unknown", "manual", "pass", "n/a", "waived"];
        self.text.paint_line(Ink::Bold, heads.join("  "));
        for (index, group) in self.merged.groups.iter().enumerate().take(MOST_GROUPS) {
            let open = |status| group.open(status).to_string();
            let cells = [
                (index + 1).to_string(),
                group.nodes.len().to_string(),
                open(Status::Fail),
                open(Status::Warn),
                open(Status::Unknown),
                open(Status::Manual),
                open(Status::Pass),
                open(Status::NotApplicable),
                group.counts.waived.to_string(),
            ];
            for (at, (head, cell)) in heads.iter().zip(&cells).enumerate() {
                let ink = match (*head, cell.as_str()) {
                    (_, "0") => Ink::Faint,
                    ("fail", _) => Ink::BoldRed,
                    ("warn", _) => Ink::BoldYellow,
                    ("unknown", _) => Ink::BoldMagenta,
                    _ => Ink::Plain,
                };
                self.text.paint(ink, format!("{cell:>width$}", width = head.len()));
                self.text.push(if at + 1 < heads.len() { "  " } else { "" });
            }
            let nodes: Vec<String> =
                group.nodes.iter().map(|node| self.merged.nodes[*node].name.clone()).collect();
            self.text.line(format!("  {}", names(&nodes)));
        }
        let more = self.merged.groups.len().saturating_sub(MOST_GROUPS);
        if more > 0 {
            let left: usize =
                self.merged.groups.iter().skip(MOST_GROUPS).map(|group| group.nodes.len()).sum();
            let nodes = counted(left, "node");
            self.text.line(format!("and {more} more groups with {nodes}, which --format json and html name"));
        }
    }

    /// The table of the controls that a node does not meet or where it is not known, by groups.
    fn table(&mut self) {
        let is_shown = |control: &&MergedControl| {
            [Status::Fail, Status::Warn, Status::Unknown].iter().any(|status| control.open.get(*status) > 0)
        };
        let controls: Vec<(usize, &MergedControl)> =
            self.merged.controls.iter().enumerate().filter(|(_, control)| is_shown(control)).collect();
        if controls.is_empty() {
            return;
        }
        let number =
            |control: &MergedControl| control.ids.last().map(|(_, id)| id.to_string()).unwrap_or_default();
        let numbers = controls.iter().map(|(_, control)| number(control).len()).max().unwrap_or_default();
        let titles =
            controls.iter().map(|(_, control)| control.name.chars().count()).max().unwrap_or_default();
        let cell = self.merged.groups.len().min(99).to_string().len() + 1;
        let fixed = numbers + 1 + titles + " nodes ".len();
        let columns = self.width.map_or(MOST_COLUMNS, |width| (width.saturating_sub(fixed) / cell).max(3));
        let groups: Vec<&NodeGroup> = self.merged.groups.iter().take(columns).collect();
        self.text.end();
        let heads: String = (1..=groups.len()).map(|number| format!("{number:>cell$}")).collect();
        let name = "control, and how many nodes do not meet it";
        let name = if name.chars().count() > numbers + 1 + titles { "control" } else { name };
        self.text.paint_line(Ink::Bold, format!("{name:width$} nodes {heads}", width = numbers + 1 + titles));
        for (index, control) in controls {
            let open = [Status::Fail, Status::Warn, Status::Unknown].map(|status| control.open.get(status));
            let nodes: usize = open.iter().sum();
            let (number, name) = (number(control), &control.name);
            self.text.push(format!("{number:numbers$} {name:titles$} {nodes:>5} "));
            for group in &groups {
                let (ink, letter) = letter(group.verdicts.get(&index).copied());
                self.text.paint(ink, format!("{letter:>cell$}"));
            }
            self.text.end();
        }
        let left_out = self.merged.groups.len() - groups.len();
        let more = match left_out {
            0 => String::new(),
            1 => "; the last group is left out".to_owned(),
            count => format!("; the last {count} groups are left out"),
        };
        let key = "F fail, W warn, ? unknown, M manual, . pass, - not applicable; lower case: waived; blank: no result";
        self.paragraph(&format!("{key}{more}"));
    }

    fn paragraph(&mut self, text: &str) {
        for line in wrap(text, self.width, self.width) {
            self.text.line(line);
        }
    }

    /// The values on the nodes that do not meet a control.
    fn values(&mut self) {
        let merged = self.merged;
        let is_open = |control: &&MergedControl| {
            [Status::Fail, Status::Warn].iter().any(|status| control.open.get(*status) > 0)
        };
        let mut is_first = true;
        for control in merged.controls.iter().filter(is_open) {
            if std::mem::take(&mut is_first) {
                self.text.end();
                self.text.paint_line(Ink::Bold, "Actual values on these nodes");
            }
            let seen = control.seen.iter().filter(|one| one.status != Status::Unknown);
            let seen: Vec<_> = seen.collect();
            self.text.line(format!("{} {}: {}", number_words(control), control.name, control.title));
            for one in seen.iter().take(MOST_NAMES) {
                let word = status_words(one.status);
                let ink = if one.status == Status::Fail { Ink::BoldRed } else { Ink::BoldYellow };
                let example = &merged.nodes[one.example].name;
                let nodes = if one.nodes == 1 {
                    example.clone()
                } else {
                    format!("{} nodes, as {example}", one.nodes)
                };
                self.labelled((&format!("  {word}"), ink), &format!("{} ({nodes})", one.actual));
            }
            let more = seen.len().saturating_sub(MOST_NAMES) + control.seen_left_out;
            if more > 0 {
                self.labelled(("", Ink::Plain), &format!("and {more} more values"));
            }
        }
    }

    fn trend(&mut self, trend: &MergeTrend) {
        self.text.end();
        let nodes = counted(trend.nodes, "node");
        self.text.paint_line(Ink::Bold, format!("Since {} of {}: {nodes} then", trend.file, trend.time));
        for remark in &trend.remarks {
            self.labelled(("note", Ink::Cyan), remark);
        }
        let mut counts = Vec::new();
        for (name, changes) in change_lists(trend) {
            let ink = match name {
                "worse" => Ink::BoldRed,
                "better" => Ink::Green,
                "gone" => Ink::Faint,
                _ => Ink::Cyan,
            };
            for change in changes.iter().take(MOST_LINES) {
                let id = change.id.as_deref().unwrap_or("-");
                let line =
                    format!("{id} {}: {} ({})", change.name, change_words(change), names(&change.nodes));
                self.labelled((name, ink), &line);
            }
            let more = changes.len().saturating_sub(MOST_LINES);
            if more > 0 {
                self.labelled((name, ink), &format!("and {more} more, which --format json names"));
            }
            if !changes.is_empty() {
                counts.push(format!("{} {name}", changes.len()));
            }
        }
        for (word, nodes) in [("new node", &trend.new_nodes), ("gone node", &trend.gone_nodes)] {
            if !nodes.is_empty() {
                self.text.line(format!("{}: {}", counted(nodes.len(), word), names(nodes)));
                counts.push(counted(nodes.len(), word));
            }
        }
        if counts.is_empty() {
            self.text.paint_line(Ink::Bold, "Nothing has changed.");
        }
    }

    fn closing(&mut self) {
        let merged = self.merged;
        self.text.end();
        let all = merged.nodes.len();
        let failing = merged.nodes_with(Status::Fail);
        let score =
            merged.counts.score().map(|score| format!(" Score over all: {score}.")).unwrap_or_default();
        let mut text = match failing {
            0 => format!("No control fails on any of {}.", counted(all, "node")),
            count => format!("A control fails on {count} of {}.", counted(all, "node")),
        };
        let lapsed = merged.nodes.iter().filter(|node| node.lapsed > 0).count();
        if lapsed > 0 {
            text += &format!(" Waivers have lapsed on {lapsed}.");
        }
        if !merged.broken.is_empty() {
            text += &format!(" {} could not be read.", counted(merged.broken.len(), "file"));
        }
        let is_fine = failing == 0 && lapsed == 0 && merged.broken.is_empty();
        let ink = if is_fine { Ink::BoldGreen } else { Ink::Bold };
        for line in wrap(&(text + &score), self.width, self.width) {
            self.text.paint_line(ink, line);
        }
    }
}

/// Returns the letter of a verdict, and its colour. The letter of a waived one is small.
fn letter(verdict: Option<Verdict>) -> (Ink, &'static str) {
    let Some(Verdict { status, waived }) = verdict else { return (Ink::Plain, "") };
    match (status, waived) {
        (Status::Fail, false) => (Ink::BoldRed, "F"),
        (Status::Fail, true) => (Ink::Cyan, "f"),
        (Status::Warn, false) => (Ink::BoldYellow, "W"),
        (Status::Warn, true) => (Ink::Cyan, "w"),
        (Status::Unknown, false) => (Ink::BoldMagenta, "?"),
        (Status::Unknown, true) => (Ink::Cyan, "u"),
        (Status::Manual, false) => (Ink::Cyan, "M"),
        (Status::Manual, true) => (Ink::Cyan, "m"),
        (Status::Pass, _) => (Ink::Green, "."),
        (Status::NotApplicable, _) => (Ink::Faint, "-"),
    }
}

/// Returns the first names of a list, and how many more there are.
fn names(names: &[String]) -> String {
    let more = names.len().saturating_sub(MOST_NAMES);
    let shown = names.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
