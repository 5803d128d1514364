// SPDX-License-Identifier: Apache-2.0
//! Applies a plan as one transaction, and undoes it: a run holds the lock, records what it is about to replace, changes
//! the resources one by one, verifies all of them, and restores everything if one fails.
//!
//! Imports `plan`, `document`, `profile`, `node` and the ground (`error`, `mode`, `role`, `version`), nothing above them.

mod damage;
mod fingerprint;
mod foreign;
mod history;
mod journal;
mod own_files;
#[cfg(test)]
mod random;
mod recorded_inputs;
mod recovery;
mod removal;
mod rollback_plan;
mod run_entry;
mod run_journal;
mod run_list;
mod run_record;
mod saved_state;
mod state;
mod strangers;
mod temporaries;
mod transaction;
mod undone;
mod uniting;

pub use damage::Damage;
pub use history::{ChangedPath, History};
pub use journal::{FORMAT_VERSION as JOURNAL_FORMAT, KNOWN_FORMATS as JOURNAL_FORMATS, NoRecord};
pub use own_files::edited_since;
pub use recorded_inputs::{RecordedInputs, RecordedRun};
pub use recovery::{LeftPath, Recovered};
pub use rollback_plan::{ModifiedPath, OnlyCopy, RollbackPlan, UncertainPath, texts};
pub use run_entry::RunEntry;
pub use run_journal::{read_journal, try_journal};
pub use run_record::{RunInputs, RunRecord, RunState, RunVerb};
pub use saved_state::SavedState;
pub use state::{
    STATE_DIRECTORY, foreign_in_state, has_state, is_run_in_progress, remove_leftovers, state_directory,
};
pub use transaction::{ApplyOptions, ApplyOutcome, KeepHistory, Transaction, check_writable};
pub use undone::after_recovery;
