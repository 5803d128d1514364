// SPDX-License-Identifier: Apache-2.0
//! Begins a run: waits for the lock, and says so.

use std::time::Duration;

use super::args::LockArguments;
use super::progress::Progress;
use super::ui;
use crate::apply::{ApplyOptions, Transaction};
use crate::error::Result;
use crate::mode::Owner;
use crate::node::{Root, Signals};

/// Waits for the lock and begins a run; from here on signals no longer end the process by themselves.
pub(super) fn begin<'a>(
    root: &'a Root,
    locking: &LockArguments,
    owner: Owner,
    skip_damaged: bool,
) -> Result<Transaction<'a>> {
    let lock_timeout = Duration::from_secs(locking.lock_timeout.into());
    let options = ApplyOptions { owner, lock_timeout, signals: Signals::watch()?, skip_damaged };
    let waiting = (locking.lock_timeout > 0).then(|| Progress::of("waiting for another run"));
    let transaction = Transaction::begin(root, options)?;
    drop(waiting);
    ui::warn_of_recovered(transaction.recovered());
    Ok(transaction)
}
