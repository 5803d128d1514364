//! What differs? Desired and observed state, merged into one [`Plan`] that everything later reads.
//!
//! The nouns are [`Directory`], [`File`] and [`Sysctl`]; each has the verbs `observe`, `diff`, `apply`,
//! `revert`, in that order.

mod desired;
mod directory;
mod file;
mod merged;
mod resource;
mod sysctl;

pub use desired::{Desired, Subject};
pub use directory::Directory;
pub use file::File;
pub use merged::{Observed, OnForeign, Plan, Policy};
pub use resource::{Action, Change, Current, Resource};
pub use sysctl::Sysctl;
