//! Hardens a K3s node to the CIS Kubernetes Benchmark before K3s first starts.
//!
//! ```text
//!  arguments, records, node ─▶ Context ─▶ Profile ─▶ Rendered ─▶ Desired ──┐
//!                              node ─────────────────────────▶ Observed ──┤
//!                                                                         ▼
//!  plan (text, JSON)  ◀────────────────────────────────────────── Plan::between
//!  apply (Transaction, records) ◀──────────────────────────────────────────┘
//!  records ─▶ RollbackPlan (a Plan) ─▶ rollback, uninstall
//!  node ─▶ NodeConfig ─▶ preflight;   node ─▶ Facts ─▶ verify;   Profile ─▶ Tree ─▶ render
//! ```
//!
//! The rooms, from the top down; a room imports only rooms below it (tests/it/architecture.rs):
//!
//! - [`cli`]: the command line, one file for each verb
//! - [`output`]: text, JSON, JUnit, SARIF and HTML
//! - [`render`]: the same files for other tools
//! - [`explain`]: describes controls and settings
//! - [`verify`]: checks whether a node is hardened
//! - [`scanner`]: predicts the results of kube-bench and security-scan
//! - [`preflight`]: predicts whether K3s starts
//! - [`apply`]: applies a plan as one transaction, and undoes it
//! - [`plan`]: compares the desired with the observed state
//! - [`document`]: renders the files of a profile
//! - [`profile`]: profiles, settings and controls
//! - [`k3s`]: how K3s reads its configuration
//! - [`node`]: the only room that opens files and runs other programs
//! - [`kubernetes`]: how Kubernetes reads its files and flags
//! - the ground: [`error`], [`mode`], [`version`], `role` and `embedded`
//!
//! Data goes in one direction, and the library never prints. docs/ARCHITECTURE.md says more.

pub mod apply;
pub mod cli;
pub mod document;
mod embedded;
pub mod error;
pub mod explain;
pub mod k3s;
pub mod kubernetes;
pub mod mode;
pub mod node;
pub mod output;
pub mod plan;
pub mod preflight;
pub mod profile;
pub mod render;
mod role;
pub mod scanner;
pub mod verify;
pub mod version;

pub use error::{Error, ErrorKind, Result};
pub use role::Role;
