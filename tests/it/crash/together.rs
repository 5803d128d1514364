// SPDX-License-Identifier: Apache-2.0
//! Many runs on one image at once, and a run that dies while it holds the lock.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::bed::{APPLY, Bed, ROLLBACK, Run, lax, undisturbed};
use super::strace::{Call, calls};
use super::tree::{STATE, Tree};
use crate::support::{tools, turns};

const WAIT: [&str; 2] = ["--lock-timeout", "30"];

/// Starts `count` runs as nearly at once as can be, and returns how they ended.
fn together(bed: &Bed, count: usize, verb: &[&str]) -> Vec<Run> {
    let barrier = std::sync::Barrier::new(count);
    std::thread::scope(|scope| {
        let start = || {
            barrier.wait();
            bed.run(verb)
        };
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Returns the numbers of the runs that changed something.
fn history(bed: &Bed) -> Vec<u64> {
    let run = bed.run(&["history", "--format", "json"]).expect_when(0, "history");
    let history: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let runs = history["runs"].as_array().unwrap_or_else(|| panic!("{history:#}"));
    runs.iter().map(|run| run["id"].as_u64().unwrap_or_else(|| panic!("{run:#}"))).collect()
}

#[test]
#[ignore = "needs root"]
fn of_many_applies_one_does_it() {
    let _quiet = turns::quiet();
    let (mut did, mut refused) = (0, 0);
    for first in [lax(), Tree::default()] {
        let new = undisturbed(&first, &APPLY).1;
        for count in [2, 2, 2, 10, 10, 10, 10, 10] {
            let bed = Bed::of(&first);
            let runs = together(&bed, count, &APPLY);
            let when = format!("{runs:#?}");
            assert!(runs.iter().all(|run| matches!(run.code, Some(0 | 75))), "{when}");
            did += runs.iter().filter(|run| run.code == Some(0)).count();
            refused += runs.iter().filter(|run| run.code == Some(75)).count();
            let changed = runs.iter().filter(|run| run.code == Some(0) && !run.stdout.contains("Nothing"));
            assert_eq!(changed.count(), 1, "{when}");
            bed.is(&new, &when);
            assert_eq!(history(&bed), [1], "{when}");
            bed.undo_all(&when);
            bed.is(&first, &when);
        }
    }
    assert!(refused > 0, "no two runs met");
    tools::report(&format!("applies at once: {did} ended well, {refused} were refused"));
}

#[test]
#[ignore = "needs root"]
fn who_waits_for_the_lock_gets_it() {
    let _quiet = turns::quiet();
    let first = lax();
    let new = undisturbed(&first, &APPLY).1;
    for count in [2, 10, 10] {
        let bed = Bed::of(&first);
        let runs = together(&bed, count, &[&APPLY[..], &WAIT].concat());
        assert!(runs.iter().all(|run| run.code == Some(0)), "{runs:#?}");
        bed.is(&new, &format!("{runs:#?}"));
        assert_eq!(history(&bed), [1]);
    }
}

#[test]
#[ignore = "needs root"]
fn of_many_rollbacks_each_undoes_one() {
    let _quiet = turns::quiet();
    let first = lax();
    let bed = Bed::of(&first);
    bed.run(&APPLY).expect_when(0, "an apply");
    let runs = together(&bed, 10, &[&ROLLBACK[..], &WAIT].concat());
    assert!(runs.iter().all(|run| run.code == Some(0)), "{runs:#?}");
    let idle = runs.iter().filter(|run| run.stdout.contains("Nothing to undo.")).count();
    assert_eq!(idle, 9, "{runs:#?}");
    bed.is(&first, "all undone");
}

/// Returns the calls of an apply that put files of the node at their places.
fn placing(first: &Tree) -> Vec<Call> {
    let is_placing = |call: &Call| {
        call.name.starts_with("rename") && call.line.contains(".tmp\", ") && !call.line.contains(STATE)
    };
    calls(&Bed::of(first), &APPLY).into_iter().filter(is_placing).collect()
}

/// Is there a temporary file below a directory in which a run may still be at work, so that entries come and go?
fn has_temporary(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_directory {
            has_temporary(&entry.path())
        } else {
            let name = entry.file_name();
            [&b".tmp"[..], b".swap"].iter().any(|ending| name.as_encoded_bytes().ends_with(ending))
        }
    })
}

/// A run that stands still while it holds the lock.
struct Holder {
    strace: Child,
    pid: String,
}

impl Holder {
    /// Starts an apply and stops it before it puts a file at its place.
    fn start(bed: &Bed, call: &Call) -> Self {
        let (name, occurrence) = (&call.name, call.occurrence);
        let (trace, inject) =
            (format!("trace={name}"), format!("inject={name}:delay_enter=600000000:when={occurrence}"));
        let strace = tools::command("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject])
            .args(bed.command(&APPLY))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let children = PathBuf::from(format!("/proc/{0}/task/{0}/children", strace.id()));
        let deadline = Instant::now() + Duration::from_secs(30);
        // It has come there when a file is on its way and has not moved for a while.
        let mut still = 0;
        while still < 10 {
            assert!(Instant::now() < deadline, "the run never came to {name} {occurrence}");
            sleep(Duration::from_millis(20));
            still = if has_temporary(&bed.root()) { still + 1 } else { 0 };
        }
        let pids = fs::read_to_string(children).unwrap();
        let pid = pids.split_whitespace().next().expect("strace has a child").to_owned();
        Self { strace, pid }
    }

    fn kill(mut self) {
        // The run first: strace would let it go on.
        Run::by(Command::new("kill").args(["-KILL", &self.pid])).expect_when(0, "kill");
        self.strace.kill().unwrap();
        self.strace.wait().unwrap();
        // A process ends some time after it was told to; a dead one that nobody has waited for holds nothing.
        let lives = || {
            let status = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
            status.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
        };
        while lives() {
            sleep(Duration::from_millis(1));
        }
    }
}

#[test]
#[ignore = "needs root and strace"]
fn a_holder_of_the_lock_is_named_and_its_end_is_noticed() {
    let _quiet = turns::quiet();
    let first = lax();
    let new = undisturbed(&first, &APPLY).1;
    let calls = placing(&first);
    assert!(calls.len() >= 4, "{calls:#?}");
    for call in [&calls[0], &calls[2], calls.last().unwrap()] {
        let bed = Bed::of(&first);
        let holder = Holder::start(&bed, call);
        let when = format!("held at {} {}", call.name, call.occurrence);
        let left = Tree::of(&bed.root());
        for verb in [&APPLY[..], &ROLLBACK, &["uninstall"]] {
            let run = bed.run(verb).expect_when(75, &when);
            let names = format!("process {}", holder.pid);
            assert!(run.stderr.contains(&names), "{when}: {names}: {}", run.stderr);
        }
        assert_eq!(Tree::of(&bed.root()).differs_from(&left), "", "{when}: who is refused changes nothing");
        let started = Instant::now();
        let patient = [&APPLY[..], &["--lock-timeout", "2"]].concat();
        bed.run(&patient).expect_when(75, &when);
        assert!(started.elapsed() >= Duration::from_secs(2), "{when}: {:?}", started.elapsed());
        // One that waits goes on when the holder dies.
        let waiting = [&APPLY[..], &WAIT].concat();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| bed.run(&waiting));
            sleep(Duration::from_millis(300));
            holder.kill();
            waiter.join().unwrap().expect_when(0, &when);
        });
        bed.is(&new, &when);
        bed.undo_all(&when);
        bed.is(&first, &when);
    }
}

#[test]
#[ignore = "needs root and strace"]
fn the_next_run_recovers_what_a_dead_holder_left() {
    let _quiet = turns::quiet();
    let first = lax();
    let new = undisturbed(&first, &APPLY).1;
    let call = &placing(&first)[3];
    for verb in [&APPLY[..], &ROLLBACK, &["uninstall"]] {
        let bed = Bed::of(&first);
        Holder::start(&bed, call).kill();
        let run = bed.run(verb);
        // The image has files that look like k3s-harden's from the start, and no other run is in the history.
        let without_history = run.has_no_history();
        assert!(run.code == Some(0) || (verb == ["uninstall"] && without_history), "the next run: {run:?}");
        bed.is(if verb == APPLY { &new } else { &first }, &format!("{verb:?} after a run that died"));
    }
}
