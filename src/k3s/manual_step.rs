// SPDX-License-Identifier: Apache-2.0
//! What a person does by hand around a run: in the cluster, or to K3s on its nodes. k3s-harden prints it, and never runs it.

use serde::{Deserialize, Serialize};

/// When a step is done, as seen from the `apply` that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepTime {
    /// Before K3s starts with what `apply` writes.
    Before,
    /// After that.
    After,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualStep {
    /// When it is done.
    pub when: StepTime,
    /// What is done, and why.
    pub what: String,
    /// The commands that do it.
    #[serde(default)]
    pub commands: Vec<String>,
    /// How to see that it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

impl ManualStep {
    /// Returns the step with each `{name}` in it replaced.
    #[must_use]
    pub fn filled(&self, values: &[(&str, &str)]) -> Self {
        let fill = |text: &String| {
            values
                .iter()
                .fold(text.clone(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
        };
        Self {
            when: self.when,
            what: fill(&self.what),
            commands: self.commands.iter().map(fill).collect(),
            check: self.check.as_ref().map(fill),
        }
    }
}
