// SPDX-License-Identifier: Apache-2.0
//! The header of a file: what it is, what wrote it, and the controls that it implements.

use super::changes::Release;
use super::drop_in::join;
use crate::profile::{ControlId, Profile};

/// The beginning of the line that names the version in a file of k3s-harden.
const MARK: &str = "# Written by k3s-harden ";

/// How many lines a header has.
const LINES: usize = 3;

/// The program that writes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileWriter {
    /// k3s-harden, which replaces later changes.
    K3sHarden,
    /// k3s-harden, which made it of parts of the user's, and leaves later changes alone.
    ForUser,
    /// Another tool: k3s-harden only renders the file.
    AnotherTool,
}

/// Returns the header of a file.
pub(super) fn header(writer: FileWriter, profile: &Profile, about: &str, controls: &[ControlId]) -> String {
    let controls = if controls.is_empty() { "none by itself".to_owned() } else { join(controls) };
    let (mark, watched) = match writer {
        FileWriter::K3sHarden => (MARK, ", which replaces changes made here"),
        FileWriter::ForUser => (MARK, ", which keeps changes made here"),
        FileWriter::AnotherTool => ("# Rendered by k3s-harden ", ""),
    };
    format!(
        "# {about}\n{mark}{version} from profile {names}{watched}.\n# CIS {benchmark}: {controls}\n",
        version = env!("CARGO_PKG_VERSION"),
        names = profile.names.join(" + "),
        benchmark = profile.benchmark,
    )
}

/// Tells whether a file begins with the header of k3s-harden.
#[must_use]
pub fn has_header(bytes: &[u8]) -> bool {
    version_line(bytes).is_some()
}

/// Returns the text of a file of ours behind its header, which has three lines.
#[must_use]
pub(super) fn without_header(text: &str) -> &str {
    let mut rest = text;
    for _ in 0..LINES {
        match rest.split_once('\n') {
            Some((line, behind)) if line.starts_with('#') => rest = behind,
            _ => break,
        }
    }
    rest
}

/// Returns the version that the header of a file of k3s-harden names.
#[must_use]
pub fn written_by(bytes: &[u8]) -> Option<Release> {
    std::str::from_utf8(version_line(bytes)?).ok()?.split(' ').next()?.parse().ok()
}

/// Returns the line with the version, without its beginning. It is among the first four.
fn version_line(bytes: &[u8]) -> Option<&[u8]> {
    bytes.split(|byte| *byte == b'\n').take(4).find_map(|line| line.strip_prefix(MARK.as_bytes()))
}
