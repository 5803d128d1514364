// SPDX-License-Identifier: Apache-2.0
//! The effective configuration of K3s as text and JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::origin::ReportOrigin;
use super::screen::{ScreenText, Style};
use crate::Role;
use crate::k3s::{EffectiveConfig, EffectiveValue};

/// Returns the command line, each value with its origin, and the flags of each component.
#[must_use]
pub fn effective_text(effective: &EffectiveConfig) -> ScreenText {
    let mut text = ScreenText::new(Style::Plain);
    text.line("# command line");
    text.push("k3s");
    for word in &effective.argv {
        text.push(format!(" {word}"));
    }
    text.end();
    text.end();
    text.line("# values");
    for (name, value) in &effective.values {
        for (item, origin) in value.items.iter().zip(&value.origins) {
            text.line(format!("{name}={item}  # {origin}"));
        }
    }
    for (component, flags) in &effective.components {
        text.end();
        text.line(format!("# {component}"));
        flags.iter().for_each(|flag| text.line(flag));
    }
    text
}

/// Returns the configuration for programs.
#[must_use]
pub fn effective_json(effective: &EffectiveConfig, role: Role, origin: &ReportOrigin) -> Value {
    let values: BTreeMap<&String, Value> =
        effective.values.iter().map(|(name, value)| (name, value_json(value))).collect();
    origin.answer(json!({
        "role": role,
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
