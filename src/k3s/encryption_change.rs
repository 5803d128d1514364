// SPDX-License-Identifier: Apache-2.0
//! How the encryption of Secrets changes on a cluster that has started (data/encryption-procedures.yaml), and how it is now.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::manual_step::ManualStep;
use super::node_paths::NodePaths;
use crate::embedded;
use crate::error::Result;
use crate::node::{Root, RootedPath};
use crate::version::{Availability, FirstReleases, K3sRelease};

/// The providers that K3s writes into its encryption configuration (genEncryptionConfigAndState in
/// pkg/daemons/control/deps/deps.go).
pub const K3S_PROVIDERS: [&str; 2] = ["aescbc", "secretbox"];

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionChange {
    /// Secrets that were stored as they are get encrypted.
    TurnOn,
    /// Another provider encrypts them.
    ChangeProvider,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct EncryptionProcedures {
    turn_on: EncryptionProcedure,
    change_provider: EncryptionProcedure,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncryptionProcedure {
    releases: FirstReleases,
    how: String,
    steps: Vec<ProcedureStep>,
}

#[derive(Debug, Deserialize)]
struct ProcedureStep {
    /// The step in a sentence with the others.
    short: String,
    #[serde(flatten)]
    step: ManualStep,
}

impl EncryptionChange {
    /// Returns what to do with a release of K3s: the steps, or which releases have them.
    #[must_use]
    pub fn advice(self, release: K3sRelease) -> String {
        let EncryptionProcedure { releases, how, steps } = self.procedure();
        let steps = steps.iter().map(|step| step.short.as_str()).collect::<Vec<_>>().join(", then ");
        match releases.availability(release) {
            Availability::Present => format!("{how}: {steps}"),
            Availability::Differs { since } => format!("{how}, which {since} and newer have: {steps}"),
            Availability::Absent => {
                format!("upgrade K3s first, to one of {releases} or newer, and then {how}: {steps}")
            }
        }
    }
}

impl EncryptionChange {
    fn procedure(self) -> &'static EncryptionProcedure {
        static TABLE: LazyLock<EncryptionProcedures> =
            LazyLock::new(|| embedded::table("encryption-procedures"));
        match self {
            Self::TurnOn => &TABLE.turn_on,
            Self::ChangeProvider => &TABLE.change_provider,
        }
    }

    /// Returns the steps, one by one; none on a release that does not have them.
    #[must_use]
    pub fn steps(self, release: K3sRelease) -> Vec<ManualStep> {
        let EncryptionProcedure { releases, steps, .. } = self.procedure();
        match releases.availability(release) {
            Availability::Absent => Vec::new(),
            Availability::Present | Availability::Differs { .. } => {
                steps.iter().map(|step| step.step.clone()).collect()
            }
        }
    }
}

/// Returns the provider with which K3s encrypts Secrets on a node that has started: the first of its own encryption
/// configuration. None if there is no such file, or nothing in it.
///
/// # Errors
/// If the file cannot be read.
pub fn provider_in_force(root: &Root, data_dir: &RootedPath) -> Result<Option<String>> {
    let bytes = root.read(&data_dir.join(&NodePaths::get().encryption_config))?;
    let config: Value = serde_json::from_slice(&bytes.unwrap_or_default()).unwrap_or_default();
    let first = config["resources"][0]["providers"][0].as_object();
    Ok(first.and_then(|first| first.keys().next()).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::K3sVersion;

    fn advice(change: EncryptionChange, version: &str) -> String {
        change.advice(version.parse::<K3sVersion>().unwrap().number())
    }

    #[test]
    fn the_steps_are_those_of_a_release_that_has_them() {
        let on = |version| advice(EncryptionChange::TurnOn, version);
        let order = [
            "enable` on one server",
            "secrets-encryption: true",
            "rotate-keys` on one server",
            "a restart of",
        ];
        for version in ["v1.33.10+k3s1", "v1.34.6+k3s1", "1.34", "v1.35.2+k3s1", "1.36", "v1.37.0+k3s1"] {
            let text = on(version);
            let places: Vec<usize> = order.iter().map(|step| text.find(step).unwrap()).collect();
            assert!(places.is_sorted(), "{text}");
        }
        assert!(on("v1.34.6+k3s1").starts_with("turn it on with K3s's own command: `k3s"));
        assert!(on("1.34").contains("which 1.34.6 and newer have"));
        for version in ["v1.34.5+k3s1", "1.32", "v1.33.9+k3s1"] {
            let text = on(version);
            assert!(text.contains("one of 1.33.10, 1.34.6, 1.35.3, 1.36.0 or newer"), "{text}");
        }
    }

    #[test]
    fn the_server_that_others_join_gets_another_provider_first() {
        let change = |version| advice(EncryptionChange::ChangeProvider, version);
        let text = change("v1.32.4+k3s1");
        assert!(text.starts_with("change it in this order: secrets-encryption-provider and a restart on every server, the one that the others join first, then `k3s secrets-encrypt rotate-keys`"), "{text}");
        assert!(
            change("v1.32.3+k3s1")
                .starts_with("upgrade K3s first, to one of 1.30.12, 1.31.8, 1.32.4, 1.33.0")
        );
        assert!(change("1.32").contains("which 1.32.4 and newer have"));
        assert_eq!(change("1.33"), text);
    }
}
