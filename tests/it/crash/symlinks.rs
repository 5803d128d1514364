// SPDX-License-Identifier: Apache-2.0
//! Somebody exchanges a directory for a symlink that leads out of the root, as fast as can be, while the tool runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::bed::{APPLY, Bed, OLDER, ROLLBACK, Run, for_each, lax, undisturbed};
use super::tree::{STATE, Tree, What};
use crate::support::counts::pick;
use crate::support::{tools, turns};

/// What is exchanged.
const PLACES: [&str; 5] =
    ["etc/rancher", "etc/rancher/k3s/config.yaml.d", "etc/sysctl.d", "var/lib/rancher/k3s/server", "var/lib"];

/// In every file outside of the root, and nowhere in it.
const SECRET: &[u8] = b"not for the root";

/// How long a run may take at most, in seconds.
const LIMIT: &str = "60";

/// An image with a symlink for one of its directories.
struct Trap<'a> {
    bed: &'a Bed,
    place: PathBuf,
    link: PathBuf,
    outside: PathBuf,
    /// How long the directory itself is there each time, in microseconds.
    pause: AtomicU64,
}

/// As fast as can be, which few runs survive for long; and slower, so that some come to where they write.
const PAUSES: [u64; 3] = [0, 100, 1000];

impl<'a> Trap<'a> {
    /// Lays the trap: outside there is a directory that looks like the one in the image.
    fn set(bed: &'a Bed, first: &Tree, place: &str, absolute: bool) -> Self {
        bed.reset(first);
        let (outside, link) = (bed.beside("outside"), bed.root().join("link"));
        if outside.exists() {
            fs::remove_dir_all(&outside).unwrap();
        }
        fs::create_dir(&outside).unwrap();
        let mut tree = Tree::default();
        for (path, entry) in &first.0 {
            if let Ok(path) = Path::new(path).strip_prefix(place)
                && path != Path::new("")
            {
                let mut entry = entry.clone();
                if let What::File(bytes) = &mut entry.what {
                    *bytes = [b"# ", SECRET, b"\n"].concat();
                }
                tree.0.insert(path.to_str().unwrap().to_owned(), entry);
            }
        }
        tree.make(&outside);
        let up = "../".repeat(place.split('/').count());
        symlink(if absolute { outside.clone() } else { PathBuf::from(up + "outside") }, &link).unwrap();
        let trap = Self { bed, place: bed.root().join(place), link, outside, pause: AtomicU64::new(0) };
        // The symlink must lead out where it stands, or nothing is tried.
        trap.exchange();
        assert_eq!(Tree::of(&trap.place).differs_from(&Tree::of(&trap.outside)), "");
        trap.exchange();
        trap
    }

    fn exchange(&self) {
        let flags = RenameFlags::RENAME_EXCHANGE;
        renameat2(AT_FDCWD, &self.place, AT_FDCWD, &self.link, flags).unwrap();
    }

    /// Exchanges the two as fast as can be while `work` is done; returns how often.
    fn spring_while(&self, work: impl FnOnce()) -> u64 {
        /// Also when the work fails, or the test would never end.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    self.exchange();
                    self.exchange();
                    count.fetch_add(2, Ordering::Relaxed);
                    let pause = self.pause.load(Ordering::Relaxed);
                    if pause > 0 {
                        std::thread::sleep(std::time::Duration::from_micros(pause));
                    }
                }
            });
            let _stop = Stop(&stop);
            work();
        });
        count.into_inner()
    }

    /// Runs the tool, with `in_front` before it.
    fn run(&self, in_front: &[&str], verb: &[&str]) -> bool {
        let mut command = Command::new("timeout");
        let run = Run::by(command.args(["-s", "KILL", LIMIT]).args(in_front).args(self.bed.command(verb)));
        let when = format!("{} {verb:?} {in_front:?}: {run:?}", self.place.display());
        assert!(matches!(run.code, Some(0 | 1 | 4 | 65 | 73 | 77)), "{when}");
        assert!(
            !contains(run.stdout.as_bytes(), SECRET) && !contains(run.stderr.as_bytes(), SECRET),
            "{when}"
        );
        run.code == Some(0)
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Sets a trap at each place in both ways, runs the tool `rounds` times at each, and checks that nothing went out
/// or came in, and that the tool does its work when it is over.
fn race(name: &str, in_front: &[&str], rounds: usize) {
    let started = std::time::Instant::now();
    let first = lax();
    let last = undisturbed(&first, &APPLY).1;
    let ways = PLACES.iter().flat_map(|place| [(*place, true), (*place, false)]);
    let ways: Vec<(usize, (&str, bool))> = ways.enumerate().collect();
    let (runs, well, exchanges) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    for_each(&ways, |bed, (number, (place, absolute))| {
        let trap = Trap::set(bed, &first, place, *absolute);
        let outside = Tree::of(&trap.outside);
        let exchanged = trap.spring_while(|| {
            for round in 0..rounds {
                // Every place begins with another pause, so that few rounds have all of them.
                trap.pause.store(PAUSES[(number + round) % PAUSES.len()], Ordering::Relaxed);
                let verbs = [if round % 2 == 0 { &APPLY[..] } else { &OLDER }, &ROLLBACK];
                // Now and then a second one in a row, so that there is more than one run to undo.
                for verb in &verbs[..if round % 4 == 1 { 1 } else { 2 }] {
                    let ended_well = trap.run(in_front, verb);
                    runs.fetch_add(1, Ordering::Relaxed);
                    well.fetch_add(u64::from(ended_well), Ordering::Relaxed);
                }
            }
        });
        exchanges.fetch_add(exchanged, Ordering::Relaxed);
        let when = format!("{place}, absolute: {absolute}");
        assert_eq!(Tree::of(&trap.outside).differs_from(&outside), "", "{when}: outside");
        for (path, entry) in Tree::of(&bed.root()).0 {
            let What::File(bytes) = entry.what else { continue };
            assert!(!contains(&bytes, SECRET), "{when}: {path} was read outside");
        }
        fs::remove_file(&trap.link).unwrap();
        bed.run(&APPLY).expect_when(0, &when);
        // Where a run has not seen the old file there was no label to keep.
        let mut tree = bed.tree().without_labels();
        tree.0.retain(|path, _| last.0.contains_key(path));
        assert_eq!(tree.differs_from(&last.clone().without_labels()), "", "{when}, undisturbed");
        assert!(bed.root().join(STATE).is_dir());
    });
    let [runs, well, exchanges] = [runs, well, exchanges].map(AtomicU64::into_inner);
    tools::report(&format!(
        "{name}: {runs} runs, {well} of them ended well, {exchanges} exchanges in {:.0?}",
        started.elapsed()
    ));
    assert!(well < runs, "no exchange ever met a run");
}

#[test]
#[ignore = "needs root"]
fn no_run_leaves_the_root_through_a_symlink_that_comes_and_goes() {
    let _busy = turns::busy();
    race("symlinks", &[], pick(5, 100));
}

#[test]
#[ignore = "needs root and strace"]
fn nor_where_openat2_is_missing_or_forbidden() {
    let _busy = turns::busy();
    for error in ["ENOSYS", "EPERM"] {
        let inject = format!("inject=openat2:error={error}");
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=openat2", "-e", &inject];
        race(&format!("symlinks, openat2 gives {error}"), &strace, pick(1, 8));
    }
}

#[test]
#[ignore = "needs root and strace"]
fn where_openat2_is_missing_or_forbidden_everything_is_the_same() {
    let _busy = turns::busy();
    let first = lax();
    let last = undisturbed(&first, &APPLY).1;
    for error in ["ENOSYS", "EPERM"] {
        let bed = Bed::of(&first);
        let run = |verb| {
            let what = format!("error={error}");
            super::strace::all_disturbed(&bed, verb, "openat2", &what).expect_when(0, error);
        };
        run(&APPLY);
        bed.is(&last, error);
        run(&ROLLBACK);
        bed.is(&first, error);
    }
}
