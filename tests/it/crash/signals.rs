// SPDX-License-Identifier: Apache-2.0
//! SIGTERM and SIGINT at every change, and nobody who listens.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use super::bed::{APPLY, Bed, ROLLBACK, for_each, lax, undisturbed};
use super::strace::{Call, calls, disturbed};
use super::tree::Tree;
use crate::support::counts::some;
use crate::support::{tools, turns};

const PUT_BACK: &str = "all changes of this run were rolled back";

/// Sends both signals at every change of a run that this tier takes. From when it has taken the lock on it ends by itself: with 1 and
/// everything put back, or with 0 where everything had been done.
fn signal_everywhere(verb: &[&str], before: &Tree, old: &Tree, new: &Tree) {
    let started = std::time::Instant::now();
    let changes = calls(&Bed::of(before), verb).into_iter().filter(Call::writes);
    let ways: Vec<(Call, &str)> =
        changes.flat_map(|call| ["TERM", "INT"].map(|signal| (call.clone(), signal))).collect();
    let ways = some(ways);
    let ended = std::sync::Mutex::new([0; 3]);
    for_each(&ways, |bed, (call, signal)| {
        bed.reset(before);
        let run = disturbed(bed, verb, call, &format!("signal={signal}"));
        let when = format!("SIG{signal} at {} {}\n{:?} {}", call.name, call.occurrence, run, call.line);
        match run.code {
            Some(0) => bed.is(new, &when),
            Some(1) => {
                bed.is(old, &when);
                assert!(run.stderr.contains(&format!("SIG{signal}")), "{when}");
            }
            _ => panic!("{when}"),
        }
        let mut ended = ended.lock().unwrap();
        ended[usize::from(run.code == Some(1))] += 1;
        ended[2] += usize::from(run.stderr.contains(PUT_BACK));
        drop(ended);
        bed.run(&APPLY).expect_when(0, &when);
    });
    let [late, gave_up, put_back] = ended.into_inner().unwrap();
    assert!(put_back > late, "{gave_up} runs gave up, {put_back} put something back, {late} went on");
    tools::report(&format!(
        "{verb:?}: {gave_up} signals ended it, {put_back} of them when it had begun, {late} came too late, in {:.0?}",
        started.elapsed()
    ));
}

#[test]
#[ignore = "needs root and strace"]
fn an_apply_that_is_told_to_end_puts_everything_back() {
    let _busy = turns::busy();
    let first = lax();
    let new = undisturbed(&first, &APPLY).1;
    signal_everywhere(&APPLY, &first, &first, &new);
}

#[test]
#[ignore = "needs root and strace"]
fn a_rollback_that_is_told_to_end_puts_everything_back() {
    let _busy = turns::busy();
    let first = lax();
    let (before, old) = undisturbed(&first, &APPLY);
    signal_everywhere(&ROLLBACK, &before, &old, &first);
}

#[test]
#[ignore = "needs root"]
fn nobody_needs_to_listen() {
    let _busy = turns::busy();
    let first = lax();
    let (before, new) = undisturbed(&first, &APPLY);
    for (verb, before, after) in [(&APPLY[..], &first, &new), (&ROLLBACK[..], &before, &first)] {
        let bed = Bed::of(before);
        let words = bed.command(verb);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(&words[0]);
        let command = command.args(&words[1..]).env_clear().stdin(Stdio::null()).stdout(writer);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.status.signal()), (Some(0), None), "{verb:?}: {said}");
        bed.is(after, &format!("{verb:?} with a closed standard output"));
    }
}
