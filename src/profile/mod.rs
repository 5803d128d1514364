// SPDX-License-Identifier: Apache-2.0
//! The desired state of a node: profiles, settings and controls, resolved for one Kubernetes minor.
//!
//! ```text
//! profiles/*.yaml, files ──▶ ProfileDocument ──▶ ProfileRequest::resolve ──▶ Profile
//!                             (as written)        (merged, checked)    (for one minor)
//! ```
//!
//! The settings, the controls they implement and the arguments they become are rows of `data/*.yaml`. This room
//! imports `kubernetes` and the ground (error, role, mode, version, embedded). It opens no file: the caller passes a
//! function that does. Its files import each other in this order only:
//!
//! ```text
//! source ◀─ fields ◀─┬─ control ◀─┬───────────── resolved ◀─┐
//! by_minor, table ◀──┴─ setting ◀─┴─ document ◀─────────────┴─ request
//! ```

mod by_minor;
mod control;
mod document;
mod fields;
mod request;
mod resolved;
mod setting;
mod source;
mod table;

pub use by_minor::SettingValue;
pub use control::{ControlId, ControlNumbers, ControlSelection, titles};
pub use document::{ProfileDocument, SETTINGS_FILE, read_settings};
pub use fields::DocumentText;
pub(crate) use fields::{Fields, describe, unknown};
pub use request::{Assignment, MAX_EXTENDS, OpenFile, ProfileRequest};
pub use resolved::{Origin, Profile, Resolved};
pub use setting::{Declaration, MAX_LIST_ITEMS, MAX_TEXT_BYTES, WAIVERS, declarations};
pub use source::{MAX_NESTING, MAX_SOURCE_BYTES, MAX_VALUES, SourceText};
pub use table::{Accepts, ArgumentRow, ArgumentTable, KeyRow, PluginRow, ValueOf};

/// Returns the names of the built-in profiles, oldest benchmark first and overlays last.
#[must_use]
pub fn built_in_names() -> Vec<&'static str> {
    crate::embedded::profile_names()
}
