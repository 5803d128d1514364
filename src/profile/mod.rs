//! What should be? Profiles, settings, controls and Kubernetes minors.
//!
//! ```text
//! profiles/*.yaml, files ──▶ ProfileDocument ──▶ ProfileRequest::resolve ──▶ Profile
//!                             (as written)        (merged, checked)    (for one minor)
//! ```
//!
//! What there is to set, which control it serves and how it reaches K3s are rows of `data/*.yaml`. This room
//! reads no file: who calls it hands it an opener.

mod control;
mod document;
mod fields;
mod input;
mod resolved;
mod setting;
mod source;
mod table;

pub use control::{ControlId, ControlNumbers, ControlSelection, titles};
pub use document::{ProfileDocument, read_settings};
pub use fields::DocumentText;
pub(crate) use fields::{Fields, describe, nearest, unknown};
pub use input::{Assignment, MAX_EXTENDS, OpenFile, Origin, ProfileRequest, WAIVERS};
pub use resolved::{Profile, Resolved};
pub use setting::{Declaration, MAX_LIST_ITEMS, MAX_TEXT_BYTES, declarations};
pub use source::{MAX_NESTING, MAX_SOURCE_BYTES, MAX_VALUES, SourceText};
pub use table::{Accepts, ArgumentRow, ArgumentTable, KeyRow, PluginRow, RemovedPlugin, SysctlRow, ValueOf};

/// Returns the names of the built-in profiles, oldest benchmark first and overlays last.
#[must_use]
pub fn built_in_names() -> Vec<&'static str> {
    crate::embedded::profile_names()
}
