//! Applies a plan as one transaction, and undoes it: a run holds the lock, records what it is about to replace, changes
//! the resources one by one, verifies all of them, and restores everything if one fails.
//!
//! Imports `plan`, `document`, `profile`, `node` and the ground (`error`, `mode`, `role`, `version`), nothing above them.

mod history;
mod recovery;
mod removal;
mod rollback_plan;
mod run_record;
mod saved_state;
mod state;
mod temporaries;
mod transaction;

pub use history::{ChangedPath, History, RecordedInputs};
pub use recovery::Recovered;
pub use rollback_plan::{ModifiedPath, RollbackPlan, texts};
pub use run_record::{RunEntry, RunInputs, RunRecord, RunState, RunVerb};
pub use saved_state::SavedState;
pub use state::{STATE_DIRECTORY, has_state, is_run_in_progress, remove_leftovers, state_directory};
pub use transaction::{ApplyOptions, ApplyOutcome, KeepHistory, Transaction, check_writable};
