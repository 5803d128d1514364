// SPDX-License-Identifier: Apache-2.0
//! docs/sources.yaml lists what the tables cite: each source of explanations.yaml once and nothing else, and what comments of
//! other tables cite.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the project's own files")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde::Deserialize;
use serde_yaml::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SourceRow {
    source: String,
    cited_in: Option<String>,
    not_opened: Option<String>,
    opened: Option<String>,
    #[serde(default, rename = "where")]
    places: Vec<String>,
    #[serde(default)]
    saw: Vec<String>,
    note: Option<String>,
}

fn rows() -> Vec<SourceRow> {
    serde_yaml::from_str(&fs::read_to_string("docs/sources.yaml").unwrap()).unwrap()
}

/// Adds every source below a value.
fn collect(value: &Value, sources: &mut BTreeSet<String>) {
    match value {
        Value::Mapping(pairs) => {
            for (key, value) in pairs {
                match (key.as_str(), value.as_str()) {
                    (Some("source"), Some(text)) => sources.extend(text.split("; ").map(str::to_owned)),
                    _ => collect(value, sources),
                }
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, sources)),
        _ => {}
    }
}

/// What two lists of names do not share.
fn differences(cited: &BTreeSet<String>, listed: &BTreeSet<String>) -> Vec<String> {
    let missing = cited.difference(listed).map(|source| format!("not in docs/sources.yaml: {source}"));
    let extra = listed.difference(cited).map(|source| format!("nothing cites it: {source}"));
    missing.chain(extra).collect()
}

#[test]
fn each_source_of_an_explanation_is_listed_and_no_other() {
    let mut cited = BTreeSet::new();
    for table in ["explanations", "departures"] {
        let text = fs::read_to_string(format!("src/explain/data/{table}.yaml")).unwrap();
        let rows = text.split_once("\n---\n").map_or(text.as_str(), |(_, rows)| rows);
        collect(&serde_yaml::from_str(rows).unwrap(), &mut cited);
    }
    assert!(cited.len() > 80, "{}", cited.len());
    let listed: BTreeSet<String> =
        rows().into_iter().filter(|row| row.cited_in.is_none()).map(|row| row.source).collect();
    assert_eq!(differences(&cited, &listed), Vec::<String>::new());
    let other = BTreeSet::from(["a page".to_owned()]);
    assert_eq!(differences(&other, &listed).len(), listed.len() + 1, "both sides are compared");
}

/// The Go files that a text names, each without the commit behind it.
fn go_files(text: &str) -> impl Iterator<Item = String> {
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let words = text.split(move |c| !is_of_path(c));
    words.filter(|word| word.ends_with(".go")).map(str::to_owned)
}

/// K3s's own values are judged by what its code does: each file of it that was read is listed.
#[test]
fn each_go_file_that_own_values_cites_is_listed_and_no_other() {
    const TABLE: &str = "src/k3s/data/own-values.yaml";
    let text = fs::read_to_string(TABLE).unwrap();
    let mut cited = BTreeSet::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        collect(&Value::deserialize(document).unwrap(), &mut cited);
    }
    let cited: BTreeSet<String> = cited.iter().flat_map(|source| go_files(source)).collect();
    assert!(cited.len() > 40, "{}", cited.len());
    let of_table = |row: &SourceRow| row.cited_in.as_deref() == Some(TABLE);
    let listed: BTreeSet<String> = rows().into_iter().filter(of_table).map(|row| row.source).collect();
    assert_eq!(differences(&cited, &listed), Vec::<String>::new());
}

#[test]
fn comments_cite_what_is_listed_of_them() {
    let flat = |path: &str| {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let lines = text.lines().map(|line| line.trim_start().trim_start_matches('#'));
        lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
    };
    for row in rows() {
        if let Some(path) = row.cited_in {
            assert!(flat(&path).contains(&row.source), "{path} does not cite {}", row.source);
        }
    }
}

#[test]
fn each_row_says_what_was_seen_or_why_nothing_was() {
    let mut seen = BTreeMap::new();
    for row in rows() {
        let name = &row.source;
        *seen.entry(name.clone()).or_insert(0) += 1;
        match (&row.opened, &row.not_opened) {
            (Some(day), None) => {
                assert!(day.starts_with("20") && day.len() == 10, "{name}: {day}");
                assert!(!row.places.is_empty() && !row.saw.is_empty(), "{name} says nothing");
            }
            (None, Some(reason)) => assert!(reason.ends_with('.'), "{name}: {reason}"),
            _ => panic!("{name} was opened, or it was not"),
        }
        for text in row.saw.iter().chain(&row.note) {
            assert!(text.ends_with('.'), "{name}: no sentence: {text}");
        }
        // No place of the machine on which it was read.
        for place in &row.places {
            assert!(!place.starts_with('/') && !place.contains(" /"), "{name}: {place}");
        }
    }
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
