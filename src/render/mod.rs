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
mod shell_word;
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
    /// account_update.yaml and account_update.sh: the default ServiceAccounts of namespaces made later.
    AccountUpdate,
    /// cloud-init user-data that needs no binary on the node.
    CloudInit,
    /// The files below a directory, with their modes; the directory is --out.
    Dir,
    /// An Ignition configuration, spec 3.4.0, for systems without a shell at the first boot.
    Ignition,
    /// A cluster object for Rancher, with the arguments as its machine configuration.
    RancherCluster,
    /// The Secret with the files that the cluster object brings to its machines.
    RancherFiles,
    /// A POSIX shell script that does it, for hosts where nothing else may run.
    Shell,
    /// A unit that applies before K3s is started, and the gate.
    Systemd,
    /// A systemd drop-in that asks preflight before K3s is started.
    SystemdGate,
    /// A unit with `apply --after-start`, and the timer that starts it.
    SystemdTimer,
    /// A reproducible tar archive of the files.
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
