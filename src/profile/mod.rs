//! What should be? Profiles, settings, controls and Kubernetes minors.
//!
//! ```text
//! profiles/*.yaml, files ──▶ ProfileDocument ──▶ Request::resolve ──▶ Profile
//!                             (as written)        (merged, checked)    (for one minor)
//! ```
//!
//! What there is to set, which control it serves and how it reaches K3s are rows of `data/*.yaml`. This room
//! reads no file: who calls it hands it an opener.

mod control;
mod fields;
mod input;
mod resolved;
mod setting;
mod source;
mod table;
mod written;

pub use control::{ControlId, Numbers, Selection, titles};
pub use fields::Text;
pub(crate) use fields::{Fields, describe, nearest, unknown};
pub use input::{Assignment, MAX_EXTENDS, Open, Origin, Request, WAIVERS};
pub use resolved::{Profile, Resolved};
pub use setting::{CIPHER_SUITES, Declaration, MAX_LIST_ITEMS, MAX_TEXT_BYTES, declarations};
pub use source::{MAX_NESTING, MAX_SOURCE_BYTES, MAX_VALUES, Source};
pub use table::{Accepts, ArgumentRow, ArgumentTable, KeyRow, PluginRow, RemovedPlugin, SysctlRow, ValueOf};
pub use written::{ProfileDocument, read_settings};

/// Returns the names of the built-in profiles, oldest benchmark first and overlays last.
#[must_use]
pub fn built_in_names() -> Vec<&'static str> {
    crate::embedded::profile_names()
}
