// SPDX-License-Identifier: Apache-2.0
//! The report of verify: a verdict for every control of a benchmark.

use std::path::PathBuf;

use serde::Serialize;

use super::date::Date;
use super::evidence::Evidence;
use super::rule_result::AWAITS_START;
use crate::Role;
use crate::error::Place;
use crate::node::RootedPath;
use crate::profile::ControlId;
use crate::version::KubernetesMinor;

/// The status of a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The node meets the control.
    Pass,
    /// The node does not meet the control.
    Fail,
    /// The node does not meet the control, and the benchmark leaves the decision to a person.
    Warn,
    /// Only a person can decide; the evidence states what to review.
    Manual,
    /// The control does not apply to the node.
    NotApplicable,
    /// The control could not be checked; the evidence states the reason.
    Unknown,
}

impl Status {
    /// Every status, in the order in which reports count them.
    pub const ALL: [Self; 6] =
        [Self::Pass, Self::Fail, Self::Warn, Self::Manual, Self::NotApplicable, Self::Unknown];

    /// Its name in reports, such as `not_applicable`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Manual => "manual",
            Self::NotApplicable => "not_applicable",
            Self::Unknown => "unknown",
        }
    }
}

/// The verdicts that make a report fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// Exit 2 if a control fails.
    Fail,
    /// Exit 2 if a control fails or warns.
    Warn,
    /// The same; exit 3 if only unknown results remain.
    Unknown,
    /// Never exit 2.
    Never,
}

/// The verdict for one control on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlVerdict {
    /// The number of the control in the benchmark.
    pub id: ControlId,
    /// The name of the control, the same in every benchmark, such as `audit-log-maxage`.
    pub name: String,
    /// The short title of k3s-harden.
    pub title: String,
    /// Its profile level in the benchmark, 1 or 2.
    pub level: u8,
    /// Whether the benchmark marks it as automated.
    pub automated: bool,
    /// The status.
    pub status: Status,
    /// The expected value.
    pub expected: String,
    /// The actual value.
    pub actual: String,
    /// What verify found.
    pub evidence: Vec<Evidence>,
    /// How to meet the control.
    pub remedy: String,
    /// The waiver of the control, if there is a valid one.
    pub waiver: Option<Waiver>,
    /// Whether a waiver of the control has expired, or its value no longer matches.
    pub lapsed: bool,
}

impl ControlVerdict {
    /// Tells whether the control is unknown only because what it is about is made at K3s's first start.
    #[must_use]
    pub fn waits_for_start(&self) -> bool {
        self.status == Status::Unknown && self.actual.split("; ").all(|part| part == AWAITS_START)
    }
}

/// A waiver: the record that somebody accepts that a control is not met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiver {
    /// The control's number or name, as written in the settings file.
    pub control: String,
    /// The reason.
    pub reason: String,
    /// Who accepted it.
    pub who: String,
    /// The ticket of the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The last day on which the waiver is valid, as `2027-01-31`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// The actual value for which the waiver is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The place in the settings file.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// The report about a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The node's root.
    pub root: PathBuf,
    /// The configuration file that K3s reads on the node.
    pub config: RootedPath,
    /// The role of K3s on the node.
    pub role: Role,
    /// The Kubernetes minor.
    pub kubernetes: KubernetesMinor,
    /// The benchmark, such as `1.12`.
    pub benchmark: String,
    /// Whether K3s has started on the node; if not, the report is a forecast.
    pub started: bool,
    /// The verdicts, sorted by number.
    pub verdicts: Vec<ControlVerdict>,
    /// Waivers that have expired or match no control.
    pub findings: Vec<Evidence>,
    /// What the history of the node says of it.
    pub history: ReportHistory,
}

/// What the history of a node says of a report about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportHistory {
    /// What earlier runs were told that counts for the report too, in one line.
    pub remembered: Option<String>,
    /// Whether K3s runs with what the newest run wrote; none if it has not started, or if no run has written anything for it.
    pub running: Option<RunningConfiguration>,
}

/// Whether K3s runs with what the newest run wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunningConfiguration {
    /// Whether it does.
    pub state: RunningState,
    /// What says so.
    pub why: String,
    /// The runs whose changes K3s has not read yet.
    pub runs: Vec<u32>,
}

/// Whether K3s runs with what the newest run wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunningState {
    /// It has started since.
    Current,
    /// It has not: it has to be restarted.
    Stale,
    /// Nothing tells.
    Unknown,
}

impl VerifyReport {
    /// Returns the number of verdicts with a status.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.status == status).count()
    }

    /// Tells whether a verdict without a valid waiver makes the report fail. A verdict whose waiver has lapsed does so
    /// with any status, because somebody has to decide again. A waiver that is not needed does not count.
    #[must_use]
    pub fn fails(&self, on: FailOn) -> bool {
        let counts = |status: Status| match status {
            Status::Fail => on != FailOn::Never,
            Status::Warn => matches!(on, FailOn::Warn | FailOn::Unknown),
            Status::Unknown => on == FailOn::Unknown,
            Status::Pass | Status::Manual | Status::NotApplicable => false,
        };
        let lapsed = |verdict: &ControlVerdict| verdict.lapsed && on != FailOn::Never;
        self.verdicts
            .iter()
            .any(|verdict| verdict.waiver.is_none() && (counts(verdict.status) || lapsed(verdict)))
    }
}
