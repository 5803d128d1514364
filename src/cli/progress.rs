// SPDX-License-Identifier: Apache-2.0
//! Says on stderr what a run is doing, if it takes longer than two seconds.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::warn;

/// How long a step may take before the user hears of it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A step that may take long. Nothing is said once it is dropped.
#[derive(Debug)]
pub(super) struct Progress {
    done: Option<Sender<()>>,
    speaker: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins a step, such as `querying the cluster`. Without a thread to spare the step is silent.
    pub(super) fn of(step: impl Into<String>) -> Self {
        let step = step.into();
        let (done, is_done) = mpsc::channel();
        let speak = move || {
            if is_done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                warn!("{step} …");
            }
        };
        let speaker = thread::Builder::new().name("progress".to_owned()).spawn(speak).ok();
        Self { done: Some(done), speaker }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(speaker) = self.speaker.take() {
            // A speaker that panics has said nothing wrong.
            speaker.join().unwrap_or_default();
        }
    }
}
