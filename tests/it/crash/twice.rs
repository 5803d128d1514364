// SPDX-License-Identifier: Apache-2.0
//! Killed again: while a killed run is being put right, and while everything is taken away.

use super::bed::{APPLY, Bed, FILES, ROLLBACK, for_each, lax, undisturbed};
use super::strace::{Call, calls, disturbed};
use super::tree::{Entry, STATE, Tree, What};
use crate::support::counts::some;
use crate::support::{tools, turns};

/// Returns `before` as a run leaves it that is killed at the changes of the node with these numbers.
fn killed(before: &Tree, verb: &[&str], which: &[usize]) -> Vec<Tree> {
    let of_the_node = |call: &Call| call.writes() && !call.line.contains("k3s-harden/");
    let calls: Vec<Call> = calls(&Bed::of(before), verb).into_iter().filter(of_the_node).collect();
    let kill = |which: &usize| {
        let bed = Bed::of(before);
        let run = disturbed(&bed, verb, &calls[(*which).min(calls.len() - 1)], "signal=KILL");
        assert_eq!(run.signal, Some(9), "{}", run.stderr);
        Tree::of(&bed.root())
    };
    which.iter().map(kill).collect()
}

fn changes(before: &Tree, verb: &[&str]) -> Vec<Call> {
    calls(&Bed::of(before), verb).into_iter().filter(Call::writes).collect()
}

#[test]
#[ignore = "needs root and strace"]
fn who_puts_a_killed_run_right_is_killed_at_every_change() {
    let _busy = turns::busy();
    let started = std::time::Instant::now();
    let first = lax();
    let (applied, last) = undisturbed(&first, &APPLY);
    let mut points = 0;
    for (before, verb) in [(&first, &APPLY[..]), (&applied, &ROLLBACK)] {
        // In the middle, and just before the end.
        for left in killed(before, verb, &[20, usize::MAX]) {
            for next in [&APPLY[..], &ROLLBACK] {
                points += for_each(&some(changes(&left, next)), |bed, call| {
                    bed.reset(&left);
                    let run = disturbed(bed, next, call, "signal=KILL");
                    let when = format!("{verb:?} killed, then {next:?} at {} {}", call.name, call.occurrence);
                    assert_eq!(run.signal, Some(9), "{when}: {}", run.stderr);
                    bed.is_whole(&first, &last, &when);
                    bed.run(&APPLY).expect_when(0, &when);
                    bed.is(&last, &when);
                    bed.undo_all(&when);
                    bed.is(&first, &format!("{when}, all undone"));
                });
            }
        }
    }
    tools::report(&format!("recovery: killed at {points} changes in {:.0?}", started.elapsed()));
}

/// An image on which no file is one of ours, so that nothing is left to ask for once all is undone.
fn foreign() -> Tree {
    let mut tree = lax();
    for path in FILES {
        if let Some(Entry { what: What::File(bytes), .. }) = tree.0.get_mut(path) {
            *bytes = b"# of somebody else\n".to_vec();
        }
    }
    tree
}

#[test]
#[ignore = "needs root and strace"]
fn who_takes_everything_away_is_killed_at_every_change() {
    let _busy = turns::busy();
    let uninstall = ["uninstall"];
    for first in [foreign(), Tree::default()] {
        let (applied, last) = undisturbed(&first, &APPLY);
        let points = for_each(&changes(&applied, &uninstall), |bed, call| {
            bed.reset(&applied);
            let run = disturbed(bed, &uninstall, call, "signal=KILL");
            let when = format!("uninstall killed at {} {}", call.name, call.occurrence);
            assert_eq!(run.signal, Some(9), "{when}: {}", run.stderr);
            bed.is_whole(&first, &last, &when);
            let left = Tree::of(&bed.root());
            let run = bed.run(&uninstall).expect_when(0, &when);
            let nothing_left = Tree::of(&bed.root());
            assert_eq!(nothing_left.differs_from(&first), "", "{when}, again: {}{}", run.stdout, run.stderr);
            assert!(!bed.root().join(STATE).exists(), "{when}");
            bed.reset(&left);
            bed.run(&APPLY).expect_when(0, &when);
            bed.is(&last, &format!("{when}, then applied"));
        });
        tools::report(&format!("uninstall: killed at {points} changes"));
    }
}
