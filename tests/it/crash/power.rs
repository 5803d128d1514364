// SPDX-License-Identifier: Apache-2.0
//! Power loss: a run is killed at some point, and the disks forget whatever they were not told to keep.
//!
//! The image lies on two file systems, because one alone keeps its own order: what is synced on it takes everything
//! before it along, renames that nobody synced too. Neither flushes anything by itself.

use std::path::Path;

use super::bed::{APPLY, Bed, FILES, ROLLBACK, lax, undisturbed};
use super::strace::{Call, calls};
use super::tree::{STATE, Tree};
use crate::support::counts::{pick, some};
use crate::support::node::{Node, Run};
use crate::support::random::Random;
use crate::support::{tools, turns};

const ROUNDS: usize = pick(10, 200);
const SEED: u64 = 0x6b33_7368_6172_6465;

/// Where the image is, in the test's node.
const DISK: &str = "/disk";

/// Mounts both disks. The options take away what ext4 does of its own for programs that do not sync.
const MOUNT: &str = "mount -o loop,noauto_da_alloc,commit=300 /root.img /disk
    mount -o loop,noauto_da_alloc,commit=300 /var.img /disk/var";
/// What was killed may need a moment to let go.
const UMOUNT: &str = "for disk in /disk/var /disk; do
    for _ in $(seq 100); do umount $disk 2>/dev/null && continue 2; sleep 0.05; done
    umount $disk
done";

/// Cuts the power: EXT4_IOC_SHUTDOWN, which is _IOR('X', 125, __u32), without flushing the log. In the second form
/// it starts a run and stops it after some milliseconds.
const CUT: &str = r#"
import fcntl, os, signal, struct, subprocess, sys, time
disks = [os.open(path, os.O_RDONLY) for path in ("/disk/var", "/disk")]
run = None
if len(sys.argv) > 1:
    run = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(float(sys.argv[1]) / 1000)
    run.send_signal(signal.SIGSTOP)
for disk in disks:
    fcntl.ioctl(disk, 0x8004587D, struct.pack("I", 2))
if run:
    run.kill()
    run.wait()
"#;

/// A run, the image before it, and where it can be stopped.
struct Story<'a> {
    verb: &'a [&'a str],
    before: Tree,
    first: Tree,
    ways: [Tree; 2],
    last: Tree,
    changes: Vec<Call>,
    /// The disks as they are before.
    disks: String,
}

impl<'a> Story<'a> {
    fn of(node: &Node, name: &str, verb: &'a [&'a str], earlier: Option<&[&str]>, first: Tree) -> Self {
        let before = earlier.map_or_else(|| first.clone(), |earlier| undisturbed(&first, earlier).0);
        let bed = Bed::of(&before);
        let last = undisturbed(&first, &APPLY).1;
        let changes = calls(&bed, verb).into_iter().filter(Call::writes).collect();
        let story = Self {
            verb,
            before,
            ways: [first.clone(), last.clone()],
            first,
            last,
            changes,
            disks: format!("/{name}"),
        };
        node.prepare(
            "truncate -s 8M /root.img /var.img
             mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 /root.img
             mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 /var.img
             mkdir -p /disk; mount -o loop /root.img /disk; mkdir /disk/var; mount -o loop /var.img /disk/var
             rmdir /disk/lost+found /disk/var/lost+found",
        );
        make(&story.before, &node.path(DISK));
        node.prepare(&format!("{UMOUNT}; mv /root.img {0}-root.img; mv /var.img {0}-var.img", story.disks));
        story
    }

    fn insert_disks(&self, node: &Node) {
        node.prepare(&format!("cp {0}-root.img /root.img; cp {0}-var.img /var.img\n{MOUNT}", self.disks));
    }

    /// Runs, cuts the power at a point, and checks what comes up again. Returns whether the run had ended.
    fn round(&self, node: &Node, random: &mut Random, round: usize) -> bool {
        self.insert_disks(node);
        let at = random.below(self.changes.len());
        let (ended, when) = match round % 10 {
            // Some while it runs, some after its end, most at a call.
            0 => (false, self.cut_after(node, random.below(40))),
            1 => (true, self.cut_at_the_end(node)),
            _ => (false, self.cut_at(node, &self.changes[at])),
        };
        let when = format!("round {round}, {:?} {when}", self.verb);
        let broken = tree(node).broken_between(&self.ways[0], &self.ways[1]);
        assert!(broken.is_empty(), "{when}:\n{broken}");
        let run = on_disk(node, &APPLY);
        assert_eq!(run.code, Some(0), "{when}: {}", run.stderr);
        let difference = tree(node).differs_from(&self.last);
        assert!(difference.is_empty(), "{when}, run again:\n{difference}");
        while !on_disk(node, &ROLLBACK).expect(0).stdout.contains("Nothing to undo.") {}
        let difference = tree(node).differs_from(&self.first);
        assert!(difference.is_empty(), "{when}, all undone:\n{difference}");
        node.prepare(UMOUNT);
        ended
    }

    fn cut_at(&self, node: &Node, call: &Call) -> String {
        self.kill_at(node, call);
        node.run(["python3", "-c", CUT]).expect(0);
        node.prepare(&format!("{UMOUNT}\n{MOUNT}"));
        format!("at {} {}, {}", call.name, call.occurrence, call.line)
    }

    fn kill_at(&self, node: &Node, call: &Call) {
        let (name, occurrence) = (&call.name, call.occurrence);
        let (trace, inject) =
            (format!("trace={name}"), format!("inject={name}:signal=KILL:when={occurrence}"));
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let run = node.run(strace.iter().copied().chain(command(self.verb)));
        assert_eq!(run.code, None, "it was to be killed: {}", run.stderr);
    }

    /// What a killed run had not synced is not lost either when another one has said that all is well.
    fn cut_after_recovery(&self, node: &Node, call: &Call) -> String {
        self.kill_at(node, call);
        let when = format!("killed at {} {}, {}", call.name, call.occurrence, call.line);
        // The remains of a run that never began may stay or go.
        self.cut_at_the_end_of(node, &APPLY, &when, Tree::of_node);
        format!("after another run, {when}")
    }

    fn cut_after(&self, node: &Node, milliseconds: usize) -> String {
        let time = milliseconds.to_string();
        node.run(["python3", "-c", CUT, &time].into_iter().chain(command(self.verb))).expect(0);
        node.prepare(&format!("{UMOUNT}\n{MOUNT}"));
        format!("after {time} ms")
    }

    fn cut_at_the_end(&self, node: &Node) -> String {
        // Not even of what it keeps for itself.
        self.cut_at_the_end_of(node, self.verb, "nothing before", Tree::of);
        "after its end".to_owned()
    }

    /// Of a run that ended well nothing is lost.
    fn cut_at_the_end_of(&self, node: &Node, verb: &[&str], when: &str, look: fn(&Path) -> Tree) {
        on_disk(node, verb).expect(0);
        let before = look(&node.path(DISK));
        node.run(["python3", "-c", CUT]).expect(0);
        node.prepare(&format!("{UMOUNT}\n{MOUNT}"));
        let difference = look(&node.path(DISK)).differs_from(&before);
        assert!(difference.is_empty(), "{verb:?} had ended ({when}):\n{difference}");
    }
}

fn command<'a>(verb: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    ["k3s-harden", "--root", DISK].into_iter().chain(verb.iter().copied())
}

fn on_disk(node: &Node, verb: &[&str]) -> Run {
    node.run(command(verb))
}

fn tree(node: &Node) -> Tree {
    Tree::of_node(&node.path(DISK))
}

/// Makes `tree` where /var is there already.
fn make(tree: &Tree, root: &Path) {
    let mut tree = tree.clone();
    tree.0.remove("var");
    tree.make(root);
}

/// An image with nothing but the place where the second disk is mounted.
fn empty() -> Tree {
    let bed = Bed::of(&Tree::default());
    std::fs::create_dir(bed.root().join("var")).unwrap();
    bed.tree()
}

/// An image with all directories and none of the files, so that the last step back is to remove one.
fn bare() -> Tree {
    let mut tree = lax();
    tree.0.retain(|path, _| !FILES.contains(&path.as_str()));
    tree
}

fn stories(node: &Node) -> [Story<'static>; 4] {
    [
        Story::of(node, "apply", &APPLY, None, lax()),
        Story::of(node, "rollback", &ROLLBACK, Some(&APPLY), lax()),
        Story::of(node, "first", &APPLY, None, empty()),
        Story::of(node, "remove", &ROLLBACK, Some(&APPLY), bare()),
    ]
}

#[test]
#[ignore = "needs root, strace, unshare, mkfs.ext4 and python3"]
fn the_power_fails() {
    let _busy = turns::busy();
    tools::need(&["mkfs.ext4", "python3"]);
    let node = Node::make();
    let started = std::time::Instant::now();
    let stories = stories(&node);
    let mut random = Random::new(SEED);
    let mut ended = 0;
    for round in 0..ROUNDS {
        let story = &stories[random.below(stories.len())];
        ended += u32::from(story.round(&node, &mut random, round));
    }
    tools::report(&format!(
        "power cut {ROUNDS} times, {ended} of them after the end of a run, seed {SEED:#x}, in {:.0?}",
        started.elapsed()
    ));
}

#[test]
#[ignore = "needs root, strace, unshare, mkfs.ext4 and python3"]
fn what_a_killed_run_had_not_synced_is_synced_by_the_one_that_says_that_all_is_well() {
    let _busy = turns::busy();
    tools::need(&["mkfs.ext4", "python3"]);
    let node = Node::make();
    let mut count = 0;
    for story in stories(&node) {
        // Where a directory is synced a name was changed before.
        let of_the_node = |call: &&Call| call.name == "fsync" && !call.line.contains(STATE);
        for call in some(story.changes.iter().filter(of_the_node).collect()) {
            story.insert_disks(&node);
            story.cut_after_recovery(&node, call);
            node.prepare(UMOUNT);
            count += 1;
        }
    }
    assert!(count > pick(3, 20), "{count} calls");
    tools::report(&format!("power cut {count} times after a killed run was put right"));
}
