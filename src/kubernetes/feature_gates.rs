//! Kubernetes' feature gates (data/feature-gates.yaml), and the flag that sets them.
//!
//! Source: k8s.io/component-base/featuregate.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::flag_values;
use crate::embedded;
use crate::version::KubernetesMinor;

/// The minors that define a gate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GateRange {
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
}

static GATES: LazyLock<BTreeMap<String, GateRange>> = LazyLock::new(|| embedded::table("feature-gates"));

/// Why a component refuses an entry of its flag `feature-gates`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateFault {
    /// It has no value.
    NoValue {
        /// The gate.
        name: String,
    },
    /// The minor has no such gate.
    Unknown {
        /// The gate.
        name: String,
        /// Since when, or until when, other minors have it, as ` (it comes with 1.37)`.
        availability: String,
    },
    /// Its value is no boolean.
    Value {
        /// The gate.
        name: String,
        /// Its value.
        value: String,
    },
}

impl GateFault {
    /// Returns the component's own message (`SetFromMap` in featuregate/feature_gate.go).
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::NoValue { name } => format!("missing bool value for {name}"),
            Self::Unknown { name, .. } => format!("unrecognized feature gate: {name}"),
            Self::Value { name, value } => format!("invalid value of {name}={value}"),
        }
    }
}

/// Returns what a component of a minor refuses in its flag `feature-gates`.
///
/// From 1.34 on, the name of a component may precede a gate's.
#[must_use]
pub fn faults(text: &str, minor: KubernetesMinor) -> Vec<GateFault> {
    text.split(',').filter(|pair| !pair.is_empty()).filter_map(|pair| fault(pair, minor)).collect()
}

fn fault(pair: &str, minor: KubernetesMinor) -> Option<GateFault> {
    let (name, value) =
        pair.split_once('=').map_or((pair.trim(), None), |(name, value)| (name.trim(), Some(value.trim())));
    let name = name.rsplit(':').next().unwrap_or(name).to_owned();
    let Some(value) = value else { return Some(GateFault::NoValue { name }) };
    let range = GATES.get(&name);
    if !range.is_some_and(|range| minor.is_within(range.from, range.until)) {
        let availability = range.map(|range| minor.availability(range.from, range.until)).unwrap_or_default();
        return Some(GateFault::Unknown { name, availability });
    }
    flag_values::boolean(value).is_none().then(|| GateFault::Value { name, value: value.to_owned() })
}

/// Returns the last value that entries of `feature-gates` give a gate.
#[must_use]
pub fn value(entries: &[String], name: &str) -> Option<bool> {
    let pairs = entries.iter().rev().filter_map(|entry| entry.split_once('='));
    let mut values = pairs.filter(|(gate, _)| gate.trim() == name).map(|(_, value)| value.trim());
    values.next().and_then(flag_values::boolean)
}
