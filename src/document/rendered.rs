// SPDX-License-Identifier: Apache-2.0
//! Everything that is rendered for one profile and one node.
//!
//! A run makes this value once and hands it on: the plan, its warnings, the checks before K3s starts and `explain`
//! all read the same documents.

use tracing::debug;

use super::files::{self, RenderedNode};
use super::target::RenderedDirectory;
use super::{Document, DropIn, MergedDropIn, RenderTarget, admission, admission_files, policy};
use super::{UsersPart, bodies};
use crate::kubernetes::kernel_parameters::KernelParameter;
use crate::profile::{ControlId, Profile};

/// The files, directories and kernel parameters of a hardened node.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The files, in the order in which they are written.
    pub documents: Vec<Document>,
    /// The directories with an exact mode, parents first.
    pub directories: Vec<RenderedDirectory>,
    /// The kernel parameters that the profile sets in the running kernel.
    pub sysctls: Vec<&'static KernelParameter>,
    /// The benchmark's numbers of the controls that the kernel parameters implement.
    pub sysctl_controls: Vec<ControlId>,
    /// The K3s configuration that the profile sets, before it is merged with the node's.
    pub requested: DropIn,
    /// The content of the drop-in: the same merged with the node's configuration.
    pub drop_in: MergedDropIn,
    /// Warnings about policy.yaml, for a run that changes it.
    pub policy_warnings: Vec<String>,
    /// Warnings about the policies in server/admission.d, for a run that changes them.
    pub admission_warnings: Vec<String>,
    /// What of the user's is taken over, or contradicts ours.
    pub taken_over: Vec<UsersPart>,
}

impl Rendered {
    /// Renders the documents of `profile` for a node of `site`.
    #[must_use]
    pub fn new(profile: &Profile, target: &RenderTarget) -> Self {
        let RenderedNode { documents, requested, merged: drop_in, taken_over, left_sysctls, object_warnings } =
            files::render(profile, target);
        debug!(count = documents.len(), "documents rendered");
        let admission_warnings =
            match documents.iter().any(|document| admission_files::is_admission_file(document.key)) {
                true => admission::warnings(profile, requested.gate_of_ours(), &drop_in.configuration),
                false => Vec::new(),
            };
        Self {
            directories: files::directories(profile, target, &documents),
            documents,
            sysctls: bodies::live_sysctls(profile, &target.running)
                .into_iter()
                .filter(|parameter| !left_sysctls.contains(&parameter.key))
                .collect(),
            sysctl_controls: profile.ids(&["protect-kernel-defaults"]),
            requested,
            drop_in,
            policy_warnings: policy::warnings(profile, target).into_iter().chain(object_warnings).collect(),
            admission_warnings,
            taken_over,
        }
    }
}
