// SPDX-License-Identifier: Apache-2.0
//! Warnings if the service that starts K3s overrides the drop-in or repeats an argument of it.

use std::collections::BTreeMap;

use super::DropIn;
use super::existing::{is_same_value, repeated_argument};
use crate::k3s::arguments;
use crate::k3s::components;
use crate::k3s::merge::ConfigItem;
use crate::k3s::{NodeConfig, ValueOrigin};

/// Returns the arguments that no file gives a node's components, by component: the drop-in cannot take them away.
#[must_use]
pub fn command_line(node: &NodeConfig<'_>) -> BTreeMap<String, Vec<ConfigItem>> {
    let Ok(effective) = &node.effective else { return BTreeMap::new() };
    let mut found: BTreeMap<String, Vec<ConfigItem>> = BTreeMap::new();
    for (key, value) in &effective.values {
        let Some(component) = components::of_key(key, node.role) else { continue };
        for (text, origin) in value.items.iter().zip(&value.origins) {
            if !matches!(origin, ValueOrigin::File(_)) {
                let item = ConfigItem { text: text.clone(), null: false, place: origin.place() };
                found.entry(component.to_owned()).or_default().push(item);
            }
        }
    }
    found
}

/// Returns what the service's command line still overrides or gives twice, and which of its arguments their components do
/// not know: the drop-in cannot change that.
#[must_use]
pub fn service_warnings(node: &NodeConfig<'_>, ours: &DropIn) -> Vec<String> {
    let Ok(effective) = &node.effective else { return Vec::new() };
    let values = effective.values.iter().flat_map(|(name, value)| {
        let items = value.items.iter().zip(&value.origins);
        items.filter_map(move |(text, origin)| match origin {
            ValueOrigin::Service(path) => Some((name.as_str(), text.as_str(), path.as_str())),
            _ => None,
        })
    });
    let mut warnings = Vec::new();
    for (name, text, path) in values {
        let unknown = components::of_key(name, node.role)
            .filter(|component| effective.running.has(component))
            .and_then(|component| arguments::unknown(component, node.minor(), text));
        warnings.extend(unknown.map(|message| format!("{path}: {message}")));
        let component =
            name.strip_suffix("-arg").and_then(|name| ours.components.iter().find(|ours| ours.name == name));
        warnings.extend(component.and_then(|component| repeated_argument(component, text, path)));
        for key in ours.keys.iter().filter(|key| key.name == name && !is_same_value(text, &key.value)) {
            warnings.push(format!(
                "{path} overrides {name} with {text:?} (k3s-harden sets {}): remove it there",
                key.value
            ));
        }
    }
    warnings
}
