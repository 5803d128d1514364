//! Do it, or undo what was done: a run holds the lock, writes down what it is about to replace, changes one
//! resource after the other, and puts everything back when one fails.

mod journal;
mod transaction;

pub use journal::{Journal, STATE_DIRECTORY, Saved, State, Told, recorded};
pub use transaction::{Outcome, Transaction};
