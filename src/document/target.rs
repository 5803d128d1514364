// SPDX-License-Identifier: Apache-2.0
//! The node that files are written for, and what is written for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::Role;
use crate::k3s::packaged::SwitchedOff;
use crate::k3s::{self, RunningComponents};
use crate::mode::FileMode;
use crate::node::RootedPath;
use crate::profile::ControlId;

use super::{DropInMerge, PresentFiles, UsersFiles};

/// The name of the drop-in for K3s's configuration. It sorts after Rancher's 50-rancher.yaml, where a later plain key
/// would replace its keys.
pub const DROP_IN_NAME: &str = "90-k3s-harden.yaml";

/// Returns the path of the drop-in beside a configuration file of K3s.
#[must_use]
pub fn drop_in_path(config: &RootedPath) -> RootedPath {
    k3s::drop_ins(config).join(DROP_IN_NAME)
}

/// The node that files are written for: what the templates need besides the profile.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderTarget {
    /// The node's role.
    pub role: Role,
    /// The configuration file that K3s reads: the drop-in goes beside it.
    pub config: RootedPath,
    /// What runs on it: what only another component reads is not written.
    pub running: RunningComponents,
    /// K3s's data directory.
    pub data_dir: RootedPath,
    /// The text of the user's own audit policy, checked, if the profile names one.
    pub audit_policy: Option<String>,
    /// The parts of k3s-harden's files that the node has already; empty unless a run is limited to some controls.
    pub present: PresentFiles,
    /// The packaged components that K3s does not run, and the NetworkPolicies that the node has.
    pub packaged: PackagedPolicies,
    /// What of the user's is united with ours; empty for an empty node.
    pub users: UsersFiles,
    /// How the drop-in merges with the user's configuration of K3s.
    pub drop_in_merge: DropInMerge,
}

/// What decides over the NetworkPolicies for K3s's packaged components.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackagedPolicies {
    /// The components that K3s does not run, and why.
    pub off: BTreeMap<&'static str, SwitchedOff>,
    /// The names of the objects in our policy.yaml on the node.
    pub there: BTreeSet<String>,
}

impl PackagedPolicies {
    /// Returns those of a node; `policy` is its policy.yaml, if it has one.
    #[must_use]
    pub fn new(off: BTreeMap<&'static str, SwitchedOff>, policy: Option<Vec<u8>>) -> Self {
        let present = PresentFiles::new(policy.map(|bytes| ("policy", bytes)));
        let objects = present.objects().unwrap_or_default();
        Self { off, there: objects.iter().map(|object| object.name.clone()).collect() }
    }
}

/// A file of a hardened node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its key, such as audit.
    pub key: &'static str,
    /// Where it goes.
    pub path: RootedPath,
    /// Its exact mode.
    pub mode: FileMode,
    /// The benchmark's numbers of the controls that it implements.
    pub controls: Vec<ControlId>,
    /// Its content.
    pub text: String,
}

/// A directory of a hardened node that has an exact mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedDirectory {
    /// Where it is.
    pub path: RootedPath,
    /// Its mode.
    pub mode: FileMode,
    /// The benchmark's numbers of the controls that it implements.
    pub controls: Vec<ControlId>,
}
