// SPDX-License-Identifier: Apache-2.0
//! What is wrong in the state directory. Damage is named with its path and its reason, and nothing damaged is removed:
//! it may hold the only copy of somebody's bytes.

use super::state::STATE_DIRECTORY;
use crate::error::{Error, ErrorKind, Result, one_line};
use crate::node::{Root, RootedPath};

/// Something in the state directory that cannot be trusted, or is not there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// The number of the run that it belongs to, as far as its name tells.
    pub run: Option<u32>,
    /// Its path.
    pub path: RootedPath,
    /// What is wrong with it.
    pub reason: String,
    /// Whether it is no damage, but the record of a newer version: only that version knows what the run has changed.
    pub is_newer: bool,
}

impl Damage {
    pub(super) fn new(run: impl Into<Option<u32>>, path: RootedPath, reason: impl Into<String>) -> Self {
        Self { run: run.into(), path, reason: reason.into(), is_newer: false }
    }

    /// Returns the path and the reason as one line.
    #[must_use]
    pub fn line(&self, root: &Root) -> String {
        format!("{}: {}", one_line(&root.display(&self.path)), self.reason)
    }

    /// Returns the warning of a verb that goes on beside it.
    #[must_use]
    pub fn warning(&self, root: &Root) -> String {
        let what = if self.is_newer { "has runs of a newer version" } else { "is damaged" };
        format!("the history {what}: {}; nothing of it is removed", self.line(root))
    }

    /// Refuses where a newer version has changed the node since: this one cannot undo that, and would undo the rest beside it.
    ///
    /// # Errors
    /// The records of that version, and which version it is.
    pub fn refuse_newer(all: &[Self], root: &Root) -> Result<()> {
        let newer: Vec<&Self> = all.iter().filter(|damage| damage.is_newer).collect();
        if newer.is_empty() {
            return Ok(());
        }
        let lines: String = newer.iter().map(|damage| format!("\n  {}", damage.line(root))).collect();
        let message = format!(
            "a newer version of k3s-harden has changed this node; this version changed nothing:{lines}"
        );
        Err(Error::new(ErrorKind::Failed, message).hint(format!(
            "install the version named above and run it here; do not change {}: rollbacks need it",
            root.display(&RootedPath::fixed(STATE_DIRECTORY))
        )))
    }

    /// Returns the error of a verb that cannot go on beside it; `message` says what was not done.
    #[must_use]
    pub fn error(all: &[Self], root: &Root, message: &str) -> Error {
        let lines: String = all.iter().map(|damage| format!("\n  {}", damage.line(root))).collect();
        Error::new(ErrorKind::Failed, format!("{message}:{lines}")).hint(keep_a_copy(root))
    }
}

/// Returns what [`Damage`] is for an error of reading.
///
/// # Errors
/// If the caller may not read it: then nothing is known of it.
pub(super) fn of_error(root: &Root, run: u32, path: RootedPath, error: Error) -> Result<Damage> {
    match error.kind() {
        ErrorKind::NotPermitted => Err(error),
        _ => {
            let reason = error.message_without(&root.display(&path));
            Ok(Damage::new(run, path, reason))
        }
    }
}

/// Returns the error of a run that cannot go on without it.
pub(super) fn unreadable(root: &Root, damage: &Damage) -> Error {
    Error::new(ErrorKind::Failed, format!("{} cannot be used: {}", root.display(&damage.path), damage.reason))
        .hint(keep_a_copy(root))
}

/// The first thing to do about damage: whatever comes next cannot lose anything then.
pub(super) fn keep_a_copy(root: &Root) -> String {
    format!(
        "it is damaged, or another version of k3s-harden wrote it: first keep a copy of {} outside this directory",
        root.display(&RootedPath::fixed(STATE_DIRECTORY))
    )
}
