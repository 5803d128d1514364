// SPDX-License-Identifier: Apache-2.0
//! `preflight`: checks that K3s will start.

use super::args::{FailOnArgument, PreflightArguments};
use super::context::Context;
use super::request::{RunRequest, given};
use super::ui::Ui;
use crate::document::TakenOver;
use crate::error::{ErrorKind, Result, exit};
use crate::node::{Root, RootedPath, host};
use crate::output;
use crate::preflight::{FirstServer, MAX_SERVER_CONFIG_BYTES, StartVerdict, check, compare};
use crate::version::K3sVersion;

pub(super) fn run(request: &RunRequest, arguments: &PreflightArguments, ui: &mut Ui) -> Result<u8> {
    let first = given(arguments.server_config.as_ref());
    let first = first
        .map(|file| FirstServer::read(&file, &host::read_file(&file, MAX_SERVER_CONFIG_BYTES)?))
        .transpose()?;
    let root = Root::open(&request.root)?;
    let (verdict, version) = match verdict(&root, request, first.as_ref()) {
        // A user who may not read the files of K3s gets an unknown result.
        Err(error) if error.kind() == ErrorKind::NotPermitted => (StartVerdict::unreadable(&error), None),
        other => other.map(|(verdict, version)| (verdict, Some(version)))?,
    };
    let code = match (verdict.starts(), arguments.fail_on) {
        (Some(false), _) => exit::WOULD_NOT_START,
        (None, FailOnArgument::Unknown) => exit::CANNOT_TELL,
        _ => exit::OK,
    };
    if ui.json() {
        ui.out_json(&output::preflight_json(&verdict, &ui.origin(&root, version.as_ref())))?;
    } else {
        ui.answer(&output::preflight_text(&verdict, ui.stdout_style()), code != exit::OK)?;
    }
    Ok(code)
}

fn verdict(
    root: &Root,
    request: &RunRequest,
    first: Option<&FirstServer>,
) -> Result<(StartVerdict, K3sVersion)> {
    let context = Context::new(root, request)?;
    context.warn_of_refusals();
    let mut verdict = check(&context.node);
    if let Some(first) = first {
        compare(&context.node, first, &mut verdict);
    }
    name_users_lines(root, &context.target.config, &mut verdict);
    Ok((verdict, context.version))
}

/// Puts the user's own lines in the place of the drop-in's, where the drop-in only carries their values over.
pub(super) fn name_users_lines(root: &Root, config: &RootedPath, verdict: &mut StartVerdict) {
    let places = verdict.findings.iter().filter_map(|finding| finding.place.as_ref());
    // What cannot be read has a finding of its own.
    let taken = TakenOver::read_for(root, config, places).unwrap_or_default();
    for finding in &mut verdict.findings {
        finding.place = finding.place.take().map(|place| taken.own_line(place));
    }
}
