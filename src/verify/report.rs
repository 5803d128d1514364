//! What was found: a verdict for every control of a benchmark.

use std::path::PathBuf;

use serde::Serialize;

use super::Date;
use crate::Role;
use crate::error::Place;
use crate::profile::ControlId;
use crate::version::KubernetesMinor;

/// What is known of a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is met, and the evidence says so.
    Pass,
    /// It is not met.
    Fail,
    /// It is not met, and the benchmark leaves the decision to a person.
    Warn,
    /// Only a person can tell; the evidence says what to look at.
    Manual,
    /// There is nothing here that it is about.
    NotApplicable,
    /// It could not be checked, and the evidence says why.
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

/// Which verdicts make a report fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// A control that is not met.
    Fail,
    /// The same, and one that is not met and left to a person.
    Warn,
    /// The same, and one that could not be checked.
    Unknown,
    /// None.
    Never,
}

/// Something that was seen, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What was seen, as a sentence.
    pub text: String,
    /// Where; none for what no file says, such as a default that is compiled in.
    pub place: Option<Place>,
}

/// What is known of one control on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlVerdict {
    /// Its number in the benchmark.
    pub id: ControlId,
    /// Its own name, the same in every benchmark, such as `audit-log-maxage`.
    pub name: String,
    /// Our own short title.
    pub title: String,
    /// Its profile level in the benchmark, 1 or 2.
    pub level: u8,
    /// Whether the benchmark has it decided by a program.
    pub automated: bool,
    /// What is known.
    pub status: Status,
    /// What would be right.
    pub expected: String,
    /// What is.
    pub actual: String,
    /// What was seen.
    pub evidence: Vec<Evidence>,
    /// What to do about it.
    pub remedy: String,
    /// Who has accepted that it is not met, if somebody has.
    pub waiver: Option<Waiver>,
    /// Whether somebody had, and that has ended or was given for another value.
    pub lapsed: bool,
}

/// Somebody's word that a control need not be met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiver {
    /// The control's number or name, as it was written.
    pub control: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub who: String,
    /// Where it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The last day on which it counts, as `2027-01-31`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// What the control's actual value has to be for it to count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where it is written.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// Everything that is known of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The node's root.
    pub root: PathBuf,
    /// The role that K3s has on it.
    pub role: Role,
    /// Its Kubernetes minor.
    pub kubernetes: KubernetesMinor,
    /// The benchmark that it is judged by, such as `1.12`.
    pub benchmark: String,
    /// Whether K3s has started on it; where it has not, this is a forecast.
    pub started: bool,
    /// A verdict per control, by number.
    pub verdicts: Vec<ControlVerdict>,
    /// What is wrong with what was given for the judging: waivers that have expired or fit nothing any more.
    pub findings: Vec<Evidence>,
}

impl VerifyReport {
    /// Counts the verdicts of a status.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.status == status).count()
    }

    /// Tells whether there is a verdict, not waived, that makes it fail. One whose waiver has lapsed does whatever its
    /// status is, since somebody has to look again. Other findings do not count: a waiver that is not needed does no
    /// harm.
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
