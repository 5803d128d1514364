// SPDX-License-Identifier: Apache-2.0
//! What is still on a node that a rollback does not restore: what is damaged, files of k3s-harden that no history tells of, and
//! what other programs saved beside them.

use std::fmt;

use tracing::warn;

use super::places::NodePlaces;
use super::ui::{self, Ui};
use crate::apply::{Damage, STATE_DIRECTORY, foreign_in_state, state_directory};
use crate::document::{self, has_header};
use crate::error::{Error, ErrorKind, Result};
use crate::k3s;
use crate::node::{PathState, Root, RootedPath};
use crate::output;
use crate::plan::Plan;
use crate::version::{K3sRelease, K3sVersion, KubernetesMinor};

/// Something that a rollback did not restore.
pub(super) struct NotRestored {
    /// Its path; none for damage that is no path's.
    pub(super) path: Option<RootedPath>,
    /// The path and the reason as a line.
    line: String,
}

impl NotRestored {
    pub(super) fn at(path: &RootedPath, reason: impl fmt::Display) -> Self {
        Self { path: Some(path.clone()), line: format!("{path}: {reason}") }
    }

    pub(super) fn damaged(damage: &Damage, root: &Root) -> Self {
        Self { path: None, line: damage.line(root) }
    }
}

/// Returns the error of a rollback that did not restore everything.
pub(super) fn incomplete(all: &[NotRestored]) -> Error {
    let lines: String = all.iter().map(|one| format!("\n  {}", one.line)).collect();
    Error::new(ErrorKind::HalfChanged, format!("not everything was restored:{lines}")).hint(format!(
        "the damaged files are kept in {STATE_DIRECTORY}: restore the paths above by hand, then move that directory away"
    ))
}

pub(super) fn print_nothing(root: &Root, ui: &mut Ui) -> Result<u8> {
    let printed = if ui.json() {
        ui.out_json(&output::nothing_json(&ui.origin(root, None)))
    } else {
        ui.say_line("Nothing to undo.")
    };
    ui::done(printed)
}

/// Reports the files of k3s-harden on a node without a history, `ours`: the state before them is not known.
pub(super) fn report_without_history(root: &Root, ui: &mut Ui, ours: &[String]) -> Result<u8> {
    if ours.is_empty() {
        return print_nothing(root, ui);
    }
    let error = Error::new(ErrorKind::Failed, "no history found: the state before k3s-harden is unknown");
    let state = state_directory();
    let error = foreign_in_state(root)?.iter().fold(error, |error, path| {
        let (path, state) = (root.display(path), root.display(&state));
        error.hint(format!("if {path} is the history, move it back to {state}/runs"))
    });
    Err(error.hint(format!("k3s-harden wrote these files; you can remove them by hand: {}", ours.join(" "))))
}

/// Returns the files of k3s-harden that are still there after the first state was restored, and of which the history told
/// nothing. A file that it has told of was there before the first run: an image was built without a history.
pub(super) fn unknown_files(root: &Root, plan: &Plan) -> Result<Vec<String>> {
    let Ok(places) = places(root) else { return Ok(Vec::new()) };
    let ours = files_at(root, &places)?;
    let is_restored =
        |path: &String| plan.actions.iter().any(|action| action.resource.path().as_str() == *path);
    let (restored, unknown): (Vec<String>, Vec<String>) = ours.into_iter().partition(is_restored);
    for path in restored {
        warn!("{path} was there before the first run, and is of k3s-harden too");
    }
    Ok(unknown)
}

/// Names what is still there after an uninstall: what another program saved `beside` a file while a run was killed, and
/// files of k3s-harden that are `unknown` to the history.
pub(super) fn refuse_remaining(root: &Root, beside: &[RootedPath], unknown: &[String]) -> Result<()> {
    if beside.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    let mut lines = String::new();
    for path in beside {
        let path = root.display(path);
        lines.push_str(&format!("\n  {path}: kept: another program saved it while a run was killed"));
    }
    for path in unknown {
        lines.push_str(&format!(
            "\n  {path}: k3s-harden wrote it, but the history does not list it: its previous state is unknown"
        ));
    }
    let message =
        format!("all runs were rolled back and the history was removed, but these files remain:{lines}");
    Err(Error::new(ErrorKind::HalfChanged, message)
        .hint("save the files that you need, then remove the rest by hand"))
}

/// Returns the files of k3s-harden that are on the node.
///
/// # Errors
/// If K3s's configuration, which tells where they are, cannot be read, or one of them cannot be looked at.
pub(super) fn files_of_ours(root: &Root) -> Result<Vec<String>> {
    files_at(root, &places(root)?)
}

fn places(root: &Root) -> Result<NodePlaces> {
    NodePlaces::find(root, release(root, None), None, None)
}

fn files_at(root: &Root, places: &NodePlaces) -> Result<Vec<String>> {
    let mut ours = Vec::new();
    for (_, path) in document::paths(&places.config.path_or_default(), &places.own_data_dir.path) {
        if matches!(root.look(&path)?, PathState::File { bytes, .. } if has_header(&bytes)) {
            ours.push(path.to_string());
        }
    }
    Ok(ours)
}

/// Returns the release of K3s on the node: the installed one, else the recorded one, else the newest that is known.
pub(super) fn release(root: &Root, recorded: Option<&str>) -> K3sRelease {
    let installed = k3s::version(root).ok().flatten().map(|(version, _)| version.number());
    let recorded = || Some(recorded?.parse::<K3sVersion>().ok()?.number());
    let newest = || KubernetesMinor::supported().last().map_or(KubernetesMinor::new(0), |minor| *minor);
    installed.or_else(recorded).unwrap_or_else(|| newest().into())
}
