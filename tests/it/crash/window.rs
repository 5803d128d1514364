// SPDX-License-Identifier: Apache-2.0
//! No content is ever in a file that is more open than it shall be, not even for an instant.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::bed::{APPLY, Bed, OLDER, ROLLBACK, Run, lax, undisturbed};
use super::tree::{STATE, Tree, What, target};
use crate::support::{tools, turns};

/// Follows the modes of files through the system calls of a run.
struct Watcher<'a> {
    root: String,
    /// What the run makes.
    wanted: &'a Tree,
    umask: u32,
    modes: BTreeMap<String, u32>,
    writes: usize,
}

impl Watcher<'_> {
    fn see(&mut self, call: &str) {
        let Some((name, arguments)) = call.split_once('(') else { return };
        // Nothing but the root matters, and a call that failed does nothing.
        let Some((arguments, result)) = arguments.rsplit_once(" = ") else { return };
        if result.starts_with('-') {
            return;
        }
        let octal = |text: &str| u32::from_str_radix(text.trim_matches([',', ')', ' ']), 8).unwrap();
        let last = || octal(arguments.rsplit_once(' ').map_or(arguments, |(_, last)| last));
        match name {
            "umask" => self.umask = octal(arguments),
            "openat" | "openat2" if arguments.contains("O_CREAT") => {
                assert_eq!(name, "openat", "the mode of openat2 has to be understood here too: {call}");
                if let Some(path) = self.below(descriptor(result)) {
                    self.modes.insert(path, last() & !self.umask);
                }
            }
            "fchmod" => {
                if let Some(path) = self.below(descriptor(arguments)) {
                    self.modes.insert(path, last());
                }
            }
            "write" | "writev" | "pwrite64" => {
                let Some(path) = self.below(descriptor(arguments)) else { return };
                let mode = *self.modes.get(&path).unwrap_or_else(|| panic!("written in place: {call}"));
                let wanted = self.wanted_of(target(&path).as_deref().unwrap_or(&path));
                assert_eq!(mode & !wanted, 0, "{path} is {mode:04o}, not {wanted:04o}, when it is written");
                self.writes += 1;
            }
            "renameat" | "renameat2" => {
                let names: Vec<&str> = arguments.split('"').collect();
                let folders: Vec<&str> = [names[0], names[2]].into_iter().map(descriptor).collect();
                let path = |at: usize| self.below(&format!("{}/{}", folders[at], names[2 * at + 1]));
                let (Some(from), Some(to)) = (path(0), path(1)) else { return };
                let place = target(&to).unwrap_or_else(|| to.clone());
                let Some(mode) = self.modes.remove(&from) else {
                    // A symlink has no content, a state directory comes with all that is in it, and what is removed is as
                    // it was.
                    let is_symlink =
                        self.wanted.0.get(&place).is_some_and(|entry| matches!(entry.what, What::Symlink(_)));
                    let is_mark = from.starts_with(STATE) && from.contains("/newest.");
                    assert!(is_symlink || is_mark || settled(&from) == to || place == from, "{call}");
                    return;
                };
                assert_eq!(mode, self.wanted_of(&place), "{to}");
                self.modes.insert(to, mode);
            }
            "mkdirat" => {
                let names: Vec<&str> = arguments.split('"').collect();
                let Some(path) = self.below(&format!("{}/{}", descriptor(names[0]), names[1])) else {
                    return;
                };
                let (mode, wanted) = (last() & !self.umask, self.wanted_of(&path));
                assert_eq!(mode & !wanted, 0, "{path} is made {mode:04o}, not {wanted:04o}");
            }
            "chmod" | "fchmodat" | "fchmodat2" | "open" | "creat" | "rename" | "mkdir" => {
                panic!("this call is not understood here: {call}");
            }
            _ => {}
        }
    }

    fn below(&self, path: &str) -> Option<String> {
        path.strip_prefix(&self.root)?.strip_prefix('/').map(str::to_owned)
    }

    fn wanted_of(&self, path: &str) -> u32 {
        let entry = self.wanted.0.get(&settled(path));
        entry.map_or_else(|| panic!("{path} is not there in the end"), |entry| entry.mode)
    }
}

/// Returns the path that something has in the end that is made in a state directory, or a run's, under a first name.
fn settled(path: &str) -> String {
    let parts = path.split('/').enumerate().map(|(depth, part)| {
        let run = part.strip_prefix('.').and_then(|part| part.strip_suffix(".coming"));
        let is_coming = part.starts_with(".k3s-harden.coming.");
        if is_coming { STATE.split('/').nth(depth).unwrap() } else { run.unwrap_or(part) }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Returns the first path that strace names behind a descriptor.
fn descriptor(text: &str) -> &str {
    text.split_once('<').and_then(|(_, path)| path.split_once('>')).map_or("", |(path, _)| path)
}

/// Watches a run under a umask; returns how many writes were seen.
fn watch(before: &Tree, verb: &[&str], umask: &str) -> usize {
    let bed = Bed::of(before);
    let file = bed.beside("calls");
    let script = format!("umask {umask}; exec \"$@\"");
    let options = ["-f", "-qq", "-y", "-s", "0", "-o", file.to_str().unwrap()];
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh", "strace"]).args(options).args(bed.command(verb));
    Run::by(&mut command).expect_when(0, "a watched run");
    let after = Tree::of(&bed.root());
    let root = bed.root().to_str().unwrap().to_owned();
    let umask = u32::from_str_radix(umask, 8).unwrap();
    let mut watcher = Watcher { root, wanted: &after, umask, modes: BTreeMap::new(), writes: 0 };
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("<unfinished"), "two threads at once are not understood here");
    for line in text.lines() {
        let (_, call) = line.trim_start().split_once(char::is_whitespace).unwrap();
        watcher.see(call.trim_start());
    }
    assert!(Path::new(&watcher.root).is_absolute());
    watcher.writes
}

#[test]
#[ignore = "needs root and strace"]
fn content_is_never_in_a_file_that_is_too_open() {
    let _busy = turns::busy();
    let first = lax();
    let (applied, _) = undisturbed(&first, &APPLY);
    let mut writes = 0;
    for umask in ["000", "022", "077"] {
        for (before, verb) in
            [(&first, &APPLY[..]), (&Tree::default(), &APPLY), (&applied, &OLDER), (&applied, &ROLLBACK)]
        {
            let seen = watch(before, verb, umask);
            assert!(seen >= 4, "{verb:?}: only {seen} writes were seen");
            writes += seen;
        }
    }
    tools::report(&format!("{writes} writes to files, none of them too open"));
}
