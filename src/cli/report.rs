// SPDX-License-Identifier: Apache-2.0
//! `report`: merges the reports of many nodes. It reads no node.

use super::args::OutputFormat;
use super::progress::Progress;
use super::report_arguments::{ReportArguments, ReportVerb};
use super::request::given;
use super::ui::Ui;
use crate::build_info::VERSION;
use crate::error::{Result, exit};
use crate::node::host;
use crate::output::{self, MergeTextOptions, ScreenText};
use crate::report::{
    MAX_MERGE_BYTES, MAX_NODE_REPORT_BYTES, Merge, MergeBaseline, MergeTrend, MergedReport, NodeReport,
};
use crate::verify::{Date, FailOn};

pub(super) fn run(arguments: &ReportArguments, ui: &mut Ui) -> Result<u8> {
    let ReportVerb::Merge { files, fail_on, baseline } = &arguments.verb;
    let baseline = given(baseline.as_ref());
    let baseline = baseline
        .map(|file| MergeBaseline::read(&file, &host::read_file(&file, MAX_MERGE_BYTES)?))
        .transpose()?;
    let today = Date::from_time(&host::now())?;
    let _reading = Progress::of("reading reports");
    let mut merge = Merge::default();
    for file in files {
        let report = host::read_file(file, MAX_NODE_REPORT_BYTES)
            .and_then(|bytes| NodeReport::read(file, &bytes, today));
        merge.take(file, report);
    }
    let merged = merge.finish()?;
    let trend = baseline.map(|baseline| baseline.compare(&merged));
    print(&merged, trend.as_ref(), ui)?;
    let fails = match (&trend, fail_on) {
        (Some(trend), _) if trend.is_worse() => return Ok(exit::FINDINGS),
        // As with verify, a baseline asks for nothing but what has changed.
        (Some(_), None) => FailOn::Never,
        (_, on) => on.unwrap_or(FailOn::Fail),
    };
    Ok(match fails {
        FailOn::Unknown if merged.fails(FailOn::Warn) => exit::FINDINGS,
        FailOn::Unknown if merged.is_uncertain() => exit::CANNOT_TELL,
        FailOn::Unknown => exit::OK,
        on if merged.fails(on) => exit::FINDINGS,
        _ => exit::OK,
    })
}

fn print(merged: &MergedReport, trend: Option<&MergeTrend>, ui: &mut Ui) -> Result<()> {
    let time = host::report_time();
    match ui.format() {
        OutputFormat::Json => ui.out_json(&output::merge_json(merged, trend, &time, VERSION)),
        OutputFormat::Html => ui.out(&ScreenText::report(&output::merge_html(merged, trend, &time, VERSION))),
        _ => {
            let options = MergeTextOptions { style: ui.stdout_style(), width: Ui::width() };
            ui.out(&output::merge_text(merged, trend, &options))
        }
    }
}
