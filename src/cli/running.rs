// SPDX-License-Identifier: Apache-2.0
//! Whether K3s runs with a configuration from before the newest run: its last start, compared with the runs since.

use std::collections::BTreeSet;

use super::context::Context;
use super::downgrade;
use crate::apply::{History, RunRecord, RunState};
use crate::document::{self, EffectTime};
use crate::error::{ErrorKind, Result};
use crate::k3s::{K3sLog, LastStart, seconds};
use crate::node::{Root, RootedPath};
use crate::plan::ResourceKind;
use crate::verify::{RunningConfiguration, RunningState};

/// Does it for a run's node, if K3s has started there.
///
/// # Errors
/// If the history cannot be read; who may not read it hears that from the run.
pub(super) fn of(context: &Context<'_>, log: &K3sLog) -> Result<Option<RunningConfiguration>> {
    if !downgrade::has_started(context) {
        return Ok(None);
    }
    match running(context.root, &context.target.config, &context.target.data_dir, log) {
        Err(error) if error.kind() == ErrorKind::NotPermitted => Ok(None),
        other => other,
    }
}

/// Compares the last start of K3s with the runs on a node; none if no run has changed anything that K3s reads when it starts.
///
/// # Errors
/// If the history cannot be read.
fn running(
    root: &Root,
    config: &RootedPath,
    data_dir: &RootedPath,
    log: &K3sLog,
) -> Result<Option<RunningConfiguration>> {
    let history = History::read(root)?;
    let waits = |key: &str| document::effect_of(key).is_some_and(|row| row.when == EffectTime::Restart);
    let paths = document::paths(config, data_dir).into_iter().filter(|(key, _)| waits(key));
    let read_at_start: BTreeSet<String> = paths.map(|(_, path)| path.to_string()).collect();
    let changing: Vec<&RunRecord> =
        history.runs().iter().filter(|run| has_changed(run, &read_at_start)).collect();
    let Some(newest) = changing.last() else { return Ok(None) };
    let Some(start) = LastStart::find(root, data_dir, log) else {
        return Ok(Some(RunningConfiguration {
            state: RunningState::Unknown,
            why: format!(
                "unknown when K3s last started: it may still use the configuration from before run {} ({})",
                newest.id, newest.time
            ),
            runs: Vec::new(),
        }));
    };
    let since: Vec<u32> = changing
        .iter()
        .filter(|run| seconds(&run.time).is_none_or(|time| time > start.at))
        .map(|run| run.id)
        .collect();
    let (state, why) = if since.is_empty() {
        let why = format!("K3s has started since run {} ({}): {}", newest.id, newest.time, start.from);
        (RunningState::Current, why)
    } else {
        let numbers: Vec<String> = since.iter().map(ToString::to_string).collect();
        let runs = match numbers.split_last() {
            Some((last, [])) => format!("run {last}"),
            Some((last, others)) => format!("runs {} and {last}", others.join(", ")),
            None => String::new(),
        };
        let why = format!(
            "K3s still uses the configuration from before {runs}: it has not restarted since (source: {})",
            start.from
        );
        (RunningState::Stale, why)
    };
    Ok(Some(RunningConfiguration { state, why, runs: since }))
}

/// Tells whether a run has changed one of the files at `paths`.
fn has_changed(run: &RunRecord, paths: &BTreeSet<String>) -> bool {
    run.state == RunState::Committed
        && run.steps().any(|entry| entry.resource == ResourceKind::File && paths.contains(&entry.path))
}
