// SPDX-License-Identifier: Apache-2.0
//! The arguments of `report`.

use clap::{Args, Subcommand};

use crate::verify::FailOn;

#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    #[command(subcommand)]
    pub(super) verb: ReportVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum ReportVerb {
    /// Merge the reports of many nodes (of verify --format json): groups with the same verdicts, the worst first
    Merge {
        /// The files, one for each node; of several for one node the newest counts
        #[arg(value_name = "FILE", required = true)]
        files: Vec<String>,
        /// Which verdicts of a node make it exit with 2; with unknown, 3 where only unknown ones do, or a file is no report [default: fail]
        #[arg(long, value_enum, env = "K3S_HARDEN_FAIL_ON")]
        fail_on: Option<FailOn>,
        /// What has changed since this merged report (of --format json); exit with 2 where something is worse, and for other
        /// findings only where --fail-on is named too
        #[arg(long, value_name = "FILE", env = "K3S_HARDEN_MERGE_BASELINE")]
        baseline: Option<String>,
    },
}
