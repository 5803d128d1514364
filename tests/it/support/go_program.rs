// SPDX-License-Identifier: Apache-2.0
//! Small Go programs that answer as the real code does: each reads questions as lines of JSON, and writes an answer a
//! line. They are in `tests/oracle`.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::tools;

/// Builds the program `tests/oracle/NAME` into a directory.
pub(crate) fn build(name: &str, directory: &Path) -> PathBuf {
    let program = directory.join(name);
    let built = tools::command("go")
        .args(["build", "-buildvcs=false", "-o"])
        .args([&program, Path::new(".")])
        .current_dir(Path::new("tests/oracle").join(name))
        .output()
        .unwrap();
    assert!(built.status.success(), "go build: {}", String::from_utf8_lossy(&built.stderr));
    program
}

/// Asks a program all questions, and returns its answers.
pub(crate) fn ask(program: &Path, questions: impl Iterator<Item = Value> + Send) -> Vec<Value> {
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let answers = std::thread::scope(|scope| {
        scope.spawn(move || {
            for question in questions {
                writeln!(input, "{question}").unwrap();
            }
        });
        output.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    });
    assert!(child.wait().unwrap().success());
    answers
}
