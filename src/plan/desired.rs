// SPDX-License-Identifier: Apache-2.0
//! The desired state: every resource of a hardened node, parents first.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::directory::{Directory, DirectoryRule};
use super::file::{Content, File};
use super::resource::Resource;
use super::sysctl::Sysctl;
use crate::Role;
use crate::document::{Document, Rendered, RenderedDirectory};
use crate::error::Result;
use crate::mode::{FileMode, Owner};
use crate::node::{Metadata, RootedPath};
use crate::profile::Profile;
use crate::version::KubernetesMinor;

/// The node and the profile of a plan; the head of its output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSubject {
    /// The root as the user named it; a later run may name it differently.
    #[serde(skip)]
    pub root: PathBuf,
    /// The node's role.
    pub role: Role,
    /// The Kubernetes minor.
    pub kubernetes: KubernetesMinor,
    /// The benchmark.
    pub benchmark: String,
    /// The profiles, in order.
    pub profiles: Vec<String>,
}

/// The desired state of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The node and the profile.
    pub subject: PlanSubject,
    /// The resources, parents first.
    pub resources: Vec<Resource>,
}

impl PlanSubject {
    /// Returns the subject of a plan for a root whose node has `role`.
    #[must_use]
    pub fn new(root: PathBuf, profile: &Profile, role: Role) -> Self {
        Self {
            root,
            role,
            kubernetes: profile.minor,
            benchmark: profile.benchmark.clone(),
            profiles: profile.names.clone(),
        }
    }
}

impl Desired {
    /// Turns what was rendered into resources, all of them owned by `owner`; with `live`, the kernel parameters of the
    /// running system too.
    ///
    /// # Errors
    /// If a table of the program is wrong.
    pub fn new(subject: PlanSubject, rendered: &Rendered, owner: Owner, live: bool) -> Result<Self> {
        let mut desired = Self { subject, resources: Vec::new() };
        for RenderedDirectory { path, mode, controls } in rendered.directories.iter().cloned() {
            desired.add_parents(&path, owner);
            let metadata = Metadata { mode, owner, attributes: None };
            desired.resources.push(Resource::Directory(Directory {
                path,
                metadata,
                rule: DirectoryRule::Exact,
                controls,
            }));
        }
        for Document { path, mode, controls, text, .. } in rendered.documents.iter().cloned() {
            desired.add_parents(&path, owner);
            let metadata = Metadata { mode, owner, attributes: None };
            let content = Content::Bytes(text.into_bytes());
            desired.resources.push(Resource::File(File { path, metadata, content, controls }));
        }
        if live {
            for row in &rendered.sysctls {
                let (key, value) = (row.key.parse()?, row.value.to_string());
                let controls = rendered.sysctl_controls.clone();
                desired.resources.push(Resource::Sysctl(Sysctl { key, value, controls }));
            }
        }
        Ok(desired)
    }

    /// Adds the files among `candidates` that the profile no longer has: they are removed if k3s-harden wrote them.
    pub fn remove_unwanted(&mut self, candidates: &[RootedPath], owner: Owner) {
        for path in candidates {
            if !self.resources.iter().any(|resource| resource.path() == *path) {
                let file = File {
                    path: path.clone(),
                    metadata: Metadata::private_file(owner),
                    content: Content::Absent,
                    controls: Vec::new(),
                };
                self.resources.push(Resource::File(file));
            }
        }
    }

    /// Adds the directories above `path`: if one is missing it is created with 0755, else it is left as it is.
    fn add_parents(&mut self, path: &RootedPath, owner: Owner) {
        let mut missing = Vec::new();
        let mut above = path.parent();
        while let Some(parent) = above.filter(|parent| parent.as_str() != "/") {
            if self.resources.iter().any(|resource| resource.path() == parent) {
                break;
            }
            above = parent.parent();
            missing.push(parent);
        }
        for path in missing.into_iter().rev() {
            let metadata = Metadata { mode: FileMode::PUBLIC_DIRECTORY, owner, attributes: None };
            self.resources.push(Resource::Directory(Directory {
                path,
                metadata,
                rule: DirectoryRule::Parent,
                controls: Vec::new(),
            }));
        }
    }
}
