// SPDX-License-Identifier: Apache-2.0
//! Explains a setting: the values it accepts, its value in every built-in profile, and its value on the node.

use serde_json::Value;

use super::departures::departure_on;
use super::profile_values::{ProfileValue, profile_values};
use crate::profile::{Profile, declarations};
use crate::version::MinorRange;

/// The explanation of a setting.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingExplanation {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// The values it accepts, in words.
    pub takes: String,
    /// The minors on which it has an effect.
    pub kubernetes: MinorRange,
    /// Its value on the node; null if nothing is written for it.
    pub value: Value,
    /// The origin of the value.
    pub origin: String,
    /// Its values in the built-in profiles; an overlay is listed only if it has the setting.
    pub defaults: Vec<ProfileValue>,
    /// The value of K3s's hardening guide on the node's minor, where the default profile departs from it.
    pub guide: Option<GuideValue>,
}

/// The value that K3s's hardening guide has for a setting, and why the default profile has another one.
#[derive(Debug, Clone, PartialEq)]
pub struct GuideValue {
    /// The value; null if nothing is written for it.
    pub value: Value,
    /// The reason for the departure.
    pub why: &'static str,
    /// Its source.
    pub source: &'static str,
}

impl SettingExplanation {
    /// Returns the setting `name`, if there is one.
    pub(super) fn named(name: &str, profile: &Profile) -> Option<Self> {
        let (name, declaration) = declarations().get_key_value(name)?;
        let resolved = profile.values.get(name);
        Some(Self {
            name,
            description: declaration.description.trim_end(),
            takes: declaration.type_in_words(),
            kubernetes: declaration.kubernetes,
            value: resolved.map_or(Value::Null, |resolved| resolved.value.clone()),
            origin: resolved.map_or_else(String::new, |resolved| resolved.origin.to_string()),
            defaults: profile_values(name, declaration),
            guide: departure_on(name, profile.minor).map(|(departure, value)| GuideValue {
                value,
                why: departure.why,
                source: departure.source,
            }),
        })
    }
}
