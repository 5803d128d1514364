//! The files of a hardened node, rendered from the profile.
//!
//! `files` holds the table of the files with their paths and modes; a new file is a row, a function and a template.
//! Every text in a template is quoted by the escape hook (see `quote`), so no reader takes it for a number or a
//! boolean. The output depends on the profile and the node's configuration only: no time, no host, no order of a hash
//! map. `drop_in_merge` says how the drop-in meets the user's configuration.
//!
//! This room imports `profile`, `k3s`, `node`, `kubernetes` and the ground (error, role, mode, version, embedded).

pub mod audit;
mod changes;
pub mod cipher_suites;
mod drop_in;
mod drop_in_merge;
mod engine;
mod existing;
mod files;
mod leftovers;
mod meaning;
mod policy;
mod present;
mod quote;
mod rendered;
mod service;

use serde::Serialize;
use tera::{Context, EscapeFn};

pub use changes::{ChangeRow, Release, changes};
pub use drop_in::{DropIn, DropInArgument, DropInComponent, DropInContext, DropInKey, join};
pub use drop_in_merge::{DropInMerge, MergedDropIn, OnConflict};
pub use existing::{ConfigEntry, ExistingConfig};
pub use files::{DROP_IN, Document, NodeSite, RenderedDirectory, paths};
pub use leftovers::leftovers;
pub use meaning::means_the_same;
pub use present::PresentFiles;
pub use quote::yaml_string;
pub use rendered::Rendered;
pub use service::service_warnings;

use crate::Role;
use crate::node::RootedPath;
use crate::profile::{ArgumentTable, ControlId, Profile};
use engine::Engine;

const MARK: &str = "# Written by k3s-harden ";
const WATCHED: &str = ", which replaces changes made here";

/// Returns the K3s configuration of a role; `documents` are the files that it refers to, by key and controls.
#[must_use]
pub fn configuration(
    profile: &Profile,
    role: Role,
    data_dir: &RootedPath,
    documents: &[(&str, Vec<ControlId>)],
    present: &PresentFiles,
) -> DropIn {
    let pod_security_policies = policy::has_pod_security_policies(profile, present);
    let context = DropInContext { role, data_dir, documents, pod_security_policies, present };
    DropIn::new(profile, ArgumentTable::get(), context)
}

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
    // k3s-harden does not replace what another tool writes.
    let header =
        header(profile, about, controls).replace(MARK, "# Rendered by k3s-harden ").replace(WATCHED, "");
    match body.split_once('\n').filter(|(first, _)| first.starts_with("#!")) {
        Some((interpreter, rest)) => format!("{interpreter}\n{header}{rest}"),
        None => header + &body,
    }
}

/// Renders a page; every text in it goes through `escape`.
pub(crate) fn page(template: &str, context: &Context, escape: EscapeFn) -> String {
    Engine::escaping(".html.tera", escape, [template]).render(template, context)
}

/// Tells whether `bytes` begin with k3s-harden's header.
#[must_use]
pub fn is_ours(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').take(4);
    lines.any(|line| line.starts_with(MARK.as_bytes()))
}

/// Returns the version that the header of a file of ours names.
#[must_use]
pub fn written_by(bytes: &[u8]) -> Option<Release> {
    let mut lines = bytes.split(|byte| *byte == b'\n').take(4);
    let rest = lines.find_map(|line| line.strip_prefix(MARK.as_bytes()))?;
    std::str::from_utf8(rest).ok()?.split(' ').next()?.parse().ok()
}

fn header(profile: &Profile, about: &str, controls: &[ControlId]) -> String {
    let controls = if controls.is_empty() { "none by itself".to_owned() } else { join(controls) };
    format!(
        "# {about}\n{MARK}{version} from profile {names}{WATCHED}.\n# CIS {benchmark}: {controls}\n",
        version = env!("CARGO_PKG_VERSION"),
        names = profile.names.join(" + "),
        benchmark = profile.benchmark,
    )
}
