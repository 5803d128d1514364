// SPDX-License-Identifier: Apache-2.0
//! The system calls of a run, and runs in which one of them goes wrong.
//!
//! strace counts the occurrences of each system call by itself, so a run is traced once, and each of its calls is
//! then named by what it is and how many of its kind came before. (`-e trace=none` and `--seccomp-bpf` would keep
//! strace from injecting anything, without a word.)

use std::collections::BTreeMap;
use std::fs;

use super::bed::{Bed, Run};
use crate::support::tools;

/// One system call of a run.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// The how many-th of its kind, from 1.
    pub(crate) occurrence: usize,
    /// What strace says of it.
    pub(crate) line: String,
}

impl Call {
    /// Tells whether it is about the memory of the process and nothing else.
    pub(crate) fn is_for_memory(&self) -> bool {
        ["brk", "mmap", "munmap", "mremap", "madvise"].contains(&self.name.as_str())
    }

    /// Tells whether it changes something on a file system, or locks it. What goes to the terminal does not count.
    pub(crate) fn writes(&self) -> bool {
        let names = "fchmod fchown fdatasync flock fremovexattr fsetxattr fsync ftruncate linkat mkdirat removexattr \
                     lremovexattr lsetxattr renameat renameat2 rename setxattr symlinkat unlink unlinkat";
        match self.name.as_str() {
            "openat" | "openat2" => self.line.contains("O_CREAT"),
            "write" | "writev" | "pwrite64" => {
                !["(1,", "(2,", "(1<", "(2<"].iter().any(|to| self.line.contains(to))
            }
            name => names.split_whitespace().any(|other| name == other),
        }
    }
}

/// Runs `verb` undisturbed and returns all its system calls.
pub(crate) fn calls(bed: &Bed, verb: &[&str]) -> Vec<Call> {
    let file = bed.beside("calls");
    strace(&["-f", "-qq", "-y", "-s", "0", "-e", "signal=none", "-o", file.to_str().unwrap()], bed, verb)
        .expect_when(0, "a traced run");
    parse(&fs::read_to_string(&file).unwrap())
}

/// Reads the calls of a run from what strace wrote.
pub(crate) fn parse(text: &str) -> Vec<Call> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let (thread, call) = line.trim_start().split_once(char::is_whitespace).unwrap();
        let call = call.trim_start();
        let Some((name, _)) = call.split_once('(').filter(|_| !call.starts_with(['<', '+', '-'])) else {
            continue;
        };
        // strace starts the program itself, so this one cannot be disturbed.
        if name == "execve" {
            continue;
        }
        let count = counts.entry((thread, name)).or_default();
        *count += 1;
        calls.push(Call { name: name.to_owned(), occurrence: *count, line: call.to_owned() });
    }
    calls
}

/// Runs `verb` with `what` done to one call: `signal=KILL`, `error=EIO`, `retval=0`.
pub(crate) fn disturbed(bed: &Bed, verb: &[&str], call: &Call, what: &str) -> Run {
    all_disturbed(bed, verb, &call.name, &format!("{what}:when={}", call.occurrence))
}

/// The same for all calls of a kind that `what` picks.
pub(crate) fn all_disturbed(bed: &Bed, verb: &[&str], name: &str, what: &str) -> Run {
    let (trace, inject) = (format!("trace={name}"), format!("inject={name}:{what}"));
    strace(&["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject], bed, verb)
}

/// The same for calls of several kinds, each with what is done to it.
pub(crate) fn twice_disturbed(bed: &Bed, verb: &[&str], all: &[(String, String)]) -> Run {
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    let trace = format!("trace={}", names.join(","));
    let injections: Vec<String> = all.iter().map(|(name, what)| format!("inject={name}:{what}")).collect();
    let mut options = vec!["-f", "-qq", "-o", "/dev/null", "-e", &trace];
    options.extend(injections.iter().flat_map(|inject| ["-e", inject]));
    strace(&options, bed, verb)
}

fn strace(options: &[&str], bed: &Bed, verb: &[&str]) -> Run {
    Run::by(tools::command("strace").args(options).args(bed.command(verb)))
}
