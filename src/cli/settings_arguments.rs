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
    /// Show each setting with its value, where that comes from, and its default
    Show,
    /// Write the node's settings file with every setting in a comment: it sets nothing. Exits with 73 where there is one
    Init {
        /// Write it to stdout, and no file
        #[arg(long)]
        stdout: bool,
    },
}
