// SPDX-License-Identifier: Apache-2.0
//! Signals that ask a run to end. A handler only sets a flag; the run looks at it between two changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use signal_hook::flag::{register, register_usize};

use super::host;
use crate::error::{Error, ErrorKind, Result};

/// The signals that end a run in an orderly way.
const WATCHED: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];
/// What the kernel says of this process, in bytes at most.
const MAX_STATUS_BYTES: usize = 1 << 16;

/// The signals that have come in since the watch began.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Begins to watch for the signals, which no longer end the process by themselves. One that is ignored already stays so:
    /// `nohup` has a run go on after its terminal is gone.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn watch() -> Result<Self> {
        let signals = Self::default();
        let status = host::read_file("/proc/self/status", MAX_STATUS_BYTES).unwrap_or_default();
        let ignored = ignored_in(&String::from_utf8_lossy(&status));
        for signal in WATCHED.into_iter().filter(|signal| ignored & (1 << (*signal as u32 - 1)) == 0) {
            register_usize(signal as i32, Arc::clone(&signals.0), signal as usize).map_err(|error| {
                Error::new(ErrorKind::Failed, format!("cannot watch for {}: {error}", signal.as_str()))
            })?;
        }
        Ok(signals)
    }

    /// Lets a write past the limit of a file's size (RLIMIT_FSIZE) fail as any other does, instead of ending the process.
    pub fn survive_size_limit() {
        // Where even this is refused, all is as it was.
        register(Signal::SIGXFSZ as i32, Arc::new(AtomicBool::new(false))).map(drop).unwrap_or_default();
    }

    /// Watches for none.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Ends the run if a signal has arrived.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`] with the signal's name.
    pub fn check(&self) -> Result<()> {
        let number = self.0.load(Ordering::Relaxed);
        match WATCHED.into_iter().find(|signal| *signal as usize == number) {
            None => Ok(()),
            Some(signal) => Err(Error::new(ErrorKind::Failed, format!("ended by {}", signal.as_str()))),
        }
    }
}

/// Returns the set of ignored signals in /proc/PID/status (proc_pid_status(5)): bit 0 is signal 1. None are if it does not say.
fn ignored_in(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_which_signals_are_ignored() {
        let status =
            "Name:\tx\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000004\n";
        assert_eq!(
            ignored_in(status),
            (1 << (Signal::SIGHUP as u32 - 1)) | (1 << (Signal::SIGPIPE as u32 - 1))
        );
        assert_eq!(ignored_in(""), 0);
    }
}
