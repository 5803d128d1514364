//! `preflight`: checks that K3s will start.

use super::args::{FailOnArgument, PreflightArguments};
use super::context::Context;
use super::request::RunRequest;
use super::ui::Ui;
use crate::error::{ErrorKind, Result, exit};
use crate::node::Root;
use crate::output;
use crate::preflight::{StartVerdict, check};

pub(super) fn run(request: &RunRequest, arguments: &PreflightArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&request.root)?;
    let verdict = match verdict(&root, request) {
        // A user who may not read the files of K3s gets an unknown result.
        Err(error) if error.kind() == ErrorKind::NotPermitted => StartVerdict::unreadable(&error),
        other => other?,
    };
    if ui.json() {
        ui.out_json(&output::preflight_json(&verdict))?;
    } else {
        ui.out(&output::preflight_text(&verdict, ui.stdout_style()))?;
    }
    Ok(match (verdict.starts(), arguments.fail_on) {
        (Some(false), _) => exit::WOULD_NOT_START,
        (None, FailOnArgument::Unknown) => exit::CANNOT_TELL,
        _ => exit::OK,
    })
}

fn verdict(root: &Root, request: &RunRequest) -> Result<StartVerdict> {
    Ok(check(&Context::new(root, request)?.node))
}
