//! Is it hardened? A verdict for every control of a benchmark, with the evidence, before or after K3s first starts.
//!
//! What a control is and what decides it is data (`data/benchmark-controls.yaml`); [`NodeFacts`] is the node as verify
//! sees it; a [`ControlRule`] looks at the facts and comes to an outcome. What could not be looked at is unknown, never a
//! pass.

pub mod baseline;
pub mod checks;
pub mod cluster;
pub mod control;
mod date;
mod evaluate;
pub mod facts;
mod report;
pub mod rule;
mod scan;
pub mod waivers;

pub use baseline::Baseline;
pub use cluster::{Cluster, Kubectl, ObjectKind};
pub use control::{Control, benchmarks, controls};
pub use date::Date;
pub use evaluate::{judge, verify};
pub use facts::NodeFacts;
pub use report::{ControlVerdict, Evidence, FailOn, Status, VerifyReport, Waiver};
pub use rule::ControlRule;
