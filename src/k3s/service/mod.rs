// SPDX-License-Identifier: Apache-2.0
//! The service that starts K3s on a node: a systemd unit or an OpenRC script, read as those read it.
//!
//! `search` finds the services that start K3s, `systemd` and `openrc` (with `shell`) read their files, `wrapper` looks
//! through a shell or `env` in front of K3s, and `node_service` puts the one together that counts. What cannot be read
//! is a note (`notes`), never a guess.

mod node_service;
mod notes;
mod openrc;
mod search;
mod shell;
mod systemd;
mod wrapper;

pub use node_service::NodeService;
pub(super) use node_service::{HomeDirectory, roles};
pub(super) use notes::Hidden;
pub use notes::{NotUnderstood, ServiceFault};
