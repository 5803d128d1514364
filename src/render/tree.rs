// SPDX-License-Identifier: Apache-2.0
//! The directories and files that `apply` writes on an empty node, for every format that holds them.

use std::path::PathBuf;

use super::rendered_file::RenderInput;
use crate::document::{
    ExistingConfig, KubeletFileValues, PackagedPolicies, PresentFiles, Rendered, UsersFiles,
};
use crate::error::Result;
use crate::mode::{FileMode, Owner};
use crate::plan::{Content, Desired, DirectoryRule, PlanSubject, Resource};
use crate::profile::ControlId;

/// Directories that every system has: the system decides their modes.
const SYSTEM: [&str; 4] = ["/etc", "/etc/sysctl.d", "/var", "/var/lib"];

/// The files of a node and the directories that they are in, parents first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The directories that not every system has.
    pub directories: Vec<TreeDirectory>,
    /// The files, in the order in which `apply` puts them there.
    pub files: Vec<TreeFile>,
    /// The controls that they implement.
    pub controls: Vec<ControlId>,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeDirectory {
    /// Its path.
    pub path: String,
    /// Its mode.
    pub mode: FileMode,
    /// Whether an existing one gets that mode too; else it is left as it is.
    pub exact: bool,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// Its path.
    pub path: String,
    /// Its mode.
    pub mode: FileMode,
    /// Its content.
    pub text: String,
    /// Whether the running kernel gets its parameters too.
    pub sysctl: bool,
}

impl Tree {
    /// Renders the files of an empty node.
    ///
    /// # Errors
    /// If a table of the program is wrong.
    pub(super) fn new(input: &RenderInput<'_>) -> Result<Self> {
        // The configuration of the machine that renders is not that of the node, and may be secret.
        let mut target = input.target.clone();
        target.present = PresentFiles::default();
        target.packaged = PackagedPolicies::default();
        target.users = UsersFiles::default();
        target.drop_in_merge.existing = ExistingConfig::default();
        target.drop_in_merge.kubelet_files = KubeletFileValues::default();
        let subject = PlanSubject::new(PathBuf::from("/"), input.profile, target.role);
        let rendered = Rendered::new(input.profile, &target);
        let desired = Desired::new(subject, &rendered, Owner::ROOT, false)?;
        let mut tree = Self { directories: Vec::new(), files: Vec::new(), controls: Vec::new() };
        for resource in desired.resources {
            match resource {
                Resource::Directory(directory) if !SYSTEM.contains(&directory.path.as_str()) => {
                    tree.directories.push(TreeDirectory {
                        path: directory.path.to_string(),
                        mode: directory.metadata.mode,
                        exact: directory.rule == DirectoryRule::Exact,
                    });
                }
                Resource::File(file) => {
                    let Content::Bytes(bytes) = file.content else { continue };
                    tree.controls.extend(file.controls);
                    let path = file.path.to_string();
                    tree.files.push(TreeFile {
                        sysctl: input.live_sysctl && path.starts_with("/etc/sysctl.d/"),
                        path,
                        mode: file.metadata.mode,
                        text: String::from_utf8_lossy(&bytes).into_owned(),
                    });
                }
                Resource::Directory(_) | Resource::Sysctl(_) | Resource::Permissions(_) => {}
            }
        }
        tree.controls.sort();
        tree.controls.dedup();
        Ok(tree)
    }
}
