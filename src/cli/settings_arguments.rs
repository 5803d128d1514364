// SPDX-License-Identifier: Apache-2.0
//! The arguments of `settings`.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(super) struct SettingsArguments {
    #[command(subcommand)]
    pub(super) verb: SettingsVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum SettingsVerb {
    /// Show each setting with its value, source and default
    Show,
    /// Write the settings file of the node, with every setting in a comment
    ///
    /// The file sets nothing. Exits with 73 if the file exists.
    Init {
        /// Write to stdout instead of the file
        #[arg(long)]
        stdout: bool,
    },
}
