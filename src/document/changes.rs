// SPDX-License-Identifier: Apache-2.0
//! The table of the changes that a version makes on a node that an earlier one hardened: data/changes.yaml.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::DROP_IN_NAME;
use crate::Role;
use crate::embedded;
use crate::node::RootedPath;
use crate::version::{KubernetesMinor, MinorRange};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRow {
    /// The last version that writes the file without the change.
    pub since: Release,
    /// Where the file is: an absolute path, one below K3s's data directory, or the name of the drop-in alone.
    #[serde(skip_serializing)]
    path: String,
    /// The minors that it is about.
    #[serde(default, skip_serializing)]
    minors: MinorRange,
    /// The roles that it is about.
    #[serde(default = "both", skip_serializing)]
    roles: Vec<Role>,
    /// The text that the file gets with the change; without it, the row is about every such file.
    #[serde(default, skip_serializing)]
    gets: Option<String>,
    /// The change.
    pub what: String,
    /// The reason, with its source.
    pub why: String,
}

/// A version of this tool; what comes before a release counts as the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Release(u32, u32, u32);

/// Returns the table.
#[must_use]
pub fn changes() -> &'static [ChangeRow] {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        changes: Vec<ChangeRow>,
    }
    static TABLE: LazyLock<Table> = LazyLock::new(|| embedded::table("changes"));
    &TABLE.changes
}

impl ChangeRow {
    /// Tells whether a file that has one content and gets another one gets the row's change.
    #[must_use]
    pub fn is_in(&self, before: &[u8], after: &[u8]) -> bool {
        let has = |bytes: &[u8], text: &str| String::from_utf8_lossy(bytes).contains(text);
        self.gets.as_deref().is_none_or(|text| has(after, text) && !has(before, text))
    }

    /// Tells whether the row changes the file at `path` of such a node, where `written_by` wrote it.
    #[must_use]
    pub fn concerns(
        &self,
        role: Role,
        minor: KubernetesMinor,
        path: &RootedPath,
        written_by: Release,
    ) -> bool {
        let is_drop_in = self.path == DROP_IN_NAME && path.name() == DROP_IN_NAME;
        let below = path.as_str().strip_suffix(self.path.as_str());
        let is_there = match self.path.starts_with('/') {
            true => below == Some(""),
            false => below.is_some_and(|data_dir| data_dir.ends_with('/')),
        };
        (is_there || is_drop_in)
            && written_by <= self.since
            && self.roles.contains(&role)
            && self.minors.contains(minor)
    }
}

impl fmt::Display for ChangeRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "changed since {}: {}", self.since, self.what)
    }
}

impl FromStr for Release {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('-').map_or(text, |(numbers, _)| numbers);
        let numbers: Option<Vec<u32>> = numbers.split('.').map(|number| number.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[major, minor, patch]) => Ok(Self(major, minor, patch)),
            _ => Err(format!("{text:?} is no version of k3s-harden")),
        }
    }
}

impl TryFrom<String> for Release {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Release> for String {
    fn from(release: Release) -> Self {
        release.to_string()
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

fn both() -> Vec<Role> {
    vec![Role::Server, Role::Agent]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_concerns_its_file_on_its_minors_and_roles() {
        let row = "{since: 0.1.0, path: server/audit.yaml, minors: {from: '1.33'}, roles: [server], what: a, why: b}";
        let row: ChangeRow = serde_yaml::from_str(row).unwrap();
        let concerns = |row: &ChangeRow, role, minor: &str, path: &str, version: &str| {
            row.concerns(role, minor.parse().unwrap(), &RootedPath::fixed(path), version.parse().unwrap())
        };
        assert!(concerns(&row, Role::Server, "1.33", "/data/server/audit.yaml", "0.1.0"));
        assert!(concerns(&row, Role::Server, "1.34", "/var/lib/rancher/k3s/server/audit.yaml", "0.0.9"));
        for (role, minor, path, version) in [
            (Role::Agent, "1.33", "/data/server/audit.yaml", "0.1.0"),
            (Role::Server, "1.32", "/data/server/audit.yaml", "0.1.0"),
            (Role::Server, "1.33", "/data/myserver/audit.yaml", "0.1.0"),
            (Role::Server, "1.33", "/data/server/psa.yaml", "0.1.0"),
            (Role::Server, "1.33", "/data/server/audit.yaml", "0.1.1"),
            (Role::Server, "1.33", "/data/server/audit.yaml", "0.2.0-dev"),
        ] {
            assert!(!concerns(&row, role, minor, path, version), "{role} {minor} {path} {version}");
        }
        assert!(row.is_in(b"a", b"b"));
        let gets = ChangeRow { gets: Some("x=1".to_owned()), ..row.clone() };
        assert!(gets.is_in(b"a", b"- x=1\n") && !gets.is_in(b"a", b"b") && !gets.is_in(b"x=1", b"x=1 b"));
        let row =
            ChangeRow { path: "/etc/x".to_owned(), minors: MinorRange::default(), roles: both(), ..row };
        assert!(concerns(&row, Role::Agent, "1.23", "/etc/x", "0.1.0"));
        assert!(!concerns(&row, Role::Agent, "1.23", "/data/etc/x", "0.1.0"));
        assert_eq!(row.to_string(), "changed since 0.1.0: a");
    }

    #[test]
    fn the_table_is_about_versions_that_came_before_this_one() {
        let this: Release = env!("CARGO_PKG_VERSION").parse().unwrap();
        for row in changes() {
            assert!(row.since < this && !row.what.is_empty() && !row.why.is_empty(), "{row:?}");
        }
        for text in ["", "0.1", "0.1.0.0", "v0.1.0", "0.1.x", "dev"] {
            assert!(text.parse::<Release>().is_err(), "{text:?}");
        }
        assert!("0.9.0".parse::<Release>().unwrap() < "0.10.0".parse().unwrap());
    }
}
