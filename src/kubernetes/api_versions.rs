//! The API versions that not every minor serves (data/api-versions.yaml).

use std::sync::LazyLock;

use serde::Deserialize;

use crate::embedded;
use crate::version::KubernetesMinor;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiVersion {
    version: String,
    kind: Option<String>,
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
    instead: Option<String>,
}

/// Why a minor does not serve a kind in a version, and what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unserved {
    /// A later minor is the first that serves it.
    NotYet {
        /// That minor.
        from: KubernetesMinor,
        /// The version to write instead, if there is one.
        instead: Option<&'static str>,
    },
    /// An earlier minor was the last that served it.
    NoLonger {
        /// That minor.
        until: KubernetesMinor,
        /// The version to write instead, if there is one.
        instead: Option<&'static str>,
    },
}

/// Returns why a minor does not serve a kind in a version; none if it does, or if the table does not know it.
#[must_use]
pub fn unserved(version: &str, kind: &str, minor: KubernetesMinor) -> Option<Unserved> {
    static TABLE: LazyLock<Vec<ApiVersion>> = LazyLock::new(|| embedded::table("api-versions"));
    let is_of = |row: &&ApiVersion| row.version == version && row.kind.as_deref().is_none_or(|of| of == kind);
    let row = TABLE.iter().find(is_of)?;
    let instead = row.instead.as_deref();
    match (row.from, row.until) {
        (Some(from), _) if minor < from => Some(Unserved::NotYet { from, instead }),
        (_, Some(until)) if minor > until => Some(Unserved::NoLonger { until, instead }),
        _ => None,
    }
}
