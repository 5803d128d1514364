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
    /// Merge reports of verify --format json, and group nodes with the same results
    Merge {
        /// Report files, one for each node; of several for one node the newest counts
        #[arg(value_name = "FILE", required = true)]
        files: Vec<String>,
        /// Exit 2 on: fail, warn, unknown or never [default: fail]
        ///
        /// With `unknown`, exits with 3 if only unknown results remain, or if a file is not a report.
        #[arg(long, value_enum, value_name = "STATUS", env = "K3S_HARDEN_FAIL_ON")]
        fail_on: Option<FailOn>,
        /// Compare with an older merged report (--format json); exit 2 if worse
        ///
        /// Other findings exit with 2 only if --fail-on is set too.
        #[arg(long, value_name = "FILE", env = "K3S_HARDEN_MERGE_BASELINE")]
        baseline: Option<String>,
    },
}
