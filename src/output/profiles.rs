// SPDX-License-Identifier: Apache-2.0
//! Profiles as text and JSON: the list, a resolved profile, and the differences between two profiles.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::origin::ReportOrigin;
use super::screen::{ScreenText, Style};
use crate::document::join;
use crate::profile::{Profile, ProfileDocument, declarations, titles};

/// Returns the list of the built-in profiles.
#[must_use]
pub fn list_text(documents: &[ProfileDocument]) -> ScreenText {
    let mut text = ScreenText::new(Style::Plain);
    let width = documents.iter().map(|document| document.name.len()).max().unwrap_or(0);
    for document in documents {
        let fits = document.kubernetes.unwrap_or_default().to_string();
        let description = document.description.as_deref().unwrap_or_default();
        text.line(format!("{:width$}  Kubernetes {fits:12}  {description}", document.name));
    }
    text
}

/// Returns the list of the built-in profiles.
#[must_use]
pub fn list_json(documents: &[ProfileDocument], origin: &ReportOrigin) -> Value {
    let rows = documents.iter().map(|document| {
        let range = document.kubernetes.unwrap_or_default();
        json!({
            "name": document.name,
            "description": document.description,
            "benchmark": document.benchmark,
            "extends": document.extends,
            "kubernetes": {"from": range.from.map(|minor| minor.to_string()), "to": range.to.map(|minor| minor.to_string())},
        })
    });
    origin.answer(json!({"profiles": rows.collect::<Vec<_>>()}))
}

/// Returns a resolved profile: every setting with its value and origin, and every control.
#[must_use]
pub fn show_text(profile: &Profile) -> ScreenText {
    let mut text = ScreenText::new(Style::Plain);
    let names = profile.names.join(" + ");
    text.line(format!("# {names} for Kubernetes {}, CIS {}", profile.minor, profile.benchmark));
    text.line("settings:");
    let declarations = declarations();
    for (name, resolved) in &profile.values {
        let Some(declaration) = declarations.get(name).filter(|row| row.kubernetes.contains(profile.minor))
        else {
            continue;
        };
        text.line(format!("  # {}", declaration.description.trim_end()));
        text.line(format!("  {name}: {}  # {}", resolved.value, resolved.origin));
    }
    text.line("controls:");
    let titles = titles();
    for (name, ids) in &profile.numbers {
        let title = titles.get(name).map_or("", String::as_str);
        text.line(format!("  {name}: [{}]  # {title}", quoted(ids)));
    }
    text
}

/// Returns a resolved profile.
#[must_use]
pub fn show_json(profile: &Profile, origin: &ReportOrigin) -> Value {
    let declarations = declarations();
    let settings: BTreeMap<&String, Value> = profile
        .values
        .iter()
        .filter(|(name, _)| declarations.get(*name).is_some_and(|row| row.kubernetes.contains(profile.minor)))
        .map(|(name, resolved)| {
            let row = &declarations[name];
            let setting = json!({
                "value": resolved.value, "origin": resolved.origin.to_string(),
                "type": row.type_in_words(), "description": row.description,
            });
            (name, setting)
        })
        .collect();
    let controls: BTreeMap<&String, Vec<String>> = profile
        .numbers
        .iter()
        .map(|(name, ids)| (name, ids.iter().map(ToString::to_string).collect()))
        .collect();
    origin.answer(json!({
        "profile": profile.names,
        "kubernetes": profile.minor.to_string(),
        "benchmark": profile.benchmark,
        "settings": settings,
        "controls": controls,
    }))
}

/// A difference between two profiles: the name and both values.
type Difference = (String, Value, Value);

fn differences(a: &Profile, b: &Profile) -> (Vec<Difference>, Vec<Difference>) {
    let settings = a.differing_settings(b);
    let ids = |profile: &Profile, name: &String| {
        profile.numbers.get(name).map_or(Value::Null, |ids| join(ids).into())
    };
    let mut names: Vec<&String> = a.numbers.keys().chain(b.numbers.keys()).collect();
    names.sort();
    names.dedup();
    let controls = names.into_iter().filter_map(|name| {
        let (left, right) = (ids(a, name), ids(b, name));
        (left != right).then(|| (name.clone(), left, right))
    });
    (settings, controls.collect())
}

/// Tells whether two profiles differ in nothing: with these differences, for the same minor and of the same benchmark.
fn is_same(a: &Profile, b: &Profile, (settings, controls): (&[Difference], &[Difference])) -> bool {
    settings.is_empty() && controls.is_empty() && (a.minor, &a.benchmark) == (b.minor, &b.benchmark)
}

/// Returns the differences between two profiles, a line for each side.
#[must_use]
pub fn diff_text(a: &Profile, b: &Profile) -> ScreenText {
    let head = |profile: &Profile| format!("{} for Kubernetes {}", profile.names.join(" + "), profile.minor);
    let mut text = ScreenText::new(Style::Plain);
    text.line(format!("--- {}", head(a)));
    text.line(format!("+++ {}", head(b)));
    let (settings, controls) = differences(a, b);
    for (title, rows) in [("settings", &settings), ("controls", &controls)] {
        if !rows.is_empty() {
            text.line(format!(" {title}:"));
        }
        for (name, left, right) in rows {
            for (sign, value) in [('-', left), ('+', right)] {
                if !value.is_null() {
                    text.line(format!("{sign}  {name}: {value}"));
                }
            }
        }
    }
    if is_same(a, b, (&settings, &controls)) {
        text.line(" the profiles are identical");
    } else if settings.is_empty() && controls.is_empty() {
        let about = |profile: &Profile| format!("CIS {} for {}", profile.benchmark, profile.minor);
        text.line(format!(
            " same settings and controls; first profile: {}, second profile: {}",
            about(a),
            about(b)
        ));
    }
    text
}

/// Returns the differences between two profiles for programs.
#[must_use]
pub fn diff_json(a: &Profile, b: &Profile, origin: &ReportOrigin) -> Value {
    let rows = |rows: Vec<Difference>| -> BTreeMap<String, Value> {
        rows.into_iter().map(|(name, left, right)| (name, json!([left, right]))).collect()
    };
    let (settings, controls) = differences(a, b);
    let same = is_same(a, b, (&settings, &controls));
    origin.answer(
        json!({"a": a.names, "b": b.names, "same": same, "settings": rows(settings), "controls": rows(controls)}),
    )
}

fn quoted(ids: &[crate::profile::ControlId]) -> String {
    ids.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(", ")
}
