//! Brings a node to the CIS Kubernetes Benchmark for K3s before K3s first starts.
//!
//! ```text
//!  profiles (built in, or files) ──┐
//!  site settings, --set k=v ───────┼─▶ Desired ──┐
//!  Kubernetes minor, role ─────────┘   (resources)│
//!                                                 ├─▶ Plan::between ─▶ plan    (text, JSON)
//!  node root (--root, / by default) ─▶ Observed ──┘        └─────────▶ apply   (journal, transaction)
//!                                         History ─▶ RollbackPlan (a Plan) ─▶ rollback, uninstall
//!  Profile ─▶ render: the same files for other tools (cloud-init, Ignition, Rancher cluster, …)
//! ```
//!
//! One way through, no way back: a later room never asks an earlier one for more. Each room answers one question:
//!
//! - [`profile`]: what should be?
//! - [`document`]: … written out
//! - [`node`]: what is? The only room that opens files
//! - [`k3s`]: what will K3s make of it?
//! - [`plan`]: what differs?
//! - [`apply`]: do it, or undo it
//! - [`preflight`]: would it start?
//! - [`verify`]: is it hardened?
//! - [`render`]: for other tools
//! - [`output`]: say it
//!
//! The library never prints; `cli` (with `main.rs`) is the only room that talks to a terminal.

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
