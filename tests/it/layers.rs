// SPDX-License-Identifier: Apache-2.0
//! The files of a room build on one another in layers: no two import each other, directly or over others.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the project's own files")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The rooms that hold this.
const ROOMS: [&str; 24] = [
    "cli",
    "output",
    "report",
    "reference",
    "render",
    "explain",
    "verify",
    "verify/checks",
    "verify/checks/pod_security",
    "scanner",
    "preflight",
    "apply",
    "plan",
    "document",
    "profile",
    "k3s",
    "k3s/command_line",
    "k3s/own_values",
    "k3s/service",
    "k3s/service/shell",
    "k3s/service/systemd",
    "node",
    "kubernetes",
    "kubernetes/settings",
];

/// The files of a room, each with those that its code imports; what stands below `#[cfg(test)]` does not count.
fn imports(room: &str) -> BTreeMap<String, BTreeSet<String>> {
    let paths = fs::read_dir(format!("src/{room}")).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeMap<String, String> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), code)
        })
        .filter(|(name, _)| name != "mod")
        .collect();
    let path = room.replace('/', "::");
    let uses = |code: &str, name: &str| {
        let starts = [format!("super::{name}::"), format!("crate::{path}::{name}::")];
        let alone = [format!("use super::{name};"), format!("use crate::{path}::{name};")];
        let listed = code.split(';').filter_map(|item| item.split_once("use super::{")).any(|(_, list)| {
            list.split([',', '}', ' ', '\n']).any(|word| word.split("::").next() == Some(name))
        });
        listed || starts.iter().chain(&alone).any(|text| code.contains(text.as_str()))
    };
    files
        .iter()
        .map(|(name, code)| {
            let others = files.keys().filter(|other| *other != name && uses(code, other));
            (name.clone(), others.cloned().collect())
        })
        .collect()
}

#[test]
fn the_files_of_a_room_import_no_circle() {
    for room in ROOMS {
        let mut left = imports(room);
        assert!(left.values().any(|others| !others.is_empty()), "{room}: no import is found");
        // Takes away what imports nothing that is left: in the end only circles are.
        loop {
            let free: Vec<String> =
                left.iter().filter(|(_, others)| others.is_empty()).map(|(name, _)| name.clone()).collect();
            if free.is_empty() {
                break;
            }
            left.retain(|name, _| !free.contains(name));
            for others in left.values_mut() {
                others.retain(|other| !free.contains(other));
            }
        }
        assert!(left.is_empty(), "{room}: these import one another: {left:?}");
    }
}
