// SPDX-License-Identifier: Apache-2.0
//! What the API server does with the file of `audit-log-path` when it starts (data/audit-log.yaml).

use std::sync::LazyLock;

use serde::Deserialize;

use crate::embedded;
use crate::version::{Availability, FirstReleases, K3sRelease};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AuditLogTable {
    makes_folder: FirstReleases,
}

/// Tells whether a release makes the folder of the audit log.
#[must_use]
pub fn makes_folder(release: K3sRelease) -> Availability {
    static TABLE: LazyLock<AuditLogTable> = LazyLock::new(|| embedded::table("audit-log"));
    TABLE.makes_folder.availability(release)
}
