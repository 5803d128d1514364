// SPDX-License-Identifier: Apache-2.0
//! The commands of `ExecStart=` (config_parse_exec of systemd v252, src/core/load-fragment.c).

use crate::error::Place;
use crate::node::RootedPath;

/// A command of `ExecStart=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::k3s) struct UnitCommand {
    /// The program.
    pub(in crate::k3s) program: String,
    /// Its arguments, without the one of its name.
    pub(in crate::k3s) words: Vec<String>,
    /// Whether variables are expanded in them.
    pub(in crate::k3s) expands: bool,
    /// The file in which it is written.
    pub(in crate::k3s) file: RootedPath,
    pub(in crate::k3s) place: Place,
}

/// The characters in front of a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExecPrefix {
    pub(super) length: usize,
    pub(super) ignores_failure: bool,
    pub(super) names_itself: bool,
    pub(super) expands: bool,
}

impl ExecPrefix {
    pub(super) fn of(word: &str) -> Self {
        let mut prefix = Self { length: 0, ignores_failure: false, names_itself: false, expands: true };
        // `+`, `!` and `!!` exclude one another; systemd v258 adds `|`, which runs the program by the user's shell.
        let mut rights = 0;
        for letter in word.chars() {
            match letter {
                '-' if !prefix.ignores_failure => prefix.ignores_failure = true,
                '@' if !prefix.names_itself => prefix.names_itself = true,
                ':' if prefix.expands => prefix.expands = false,
                '+' if rights == 0 => rights = 3,
                '!' if rights < 2 => rights += 1,
                _ => break,
            }
            prefix.length += 1;
        }
        prefix
    }
}
