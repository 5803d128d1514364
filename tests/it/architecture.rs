// SPDX-License-Identifier: Apache-2.0
//! The order of the rooms: a room imports only rooms below it. And names: each type of the library has its own.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the top down. The last line is the ground: it may import itself, and nothing above.
pub(crate) const ROOMS: [&[&str]; 17] = [
    &["cli"],
    &["output"],
    &["report"],
    &["reference"],
    &["render"],
    &["explain"],
    &["verify"],
    &["scanner"],
    &["preflight"],
    &["apply"],
    &["plan"],
    &["document"],
    &["profile"],
    &["k3s"],
    &["node"],
    &["kubernetes"],
    &["error", "role", "mode", "version", "build_info", "embedded", "nearest", "shell_word"],
];

/// What lib.rs re-exports at its top, and where it is from.
const RE_EXPORTS: [(&str, &str); 4] =
    [("Role", "role"), ("Error", "error"), ("ErrorKind", "error"), ("Result", "error")];

pub(crate) fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file below src/ with its path there and its text.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let named = |path: &PathBuf| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    found.iter().map(|path| (named(path), fs::read_to_string(path).unwrap())).collect()
}

fn floor(room: &str) -> Option<usize> {
    ROOMS.iter().position(|rooms| rooms.contains(&room))
}

/// Returns the rooms that a text names after `crate::`, in `use` lines and elsewhere.
fn imports(text: &str) -> Vec<String> {
    let code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    let code: String = code.collect::<Vec<_>>().join("\n");
    let name =
        |rest: &str| rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    let mut found = Vec::new();
    for (at, mark) in code.match_indices("crate::") {
        let rest = &code[at + mark.len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                found.extend(group[..group.find('}').unwrap()].split(',').map(|one| name(one.trim())));
            }
            None => found.push(name(rest)),
        }
    }
    found
}

#[test]
fn no_room_imports_a_room_above_it() {
    let mut upward = Vec::new();
    for (path, text) in files() {
        let room = path.split(['/', '.']).next().unwrap();
        if matches!(room, "lib" | "main") {
            continue;
        }
        let from = floor(room).unwrap_or_else(|| panic!("src/{path}: name its room in ROOMS"));
        for import in imports(&text) {
            let target =
                RE_EXPORTS.iter().find(|(name, _)| *name == import).map_or(&*import, |(_, room)| room);
            let to = floor(target).unwrap_or_else(|| panic!("src/{path} imports {target}, which is no room"));
            if to < from {
                upward.push(format!("src/{path} imports {target}"));
            }
        }
    }
    assert!(upward.is_empty(), "upward imports:\n{}", upward.join("\n"));
}

#[test]
fn each_type_has_a_name_of_its_own() {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in files() {
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = words.iter().position(|word| matches!(*word, "struct" | "enum" | "trait"));
            let Some(at) = at.filter(|at| words[..*at].iter().all(|word| word.starts_with("pub"))) else {
                continue;
            };
            let name = words[at + 1].split(['<', '(', '{', ';', ':']).next().unwrap();
            names.entry(name.to_owned()).or_default().push(path.clone());
        }
    }
    names.retain(|_, paths| paths.len() > 1);
    assert!(names.is_empty(), "names that stand for several types: {names:#?}");
}
