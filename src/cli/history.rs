// SPDX-License-Identifier: Apache-2.0
//! `history`: lists the runs of a root.

use tracing::warn;

use super::args::GlobalArguments;
use super::ui::Ui;
use crate::apply::{History, is_run_in_progress};
use crate::error::{Result, exit};
use crate::node::Root;
use crate::output;

pub(super) fn run(global: &GlobalArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&global.root)?;
    let history = History::read_with_backups(&root)?;
    for damage in history.damage() {
        warn!("{}", damage.warning(&root));
    }
    let at_work = is_run_in_progress(&root);
    if ui.json() {
        let path = root.path().display().to_string();
        ui.out_json(&output::history_json(&path, &history, &ui.origin(&root, None)))?;
    } else {
        ui.out(&output::history_text(&history, at_work))?;
    }
    Ok(exit::OK)
}
