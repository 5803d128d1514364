// SPDX-License-Identifier: Apache-2.0
//! The merged report: every node, in groups that have the same verdicts, and every control over all nodes. Worst first.

use std::collections::BTreeMap;

use super::merge::{BrokenReport, SupersededReport};
use super::node_report::NodeReport;
use super::remark::MergeRemark;
use crate::profile::ControlId;
use crate::verify::{FailOn, Status, StatusCounts};

/// The reports of many nodes as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedReport {
    /// The nodes: those of the worst group first, and by name within a group.
    pub nodes: Vec<MergedNode>,
    /// The groups, the worst first.
    pub groups: Vec<NodeGroup>,
    /// The controls, those first that the most nodes do not meet.
    pub controls: Vec<MergedControl>,
    /// The verdicts of all nodes, counted.
    pub counts: StatusCounts,
    /// The benchmarks by which nodes are judged, oldest first, each with the number of its nodes.
    pub benchmarks: Vec<(String, usize)>,
    /// The time of the oldest and of the newest report, if any has one.
    pub times: Option<(String, String)>,
    /// Files that are no reports.
    pub broken: Vec<BrokenReport>,
    /// Reports that do not count, because a newer one of their node does.
    pub superseded: Vec<SupersededReport>,
    /// What else has to be known to read the rest rightly.
    pub remarks: Vec<MergeRemark>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedNode {
    /// Its name.
    pub name: String,
    /// Its report; the list of verdicts is empty, because the group has them.
    pub report: NodeReport,
    /// The index of its group.
    pub group: usize,
    /// How many of its verdicts make `verify` fail, as a waiver that has lapsed does.
    pub lapsed: usize,
}

/// Nodes that have the same verdicts by the same benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeGroup {
    /// The benchmark.
    pub benchmark: String,
    /// The indices of the nodes.
    pub nodes: Vec<usize>,
    /// The verdicts, by the index of the control.
    pub verdicts: BTreeMap<usize, Verdict>,
    /// The verdicts of one node, counted.
    pub counts: StatusCounts,
}

/// The verdict of a group for a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verdict {
    /// The status.
    pub status: Status,
    /// Whether it is waived.
    pub waived: bool,
}

/// A control over all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedControl {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Its profile level.
    pub level: u8,
    /// How to meet it, as one of the reports says it; empty if none does.
    pub remedy: String,
    /// Its number in each benchmark by which a node is judged, oldest first.
    pub ids: Vec<(String, ControlId)>,
    /// How many nodes have which status.
    pub counts: StatusCounts,
    /// How many nodes have which status without a waiver.
    pub open: StatusCounts,
    /// The values of the nodes that do not meet it or where it is unknown, the most frequent first.
    pub seen: Vec<SeenValue>,
    /// How many further values there are.
    pub seen_left_out: usize,
}

/// A value that nodes have which do not meet a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenValue {
    /// The status of these nodes.
    pub status: Status,
    /// The value, in words.
    pub actual: String,
    /// How many nodes have it.
    pub nodes: usize,
    /// The index of one of them.
    pub example: usize,
}

impl MergedReport {
    /// Tells whether a report of a node makes `verify` fail.
    #[must_use]
    pub fn fails(&self, on: FailOn) -> bool {
        let statuses: &[Status] = match on {
            FailOn::Never => return false,
            FailOn::Fail => &[Status::Fail],
            FailOn::Warn => &[Status::Fail, Status::Warn],
            FailOn::Unknown => &[Status::Fail, Status::Warn, Status::Unknown],
        };
        let fails = |verdict: &Verdict| !verdict.waived && statuses.contains(&verdict.status);
        self.nodes.iter().any(|node| node.lapsed > 0)
            || self.groups.iter().any(|group| group.verdicts.values().any(fails))
    }

    /// Tells whether something about a node is not known: a verdict, or all of them where a file is broken or a report leaves
    /// controls out.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        self.fails(FailOn::Unknown)
            || !self.broken.is_empty()
            || self.remarks.iter().any(MergeRemark::is_doubt)
    }

    /// Returns the number of nodes on which a control has a status without a waiver.
    #[must_use]
    pub fn nodes_with(&self, status: Status) -> usize {
        let has = |group: &&NodeGroup| {
            group.verdicts.values().any(|verdict| !verdict.waived && verdict.status == status)
        };
        self.groups.iter().filter(has).map(|group| group.nodes.len()).sum()
    }
}

impl NodeGroup {
    /// Returns the number of verdicts with a status and without a waiver.
    #[must_use]
    pub fn open(&self, status: Status) -> usize {
        self.verdicts.values().filter(|verdict| !verdict.waived && verdict.status == status).count()
    }
}
