// SPDX-License-Identifier: Apache-2.0
//! The roles, bindings and users that K3s creates, and Kubernetes' own roles (data/built-in-rbac.yaml).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::embedded;

/// The roles, bindings and users that are built in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuiltInRbac {
    /// Kubernetes' own roles whose names do not begin with `system:`.
    pub kubernetes_roles: BTreeSet<String>,
    /// The roles of K3s.
    pub roles: BTreeSet<String>,
    /// The bindings of K3s.
    pub bindings: BTreeSet<String>,
    /// The users of K3s.
    pub users: BTreeSet<String>,
}

impl BuiltInRbac {
    /// Returns the table.
    #[must_use]
    pub fn get() -> &'static Self {
        static TABLE: LazyLock<BuiltInRbac> = LazyLock::new(|| embedded::table("built-in-rbac"));
        &TABLE
    }
}
