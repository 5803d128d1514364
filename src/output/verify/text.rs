// SPDX-License-Identifier: Apache-2.0
//! The report as text: findings with their remedies, and the score in the last line, next to the prompt of a terminal.

use std::fmt::Write as _;

use super::section::{Section, waiver_words};
use super::{
    FORECAST, READING_ORDER, SCORE_DEFINITION, distinct_evidence, is_finding, origin_words, status_words,
    subject, with_place,
};
use crate::output::visible::visible;
use crate::output::wrap::{MIN_WIDTH, wrap};
use crate::output::{Ink, ReportOrigin, ScreenText, Style};
use crate::verify::{
    ControlVerdict, Evidence, ReportHistory, RunningState, Status, StatusCounts, VerifyReport,
};

/// The width of the status column.
const WORD_WIDTH: usize = 7;

/// The beginning of a paragraph without a label.
const NO_LABEL: (&str, Ink, &str) = ("", Ink::Plain, "");

/// The options of the text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// The decoration.
    pub style: Style,
    /// The number of columns; none for output that is not wrapped, such as a file or a pipe.
    pub width: Option<usize>,
    /// Only the table of counts.
    pub summary: bool,
    /// Only findings.
    pub only_findings: bool,
}

/// Returns the report for people.
#[must_use]
pub fn verify_text(report: &VerifyReport, origin: &ReportOrigin, options: &TextOptions) -> ScreenText {
    let mut page = ReportText {
        text: ScreenText::new(options.style),
        started: report.started,
        width: options.width.map(|width| width.max(MIN_WIDTH)),
    };
    page.block(NO_LABEL, &subject(report), Ink::Bold);
    page.block(NO_LABEL, &origin_words(origin), Ink::Plain);
    if !report.started {
        page.block(NO_LABEL, FORECAST, Ink::BoldYellow);
    }
    page.history(&report.history);
    if options.summary {
        page.table(&Section::all(report));
    } else {
        let is_shown = |status: &Status| !options.only_findings || is_finding(*status);
        for status in READING_ORDER.into_iter().filter(is_shown) {
            page.status(report, status);
        }
        page.findings(&report.findings);
    }
    page.closing(report);
    page.text
}

/// Builds the text.
struct ReportText {
    text: ScreenText,
    started: bool,
    width: Option<usize>,
}

impl ReportText {
    /// Writes the controls of a status, by number.
    fn status(&mut self, report: &VerifyReport, status: Status) {
        let of: Vec<&ControlVerdict> =
            report.verdicts.iter().filter(|verdict| verdict.status == status).collect();
        if of.is_empty() {
            return;
        }
        let (grouped, shown): (Vec<&ControlVerdict>, Vec<&ControlVerdict>) =
            of.iter().partition(|verdict| self.is_grouped(verdict, &of));
        let groups = groups(&grouped);
        let head = format!("{} ({})", heading(status), of.len());
        self.text.end();
        self.text.paint_line(Ink::Bold, head);
        for verdict in shown {
            self.verdict(verdict);
        }
        for (verdict, ids) in groups {
            let (word, ink) = label(verdict);
            let (ids, why) = (ids.join(", "), &verdict.actual);
            let line = if why.is_empty() { ids } else { format!("{ids}: {why}") };
            self.labelled(word, ink, &line);
        }
    }

    /// Tells whether a verdict is shown only with its number and reason: it is not applicable, or unknown before the first
    /// start with the same reason as another one.
    fn is_grouped(&self, verdict: &ControlVerdict, all: &[&ControlVerdict]) -> bool {
        let is_same = |other: &&&ControlVerdict| other.waiver.is_none() && other.actual == verdict.actual;
        match verdict.status {
            Status::NotApplicable => true,
            Status::Unknown => {
                let is_forecast = !self.started && verdict.waiver.is_none();
                is_forecast && all.iter().filter(is_same).count() > 1
            }
            Status::Pass | Status::Fail | Status::Warn | Status::Manual => false,
        }
    }

    fn verdict(&mut self, verdict: &ControlVerdict) {
        let (word, ink) = label(verdict);
        let id = verdict.id.to_string();
        self.labelled(word, ink, &format!("{id:6} {}", verdict.title));
        if verdict.status == Status::Pass {
            return;
        }
        if let Some(waiver) = &verdict.waiver {
            let place = waiver.place.as_ref().map(|place| format!(" [{place}]")).unwrap_or_default();
            self.detail("waived", &format!("{}, {}{place}", verdict.status.name(), waiver_words(waiver)));
        }
        let expects = if verdict.status == Status::Manual { "look at" } else { "expected" };
        self.detail(expects, &verdict.expected);
        let is_unknown = verdict.status == Status::Unknown;
        self.detail(if is_unknown { "because" } else { "actual" }, &verdict.actual);
        for evidence in distinct_evidence(verdict) {
            self.detail("seen", &with_place(evidence));
        }
        if verdict.waiver.is_none() {
            self.remedy(&verdict.remedy);
        }
    }

    /// Writes what is remembered, and whether K3s runs with it.
    fn history(&mut self, history: &ReportHistory) {
        if let Some(remembered) = &history.remembered {
            self.block(NO_LABEL, remembered, Ink::Plain);
        }
        if let Some(running) = &history.running {
            let ink = if running.state == RunningState::Current { Ink::Plain } else { Ink::BoldYellow };
            self.block(NO_LABEL, &format!("{}.", running.why), ink);
        }
    }

    fn findings(&mut self, findings: &[Evidence]) {
        if findings.is_empty() {
            return;
        }
        self.text.end();
        self.text.paint_line(Ink::Bold, "Waivers that do not count");
        for finding in findings {
            self.labelled("WAIVER", Ink::BoldYellow, &with_place(finding));
        }
    }

    fn table(&mut self, sections: &[Section<'_>]) {
        let heads = ["pass", "fail", "warn", "manual", "n/a", "unknown"];
        let name = |section: &Section<'_>| section.name().chars().count();
        let numbers: usize = heads.iter().map(|head| head.len() + 1).sum();
        let names = sections.iter().map(name).max().unwrap_or_default();
        // A narrow terminal shows only the numbers.
        let names = if self.width.is_some_and(|width| width < 5 + names + numbers) { 0 } else { names };
        let row = |number: &str, name: &str, cells: [String; 6]| {
            let name = if names == 0 { "" } else { name };
            let mut line = format!("{number:5}{name:names$}");
            for (head, cell) in heads.iter().zip(cells) {
                let _infallible = write!(line, " {cell:>width$}", width = head.len());
            }
            line
        };
        self.text.end();
        self.text.paint_line(Ink::Bold, row("", "", heads.map(str::to_owned)));
        let cells = |counts: &StatusCounts| Status::ALL.map(|status| counts.get(status).to_string());
        for section in sections {
            let counts = StatusCounts::count(section.verdicts.iter().copied());
            self.text.line(row(&section.number, section.name(), cells(&counts)));
        }
        let total = StatusCounts::count(sections.iter().flat_map(|section| section.verdicts.iter().copied()));
        self.text.paint_line(Ink::Bold, row("all", "", cells(&total)));
    }

    fn closing(&mut self, report: &VerifyReport) {
        let counts = StatusCounts::count(&report.verdicts);
        self.text.end();
        let parts: Vec<String> = Status::ALL
            .into_iter()
            .filter(|status| counts.get(*status) > 0)
            .map(|status| {
                let of = report.verdicts.iter().filter(|verdict| verdict.status == status);
                let waived = match of.filter(|verdict| verdict.waiver.is_some()).count() {
                    0 => String::new(),
                    waived => format!(" ({waived} waived)"),
                };
                format!("{} {}{waived}", counts.get(status), status_words(status))
            })
            .collect();
        let controls = if counts.total() == 1 { "control" } else { "controls" };
        self.block(NO_LABEL, &format!("{} {controls}: {}.", counts.total(), parts.join(", ")), Ink::Plain);
        let forecast = if report.started { "" } else { " (forecast)" };
        match counts.score() {
            Some(score) => {
                let ink = if score.is_full() { Ink::BoldGreen } else { Ink::Bold };
                self.block(NO_LABEL, &format!("Score{forecast}: {score} ({SCORE_DEFINITION})."), ink);
            }
            None => {
                let text = format!("No score{forecast}: no control passes or fails.");
                self.block(NO_LABEL, &text, Ink::Bold);
            }
        }
    }

    /// Writes a line that begins with a status.
    fn labelled(&mut self, word: &str, ink: Ink, text: &str) {
        let spaces = " ".repeat(WORD_WIDTH.saturating_sub(word.len()) + 1);
        self.block((word, ink, &spaces), text, Ink::Plain);
    }

    /// Writes a detail of the control above: a name and a text.
    fn detail(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            let name = format!("{:WORD_WIDTH$} {name:8} ", "");
            self.block((&name, Ink::Plain, ""), text, Ink::Plain);
        }
    }

    /// Writes the remedy, which may have several lines that the user copies.
    fn remedy(&mut self, text: &str) {
        for (index, line) in text.trim_end().lines().enumerate() {
            self.detail(if index == 0 { "remedy" } else { "" }, line);
        }
    }

    /// Writes a paragraph; `label` is the beginning of its first line: a word, its colour, and the spaces behind it.
    fn block(&mut self, (word, word_ink, spaces): (&str, Ink, &str), text: &str, ink: Ink) {
        let wide = word.chars().count() + spaces.len();
        // A wide label would leave no columns for the text.
        let indent = self.width.map_or(wide, |width| wide.min(width / 4));
        let is_blank = word.trim().is_empty();
        let wide = if is_blank { indent } else { wide };
        // An indented line is code that the user copies: it is not wrapped.
        let width = self.width.filter(|_| !text.starts_with(' '));
        let first = width.map(|width| width.saturating_sub(wide));
        let next = width.map(|width| width - indent);
        let lines = wrap(&visible(text), first, next);
        for (index, line) in lines.iter().enumerate() {
            let line = if ink == Ink::Plain { line.trim_end() } else { line };
            if index == 0 && !is_blank {
                self.text.paint(word_ink, word);
                self.text.push(if line.is_empty() { "" } else { spaces });
            } else if !line.is_empty() {
                self.text.push(" ".repeat(indent));
            }
            self.text.paint_line(ink, line);
        }
    }
}

/// Returns the heading of a status.
fn heading(status: Status) -> &'static str {
    match status {
        Status::Fail => "Fail",
        Status::Warn => "Warn",
        Status::Unknown => "Unknown",
        Status::Manual => "Manual",
        Status::Pass => "Pass",
        Status::NotApplicable => "Not applicable",
    }
}

/// Returns the label of a verdict and its colour. Labels of findings have capitals, which show without colour too.
fn label(verdict: &ControlVerdict) -> (&'static str, Ink) {
    match verdict.status {
        _ if verdict.waiver.is_some() => ("waived", Ink::Cyan),
        Status::Pass => ("pass", Ink::Green),
        Status::Fail => ("FAIL", Ink::BoldRed),
        Status::Warn => ("WARN", Ink::BoldYellow),
        Status::Manual => ("manual", Ink::Cyan),
        Status::NotApplicable => ("n/a", Ink::Faint),
        Status::Unknown => ("UNKNOWN", Ink::BoldMagenta),
    }
}

/// Groups the numbers of verdicts with the same status and reason, in the order of the first of each.
fn groups<'a>(verdicts: &[&'a ControlVerdict]) -> Vec<(&'a ControlVerdict, Vec<String>)> {
    let mut groups: Vec<(&ControlVerdict, Vec<String>)> = Vec::new();
    for verdict in verdicts {
        let is_same = |(first, _): &&mut (&ControlVerdict, Vec<String>)| {
            (first.status, &first.actual) == (verdict.status, &verdict.actual)
        };
        match groups.iter_mut().find(is_same) {
            Some((_, ids)) => ids.push(verdict.id.to_string()),
            None => groups.push((verdict, vec![verdict.id.to_string()])),
        }
    }
    groups
}
