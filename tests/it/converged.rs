// SPDX-License-Identifier: Apache-2.0
//! What the run costs that happens a thousand times: `apply` on a node that is as desired. System calls and opened files
//! are counted, because they are the same on every machine; `benches/compare.sh` measures the time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fs;

use crate::support::{Node, owner, tools};

/// Each kind of node, and how many system calls and opened paths its converged run takes at most. A count begins when
/// the run opens the root, so that the loader and the C library do not matter, and leaves out calls for memory.
///
/// These are the numbers of today, not a goal. A change that needs more raises them on purpose: run
/// `cargo test --test it converged -- --include-ignored`, write the number that it prints here, and say in the commit
/// what the run does with it. A change that needs less lowers them.
const BOUNDS: [(&str, &str, &str, usize, usize); 3] = [
    ("server", "1.33", "cis", 260, 76),
    ("server", "1.24", "cis,strict", 246, 72),
    ("agent", "1.33", "cis", 148, 57),
];

const MEMORY: [&str; 6] = ["brk", "madvise", "mmap", "mprotect", "mremap", "munmap"];

#[test]
#[ignore = "needs strace"]
fn a_converged_apply_takes_no_more_system_calls_than_recorded() {
    let mut wrong = String::new();
    for (role, version, profile, most_calls, most_opened) in BOUNDS {
        let node = Node::new();
        let words = ["apply", "-q", "--role", role, "--k3s-version", version, "--profile", profile];
        assert_eq!(node.run(&words).code, 0);
        let names = converged(&node);
        let opened = names.iter().filter(|name| name.starts_with("open")).count();
        let found =
            format!("{role} {version} {profile}: {} system calls, {opened} opened paths", names.len());
        tools::report(&found);
        // Less than this is no run that looked at everything.
        assert!(opened >= 20, "{found}");
        if names.len() > most_calls || opened > most_opened {
            wrong += &format!("{found}; at most {most_calls} and {most_opened} are recorded\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Returns the names of the system calls of a run that changes nothing, from the opening of the root on.
fn converged(node: &Node) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let mut command = tools::command("strace");
    command.args(["-f", "-qq", "-e", "signal=none", "-o"]).arg(&calls).arg(env!("CARGO_BIN_EXE_k3s-harden"));
    command.arg("apply").arg("--root").arg(node.path()).args(["--owner", &owner()]);
    let output = command.env_clear().output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "Nothing to change.\n");
    let text = fs::read_to_string(&calls).unwrap();
    let root = format!("\"{}\"", node.path().display());
    let name = |line: &str| {
        let (_, call) = line.trim_start().split_once(char::is_whitespace)?;
        let (name, _) = call.trim_start().split_once('(')?;
        Some(name.to_owned())
    };
    let lines = text.lines().skip_while(|line| !(line.contains("open") && line.contains(&root)));
    lines.filter_map(name).filter(|name| !MEMORY.contains(&name.as_str())).collect()
}
