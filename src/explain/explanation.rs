// SPDX-License-Identifier: Apache-2.0
//! The explanation of a topic: the data that output writes as text and JSON.

use serde::Serialize;

use super::set_by::SetBy;
use super::setting::SettingExplanation;
use super::table::Pitfall;
use crate::Role;
use crate::k3s::PolicyEnforcement;
use crate::profile::ControlId;
use crate::scanner::ScannerCheck;

/// The kind of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicKind {
    /// A control, named by its number or name.
    Control,
    /// A setting.
    Setting,
}

/// The explanation of a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The topic, as the user wrote it.
    pub topic: String,
    /// Its kind.
    pub kind: TopicKind,
    /// The setting of that name, if there is one.
    pub setting: Option<SettingExplanation>,
    /// The control of the topic, and the controls that the setting affects.
    pub controls: Vec<ControlExplanation>,
}

/// The explanation of a control.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlExplanation {
    /// Its name.
    pub name: String,
    /// The short title of k3s-harden.
    pub title: String,
    /// The reason for the control, with its source.
    pub why: Pitfall,
    /// The roles of the nodes to which it applies.
    pub roles: Vec<Role>,
    /// How to meet it.
    pub remedy: String,
    /// Its numbers, the oldest benchmark first.
    pub ids: Vec<BenchmarkNumber>,
    /// The settings that affect it.
    pub settings: Vec<SettingExplanation>,
    /// What sets the values that implement it on this node; empty if it does not apply to the node's role.
    pub set_by: Vec<SetBy>,
    /// Who enforces NetworkPolicies on this node; none for a control that is not about them, and where K3s cannot read its
    /// configuration.
    pub enforced_by: Option<PolicyEnforcement>,
    /// How the scanners treat it.
    pub scanners: Vec<ScannerCheck>,
    /// The mistakes of the scanners about it.
    pub mistakes: Vec<ScannerMistake>,
    /// Its pitfalls on K3s.
    pub pitfalls: Vec<Pitfall>,
}

/// The number of a control in a benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchmarkNumber {
    /// The benchmark.
    pub benchmark: &'static str,
    /// The number.
    pub id: ControlId,
    /// Its profile level.
    pub level: u8,
    /// Whether the benchmark marks it as automated.
    pub automated: bool,
}

/// A mistake of a scanner about a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannerMistake {
    /// What the scanner does.
    pub text: String,
    /// How to satisfy the scanner without harm, or that it is impossible.
    pub please: Option<String>,
    /// For a mistake about the last argument of the kubelet's line: that argument, and the last argument on this node.
    pub last: Option<LastKubeletArgument>,
    /// The source.
    pub source: String,
}

/// The last argument of the kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastKubeletArgument {
    /// The argument that the scanner misreads if it is the last one.
    pub misread: String,
    /// The last argument on this node.
    pub here: String,
}
