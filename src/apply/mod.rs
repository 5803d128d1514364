//! Do it, or undo it: a run holds the lock, writes down what it is about to replace, changes one resource after the
//! other, looks whether all of it is so, and puts everything back when one fails.

mod history;
mod journal;
mod recovery;
mod rollback;
mod state;
mod transaction;

pub use history::{Changed, History, Recorded};
pub use journal::{Entry, Journal, Saved, State, Told, Verb};
pub use recovery::Recovered;
pub use rollback::{WayBack, texts};
pub use state::{STATE_DIRECTORY, has_state, is_at_work, state_directory, sweep_beside};
pub use transaction::{Keep, Manner, Outcome, Transaction, check_writable};
