// SPDX-License-Identifier: Apache-2.0
//! The error of this library: a kind (which decides the exit code), a place, a message, and hints. Imports nothing of the
//! crate.

use std::borrow::Cow;
use std::fmt;

/// Result of everything in this library that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// The class of an error; [`ErrorKind::exit_code`] is the one table of exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The run failed, and everything that it had changed was put back.
    Failed,
    /// Another program changed a path while the run lasted, and everything that the run had changed was put back.
    ChangedMeanwhile,
    /// The run failed, and the node stands half changed: the hints name each path, one a line.
    HalfChanged,
    /// What was asked for is done, but the report of it could not be written, or k3s-harden's own directory not removed.
    NotReported,
    /// The command line is not valid.
    Usage,
    /// A profile, setting, version or plan is not valid, or a file of the node cannot be used.
    BadInput,
    /// Something could not be written.
    CannotWrite,
    /// Another run holds the lock.
    Locked,
    /// The caller lacks the rights.
    NotPermitted,
}

impl ErrorKind {
    /// All kinds, in the order of their exit codes.
    pub const ALL: [Self; 9] = [
        Self::Failed,
        Self::ChangedMeanwhile,
        Self::HalfChanged,
        Self::NotReported,
        Self::Usage,
        Self::BadInput,
        Self::CannotWrite,
        Self::Locked,
        Self::NotPermitted,
    ];

    /// Returns the exit code of the process, after sysexits.h if it has one.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed | Self::ChangedMeanwhile => 1,
            Self::HalfChanged => 4,
            Self::NotReported => 5,
            Self::Usage => 64,
            Self::BadInput => 65,
            Self::CannotWrite => 73,
            Self::Locked => 75,
            Self::NotPermitted => 77,
        }
    }
}

/// The exit codes: those that are not errors, and what all of them mean.
pub mod exit {
    use super::ErrorKind;

    /// Done, or the node is as desired.
    pub const OK: u8 = 0;
    /// There are changes (`--detailed-exitcode`).
    pub const CHANGES: u8 = 2;
    /// K3s would not start (`preflight`).
    pub const WOULD_NOT_START: u8 = 2;
    /// It cannot be told whether K3s starts (`preflight --fail-on unknown`).
    pub const CANNOT_TELL: u8 = 3;
    /// Controls are not met (`verify`).
    pub const FINDINGS: u8 = 2;

    /// What an exit code means: the one text for `--help`, the manual pages and the reference pages.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct ExitMeaning {
        /// The code.
        pub code: u8,
        /// The meaning in a few words, for `--help`.
        pub short: &'static str,
        /// The whole meaning, with Markdown's backticks around what is typed.
        pub meaning: &'static str,
    }

    /// Returns what each exit code means, in their order.
    #[must_use]
    pub fn meanings() -> Vec<ExitMeaning> {
        let of = |code, short, meaning| ExitMeaning { code, short, meaning };
        vec![
            of(OK, "success", "success, or nothing to do"),
            of(
                ErrorKind::Failed.exit_code(),
                "failed",
                "failed; all changes of the run were rolled back. For a verb that only reads: its input cannot be read, or its output cannot be written",
            ),
            of(
                CHANGES,
                "changes or findings",
                "`--detailed-exitcode`: there are (or were) changes; `preflight`: K3s would not start; `verify`, `report merge`: a control fails, a waiver has expired, or with `--baseline` something is worse",
            ),
            of(
                CANNOT_TELL,
                "unknown results (--fail-on unknown)",
                "`--fail-on unknown`: `preflight` does not know whether K3s would start; `verify`, `report merge`: nothing fails, and a result is unknown",
            ),
            of(
                ErrorKind::HalfChanged.exit_code(),
                "partly changed",
                "the node is partly changed: each path that could not be rolled back is listed on its own line, also a path that another program changed during the rollback, which stays as it is; `uninstall`: the runs are undone, but files of k3s-harden that are not in the history, or files that another program saved while a run was killed, are still there",
            ),
            of(
                ErrorKind::NotReported.exit_code(),
                "done, but report lost",
                "the run succeeded, but its report could not be written, or k3s-harden's own files could not be removed: the message lists them",
            ),
            of(
                ErrorKind::Usage.exit_code(),
                "usage error",
                "usage error: unknown verb or flag, flags that exclude each other, or a value that the flag does not take, such as a version or a run number",
            ),
            of(
                ErrorKind::BadInput.exit_code(),
                "invalid input",
                "a profile, setting, saved plan or topic is invalid, or the Kubernetes minor is not supported: the message gives file, line, column and the fix",
            ),
            of(
                ErrorKind::CannotWrite.exit_code(),
                "cannot write",
                "a file cannot be written; nothing was changed",
            ),
            of(ErrorKind::Locked.exit_code(), "locked", "another run holds the lock"),
            of(ErrorKind::NotPermitted.exit_code(), "not permitted", "not permitted; nothing was changed"),
        ]
    }
}

/// A place in a file. Lines and columns count from 1. It is created by the reader of the file and passed on unchanged: no code
/// parses one from text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// File name as the user gave it; the name of another source, such as `command line`, if no file has the value.
    pub file: String,
    /// Line and column, if known.
    pub position: Option<(usize, usize)>,
}

/// Returns a name for a message. A line break in it is written as `\n`: what follows it would be taken for a line of ours.
#[must_use]
pub fn one_line(name: &str) -> Cow<'_, str> {
    if name.contains('\n') { Cow::Owned(name.replace('\n', "\\n")) } else { Cow::Borrowed(name) }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = one_line(&self.file);
        match self.position {
            Some((line, column)) => write!(f, "{file}:{line}:{column}"),
            None => f.write_str(&file),
        }
    }
}

/// An error with its place and with hints that say what to do or write instead.
///
/// One error may be reported several times, such as for each control that needs the same file: a clone keeps the place
/// and the hints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", self.prefix())]
pub struct Error {
    kind: ErrorKind,
    message: String,
    place: Option<Place>,
    hints: Vec<String>,
}

impl Error {
    /// Creates an error of `kind`.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), place: None, hints: Vec::new() }
    }

    /// Creates the error for a system call that failed at `path`; the kind follows from `errno`.
    #[must_use]
    pub fn system(verb: &str, path: impl fmt::Display, errno: nix::errno::Errno) -> Self {
        use nix::errno::Errno;
        let kind = match errno {
            Errno::EACCES | Errno::EPERM => ErrorKind::NotPermitted,
            Errno::EROFS
            | Errno::EBUSY
            | Errno::ENOSPC
            | Errno::EDQUOT
            | Errno::EISDIR
            | Errno::ENOTDIR
            | Errno::EFBIG => ErrorKind::CannotWrite,
            _ => ErrorKind::Failed,
        };
        let path = path.to_string();
        Self::new(kind, format!("cannot {verb} {}: {}", one_line(&path), errno.desc()))
    }

    /// Adds a hint: one sentence that says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Rewrites its hints.
    #[must_use]
    pub fn map_hints(mut self, rewrite: impl Fn(&str) -> String) -> Self {
        self.hints.iter_mut().for_each(|hint| *hint = rewrite(hint));
        self
    }

    /// Puts `context` and a colon before the message, such as what failed because of the error. The place and the hints
    /// stay.
    #[must_use]
    pub fn context(mut self, context: &str) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Makes it an error of another kind: what became of the node is known later than what went wrong.
    #[must_use]
    pub fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the place unless one is known already.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    /// Returns the message without its place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the message for a text that has named `path` already: it is not named again.
    #[must_use]
    pub fn message_without(&self, path: &str) -> String {
        let mut text = String::new();
        let mut rest = self.message.as_str();
        while let Some((before, behind)) = rest.split_once(path).filter(|_| !path.is_empty()) {
            // The start of a longer path is another one.
            let is_whole = !behind.starts_with(|next: char| next.is_alphanumeric() || "/._-".contains(next));
            text.push_str(before);
            text.push_str(if is_whole { "it" } else { path });
            rest = behind;
        }
        text + rest
    }

    /// Returns the class of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the place in the user's text, if the error has one.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Returns the hints in the order in which they were given.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    fn prefix(&self) -> String {
        self.place.as_ref().map_or_else(String::new, |place| format!("{place}: "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_named_once() {
        for (message, without) in [
            ("cannot read /a/b: Permission denied", "cannot read it: Permission denied"),
            ("/a/b is not a regular file", "it is not a regular file"),
            ("cannot read /a/b/c: /a/b2 is in the way", "cannot read /a/b/c: /a/b2 is in the way"),
        ] {
            assert_eq!(Error::new(ErrorKind::Failed, message).message_without("/a/b"), without);
        }
    }

    #[test]
    fn the_place_comes_first() {
        let place = Place { file: "site.yaml".into(), position: Some((3, 5)) };
        let error = Error::new(ErrorKind::BadInput, "unknown key \"foo\"").at(place);
        assert_eq!(error.to_string(), "site.yaml:3:5: unknown key \"foo\"");
        assert_eq!(error.kind().exit_code(), 65);
    }
    #[test]
    fn a_name_stays_in_its_line() {
        let place = Place { file: "a\n- K3s starts.yaml".into(), position: Some((1, 2)) };
        let error = Error::new(ErrorKind::BadInput, "no").at(place);
        assert_eq!(error.to_string(), "a\\n- K3s starts.yaml:1:2: no");
        let error = Error::system("read", "/a\nb", nix::errno::Errno::EIO);
        assert!(error.to_string().starts_with("cannot read /a\\nb: "), "{error}");
    }
    #[test]
    fn context_changes_only_the_message() {
        let place = Place { file: "config.yaml".into(), position: Some((2, 1)) };
        let error = Error::new(ErrorKind::BadInput, "no mapping").at(place.clone()).hint("write one");
        let outer = error.clone().context("K3s could not read its configuration");
        assert_eq!(outer.to_string(), "config.yaml:2:1: K3s could not read its configuration: no mapping");
        assert_eq!((outer.kind(), outer.place(), outer.hints()), (error.kind(), Some(&place), error.hints()));
    }
}
