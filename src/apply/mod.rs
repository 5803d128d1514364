//! Do it, or undo it: a run holds the lock, writes down what it is about to replace, changes one resource after the
//! other, looks whether all of it is so, and puts everything back when one fails.

mod history;
mod journal;
mod recovery;
mod rollback;
mod state;
mod transaction;

pub use history::{Changed, History, RecordedInputs};
pub use journal::{RunEntry, RunInputs, RunRecord, RunState, RunVerb, SavedState};
pub use recovery::Recovered;
pub use rollback::{RollbackPlan, texts};
pub use state::{STATE_DIRECTORY, has_state, is_at_work, state_directory, sweep_beside};
pub use transaction::{ApplyOptions, ApplyOutcome, KeepHistory, Transaction, check_writable};
