// SPDX-License-Identifier: Apache-2.0
//! `verify`: checks every control of the benchmark.

use super::args::{OutputFormat, VerifyArguments};
use super::context::Context;
use super::next_step;
use super::notes;
use super::progress::Progress;
use super::request::{RunRequest, given};
use super::running;
use super::ui::Ui;
use crate::error::{Error, ErrorKind, Result, exit};
use crate::k3s::{K3sLog, MAX_LOG_BYTES};
use crate::node::{Root, host};
use crate::output::{self, ReportOrigin, SarifOptions, ScreenText, TextOptions};
use crate::profile::ControlId;
use crate::scanner::{CheckState, Scan, Scanner, cis_benchmark};
use crate::verify::baseline::{MAX_REPORT_BYTES, Trend};
use crate::verify::{
    Baseline, Cluster, Date, FailOn, Kubectl, NodeFacts, ReportHistory, VerifyReport, verify, waivers,
};

pub(super) fn run(request: &RunRequest, arguments: &VerifyArguments, ui: &mut Ui) -> Result<u8> {
    let baseline = given(arguments.baseline.as_ref());
    // Read first: checking the node may take a while.
    let baseline =
        baseline.map(|file| Baseline::read(&file, &host::read_file(&file, MAX_REPORT_BYTES)?)).transpose()?;
    let root = Root::open(&request.root)?;
    // `verify` selects controls from the result: it also knows some that no profile sets.
    let context = Context::new(&root, &request.about_all_controls())?;
    context.warn_of_refusals();
    let journal = match given(arguments.journal.as_ref()) {
        Some(path) => {
            let bytes = host::read_file(&path, MAX_LOG_BYTES)?;
            // Of a part nobody knows whether the last start is in it.
            if bytes.len() > MAX_LOG_BYTES {
                let message = format!("{path} is larger than {MAX_LOG_BYTES} bytes");
                let hint = "write the part since the last start of K3s to a file, and pass that file";
                return Err(Error::new(ErrorKind::BadInput, message).hint(hint));
            }
            K3sLog::of_bytes(bytes, path)
        }
        None => K3sLog::read(&root),
    };
    let origin = ui.origin(&root, Some(&context.version));
    let history =
        ReportHistory { remembered: notes::remembered(&context), running: running::of(&context, &journal)? };
    let facts = with_live(NodeFacts::new(context.node, context.owner, journal), arguments.live)?;
    // Scanners and K3s's guides write k3s-cis-1.9.
    let benchmark = given(arguments.benchmark.as_ref())
        .map(|name| name.strip_prefix("k3s-cis-").unwrap_or(&name).to_owned());
    let selection =
        ControlFilter { only: request.only.clone(), skip: request.skip.clone().unwrap_or_default() };
    let options = TextOptions {
        style: ui.stdout_style(),
        width: Ui::width(),
        summary: arguments.summary,
        only_findings: arguments.only_findings,
    };
    if let Some(scanner) = arguments.scanner {
        let (scan, report) = scan(&facts, scanner, benchmark.as_deref(), &selection)?;
        if ui.json() {
            ui.out_json(&output::scan_json(&scan, &report, &origin))?;
        } else {
            ui.out(&output::scan_text(&scan, &report, &origin, &options))?;
        }
        return Ok(code(scan_fails(&scan, arguments.fail_on)));
    }
    let benchmark = benchmark.unwrap_or_else(|| context.profile.benchmark.clone());
    let mut report = verify(&facts, &benchmark)?;
    report.history = history;
    let now = host::now();
    waivers::apply(&mut report, &context.waivers, Date::from_time(&now)?);
    selection.check(&report)?;
    if let Some(baseline) = baseline {
        let mut trend = baseline.compare(&report);
        trend.retain(|id, name| selection.has(id, name));
        selection.leave_out(&mut report);
        print_trend(&trend, &report, &origin, ui)?;
        return Ok(code(trend.is_worse()));
    }
    selection.leave_out(&mut report);
    let code = match arguments.fail_on {
        FailOn::Unknown if report.fails(FailOn::Warn) => exit::FINDINGS,
        FailOn::Unknown if report.fails(FailOn::Unknown) => exit::CANNOT_TELL,
        FailOn::Unknown => exit::OK,
        other => code(report.fails(other)),
    };
    match ui.format() {
        OutputFormat::Text => {
            let mut text = output::verify_text(&report, &origin, &options);
            if let Some(next) = next_step::after_verify(&report, &root) {
                output::add_next_step(&mut text, &next);
            }
            ui.answer(&text, code != exit::OK)
        }
        OutputFormat::Json => ui.out_json(&output::verify_json(&report, &origin)),
        OutputFormat::KubeBench => ui.out_json(&output::kube_bench_json(&report, &origin)),
        OutputFormat::Junit => ui.out(&ScreenText::report(&output::junit(&report, &origin))),
        OutputFormat::Sarif => {
            let options = SarifOptions { only_findings: arguments.only_findings };
            ui.out_json(&output::sarif(&report, &origin, options))
        }
        OutputFormat::Html => ui.out(&ScreenText::report(&output::html(&report, &origin))),
    }?;
    Ok(code)
}

fn code(findings: bool) -> u8 {
    if findings { exit::FINDINGS } else { exit::OK }
}

/// Predicts the states of a scanner, and verifies the node by the same benchmark.
fn scan(
    facts: &NodeFacts<'_>,
    scanner: Scanner,
    benchmark: Option<&str>,
    selection: &ControlFilter,
) -> Result<(Scan, VerifyReport)> {
    let mut scan = facts.scan(scanner, benchmark)?;
    let report = verify(facts, cis_benchmark(&scan.benchmark))?;
    selection.check(&report)?;
    let has = |id: &ControlId| {
        let name = report.verdicts.iter().find(|verdict| verdict.id == *id).map(|verdict| &verdict.name);
        selection.has(id, name.map_or("", String::as_str))
    };
    scan.predictions.retain(|prediction| has(&prediction.id));
    Ok((scan, report))
}

fn scan_fails(scan: &Scan, on: FailOn) -> bool {
    let counted: &[CheckState] = match on {
        FailOn::Never => &[],
        FailOn::Fail => &[CheckState::Fail],
        FailOn::Warn | FailOn::Unknown => &[CheckState::Fail, CheckState::Warn],
    };
    counted.iter().any(|state| scan.count(*state) > 0)
}

fn print_trend(trend: &Trend, report: &VerifyReport, origin: &ReportOrigin, ui: &mut Ui) -> Result<()> {
    if ui.json() {
        // With the report: it is the next run's baseline.
        let mut json = output::verify_json(report, origin);
        json["trend"] = output::trend_json(trend);
        ui.out_json(&json)
    } else {
        ui.out(&output::trend_text(trend, ui.stdout_style()))
    }
}

/// The controls that the user selected, by number, section or name.
pub(super) struct ControlFilter {
    pub(super) only: Vec<String>,
    pub(super) skip: Vec<String>,
}

impl ControlFilter {
    /// Refuses words that are no control.
    fn check(&self, report: &VerifyReport) -> Result<()> {
        let unknown = |word: &&String| {
            *word != "none"
                && !report.verdicts.iter().any(|verdict| is_control(&verdict.id, &verdict.name, word))
        };
        match self.only.iter().chain(&self.skip).find(unknown) {
            Some(word) => {
                let message = format!("benchmark {} has no control {word}", report.benchmark);
                Err(Error::new(ErrorKind::BadInput, message)
                    .hint("`k3s-harden verify` without it lists all controls"))
            }
            None => Ok(()),
        }
    }

    pub(super) fn has(&self, id: &ControlId, name: &str) -> bool {
        let means = |word: &String| is_control(id, name, word);
        (self.only.is_empty() || self.only.iter().any(means)) && !self.skip.iter().any(means)
    }

    fn leave_out(&self, report: &mut VerifyReport) {
        report.verdicts.retain(|verdict| self.has(&verdict.id, &verdict.name));
    }
}

/// Tells whether a word selects a control.
pub(super) fn is_control(id: &ControlId, name: &str, word: &str) -> bool {
    match word.parse::<ControlId>() {
        Ok(wanted) => id.within(&wanted),
        Err(_) => name == word,
    }
}

/// Adds facts from the node's cluster with `--live`. A cluster that does not answer gives unknown results.
fn with_live(facts: NodeFacts<'_>, live: bool) -> Result<NodeFacts<'_>> {
    if !live {
        return Ok(facts);
    }
    let _querying = Progress::of("querying the cluster");
    let cluster = match Kubectl::find(&facts.node) {
        Err(error) if error.kind() == ErrorKind::Usage => return Err(error),
        kubectl => kubectl.and_then(|kubectl| Cluster::read(&kubectl, facts.node.minor())),
    };
    if let Err(error) = &cluster {
        tracing::warn!("the cluster was not queried: {}", error.message());
    }
    Ok(facts.with_cluster(cluster))
}
