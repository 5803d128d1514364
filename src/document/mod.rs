// SPDX-License-Identifier: Apache-2.0
//! The files of a hardened node, rendered from the profile.
//!
//! `files` holds the table of the files with their paths and modes, `bodies` what writes each; a new file is a row, a function
//! and a template.
//! Every text in a template is quoted by the escape hook (see `quote`), so no reader takes it for a number or a
//! boolean. The output depends on the profile and the node's configuration only: no time, no host, no order of a hash
//! map. `drop_in_merge` merges the drop-in with the user's configuration.
//!
//! This room imports `profile`, `k3s`, `node`, `kubernetes` and the ground (error, role, mode, version, embedded).

mod admission;
mod admission_files;
pub mod anonymous_health;
pub mod audit;
mod bodies;
mod changes;
pub mod cipher_suites;
mod drop_in;
mod drop_in_merge;
mod effects;
pub mod encryption_provider;
mod engine;
mod entry_comments;
mod equivalence;
mod excluded;
mod existing;
mod file_table;
mod files;
mod header;
mod kubelet_files;
mod leftovers;
mod network_addons;
mod node_files;
mod policy;
mod present;
mod quote;
mod rendered;
mod service;
mod taken_over;
mod target;
pub mod upgrade;
mod users;

use serde::Serialize;
use tera::{Context, EscapeFn};

pub use admission::{
    POLICY_PLUGIN, WrittenPolicy, check as check_admission, has_admission_policies, written_policy,
};
pub use admission_files::{ADMISSION_FOLDER, is_admission_file};
pub use bodies::configuration;
pub use changes::{ChangeRow, Release, changes};
pub use drop_in::{DropIn, DropInArgument, DropInComponent, DropInContext, DropInKey, join};
pub use drop_in_merge::{DropInMerge, MergedDropIn, OnConflict};
pub use effects::{DocumentEffect, EffectTime, effect_of, present_on_minor};
pub use entry_comments::EntryComment;
pub use equivalence::is_equivalent;
pub use existing::{ConfigEntry, ExistingConfig};
pub use file_table::{is_possible, is_users, paths};
pub use files::is_covered;
pub use header::{has_header, written_by};
pub use kubelet_files::{KubeletFileValue, KubeletFileValues, LeftToFile};
pub use leftovers::leftovers;
pub use network_addons::check_ingress_controller;
pub use node_files::{NodeFile, node_files};
pub use present::{PresentEntry, PresentFiles};
pub use quote::yaml_string;
pub use rendered::Rendered;
pub use service::{command_line, service_warnings};
pub use taken_over::{TakenOver, TakenOverValue, UsersLines};
pub use target::{DROP_IN_NAME, Document, PackagedPolicies, RenderTarget, RenderedDirectory, drop_in_path};
pub use users::{PartFate, UsersFile, UsersFiles, UsersPart, holds_taken_over};

use crate::profile::{ControlId, Profile};
use engine::Engine;
use header::FileWriter;

/// Renders a template for another tool, with a header of its own.
pub(crate) fn render(
    profile: &Profile,
    template: &str,
    about: &str,
    controls: &[ControlId],
    context: &impl Serialize,
) -> String {
    let context = Context::from_serialize(context).expect("contexts are maps with text keys");
    let body = Engine::new([template]).render(template, &context);
    let header = header::header(FileWriter::AnotherTool, profile, about, controls);
    match body.split_once('\n').filter(|(first, _)| first.starts_with("#!")) {
        Some((interpreter, rest)) => format!("{interpreter}\n{header}{rest}"),
        None => header + &body,
    }
}

/// Renders the first of the templates, which may include the others; every text in it goes through `escape`.
pub(crate) fn page(templates: &[&str; 3], context: &Context, escape: EscapeFn) -> String {
    Engine::escaping(".html.tera", escape, templates.iter().copied()).render(templates[0], context)
}
