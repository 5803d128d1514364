// SPDX-License-Identifier: Apache-2.0
//! `explain`: describes a control or a setting, and what sets it on this node.

use tracing::warn;

use super::args::ExplainArguments;
use super::context::Context;
use super::request::{RunRequest, VersionRequest, given};
use super::ui::Ui;
use crate::document::Rendered;
use crate::error::{ErrorKind, Result, exit};
use crate::explain::{ExplainedNode, explain};
use crate::k3s::K3sLog;
use crate::node::Root;
use crate::output;
use crate::verify::NodeFacts;
use crate::version::KubernetesMinor;

pub(super) fn run(request: &RunRequest, arguments: &ExplainArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&request.root)?;
    // A control is explained whether a run is about it or not.
    let context = context(&root, &request.about_all_controls())?;
    context.warn_of_refusals();
    let origin = ui.json().then(|| ui.origin(&root, Some(&context.version)));
    if let Err(error) = &context.node.effective {
        warn!("{error}: unknown what sets the values on this node");
    }
    // The configuration counts; what K3s logged at its last start is for `verify`.
    let facts = NodeFacts::new(context.node, context.owner, K3sLog::default());
    let benchmark = given(arguments.benchmark.as_ref()).unwrap_or_else(|| context.profile.benchmark.clone());
    let here = ExplainedNode {
        facts: &facts,
        profile: &context.profile,
        target: &context.target,
        rendered: &Rendered::new(&context.profile, &context.target),
        benchmark: &benchmark,
    };
    let explanation = explain(&arguments.topic, &here)?;
    if let Some(origin) = origin {
        ui.out_json(&output::explain_json(&explanation, &here, &origin))?;
    } else {
        ui.out(&output::explain_text(&explanation, &here, ui.stdout_style(), Ui::width()))?;
    }
    Ok(exit::OK)
}

/// Resolves the request. If no K3s version is known, the newest minor counts: an explanation needs no node.
fn context<'a>(root: &'a Root, request: &RunRequest) -> Result<Context<'a>> {
    match (Context::new(root, request), KubernetesMinor::supported().pop()) {
        (Err(error), Some(newest))
            if error.kind() == ErrorKind::Usage && request.version == VersionRequest::Unnamed =>
        {
            let newest = RunRequest { version: VersionRequest::Named(newest.to_string()), ..request.clone() };
            let context = Context::new(root, &newest)?;
            warn!(
                "{error}: assuming {}, the newest minor; to change this: --k3s-version",
                context.version.minor()
            );
            Ok(context)
        }
        (context, _) => context,
    }
}
