//! Is it hardened? A verdict for every control of a benchmark, with the evidence, before or after K3s first starts.
//!
//! What a control is and what decides it is data (`data/benchmark-controls.yaml`); [`Facts`] is the node as verify
//! sees it; a [`Rule`] looks at the facts and comes to an outcome. What could not be looked at is unknown, never a
//! pass.

pub mod baseline;
pub mod cluster;
pub mod control;
mod date;
mod evaluate;
pub mod facts;
pub mod judges;
mod report;
pub mod rule;
mod scan;
pub mod waivers;

pub use baseline::Baseline;
pub use cluster::{Cluster, Kind, Kubectl};
pub use control::{Control, benchmarks, controls};
pub use date::Date;
pub use evaluate::{judge, verify};
pub use facts::Facts;
pub use report::{Evidence, FailOn, Report, Status, Verdict, Waiver};
pub use rule::Rule;
