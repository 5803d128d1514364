// SPDX-License-Identifier: Apache-2.0
//! What differs between a node and its profile: the desired and the observed state, merged into one [`Plan`].
//!
//! Imports `document`, `profile`, `node` and the ground (`error`, `mode`, `role`, `version`), nothing above them.
//!
//! The resources are [`Directory`], [`File`] and [`Sysctl`]; each has the methods `observe`, `diff`, `apply` and
//! `restored_to`, in that order. A rollback needs no code of its own: the state before a run is a desired state, and is
//! planned and applied as any other.

mod change;
mod desired;
mod directory;
mod effects;
mod file;
mod merged;
mod notes;
mod permissions;
mod resource;
mod sysctl;
mod text_diff;

pub use change::Change;
pub use desired::{Desired, PlanSubject};
pub use directory::{Directory, DirectoryRule};
pub use effects::effects;
pub use file::{Content, File};
pub use merged::{ForeignFiles, Observed, OnForeign, Plan};
pub use notes::{PlanNotes, SettingEffect, Upgrade};
pub use permissions::Permissions;
pub use resource::{Action, CurrentState, PutBack, Resource, ResourceKind};
pub use sysctl::Sysctl;
