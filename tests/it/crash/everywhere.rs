// SPDX-License-Identifier: Apache-2.0
//! Killed at every system call.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::bed::{APPLY, Bed, OLDER, ROLLBACK, for_each, lax, undisturbed};
use super::strace::{Call, calls, disturbed};
use super::tree::Tree;
use crate::support::counts::{pick, some};
use crate::support::{tools, turns};

/// A run that is to be killed, and the image before it.
struct Story<'a> {
    name: &'a str,
    verb: &'a [&'a str],
    /// The image with what the tool keeps for itself.
    before: Tree,
    /// The image when everything has been undone.
    first: Tree,
    /// What it can look like on the way.
    ways: [Tree; 2],
    /// What brings it to the benchmark afterwards, and how it is then.
    next: &'a [&'a str],
    last: Tree,
}

impl Story<'_> {
    /// Kills the run at each of `calls` that this tier takes, and checks what is left, and what the next runs make of
    /// it.
    fn kill_at(&self, calls: Vec<Call>) {
        let calls = some(calls);
        let started = std::time::Instant::now();
        let missed = AtomicUsize::new(0);
        let points = for_each(&calls, |bed, call| {
            bed.reset(&self.before);
            let when = format!("{} killed at {} {}", self.name, call.name, call.occurrence);
            let run = disturbed(bed, self.verb, call, "signal=KILL");
            // How often memory is asked for differs from run to run; there is always one more call behind it.
            if run.code == Some(0) && call.is_for_memory() {
                missed.fetch_add(1, Ordering::Relaxed);
                return;
            }
            assert_eq!(run.signal, Some(9), "{when}: {:?} {}", run.code, run.stderr);
            bed.is_whole(&self.ways[0], &self.ways[1], &when);
            if call.writes() {
                self.undone_at_once(bed, call);
            }
            let run = bed.run(self.next);
            assert_eq!(run.code, Some(0), "{when}: the next run: {}", run.stderr);
            bed.is(&self.last, &format!("{when}, run again: {}{}", run.stdout, run.stderr));
            bed.undo_all(&when);
            bed.is(&self.first, &format!("{when}, run again, all undone"));
        });
        let points = points - missed.into_inner();
        assert!(
            points + pick(2, 5) > calls.len(),
            "{}: killed at {points} of {} calls only",
            self.name,
            calls.len()
        );
        tools::report(&format!(
            "{}: killed at {points} system calls in {:.0?}",
            self.name,
            started.elapsed()
        ));
    }

    /// Without another run in between; the image is as it was left by the kill again when this returns.
    fn undone_at_once(&self, bed: &Bed, call: &Call) {
        let when = format!("{} killed at {} {}", self.name, call.name, call.occurrence);
        let left = Tree::of(&bed.root());
        bed.undo_all(&when);
        bed.is(&self.first, &format!("{when}, all undone"));
        bed.reset(&left);
    }
}

/// The first apply on an image.
fn first_apply(name: &'static str, first: Tree) -> Story<'static> {
    let last = undisturbed(&first, &APPLY).1;
    let (before, ways) = (first.clone(), [first.clone(), last.clone()]);
    Story { name, verb: &APPLY, before, first, ways, next: &APPLY, last }
}

/// Returns the calls of a run on `before`.
fn calls_of(before: &Tree, verb: &[&str]) -> Vec<Call> {
    calls(&Bed::of(before), verb)
}

#[test]
#[ignore = "needs root and strace"]
fn an_apply_that_changes_everything_is_killed_at_every_call() {
    let _busy = turns::busy();
    let story = first_apply("apply", lax());
    story.kill_at(calls_of(&story.before, &APPLY));
}

#[test]
#[ignore = "needs root and strace"]
fn a_rollback_is_killed_at_every_call() {
    let _busy = turns::busy();
    let first = lax();
    let (before, last) = undisturbed(&first, &APPLY);
    let story = Story {
        name: "rollback",
        verb: &ROLLBACK,
        before: before.clone(),
        first: first.clone(),
        ways: [first, last.clone()],
        next: &APPLY,
        last,
    };
    story.kill_at(calls_of(&before, &ROLLBACK));
}

#[test]
#[ignore = "needs root and strace"]
fn an_apply_on_an_empty_image_is_killed_at_every_change() {
    let _busy = turns::busy();
    let story = first_apply("first apply", Tree::default());
    story.kill_at(calls_of(&story.before, &APPLY).into_iter().filter(Call::writes).collect());
}

#[test]
#[ignore = "needs root and strace"]
fn an_apply_that_removes_a_file_is_killed_at_every_change() {
    let _busy = turns::busy();
    let first = Tree::default();
    let (before, newer) = undisturbed(&first, &APPLY);
    let older = undisturbed(&before, &OLDER).1;
    let story = Story {
        name: "second apply",
        verb: &OLDER,
        before: before.clone(),
        first,
        ways: [newer, older.clone()],
        next: &OLDER,
        last: older,
    };
    story.kill_at(calls_of(&before, &OLDER).into_iter().filter(Call::writes).collect());
}
