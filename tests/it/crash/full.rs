// SPDX-License-Identifier: Apache-2.0
//! File systems that take nothing: full, read-only, immutable. (Images that are too small for a first run are in
//! tests/it/real_root.)

use super::bed::{APPLY, FILES, OLDER, ROLLBACK, lax, undisturbed};
use super::tree::{STATE, Tree};
use crate::support::node::{Node, Run};
use crate::support::{tools, turns};

/// Where the image is, in the test's node.
const IMAGE: &str = "/image";

fn on_image(node: &Node, verb: &[&str]) -> Run {
    node.run(["k3s-harden", "--root", IMAGE].into_iter().chain(verb.iter().copied()))
}

#[track_caller]
fn is(node: &Node, expected: &Tree, when: &str) {
    let difference = Tree::of_node(&node.path(IMAGE)).differs_from(expected);
    assert!(difference.is_empty(), "{when}:\n{difference}");
}

/// Makes a node with `tree` in a file system of its own.
fn node_with(tree: &Tree, mount: &str) -> Node {
    let node = Node::make();
    node.prepare(&format!("mkdir {IMAGE}; {mount}"));
    tree.make(&node.path(IMAGE));
    node
}

/// Runs `verb` with more and more room until it ends well; a run that has too little changes nothing, and with
/// room enough everything goes on. Returns how many failed.
fn with_more_and_more(
    verb: &[&str],
    first: &Tree,
    before: &Tree,
    [old, new]: [&Tree; 2],
    limit: &str,
) -> usize {
    let step = if limit == "size" { 4 } else { 1 };
    for (failed, free) in (0..).step_by(step).enumerate() {
        let node = node_with(before, &format!("mount -t tmpfs tmpfs {IMAGE}"));
        let (used, unit) = if limit == "size" { ("--output=used", "k") } else { ("--output=iused", "") };
        node.prepare(&format!(
            "used=$(df -k {used} {IMAGE} | tail -n 1)
             mount -o remount,{limit}=$((used + {free})){unit} {IMAGE}"
        ));
        let run = on_image(&node, verb);
        let when = format!("{verb:?}, {free}{unit} free: {}", run.stderr);
        if run.code == Some(0) {
            is(&node, new, &when);
            return failed;
        }
        is(&node, old, &when);
        // 1 where something had been changed and was put back.
        assert!(matches!(run.code, Some(1 | 73)), "{when}");
        let run = run.says("No space left on device").says(IMAGE);
        assert!(!run.stderr.contains("could not be rolled back"), "{when}");
        node.prepare(&format!("mount -o remount,size=1G,nr_inodes=1M {IMAGE}"));
        on_image(&node, verb).expect(0);
        is(&node, new, &format!("with room again: {when}"));
        while !on_image(&node, &ROLLBACK).expect(0).stdout.contains("Nothing to undo.") {}
        is(&node, first, &format!("all undone: {when}"));
        assert!(failed < 100, "there is room enough: {when}");
    }
    0
}

#[test]
#[ignore = "needs root, unshare, mkfs.ext4 and chattr"]
fn a_run_has_room_enough_or_changes_nothing() {
    let _busy = turns::busy();
    let first = lax();
    let (applied, new) = undisturbed(&first, &APPLY);
    for limit in ["size", "nr_inodes"] {
        let counts = [
            with_more_and_more(&APPLY, &first, &first, [&first, &new], limit),
            with_more_and_more(&ROLLBACK, &first, &applied, [&new, &first], limit),
        ];
        assert!(counts.iter().all(|count| *count > 0), "{limit}: {counts:?}");
        tools::report(&format!("{limit}: {counts:?} applies and rollbacks had too little room"));
    }
}

#[test]
#[ignore = "needs root, unshare, mkfs.ext4 and chattr"]
fn a_journal_without_room_stops_a_run_before_it_changes_anything() {
    let _busy = turns::busy();
    let first = lax();
    let new = undisturbed(&first, &APPLY).1;
    let mut failed = 0;
    for (limit, unit, step) in [("size", "k", 4), ("nr_inodes", "", 1)] {
        // A file system of no size at all is one without a limit.
        for room in (step..200).step_by(step) {
            let node = node_with(&first, &format!("mount -t tmpfs tmpfs {IMAGE}"));
            let state = format!("{IMAGE}/{STATE}");
            node.prepare(&format!("mkdir {state}; mount -t tmpfs -o {limit}={room}{unit} tmpfs {state}"));
            let run = on_image(&node, &APPLY);
            let when = format!("{limit}={room}{unit}: {}", run.stderr);
            if run.code == Some(0) {
                is(&node, &new, &when);
                break;
            }
            // 1 where there was no room for the last word, and everything was put back.
            assert!(matches!(run.code, Some(1 | 73)), "{when}");
            run.says("No space left on device").says(&state);
            is(&node, &first, &when);
            failed += 1;
        }
    }
    assert!(failed > 5, "only {failed} journals had too little room");
    tools::report(&format!("{failed} journals had too little room"));
}

#[test]
#[ignore = "needs root, unshare, mkfs.ext4 and chattr"]
fn what_is_immutable_stays_and_so_does_the_rest() {
    let _busy = turns::busy();
    tools::need(&["mkfs.ext4", "chattr"]);
    let first = lax();
    let (applied, new) = undisturbed(&first, &APPLY);
    let mount = format!(
        "truncate -s 16M /disk.img; mkfs.ext4 -q /disk.img; mount -o loop /disk.img {IMAGE}
         rmdir {IMAGE}/lost+found"
    );
    let folders = FILES.map(|file| file.rsplit_once('/').unwrap().0);
    for (verb, before, [old, wanted]) in
        [(&APPLY[..], &first, [&first, &new]), (&ROLLBACK[..], &applied, [&new, &first])]
    {
        let node = node_with(before, &mount);
        // The symlink cannot be made immutable.
        let files = FILES.iter().filter(|file| verb == ROLLBACK || !file.ends_with("psa.yaml"));
        for path in files.chain(&folders) {
            let path = format!("{IMAGE}/{path}");
            node.prepare(&format!("chattr +i {path}"));
            let run = on_image(&node, verb).says("error: ").says(&path);
            let when = format!("{verb:?}, {path} is immutable: {}", run.stderr);
            assert!(matches!(run.code, Some(1 | 73 | 77)), "{when}");
            assert!(!run.stderr.contains("could not be rolled back"), "{when}");
            is(&node, old, &when);
            node.prepare(&format!("chattr -i {path}"));
        }
        on_image(&node, verb).expect(0);
        is(&node, wanted, "nothing is immutable any more");
    }
}

#[test]
#[ignore = "needs root, unshare, mkfs.ext4 and chattr"]
fn a_read_only_part_is_named_before_anything_is_changed() {
    let _busy = turns::busy();
    let first = lax();
    let applied = undisturbed(&first, &APPLY).0;
    for part in ["etc", "var", "etc/rancher/k3s", "var/lib/rancher", STATE] {
        for verb in [&OLDER[..], &ROLLBACK, &["uninstall"]] {
            let node = node_with(&applied, &format!("mount -t tmpfs tmpfs {IMAGE}"));
            let part = format!("{IMAGE}/{part}");
            node.make_read_only(&part);
            let before = Tree::of(&node.path(IMAGE));
            let run = on_image(&node, verb);
            assert_eq!(run.code, Some(73), "{verb:?}, {part}: {}", run.stderr);
            let run = run.says("read-only").says(&part);
            let difference = Tree::of(&node.path(IMAGE)).differs_from(&before);
            assert_eq!(difference, "", "{verb:?}, {part}: {}", run.stderr);
        }
    }
}
