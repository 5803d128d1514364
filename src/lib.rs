// SPDX-License-Identifier: Apache-2.0
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
//! Data goes in one direction. Each room answers one question, and imports only rooms below it:
//!
//! - [`cli`]: what did the user type? The only room that uses the terminal
//! - [`output`]: how does the answer read?
//! - [`report`]: what do the reports of many nodes say together?
//! - [`reference`]: what do the tables say, as pages of the manual?
//! - [`render`]: what do other tools need?
//! - [`explain`]: what is this control or setting?
//! - [`verify`]: is the node hardened?
//! - [`scanner`]: what does a scanner print?
//! - [`preflight`]: does K3s start?
//! - [`apply`]: change the node, or undo it
//! - [`plan`]: what differs?
//! - [`document`]: how is the profile written out?
//! - [`profile`]: what should a node be?
//! - [`k3s`]: what does K3s do with its configuration?
//! - [`node`]: what is on the node? The only room that opens files
//! - [`kubernetes`]: how does Kubernetes read?
//!
//! The files beside them ([`error`], [`mode`], [`version`], `build_info`, `role`, `embedded`, `nearest`, `shell_word`) are the ground, which every room uses.
//! docs/ARCHITECTURE.md says more; the library never prints.

pub mod apply;
pub mod build_info;
pub mod cli;
pub mod document;
mod embedded;
pub mod error;
pub mod explain;
pub mod k3s;
pub mod kubernetes;
pub mod mode;
mod nearest;
pub mod node;
pub mod output;
pub mod plan;
pub mod preflight;
pub mod profile;
pub mod reference;
pub mod render;
pub mod report;
mod role;
pub mod scanner;
mod shell_word;
pub mod verify;
pub mod version;

pub use error::{Error, ErrorKind, Result};
pub use role::Role;
