// SPDX-License-Identifier: Apache-2.0
//! A remark on a merged report: something that has to be known to read it rightly.

/// A remark on the merged report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeRemark {
    /// What it is about.
    pub kind: RemarkKind,
    /// The remark, one sentence.
    pub message: String,
    /// The names of the nodes that it is about; none if it is about all.
    pub nodes: Vec<String>,
}

/// What a remark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemarkKind {
    /// Two machines have one name, and one of them does not count.
    SeveralMachines,
    /// One machine id stands under several names.
    SameMachine,
    /// Reports leave out controls of their benchmark.
    Incomplete,
    /// A benchmark is not known to this version.
    UnknownBenchmark,
    /// A status is not known to this version.
    UnknownStatus,
    /// Waivers have ended since their report.
    WaiverEnded,
    /// Waivers did not count when the report was made.
    WaiverNotCounted,
    /// K3s has not started on nodes.
    Forecast,
    /// Nodes of a newer minor were judged as the newest that was known.
    Assumed,
    /// Reports do not say when they were made.
    NoTime,
    /// Nodes are named by a machine id or a file.
    NoHost,
    /// The reports have several formats.
    Formats,
    /// The reports are by several versions of k3s-harden.
    Tools,
}

impl RemarkKind {
    /// Its name in the merged report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SeveralMachines => "several-machines",
            Self::SameMachine => "same-machine",
            Self::Incomplete => "incomplete",
            Self::UnknownBenchmark => "unknown-benchmark",
            Self::UnknownStatus => "unknown-status",
            Self::WaiverEnded => "waiver-ended",
            Self::WaiverNotCounted => "waiver-not-counted",
            Self::Forecast => "forecast",
            Self::Assumed => "assumed",
            Self::NoTime => "no-time",
            Self::NoHost => "no-host",
            Self::Formats => "formats",
            Self::Tools => "tools",
        }
    }
}

impl MergeRemark {
    /// Tells whether something about a node is not known because of it.
    #[must_use]
    pub fn is_doubt(&self) -> bool {
        matches!(
            self.kind,
            RemarkKind::SeveralMachines | RemarkKind::Incomplete | RemarkKind::UnknownBenchmark
        )
    }
}
