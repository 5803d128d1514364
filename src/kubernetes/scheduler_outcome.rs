// SPDX-License-Identifier: Apache-2.0
//! What a reading of a scheduler's configuration comes to, and what it is read by.

use super::object::{Fault, Located, Position, Refusal};
use super::settings::{ComponentSettings, RefusedSetting};
use crate::version::KubernetesMinor;

/// The name of the rules (data/rules-kube-scheduler-config.yaml).
pub(super) const RULES: &str = "kube-scheduler-config";

/// A configuration that kube-scheduler decodes.
#[derive(Debug, Default)]
pub struct SchedulerConfig {
    /// The kubeconfig, which the argument does not override; empty if the file names none.
    pub kubeconfig: Option<Located<String>>,
    /// The files of extenders, which have to be there.
    pub files: Vec<Located<String>>,
    /// What kube-scheduler refuses: values of settings, and where they are; an argument has no place there.
    pub refused: Vec<(RefusedSetting, Option<Position>)>,
    /// What kube-scheduler refuses in profiles and extenders.
    pub faults: Vec<Fault>,
    /// The position of a second document, which is not read.
    pub second_document: Option<Position>,
}

/// Why kube-scheduler cannot decode a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchedulerRefusal {
    /// It is no YAML or JSON, or a field has the wrong type.
    Syntax,
    /// Its API version or kind is another.
    Version,
    /// A field is unknown or there twice.
    Field,
}

pub(super) type Validated<T = ()> = Result<T, Refusal<SchedulerRefusal>>;

/// What a configuration is judged by.
#[derive(Clone, Copy)]
pub(super) struct SchedulerContext<'a> {
    pub(super) minor: KubernetesMinor,
    pub(super) flags: &'a ComponentSettings,
}

impl SchedulerContext<'_> {
    /// Tells whether a feature gate is on.
    pub(super) fn has_gate(&self, gate: &str) -> bool {
        self.flags.gate(gate, self.minor) == Some(true)
    }
}
