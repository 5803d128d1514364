// SPDX-License-Identifier: Apache-2.0
//! Ignition's own package reads what we render (tests/oracle/ignition): it has nothing to say to it, and what it would
//! make is what `apply` makes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::bed::{Release, Run, Tree, applied, assert_same, rendered};
use crate::minors::newest;
use crate::support::{tools, turns};

/// Builds the program from the Go module proxy.
fn build(directory: &Path) -> PathBuf {
    let program = directory.join("ignition");
    let mut command = tools::command("go");
    command.args(["build", "-o"]).arg(&program).arg(".").current_dir("tests/oracle/ignition");
    command.env("GOFLAGS", "-mod=readonly -buildvcs=false").env("GOWORK", "off");
    Run::of(command.output().unwrap()).expect_when(0, "go build");
    program
}

fn ask(program: &Path, text: &str) -> Value {
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
#[ignore = "needs root, unshare, mmdebstrap and Go"]
fn ignition_has_nothing_to_say_and_would_make_what_apply_makes() {
    let _busy = turns::busy();
    let folder = tempfile::tempdir().unwrap();
    let program = build(folder.path());
    for minor in ["1.24", newest()] {
        for role in ["server", "agent"] {
            for profile in ["cis", "cis,strict"] {
                let words = ["--k3s-version", minor, "--role", role, "--profile", profile];
                let when = format!("{words:?}");
                let answer = ask(&program, &rendered("ignition", &words));
                assert_eq!((&answer["said"], &answer["error"]), (&"".into(), &"".into()), "{when}");
                let mut expected = applied(Release::Trixie, &words);
                let made = made(&answer);
                // What the system has before.
                expected.retain(|path, _| {
                    made.contains_key(path) || path.contains("rancher") || path.contains("/90-")
                });
                assert_same(&made, &expected, &when);
            }
        }
    }
    // It would have said so.
    let words = ["--k3s-version", newest(), "--role", "agent"];
    let wrong = rendered("ignition", &words).replace("\"overwrite\"", "\"overwrites\"");
    assert_ne!(ask(&program, &wrong)["said"], "");
    let wrong = rendered("ignition", &words).replace("\"path\": \"/etc/sysctl.d", "\"path\": \"etc/sysctl.d");
    assert_ne!(ask(&program, &wrong)["error"], "");
}

/// Returns what Ignition would make: what has no owner is root's, and a directory without a mode has 0755.
fn made(answer: &Value) -> Tree {
    let entries = answer["entries"].as_array().unwrap().iter();
    let tree = entries.map(|entry| {
        let number = |key: &str, or: u64| entry[key].as_u64().unwrap_or(or);
        let text = entry["text"].as_str().map(str::to_owned);
        let (kind, or) = if text.is_some() { ("", 0o644) } else { ("d", 0o755) };
        let mode = format!("{kind}{:04o} {}:{}", number("mode", or), number("user", 0), number("group", 0));
        (entry["path"].as_str().unwrap().trim_start_matches('/').to_owned(), (mode, text))
    });
    tree.collect()
}
