// SPDX-License-Identifier: Apache-2.0
//! Kubernetes' feature gates (data/feature-gates.yaml): the state of each in a minor. `gate_flag` judges the flag that sets
//! them.
//!
//! Source: k8s.io/component-base/featuregate.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::flag_values;
use crate::embedded;
use crate::version::KubernetesMinor;

/// How far a gate has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateStage {
    /// Off, until somebody tries it.
    Alpha,
    /// Tried by many.
    Beta,
    /// Generally available.
    Stable,
    /// To be removed.
    Deprecated,
}

impl GateStage {
    /// Returns Kubernetes' word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Alpha => "alpha",
            Self::Beta => "beta",
            Self::Stable => "stable",
            Self::Deprecated => "deprecated",
        }
    }
}

/// The state of a gate in a minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateState {
    /// How far it has come.
    pub stage: GateStage,
    /// Whether it is on as long as nobody sets it.
    pub is_on: bool,
    /// Whether a component refuses the other value.
    pub is_locked: bool,
}

/// The minors in which the cloud controller manager knows a gate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GateMinors {
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
}

/// The entries of the table. They are large: each is read only if somebody sets a gate, or a flag that depends on one.
static GATES: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| entry("gates"));
static CLOUD_GATES: LazyLock<BTreeMap<&str, GateMinors>> = LazyLock::new(|| entry("cloud"));
static NEEDS: LazyLock<BTreeMap<&str, Vec<&str>>> = LazyLock::new(|| entry("needs"));

fn entry<T: Deserialize<'static>>(key: &str) -> T {
    embedded::read(embedded::entries("feature-gates")[key])
}

/// The component that has gates of its own.
const CLOUD: &str = "cloud-controller-manager";
/// The gate that stands for all of stage alpha.
pub(super) const ALL_ALPHA: &str = "AllAlpha";
/// The gate that stands for all of stage beta.
pub(super) const ALL_BETA: &str = "AllBeta";
/// The first minor in which gates need others.
const NEEDS_FROM: KubernetesMinor = KubernetesMinor::new(35);

/// A phase of a gate: since when, and its state; none once it is gone.
type Phase = (Option<KubernetesMinor>, Option<GateState>);

/// Returns the state of a gate in a component of a minor; none if the component does not know it.
#[must_use]
pub fn state(component: &str, name: &str, minor: KubernetesMinor) -> Option<GateState> {
    let of_cloud = || CLOUD_GATES.get(name).is_some_and(|range| minor.is_within(range.from, range.until));
    if component == CLOUD && !of_cloud() {
        return None;
    }
    of_any(name, minor)
}

/// Returns the state of a gate in a minor; none if no component knows it.
#[must_use]
pub fn of_any(name: &str, minor: KubernetesMinor) -> Option<GateState> {
    phases(name)?.rev().find(|(since, _)| since.is_none_or(|since| since <= minor))?.1
}

/// Tells whether a gate is on in a minor, where entries of `feature-gates` give gates values: its own, or that of all gates
/// of its stage, or its default. A gate that is gone is as it was last, and one that has not come yet is off. None if no
/// minor has the gate, or its value is no boolean.
#[must_use]
pub fn is_on(name: &str, minor: KubernetesMinor, given: &[(&str, &str)]) -> Option<bool> {
    let known = phases(name)?.filter(|(since, _)| since.is_none_or(|since| since <= minor));
    let last = known.rev().find_map(|(_, state)| state);
    // What is gone cannot be set.
    let Some(state) = state("", name, minor) else { return Some(last.is_some_and(|state| state.is_on)) };
    match deciding_entry(name, state, given) {
        Some(at) => flag_values::boolean(given[at].1),
        None => Some(state.is_on),
    }
}

/// Returns the position of the entry that decides whether a gate is on in a minor: of the last that sets it, or else of the
/// last that sets all gates of its stage; none if none does.
#[must_use]
pub fn deciding(name: &str, minor: KubernetesMinor, given: &[(&str, &str)]) -> Option<usize> {
    deciding_entry(name, state("", name, minor)?, given)
}

fn deciding_entry(name: &str, state: GateState, given: &[(&str, &str)]) -> Option<usize> {
    let last = |wanted: &str| given.iter().rposition(|(name, _)| plain(name) == wanted);
    let of_stage = || match state.stage {
        GateStage::Alpha => last(ALL_ALPHA),
        GateStage::Beta => last(ALL_BETA),
        GateStage::Stable | GateStage::Deprecated => None,
    };
    last(name).or_else(of_stage)
}

/// Returns the gates that need others in a component of a minor, each with one of the others.
pub fn needs(component: &str, minor: KubernetesMinor) -> impl Iterator<Item = (&'static str, &'static str)> {
    let is_asked = minor >= NEEDS_FROM && component != CLOUD;
    let rows = NEEDS.iter().filter(move |_| is_asked);
    let pairs = rows.flat_map(|(name, others)| others.iter().map(move |other| (*name, *other)));
    pairs.filter_map(move |(name, other)| {
        let (since, other) = since(other);
        let has = |gate| state(component, gate, minor).is_some();
        (since.is_none_or(|since| since <= minor) && has(name) && has(other)).then_some((name, other))
    })
}

/// Returns since when, or until when, other minors have a gate that a minor lacks, as ` (it comes with 1.37)`; empty if
/// no minor has it, or this one does.
pub(super) fn availability(name: &str, minor: KubernetesMinor) -> String {
    let Some(phases) = phases(name) else { return String::new() };
    let phases: Vec<Phase> = phases.collect();
    let first = phases.first().and_then(|(since, _)| *since);
    let gone = phases.iter().rev().find(|(_, state)| state.is_none()).and_then(|(since, _)| *since);
    match (first, gone) {
        (Some(first), _) if minor < first => format!(" (it comes with {first})"),
        (_, Some(gone)) if gone <= minor => format!(" (it was removed in {gone})"),
        _ => String::new(),
    }
}

/// Returns the phases of a gate, oldest first; none if no minor has it.
fn phases(name: &str) -> Option<impl DoubleEndedIterator<Item = Phase>> {
    Some(GATES.get(name)?.split(',').map(|text| {
        let (since, state) = since(text.trim_start());
        (since, read_state(state))
    }))
}

/// Splits a minor from the text that stands behind it.
fn since(text: &'static str) -> (Option<KubernetesMinor>, &'static str) {
    let split = text.split_once(' ').and_then(|(minor, rest)| Some((minor.parse().ok()?, rest)));
    split.map_or((None, text), |(minor, rest)| (Some(minor), rest))
}

/// Reads a state, such as `beta on`; none for a gate that is gone.
fn read_state(text: &str) -> Option<GateState> {
    let mut state = GateState { stage: GateStage::Stable, is_on: false, is_locked: false };
    for word in text.split(' ') {
        match word {
            "alpha" => state.stage = GateStage::Alpha,
            "beta" => state.stage = GateStage::Beta,
            "deprecated" => state.stage = GateStage::Deprecated,
            "locked" => state.is_locked = true,
            "on" => state.is_on = true,
            "off" => state.is_on = false,
            _ => return None,
        }
    }
    Some(state)
}

/// Returns the gates that a component of a minor knows.
#[must_use]
pub fn known(component: &str, minor: KubernetesMinor) -> BTreeMap<&'static str, GateState> {
    let names = GATES.keys().copied();
    names.filter_map(|name| Some((name, state(component, name, minor)?))).collect()
}

/// Returns the last value that entries of `feature-gates` give a gate; a component may stand before it.
#[must_use]
pub fn value(entries: &[String], name: &str) -> Option<bool> {
    let mut values =
        entries.iter().rev().filter_map(|entry| parts(entry)).filter(|(_, gate, _)| *gate == name);
    values.next().and_then(|(.., value)| flag_values::boolean(value))
}

/// Returns a gate's name without the component that stands before it.
fn plain(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name).trim()
}

/// Splits an entry of `feature-gates` into what stands before the gate (`kube:`, or nothing), the gate, and its value; none
/// of an entry without a value.
#[must_use]
pub fn parts(entry: &str) -> Option<(&str, &str, &str)> {
    let (gate, value) = entry.split_once('=')?;
    let name = plain(gate);
    let before = gate.trim().strip_suffix(name).unwrap_or_default();
    Some((before.trim(), name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(name: &str, minor: u16, given: &[(&str, &str)]) -> Option<bool> {
        is_on(name, KubernetesMinor::new(minor), given)
    }

    #[test]
    fn every_row_reads() {
        let words = ["alpha", "beta", "deprecated", "locked", "on", "off", "gone"];
        for (name, text) in &*GATES {
            for phase in text.split(", ") {
                let (_, state) = since(phase);
                assert!(state.split(' ').all(|word| words.contains(&word)), "{name}: {phase}");
            }
            let minors: Vec<_> = phases(name).unwrap().map(|(since, _)| since).collect();
            assert!(minors.is_sorted(), "{name}");
        }
        for name in CLOUD_GATES.keys().chain(NEEDS.keys()) {
            assert!(GATES.contains_key(name), "{name}");
        }
        for other in NEEDS.values().flatten() {
            assert!(GATES.contains_key(since(other).1), "{other}");
        }
    }

    #[test]
    fn a_gate_is_on_by_its_own_value_or_that_of_its_stage_or_its_default() {
        assert_eq!([29, 36, 37].map(|minor| on("LoggingAlphaOptions", minor, &[])), [Some(false); 3]);
        assert_eq!(on("LoggingAlphaOptions", 36, &[("AllAlpha", "true")]), Some(true));
        let both = [("AllAlpha", "true"), ("kube:LoggingAlphaOptions", "0")];
        assert_eq!(on("LoggingAlphaOptions", 36, &both), Some(false));
        assert_eq!(on("LoggingBetaOptions", 36, &[]), Some(true));
        assert_eq!(on("LoggingBetaOptions", 36, &[("AllBeta", "false")]), Some(false));
        assert_eq!(on("SidecarContainers", 36, &[("AllBeta", "false")]), Some(true), "it is stable");
    }

    #[test]
    fn what_is_gone_stays_as_it_was_and_what_is_to_come_is_off() {
        assert_eq!(on("SeccompDefault", 36, &[("SeccompDefault", "false")]), Some(true));
        assert_eq!(on("DynamicKubeletConfig", 36, &[]), Some(false));
        assert_eq!(on("PodLevelResources", 29, &[]), Some(false));
        assert_eq!(on("NoSuchGate", 36, &[]), None);
    }

    #[test]
    fn the_cloud_controller_manager_knows_fewer() {
        let minor = KubernetesMinor::new(36);
        assert!(state("kube-proxy", "SidecarContainers", minor).is_some_and(|state| state.is_locked));
        assert_eq!(state(CLOUD, "SidecarContainers", minor), None);
        assert!(state(CLOUD, "APIServerTracing", minor).is_some());
    }
}
