// SPDX-License-Identifier: Apache-2.0
//! The pages are true: the paths that they name exist, and what they list is whole: tables, rooms, formats, exit codes, minors,
//! changes. tests/it/docs looks at their links and commands.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the project's own files")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::ValueEnum as _;
use k3s_harden::document::changes;
use k3s_harden::error::{ErrorKind, exit};
use k3s_harden::render::RenderFormat;
use k3s_harden::version::table_heads;

use crate::docs::{self, by_hand};
use crate::minors::released;

/// The folders of the project whose files the documents name by their paths.
const FOLDERS: [&str; 9] =
    ["src/", "tests/", "docs/", "templates/", "profiles/", "examples/", "benches/", "fuzz/", ".ci/"];

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(docs::quoted)
}

/// Whether a path exists. In a part of it, `*` stands for anything.
fn exists(path: &str) -> bool {
    match path.split_once('*') {
        None => Path::new(path).exists(),
        Some((before, after)) => {
            let (folder, begin) = before.rsplit_once('/').unwrap();
            let (end, rest) = after.find('/').map_or((after, ""), |at| after.split_at(at));
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
                let name = path.file_name().unwrap().to_str().unwrap();
                let rest = rest.trim_start_matches('/');
                name.len() >= begin.len() + end.len()
                    && name.starts_with(begin)
                    && name.ends_with(end)
                    && (rest.is_empty() || path.join(rest).exists())
            })
        }
    }
}

#[test]
fn every_path_that_a_document_names_exists() {
    let mut found = 0;
    let mut missing = Vec::new();
    for document in by_hand() {
        let document = document.to_str().unwrap();
        let text = read(document);
        for word in quoted(&text).filter_map(|text| text.split_whitespace().next()) {
            // What a recipe leaves open.
            let is_made_up = ["NAME", "X.Y"].iter().any(|part| word.contains(part));
            if !is_made_up && FOLDERS.iter().any(|folder| word.starts_with(folder)) {
                found += 1;
                if !exists(word) {
                    missing.push(format!("{document}: {word}"));
                }
            }
        }
    }
    assert!(found > 100, "{found}");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_readme_has_every_minor() {
    let readme = read("README.md");
    let minors = released();
    let range = format!("({} to {})", minors[0], minors[minors.len() - 1]);
    assert!(readme.contains(&range), "{range}");
}

#[test]
fn the_guide_has_every_render_format() {
    let guide = read("docs/guides/render.md");
    let (_, table) = guide.split_once("| `--as` | for |\n|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let mut listed: Vec<&str> = rows.flat_map(|row| quoted(row.split('|').nth(1).unwrap())).collect();
    listed.sort_unstable();
    let formats = RenderFormat::value_variants().iter().map(|format| format.to_possible_value().unwrap());
    let mut formats: Vec<String> = formats.map(|format| format.get_name().to_owned()).collect();
    formats.sort_unstable();
    assert_eq!(listed, formats);
}

/// The page has every code with its meaning, and README.md every code.
#[test]
fn every_exit_code_is_listed() {
    let rows_of = |text: &str, head: &str| -> Vec<String> {
        let (_, table) = text.split_once(&format!("| {head} | meaning |\n|---|---|\n")).unwrap();
        table.lines().take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
    };
    let meanings = exit::meanings();
    let row = |code: u8, meaning: &str| format!("| <a id=\"{code}\"></a>{code} | {meaning} |");
    let rows: Vec<String> = meanings.iter().map(|known| row(known.code, known.meaning)).collect();
    assert_eq!(rows_of(&read("docs/reference/exit-codes.md"), "exit"), rows);
    let mut codes: Vec<u8> = ErrorKind::ALL.iter().map(|kind| kind.exit_code()).collect();
    codes.extend([exit::OK, exit::CHANGES, exit::WOULD_NOT_START, exit::CANNOT_TELL, exit::FINDINGS]);
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(meanings.iter().map(|row| row.code).collect::<Vec<_>>(), codes);
    let short = rows_of(&read("README.md"), "code");
    let mut listed: Vec<u8> = short
        .iter()
        .flat_map(|row| row.split('|').nth(1).unwrap().split(','))
        .map(|code| code.trim().parse().unwrap())
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, codes);
}

/// What a version changes on a hardened node is told in its section, in the words that `plan` shows.
#[test]
fn the_changelog_has_every_change_on_a_hardened_node() {
    let text = read("CHANGELOG.md");
    let sections: Vec<&str> = text.split("\n## [").skip(1).collect();
    assert!(sections[0].starts_with("Unreleased]"), "{}", sections[0]);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let sections: Vec<(Vec<u32>, String)> = sections
        .into_iter()
        .map(|section| {
            let version = section.split(']').next().unwrap();
            // What is not released comes after every version.
            let numbers = match version {
                "Unreleased" => vec![u32::MAX],
                version => version.split('.').map(|number| number.parse().unwrap()).collect(),
            };
            let marker = "\n### On a node that ";
            let rows =
                section.split_once(marker).map_or("", |(_, rest)| rest.split("\n### ").next().unwrap());
            (numbers, words(rows))
        })
        .collect();
    assert!(!changes().is_empty());
    for row in changes() {
        let since: Vec<u32> =
            row.since.to_string().split('.').map(|number| number.parse().unwrap()).collect();
        let told =
            sections.iter().any(|(version, rows)| *version > since && rows.contains(&words(&row.what)));
        assert!(told, "CHANGELOG.md does not say: changed since {}: {}", row.since, row.what);
    }
}

#[test]
fn every_table_is_listed_once() {
    let text = read("docs/ARCHITECTURE.md");
    let rows =
        text.lines().filter_map(|line| line.strip_prefix("| `src/")).filter(|row| row.contains("data/"));
    let mut listed = BTreeMap::new();
    for row in rows {
        let (file, cells) = row.split_once('`').unwrap();
        let head = match cells.trim_end_matches(" |").rsplit("| ").next() {
            Some("yes") => true,
            Some("no") => false,
            other => panic!("{file}: {other:?}"),
        };
        assert_eq!(listed.insert(format!("src/{file}"), head), None, "{file} stands there twice");
    }
    let heads: Vec<&str> = table_heads().iter().map(|head| head.file).collect();
    let mut tables = BTreeMap::new();
    let folders = fs::read_dir("src").unwrap().map(|entry| entry.unwrap().path());
    for folder in folders.flat_map(|path| [path.join("data"), path]).filter(|path| path.ends_with("data")) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let file = path.to_str().unwrap().to_owned();
                tables.insert(file.clone(), heads.contains(&file.as_str()));
            }
        }
    }
    assert_eq!(listed, tables);
}

#[test]
fn the_rooms_stand_in_their_order() {
    let text = read("docs/ARCHITECTURE.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `src/")?.split_once("/` |"));
    let rooms: Vec<&str> = rows.map(|(room, _)| room).collect();
    let ground = super::architecture::ROOMS.len() - 1;
    assert_eq!(rooms, super::architecture::ROOMS[..ground].concat());
}

/// Texts of others, and what a node or a program has written: they are read byte by byte.
const NOT_OURS: [&str; 12] = [
    "tests/certificates/",
    "tests/fixtures/",
    "tests/guide/",
    "tests/nodes/",
    "tests/released/",
    "tests/scanner/",
    "tests/it/component_values/seeds/",
    "tests/it/reports/schemas/",
    "tests/it/snapshots/",
    "examples/reports/",
    "fuzz/corpus/",
    "target/",
];

/// Every source file names its licence in its first two lines, for those who read them apart from LICENSE.
#[test]
fn every_source_names_its_licence() {
    const MARK: &str = "SPDX-License-Identifier: Apache-2.0";
    const ENDINGS: [&str; 7] = ["rs", "sh", "py", "go", "yaml", "yml", "tera"];
    let mut left = [
        "src",
        "tests",
        "templates",
        "profiles",
        "examples",
        "benches",
        "fuzz",
        "packaging",
        ".ci",
        "build.rs",
    ]
    .map(std::path::PathBuf::from)
    .to_vec();
    let (mut read, mut missing) = (0, Vec::new());
    while let Some(path) = left.pop() {
        let name = path.to_str().unwrap();
        if NOT_OURS.iter().any(|folder| format!("{name}/").starts_with(folder)) || name.ends_with("/target") {
            continue;
        }
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if ENDINGS.contains(&ending)
            || name.starts_with(".ci/")
            || ["run", "reproducible", "prerm"].contains(&path.file_name().unwrap().to_str().unwrap())
        {
            read += 1;
            let text = fs::read_to_string(&path).unwrap();
            if !text.lines().take(2).any(|line| line.contains(MARK)) {
                missing.push(name.to_owned());
            }
        }
    }
    assert!(read > 500, "{read}");
    assert!(missing.is_empty(), "{} files: {missing:#?}", missing.len());
}
