// SPDX-License-Identifier: Apache-2.0
//! What a person does in the cluster where an upgrade goes over a border (data/upgrades.yaml).

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::embedded;
use crate::k3s::manual_step::ManualStep;
use crate::profile::Profile;
use crate::version::KubernetesMinor;

/// The level of Pod Security that the lists of a row are about.
const RESTRICTED: &str = "restricted";
/// The word of a command in whose place the commands for what stays in the cluster are put.
const LEFTOVERS: &str = "{leftovers}";

/// A row of the table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpgradeBorder {
    /// The first minor beyond it.
    pub to: KubernetesMinor,
    /// The admission plugin without which the row is not about a node.
    pub plugin: String,
    what: String,
    steps: Vec<ManualStep>,
    refused: Vec<String>,
    admitted: Vec<String>,
    same: String,
}

/// What an upgrade over a border means for the workloads of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CrossedBorder {
    /// The first minor beyond it.
    pub to: String,
    /// What ends there.
    pub what: String,
    /// What was admitted before, and is refused after.
    pub refused: Vec<String>,
    /// What was refused before, and is admitted after.
    pub admitted: Vec<String>,
    /// What is judged as before.
    pub same: String,
    /// What to do about it.
    #[serde(skip)]
    pub steps: Vec<ManualStep>,
}

/// Returns the rows of the table that end at or before a minor.
pub fn borders(minor: KubernetesMinor) -> impl Iterator<Item = &'static UpgradeBorder> {
    static TABLE: LazyLock<Vec<UpgradeBorder>> = LazyLock::new(|| embedded::table("upgrades"));
    TABLE.iter().filter(move |row| row.to <= minor)
}

impl UpgradeBorder {
    /// Returns what it means for a node that gets `profile`, whose K3s the service `service` runs. `leftovers` are the commands
    /// for what stays in the cluster.
    #[must_use]
    pub fn crossed(&self, profile: &Profile, service: &str, leftovers: &[String]) -> CrossedBorder {
        let level = profile.texts("pod_security_enforce").concat();
        let level = if level.is_empty() { RESTRICTED.to_owned() } else { level };
        let to = profile.minor.to_string();
        let values = [("to", to.as_str()), ("level", level.as_str()), ("service", service)];
        let steps = self.steps.iter().map(|step| {
            let mut step = step.filled(&values);
            if let Some(at) = step.commands.iter().position(|command| command == LEFTOVERS) {
                step.commands.splice(at..=at, leftovers.iter().cloned());
            }
            step
        });
        // Another level is not what the lists compare.
        let lists = |texts: &Vec<String>| if level == RESTRICTED { texts.clone() } else { Vec::new() };
        CrossedBorder {
            to: self.to.to_string(),
            what: self.what.replace("{level}", &level),
            refused: lists(&self.refused),
            admitted: lists(&self.admitted),
            same: if level == RESTRICTED { self.same.clone() } else { String::new() },
            steps: steps.collect(),
        }
    }
}
