// SPDX-License-Identifier: Apache-2.0
//! The settings themselves: a value for each name, and whether somebody gave it.

use std::collections::BTreeMap;

use super::value::TypedValue;
use crate::kubernetes::feature_gates;
use crate::version::KubernetesMinor;

/// The settings that set feature gates: a field of files, and the flag, which goes before.
const GATES: [&str; 2] = ["featureGates", "feature-gates"];
/// What rules compare a value with that no flag and no field has: the number of the minor, the minor before it, and the
/// number of the oldest minor that a component takes itself for.
pub(super) const OF_MINOR: [&str; 3] = ["minor", "previous-minor", "oldest-emulated"];
/// How many minors back a component can take itself for (`kubeEffectiveVersionFloors` in pkg/util/compatibility of
/// k8s.io/apiserver).
const EMULATED_MINORS: i128 = 3;
/// The first minor that a component can take itself for.
const FIRST_EMULATED: i128 = 31;

/// A setting.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentSetting {
    /// Its value.
    pub value: TypedValue,
    /// Whether a flag or a field gives it; otherwise it is the component's default.
    pub is_given: bool,
}

/// The settings of a component, by name: a flag's, or a field's path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ComponentSettings(BTreeMap<String, ComponentSetting>);

impl ComponentSettings {
    /// Gives a setting a value: a list or a map that somebody has given already grows, anything else is replaced.
    pub fn give(&mut self, name: &str, value: TypedValue) {
        match (self.0.get_mut(name), value) {
            (
                Some(ComponentSetting { value: TypedValue::List(items), is_given: true }),
                TypedValue::List(more),
            ) => {
                items.extend(more);
            }
            (
                Some(ComponentSetting { value: TypedValue::Map(pairs), is_given: true }),
                TypedValue::Map(more),
            ) => {
                pairs.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
                pairs.extend(more);
            }
            (_, value) => self.set(name, value),
        }
    }

    /// Gives a setting a value in place of any that it has.
    pub fn set(&mut self, name: &str, value: TypedValue) {
        self.0.insert(name.to_owned(), ComponentSetting { value, is_given: true });
    }

    /// Gives a setting a value that nobody of the user's gives, in place of any that it has.
    pub fn assume(&mut self, name: &str, value: TypedValue) {
        self.0.insert(name.to_owned(), ComponentSetting { value, is_given: false });
    }

    /// Takes names out of a map.
    pub fn retain(&mut self, setting: &str, is_wanted: &dyn Fn(&str) -> bool) {
        if let Some(ComponentSetting { value: TypedValue::Map(pairs), .. }) = self.0.get_mut(setting) {
            pairs.retain(|(name, _)| is_wanted(name));
        }
    }

    /// Sets the default of a setting that has no value yet.
    pub fn default_to(&mut self, name: &str, value: TypedValue) {
        self.0.entry(name.to_owned()).or_insert(ComponentSetting { value, is_given: false });
    }

    /// Adds what rules compare a value with that no flag and no field has ([`OF_MINOR`]).
    pub fn know_minor(&mut self, minor: KubernetesMinor) {
        let number = i128::from(minor.number());
        let [own, previous, oldest] = OF_MINOR;
        self.default_to(own, TypedValue::Whole(number));
        self.default_to(previous, TypedValue::Text(format!("1.{}", number - 1)));
        self.default_to(oldest, TypedValue::Whole((number - EMULATED_MINORS).max(FIRST_EMULATED)));
    }

    /// Sets the default of a setting in place of a value that counts for none.
    pub fn unset(&mut self, name: &str, value: TypedValue) {
        self.0.insert(name.to_owned(), ComponentSetting { value, is_given: false });
    }

    /// Returns the value of a setting; none if neither a default is known nor anybody gives it.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&TypedValue> {
        self.0.get(name).map(|setting| &setting.value)
    }

    /// Returns the text of a setting; none as for [`Self::value`].
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(TypedValue::text)
    }

    /// Tells whether somebody gives a setting.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|setting| setting.is_given)
    }

    /// Tells whether a feature gate is on in a minor; none if no minor has it.
    #[must_use]
    pub fn gate(&self, name: &str, minor: KubernetesMinor) -> Option<bool> {
        let given: Vec<(&str, &str)> = GATES
            .iter()
            .filter_map(|setting| match self.value(setting)? {
                TypedValue::Map(pairs) => Some(pairs),
                _ => None,
            })
            .flatten()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        feature_gates::is_on(name, minor, &given)
    }

    /// Returns all settings.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ComponentSetting)> {
        self.0.iter().map(|(name, setting)| (name.as_str(), setting))
    }
}
