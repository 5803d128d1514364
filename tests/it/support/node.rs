//! A node of its own for each test: an overlay of this machine's root in a private mount namespace, with plain
//! files in the place of the kernel parameters.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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

const TIER: &str = "K3S_HARDEN_TIER";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes the node and stays in it until its standard input ends. `$1` is an empty directory, `$2` the binary.
///
/// The kernel parameters belong to the whole machine, so nothing goes on before the files over /proc/sys are
/// seen to be there. /proc/1/environ may say that this is a container, so an empty file lies over it.
const MAKE: &str = r#"
set -eu
umask 022
base=$1 binary=$2
mount -t tmpfs -o mode=0755 tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/node"
mkdir -p "$base/sys/kernel/keys" "$base/sys/vm"
: > "$base/environ"
: > "$base/sys/not-the-kernel"
shift 2
while [ $# -gt 0 ]; do echo "$2" > "$base/sys/$1"; shift 2; done
mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" overlay "$base/node"
mountpoint -q "$base/node"
cd "$base/node"
rm -rf .dockerenv run/.containerenv run/systemd/container run/host/container-manager \
    etc/k3s-harden etc/rancher etc/sysctl.d var/lib/k3s-harden var/lib/rancher
: > usr/local/bin/k3s-harden
mount --bind "$binary" usr/local/bin/k3s-harden
mount --rbind /dev dev
mount --rbind /proc proc
mount --bind "$base/environ" proc/1/environ
mount --bind "$base/sys" proc/sys
test -e proc/sys/not-the-kernel || { echo "/proc/sys is the machine's own" >&2; exit 1; }
exec chroot . sh -c 'echo ready && exec cat'
"#;

/// Runs in front of every command inside the node.
const GUARD: &str = r#"test -e /proc/sys/not-the-kernel || exit 99; umask 022; exec "$@""#;

/// A node. Its namespace, with every mount in it, ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    namespace: Child,
    root: PathBuf,
    base: PathBuf,
    machine: Vec<String>,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

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

impl Node {
    /// Makes a node, or says why not: this tier of tests is asked for by an environment variable.
    pub(crate) fn make() -> Option<Self> {
        if std::env::var(TIER).is_ok_and(|tier| tier == "2") {
            return Some(Self::made());
        }
        println!("skipped: {TIER} is not 2");
        None
    }

    fn made() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this tier of tests has to be run by root");
        let base = tempfile::Builder::new().disable_cleanup(true).tempdir().unwrap().path().to_owned();
        let mut namespace = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", MAKE, "sh"])
            .args([&base, Path::new(env!("CARGO_BIN_EXE_k3s-harden"))])
            .args(WRONG.iter().flat_map(|(file, value)| [file, value]))
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare is needed: Debian package util-linux");
        let (stdout, stderr) = (namespace.stdout.take().unwrap(), namespace.stderr.take().unwrap());
        // unshare, the shell, chroot and cat each take the place of the one before: one process.
        let root = PathBuf::from(format!("/proc/{}/root", namespace.id()));
        let node = Self { namespace, root, base, machine: sysctls(Path::new("/proc/sys")) };
        let (mut ready, mut why) = (String::new(), String::new());
        BufReader::new(stdout).read_line(&mut ready).unwrap();
        if ready != "ready\n" {
            BufReader::new(stderr).read_to_string(&mut why).unwrap();
            panic!("no mount namespace with an overlay of / could be made: {why}");
        }
        node
    }

    /// Returns a path of the node as one of this machine.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Runs a command inside the node.
    pub(crate) fn run<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Run {
        let output = self.command(command).output().expect("nsenter is needed: Debian package util-linux");
        assert_ne!(output.status.code(), Some(99), "/proc/sys is the machine's own");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Returns a command that runs inside the node, in the process that is started.
    pub(crate) fn command<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Command {
        let mut enter = Command::new("nsenter");
        enter
            .args(["--target", &self.namespace.id().to_string(), "--mount", "--root", "--wd"])
            .args(["sh", "-c", GUARD, "sh"])
            .args(command)
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::null());
        enter
    }

    /// Runs a script inside the node, which must end well.
    pub(crate) fn prepare(&self, script: &str) {
        self.run(["sh", "-euc", script]).expect(0);
    }

    /// Lays `path` over itself as a read-only file system.
    pub(crate) fn make_read_only(&self, path: &str) {
        self.prepare(&format!("mount --bind {path} {path}; mount -o remount,bind,ro {path}"));
    }

    /// Brings the node to the benchmark, told `arguments` too.
    pub(crate) fn apply(&self, arguments: &[&str]) -> Run {
        self.run(APPLY.iter().chain(arguments).copied())
    }

    /// Returns mode and owner of everything below [`TREES`] but the backups of runs, which are private and root's.
    pub(crate) fn modes(&self) -> BTreeMap<String, String> {
        let text = |trace: Trace| format!("{:04o} {}:{}", trace.mode, trace.owner.0, trace.owner.1);
        let mut modes: BTreeMap<String, String> =
            self.traces(&TREES).into_iter().map(|(path, trace)| (path, text(trace))).collect();
        let is_backup = |path: &str| path.ends_with(".before") || path.ends_with(".after");
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

    /// Returns the kernel parameters of the node, in the order of [`WRONG`].
    pub(crate) fn sysctls(&self) -> Vec<String> {
        sysctls(&self.path("/proc/sys"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The end of its standard input is the end of the process that keeps the namespace.
        drop(self.namespace.stdin.take());
        let ended = self.namespace.wait();
        // Never with what is in it: a mount that had left its namespace would be / or /dev of this machine.
        let removed = fs::remove_dir(&self.base);
        if !std::thread::panicking() {
            ended.unwrap();
            removed.expect("a mount has left its namespace");
            assert_eq!(sysctls(Path::new("/proc/sys")), self.machine, "the machine's own parameters");
        }
    }
}

impl Run {
    /// Checks how it ended.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    /// Checks that `text` was said on the standard error.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in {:?}", self.stderr);
        self
    }
}

fn sysctls(folder: &Path) -> Vec<String> {
    let value = |file| fs::read_to_string(folder.join(file)).unwrap().trim().to_owned();
    WRONG.iter().map(|(file, _)| value(file)).collect()
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
