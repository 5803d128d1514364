// SPDX-License-Identifier: Apache-2.0
//! Configurations that nobody writes by accident: each ends in an answer or an error, in bounded time and memory,
//! on the stack of an ordinary thread.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use k3s_harden::Role;
use k3s_harden::k3s::{ConfigQuery, EffectiveConfig, merge};
use k3s_harden::kubernetes::yaml;
use k3s_harden::node::{Root, RootedPath};
use k3s_harden::version::K3sRelease;

/// Much more than any of these takes, and much less than for ever, also in a debug build on a busy machine.
const BOUND: Duration = Duration::from_secs(20);

/// Reads, copies and drops; returns the message of the error, if there is one.
fn read(bytes: &[u8]) -> String {
    let begun = Instant::now();
    let answer = yaml::read(bytes);
    drop(answer.clone());
    let message = answer.err().map_or_else(String::new, |problem| problem.message);
    assert!(begun.elapsed() < BOUND, "it took {:?}", begun.elapsed());
    message
}

#[test]
fn size_and_nesting_are_limited() {
    assert_eq!(read(&vec![b'#'; yaml::MAX_BYTES + 1]), "the file is larger than 16777216 bytes");
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        let text = format!("k: \n {}x{}\n", open.repeat(10_000), close.repeat(10_000));
        let message = read(text.as_bytes());
        assert!(!message.is_empty(), "{open}: 10 000 levels were read");
    }
    let deepest = format!("{}{}", "[".repeat(yaml::MAX_LEVELS), "]".repeat(yaml::MAX_LEVELS));
    assert_eq!(read(deepest.as_bytes()), "", "what is within the limit is read, copied and dropped");
}

#[test]
fn aliases_do_not_explode() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(read(laughs.as_bytes()).starts_with("more than 1000000 values"));
    let quadratic = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(5_000), "*a, ".repeat(5_000));
    assert!(read(quadratic.as_bytes()).starts_with("more than 1000000 values"));
    assert_ne!(read(b"a: &a [*a]\n"), "");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    assert_eq!(read(b"a: \xff\n"), "this is not UTF-8");
    assert_eq!(read(b"a: \0\n"), "control characters are not allowed");
    assert_eq!(read(b"a: \x1b[31m\n"), "control characters are not allowed");
    for text in [": a\n: b\n", "a:\n  : b\n", ":\n", "a: 1\n: 2\n"] {
        assert_eq!(read(text.as_bytes()), "did not find expected key", "{text:?}");
    }
    for text in ["a:\n", "? a\n: b\n", "a: :x\n", "a:\nb:\n", "- a:\n"] {
        assert_eq!(read(text.as_bytes()), "", "{text:?}");
    }
}

#[test]
fn long_lines_and_many_keys_are_read() {
    assert_eq!(read(format!("a: {}\n", "x".repeat(1 << 20)).as_bytes()), "");
    let many: String = (0..50_000).map(|number| format!("key-{number}: {number}\n")).collect();
    let begun = Instant::now();
    let keys = merge::merge([("config.yaml", many.as_bytes())]).unwrap();
    assert_eq!(keys.len(), 50_000);
    assert!(begun.elapsed() < BOUND, "it took {:?}", begun.elapsed());
}

/// A root whose `config.yaml.d` `make` has put something into.
fn reading(make: impl FnOnce(&Path)) -> Result<EffectiveConfig, k3s_harden::Error> {
    let directory = tempfile::tempdir().unwrap();
    let drop_ins = directory.path().join("etc/rancher/k3s/config.yaml.d");
    fs::create_dir_all(&drop_ins).unwrap();
    fs::write(directory.path().join("etc/rancher/k3s/config.yaml"), "debug: true\n").unwrap();
    make(&drop_ins);
    let begun = Instant::now();
    let query = ConfigQuery {
        role: Role::Server,
        release: K3sRelease::of_minor("1.36".parse().unwrap()),
        data_dir: &RootedPath::fixed("/var/lib/rancher/k3s"),
        words: &[],
        show_secrets: true,
    };
    let reading = EffectiveConfig::read(&Root::open(directory.path()).unwrap(), query);
    assert!(begun.elapsed() < BOUND);
    reading
}

#[test]
fn what_is_no_file_never_blocks() {
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
    let pipe = reading(|drop_ins| nix::unistd::mkfifo(&drop_ins.join("x.yaml"), mode).unwrap());
    assert!(pipe.unwrap_err().to_string().ends_with("x.yaml is not a regular file"));
    let socket =
        reading(|drop_ins| drop(std::os::unix::net::UnixListener::bind(drop_ins.join("x.yaml")).unwrap()));
    assert!(socket.is_err());
    let folder = reading(|drop_ins| fs::create_dir(drop_ins.join("x.yaml")).unwrap());
    assert_eq!(folder.unwrap().argv, ["server", "--debug=true"], "K3s leaves directories out");
    let circle = reading(|drop_ins| std::os::unix::fs::symlink("x.yaml", drop_ins.join("x.yaml")).unwrap());
    assert!(circle.is_err());
    let outside =
        reading(|drop_ins| std::os::unix::fs::symlink("/dev/zero", drop_ins.join("x.yaml")).unwrap());
    assert_eq!(
        outside.unwrap().argv,
        ["server"],
        "there is no /dev/zero inside of this root: K3s ignores all"
    );
}
