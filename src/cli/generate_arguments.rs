// SPDX-License-Identifier: Apache-2.0
//! The arguments of `generate`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(super) struct GenerateArguments {
    #[command(subcommand)]
    pub(super) verb: GenerateVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum GenerateVerb {
    /// Manual pages: that of the program, or of a verb
    Man {
        /// The verb, such as apply or profile show; by default the page of the program, and with --out every page
        #[arg(value_name = "VERB")]
        verb: Vec<String>,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Completions of a shell
    Completions {
        /// The shell; with --out by default every one
        #[arg(value_name = "SHELL")]
        shell: Option<CompletionShell>,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// The JSON schemas of the answers
    Schema {
        /// Its name, such as verify; with --out by default every schema
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// The reference pages of the manual, in Markdown: command line, settings, controls, files, exit codes
    Docs {
        #[command(flatten)]
        place: PlaceArguments,
    },
}

/// Where documents go.
#[derive(Debug, Args)]
pub(super) struct PlaceArguments {
    /// A directory for the documents, which is made if it is missing; what has their names there is replaced
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

/// The shells with completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CompletionShell {
    Bash,
    Zsh,
    Fish,
}
