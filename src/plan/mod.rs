//! What differs? Desired and observed state, merged into one [`Plan`] that everything later reads.
//!
//! The nouns are [`Directory`], [`File`] and [`Sysctl`]; each has the verbs `observe`, `diff`, `apply`,
//! `as_it_was`, in that order. Undoing has no way of its own: what a resource was is something to be desired, and
//! goes the way of everything that is.

mod desired;
mod directory;
mod file;
mod merged;
mod resource;
mod sysctl;

pub use desired::{Desired, PlanSubject};
pub use directory::{Directory, DirectoryRule};
pub use file::{Content, File};
pub use merged::{Observed, OnForeign, Plan, PlanPolicy};
pub use resource::{Action, Change, CurrentState, Resource};
pub use sysctl::Sysctl;
