// SPDX-License-Identifier: Apache-2.0
//! Turns the YAML data of the project (profiles, settings, controls, minors) into JSON that the binary embeds, embeds the
//! templates and the JSON schemas, and tells the binary its commit and target.
//!
//! Parsing YAML was the dearest part of a run that changes nothing, and what is fixed at build time need not
//! be parsed as YAML on every node. A file that is not valid YAML fails the build here.
//!
//! A table whose facts differ by Kubernetes minor begins with a head, a YAML document of its own:
//!
//! ```yaml
//! through: "1.37" # the newest minor that the rows were checked against; a newer one takes the rows of this one
//! ---
//! ```
//!
//! With the environment variable `K3S_HARDEN_NEXT_MINOR` a debug build supports one minor more, which only has its
//! row in `src/data/minors.yaml`, with the profile of the newest: so the tests show what a new minor needs.
//!
//! The commit is what the environment variable `K3S_HARDEN_COMMIT` says, else what git says of a release build, else `unknown`.

#![allow(clippy::disallowed_methods, reason = "a build script has no node")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde::Deserialize;
use serde_yaml::Value;

/// The environment variable that adds a made-up minor.
const NEXT_MINOR: &str = "K3S_HARDEN_NEXT_MINOR";

/// The environment variable that names the commit, for builds without git.
const COMMIT: &str = "K3S_HARDEN_COMMIT";

/// Folders whose `*.yaml` are embedded, and the constant each becomes.
const FOLDERS: [(&str, &str); 9] = [
    ("profiles", "PROFILES"),
    ("src/data", "VERSION_TABLES"),
    ("src/kubernetes/data", "KUBERNETES_TABLES"),
    ("src/k3s/data", "K3S_TABLES"),
    ("src/document/data", "DOCUMENT_TABLES"),
    ("src/profile/data", "PROFILE_TABLES"),
    ("src/scanner/data", "SCANNER_TABLES"),
    ("src/verify/data", "VERIFY_TABLES"),
    ("src/explain/data", "EXPLAIN_TABLES"),
];

/// The tables of which a run reads one entry or two: each entry is embedded by itself, so that the others are not read.
const BY_ENTRY: [&str; 3] = ["component-flags", "default-flags", "feature-gates"];

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let mut code = String::new();
    let mut heads = BTreeMap::new();
    println!("cargo::rerun-if-env-changed={NEXT_MINOR}");
    println!("cargo::rustc-check-cfg=cfg(next_minor)");
    if env::var_os(NEXT_MINOR).is_some() {
        assert_ne!(env::var("PROFILE").as_deref(), Ok("release"), "a release has no made-up minor");
        println!("cargo::rustc-cfg=next_minor");
    }
    for (folder, constant) in FOLDERS {
        println!("cargo::rerun-if-changed={folder}");
        writeln!(code, "/// `{folder}/*.yaml` as (name, JSON), sorted by name.").expect("a string takes it");
        writeln!(code, "const {constant}: &[(&str, &str)] = &[").expect("a string takes it");
        for (name, table) in read_folder(Path::new(folder)) {
            heads.extend(table.through.map(|through| (format!("{folder}/{name}.yaml"), through)));
            let mut rows = table.rows;
            if folder == "src/data" && name == "minors" && env::var_os(NEXT_MINOR).is_some() {
                add_next_minor(&mut rows);
            }
            for (name, rows) in entries(name, rows) {
                let json = serde_json::to_string(&rows).expect("YAML with string keys is JSON");
                writeln!(code, "    ({name:?}, {json:?}),").expect("a string takes it");
            }
        }
        writeln!(code, "];").expect("a string takes it");
    }
    writeln!(
        code,
        "/// The tables with a head: (file, newest minor that it was checked against), sorted by file."
    )
    .expect("a string takes it");
    writeln!(code, "const TABLE_HEADS: &[(&str, &str)] = &[").expect("a string takes it");
    for (file, through) in heads {
        writeln!(code, "    ({file:?}, {through:?}),").expect("a string takes it");
    }
    writeln!(code, "];").expect("a string takes it");
    println!("cargo::rerun-if-changed=templates");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let folder = Path::new(&root).join("templates");
    writeln!(code, "/// `templates/` as (path, text).\nconst TEMPLATES: &[(&str, &str)] = &[")
        .expect("a string takes it");
    for path in read_templates(&folder) {
        let name = path.strip_prefix(&folder).expect("it is in the folder");
        writeln!(code, "    ({name:?}, include_str!({path:?})),").expect("a string takes it");
    }
    writeln!(code, "];").expect("a string takes it");
    println!("cargo::rerun-if-changed=docs/schema");
    let folder = Path::new(&root).join("docs/schema");
    writeln!(
        code,
        "/// `docs/schema/*.json` as (name, text), sorted by name.\nconst SCHEMAS: &[(&str, &str)] = &["
    )
    .expect("a string takes it");
    for path in read_schemas(&folder) {
        let name = path.file_stem().expect("it has a name");
        writeln!(code, "    ({name:?}, include_str!({path:?})),").expect("a string takes it");
    }
    writeln!(code, "];").expect("a string takes it");
    // `cargo run` hands them to the program, which warns of variables with its own prefix that it does not know.
    println!("cargo::rustc-env=BUILT_FROM_COMMIT={}", commit(Path::new(&root)));
    println!("cargo::rustc-env=BUILT_FOR_TARGET={}", env::var("TARGET").expect("cargo sets TARGET"));
    fs::write(Path::new(&out).join("embedded.rs"), code).expect("OUT_DIR can be written");
}

/// A file of a folder: its rows, and what its head says, where it has one.
struct Table {
    through: Option<String>,
    rows: Value,
}

/// Returns what is embedded of a table: the whole, or each of its entries as `<name>/<key>`.
fn entries(name: String, rows: Value) -> Vec<(String, Value)> {
    if !BY_ENTRY.contains(&name.as_str()) {
        return vec![(name, rows)];
    }
    let Value::Mapping(entries) = rows else { panic!("{name} has no entries") };
    let named = entries.into_iter().map(|(key, rows)| {
        let key = key.as_str().unwrap_or_else(|| panic!("{name}: {key:?} is no text"));
        (format!("{name}/{key}"), rows)
    });
    named.collect()
}

fn read_folder(folder: &Path) -> BTreeMap<String, Table> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder is part of the project") {
        let path = entry.expect("the folder can be read").path();
        if path.extension().is_some_and(|ext| ext == "yaml") {
            let text = fs::read_to_string(&path).expect("the file can be read");
            let table = read_table(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
            found.insert(name, table);
        }
    }
    found
}

/// Returns the templates in a folder and in those below it, sorted.
fn read_templates(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("the folder is part of the project") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(read_templates(&path));
        } else if path.extension().is_some_and(|ext| ext == "tera") {
            found.insert(path);
        }
    }
    found
}

/// Returns the schemas of a folder, sorted.
fn read_schemas(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is part of the project");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    paths.filter(|path| path.extension().is_some_and(|ext| ext == "json")).collect()
}

/// Returns the commit that is built, with `-changed` behind it if a file that git knows has changed since.
fn commit(root: &Path) -> String {
    println!("cargo::rerun-if-env-changed={COMMIT}");
    if let Some(named) = env::var(COMMIT).ok().filter(|named| !named.is_empty()) {
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || "._+-".contains(letter);
        assert!(named.chars().all(is_word), "{COMMIT} is a name of a commit, not {named:?}");
        return named;
    }
    // A debug build would be built anew at each commit.
    if env::var("PROFILE").as_deref() != Ok("release") {
        return "unknown".to_owned();
    }
    git_commit(root).unwrap_or_else(|| "unknown".to_owned())
}

/// Returns what git says of the commit; none if this is no checkout, such as an unpacked archive.
fn git_commit(root: &Path) -> Option<String> {
    let git = |words: &[&str]| {
        let output = Command::new("git").current_dir(root).args(words).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // An archive may be unpacked inside a checkout of something else.
    let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    if fs::canonicalize(top).ok()? != fs::canonicalize(root).ok()? {
        return None;
    }
    // What tells of another commit, and of files that have changed.
    let folder = PathBuf::from(git(&["rev-parse", "--absolute-git-dir"])?);
    for path in [folder.join("HEAD"), folder.join("logs/HEAD"), root.join("src"), root.join("Cargo.toml")] {
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let commit = git(&["rev-parse", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}-changed") })
}

fn read_table(text: &str) -> Result<Table, String> {
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let mut value = Value::deserialize(document).map_err(|error| error.to_string())?;
        value.apply_merge().map_err(|error| error.to_string())?;
        documents.push(value);
    }
    let rows = documents.pop().ok_or("the file is empty")?;
    let through = match documents.as_slice() {
        [] => None,
        [Value::Mapping(head)] if head.len() == 1 => head.get("through").and_then(Value::as_str),
        _ => None,
    };
    if through.is_none() != documents.is_empty() {
        return Err("a head has the one key through, in quotes".to_owned());
    }
    Ok(Table { through: through.map(str::to_owned), rows })
}

/// Adds the row of the minor after the newest, with the newest one's profile.
fn add_next_minor(minors: &mut Value) {
    let rows = minors.as_sequence_mut().expect("minors.yaml is a list");
    let mut row = rows.last().expect("there is a minor").clone();
    let minor = row["minor"].as_str().and_then(|minor| minor.strip_prefix("1.")).expect("it is 1.x");
    let next = minor.parse::<u16>().expect("it is a number") + 1;
    row["minor"] = format!("1.{next}").into();
    rows.push(row);
}
