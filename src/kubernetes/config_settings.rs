// SPDX-License-Identifier: Apache-2.0
//! The settings that a configuration file gives: its decoded fields as typed values, what arguments override in them, and
//! the defaults of the rest.

use serde_json::Value;

use super::config_fields::{self, DecodedFields};
use super::flag_values;
use super::object::{node_text, whole_number};
use super::scalar::Scalar;
use super::settings::{ComponentSettings, TypedValue};
use super::yaml::{YamlNode, YamlValue};

/// Returns the settings of a document of a kind. `flags` has the component's arguments.
#[must_use]
pub fn settings(decoded: &DecodedFields, kind: &str, flags: &ComponentSettings) -> ComponentSettings {
    let mut settings = ComponentSettings::default();
    for (path, node) in &decoded.fields {
        let of = decoded.types.get(path).copied().unwrap_or_default();
        settings.set(path, typed(node, of));
    }
    for (flag, field) in config_fields::flags_of(kind).filter(|(flag, _)| flags.is_given(flag)) {
        if let Some(value) = flags.value(flag) {
            settings.set(field, value.clone());
        }
    }
    let Some(defaults) = config_fields::defaults_of(kind) else { return settings };
    for (path, value) in &defaults.zero {
        if settings.value(path).is_none_or(TypedValue::is_zero) {
            settings.unset(path, default(value));
        }
    }
    for (path, value) in &defaults.unset {
        settings.default_to(path, default(value));
    }
    settings
}

/// Returns the value of a field of the Go type `of`, which the decoder has taken.
fn typed(node: &YamlNode, of: &str) -> TypedValue {
    let number = whole_number(&node.value, false).map(i128::from);
    match (of, &node.value) {
        ("bool", _) => TypedValue::Bool(node.go_text() == "true"),
        ("Duration" | "TimeOrMetaDuration", _) => TypedValue::Duration(
            number.or_else(|| flag_values::duration(node_text(node))).unwrap_or_default(),
        ),
        ("float32" | "float64", YamlValue::Scalar(Scalar::Float(number))) => TypedValue::Number(*number),
        ("int32" | "int64" | "uint32" | "float32" | "float64", _) => {
            TypedValue::Whole(number.unwrap_or_default())
        }
        (_, YamlValue::List(items)) => TypedValue::List(items.iter().map(YamlNode::go_text).collect()),
        (_, YamlValue::Map(pairs)) => {
            TypedValue::Map(pairs.iter().map(|(name, value)| (name.go_text(), value.go_text())).collect())
        }
        _ => TypedValue::Text(node.go_text()),
    }
}

/// Returns a default as the table has it.
fn default(value: &Value) -> TypedValue {
    match value {
        Value::Bool(is_on) => TypedValue::Bool(*is_on),
        Value::Array(_) => TypedValue::List(Vec::new()),
        Value::Object(_) => TypedValue::Map(Vec::new()),
        Value::String(text) => TypedValue::amount(text).unwrap_or_else(|| TypedValue::Text(text.clone())),
        other => TypedValue::amount(&other.to_string()).unwrap_or_else(|| TypedValue::Text(String::new())),
    }
}
