// SPDX-License-Identifier: Apache-2.0
//! Whole trees: for each case, `apply` on its root gives its expected tree, and a second `apply` changes nothing.
//!
//! ```text
//! fixtures/<case>/arguments   one argument a line; CASE is the case's directory
//! fixtures/<case>/root/       the node before (none: empty)
//! fixtures/<case>/expected/   the files after, our version replaced by VERSION
//! fixtures/<case>/modes       every path after with its mode (git keeps no modes)
//! fixtures/<case>/output      exit code, stdout and stderr of the first run
//! ```
//!
//! `K3S_HARDEN_BLESS=1 cargo test --test it fixtures` writes what it finds; read the diff before you commit it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::minors::released;
use crate::support::{Node, walk};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Tells whether the fixtures are written rather than compared.
fn is_blessing() -> bool {
    std::env::var_os("K3S_HARDEN_BLESS").is_some()
}

#[test]
fn every_case_gives_its_tree_and_then_rests() {
    let bless = is_blessing();
    if bless {
        write_matrix();
    }
    let mut cases: Vec<PathBuf> =
        fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 60, "there are only {} cases", cases.len());
    let mut wrong = String::new();
    for case in &cases {
        if let Err(difference) = run(case, bless) {
            writeln!(wrong, "{}: {difference}", case.file_name().unwrap().display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Every minor, role and strictness has a case, whatever else there is.
#[test]
fn the_matrix_is_complete() {
    if is_blessing() {
        return; // The other test is writing it.
    }
    for (name, _) in matrix() {
        assert!(fixtures().join(&name).join("modes").exists(), "{name} is missing");
    }
}

fn matrix() -> Vec<(String, String)> {
    let mut cases = Vec::new();
    for minor in released() {
        for role in ["server", "agent"] {
            for (strictness, profile) in [("default", "cis"), ("strict", "cis,strict")] {
                let arguments = format!("--k3s-version\n{minor}\n--role\n{role}\n--profile\n{profile}\n");
                cases.push((format!("{minor}-{role}-{strictness}"), arguments));
            }
        }
    }
    cases
}

fn write_matrix() {
    for (name, arguments) in matrix() {
        fs::create_dir_all(fixtures().join(&name)).unwrap();
        fs::write(fixtures().join(name).join("arguments"), arguments).unwrap();
    }
}

fn run(case: &Path, bless: bool) -> Result<(), String> {
    let node = if case.join("root").exists() { Node::new().copy(&case.join("root")) } else { Node::new() };
    let arguments =
        fs::read_to_string(case.join("arguments")).unwrap().replace("CASE", case.to_str().unwrap());
    let arguments: Vec<&str> = ["apply"].into_iter().chain(arguments.lines()).collect();
    let output = node.run(&arguments);
    let printed = format!("exit {}\n{}{}", output.code, output.stdout, output.stderr)
        .replace(case.to_str().unwrap(), "CASE");
    let found = files(node.path());
    if bless {
        fs::write(case.join("modes"), node.tree()).unwrap();
        fs::write(case.join("output"), &printed).unwrap();
        let expected = case.join("expected");
        fs::remove_dir_all(&expected).unwrap_or_default();
        for (path, text) in &found {
            let path = expected.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    same("output", &fs::read_to_string(case.join("output")).unwrap_or_default(), &printed)?;
    same("modes", &fs::read_to_string(case.join("modes")).unwrap_or_default(), &node.tree())?;
    let expected = files(&case.join("expected"));
    let names = |files: &[(PathBuf, String)]| {
        files.iter().map(|(path, _)| format!("{}\n", path.display())).collect::<String>()
    };
    same("files", &names(&expected), &names(&found))?;
    for ((path, expected), (_, found)) in expected.iter().zip(&found) {
        same(&path.display().to_string(), expected, found)?;
    }
    if output.code == 0 {
        let before = node.fingerprint();
        let again = node.run(&arguments);
        same("the second run", "Nothing to change.\n", &again.stdout)?;
        if node.fingerprint() != before {
            return Err("the second run changed something".into());
        }
    }
    Ok(())
}

/// Returns every file below `root` but the journal's.
fn files(root: &Path) -> Vec<(PathBuf, String)> {
    if !root.exists() {
        return Vec::new();
    }
    let paths =
        walk(root).into_iter().map(|(path, _)| path).filter(|path| !path.starts_with("var/lib/k3s-harden"));
    let files = paths.filter(|path| root.join(path).is_file());
    files
        .map(|path| {
            let text = fs::read_to_string(root.join(&path)).unwrap();
            (path, text.replace(&format!("k3s-harden {}", env!("CARGO_PKG_VERSION")), "k3s-harden VERSION"))
        })
        .collect()
}

fn same(what: &str, expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!(
        "{what}:\n{}",
        similar::TextDiff::from_lines(expected, found).unified_diff().header("expected", "found")
    ))
}
