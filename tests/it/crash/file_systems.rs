// SPDX-License-Identifier: Apache-2.0
//! The whole life of a hardened node on real file systems: an overlay with runs in its lower layer, ext4, xfs, btrfs, memory, and
//! a FUSE file system whose `renameat2` takes no flags.

use super::bed::{APPLY, OLDER, ROLLBACK, Run, UNINSTALL, lax, undisturbed};
use super::strace::{Call, parse};
use super::tree::{STATE, Tree};
use crate::support::counts::some;
use crate::support::node::Node;
use crate::support::{tools, turns};

/// Where the file system is, in the test's node.
const IMAGE: &str = "/image";
/// Shortens the history at once.
const SHORT: [&str; 2] = ["--set", "history_runs=1"];
/// Said once a run where a promise is weaker.
const WEAKER: &str = "lacks a guarantee: ";

/// Makes the layers of an overlay; what is baked lies in /layers/lower.
const LAYERS: &str = "mkdir /layers; mount -t tmpfs tmpfs /layers; mkdir /layers/lower";
/// Lays an empty layer over it.
const OVERLAY: &str = "rm -rf /layers/upper /layers/work; mkdir /layers/upper /layers/work
    mount -t overlay -o lowerdir=/layers/lower,upperdir=/layers/upper,workdir=/layers/work,redirect_dir=off overlay /image";
const REDIRECTED: &str = "rm -rf /layers/upper /layers/work; mkdir /layers/upper /layers/work
    mount -t overlay -o lowerdir=/layers/lower,upperdir=/layers/upper,workdir=/layers/work,redirect_dir=on overlay /image";
const BACK: &str = "mkdir /back; mount -t tmpfs tmpfs /back";
const FUSE: &str = "bindfs /back /image";

/// File systems that are made whole, the programs that they need, and whether they make a promise weaker.
const WHOLE: [(&str, &[&str], bool); 5] = [
    ("mount -t tmpfs tmpfs /image", &[], false),
    (
        "truncate -s 16M /i; mkfs.ext4 -q /i; mount -o loop /i /image; rmdir /image/lost+found",
        &["mkfs.ext4"],
        false,
    ),
    ("truncate -s 320M /i; mkfs.xfs -q /i; mount -o loop /i /image", &["mkfs.xfs"], false),
    ("truncate -s 128M /i; mkfs.btrfs -q /i; mount -o loop /i /image", &["mkfs.btrfs"], false),
    ("mkdir /back; mount -t tmpfs tmpfs /back; bindfs /back /image", &["bindfs"], true),
];

/// A node with a file system at [`IMAGE`].
struct Place(Node);

impl Drop for Place {
    fn drop(&mut self) {
        // A server of FUSE would keep the node's namespace.
        self.0.run(["umount", "-q", "-l", IMAGE]);
    }
}

impl Place {
    fn of(script: &str) -> Self {
        let node = Node::make();
        node.prepare(&format!("mkdir {IMAGE}; {script}"));
        Self(node)
    }

    fn run_at(&self, root: &str, verb: &[&str]) -> Run {
        self.0.run(["k3s-harden", "--root", root].into_iter().chain(verb.iter().copied()))
    }

    #[track_caller]
    fn does(&self, verb: &[&str], when: &str) -> Run {
        self.run_at(IMAGE, verb).expect_when(0, &format!("{when}: {verb:?}"))
    }

    fn strace(&self, options: &[&str], verb: &[&str]) -> Run {
        let words = ["strace", "-f", "-qq"].into_iter().chain(options.iter().copied());
        self.0.run(words.chain(["k3s-harden", "--root", IMAGE]).chain(verb.iter().copied()))
    }

    /// Runs `verb` and returns those of its calls that move, remove or make something.
    fn calls(&self, verb: &[&str]) -> Vec<Call> {
        self.strace(&["-y", "-s", "0", "-e", "signal=none", "-o", "/calls"], verb)
            .expect_when(0, "a traced run");
        let names = ["renameat", "renameat2", "unlinkat", "mkdirat"];
        let mut calls = parse(&std::fs::read_to_string(self.0.path("/calls")).unwrap());
        calls.retain(|call| names.contains(&call.name.as_str()));
        calls
    }

    #[track_caller]
    fn is(&self, expected: &Tree, when: &str) {
        let difference = Tree::of_node(&self.0.path(IMAGE)).differs_from(expected);
        assert!(difference.is_empty(), "{when}:\n{difference}");
    }

    /// Checks that nothing of k3s-harden is left.
    #[track_caller]
    fn is_without_trace(&self, first: &Tree, when: &str) {
        self.is(first, when);
        assert!(!self.0.path(IMAGE).join(STATE).exists(), "{when}: the state directory stays");
    }
}

/// Tells whether a run said that a promise is weaker; it says each once.
fn is_told(run: &Run) -> bool {
    let mut promises: Vec<&str> =
        run.stderr.lines().filter_map(|line| line.split_once(WEAKER)).map(|(_, what)| what).collect();
    promises.sort_unstable();
    assert!(promises.windows(2).all(|two| two[0] != two[1]), "said twice: {run:?}");
    !promises.is_empty()
}

/// Goes through everything that a node goes through, from `first` and back.
fn live(place: &Place, first: &Tree, is_weaker: bool, when: &str) {
    let new = undisturbed(first, &APPLY).1;
    let run = place.does(&APPLY, when);
    assert_eq!(is_told(&run), is_weaker, "{when}: {}", run.stderr);
    place.is(&new, when);
    let before = place.0.traces(&[IMAGE]);
    let run = place.does(&APPLY, when);
    assert_eq!(
        (is_told(&run), place.0.traces(&[IMAGE])),
        (false, before),
        "{when}: a second apply writes nothing"
    );
    for verb in [[&OLDER[..], &SHORT].concat(), [&APPLY[..], &SHORT].concat(), [&OLDER[..], &SHORT].concat()]
    {
        place.does(&verb, when);
    }
    place.does(&ROLLBACK, when);
    place.is(&new, &format!("{when}, rolled back"));
    place.does(&UNINSTALL, when);
    place.is_without_trace(first, &format!("{when}, uninstalled"));
}

#[test]
#[ignore = "needs root, unshare, xfsprogs, btrfs-progs, bindfs and fuse3"]
fn a_node_lives_on_every_file_system() {
    let _busy = turns::busy();
    let first = lax();
    for (script, programs, is_weaker) in WHOLE {
        tools::need(programs);
        let place = Place::of(script);
        first.make(&place.0.path(IMAGE));
        live(&place, &first, is_weaker, script);
    }
}

/// A file system that takes each mode and owner, and ignores it.
const FORGETFUL: &str = "bindfs --chown-ignore --chmod-ignore --chgrp-ignore /back /image";

#[test]
#[ignore = "needs root, unshare, bindfs and fuse3"]
fn a_mode_that_is_not_kept_is_no_change_of_somebody() {
    let _busy = turns::busy();
    tools::need(&["bindfs"]);
    let first = lax();
    let says = |run: &Run| {
        assert!(run.stderr.contains("the file system under /image keeps no modes or owners"), "{run:?}");
        assert!(!run.stderr.contains("was changed by another program"), "{run:?}");
    };
    for verb in [&APPLY[..], &[&APPLY[..], &["--no-history"]].concat()] {
        let place = Place::of(BACK);
        first.make(&place.0.path("/back"));
        place.0.prepare(FORGETFUL);
        says(&place.run_at(IMAGE, verb).expect(1));
        place.is(&first, "apply");
        place.run_at(IMAGE, &ROLLBACK);
        place.is(&first, "rollback of nothing");
    }
    // The node was hardened before it was mounted like that.
    for verb in [&ROLLBACK[..], &UNINSTALL, &OLDER] {
        let place = Place::of(BACK);
        first.make(&place.0.path("/back"));
        place.run_at("/back", &APPLY).expect(0);
        place.0.prepare(FORGETFUL);
        let new = Tree::of_node(&place.0.path(IMAGE));
        let run = place.run_at(IMAGE, verb);
        if run.code == Some(1) {
            says(&run);
            place.is(&new, &format!("{verb:?}"));
        } else {
            run.expect_when(0, "everything could be set");
        }
        place.0.prepare(&format!("umount {IMAGE}"));
        place.run_at("/back", &UNINSTALL);
        let difference = Tree::of_node(&place.0.path("/back")).differs_from(&first);
        assert!(difference.is_empty(), "{verb:?}: {difference}");
    }
}

#[test]
#[ignore = "needs root and unshare"]
fn a_node_lives_over_a_layer_that_was_hardened() {
    let _busy = turns::busy();
    let first = lax();
    let new = undisturbed(&first, &APPLY).1;
    for overlay in [OVERLAY, REDIRECTED] {
        // Nothing is baked.
        let place = Place::of(&format!("{LAYERS}; {overlay}"));
        first.make(&place.0.path(IMAGE));
        live(&place, &first, false, overlay);
        for baked in 1..4 {
            let place = Place::of(LAYERS);
            first.make(&place.0.path("/layers/lower"));
            for verb in [&APPLY[..], &OLDER, &APPLY].into_iter().take(baked) {
                place.run_at("/layers/lower", verb).expect(0);
            }
            let when = format!("{baked} runs in the lower layer of {overlay}");
            place.0.prepare(overlay);
            place.does(&UNINSTALL, &when);
            place.is_without_trace(&first, &when);
            place.0.prepare(&format!("umount {IMAGE}; {overlay}"));
            place.does(&[&OLDER[..], &SHORT].concat(), &when);
            place.does(&[&APPLY[..], &SHORT].concat(), &when);
            place.is(&new, &when);
            place.does(&ROLLBACK, &when);
            place.does(&UNINSTALL, &when);
            place.is_without_trace(&first, &when);
        }
    }
}

/// Kills `verb` at each call that this tier takes, on what `fresh` makes; every reader goes on, the next run finishes what was
/// begun, and uninstall leaves no trace.
fn kill_everywhere(place: &Place, fresh: &dyn Fn(), verb: &[&str], first: &Tree) {
    let new = undisturbed(first, &APPLY).1;
    let started = std::time::Instant::now();
    fresh();
    let calls = some(place.calls(verb));
    for (index, call) in calls.iter().enumerate() {
        fresh();
        let when = format!("{verb:?} killed at {} {}: {}", call.name, call.occurrence, call.line);
        let (trace, inject) = (
            format!("trace={}", call.name),
            format!("inject={}:signal=KILL:when={}", call.name, call.occurrence),
        );
        let run = place.strace(&["-o", "/dev/null", "-e", &trace, "-e", &inject], verb);
        assert_eq!(run.signal, Some(9), "{when}: {run:?}");
        let history = place.does(&["history"], &when);
        assert!(!history.stderr.contains("damaged"), "{when}: {history:?}");
        if index % 2 == 0 {
            place.does(&APPLY, &when);
            place.is(&new, &when);
        }
        let run = place.run_at(IMAGE, &UNINSTALL);
        // The image has files that look like k3s-harden's from the start.
        let is_gone = run.has_no_history();
        assert!(run.code == Some(0) || is_gone, "{when}: {run:?}");
        place.is_without_trace(first, &when);
    }
    tools::report(&format!("{verb:?}: killed at {} calls in {:.0?}", calls.len(), started.elapsed()));
}

#[test]
#[ignore = "needs root, unshare and strace"]
fn a_removal_over_a_lower_layer_that_is_killed_is_finished() {
    let _busy = turns::busy();
    tools::need(&["strace"]);
    let first = lax();
    let place = Place::of(LAYERS);
    first.make(&place.0.path("/layers/lower"));
    for verb in [&APPLY[..], &OLDER, &APPLY, &ROLLBACK] {
        place.run_at("/layers/lower", verb).expect(0);
    }
    let fresh = || place.0.prepare(&format!("umount -q {IMAGE} || true; {OVERLAY}"));
    for verb in [&[&APPLY[..], &SHORT].concat()[..], &UNINSTALL] {
        kill_everywhere(&place, &fresh, verb, &first);
    }
}

/// The state directory was made with all directories above it, and all of them lie in the lower layer.
#[test]
#[ignore = "needs root, unshare and strace"]
fn what_was_made_for_the_state_directory_goes_with_it() {
    let _busy = turns::busy();
    tools::need(&["strace"]);
    let place = Place::of(LAYERS);
    place.run_at("/layers/lower", &APPLY).expect(0);
    let fresh = || place.0.prepare(&format!("umount -q {IMAGE} || true; {OVERLAY}"));
    fresh();
    let calls = place.calls(&UNINSTALL);
    let in_the_end = calls.iter().rev().take(40).filter(|call| call.line.contains("k3s-harden"));
    for call in in_the_end.collect::<Vec<_>>().into_iter().rev() {
        fresh();
        let when = format!("killed at {} {}: {}", call.name, call.occurrence, call.line);
        let (trace, inject) = (
            format!("trace={}", call.name),
            format!("inject={}:signal=KILL:when={}", call.name, call.occurrence),
        );
        let run = place.strace(&["-o", "/dev/null", "-e", &trace, "-e", &inject], &UNINSTALL);
        assert_eq!(run.signal, Some(9), "{when}: {run:?}");
        place.does(&UNINSTALL, &when);
        let left = Tree::of(&place.0.path(IMAGE));
        assert!(left.0.is_empty(), "{when}: {:?} stay", left.0.keys());
    }
}

#[test]
#[ignore = "needs root, unshare, strace, bindfs and fuse3"]
fn a_run_without_flags_of_renameat2_that_is_killed_is_finished() {
    let _busy = turns::busy();
    tools::need(&["strace", "bindfs"]);
    let first = lax();
    let (applied, _) = undisturbed(&first, &APPLY);
    let place = Place::of(BACK);
    let fresh = |tree: &Tree| {
        place.0.prepare(&format!("umount -q {IMAGE} || true; find /back -mindepth 1 -delete; {FUSE}"));
        tree.make(&place.0.path(IMAGE));
    };
    for (verb, before) in [
        (&APPLY[..], &first),
        (&[&OLDER[..], &SHORT].concat(), &applied),
        (&ROLLBACK, &applied),
        (&UNINSTALL, &applied),
    ] {
        kill_everywhere(&place, &|| fresh(before), verb, &first);
    }
}
