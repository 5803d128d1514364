// SPDX-License-Identifier: Apache-2.0
//! Somebody else saves a path of ours while a run lasts, or between a run that was killed and the next one. His bytes are
//! never in no file and no backup, and neither are those that were there before the run.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::bed::{APPLY, Bed, FILES, ROLLBACK, Run, UNINSTALL, for_each};
use super::strace::{Call, calls, disturbed};
use super::tree::{STATE, Tree, What};
use super::verbs::{VerbCase, verb_cases};
use crate::support::counts::some;
use crate::support::random::Random;
use crate::support::{tools, turns};

/// What somebody writes.
const SAVED: &[u8] = b"# saved by somebody\n";
/// How long a run stands still before a call, in microseconds: it goes on at once when strace is gone.
const HELD: &str = "delay_enter=30000000";

/// What somebody does to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edit {
    /// Writes into the file that is there.
    InPlace,
    /// Writes another file and gives it the name, as editors do.
    ByRename,
    /// Changes the mode.
    Chmod,
    /// Removes it.
    Remove,
    /// Puts a symlink in its place.
    Symlink,
    /// Puts a directory in its place.
    Directory,
}

const EDITS: [Edit; 6] =
    [Edit::InPlace, Edit::ByRename, Edit::Chmod, Edit::Remove, Edit::Symlink, Edit::Directory];

impl Edit {
    /// Does it; a path whose folder is not there cannot be edited.
    fn make(self, root: &Path, path: &str) -> bool {
        let path = root.join(path);
        let Some(folder) = path.parent().filter(|folder| folder.is_dir()) else { return false };
        let exists = path.symlink_metadata().is_ok();
        let remove = || !exists || fs::remove_file(&path).is_ok();
        match self {
            // Through a symlink he writes another file.
            Self::InPlace => !path.is_symlink() && fs::write(&path, SAVED).is_ok(),
            Self::ByRename => {
                let beside = folder.join("somebody");
                fs::write(&beside, SAVED).is_ok() && fs::rename(&beside, &path).is_ok()
            }
            Self::Chmod => {
                exists
                    && !path.is_symlink()
                    && fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).is_ok()
            }
            Self::Remove => exists && remove(),
            Self::Symlink => remove() && symlink("of-somebody", &path).is_ok(),
            Self::Directory => {
                remove() && fs::create_dir(&path).is_ok() && fs::write(path.join("saved"), SAVED).is_ok()
            }
        }
    }

    /// Tells whether what he did is still there, in `tree`.
    fn is_in(self, tree: &Tree, path: &str) -> bool {
        match self {
            Self::InPlace | Self::ByRename | Self::Directory => has_bytes(tree, SAVED),
            Self::Symlink => has_bytes(tree, b"of-somebody"),
            Self::Chmod => tree.0.get(path).is_none_or(|entry| entry.mode == 0o604),
            Self::Remove => !tree.0.contains_key(path),
        }
    }
}

/// Tells whether a file, or a backup, has the bytes. A backup of a symlink is its target.
fn has_bytes(tree: &Tree, bytes: &[u8]) -> bool {
    tree.0.values().any(|entry| match &entry.what {
        What::File(there) => there == bytes,
        What::Symlink(target) => target.as_os_str().as_encoded_bytes() == bytes,
        _ => false,
    })
}

/// Returns the bytes of a path; none if it is no file and no symlink.
fn bytes_of(tree: &Tree, path: &str) -> Option<Vec<u8>> {
    match &tree.0.get(path)?.what {
        What::File(bytes) => Some(bytes.clone()),
        What::Symlink(target) => Some(target.as_os_str().as_encoded_bytes().to_vec()),
        _ => None,
    }
}

/// A run that stands still before one of its calls.
struct Held {
    strace: Child,
    output: PathBuf,
}

impl Held {
    /// Starts `verb` and waits until it has come to `call`; none if it ends before.
    fn start(bed: &Bed, verb: &[&str], call: &Call) -> Option<Self> {
        let (name, occurrence) = (&call.name, call.occurrence);
        let (trace, inject) = (format!("trace={name}"), format!("inject={name}:{HELD}:when={occurrence}"));
        let log = bed.beside("held");
        fs::write(&log, "").unwrap();
        let output = bed.beside("said");
        let mut strace = tools::command("strace")
            .args([
                "-f",
                "-qq",
                "-e",
                "signal=none",
                "-o",
                log.to_str().unwrap(),
                "-e",
                &trace,
                "-e",
                &inject,
            ])
            .args(bed.command(verb))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&output).unwrap())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        // strace writes the name of a call when the process enters it.
        let came = || {
            let text = fs::read_to_string(&log).unwrap();
            text.matches(&format!("{name}(")).count() >= occurrence
        };
        while !came() {
            if strace.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(Instant::now() < deadline, "the run never came to {name} {occurrence}");
            sleep(Duration::from_millis(2));
        }
        Some(Self { strace, output })
    }

    /// Lets it go on to its end.
    fn finish(mut self) -> Run {
        // Without strace the call is made at once.
        let children = format!("/proc/{0}/task/{0}/children", self.strace.id());
        let pid = fs::read_to_string(children).unwrap().trim().to_owned();
        self.strace.kill().unwrap();
        self.strace.wait().unwrap();
        let path = format!("/proc/{pid}/stat");
        let deadline = Instant::now() + Duration::from_secs(30);
        let lives = || {
            let status = fs::read_to_string(&path).unwrap_or_default();
            status.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
        };
        while !pid.is_empty() && lives() {
            assert!(Instant::now() < deadline, "the run does not end");
            sleep(Duration::from_millis(2));
        }
        let stderr = fs::read_to_string(&self.output).unwrap();
        Run { code: None, signal: None, stdout: String::new(), stderr }
    }
}

impl VerbCase {
    /// Checks that what was at `path` before the first run is still somewhere: it was in `edited`, and nobody but
    /// k3s-harden has removed it since.
    fn keeps_original(&self, path: &str, [seen, edited, now]: [&Tree; 3], when: &str) {
        let Some(original) = bytes_of(&self.first, path) else { return };
        // Who overwrites a file that was just restored has the last copy on his conscience.
        let own_doing = bytes_of(seen, path).as_ref() == Some(&original);
        if has_bytes(edited, &original) && !own_doing && self.verb != UNINSTALL {
            assert!(has_bytes(now, &original), "the original is lost: {when}");
        }
    }
}

/// Returns the calls of a verb that can be held, each with somebody's edit of some path of ours.
fn edits(case: &VerbCase, random: &mut Random) -> Vec<(Call, Edit, &'static str)> {
    let calls = calls(&Bed::of(&case.before), &case.verb);
    let calls = calls.into_iter().filter(|call| !call.is_for_memory() && call.name != "exit_group");
    let edit = |call: Call| (call, EDITS[random.below(EDITS.len())], FILES[random.below(FILES.len())]);
    calls.map(edit).collect()
}

#[test]
#[ignore = "needs root and strace"]
fn what_somebody_saves_while_a_run_lasts_is_kept() {
    let _busy = turns::busy();
    let mut random = Random::new(11);
    for case in verb_cases() {
        let tried = for_each(&some(edits(&case, &mut random)), |bed, (call, edit, path)| {
            bed.reset(&case.before);
            let when =
                format!("{:?} held at {} {}, {edit:?} of {path}", case.verb, call.name, call.occurrence);
            let Some(held) = Held::start(bed, &case.verb, call) else { return };
            let seen = Tree::of(&bed.root());
            let was_made = edit.make(&bed.root(), path);
            let edited = Tree::of(&bed.root());
            let run = held.finish();
            if !was_made {
                return;
            }
            let tree = Tree::of(&bed.root());
            let is_kept = edit.is_in(&tree, path);
            // A mode, or that nothing is there, is not to be lost without a word.
            let is_named = run.stderr.contains(path);
            let is_small = matches!(edit, Edit::Chmod | Edit::Remove);
            // Who edits a file before it is looked at for the first time has it backed up with his mode.
            let is_before = || run.stderr.is_empty() || !run.stderr.contains("error: ");
            assert!(is_kept || (is_small && (is_named || is_before())), "{when}: {}", run.stderr);
            case.keeps_original(path, [&seen, &edited, &tree], &format!("{when}: {}", run.stderr));
            assert_eq!(leftovers(&tree), Vec::<&String>::new(), "{when}: {}", run.stderr);
        });
        tools::report(&format!("{:?}: somebody saved something at {tried} calls", case.verb));
    }
}

/// Returns the hidden files of ours that were left.
fn leftovers(tree: &Tree) -> Vec<&String> {
    let is_left = |path: &&String| path.ends_with(".tmp") || path.ends_with(".swap");
    tree.0.keys().filter(is_left).collect()
}

#[test]
#[ignore = "needs root and strace"]
fn what_somebody_saves_after_a_run_was_killed_is_kept() {
    let _busy = turns::busy();
    let mut random = Random::new(12);
    for case in verb_cases() {
        let tried = for_each(&some(edits(&case, &mut random)), |bed, (call, edit, path)| {
            for next in [&APPLY[..], &ROLLBACK, &UNINSTALL] {
                bed.reset(&case.before);
                let run = disturbed(bed, &case.verb, call, "signal=KILL");
                let when = format!(
                    "{:?} killed at {} {}, {edit:?} of {path}, then {next:?}",
                    case.verb, call.name, call.occurrence
                );
                let seen = Tree::of(&bed.root());
                if run.signal != Some(9) || !edit.make(&bed.root(), path) {
                    return;
                }
                let edited = Tree::of(&bed.root());
                let run = bed.run(next);
                let when = format!("{when}: {:?} {}", run.code, run.stderr);
                let tree = Tree::of(&bed.root());
                let is_small = matches!(edit, Edit::Chmod | Edit::Remove);
                // Also where it failed, nothing of somebody may be in no file and no backup.
                assert!(is_small || edit.is_in(&tree, path), "{when}");
                if next != UNINSTALL || run.code != Some(0) {
                    case.keeps_original(path, [&seen, &edited, &tree], &when);
                }
                assert!(tree.0.keys().any(|path| !path.starts_with(STATE)), "{when}");
            }
        });
        tools::report(&format!("{:?}: somebody saved something after {tried} kills", case.verb));
    }
}
