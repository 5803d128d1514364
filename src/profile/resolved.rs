// SPDX-License-Identifier: Apache-2.0
//! A profile resolved for one minor: every setting with its value and where that came from.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::control::{ControlId, ControlNumbers, ControlSelection};
use super::table::ArgumentTable;
use crate::error::{Error, ErrorKind, Place};
use crate::version::KubernetesMinor;

/// What a node should be, in settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The Kubernetes minor that it is resolved for.
    pub minor: KubernetesMinor,
    /// The profiles it was made of, in order.
    pub names: Vec<String>,
    /// The benchmark, such as 1.12.
    pub benchmark: String,
    /// The benchmark's numbers of the controls.
    pub numbers: ControlNumbers,
    /// Which controls the run is about.
    pub selection: ControlSelection,
    /// Every setting by its name.
    pub values: BTreeMap<String, Resolved>,
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The value, checked against the setting's type.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The setting's own default.
    Default,
    /// A profile.
    Profile(Place),
    /// The settings file.
    Settings(Place),
    /// The command line or the environment.
    Assignment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Profile(place) | Self::Settings(place) => place.fmt(f),
            Self::Assignment(origin) => f.write_str(origin),
        }
    }
}

impl Origin {
    /// Returns the error for a value from here that cannot be taken.
    #[must_use]
    pub fn refusal(&self, message: String) -> Error {
        match self {
            Self::Profile(place) | Self::Settings(place) => {
                Error::new(ErrorKind::BadInput, message).at(place.clone())
            }
            Self::Assignment(origin) => Error::new(ErrorKind::BadInput, format!("{origin}: {message}")),
            Self::Default => Error::new(ErrorKind::BadInput, message),
        }
    }
}

impl Profile {
    /// Returns the value of a setting; null for one that does not exist.
    #[must_use]
    pub fn value(&self, name: &str) -> &Value {
        debug_assert!(self.values.contains_key(name), "no setting is called {name}");
        self.values.get(name).map_or(&Value::Null, |resolved| &resolved.value)
    }

    /// Tells whether a setting is true.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.value(name) == &Value::Bool(true)
    }

    /// Returns the texts of a list, or the one text.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Value::String(text) => vec![text.clone()],
            _ => Vec::new(),
        }
    }

    /// Returns the namespaces that are exempt from Pod Security, each once: with a name twice the API server does not start.
    #[must_use]
    pub fn exempt_namespaces(&self) -> Vec<String> {
        let preset = self.texts("pod_security_preset").concat();
        let mut exempt = ArgumentTable::get().exempt_namespaces.get(&preset).cloned().unwrap_or_default();
        for namespace in self.texts("pod_security_exempt_namespaces") {
            if !exempt.contains(&namespace) {
                exempt.push(namespace);
            }
        }
        exempt
    }

    /// Returns the settings of which another profile has another value: the name, the value here and the one there.
    #[must_use]
    pub fn differing_settings(&self, other: &Self) -> Vec<(String, Value, Value)> {
        let differing = self.values.iter().filter_map(|(name, resolved)| {
            let (left, right) = (resolved.value.clone(), other.value(name).clone());
            (left != right).then(|| (name.clone(), left, right))
        });
        differing.collect()
    }

    /// Returns how many runs stay in the history.
    #[must_use]
    pub fn history_runs(&self) -> u32 {
        self.value("history_runs").as_u64().and_then(|runs| u32::try_from(runs).ok()).unwrap_or(u32::MAX)
    }

    /// Returns the benchmark's numbers of `controls`, sorted, each once.
    #[must_use]
    pub fn ids<S: AsRef<str>>(&self, controls: &[S]) -> Vec<ControlId> {
        let mut ids: Vec<ControlId> = controls
            .iter()
            .filter_map(|control| self.numbers.get(control.as_ref()))
            .flatten()
            .cloned()
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }
}
