// SPDX-License-Identifier: Apache-2.0
//! The gate that systemd asks before it starts K3s, tried with `sh` alone, and the paths that units name. With systemd itself:
//! `beds/gate.rs`.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::exit_table::{Ending, exit_table};
use crate::support::{Node, Output, tools, without_version};

const RENDER: [&str; 7] = ["render", "--as", "systemd-gate", "--k3s-version", "1.33", "--role", "agent"];

fn rendered(node: &Node, more: &[&str]) -> Output {
    node.run(&[RENDER.as_slice(), more].concat())
}

/// Returns the script of the gate as systemd hands it to the shell: lines joined, quotes and specifiers resolved.
fn script(drop_in: &str) -> String {
    let joined = drop_in.replace("\\\n", " ");
    let line = joined.lines().find_map(|line| line.strip_prefix("ExecStartPre=/bin/sh -c '")).unwrap();
    let (mut script, mut rest) = (String::new(), line.chars());
    while let Some(character) = rest.next() {
        match character {
            '\\' => script.push(rest.next().unwrap()),
            '%' | '$' => {
                assert_eq!(rest.next(), Some(character), "{line}");
                script.push(character);
            }
            '\'' => break,
            other => script.push(other),
        }
    }
    assert_eq!(rest.as_str(), "", "the quotes end before the line does: {line}");
    script
}

#[test]
fn the_gate_does_what_the_manual_says_on_each_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    // Everything that a shell or systemd could misread.
    let program = folder.path().join("50% of $HOME; `id` #*\u{e4}").join("k3s-harden");
    fs::create_dir(program.parent().unwrap()).unwrap();
    let drop_in = rendered(&Node::new(), &["--binary", program.to_str().unwrap()]);
    let script = script(&drop_in.stdout);
    let mut tried = 0;
    for row in exit_table().into_iter().filter(|row| row.ending != Ending::Timeout) {
        row.ending.put(&program);
        let output = Command::new("/bin/sh").args(["-c", &script]).env_clear().output().unwrap();
        let log = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.success(), row.gate_starts, "{row:?}: {log}");
        let level = match row.ending {
            Ending::Code(0 | 2) => "",
            // These were run, by a wrapper, for `--version` too.
            Ending::Code(126 | 127) => "<3>",
            Ending::Code(_) | Ending::Killed => "<4>",
            _ => "<3>",
        };
        let expected = if level.is_empty() { String::new() } else { format!("{level}{}", program.display()) };
        assert!(log.starts_with(&expected) && log.is_empty() == expected.is_empty(), "{row:?}: {log}");
        if level == "<3>" {
            assert!(log.contains("Install k3s-harden there"), "{log}");
        }
        tried += 1;
    }
    assert!(tried >= 17, "the table of the manual was not read: {tried}");
}

#[test]
fn the_program_is_the_one_that_runs_unless_another_is_named() {
    let own = rendered(&Node::new(), &[]).stdout;
    assert!(own.contains(&format!("k={};", env!("CARGO_BIN_EXE_k3s-harden"))), "{own}");
    for form in ["tar", "cloud-init", "shell", "account-update"] {
        let words = ["render", "--as", form, "--k3s-version", "1.33", "--binary", "/usr/bin/k3s-harden"];
        let output = Node::new().run(&words);
        assert_eq!((output.code, output.stdout.as_str()), (64, ""), "{form}");
        assert!(output.stderr.contains("--binary is for --as systemd"), "{}", output.stderr);
        assert!(output.stderr.contains("help: remove it"), "{}", output.stderr);
    }
    for path in ["k3s-harden", "/usr/bin/", "/usr/../k3s-harden", "/it's/k3s-harden", "/usr/bin/a\nb"] {
        let output = rendered(&Node::new(), &["--binary", path]);
        assert_eq!((output.code, output.stdout.as_str()), (64, ""), "{path}");
        assert!(output.stderr.contains("--binary /usr/local/bin/k3s-harden"), "{}", output.stderr);
    }
}

/// The gate alone is the drop-in that is rendered beside the unit: the package has only the first.
#[test]
fn the_gate_alone_is_the_one_beside_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("units");
    for more in [&[][..], &["--data-dir", "/srv/k3s data"]] {
        let words = ["render", "--as", "systemd", "--k3s-version", "1.33", "--role", "agent", "--out"];
        let output = Node::new().run(&[&words[..], &[out.to_str().unwrap()], more].concat());
        assert_eq!(output.code, 0, "{}", output.stderr);
        let beside = fs::read_to_string(out.join("k3s-agent.service.d/10-k3s-harden.conf")).unwrap();
        let beside = without_version(&beside);
        assert_eq!(rendered(&Node::new(), more).stdout, beside);
        let mounts = if more.is_empty() { "/var/lib/rancher/k3s" } else { "\"/srv/k3s data\"" };
        assert!(beside.contains(&format!("RequiresMountsFor=/var/lib/k3s-harden {mounts}\n")), "{beside}");
    }
}

/// A program that was removed while it runs has no path that a unit could name.
#[test]
fn a_program_that_was_removed_asks_for_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("k3s-harden");
    fs::copy(env!("CARGO_BIN_EXE_k3s-harden"), &copy).unwrap();
    let script = "exec 3< \"$1\"; rm \"$1\"; shift; exec /proc/self/fd/3 \"$@\"";
    let run = |more: &[&str]| {
        let root = Node::new();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "sh"]).arg(&copy).arg("--root").arg(root.path());
        command.args(RENDER).args(more).env_clear().output().unwrap()
    };
    let output = run(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("it was removed") && said.contains("--binary /usr/local/bin"), "{said}");
}

#[test]
fn a_program_that_others_can_replace_is_warned_of() {
    let node = Node::new().file("opt/tools/k3s-harden", "").file("usr/bin/k3s-harden", "");
    let mode = |path: &str, mode: u32| {
        fs::set_permissions(node.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::set_permissions(node.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for path in ["opt", "opt/tools", "opt/tools/k3s-harden", "usr", "usr/bin", "usr/bin/k3s-harden"] {
        mode(path, 0o755);
    }
    let said = |path: &str| {
        let output = rendered(&node, &["--binary", path]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        output.stderr
    };
    assert_eq!(said("/opt/tools/k3s-harden") + &said("/usr/bin/k3s-harden") + &said("/srv/k3s-harden"), "");
    mode("opt/tools", 0o757);
    let warning = said("/opt/tools/k3s-harden");
    assert!(warning.contains("ROOT/opt/tools has the mode 0757; install"), "{warning}");
    // By a symlink too, on the way or at the end.
    std::os::unix::fs::symlink("../../opt/tools/k3s-harden", node.path().join("usr/bin/linked")).unwrap();
    assert!(said("/usr/bin/linked").contains("ROOT/opt/tools has the mode 0757"));
    mode("opt/tools", 0o755);
    assert_eq!(said("/usr/bin/linked"), "");
    mode("opt/tools/k3s-harden", 0o775);
    if nix::unistd::geteuid().is_root() {
        assert_eq!(said("/opt/tools/k3s-harden"), "");
        std::os::unix::fs::chown(node.path().join("opt/tools/k3s-harden"), Some(0), Some(50)).unwrap();
        let warning = said("/opt/tools/k3s-harden");
        assert!(warning.contains("has the mode 0775 and belongs to the group 50"), "{warning}");
        std::os::unix::fs::chown(node.path().join("opt"), Some(1000), None).unwrap();
        let warning = said("/opt/tools/k3s-harden");
        assert!(warning.contains("ROOT/opt belongs to the user 1000"), "{warning}");
    }
    for (path, folder) in [
        ("/home/jane/bin/k3s-harden", "/home"),
        ("/tmp/k3s-harden", "/tmp"),
        ("/run/k3s-harden", "/run"),
        ("/var/tmp/x/k3s-harden", "/var/tmp"),
    ] {
        assert!(said(path).contains(&format!("write to {folder},")), "{path}");
    }
    assert_eq!(said("/homes/k3s-harden") + &said("/tmpfs/k3s-harden"), "");
}

/// What stands in for the program ends in each way that the table names.
#[test]
fn the_stand_in_ends_as_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("k3s-harden");
    let run = || Command::new(&program).arg("apply").output();
    Ending::Code(75).put(&program);
    assert_eq!(run().unwrap().status.code(), Some(75));
    Ending::Killed.put(&program);
    assert_eq!(run().unwrap().status.code(), None);
    for ending in [Ending::Missing, Ending::NotExecutable, Ending::OtherMachine] {
        ending.put(&program);
        assert!(run().is_err(), "{ending:?}");
    }
    tools::write_program(Path::new(&program), 0o755, b"");
}
