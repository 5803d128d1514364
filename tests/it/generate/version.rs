// SPDX-License-Identifier: Apache-2.0
//! `--version`: a line for scripts, and with `--verbose` what the binary is built from and what it knows.

use std::fs;

use k3s_harden::build_info::data_date;
use k3s_harden::verify::{Date, benchmarks};
use k3s_harden::version::KubernetesMinor;
use regex::Regex;
use serde_json::Value;

use super::{run, run_with};

const LINE: &str = "k3s-harden VERSION\n";

#[test]
fn a_version_is_one_line() {
    for (words, variables) in [
        (["--version"].as_slice(), [].as_slice()),
        (&["-V"], &[]),
        (&["--version", "-q"], &[]),
        (&["--root", "/nowhere", "--version"], &[]),
        (&["--version", "--no-such-flag", "-v"], &[]),
        // Scripts read the line, whatever the environment sets.
        (&["--version"], &[("K3S_HARDEN_VERBOSE", "2"), ("K3S_HARDEN_FORMAT", "json")]),
    ] {
        let output = run_with(words, variables);
        assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (0, LINE, ""), "{words:?}");
    }
    let of_verb = run(&["apply", "--version"]);
    assert_eq!((of_verb.code, of_verb.stdout.as_str()), (64, ""));
}

#[test]
fn a_verbose_version_tells_what_the_binary_knows() {
    let verbose = run(&["--version", "--verbose"]);
    assert_eq!((verbose.code, verbose.stderr.as_str()), (0, ""));
    let minors = KubernetesMinor::supported();
    for line in [
        "k3s-harden VERSION".to_owned(),
        format!("target:            {}", k3s_harden::build_info::TARGET),
        format!("commit:            {}", k3s_harden::build_info::COMMIT),
        format!("Kubernetes:        {} to {}", minors[0], minors[minors.len() - 1]),
        format!("CIS benchmarks:    {}", benchmarks().join(", ")),
        format!("data of:           {}", data_date()),
        "journal:           writes 1.1, reads 1.0, 1.1".to_owned(),
    ] {
        assert!(verbose.stdout.lines().any(|found| found == line), "{line}\n{}", verbose.stdout);
    }
    assert!(verbose.stdout.starts_with(LINE));
    for words in [
        ["-v", "--version"].as_slice(),
        &["-vV"],
        &["-Vv"],
        &["-V", "-vv"],
        &["--verbose", "-q", "--root", "/nowhere", "-V"],
    ] {
        let output = run(words);
        assert_eq!((output.code, output.stdout), (0, verbose.stdout.clone()), "{words:?}");
    }
    // A variable that makes the log quiet says nothing against it.
    let quiet = run_with(&["-V", "-v"], &[("K3S_HARDEN_QUIET", "true")]);
    assert_eq!(quiet.stdout, verbose.stdout);
}

#[test]
fn a_version_for_programs() {
    let output = run(&["--version", "--format", "json"]);
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(answer["kubernetes"].as_array().unwrap().len(), KubernetesMinor::supported().len());
    assert_eq!(answer["version"], "VERSION");
    assert_eq!(answer["data_date"], data_date());
    let verbose = run_with(&["-V", "-v"], &[("K3S_HARDEN_FORMAT", "json")]);
    assert_eq!(verbose.stdout, output.stdout);
    let report = run(&["--version", "--format", "html"]);
    assert_eq!((report.code, report.stdout.as_str()), (64, ""));
}

/// Whoever cites a newer source has looked at the tables on that day at least.
#[test]
fn the_data_is_as_new_as_its_newest_source() {
    let date = data_date();
    assert!(date.parse::<Date>().is_ok(), "{date}");
    let cited = Regex::new(r"\b20\d\d-[01]\d-[0-3]\d\b").unwrap();
    let mut newest = String::new();
    let mut found = 0;
    // Each room has its own, and src/data is that of the ground.
    let rooms = fs::read_dir("src").unwrap().map(|entry| entry.unwrap().path());
    let folders = rooms.flat_map(|path| [path.join("data"), path]);
    for folder in folders.filter(|folder| folder.ends_with("data") && folder.is_dir()) {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let text = fs::read_to_string(path).unwrap();
            let dates = cited.find_iter(&text).map(|date| date.as_str().to_owned());
            let dates: Vec<String> = dates.filter(|date| date.parse::<Date>().is_ok()).collect();
            found += dates.len();
            newest = dates.into_iter().fold(newest, String::max);
        }
    }
    assert!(found > 5, "{found}");
    assert!(newest <= date, "a table cites {newest}, and src/data/data-date.yaml says {date}");
}
