//! The effective configuration of K3s as text and JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::origin::ReportOrigin;
use crate::k3s::{EffectiveConfig, EffectiveValue};

/// Returns the command line, each value with its origin, and the flags of each component.
#[must_use]
pub fn effective_text(effective: &EffectiveConfig) -> String {
    let mut text = String::from("# command line\nk3s");
    for word in &effective.argv {
        let _infallible = write!(text, " {word}");
    }
    text.push_str("\n\n# values\n");
    for (name, value) in &effective.values {
        for (item, origin) in value.items.iter().zip(&value.origins) {
            let _infallible = writeln!(text, "{name}={item}  # {origin}");
        }
    }
    for (component, flags) in &effective.components {
        let _infallible = writeln!(text, "\n# {component}\n{}", flags.join("\n"));
    }
    text
}

/// Returns the configuration for programs.
#[must_use]
pub fn effective_json(effective: &EffectiveConfig, origin: &ReportOrigin) -> Value {
    let values: BTreeMap<&String, Value> =
        effective.values.iter().map(|(name, value)| (name, value_json(value))).collect();
    origin.answer(json!({
        "files": effective.files.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "argv": effective.argv,
        "warnings": effective.warnings,
        "values": values,
        "components": effective.components,
    }))
}

fn value_json(value: &EffectiveValue) -> Value {
    let mut origins: Vec<String> = value.origins.iter().map(ToString::to_string).collect();
    origins.dedup();
    let items = if value.list { json!(value.items) } else { json!(value.items.last()) };
    json!({"value": items, "origin": origins.join(", ")})
}
