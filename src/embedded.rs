//! The data that the binary carries: `profiles/*.yaml` and the tables in `src/*/data/`, made JSON by build.rs.

use serde::de::Deserialize;
use serde_json::Value;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Returns the table `data/<name>.yaml`.
///
/// # Panics
/// Where the table does not have the shape of `T`; the tests read every table.
pub(crate) fn table<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    let json = [TABLES, K3S_TABLES, DOCUMENT_TABLES, VERIFY_TABLES, SCANNER_TABLES]
        .into_iter()
        .find_map(|tables| find(tables, name))
        .expect("the table is part of the project");
    serde_json::from_str(json).expect("the table has the shape that its reader expects")
}

/// Returns the built-in profile `name` as it is written.
pub(crate) fn profile(name: &str) -> Option<Value> {
    find(PROFILES, name).map(|json| serde_json::from_str(json).expect("build.rs wrote JSON"))
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
