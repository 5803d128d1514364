// SPDX-License-Identifier: Apache-2.0
//! The table of exit codes in docs/GATE.md, and a stand-in for k3s-harden that ends as a row says.

use std::fs;
use std::path::Path;

use super::tools;

/// How a run of k3s-harden ends, or why it does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Code(u8),
    Missing,
    NotExecutable,
    OtherMachine,
    Killed,
    Timeout,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct ExitRow {
    pub(crate) ending: Ending,
    /// Whether K3s is started after the gate.
    pub(crate) gate_starts: bool,
    /// Whether K3s is started after the unit.
    pub(crate) unit_starts: bool,
    /// The state of the unit.
    pub(crate) state: String,
}

impl Ending {
    fn of(text: &str) -> Self {
        match text {
            "missing" => Self::Missing,
            "not executable" => Self::NotExecutable,
            "other machine" => Self::OtherMachine,
            "killed" => Self::Killed,
            "timeout" => Self::Timeout,
            code => Self::Code(code.parse().unwrap_or_else(|_| panic!("docs/GATE.md: {code}"))),
        }
    }

    /// Returns the program that ends so, and its mode; none where there is no program.
    pub(crate) fn program(self) -> Option<(Vec<u8>, u32)> {
        // A program of our own that runs answers this; what a wrapper does not find does not.
        let script = |end: &str| {
            Some((
                format!("#!/bin/sh\ncase $1 in --version) echo k3s-harden 1; exit 0;; esac\n{end}\n").into(),
                0o755,
            ))
        };
        match self {
            Self::Code(code @ (126 | 127)) => Some((format!("#!/bin/sh\nexit {code}\n").into(), 0o755)),
            Self::Code(code) => script(&format!("exit {code}")),
            Self::Missing => None,
            Self::NotExecutable => Some((b"#!/bin/sh\nexit 0\n".to_vec(), 0o644)),
            Self::OtherMachine => Some((other_machine(), 0o755)),
            Self::Killed => script("kill -TERM $$"),
            Self::Timeout => script("exec sleep 600"),
        }
    }

    /// Puts that program at a path.
    pub(crate) fn put(self, path: &Path) {
        match self.program() {
            Some((bytes, mode)) => tools::write_program(path, mode, &bytes),
            None => fs::remove_file(path).unwrap(),
        }
    }
}

/// Returns the beginning of a program for a machine that nobody has (ELF, `e_machine` 0xbeef), as a shell would read it:
/// with a quote that does not end.
fn other_machine() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xef\xbe\x01\0\0\0".to_vec();
    bytes.resize(64, 0);
    bytes.extend_from_slice(b"\n\"'`(\n");
    bytes
}

/// Returns the rows of the table.
pub(crate) fn exit_table() -> Vec<ExitRow> {
    let page = fs::read_to_string("docs/GATE.md").unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let starts = |cell: &str| match cell {
        "started" => true,
        "not started" => false,
        other => panic!("docs/GATE.md: {other}"),
    };
    rows.filter(|row| !row.starts_with("exit code"))
        .map(|row| {
            let cells: Vec<&str> = row.split(" | ").collect();
            let [ending, _, gate, unit, state] = cells[..] else { panic!("docs/GATE.md: {row}") };
            ExitRow {
                ending: Ending::of(ending),
                gate_starts: starts(gate),
                unit_starts: starts(unit),
                state: state.to_owned(),
            }
        })
        .collect()
}
