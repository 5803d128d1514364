// SPDX-License-Identifier: Apache-2.0
//! A node of its own for each test: an overlay of this machine's root in a private mount namespace.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::overlay::{Overlay, Recipe};
pub(crate) use super::run::Run;

/// Where everything of ours goes.
pub(crate) const TREES: [&str; 4] =
    ["/etc/rancher", "/etc/sysctl.d", "/var/lib/k3s-harden", "/var/lib/rancher"];

/// The kernel parameters of a node that was just made, all of them wrong. A plain file keeps what lies behind
/// the bytes that are written, so no value is longer than the right one.
pub(crate) const WRONG: [(&str, &str); 6] = [
    ("kernel/keys/root_maxbytes", "20000"),
    ("kernel/keys/root_maxkeys", "200"),
    ("kernel/panic", "0"),
    ("kernel/panic_on_oops", "0"),
    ("vm/overcommit_memory", "0"),
    ("vm/panic_on_oom", "1"),
];

/// What brings a server to the benchmark.
pub(crate) const APPLY: [&str; 6] = ["k3s-harden", "apply", "--k3s-version", "1.33", "--role", "server"];

/// Makes a node of the overlay. The machine's process 1 has another root, which would make this a chroot, and may say that it is
/// in a container: a directory without either lies over what the kernel says of it.
const SCRIPT: &str = r#"
rm -rf .dockerenv run/.containerenv run/systemd/container run/host/container-manager \
    etc/k3s-harden etc/rancher etc/sysctl.d var/lib/k3s-harden var/lib/rancher
mkdir "$base/first"; : > "$base/first/environ"; cat proc/1/comm > "$base/first/comm" 2>&- || : > "$base/first/comm"
: > usr/local/bin/k3s-harden
mount --bind "$binary" usr/local/bin/k3s-harden
mount --rbind /dev dev
mount --rbind /proc proc
mount --bind "$base/first" proc/1
mount --bind "$base/sys" proc/sys
"#;

/// A node. Its namespace, with every mount in it, ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Node(Overlay);

/// Everything about a path that a change of it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) modified: (i64, i64),
    pub(crate) changed: (i64, i64),
}

impl Deref for Node {
    type Target = Overlay;

    fn deref(&self) -> &Overlay {
        &self.0
    }
}

impl Node {
    pub(crate) fn make() -> Self {
        Self(Overlay::make(&Recipe {
            root: Path::new("/"),
            unshare: &[],
            nsenter: &[],
            script: SCRIPT,
            parameters: WRONG.to_vec(),
        }))
    }

    /// Lays `path` over itself as a read-only file system.
    pub(crate) fn make_read_only(&self, path: &str) {
        self.prepare(&format!("mount --bind {path} {path}; mount -o remount,bind,ro {path}"));
    }

    /// Brings the node to the benchmark, told `arguments` too.
    pub(crate) fn apply(&self, arguments: &[&str]) -> Run {
        self.run(APPLY.iter().chain(arguments).copied())
    }

    /// Returns mode and owner of everything below [`TREES`] but the backups of runs and the mark of the newest, if they are private
    /// and root's.
    pub(crate) fn modes(&self) -> BTreeMap<String, String> {
        let text = |trace: Trace| format!("{:04o} {}:{}", trace.mode, trace.owner.0, trace.owner.1);
        let mut modes: BTreeMap<String, String> =
            self.traces(&TREES).into_iter().map(|(path, trace)| (path, text(trace))).collect();
        let is_backup = |path: &str| {
            path.ends_with(".before") || path.ends_with(".after") || path.contains("/runs/newest.")
        };
        modes.retain(|path, mode| !is_backup(path) || mode != "0600 0:0");
        modes
    }

    /// Returns everything below [`TREES`], and the directories that hold them.
    pub(crate) fn everything(&self) -> BTreeMap<String, Trace> {
        // Whatever changes from here on gets a later time: the kernel's clock for files has ticks.
        std::thread::sleep(Duration::from_millis(20));
        let mut found = self.traces(&TREES);
        for path in ["/", "/etc", "/var", "/var/lib"] {
            found.insert(path.to_owned(), trace(&self.path(path)).unwrap());
        }
        found
    }

    /// Returns everything at and below `paths`.
    pub(crate) fn traces(&self, paths: &[&str]) -> BTreeMap<String, Trace> {
        let mut found = BTreeMap::new();
        let mut left: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
        while let Some(path) = left.pop() {
            let Some(trace) = trace(&self.path(&path)) else { continue };
            if let Ok(entries) = fs::read_dir(self.path(&path)) {
                let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
                left.extend(entries.map(|entry| format!("{path}/{}", name(entry.unwrap()))));
            }
            found.insert(path, trace);
        }
        found
    }
}

fn trace(path: &Path) -> Option<Trace> {
    let found = fs::symlink_metadata(path).ok()?;
    Some(Trace {
        mode: found.mode() & 0o7777,
        owner: (found.uid(), found.gid()),
        inode: found.ino(),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}
