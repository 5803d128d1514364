// SPDX-License-Identifier: Apache-2.0
//! Renders the files of a node for other tools: cloud-init, Ignition, Rancher, systemd and others.
//!
//! Imports `apply` (for the inputs of a run), `plan`, `document`, `profile` and the ground (`error`, `mode`, `role`),
//! nothing above them.
//!
//! A format is a file here and a row of [`RenderFormat::render`]. All formats with the files of a node render the same
//! [`Tree`]: what `apply` writes on an empty node, with its modes.

mod account_update;
mod archive;
mod cksum;
mod cloud_init;
mod ignition;
mod program_path;
mod rancher_cluster;
mod rendered_file;
mod shell;
mod systemd;
mod tree;
mod unit_word;

use crate::error::{Error, ErrorKind, Result};

pub use program_path::ProgramPath;
pub use rendered_file::{RenderInput, RenderedFile, RenderedFiles};
pub use tree::{Tree, TreeDirectory, TreeFile};

/// What `render --as` offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RenderFormat {
    /// account_update.yaml and account_update.sh: default ServiceAccounts of later namespaces.
    AccountUpdate,
    /// cloud-init user-data; needs no binary on the node.
    CloudInit,
    /// Files below the directory --out, with their modes.
    Dir,
    /// Ignition configuration, spec 3.4.0.
    Ignition,
    /// Cluster object for Rancher, with the K3s arguments.
    RancherCluster,
    /// Secret with the files for the machines of rancher-cluster.
    RancherFiles,
    /// POSIX shell script; needs no binary on the node.
    Shell,
    /// systemd unit that runs apply before K3s starts, and the gate.
    Systemd,
    /// systemd drop-in that runs preflight before K3s starts.
    SystemdGate,
    /// systemd unit with apply --after-start, and its timer.
    SystemdTimer,
    /// Reproducible tar archive of the files.
    Tar,
}

impl RenderFormat {
    /// Renders the files.
    ///
    /// # Errors
    /// If a table of the program is wrong, or a format that runs the program has no path of it.
    pub fn render(self, input: &RenderInput<'_>) -> Result<RenderedFiles> {
        Ok(match self {
            Self::AccountUpdate => account_update::render(input.profile),
            Self::CloudInit => cloud_init::render(input, &Tree::new(input)?),
            Self::Dir => directory(Tree::new(input)?),
            Self::Ignition => ignition::render(&Tree::new(input)?),
            Self::RancherCluster => rancher_cluster::render(input)?,
            Self::RancherFiles => rancher_cluster::secret(input)?,
            Self::Shell => shell::render(input, &Tree::new(input)?),
            Self::Systemd => systemd::render(input, program(input)?),
            Self::SystemdGate => systemd::gate(input, program(input)?),
            Self::SystemdTimer => systemd::timer(input, program(input)?),
            Self::Tar => archive::render(&Tree::new(input)?),
        })
    }

    /// Returns what the user does with the result at `path`.
    #[must_use]
    pub fn next_step(self, path: &str) -> String {
        match self {
            Self::AccountUpdate => format!("run {path}/account_update.sh where kubectl reaches the cluster"),
            Self::CloudInit => format!(
                "uncomment the last lines of {path}, which install K3s, then pass it to the instance as user-data"
            ),
            Self::Dir => {
                format!("as root, copy {path} over the root directory of the node, before K3s starts")
            }
            Self::Ignition => format!(
                "pass {path} to the node at its first boot, or merge it into its Ignition configuration"
            ),
            Self::RancherCluster => {
                format!("apply the Secret of --as rancher-files, then: kubectl apply -f {path}")
            }
            Self::RancherFiles => {
                format!("kubectl apply -f {path}, then apply the cluster object of --as rancher-cluster")
            }
            Self::Shell => format!("on the node, as root, before K3s starts: sh {path}"),
            Self::Systemd => {
                format!("copy {path} to /etc/systemd/system of the node, then: systemctl enable k3s-harden")
            }
            Self::SystemdGate => {
                format!("copy {path} to /etc/systemd/system of the node, then: systemctl daemon-reload")
            }
            Self::SystemdTimer => {
                format!(
                    "copy {path} to /etc/systemd/system of the node, then: systemctl enable --now k3s-harden-after-start.timer"
                )
            }
            Self::Tar => format!("on the node, as root, before K3s starts: tar -xpf {path} -C /"),
        }
    }

    /// Tells whether it can only be written into a directory.
    #[must_use]
    pub fn is_directory(self) -> bool {
        self == Self::Dir
    }

    /// Tells whether it runs k3s-harden on the node, so that it names the program.
    #[must_use]
    pub fn runs_program(self) -> bool {
        matches!(self, Self::Systemd | Self::SystemdGate | Self::SystemdTimer)
    }
}

/// Returns the path of the program on the node.
fn program<'a>(input: &RenderInput<'a>) -> Result<&'a ProgramPath> {
    let unknown = || Error::new(ErrorKind::Usage, "a unit names the program, and its path is not known");
    input.binary.ok_or_else(unknown)
}

/// Returns the files of the node, below a directory.
fn directory(tree: Tree) -> RenderedFiles {
    let below = |path: &str| path.trim_start_matches('/').to_owned();
    RenderedFiles {
        directories: tree
            .directories
            .iter()
            .map(|directory| (below(&directory.path), directory.mode))
            .collect(),
        files: tree
            .files
            .into_iter()
            .map(|file| RenderedFile {
                name: below(&file.path).into(),
                mode: file.mode,
                bytes: file.text.into_bytes(),
            })
            .collect(),
        warnings: Vec::new(),
    }
}
