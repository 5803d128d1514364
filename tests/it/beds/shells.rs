// SPDX-License-Identifier: Apache-2.0
//! Our scripts in the shells that there are, and what shellcheck says to them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::bed::{Bed, Release, Run, applied, assert_same, rendered};
use crate::minors::newest;
use crate::support::{tools, turns};

/// Each shell with the programs that it has around it: GNU's, and busybox' own only.
const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["env", "PATH=/busybox", "/busybox/sh"]];

fn nodes() -> [[&'static str; 4]; 4] {
    [
        ["--k3s-version", "1.24", "--role", "server"],
        ["--k3s-version", "1.24", "--role", "agent"],
        ["--k3s-version", newest(), "--role", "server"],
        ["--k3s-version", newest(), "--role", "agent"],
    ]
}

fn bed() -> Bed {
    let bed = Bed::of(Release::Bookworm);
    bed.prepare("mkdir /busybox; busybox --install -s /busybox");
    bed
}

#[test]
#[ignore = "needs root, unshare and mmdebstrap"]
fn every_shell_does_with_the_script_what_apply_does() {
    let _busy = turns::busy();
    for words in nodes() {
        let expected = applied(Release::Bookworm, &words);
        let script = rendered("shell", &words);
        for shell in SHELLS {
            for umask in ["000", "077"] {
                let when = format!("{shell:?} {words:?} umask {umask}");
                let bed = bed();
                bed.write("/k3s-harden.sh", 0o644, &script);
                let run = || {
                    let words = shell.join(" ");
                    bed.run(["sh", "-c", &format!("umask {umask}; exec {words} /k3s-harden.sh")])
                };
                let first = run().expect_when(0, &when);
                assert_eq!(first.stderr, "", "{when}");
                assert_same(&bed.tree(), &expected, &when);
                bed.has_parameters(&when);
                let second = run().expect_when(0, &when);
                assert_eq!((second.stdout, second.stderr), (String::new(), String::new()), "{when}");
            }
        }
    }
}

#[test]
#[ignore = "needs root, unshare and mmdebstrap"]
fn the_archive_unpacks_to_what_apply_makes() {
    let _busy = turns::busy();
    let out = tempfile::tempdir().unwrap();
    let archive = out.path().join("k3s-harden.tar");
    for words in nodes() {
        rendered("tar", &[words.as_slice(), &["--out", archive.to_str().unwrap()]].concat());
        for tar in ["tar", "busybox tar"] {
            let bed = bed();
            bed.write("/k3s-harden.tar", 0o600, fs::read(&archive).unwrap());
            bed.prepare(&format!("umask 077; {tar} -xpf /k3s-harden.tar -C /"));
            assert_same(&bed.tree(), &applied(Release::Bookworm, &words), tar);
        }
    }
}

#[test]
#[ignore = "needs root, unshare and mmdebstrap"]
fn every_shell_runs_the_example_of_a_machine_by_hand() {
    let _busy = turns::busy();
    for shell in SHELLS {
        let bed = bed();
        for file in ["harden.sh", "settings.yaml"] {
            bed.write(
                &format!("/{file}"),
                0o644,
                fs::read(Path::new("examples/bare-metal").join(file)).unwrap(),
            );
        }
        bed.prepare("ln -s /opt/k3s-harden /busybox/; ln -s /opt/k3s-harden /usr/local/bin/");
        let words = shell.join(" ");
        let run = bed.run(["sh", "-c", &format!("K3S_VERSION=v1.33.4+k3s1 exec {words} /harden.sh")]);
        let run = run.expect_when(0, &words);
        assert!(run.stdout.ends_with("Nothing to change.\n"), "{words}: {}", run.stdout);
        bed.has_parameters(&words);
    }
}

#[test]
#[ignore = "needs shellcheck"]
fn shellcheck_has_nothing_to_say() {
    let _busy = turns::busy();
    for minor in ["1.24", newest()] {
        for role in ["server", "agent"] {
            for profile in ["cis", "cis,strict"] {
                let words = ["--k3s-version", minor, "--role", role, "--profile", profile];
                check("the script", &rendered("shell", &words));
                let config: Value = serde_yaml::from_str(&rendered("cloud-init", &words)).unwrap();
                for section in ["bootcmd", "runcmd"] {
                    check(section, &commands(&config[section]));
                }
            }
        }
    }
    let out = tempfile::tempdir().unwrap();
    rendered("account-update", &["--k3s-version", newest(), "--out", out.path().to_str().unwrap()]);
    check("account_update.sh", &fs::read_to_string(out.path().join("account_update.sh")).unwrap());
    let example: Value =
        serde_yaml::from_str(&fs::read_to_string("examples/cloud-init/user-data.yaml").unwrap()).unwrap();
    check("the example's runcmd", &commands(&example["runcmd"]));
    let mut scripts = Vec::new();
    for folder in ["examples", "tests", "packaging", ".ci"] {
        find(Path::new(folder), &mut scripts);
    }
    assert!(scripts.len() >= 4, "{scripts:?}");
    // By their paths: some read another one.
    let output = tools::command("shellcheck").arg("--external-sources").args(&scripts).output().unwrap();
    Run::of(output).expect_when(0, "the scripts of the project");
}

/// Returns the script that cloud-init makes of a list of commands.
fn commands(list: &Value) -> String {
    let lines = list.as_array().unwrap().iter().map(|line| format!("{}\n", line.as_str().unwrap()));
    "#!/bin/sh\n".to_owned() + &lines.collect::<String>()
}

fn check(what: &str, script: &str) {
    let mut child = tools::command("shellcheck")
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    Run::of(child.wait_with_output().unwrap()).expect_when(0, what);
}

/// Finds all scripts for a shell.
fn find(folder: &Path, scripts: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            find(&path, scripts);
        } else if let Ok(bytes) = fs::read(&path) {
            let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            if first.starts_with(b"#!") && (first.ends_with(b"sh") || first.ends_with(b"bash")) {
                scripts.push(path);
            }
        }
    }
}
