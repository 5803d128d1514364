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
    /// Generate man pages
    Man {
        /// Verb, such as apply or profile show [default: the program; with --out all]
        #[arg(value_name = "VERB")]
        verb: Vec<String>,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Generate shell completions
    Completions {
        /// Shell [default with --out: all]
        #[arg(value_name = "SHELL")]
        shell: Option<CompletionShell>,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Generate the JSON schemas of the output
    Schema {
        /// Schema name, such as verify [default with --out: all]
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Generate the reference pages of the manual (Markdown)
    Docs {
        #[command(flatten)]
        place: PlaceArguments,
    },
}

/// Where documents go.
#[derive(Debug, Args)]
pub(super) struct PlaceArguments {
    /// Output directory; created if missing, existing files are replaced
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
