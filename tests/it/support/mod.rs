// SPDX-License-Identifier: Apache-2.0
//! What tests share. Here: a node to try the binary on, which is a temporary root, with output that is the same
//! everywhere.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

pub(crate) mod container;
pub(crate) mod counts;
pub(crate) mod exit_table;
pub(crate) mod go_program;
pub(crate) mod journal;
pub(crate) mod kubernetes;
pub(crate) mod node;
pub(crate) mod overlay;
pub(crate) mod random;
pub(crate) mod release;
pub(crate) mod run;
pub(crate) mod tools;
pub(crate) mod turns;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A temporary root.
pub(crate) struct Node {
    dir: tempfile::TempDir,
}

/// What a run printed, with the root's path, the owner and the version replaced by names.
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Puts a file below the root.
    pub(crate) fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Copies a directory to the root.
    pub(crate) fn copy(self, from: &Path) -> Self {
        for (path, _) in walk(from) {
            let (source, target) = (from.join(&path), self.dir.path().join(&path));
            if source.is_dir() {
                fs::create_dir_all(&target).unwrap();
            } else {
                fs::copy(source, &target).unwrap();
            }
            // Whatever the umask was, here or where the files were checked out.
            let mode = if target.is_dir() { 0o755 } else { 0o644 };
            fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
        }
        self
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn mode(&self, path: &str) -> String {
        format!("{:04o}", fs::symlink_metadata(self.path().join(path)).unwrap().permissions().mode() & 0o7777)
    }

    /// Runs the binary on this root, as whoever runs the tests.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[])
    }

    /// The same with environment variables.
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = binary();
        // In front, because some verbs take everything behind `--`.
        command.arg("--root").arg(self.path()).envs(variables.iter().copied());
        if !arguments.contains(&"--owner") {
            command.args(["--owner", &owner()]);
        }
        command.args(arguments);
        finish(command, self.path())
    }

    /// Returns every path below the root but the journal's, with its mode.
    pub(crate) fn tree(&self) -> String {
        let mut text = String::new();
        for (path, mode) in walk(self.path()) {
            if !path.starts_with("var/lib/k3s-harden") {
                writeln!(text, "{mode} {}", path.display()).unwrap();
            }
        }
        text
    }

    /// Returns what changes when anything is written: (path, ctime, inode) of everything.
    pub(crate) fn fingerprint(&self) -> Vec<(PathBuf, i64, i64, u64)> {
        walk(self.path())
            .into_iter()
            .map(|(path, _)| {
                let metadata = fs::symlink_metadata(self.path().join(&path)).unwrap();
                (path, metadata.ctime(), metadata.ctime_nsec(), metadata.ino())
            })
            .collect()
    }
}

/// When reports are made: 2026-11-25 09:00:00 UTC.
const REPORT_TIME: &str = "1795597200";

/// The binary with a clean environment.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_k3s-harden"));
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    command.env("SOURCE_DATE_EPOCH", REPORT_TIME);
    command
}

/// Runs a command and makes its output the same everywhere.
pub(crate) fn finish(mut command: Command, root: &Path) -> Output {
    let output = command.output().unwrap();
    let clean = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes)
            .unwrap()
            .replace(root.to_str().unwrap(), "ROOT")
            .replace(&format!("owner {}", owner()), "owner OWNER")
            .replace(&format!("--owner {}", owner()), "--owner OWNER");
        without_version(&text)
    };
    Output { stdout: clean(output.stdout), stderr: clean(output.stderr), code: output.status.code().unwrap() }
}

/// Puts VERSION in the place of this version, but not into a longer number such as an address that contains it.
pub(crate) fn without_version(text: &str) -> String {
    let mut cleaned = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(env!("CARGO_PKG_VERSION")) {
        let is_number = |character: char| character.is_ascii_digit() || character == '.';
        let goes_on =
            after.strip_prefix('.').unwrap_or(after).starts_with(|next: char| next.is_ascii_digit());
        let is_longer = before.ends_with(is_number) || goes_on;
        cleaned += before;
        cleaned += if is_longer { env!("CARGO_PKG_VERSION") } else { "VERSION" };
        rest = after;
    }
    cleaned + rest
}

/// Writes the same time for every `2026-11-25T13:05:09` and `2026-11-25 13:05:09`.
pub(crate) fn timeless(text: &str) -> String {
    const SHAPE: &[u8] = b"0000-00-00?00:00:00";
    let is_time = |window: &[u8]| {
        window.iter().zip(SHAPE).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'?' => matches!(byte, b'T' | b' '),
            other => byte == other,
        })
    };
    let mut bytes = text.as_bytes().to_vec();
    for start in 0..bytes.len().saturating_sub(SHAPE.len() - 1) {
        if is_time(&bytes[start..start + SHAPE.len()]) {
            bytes[start..start + 10].copy_from_slice(b"2026-11-25");
            bytes[start + 11..start + 19].copy_from_slice(b"09:00:00");
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// `uid:gid` of whoever runs the tests.
pub(crate) fn owner() -> String {
    format!("{}:{}", nix::unistd::geteuid(), nix::unistd::getegid())
}

/// Returns every path below `root` with its mode, sorted.
pub(crate) fn walk(root: &Path) -> Vec<(PathBuf, String)> {
    fn visit(root: &Path, folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str() as &OsStr));
        for path in entries {
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mode = format!("{:04o}", metadata.permissions().mode() & 0o7777);
            found.push((path.strip_prefix(root).unwrap().to_owned(), mode));
            if metadata.is_dir() {
                visit(root, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    visit(root, root, &mut found);
    found
}
