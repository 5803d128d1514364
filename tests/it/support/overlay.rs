// SPDX-License-Identifier: Apache-2.0
//! A root of its own for a test: an overlay in private namespaces, whose upper side is memory, with plain files in the
//! place of the kernel parameters, which belong to the whole machine. `support::node` and `beds::bed` are made of it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::run::Run;
use super::tools;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Begins in the new namespaces, but still with the machine's /proc, which knows the number of this process outside.
/// `$1` is an empty directory, `$2` the root below the overlay, `$3` the binary; then come the kernel parameters.
const BEGIN: &str = r#"
set -eu
umask 022
read -r outside rest < /proc/self/stat
base=$1 root=$2 binary=$3
shift 3
mount -t tmpfs -o mode=0755 tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/node"
mkdir -p "$base/sys/kernel/keys" "$base/sys/vm"
: > "$base/sys/not-the-kernel"
while [ $# -gt 0 ]; do echo "$2" > "$base/sys/$1"; shift 2; done
mount -t overlay -o "lowerdir=$root,upperdir=$base/upper,workdir=$base/work" overlay "$base/node"
mountpoint -q "$base/node"
cd "$base/node"
"#;

/// Ends the making: says the number of this process, and stays until its standard input ends. The shell, chroot and
/// cat each take the place of the one before. Nothing goes on before the files over /proc/sys are seen to be there.
const END: &str = r#"
test -e proc/sys/not-the-kernel || { echo "/proc/sys is the machine's own" >&2; exit 1; }
exec chroot . sh -c 'echo "$1" && exec cat' sh "$outside"
"#;

/// Runs in front of every command inside.
const GUARD: &str = r#"test -e /proc/sys/not-the-kernel || exit 99; umask 022; exec "$@""#;
const NOT_GUARDED: i32 = 99;

/// How an overlay is made.
pub(crate) struct Recipe<'a> {
    /// The root below the overlay.
    pub(crate) root: &'a Path,
    /// The namespaces beside the one for mounts: options of `unshare`.
    pub(crate) unshare: &'static [&'static str],
    /// The same namespaces as options of `nsenter`.
    pub(crate) nsenter: &'static [&'static str],
    /// What is done in the new root: a shell script that begins in it, and knows `$base` and `$binary`. It has to
    /// mount `$base/sys` over proc/sys.
    pub(crate) script: &'static str,
    /// The kernel parameters, as paths below /proc/sys, and their values at first.
    pub(crate) parameters: Vec<(&'static str, &'static str)>,
}

/// A root in namespaces. They end, with every process and every mount in them, when this is dropped.
#[derive(Debug)]
pub(crate) struct Overlay {
    keeper: Child,
    /// The number of the first process there, as this machine counts.
    inside: String,
    nsenter: &'static [&'static str],
    base: PathBuf,
    parameters: Vec<&'static str>,
    /// The machine's own kernel parameters before.
    machine: Vec<String>,
}

impl Overlay {
    pub(crate) fn make(recipe: &Recipe) -> Self {
        tools::need_root();
        tools::need(&["nsenter", "mount"]);
        let base = tempfile::Builder::new().disable_cleanup(true).tempdir().unwrap().path().to_owned();
        let script = [BEGIN, recipe.script, END].concat();
        let mut keeper = tools::command("unshare")
            .arg("--mount")
            .args(recipe.unshare)
            .args(["--propagation", "private", "sh", "-c", &script, "sh"])
            .args([&base, recipe.root, Path::new(env!("CARGO_BIN_EXE_k3s-harden"))])
            .args(recipe.parameters.iter().flat_map(|(name, value)| [name, value]))
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, stderr) = (keeper.stdout.take().unwrap(), keeper.stderr.take().unwrap());
        let parameters: Vec<&str> = recipe.parameters.iter().map(|(name, _)| *name).collect();
        let machine = values(Path::new("/proc/sys"), &parameters);
        let mut overlay =
            Self { keeper, inside: String::new(), nsenter: recipe.nsenter, base, parameters, machine };
        BufReader::new(stdout).read_line(&mut overlay.inside).unwrap();
        overlay.inside = overlay.inside.trim().to_owned();
        if overlay.inside.is_empty() {
            let mut why = String::new();
            BufReader::new(stderr).read_to_string(&mut why).unwrap();
            panic!("no overlay could be made: {why}");
        }
        overlay
    }

    /// Returns a path inside as one of this machine.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.inside)).join(path.trim_start_matches('/'))
    }

    /// Runs a command inside, as root without an environment.
    pub(crate) fn run<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Run {
        let run = Run::of(self.command(command).output().unwrap());
        assert_ne!(run.code, Some(NOT_GUARDED), "/proc/sys is the machine's own");
        run
    }

    /// Returns a command that runs inside, in the process that is started.
    pub(crate) fn command<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Command {
        let mut enter = self.enter(&["--mount", "--root", "--wd"]);
        enter.args(self.nsenter).args(["sh", "-c", GUARD, "sh"]).args(command);
        enter
    }

    /// Returns a command that runs on this machine, in one kind of the namespaces only.
    pub(crate) fn beside(&self, namespace: &str, program: &str) -> Command {
        let mut enter = self.enter(&[namespace]);
        enter.arg(program);
        enter
    }

    fn enter(&self, options: &[&str]) -> Command {
        let mut enter = Command::new("nsenter");
        enter.args(["--target", &self.inside]).args(options);
        enter.env_clear().env("PATH", PATH).stdin(Stdio::null());
        enter
    }

    /// Runs a script inside, which must end well.
    pub(crate) fn prepare(&self, script: &str) {
        self.run(["sh", "-euc", script]).expect(0);
    }

    /// Returns the kernel parameters inside, in the order of the recipe.
    pub(crate) fn sysctls(&self) -> Vec<String> {
        values(&self.path("/proc/sys"), &self.parameters)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        // The end of its standard input is the end of the process that keeps the namespaces, and so of all in them.
        drop(self.keeper.stdin.take());
        let ended = self.keeper.wait();
        // Never with what is in it: a mount that had left its namespace would be / or /dev of this machine.
        let removed = fs::remove_dir(&self.base);
        if !std::thread::panicking() {
            ended.unwrap();
            removed.expect("a mount has left its namespace");
            let now = values(Path::new("/proc/sys"), &self.parameters);
            assert_eq!(now, self.machine, "the machine's own parameters");
        }
    }
}

/// Returns the values of kernel parameters below a directory.
fn values(folder: &Path, names: &[&str]) -> Vec<String> {
    let value = |name: &&str| fs::read_to_string(folder.join(name)).unwrap().trim().to_owned();
    names.iter().map(value).collect()
}
