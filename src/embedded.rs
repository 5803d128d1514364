// SPDX-License-Identifier: Apache-2.0
//! The data that the binary carries: `profiles/*.yaml` and the tables in `src/*/data/`, made JSON by build.rs, and
//! `templates/` and `docs/schema/`.

use std::collections::BTreeMap;

use serde::de::Deserialize;
use serde_json::Value;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The tables of each room.
const ROOMS: [&[(&str, &str)]; 8] = [
    VERSION_TABLES,
    KUBERNETES_TABLES,
    K3S_TABLES,
    PROFILE_TABLES,
    DOCUMENT_TABLES,
    SCANNER_TABLES,
    VERIFY_TABLES,
    EXPLAIN_TABLES,
];

/// Returns the table `data/<name>.yaml`.
///
/// # Panics
/// If the table does not have the shape of `T`; the tests read every table.
pub(crate) fn table<T: Deserialize<'static>>(name: &str) -> T {
    read(ROOMS.into_iter().find_map(|tables| find(tables, name)).expect("the table is part of the project"))
}

/// Returns the entries of the table `data/<name>.yaml` that build.rs embeds one by one: their keys, and the JSON that [`read`] takes.
///
/// # Panics
/// If build.rs embeds the table as a whole.
pub(crate) fn entries(name: &str) -> BTreeMap<&'static str, &'static str> {
    let key_of = |path: &'static str| path.strip_prefix(name)?.strip_prefix('/');
    let of_room = |tables: &'static [(&'static str, &'static str)]| {
        tables.iter().filter_map(move |(path, json)| Some((key_of(path)?, *json)))
    };
    let entries: BTreeMap<_, _> = ROOMS.into_iter().flat_map(of_room).collect();
    assert!(!entries.is_empty(), "the table is part of the project, and has entries");
    entries
}

/// Reads JSON that build.rs wrote.
///
/// # Panics
/// If it does not have the shape of `T`; the tests read every table.
pub(crate) fn read<T: Deserialize<'static>>(json: &'static str) -> T {
    serde_json::from_str(json).expect("the table has the shape that its reader expects")
}

/// Returns the tables whose facts differ by minor: their files, and the newest minor that each was checked against.
pub(crate) fn table_heads() -> &'static [(&'static str, &'static str)] {
    TABLE_HEADS
}

/// Returns the built-in profile `name` as it is written.
pub(crate) fn profile(name: &str) -> Option<Value> {
    find(PROFILES, name).map(|json| serde_json::from_str(json).expect("build.rs wrote JSON"))
}

/// Returns the templates as (path below `templates/`, text).
pub(crate) fn templates() -> &'static [(&'static str, &'static str)] {
    TEMPLATES
}

/// Returns the JSON schemas of the answers as (name, text), sorted by name.
pub(crate) fn schemas() -> &'static [(&'static str, &'static str)] {
    SCHEMAS
}

/// Returns the names of the built-in profiles, oldest benchmark first and overlays last.
pub(crate) fn profile_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = PROFILES.iter().map(|(name, _)| *name).collect();
    // Benchmarks 1.23 and 1.24 came before 1.7: CIS took up its own numbering after Kubernetes 1.24.
    names.sort_by_key(|name| {
        let benchmark = name.strip_prefix("cis-").and_then(|version| version.split_once('.'));
        let number = benchmark.and_then(|(a, b)| Some((a.parse::<u16>().ok()?, b.parse::<u16>().ok()?)));
        number.map_or((2, 0, 0), |(major, minor)| {
            (u16::from((major, minor) < (1, 23) || major > 1), major, minor)
        })
    });
    names
}

fn find(entries: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    entries.iter().find(|(key, _)| *key == name).map(|(_, json)| *json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::KubernetesMinor;

    /// Every minor that a table names. Benchmarks have numbers of the same form, none of them above 1.24.
    fn minors(value: &Value) -> Vec<KubernetesMinor> {
        let minor = |text: &str| text.parse::<KubernetesMinor>().ok().filter(|minor| minor.number() > 24);
        match value {
            Value::String(text) => minor(text).into_iter().collect(),
            Value::Array(items) => items.iter().flat_map(minors).collect(),
            Value::Object(pairs) => {
                pairs.iter().flat_map(|(key, value)| minor(key).into_iter().chain(minors(value))).collect()
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_table_that_names_minors_has_a_head_and_none_that_is_newer() {
        let folders = [
            ("src/kubernetes/data", KUBERNETES_TABLES),
            ("src/k3s/data", K3S_TABLES),
            ("src/profile/data", PROFILE_TABLES),
            ("src/scanner/data", SCANNER_TABLES),
            ("src/verify/data", VERIFY_TABLES),
            ("src/explain/data", EXPLAIN_TABLES),
        ];
        let mut with_minors = 0;
        for (folder, tables) in folders {
            for (name, json) in tables {
                // Of some tables the entries are embedded.
                let (table, key) = name.split_once('/').unwrap_or((name, ""));
                let file = format!("{folder}/{table}.yaml");
                let of_rows = minors(&serde_json::from_str(json).unwrap()).into_iter();
                let newest = of_rows.chain(minors(&key.into())).max();
                let head = find(TABLE_HEADS, &file).map(|through| through.parse().unwrap());
                assert!(newest <= head, "{file} names {newest:?}, and its head {head:?}");
                with_minors += usize::from(newest.is_some());
            }
        }
        assert!(with_minors >= 9, "{with_minors}");
    }
}
