// SPDX-License-Identifier: Apache-2.0
//! `effective-config`: K3s's configuration as K3s will read it.

use tracing::warn;

use super::args::EffectiveConfigArguments;
use super::context::Context;
use super::request::RunRequest;
use super::ui::Ui;
use crate::error::{Result, exit};
use crate::k3s::{ConfigQuery, EffectiveConfig};
use crate::node::Root;
use crate::output;

pub(super) fn run(request: &RunRequest, arguments: &EffectiveConfigArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&request.root)?;
    let context = Context::new(&root, request)?;
    context.warn_of_refusals();
    let query = ConfigQuery {
        role: context.target.role,
        release: context.version.number(),
        data_dir: &context.target.data_dir,
        words: &arguments.words,
        show_secrets: arguments.show_secrets,
    };
    let effective = EffectiveConfig::read(&root, query)?;
    if ui.json() {
        let origin = ui.origin(&root, Some(&context.version));
        ui.out_json(&output::effective_json(&effective, context.target.role, &origin))?;
    } else {
        for warning in &effective.warnings {
            warn!("{warning}");
        }
        ui.out(&output::effective_text(&effective))?;
    }
    Ok(exit::OK)
}
