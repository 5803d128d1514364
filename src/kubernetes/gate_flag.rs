// SPDX-License-Identifier: Apache-2.0
//! The flag `feature-gates`, as each component takes it.
//!
//! Source: `(*featureGate).Set` and `unsafeSetFromMap` in featuregate/feature_gate.go, `(*componentGlobalsRegistry).Set` in
//! compatibility/registry.go, and `MapStringBool` in cli/flag of k8s.io/component-base.

use std::collections::BTreeMap;

use super::feature_gates;
use super::flag_values;
use super::next_minor::{self, GateChange};
use crate::version::KubernetesMinor;

/// The flag.
pub const FLAG: &str = "feature-gates";

/// Why a component refuses an entry of its flag `feature-gates`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateFault {
    /// It has no value.
    NoValue {
        /// The gate.
        name: String,
    },
    /// The component has no such gate.
    Unknown {
        /// The gate.
        name: String,
        /// Since when, or until when, other minors have it, as ` (it comes with 1.37)`.
        availability: String,
    },
    /// The component's own program has no such gate, and that of another component has. Where both are one process, they
    /// have one set of gates, and the component may take it.
    OfAnother {
        /// The gate.
        name: String,
    },
    /// A minor that is not supported yet changes the gate: it no longer has it, or has it as the first.
    Changes {
        /// The gate.
        name: String,
        /// What changes.
        change: GateChange,
    },
    /// Its value is no boolean.
    Value {
        /// The gate.
        name: String,
        /// Its value.
        value: String,
    },
    /// It can only have its default.
    Locked {
        /// The gate.
        name: String,
        /// Its default.
        is_on: bool,
    },
    /// It is on, and a gate that it needs is off.
    Needs {
        /// The gate.
        name: String,
        /// The gate that is off.
        other: String,
    },
    /// A component stands before its name that the program does not have.
    Component {
        /// The component.
        name: String,
    },
    /// `kube:` stands before some gates, and nothing before others.
    Mixed,
}

impl GateFault {
    /// Returns the component's own message.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::NoValue { name } => format!("missing bool value for {name}"),
            Self::Unknown { name, .. } | Self::OfAnother { name } | Self::Changes { name, .. } => {
                format!("unrecognized feature gate: {name}")
            }
            Self::Value { name, value } => format!("invalid value of {name}={value}"),
            Self::Locked { name, is_on } => {
                format!("cannot set feature gate {name} to {}, feature is locked to {is_on}", !is_on)
            }
            Self::Needs { name, other } => {
                format!("{name} is enabled, but depends on features that are disabled: [{other}]")
            }
            Self::Component { name } => format!("component not registered: {name}"),
            Self::Mixed => {
                "set kube feature gates with default empty prefix or kube: prefix consistently, do not mix use"
                    .to_owned()
            }
        }
    }

    /// Returns the gate that it is about; none if it is about more than one.
    #[must_use]
    pub fn gate(&self) -> Option<&str> {
        match self {
            Self::NoValue { name }
            | Self::Unknown { name, .. }
            | Self::OfAnother { name }
            | Self::Changes { name, .. }
            | Self::Value { name, .. }
            | Self::Locked { name, .. }
            | Self::Needs { name, .. } => Some(name),
            Self::Component { .. } | Self::Mixed => None,
        }
    }

    /// Returns what to do about it in a file, where each gate is a field.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Unknown { .. } | Self::OfAnother { .. } | Self::Locked { .. } | Self::Changes { .. } => {
                "remove it".to_owned()
            }
            Self::NoValue { name } | Self::Value { name, .. } => format!("set {name} to true or false"),
            Self::Needs { name, other } => format!("set {name} to false, or {other} to true"),
            Self::Component { .. } | Self::Mixed => "write the names of gates alone".to_owned(),
        }
    }

    /// Returns what the gate must be in a minor, in words.
    #[must_use]
    pub fn wanted(&self, minor: KubernetesMinor) -> String {
        match self {
            Self::Unknown { availability, .. } => {
                format!("left out: {minor} has no such gate{availability}")
            }
            Self::Locked { is_on, .. } => is_on.to_string(),
            Self::Needs { other, .. } => format!("false as long as {other} is off"),
            Self::Changes { change: GateChange::Gone, .. } => {
                format!(
                    "left out: the beta of the minor after {} has no such gate",
                    KubernetesMinor::newest()
                )
            }
            Self::Changes { change: GateChange::New, .. } => {
                format!(
                    "left out: {} has no such gate, and newer minors are not known",
                    KubernetesMinor::newest()
                )
            }
            Self::OfAnother { .. } => "left out: only another component has the gate".to_owned(),
            Self::NoValue { .. } | Self::Value { .. } | Self::Component { .. } | Self::Mixed => {
                "true or false".to_owned()
            }
        }
    }
}

/// How a component takes its flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GateForm {
    /// Each flag sets its gates at once.
    AtOnce,
    /// All flags together set the gates.
    Together,
    /// All flags together; the name of a component may stand before a gate, as `kube:Gate=true`.
    ByComponent,
}

/// The components whose gates are a field of their configuration.
const WITH_FIELD: [&str; 2] = ["kubelet", "kube-proxy"];
/// The first minor in which the others take `component:Gate=true`, and those that do not.
const BY_COMPONENT_FROM: KubernetesMinor = KubernetesMinor::new(31);
const AT_ONCE: &str = "cloud-controller-manager";
/// The one component that Kubernetes' own programs have.
const KUBE: &str = "kube";

fn form(component: &str, minor: KubernetesMinor) -> GateForm {
    if WITH_FIELD.contains(&component) {
        GateForm::Together
    } else if component != AT_ONCE && minor >= BY_COMPONENT_FROM {
        GateForm::ByComponent
    } else {
        GateForm::AtOnce
    }
}

/// An entry of a flag: the flag's position, the gate and its value.
#[derive(Debug, Clone)]
struct GateEntry {
    at: usize,
    name: String,
    is_on: bool,
}

/// Returns what a component of a minor refuses in its flags `feature-gates`, in their order: each fault with the position of
/// the flag that has it.
#[must_use]
pub fn faults(component: &str, minor: KubernetesMinor, flags: &[&str]) -> Vec<(usize, GateFault)> {
    let form = form(component, minor);
    let mut faults = Vec::new();
    let mut entries: Vec<GateEntry> = Vec::new();
    let mut prefixes: BTreeMap<String, usize> = BTreeMap::new();
    for (at, text) in flags.iter().enumerate() {
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let pair = match pair.split_once(':') {
                Some((component, rest)) if form == GateForm::ByComponent => {
                    prefixes.insert(component.trim().to_owned(), at);
                    rest.trim()
                }
                _ => {
                    prefixes.insert(String::new(), at);
                    pair
                }
            };
            if pair.is_empty() {
                continue;
            }
            let (name, value) =
                pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
            let name = name.trim().to_owned();
            let Some(value) = value.map(str::trim) else {
                faults.push((at, GateFault::NoValue { name }));
                continue;
            };
            match flag_values::boolean(value) {
                Some(is_on) => entries.push(GateEntry { at, name, is_on }),
                None => faults.push((at, GateFault::Value { name, value: value.to_owned() })),
            }
        }
    }
    let is_known = |name: &str| name.is_empty() || name == KUBE;
    for (name, at) in &prefixes {
        if !is_known(name) {
            faults.push((*at, GateFault::Component { name: name.clone() }));
        }
    }
    if let (Some(one), Some(other)) = (prefixes.get(""), prefixes.get(KUBE)) {
        faults.push((*one.max(other), GateFault::Mixed));
    }
    let steps = if form == GateForm::AtOnce { 0..flags.len() } else { 0..1 };
    for step in steps {
        let of_step = entries.iter().filter(|entry| form != GateForm::AtOnce || entry.at == step);
        // The last value of a gate counts.
        let last: BTreeMap<&str, &GateEntry> = of_step.map(|entry| (entry.name.as_str(), entry)).collect();
        for entry in last.values() {
            faults.extend(of_entry(component, minor, entry).map(|fault| (entry.at, fault)));
        }
    }
    if faults.is_empty() {
        faults.extend(missing(component, minor, &entries));
    }
    faults.sort_by_key(|(at, _)| *at);
    faults
}

/// Returns what a component refuses in an entry by itself.
fn of_entry(component: &str, minor: KubernetesMinor, entry: &GateEntry) -> Option<GateFault> {
    let name = entry.name.clone();
    if let Some(change) = next_minor::of_gate(&name, minor) {
        return Some(GateFault::Changes { name, change });
    }
    let Some(state) = feature_gates::of_any(&name, minor) else {
        let availability = feature_gates::availability(&name, minor);
        return Some(GateFault::Unknown { name, availability });
    };
    // Also a component that shares its gates with others refuses this one.
    if state.is_locked && state.is_on != entry.is_on {
        return Some(GateFault::Locked { name, is_on: state.is_on });
    }
    feature_gates::state(component, &name, minor).is_none().then_some(GateFault::OfAnother { name })
}

/// Returns the gates that are on without one that they need.
fn missing(component: &str, minor: KubernetesMinor, entries: &[GateEntry]) -> Vec<(usize, GateFault)> {
    let Some(last) = entries.last() else { return Vec::new() };
    let given: Vec<(&str, &str)> = entries
        .iter()
        .map(|entry| (entry.name.as_str(), if entry.is_on { "true" } else { "false" }))
        .collect();
    let is_on = |name: &str| feature_gates::is_on(name, minor, &given) == Some(true);
    let blamed = |name: &str, other: &str| {
        let names = [name, other, feature_gates::ALL_ALPHA, feature_gates::ALL_BETA];
        let entry = entries.iter().rev().find(|entry| names.contains(&entry.name.as_str()));
        entry.unwrap_or(last).at
    };
    feature_gates::needs(component, minor)
        .filter(|(name, other)| is_on(name) && !is_on(other))
        .map(|(name, other)| {
            let fault = GateFault::Needs { name: name.to_owned(), other: other.to_owned() };
            (blamed(name, other), fault)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(component: &str, minor: u16, flags: &[&str]) -> Vec<String> {
        let faults = faults(component, KubernetesMinor::new(minor), flags);
        faults.into_iter().map(|(_, fault)| fault.message()).collect()
    }

    /// Every component, as `tests/it/component_values` has them judged by Kubernetes itself.
    const ALL: [&str; 5] =
        ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"];

    #[test]
    fn a_gate_that_is_locked_takes_no_other_value() {
        for component in ALL {
            assert_eq!(
                messages(component, 36, &["SidecarContainers=false"]),
                ["cannot set feature gate SidecarContainers to false, feature is locked to true"]
            );
            assert!(messages(component, 36, &["SidecarContainers=true,"]).is_empty());
            assert!(messages(component, 29, &["SidecarContainers=false"]).is_empty());
        }
    }

    #[test]
    fn a_component_may_stand_before_a_gate_of_some() {
        for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            for text in ["kube:NodeSwap=true", " kube : NodeSwap = true", ":NodeSwap=true", ",,", "kube:"] {
                assert!(messages(component, 36, &[text]).is_empty(), "{component} {text}");
            }
            let mixed = ["NodeSwap=true,kube:AllAlpha=false"];
            assert_eq!(messages(component, 36, &mixed).len(), 1);
            let wardle = "component not registered: wardle";
            assert_eq!(messages(component, 36, &["wardle:NodeSwap=true"]), [wardle]);
            assert_eq!(messages(component, 30, &["kube:NodeSwap=true"]).len(), 1);
        }
        for component in ["kube-proxy", "kubelet", "cloud-controller-manager"] {
            let unknown = "unrecognized feature gate: kube:NodeSwap";
            assert_eq!(messages(component, 36, &["kube:NodeSwap=true"]), [unknown]);
        }
    }

    #[test]
    fn a_gate_of_another_component_is_told_from_one_that_nobody_has() {
        let of = |gate: &str| {
            let found = faults("cloud-controller-manager", KubernetesMinor::new(36), &[gate]);
            found.into_iter().map(|(_, fault)| fault).next()
        };
        for gate in ["SidecarContainers=true", "NodeSwap=true", "KubeletInUserNamespace = 1"] {
            assert!(matches!(of(gate), Some(GateFault::OfAnother { .. })), "{gate}");
        }
        let locked = Some(GateFault::Locked { name: "SidecarContainers".to_owned(), is_on: true });
        assert_eq!(of("SidecarContainers=false"), locked, "no component takes it");
        for gate in ["NoSuchGate=true", "PodSecurity=true", "kube:NodeSwap=true"] {
            assert!(matches!(of(gate), Some(GateFault::Unknown { .. })), "{gate}");
        }
        assert_eq!(of("AllAlpha=true"), None);
        assert_eq!(faults("kubelet", KubernetesMinor::new(36), &["NodeSwap=true"]), []);
    }

    #[test]
    fn the_last_value_of_a_gate_counts() {
        let flags = ["SidecarContainers=false", "SidecarContainers=true"];
        for component in ALL {
            assert!(messages(component, 36, &flags).is_empty(), "{component}");
        }
        let flags = ["APIServerTracing=false", "APIServerTracing=true"];
        assert_eq!(messages("cloud-controller-manager", 36, &flags).len(), 1, "each flag is read at once");
        assert!(messages("cloud-controller-manager", 36, &[&flags.join(",")]).is_empty());
    }

    #[test]
    fn a_gate_that_is_on_needs_the_gates_that_it_depends_on() {
        let found = messages("kube-apiserver", 36, &["AllAlpha=true,AllBeta=false"]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(messages("kube-apiserver", 36, &["AllAlpha=true"]).is_empty());
        assert_eq!(messages("kube-apiserver", 37, &["AllAlpha=true"]).len(), 4);
        assert!(messages("kube-apiserver", 29, &["AllAlpha=true,AllBeta=false"]).is_empty());
    }
}
