// SPDX-License-Identifier: Apache-2.0
//! Verify: checks whether a node is hardened, before or after K3s first starts. The result is a verdict for every control
//! of a benchmark, with evidence and remedy. A fact that cannot be read makes a control unknown, never a pass.
//!
//! The room may import scanner, preflight, document, profile, k3s, node, kubernetes and the ground files. Its files build
//! on one another in this order: evidence, date, must and flags_in_force; rule, rule_result, report, counts and control; cluster,
//! applied, refusals and facts; the checks; kubelet_log, evaluate, scan, baseline and waivers.

mod applied;
pub mod baseline;
pub mod checks;
pub mod cluster;
pub mod control;
mod counts;
mod date;
mod evaluate;
mod evidence;
pub mod facts;
mod flags_in_force;
mod kubelet_log;
mod must;
mod policy_evidence;
mod refusals;
mod report;
pub mod rule;
mod rule_result;
mod scan;
mod users_lines;
pub mod waivers;
mod wrong_permissions;

pub use applied::AppliedObject;
pub use baseline::Baseline;
pub use cluster::{Cluster, Kubectl, ObjectKind};
pub use control::{Control, benchmarks, controls, section_name};
pub use counts::{Score, StatusCounts};
pub use date::Date;
pub use evaluate::{evaluate_rule, verify, verify_configuration};
pub use evidence::Evidence;
pub use facts::NodeFacts;
pub use must::Must;
pub use report::{
    ControlVerdict, FailOn, ReportHistory, RunningConfiguration, RunningState, Status, VerifyReport, Waiver,
};
pub use rule::ControlRule;
pub use rule_result::{RuleOutcome, RuleResult};
pub use wrong_permissions::{WrongPermissions, wrong_permissions};
