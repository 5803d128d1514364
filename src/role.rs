// SPDX-License-Identifier: Apache-2.0
//! The two roles of a K3s node.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The role of a node in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Server: runs the control plane.
    Server,
    /// Agent: runs workloads only.
    Agent,
}

impl Role {
    /// Returns the name of the service that K3s's installer makes for it.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::Server => "k3s",
            Self::Agent => "k3s-agent",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Agent => "agent",
        })
    }
}
