// SPDX-License-Identifier: Apache-2.0
//! Kernels and file systems that refuse a call: each number of an error, at the first, a middle and the last of the calls that
//! few file systems have in common.

use super::bed::{APPLY, Bed, ROLLBACK, UNINSTALL, for_each, lax, undisturbed};
use super::strace::{Call, all_disturbed, calls, disturbed};
use super::tree::{STATE, Tree};
use super::verbs::{VerbCase, verb_cases};
use crate::support::counts::some;
use crate::support::{tools, turns};

/// What is refused.
const CALLS: [&str; 4] = ["renameat2", "fsync", "openat2", "fsetxattr"];
/// What the kernel, its file systems and filters of system calls answer; 524 is Linux' own ENOTSUPP.
const ERRORS: [&str; 41] = [
    "EPERM",
    "ENOENT",
    "EINTR",
    "EIO",
    "ENXIO",
    "E2BIG",
    "EBADF",
    "EAGAIN",
    "ENOMEM",
    "EACCES",
    "EFAULT",
    "EBUSY",
    "EEXIST",
    "EXDEV",
    "ENODEV",
    "ENOTDIR",
    "EISDIR",
    "EINVAL",
    "ENFILE",
    "EMFILE",
    "ENOTTY",
    "ETXTBSY",
    "EFBIG",
    "ENOSPC",
    "EROFS",
    "EMLINK",
    "ERANGE",
    "EDEADLK",
    "ENAMETOOLONG",
    "ENOLCK",
    "ENOSYS",
    "ENOTEMPTY",
    "ELOOP",
    "ENODATA",
    "EOVERFLOW",
    "ESTALE",
    "EOPNOTSUPP",
    "ETIMEDOUT",
    "EDQUOT",
    "EREMOTEIO",
    "524",
];
/// Said once a run where a promise is weaker.
const WEAKER: &str = "lacks a guarantee: ";

/// Tells whether an answer is one that says something else of the node than is true, so that a run goes by it.
fn is_a_lie(call: &Call, error: &str) -> bool {
    call.name == "openat2" && ["ENOENT", "ENOTDIR", "ELOOP"].contains(&error)
}

/// Refuses `verb` one call in one way, and checks that the code tells what became of the node, that the next run heals it, and
/// that uninstall then restores the first state.
fn refuse(bed: &Bed, verb: &[&str], [before, old, new, first, last]: [&Tree; 5], call: &Call, error: &str) {
    bed.reset(before);
    let run = disturbed(bed, verb, call, &format!("error={error}"));
    let when = format!("{verb:?}, {error} at {} {}: {}\n{run:?}", call.name, call.occurrence, call.line);
    assert!(run.signal.is_none() && !run.stderr.contains("panicked"), "{when}");
    let is_named = run.stderr.contains(bed.root().to_str().unwrap());
    match run.code {
        // What was made up of the node is taken for true.
        _ if is_a_lie(call, error) => bed.is_whole(old, new, &when),
        Some(0 | 5) if run.stderr.contains("could not be kept") => {
            let difference = bed.tree().without_labels().differs_from(&new.clone().without_labels());
            assert_eq!(difference, "", "{when}");
        }
        Some(0 | 5) => bed.is(new, &when),
        Some(1 | 65 | 73 | 77) => {
            assert!(is_named, "no path is named: {when}");
            bed.is(old, &when);
        }
        Some(4) => {
            assert!(is_named, "no path is named: {when}");
            bed.is_whole(old, new, &when);
        }
        _ => panic!("{when}"),
    }
    bed.run(&APPLY).expect_when(0, &when);
    let tree = bed.tree();
    let difference = tree.without_labels().differs_from(&last.clone().without_labels());
    assert_eq!(difference, "", "run again: {when}");
    // Where a lie made a run take a file for somebody else's, it says so.
    let run = bed.run(&UNINSTALL);
    assert_eq!(run.code, Some(0), "uninstalled: {when}: {run:?}");
    let difference = bed.tree().differs_from(first);
    assert_eq!(difference, "", "uninstalled: {when}");
    assert!(!bed.root().join(STATE).exists(), "uninstalled: {when}");
}

#[test]
#[ignore = "needs root and strace"]
fn every_error_of_the_calls_that_differ_between_file_systems_is_told_and_healed() {
    let _busy = turns::busy();
    let cases = verb_cases();
    let last = &cases[0].new;
    for VerbCase { verb, before, old, new, first } in &cases {
        let all = calls(&Bed::of(before), verb);
        let mut ways: Vec<(Call, &str)> = Vec::new();
        for name in CALLS {
            let mut same: Vec<&Call> = all.iter().filter(|call| call.name == name).collect();
            assert!(!same.is_empty(), "{verb:?} has no {name}");
            let (middle, last) = (same.len() / 2, same.len() - 1);
            same = vec![same[0], same[middle], same[last]];
            same.dedup_by_key(|call| call.occurrence);
            ways.extend(same.iter().flat_map(|call| ERRORS.map(|error| ((*call).clone(), error))));
        }
        let ways = some(ways);
        let count = for_each(&ways, |bed, (call, error)| {
            refuse(bed, verb, [before, old, new, first, last], call, error);
        });
        tools::report(&format!("{verb:?}: {count} refusals"));
    }
}

/// What a whole file system answers: NFS, 9p and CephFS, FUSE, older kernels, containers.
#[test]
#[ignore = "needs root and strace"]
fn a_file_system_that_never_knows_a_call_is_told_of_once() {
    let _busy = turns::busy();
    let first = lax();
    let (applied, new) = undisturbed(&first, &APPLY);
    let bed = Bed::of(&first);
    for (name, errors, told) in [
        ("renameat2", &["EINVAL", "ENOSYS", "EOPNOTSUPP", "EPERM", "524"][..], true),
        ("fsync", &["EINVAL", "EOPNOTSUPP", "EBADF", "ENOSYS", "EACCES", "EISDIR"], true),
        ("openat2", &["ENOSYS", "EPERM", "EINVAL", "EOPNOTSUPP", "E2BIG", "EACCES"], false),
    ] {
        for error in errors {
            for (verb, before, after) in
                [(&APPLY[..], &first, &new), (&ROLLBACK, &applied, &first), (&UNINSTALL, &applied, &first)]
            {
                bed.reset(before);
                let run = all_disturbed(&bed, verb, name, &format!("error={error}"));
                let when = format!("{verb:?}, each {name} answers {error}: {run:?}");
                assert_eq!(run.code, Some(0), "{when}");
                // Files and directories are synced, names are free or exchanged.
                let mut promises: Vec<&str> = run
                    .stderr
                    .lines()
                    .filter_map(|line| line.split_once(WEAKER))
                    .map(|(_, what)| what)
                    .collect();
                assert_eq!(!promises.is_empty(), told, "{when}");
                promises.sort_unstable();
                assert!(promises.windows(2).all(|two| two[0] != two[1]), "said twice: {when}");
                bed.is(after, &when);
            }
            assert!(!bed.root().join(STATE).exists(), "{name}, {error}");
        }
    }
}

/// The disk says so, and nothing else does.
#[test]
#[ignore = "needs root and strace"]
fn an_error_of_the_disk_is_no_weaker_promise() {
    let _busy = turns::busy();
    let first = lax();
    let bed = Bed::of(&first);
    for error in ["EIO", "ENOSPC", "EDQUOT", "EROFS"] {
        bed.reset(&first);
        let run = all_disturbed(&bed, &APPLY, "fsync", &format!("error={error}"));
        assert!(matches!(run.code, Some(1 | 73)), "{error}: {run:?}");
        assert!(!run.stderr.contains(WEAKER), "{error}: {run:?}");
        bed.is(&first, error);
    }
}
