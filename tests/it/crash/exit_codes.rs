// SPDX-License-Identifier: Apache-2.0
//! The exit code tells what became of the node, also where the way back fails.

use super::bed::{Bed, Run, for_each};
use super::strace::{Call, calls, twice_disturbed};
use super::verbs::{VerbCase, verb_cases};
use crate::support::counts::some;
use crate::support::random::Random;
use crate::support::{tools, turns};

const ERRORS: [&str; 4] = ["EIO", "ENOSPC", "EROFS", "EMFILE"];

/// Two failures: of one call and, in the way back, of another.
#[derive(Debug)]
struct Failures {
    first: (Call, String),
    second: Option<(Call, String)>,
}

impl Failures {
    /// Tells whether no more text can be written from some point on, that on stderr neither.
    fn are_mute(&self) -> bool {
        let is_mute = |(call, what): &(Call, String)| call.name == "write" && what.ends_with('+');
        is_mute(&self.first) || self.second.as_ref().is_some_and(is_mute)
    }
}

/// Returns the verbs, and an apply that keeps no history.
fn cases() -> Vec<VerbCase> {
    let [mut apply, rollback, uninstall] = verb_cases();
    let with_history = apply.clone();
    apply.verb.push("--no-history");
    vec![with_history, apply, rollback, uninstall]
}

impl VerbCase {
    /// Returns every call that changes something, failing once, from there on, and with a second failure after it.
    fn failures(&self, random: &mut Random) -> Vec<Failures> {
        let calls: Vec<Call> =
            calls(&Bed::of(&self.before), &self.verb.clone()).into_iter().filter(Call::writes).collect();
        let mut all = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            let error = ERRORS[random.below(ERRORS.len())];
            let once = format!("error={error}:when={}", call.occurrence);
            all.push(Failures { first: (call.clone(), once.clone()), second: None });
            all.push(Failures { first: (call.clone(), format!("{once}+")), second: None });
            // The way back has calls of the same kinds: some occurrence after those of the way there.
            let other = calls[..=index].iter().rfind(|other| other.name != call.name);
            if let Some(other) = other {
                let occurrence = other.occurrence + 1 + random.below(4);
                let lasting = ["", "+"][random.below(2)];
                let second = format!("error=EROFS:when={occurrence}{lasting}");
                all.push(Failures { first: (call.clone(), once), second: Some((other.clone(), second)) });
            }
        }
        all
    }

    /// Checks that the code of a run fits what the node is like.
    fn check(&self, bed: &Bed, run: &Run, is_mute: bool, when: &str) {
        let mut tree = bed.tree();
        if run.code != Some(0) {
            // The tool's own directory, which could not be removed.
            tree.0.retain(|path, _| !path.contains("/.k3s-harden."));
        }
        let when = format!("{when}: {:?} {}", run.code, run.stderr);
        match run.code {
            Some(0 | 5) => {
                let difference = tree.without_labels().differs_from(&self.new.clone().without_labels());
                assert_eq!(difference, "", "not done: {when}");
            }
            Some(1 | 73 | 77) => {
                assert_eq!(tree.differs_from(&self.old), "", "not as before: {when}");
            }
            Some(4) => {
                let difference = tree.differs_from(&self.old);
                for path in difference.lines().filter_map(|line| line.split_once(": ")).map(|(path, _)| path)
                {
                    // A hidden file is named by the path that it is for.
                    let path = super::tree::target(path).unwrap_or_else(|| path.to_owned());
                    let is_named = run.stderr.lines().any(|line| line.contains(&path));
                    let is_named = is_named || is_mute && run.stderr.is_empty();
                    assert!(is_named, "{path} is not as before, and not named: {when}");
                }
            }
            _ => panic!("{when}"),
        }
    }
}

#[test]
#[ignore = "needs root and strace"]
fn the_exit_code_tells_the_state_of_the_node() {
    let _busy = turns::busy();
    let mut random = Random::new(13);
    for case in cases() {
        let count = for_each(&some(case.failures(&mut random)), |bed, failures| {
            bed.reset(&case.before);
            let disturbance = |(call, what): &(Call, String)| (call.name.clone(), what.clone());
            let mut all = vec![disturbance(&failures.first)];
            all.extend(failures.second.as_ref().map(disturbance));
            let run = twice_disturbed(bed, &case.verb, &all);
            case.check(bed, &run, failures.are_mute(), &format!("{:?}, {failures:?}", case.verb));
        });
        tools::report(&format!("{:?}: {count} failures", case.verb));
    }
}

#[test]
#[ignore = "needs root and strace"]
fn a_report_that_is_lost_is_no_failure_of_the_run() {
    let _busy = turns::busy();
    for case in cases() {
        let bed = Bed::of(&case.before);
        let words = bed.command(&case.verb);
        let script = r#"exec "$@" > /dev/full"#;
        let run = Run::by(tools::command("sh").args(["-c", script, "sh"]).args(words));
        case.check(&bed, &run, false, "stdout is full");
        assert_eq!(run.code, Some(5), "{:?}: {}", case.verb, run.stderr);
    }
}
