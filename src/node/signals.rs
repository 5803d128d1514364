//! Signals that ask a run to end. A handler only sets a flag; the run looks at it between two changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use signal_hook::flag::register_usize;

use crate::error::{Error, ErrorKind, Result};

/// The signals that end a run in an orderly way.
const WATCHED: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];

/// The signals that have come in since the watch began.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Begins to watch for SIGTERM and SIGINT, which no longer end the process by themselves.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn watch() -> Result<Self> {
        let signals = Self::default();
        for signal in WATCHED {
            register_usize(signal as i32, Arc::clone(&signals.0), signal as usize).map_err(|error| {
                Error::new(ErrorKind::Failed, format!("cannot watch for {}: {error}", signal.as_str()))
            })?;
        }
        Ok(signals)
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
