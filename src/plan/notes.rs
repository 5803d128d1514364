// SPDX-License-Identifier: Apache-2.0
//! What a plan tells beside its changes: what earlier runs were told, what an upgrade means, when each setting takes effect, and
//! what a person has to do by hand.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::document::EffectTime;
use crate::document::upgrade::CrossedBorder;
use crate::k3s::manual_step::ManualStep;

/// What a plan tells beside its changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanNotes {
    /// What earlier runs were told that counts for this one too, in one line.
    pub remembered: Option<String>,
    /// The upgrade that the plan is about.
    pub upgrade: Option<Upgrade>,
    /// When the settings that change take effect, on a node where K3s has started.
    pub effects: Vec<SettingEffect>,
    /// What a person does by hand, in order.
    pub steps: Vec<ManualStep>,
}

/// An upgrade from the minor of the newest run to that of the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Upgrade {
    /// The minor before it; none if no run tells of one.
    pub from: Option<String>,
    /// The minor of the plan.
    pub to: String,
    /// The benchmark before it.
    pub from_benchmark: Option<String>,
    /// The benchmark of the plan.
    pub to_benchmark: String,
    /// The settings whose values differ, each with its value before and after.
    pub settings: BTreeMap<String, [Value; 2]>,
    /// The borders on the way that concern the cluster.
    pub borders: Vec<CrossedBorder>,
}

/// When something that changes takes effect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SettingEffect {
    /// When.
    pub when: EffectTime,
    /// The setting, or the file that no setting is behind.
    pub what: String,
    /// Why it takes effect then, if that needs words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl PlanNotes {
    /// Returns the settings for which K3s has to start again, sorted.
    #[must_use]
    pub fn restart_required(&self) -> Vec<&str> {
        let waits = |effect: &&SettingEffect| effect.when == EffectTime::Restart;
        self.effects.iter().filter(waits).map(|effect| effect.what.as_str()).collect()
    }
}
