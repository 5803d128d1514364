// SPDX-License-Identifier: Apache-2.0
//! An image to run the tool on, and what it is before and after. It is never the root of this machine, so no
//! kernel parameter is ever set.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::tree::{STATE, Tree};
pub(crate) use crate::support::run::Run;
use crate::support::tools;

/// What brings a server to the benchmark, whatever [`OLDER`] was told before.
pub(crate) const APPLY: [&str; 9] = [
    "apply",
    "--k3s-version",
    "1.33",
    "--role",
    "server",
    "--set",
    "audit_policy=metadata",
    "--set",
    "kernel_keys=false",
];
/// The same for a minor and settings that want other content in every file, and no psa.yaml.
pub(crate) const OLDER: [&str; 9] = [
    "apply",
    "--k3s-version",
    "1.24",
    "--role",
    "server",
    "--set",
    "audit_policy=writes",
    "--set",
    "kernel_keys=true",
];
pub(crate) const ROLLBACK: [&str; 1] = ["rollback"];
pub(crate) const UNINSTALL: [&str; 1] = ["uninstall"];

/// The files that [`APPLY`] writes.
pub(crate) const FILES: [&str; 5] = [
    "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml",
    "etc/sysctl.d/90-kubelet.conf",
    "var/lib/rancher/k3s/server/audit.yaml",
    "var/lib/rancher/k3s/server/manifests/policy.yaml",
    "var/lib/rancher/k3s/server/psa.yaml",
];

/// A directory with an image in it, and room beside it for what is outside.
pub(crate) struct Bed(TempDir);

impl Bed {
    /// Makes an image of `tree`, in memory where there is a place for that.
    pub(crate) fn of(tree: &Tree) -> Self {
        tools::need_root();
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let bed = Self(dir.unwrap());
        fs::create_dir(bed.root()).unwrap();
        tree.make(&bed.root());
        bed
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    /// Returns a path beside the image.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes the image anew.
    pub(crate) fn reset(&self, tree: &Tree) {
        fs::remove_dir_all(self.root()).unwrap();
        fs::create_dir(self.root()).unwrap();
        tree.make(&self.root());
    }

    /// Returns the command of a run on this image, for whatever is laid in front of it.
    pub(crate) fn command(&self, verb: &[&str]) -> Vec<String> {
        let root = self.root().to_str().unwrap().to_owned();
        let binary = env!("CARGO_BIN_EXE_k3s-harden").to_owned();
        [binary, "--root".to_owned(), root].into_iter().chain(verb.iter().map(ToString::to_string)).collect()
    }

    /// Runs the tool on this image.
    pub(crate) fn run(&self, verb: &[&str]) -> Run {
        let words = self.command(verb);
        Run::by(Command::new(&words[0]).args(&words[1..]))
    }

    /// Looks at the image, without what the tool keeps for itself.
    pub(crate) fn tree(&self) -> Tree {
        Tree::of_node(&self.root())
    }

    /// Checks that the image is `expected`.
    #[track_caller]
    pub(crate) fn is(&self, expected: &Tree, when: &str) {
        let difference = self.tree().differs_from(expected);
        assert!(difference.is_empty(), "{when}:\n{difference}");
    }

    /// Undoes one run after the other until there is nothing left; returns how many were undone.
    #[track_caller]
    pub(crate) fn undo_all(&self, when: &str) -> usize {
        for undone in 0..100 {
            let run = self.run(&ROLLBACK);
            // The image has files that look like k3s-harden's from the start.
            let is_none = run.has_no_history();
            assert!(
                run.code == Some(0) || is_none,
                "{when}: rollback {undone}: {:?} {}{}",
                run.code,
                run.stdout,
                run.stderr
            );
            if is_none || run.stdout.contains("Nothing to undo.") {
                return undone;
            }
        }
        panic!("{when}: there is no end of rollbacks");
    }

    /// Checks that every path is whole.
    #[track_caller]
    pub(crate) fn is_whole(&self, old: &Tree, new: &Tree, when: &str) {
        let broken = self.tree().broken_between(old, new);
        assert!(broken.is_empty(), "{when}:\n{broken}");
    }
}

/// A server with an older, laxer version of everything: no file has the bytes, the mode or the owner that it shall
/// have, one belongs to somebody else, one is a symlink, a directory is open to all and another is missing.
pub(crate) fn lax() -> Tree {
    let bed = Bed::of(&Tree::default());
    let root = bed.root();
    bed.run(&OLDER).expect_when(0, "the older version");
    fs::remove_dir_all(root.join(STATE)).unwrap();
    fs::remove_dir(root.join("var/lib/rancher/k3s/server/logs")).unwrap();
    fs::write(root.join(FILES[2]), "kind: Mine\n").unwrap();
    symlink("psa-of-mine.yaml", root.join(FILES[4])).unwrap();
    fs::write(root.join("var/lib/rancher/k3s/server/psa-of-mine.yaml"), "kind: AlsoMine\n").unwrap();
    fs::write(root.join("etc/rancher/k3s/config.yaml"), "node-label: [a=b]\n").unwrap();
    chown(root.join(FILES[2]), Some(12), Some(34)).unwrap();
    chown(root.join(FILES[0]), Some(0), Some(34)).unwrap();
    let modes = [
        (FILES[0], 0o644),
        (FILES[1], 0o666),
        (FILES[2], 0o640),
        (FILES[3], 0o664),
        ("etc/rancher", 0o711),
        ("var/lib/rancher/k3s/server", 0o755),
        ("var/lib/rancher/k3s/server/manifests", 0o1777),
    ];
    for (path, mode) in modes {
        let path = root.join(path);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        xattr::set(&path, "security.selinux", b"system_u:object_r:etc_t:s0\0").unwrap();
        xattr::set(&path, "user.x", path.as_os_str().as_encoded_bytes()).unwrap();
    }
    let mut tree = bed.tree();
    // The bed's own path must not be part of what is compared.
    for entry in tree.0.values_mut() {
        if let Some(value) = entry.labels.get_mut(std::ffi::OsStr::new("user.x")) {
            *value = b"ours to keep".to_vec();
        }
    }
    tree
}

/// Returns what a run makes of `first` when nothing disturbs it: with and without what the tool keeps for itself.
pub(crate) fn undisturbed(first: &Tree, verb: &[&str]) -> (Tree, Tree) {
    let bed = Bed::of(first);
    bed.run(verb).expect_when(0, "an undisturbed run");
    (Tree::of(&bed.root()), bed.tree())
}

/// Does `work` for every item in two threads, each with an image of its own; returns how many there were.
pub(crate) fn for_each<T: Sync>(items: &[T], work: impl Fn(&Bed, &T) + Sync) -> usize {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let _guard = EndOfAll(&next, items.len());
                let bed = Bed::of(&Tree::default());
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(&bed, item);
                }
            });
        }
    });
    items.len()
}

/// Ends the other thread too when one fails.
struct EndOfAll<'a>(&'a AtomicUsize, usize);

impl Drop for EndOfAll<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(self.1, Ordering::Relaxed);
        }
    }
}
