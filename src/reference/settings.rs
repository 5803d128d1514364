// SPDX-License-Identifier: Apache-2.0
//! The page of settings.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::markdown::{NOTHING, Page, code, link, links, plain};
use crate::error::Result;
use crate::explain::{ProfileValue, profile_values, settings_of};
use crate::profile::{Declaration, ProfileDocument, SETTINGS_FILE, declarations};
use crate::verify::{benchmarks, controls};

/// A longer value stands only in the section of its setting.
const MAX_CELL_LENGTH: usize = 40;

/// Returns the page.
pub(super) fn page() -> Result<Page> {
    let mut page = Page::new(
        "settings.md",
        "Settings",
        "Every setting: what it does, the values that it takes, its value in each built-in profile, and the controls that it serves.",
    );
    page.paragraph(&format!(
        "A setting is written as `name: value` into the settings file of a node ({}) or a profile, or typed as `--set name=value`. `k3s-harden explain NAME` tells its value on a node, and what sets it there. Where a value is `null`, nothing is written, and the default of K3s or of its component counts.",
        code(SETTINGS_FILE)
    ));
    let served = served_controls()?;
    page.table(
        &["setting", "what it does", "by default"],
        declarations().iter().map(|(name, declaration)| {
            let values = profile_values(name, declaration);
            let default = match base_values(&values).as_slice() {
                [(value, _)] if written(value).len() <= MAX_CELL_LENGTH => code(&written(value)),
                _ => link("see there", &format!("#{name}")),
            };
            vec![link(name, &format!("#{name}")), plain(&declaration.description), default]
        }),
    );
    for (name, declaration) in declarations() {
        page.heading(name);
        page.paragraph(&plain(&declaration.description));
        let values = profile_values(name, declaration);
        let mut facts = vec![
            format!("Takes: {}", plain(&declaration.type_in_words())),
            format!("By default: {}", by_default(&values)),
        ];
        facts.extend(in_overlays(&values));
        facts.push(format!("Kubernetes: {}", minors(declaration)));
        let serves = served.iter().filter(|(_, settings)| settings.contains(&name.as_str()));
        let serves = links(serves.map(|(control, _)| control.as_str()), |name| format!("controls.md#{name}"));
        facts.push(format!("Serves: {serves}"));
        page.list(facts);
    }
    Ok(page)
}

/// Returns the name of every control with the settings that affect it.
fn served_controls() -> Result<Vec<(String, Vec<&'static str>)>> {
    let mut names = BTreeSet::new();
    for benchmark in benchmarks() {
        names.extend(controls(benchmark)?.into_iter().map(|control| control.name));
    }
    let settings = |name: String| {
        let settings = settings_of(&name);
        (name, settings)
    };
    Ok(names.into_iter().map(settings).collect())
}

fn minors(declaration: &Declaration) -> String {
    match declaration.kubernetes.to_string().as_str() {
        "any" => "every minor".to_owned(),
        range => range.to_owned(),
    }
}

/// Returns a value as it is written in a file.
pub(super) fn written(value: &Value) -> String {
    match value {
        Value::Array(items) if items.iter().all(Value::is_string) => {
            format!("[{}]", items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Returns the values that benchmark profiles have, in the order of the profiles, each with where it is in force.
fn base_values(values: &[ProfileValue]) -> Vec<(&Value, Vec<&ProfileValue>)> {
    let mut found: Vec<(&Value, Vec<&ProfileValue>)> = Vec::new();
    for value in values.iter().filter(|value| !is_overlay(value.profile)) {
        match found.iter_mut().find(|(known, _)| **known == value.value) {
            Some((_, places)) => places.push(value),
            None => found.push((&value.value, vec![value])),
        }
    }
    found
}

fn is_overlay(profile: &str) -> bool {
    ProfileDocument::built_in(profile)
        .is_some_and(|document| document.benchmark.is_none() && document.extends.is_none())
}

fn by_default(values: &[ProfileValue]) -> String {
    let found = base_values(values);
    match found.as_slice() {
        [] => NOTHING.to_owned(),
        [(value, _)] => format!("{} in every benchmark profile", code(&written(value))),
        many => {
            let each = many.iter().map(|(value, places)| {
                let mut text = format!("{} in ", code(&written(value)));
                for (index, place) in places.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    let _infallible = write!(text, "{comma}{}{}", place.profile, on_minors(place, many));
                }
                text
            });
            each.collect::<Vec<_>>().join("; ")
        }
    }
}

/// Returns the minors of a value, if the profile has another value on others.
fn on_minors(place: &ProfileValue, many: &[(&Value, Vec<&ProfileValue>)]) -> String {
    let all = many.iter().flat_map(|(_, places)| places);
    match (all.filter(|other| other.profile == place.profile).count(), place.from == place.to) {
        (1, _) => String::new(),
        (_, true) => format!(" (Kubernetes {})", place.from),
        (_, false) => format!(" (Kubernetes {} to {})", place.from, place.to),
    }
}

/// Returns a line for each overlay that sets it.
fn in_overlays(values: &[ProfileValue]) -> Vec<String> {
    let overlays: Vec<&ProfileValue> = values.iter().filter(|value| is_overlay(value.profile)).collect();
    let names: BTreeSet<&str> = overlays.iter().map(|value| value.profile).collect();
    let line = |name: &str| {
        let own: Vec<&&ProfileValue> = overlays.iter().filter(|value| value.profile == name).collect();
        let text = |value: &&&ProfileValue| match own.len() {
            1 => code(&written(&value.value)),
            _ => format!("{} (Kubernetes {} to {})", code(&written(&value.value)), value.from, value.to),
        };
        format!("In {name}: {}", own.iter().map(text).collect::<Vec<_>>().join(", "))
    };
    names.into_iter().map(line).collect()
}
