// SPDX-License-Identifier: Apache-2.0
//! How a program ended, and what it said.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Tells whether a rollback or an uninstall has found files of k3s-harden, and no history of them: an image may hold some
    /// from the start.
    pub(crate) fn has_no_history(&self) -> bool {
        self.code == Some(1) && self.stderr.contains("no history found")
    }

    /// Runs a command without an environment.
    pub(crate) fn by(command: &mut Command) -> Self {
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        let output = command.output();
        Self::of(
            output
                .unwrap_or_else(|error| panic!("{} cannot be run: {error}", command.get_program().display())),
        )
    }

    /// Checks how it ended.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    /// The same, with a word on what was run.
    #[track_caller]
    pub(crate) fn expect_when(self, code: i32, when: &str) -> Self {
        assert_eq!(self.code, Some(code), "{when}: {}{}", self.stdout, self.stderr);
        self
    }

    /// Checks that `text` was said on the standard error.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in {:?}", self.stderr);
        self
    }
}
