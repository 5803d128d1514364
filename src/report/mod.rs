// SPDX-License-Identifier: Apache-2.0
//! Many nodes: the reports that `verify` wrote of them, merged into one.
//!
//! [`NodeReport`] reads one report, [`Merge`] takes them one after the other and keeps of each node the newest, and
//! [`MergedReport`] is the result: nodes in groups that have the same verdicts, the worst first, the controls over all
//! nodes, and everything that does not count or has to be known. [`MergeBaseline`] reads an older result, and
//! [`MergeTrend`] says what has changed since.
//!
//! A report is a file from another machine, so every text and every number in it has a limit. What is broken is named and
//! stops nothing. The room may import verify and profile and the ground files; its files build on one another in this
//! order: limits, node_report, remark, merge, merged, remarks, assemble; merge_baseline and merge_trend.

mod assemble;
mod limits;
mod merge;
mod merge_baseline;
mod merge_trend;
mod merged;
mod node_report;
mod remark;
mod remarks;

pub use limits::{MAX_MERGE_BYTES, MAX_NODE_REPORT_BYTES};
pub use merge::{BrokenReport, Merge, SupersededReport};
pub use merge_baseline::{EarlierNode, EarlierVerdict, MergeBaseline};
pub use merge_trend::{FleetChange, MergeTrend};
pub use merged::{MergedControl, MergedNode, MergedReport, NodeGroup, SeenValue, Verdict};
pub use node_report::{NameSource, NodeReport, NodeVerdict};
pub use remark::{MergeRemark, RemarkKind};
