//! Is it hardened? A verdict for every control of a benchmark, with the evidence, before or after K3s first starts.
//!
//! What a control is and what decides it is data (`data/benchmark-controls.yaml`); [`Facts`] is the node as verify
//! sees it; a [`Rule`] looks at the facts and comes to an outcome. What could not be looked at is unknown, never a
//! pass.

pub mod cluster;
pub mod control;
mod evaluate;
pub mod facts;
pub mod journal;
pub mod judges;
mod report;
pub mod rule;
pub mod scanner;

pub use cluster::{Cluster, Kind, Kubectl};
pub use control::{Control, benchmarks, controls};
pub use evaluate::{judge, verify};
pub use facts::Facts;
pub use journal::Journal;
pub use report::{Evidence, Report, Status, Verdict, Waiver};
pub use rule::Rule;
