// SPDX-License-Identifier: Apache-2.0
//! What the binary writes to a terminal, and where there is none: a pseudo-terminal of a given width.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::process::Stdio;

use nix::pty::{Winsize, openpty};

use crate::support::{Node, binary, owner, without_version};

/// A node where little is told: its kubelet's arguments.
const WORDS: [&str; 4] = ["verify", "--only-findings", "--only", "4.2"];

fn hardened() -> Node {
    let node = Node::new();
    let done = node.run(&["apply", "-q", "--k3s-version", "1.33", "--role", "server"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    node
}

/// Runs it with standard output on a terminal of that many columns; returns what a terminal is given.
fn on_a_terminal(node: &Node, columns: u16, words: &[&str], variables: &[(&str, &str)]) -> String {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(Some(&size), None).unwrap();
    let mut command = binary();
    // A root of the same length everywhere.
    command.current_dir(node.path()).args(["--root", ".", "--owner", &owner()]).args(words);
    command.envs(variables.iter().copied()).stdout(Stdio::from(terminal.slave)).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // Its last holder, so that reading ends.
    drop(command);
    let (mut master, mut bytes) = (File::from(terminal.master), Vec::new());
    let mut chunk = [0; 4096];
    loop {
        match master.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            // How Linux says that nobody holds the other end any more.
            Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(child.wait().unwrap().success());
    without_version(&String::from_utf8(bytes).unwrap().replace("\r\n", "\n"))
}

/// Text with escapes to be read.
fn readable(text: &str) -> String {
    text.replace('\x1b', "ESC")
}

#[test]
fn of_sixty_columns() {
    let text = on_a_terminal(&hardened(), 60, &WORDS, &[("TERM", "xterm")]);
    insta::assert_snapshot!(readable(&text));
}

#[test]
fn without_colour() {
    let node = hardened();
    let plain = on_a_terminal(&node, 60, &WORDS, &[("TERM", "xterm"), ("NO_COLOR", "1")]);
    insta::assert_snapshot!(plain);
    let never = [&["--color", "never"], &WORDS[..]].concat();
    assert_eq!(on_a_terminal(&node, 60, &never, &[("TERM", "xterm")]), plain);
}

#[test]
fn not_a_terminal() {
    let node = hardened();
    let text = node.run(&WORDS).stdout;
    insta::assert_snapshot!(text);
    assert_eq!(node.run_with(&WORDS, &[("NO_COLOR", "1"), ("COLUMNS", "40")]).stdout, text);
}

#[test]
fn colour_where_it_was_asked_for() {
    let node = hardened();
    let words = [&["--color", "always"], &WORDS[..]].concat();
    let text = node.run(&words).stdout;
    insta::assert_snapshot!(readable(&text));
    // Who asks for it on the command line gets it.
    assert_eq!(node.run_with(&words, &[("NO_COLOR", "1")]).stdout, text);
}

/// What is for programs is the same everywhere: no colour, no width.
#[test]
fn programs_are_told_the_same() {
    let node = hardened();
    for format in ["json", "kube-bench"] {
        let words = ["verify", "--format", format];
        let told =
            on_a_terminal(&node, 60, &[&["--color", "always"], &words[..]].concat(), &[("TERM", "xterm")]);
        let told = told.replace("\"root\": \".\"", "\"root\": \"ROOT\"");
        // Commands name the root, too.
        let told = told.replace(" --root .", " --root ROOT").replace(" ./var/", " ROOT/var/");
        assert_eq!(told, node.run(&words).stdout);
    }
}
