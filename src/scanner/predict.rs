// SPDX-License-Identifier: Apache-2.0
//! Predicts the results of a scanner on a node. This is the top of the room: it runs the audits of every check, and tests
//! what they print.

use std::fmt;

use serde::Serialize;

use super::audit::{Audit, PrintFormat};
use super::benchmark::{Scanner, ScannerBenchmark};
use super::check_row::{self, CheckRow, CheckType, TARGETS};
use super::path;
use super::run::{AuditContext, AuditSubject, Output};
use super::scanned_node::ScannedNode;
use super::test_item::{AuditSource, TestItem, TestResult};
use super::view::ScannerView;
use crate::Role;
use crate::error::Result;
use crate::profile::ControlId;

/// The state that a scanner prints of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CheckState {
    /// The node passes the check.
    Pass,
    /// The node fails the check.
    Fail,
    /// The node fails a check that is not scored, or a person has to check.
    Warn,
    /// The scanner skips the check.
    Info,
}

impl CheckState {
    /// Every state, in the order in which a scanner counts them.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Fail, Self::Warn, Self::Info];
}

impl fmt::Display for CheckState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Warn => "WARN",
            Self::Info => "INFO",
        })
    }
}

/// The predicted result of a check, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// The number of the check in the benchmark.
    pub id: ControlId,
    /// The predicted state.
    pub state: CheckState,
    /// Whether the check can fail.
    pub scored: bool,
    /// What the scanner found, and which defect of the check applies, as a sentence.
    pub why: String,
}

/// The predicted results of a scanner on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The scanner.
    pub scanner: Scanner,
    /// The benchmark, such as `1.9`.
    pub benchmark: String,
    /// The results, sorted by number.
    pub predictions: Vec<Prediction>,
}

impl Scan {
    /// Returns the number of checks with a state.
    #[must_use]
    pub fn count(&self, state: CheckState) -> usize {
        self.predictions.iter().filter(|prediction| prediction.state == state).count()
    }
}

/// Predicts the results of a scanner on a node, sorted by number: sections 1 to 4 on a server, section 4 on an agent.
///
/// # Errors
/// [`crate::ErrorKind::BadInput`] for a benchmark that the scanner does not have; any error of a file that exists and
/// cannot be read.
pub fn predict(scanner: Scanner, benchmark: &str, node: &ScannedNode<'_>) -> Result<Vec<Prediction>> {
    let benchmark = ScannerBenchmark::find(scanner, benchmark)?;
    let view = ScannerView::new(node);
    let targets: &[&str] = match node.role {
        Role::Server => &TARGETS,
        Role::Agent => &["node"],
    };
    let mut predictions = Vec::new();
    for target in targets {
        search_paths(target, benchmark, &view)?;
    }
    let rows = targets.iter().flat_map(|target| check_row::rows(target).iter().map(move |row| (target, row)));
    for (target, row) in rows {
        let ids = row.ids.iter().filter(|(_, some)| some.contains(benchmark));
        for (id, _) in ids {
            let on = AuditContext { view: &view, benchmark, target, on_disk: row.is_on_disk(benchmark) };
            let (state, why) = result(row, on)?;
            predictions.push(Prediction { id: id.parse()?, state, scored: row.is_scored(benchmark), why });
        }
    }
    predictions.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(predictions)
}

/// Searches every list of a target as kube-bench does before it runs a check (getFiles in cmd/util.go).
fn search_paths(target: &str, benchmark: ScannerBenchmark, view: &ScannerView<'_>) -> Result<()> {
    for list in path::lists(target, benchmark) {
        for path in list.paths.iter().take_while(|path| !view.exists(path)) {
            view.reachable(path)?;
        }
    }
    Ok(())
}

/// Runs a check as kube-bench does (`run` and `execute` in check/check.go), and returns the state and the reason.
fn result(row: &CheckRow, on: AuditContext<'_>) -> Result<(CheckState, String)> {
    let benchmark = on.benchmark;
    let scanner = benchmark.scanner;
    match row.check_type {
        Some(CheckType::Skip) => {
            return Ok((CheckState::Info, format!("{scanner} skips this check for K3s.")));
        }
        Some(CheckType::Manual) => {
            return Ok((CheckState::Warn, format!("{scanner} asks for a manual check.")));
        }
        None => {}
    }
    let not_met = if row.is_scored(benchmark) { CheckState::Fail } else { CheckState::Warn };
    let run = |audit: &Option<Audit>| audit.as_ref().map(|audit| audit.run(on)).transpose();
    let note = row.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();

    let text = run(&row.audit)?;
    let config = match &text {
        Some(Output { failed: Some(_), .. }) => None,
        _ => run(&row.audit_config)?,
    };
    let printed = text.as_ref().is_some_and(|text| !text.text.is_empty());
    let mut failures = [&text, &config].into_iter().flatten().filter_map(|output| output.failed.as_ref());
    // A configuration file that does not exist does not count if the first audit printed text.
    if let Some(failure) = failures.find(|failure| !(failure.no_file && printed)) {
        let even_unset = if row.any.is_some() { ", even though it may be unset" } else { "" };
        return Ok((
            not_met,
            format!(
                "{}, and a check that finds nothing counts as not met{even_unset}{note}.",
                failure.reason
            ),
        ));
    }

    let items = row.all.iter().chain(&row.any).flatten();
    let results: Vec<(&TestItem, TestResult)> =
        items.map(|item| (item, test(item, row, &text, &config))).collect();
    let met = match row.any {
        Some(_) => results.iter().any(|(_, result)| result.met),
        None => results.iter().all(|(_, result)| result.met),
    };
    let deciding = results.iter().find(|(_, result)| result.met == met).or(results.first());
    let output = |source| match source {
        AuditSource::Text => text.as_ref(),
        AuditSource::Config => config.as_ref(),
    };
    let reason =
        deciding.map(|(item, result)| reason(item, result, output(result.source))).unwrap_or_default();
    Ok((if met { CheckState::Pass } else { not_met }, format!("{reason}{note}.")))
}

/// Tests the text that the audit printed, or the configuration file if the text does not have the flag.
fn test(item: &TestItem, row: &CheckRow, text: &Option<Output>, config: &Option<Output>) -> TestResult {
    let printed = text.as_ref().map_or("", |output| output.text.as_str());
    let result = item.test(AuditSource::Text, printed, row.each_line);
    match config {
        Some(config) if result.value.is_none() && !config.text.is_empty() => {
            item.test(AuditSource::Config, &config.text, row.each_line)
        }
        _ => result,
    }
}

/// Returns the sentence that names the value that decided, and the defect of the check that applies.
fn reason(item: &TestItem, result: &TestResult, output: Option<&Output>) -> String {
    let subject = output.map_or(&AuditSubject::Nothing, |output| &output.subject);
    let mut reason = finding(item, result, subject);
    if let (Some(wanted), Some(_), false) = (item.wanted(), &result.value, result.met) {
        reason += &format!(", and {wanted} is expected");
    }
    for defect in defects(item, result, subject) {
        reason += &format!("; {defect}");
    }
    reason
}

/// Returns what the check found.
fn finding(item: &TestItem, result: &TestResult, subject: &AuditSubject) -> String {
    let name = item.name(result.source);
    let Some(value) = &result.value else {
        return match subject {
            AuditSubject::OwnText { .. } => own_text(result, subject),
            AuditSubject::JournalLine { .. } if result.text.is_empty() => {
                format!("{subject} does not exist")
            }
            AuditSubject::Property { print, .. } if *print != PrintFormat::Name => match result.text.as_str()
            {
                "" => format!("nothing has {subject}"),
                text => format!("{subject} is {text}, not {name}"),
            },
            _ => format!("{subject} has no {name}"),
        };
    };
    match subject {
        AuditSubject::OwnText { .. } => own_text(result, subject),
        _ if passes_any_file(item, result) => format!("{subject} can be read"),
        AuditSubject::Property { print: PrintFormat::Mode, .. } => format!("{subject} is {value}"),
        _ if value == name => format!("{subject} is {value}"),
        _ => format!("{subject} has {name} {value}"),
    }
}

/// Returns that the scanner tested a text of its own.
fn own_text(result: &TestResult, subject: &AuditSubject) -> String {
    format!("{subject}, and the scanner tests its own text {:?} instead", result.text)
}

/// Tells whether the test passes for any configuration file, because it reads no field of it.
fn passes_any_file(item: &TestItem, result: &TestResult) -> bool {
    result.source == AuditSource::Config && !item.reads_field() && result.value.is_some()
}

/// Returns the defects of the check that apply.
fn defects(
    item: &TestItem,
    result: &TestResult,
    subject: &AuditSubject,
) -> impl Iterator<Item = &'static str> {
    let name = item.name(result.source);
    let value = result.value.as_deref();
    let repeats_flag = |line: &str| line.matches(&format!(" {name}=")).count() > 1;
    let in_journal = subject.is_journal_line();
    let defects = [
        (
            result.source == AuditSource::Text && value.is_none() && result.met && result.text.is_empty(),
            "a value that the scanner does not read passes as not set",
        ),
        (
            in_journal && value.is_some_and(|value| value.ends_with('"')),
            "the quote that closes the line counts as part of its last value",
        ),
        (
            in_journal && result.text.lines().any(repeats_flag),
            "if a flag is given several times, the first counts",
        ),
        (
            item.has_unknown_comparison() && !result.met && value.is_some(),
            "no value can pass that comparison",
        ),
        (passes_any_file(item, result), "it reads no field, so any file passes"),
    ];
    defects.into_iter().filter(|(applies, _)| *applies).map(|(_, defect)| defect)
}
