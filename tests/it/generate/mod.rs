// SPDX-License-Identifier: Apache-2.0
//! `generate`: what comes from the binary itself, as its readers get it. `reference`: the pages in docs/reference; `readers`:
//! the shells and the readers of manual pages; `version`: `--version`.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

mod readers;
mod reference;
mod version;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use regex::Regex;

use crate::support::{Output, binary, finish};
use k3s_harden::error::exit;

/// Runs the binary without a node: no root is named, and nothing of it is there.
pub(crate) fn run(words: &[&str]) -> Output {
    run_with(words, &[])
}

fn run_with(words: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = binary();
    command.args(words).envs(variables.iter().copied());
    finish(command, Path::new("/nowhere"))
}

/// Runs `generate`, which has to be done without a word on stderr.
fn generate(words: &[&str]) -> String {
    let output = run(&[&["generate"], words].concat());
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{words:?}");
    output.stdout
}

/// Writes documents into a directory, and returns their names with their texts.
fn written(words: &[&str], folder: &Path) -> Vec<(String, String)> {
    let said = generate(&[words, &["--out", folder.to_str().unwrap()]].concat());
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    let plural = if files.len() == 1 { "file" } else { "files" };
    assert_eq!(said, format!("Wrote {} {plural} to {}.\n", files.len(), folder.display()));
    files
}

/// The verbs that `--help` lists, each by its words; those of a verb with sub-verbs in its place.
fn verbs_of_help(words: &[&str]) -> Vec<Vec<String>> {
    let help = run(&[words, &["--help"]].concat()).stdout;
    let Some((_, listed)) = help.split_once("Commands:\n") else {
        return vec![words.iter().map(ToString::to_string).collect()];
    };
    let lines = listed.lines().take_while(|line| !line.is_empty());
    // A description that is long goes on below, farther to the right.
    let lines = lines.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let names = lines.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.flat_map(|name| verbs_of_help(&[words, &[name]].concat())).collect()
}

#[test]
fn each_verb_has_a_page_with_all_that_its_help_says() {
    let folder = tempfile::tempdir().unwrap();
    let pages = written(&["man"], folder.path());
    let verbs = verbs_of_help(&[]);
    assert!(verbs.len() >= 15, "{verbs:?}");
    let named: BTreeSet<String> =
        verbs.iter().map(|words| format!("k3s-harden-{}.1", words.join("-"))).collect();
    let found: BTreeSet<String> = pages.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(found, named.into_iter().chain(["k3s-harden.1".to_owned()]).collect());

    let flag = Regex::new(r"(?m)^\s+(?:-\w, )?(--[a-z0-9-]+)").unwrap();
    let variable = Regex::new(r"\[env: (\w+)=").unwrap();
    let program = &pages.iter().find(|(name, _)| name == "k3s-harden.1").unwrap().1;
    for words in verbs.iter().map(|words| words.iter().map(String::as_str).collect::<Vec<_>>()) {
        let page = generate(&[&["man"], words.as_slice()].concat());
        assert_eq!(page, generate(&["man", &words.join("-")]), "{words:?}");
        let help = run(&[words.as_slice(), &["--help"]].concat()).stdout;
        let flags: Vec<&str> =
            flag.captures_iter(&help).map(|found| found.get(1).unwrap().as_str()).collect();
        assert!(flags.contains(&"--help") && flags.contains(&"--quiet"), "{words:?}: {flags:?}");
        for one in flags {
            // The end of a word, so that --out is not taken for found in --output.
            let bold = format!("{}\\fR", one.replace('-', "\\-"));
            assert!(page.contains(&bold), "{words:?}: {one}");
        }
        for one in variable.captures_iter(&help).map(|found| found.get(1).unwrap().as_str()) {
            let bold = format!("\\fB{one}\\fR");
            assert!(page.contains(&bold) || program.contains(&bold), "{words:?}: {one}");
        }
    }
}

#[test]
fn a_page_has_the_sections_that_readers_expect() {
    let sections = |page: &str| -> Vec<String> {
        page.lines().filter_map(|line| line.strip_prefix(".SH ")).map(|name| name.replace('"', "")).collect()
    };
    let expected = "NAME SYNOPSIS DESCRIPTION OPTIONS EXIT_STATUS ENVIRONMENT FILES EXAMPLES SEE_ALSO";
    let expected: Vec<String> = expected.split(' ').map(|name| name.replace('_', " ")).collect();
    for verb in ["plan", "apply", "verify", "preflight", "rollback", "profile-show"] {
        assert_eq!(sections(&generate(&["man", verb])), expected, "{verb}");
    }
    let page = generate(&["man"]);
    for row in exit::meanings() {
        assert!(page.contains(&format!(".TP\n\\fB{}\\fR\n", row.code)), "{}", row.code);
    }
    assert!(page.contains("/etc/sysctl.d/90\\-kubelet.conf"), "{page}");
}

#[test]
fn a_short_page() {
    insta::assert_snapshot!(generate(&["man", "history"]));
}

#[test]
fn the_same_version_makes_the_same_bytes() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for what in ["man", "completions", "schema", "docs"] {
        let [one, two] = folders.each_ref().map(|folder| written(&[what], &folder.path().join(what)));
        assert_eq!(one, two, "{what}");
        assert!(one.len() > 2, "{what}");
    }
    // The only date is that of SOURCE_DATE_EPOCH, or that of the data; not of today.
    let dated = |variables: &[(&str, &str)]| {
        let page = run_with(&["generate", "man"], variables).stdout;
        page.lines().find(|line| line.starts_with(".TH ")).unwrap().to_owned()
    };
    assert!(dated(&[("SOURCE_DATE_EPOCH", "0")]).contains(" 1970-01-01 "));
    let data_date = k3s_harden::build_info::data_date();
    assert!(dated(&[("SOURCE_DATE_EPOCH", "")]).contains(&format!(" {data_date} ")));
}

#[test]
fn a_directory_is_made_and_its_files_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("deep/er");
    let first = written(&["completions"], &folder);
    let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["_k3s-harden", "k3s-harden", "k3s-harden.fish"]);
    for name in names {
        let path = folder.join(name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644, "{name}");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(written(&["completions"], &folder), first);
    assert_eq!(fs::metadata(folder.join("k3s-harden")).unwrap().permissions().mode() & 0o7777, 0o644);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o7777, 0o755);
    // One document alone.
    let other = tempfile::tempdir().unwrap();
    assert_eq!(written(&["man", "apply"], other.path())[0].0, "k3s-harden-apply.1");
}

#[test]
fn a_schema_is_printed_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for (name, text) in written(&["schema"], folder.path()) {
        assert_eq!(text, fs::read_to_string(format!("docs/schema/{name}")).unwrap(), "{name}");
        assert_eq!(generate(&["schema", name.strip_suffix(".json").unwrap()]), text);
        names.push(name);
    }
    let known = fs::read_dir("docs/schema").unwrap().count();
    assert_eq!(names.len(), known);
}

#[test]
fn what_cannot_be_generated_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    let file = file.to_str().unwrap();
    let below = format!("{file}/below");
    let circle = folder.path().join("circle");
    std::os::unix::fs::symlink("circle", &circle).unwrap();
    let circle = circle.to_str().unwrap();
    for (words, code, message) in [
        (
            ["docs"].as_slice(),
            64,
            "error: 19 files cannot be written to stdout\n help: name a directory: --out DIR\n",
        ),
        (
            &["schema"],
            64,
            "error: 13 files cannot be written to stdout\n help: name a schema, or name a directory: --out DIR\n",
        ),
        (
            &["completions"],
            64,
            "error: 3 files cannot be written to stdout\n help: name a shell (bash, zsh, fish), or name a directory: --out DIR\n",
        ),
        (&["man", "aply"], 64, "error: there is no manual page \"aply\"\n help: did you mean apply?\n"),
        (&["schema", "verfy"], 64, "error: there is no schema \"verfy\"\n help: did you mean verify?\n"),
        (
            &["man", "--format", "json"],
            64,
            "error: generate does not support --format\n help: remove --format, or unset K3S_HARDEN_FORMAT\n",
        ),
    ] {
        let output = run(&[&["generate"], words].concat());
        assert_eq!(
            (output.code, output.stdout.as_str(), output.stderr.as_str()),
            (code, "", message),
            "{words:?}"
        );
    }
    for (place, why) in [
        (file, format!("error: cannot write into {file}: it is not a directory\n help: add --out DIR\n")),
        (&below, format!("error: cannot make the directory {below}: Not a directory\n")),
        (circle, format!("error: cannot make the directory {circle}: File exists\n")),
        (
            "/proc/none/x",
            "error: cannot make the directory /proc/none/x: No such file or directory\n".to_owned(),
        ),
    ] {
        let output = run(&["generate", "docs", "--out", place]);
        assert_eq!((output.code, output.stdout.as_str(), output.stderr), (73, "", why), "{place}");
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
    let unknown = run(&["generate", "schema", "nothing-like-it"]).stderr;
    assert!(unknown.contains("there are effective-config, explain, "), "{unknown}");
    let powershell = run(&["generate", "completions", "powershell"]);
    assert_eq!(powershell.code, 64, "{}", powershell.stderr);
}

/// A node that cannot be read, and settings that are wrong, are nothing to `generate`.
#[test]
fn no_node_is_needed() {
    let variables = [("K3S_HARDEN_ROOT", "/nowhere"), ("K3S_HARDEN_SETTINGS", "/nowhere/settings.yaml")];
    let output = run_with(&["generate", "schema", "plan", "-q"], &variables);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    let misspelt = run_with(&["generate", "schema", "plan"], &[("K3S_HARDEN_ROOTS", "/")]);
    assert!(misspelt.stderr.contains("unknown environment variable K3S_HARDEN_ROOTS"), "{}", misspelt.stderr);
    assert_eq!(misspelt.stdout, output.stdout);
}
