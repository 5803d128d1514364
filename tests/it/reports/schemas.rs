// SPDX-License-Identifier: Apache-2.0
//! SARIF against its official schema, JUnit XML against Jenkins'. Both come with packages that are made for other
//! things (`schemas/requirements.txt`), and lie in an environment of their own below `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use k3s_harden::output::{ReportOrigin, SarifOptions, junit, sarif};
use serde_json::Value;

use super::sample::{TAKEN, forecast, hostile, report};
use crate::minors::newest;
use crate::support::{Node, tools, turns};

#[test]
#[ignore = "needs python3 and PyPI"]
fn the_schemas_of_others_hold() {
    let _busy = turns::busy();
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    let mut add = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        files.push(path);
    };
    // What the binary writes, before K3s first starts.
    for (minor, role) in [("1.23", "server"), ("1.33", "server"), ("1.33", "agent"), (newest(), "server")] {
        let node = Node::new().file("etc/hostname", "node-1\n");
        let done = node.run(&["apply", "-q", "--k3s-version", minor, "--role", role]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        for (format, ending) in [("sarif", "sarif"), ("junit", "xml")] {
            let written = node.run(&["verify", "--format", format]).stdout;
            add(&format!("{minor}-{role}.{ending}"), written);
        }
        add(
            &format!("{minor}-{role}-findings.sarif"),
            node.run(&["verify", "--format", "sarif", "--only-findings"]).stdout,
        );
    }
    for (name, report) in [("everything", report()), ("forecast", forecast()), ("hostile", hostile())] {
        for (of, taken) in [("taken", TAKEN.clone()), ("nowhere", ReportOrigin::default())] {
            add(&format!("{name}-{of}.sarif"), sarif(&report, &taken, SarifOptions::default()).to_string());
            add(&format!("{name}-{of}.xml"), junit(&report, &taken));
        }
    }
    // What has to be found: in SARIF …
    let pointers = [
        ("/runs/0/results/6/level", Value::from("fatal")),
        ("/runs/0/results/6/kind", Value::from("failed")),
        ("/runs/0/results/6/message", Value::from("as text")),
        ("/runs/0/results/6/ruleIndex", Value::from(-2)),
        ("/runs/0/results/6/locations/0/physicalLocation", Value::from("a file")),
        ("/runs/0/results/7/suppressions/0/status", Value::from("granted")),
        ("/runs/0/invocations/0/executionSuccessful", Value::Null),
        ("/runs/0/tool/driver/name", Value::Null),
        ("/runs/0/columnKind", Value::from("bytes")),
        ("/version", Value::from("2.0.0")),
    ];
    for (index, (pointer, value)) in pointers.into_iter().enumerate() {
        let mut broken = sarif(&report(), &TAKEN, SarifOptions::default());
        *broken.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        add(&format!("broken-{index}.sarif"), broken.to_string());
    }
    // … and in JUnit XML.
    let words = [
        ("testcase", "case"),
        (" name=\"1.2 API server\"", ""),
        ("system-out", "output"),
        ("tests=\"17\"", "count=\"17\""),
        ("<properties>", "<properties><note/>"),
    ];
    let whole = junit(&report(), &TAKEN);
    for (index, (from, to)) in words.into_iter().enumerate() {
        assert!(whole.contains(from), "{from}");
        add(&format!("broken-{index}.xml"), whole.replace(from, to));
    }

    let (mut whole, mut broken) = (0, 0);
    for answer in validated(&files) {
        let name = answer["file"].as_str().unwrap();
        let problems = answer["problems"].as_array().unwrap();
        assert_eq!(problems.is_empty(), !name.starts_with("broken"), "{answer:#}");
        *(if problems.is_empty() { &mut whole } else { &mut broken }) += 1;
    }
    println!("{whole} reports hold, {broken} broken ones do not");
}

fn validated(files: &[PathBuf]) -> Vec<Value> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemas");
    let (python, sources) = (place.join("bin/python"), place.join("sources"));
    let listed = fs::read_to_string("tests/it/reports/schemas/requirements.txt").unwrap()
        + &fs::read_to_string("tests/it/reports/schemas/sources.txt").unwrap();
    // Only whole, and made of these, it is used again.
    if fs::read_to_string(place.join("made-of")).ok().as_ref() != Some(&listed) {
        if place.exists() {
            fs::remove_dir_all(&place).unwrap();
        }
        run(tools::command("python3").args(["-m", "venv"]).arg(&place));
        let pip = |words: &[&str]| {
            let mut command = Command::new(&python);
            command.args(["-m", "pip"]).args(words).args([
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
            ]);
            command.args(["--require-hashes", "-r"]);
            command
        };
        run(pip(&["install"]).arg("tests/it/reports/schemas/requirements.txt"));
        run(pip(&["download", "--no-binary", ":all:", "--no-build-isolation"])
            .arg("tests/it/reports/schemas/sources.txt")
            .arg("-d")
            .arg(&sources));
        fs::write(place.join("made-of"), listed).unwrap();
    }
    let told =
        run(Command::new(&python).arg("tests/it/reports/schemas/validate.py").arg(&sources).args(files));
    let answers: Vec<Value> = serde_json::from_slice(&told).unwrap();
    assert_eq!(answers.len(), files.len());
    answers
}

fn run(command: &mut Command) -> Vec<u8> {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}
