// SPDX-License-Identifier: Apache-2.0
//! Every system call that changes something fails in turn.

use nix::errno::Errno;

use super::bed::{APPLY, Bed, OLDER, ROLLBACK, Run, for_each, lax, undisturbed};
use super::strace::{Call, all_disturbed, calls, disturbed};
use super::tree::{Tree, What};
use crate::support::counts::some;
use crate::support::{tools, turns};

/// Said where nothing of a failed run is left.
const PUT_BACK: &str = "all changes of this run were rolled back";
/// Said where something is.
const NOT_PUT_BACK: &str = "could not be rolled back";

/// Returns how a call can fail. `retval=0` is a write that takes nothing.
fn failures(call: &Call) -> &'static [&'static str] {
    match call.name.as_str() {
        "openat" => &["ENOSPC", "EIO", "EROFS", "EPERM", "EACCES", "EMFILE"],
        "write" | "writev" | "pwrite64" => &["ENOSPC", "EIO", "EROFS", "retval=0"],
        "fsync" | "fdatasync" => &["EIO", "ENOSPC", "EROFS"],
        "fchmod" | "fchown" => &["EPERM", "EROFS", "EIO"],
        "renameat" | "renameat2" | "linkat" | "symlinkat" | "mkdirat" => {
            &["ENOSPC", "EIO", "EROFS", "EPERM", "EACCES"]
        }
        "unlinkat" | "unlink" => &["EIO", "EROFS", "EPERM", "EACCES"],
        "flock" => &["EIO", "ENOLCK"],
        _ if call.name.contains("xattr") => &["ENOSPC", "EIO", "EROFS", "EPERM"],
        other => panic!("how does {other} fail?"),
    }
}

fn inject(failure: &str) -> String {
    if failure.contains('=') { failure.to_owned() } else { format!("error={failure}") }
}

/// A run of which one call fails, and the images that it may leave.
struct Story<'a> {
    verb: &'a [&'a str],
    before: Tree,
    old: Tree,
    new: Tree,
    first: Tree,
}

impl Story<'_> {
    fn of<'a>(verb: &'a [&'a str], earlier: Option<&[&str]>, first: Tree) -> Story<'a> {
        let (before, old) =
            earlier.map_or_else(|| (first.clone(), first.clone()), |earlier| undisturbed(&first, earlier));
        let new = undisturbed(&before, verb).1;
        Story { verb, before, old, new, first }
    }

    fn calls(&self) -> Vec<Call> {
        calls(&Bed::of(&self.before), self.verb)
    }

    /// Runs with one call disturbed and checks what is left: all of the old, or all of the new.
    fn disturb(&self, bed: &Bed, call: &Call, what: &str) -> Run {
        bed.reset(&self.before);
        let run = disturbed(bed, self.verb, call, what);
        let when = format!("{:?} with {what} at {} {}\n{}", self.verb, call.name, call.occurrence, call.line);
        let when = format!("{when}\n{:?} {}", run.code, run.stderr);
        match run.code {
            // A label that the system does not let us set is no reason to undo the rest.
            Some(0) if run.stderr.contains("could not be kept") => {
                assert!(call.name == "fsetxattr", "{when}");
                let difference = bed.tree().without_labels().differs_from(&self.new.clone().without_labels());
                assert_eq!(difference, "", "{when}");
                return run;
            }
            Some(0) => bed.is(&self.new, &when),
            Some(1 | 73 | 77) => {
                bed.is(&self.old, &when);
                let root = bed.root();
                let error = run.stderr.lines().find(|line| line.contains("error: "));
                let names = error.is_some_and(|line| line.contains(root.to_str().unwrap()));
                assert!(names, "no path is named: {when}");
                assert!(!run.stderr.contains(NOT_PUT_BACK), "{when}");
            }
            _ => panic!("{when}"),
        }
        self.goes_on(bed, &when);
        run
    }

    /// Checks that undisturbed runs then make and undo everything.
    fn goes_on(&self, bed: &Bed, when: &str) {
        let verb = if self.verb == ROLLBACK { &APPLY } else { self.verb };
        let last = if self.verb == ROLLBACK { &self.old } else { &self.new };
        bed.run(verb).expect_when(0, when);
        bed.is(last, &format!("run again: {when}"));
        bed.undo_all(when);
        bed.is(&self.first, &format!("all undone: {when}"));
    }

    /// Lets every change fail in its first so many ways, as many of them as this tier takes.
    fn fail_everywhere(&self, name: &str, most: usize) {
        let started = std::time::Instant::now();
        let changes = self.calls().into_iter().filter(Call::writes);
        let ways: Vec<(Call, &str)> = changes
            .flat_map(|call| failures(&call).iter().take(most).map(move |failure| (call.clone(), *failure)))
            .collect();
        let ways = some(ways);
        let count = for_each(&ways, |bed, (call, failure)| {
            let run = self.disturb(bed, call, &inject(failure));
            let says = match *failure {
                "retval=0" => "",
                "EMFILE" => Errno::EMFILE.desc(),
                "ENOSPC" => Errno::ENOSPC.desc(),
                "EROFS" => "ead-only file system",
                "EPERM" => Errno::EPERM.desc(),
                "EACCES" => Errno::EACCES.desc(),
                "ENOLCK" => Errno::ENOLCK.desc(),
                _ => Errno::EIO.desc(),
            };
            assert!(run.code == Some(0) || run.stderr.contains(says), "{says:?}: {}", run.stderr);
        });
        tools::report(&format!("{name}: {count} failures in {:.0?}", started.elapsed()));
    }
}

#[test]
#[ignore = "needs root and strace"]
fn every_change_of_an_apply_fails() {
    let _busy = turns::busy();
    Story::of(&APPLY, None, lax()).fail_everywhere("apply", usize::MAX);
}

#[test]
#[ignore = "needs root and strace"]
fn every_change_of_a_first_apply_fails() {
    let _busy = turns::busy();
    Story::of(&APPLY, None, Tree::default()).fail_everywhere("first apply", 2);
}

#[test]
#[ignore = "needs root and strace"]
fn every_change_of_an_apply_that_removes_a_file_fails() {
    let _busy = turns::busy();
    Story::of(&OLDER, Some(&APPLY), Tree::default()).fail_everywhere("second apply", 2);
}

#[test]
#[ignore = "needs root and strace"]
fn every_change_of_a_rollback_fails() {
    let _busy = turns::busy();
    Story::of(&ROLLBACK, Some(&APPLY), lax()).fail_everywhere("rollback", usize::MAX);
}

#[test]
#[ignore = "needs root and strace"]
fn there_are_no_descriptors_left_for_a_path() {
    let _busy = turns::busy();
    let story = Story::of(&APPLY, None, lax());
    let paths: Vec<Call> = story.calls().into_iter().filter(|call| call.name == "openat2").collect();
    let count = for_each(&some(paths), |bed, call| {
        story.disturb(bed, call, "error=EMFILE");
    });
    tools::report(&format!("apply: {count} paths could not be opened"));
}

#[test]
#[ignore = "needs root and strace"]
fn a_disk_that_is_full_from_some_point_on_leaves_every_file_whole() {
    let _busy = turns::busy();
    let story = Story::of(&APPLY, None, lax());
    let changes = story.calls().into_iter().filter(Call::writes);
    let writes: Vec<Call> = changes.filter(|call| ["write", "fsync"].contains(&call.name.as_str())).collect();
    let count = for_each(&writes, |bed, call| {
        bed.reset(&story.before);
        let what = format!("error=ENOSPC:when={}+", call.occurrence);
        let run = all_disturbed(bed, story.verb, &call.name, &what);
        let when = format!("{} fails from {} on: {}", call.name, call.occurrence, run.stderr);
        // Everything was done, and the record says so already, if not for good.
        if run.code == Some(0) && run.stderr.contains("the run is complete, and its record may be lost") {
            bed.is(&story.new, &when);
            story.goes_on(bed, &when);
            return;
        }
        // The terminal is full too. Where the way back fails as well, the node stands half changed.
        assert!(matches!(run.code, Some(1 | 4 | 73)), "{when}");
        assert!(run.code == Some(4) || !run.stderr.contains(NOT_PUT_BACK), "{when}");
        bed.is_whole(&story.old, &story.new, &when);
        if run.stderr.contains(PUT_BACK) {
            bed.is(&story.old, &when);
        }
        story.goes_on(bed, &when);
    });
    tools::report(&format!("apply: no room from {count} points on"));
}

#[test]
#[ignore = "needs root and strace"]
fn a_write_that_claims_more_than_it_did_is_found_out() {
    let _busy = turns::busy();
    let story = Story::of(&APPLY, None, lax());
    let is_of_the_node =
        |call: &Call| call.name == "write" && call.writes() && !call.line.contains(super::tree::STATE);
    let writes: Vec<Call> = story.calls().into_iter().filter(is_of_the_node).collect();
    assert!(writes.len() >= 5, "{writes:#?}");
    let files = story.new.0.values().filter(|entry| matches!(entry.what, What::File(_))).count();
    let count = for_each(&writes, |bed, call| {
        let run = story.disturb(bed, call, "retval=100");
        assert_ne!(run.code, Some(0), "{call:?}: 100 bytes are missing");
    });
    tools::report(&format!("apply: {count} short writes to {files} files"));
}
