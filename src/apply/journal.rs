// SPDX-License-Identifier: Apache-2.0
//! The format of a record: its version, and the digest that tells whether it is as it was written.
//!
//! A record of format 1.1 ends with its digest, the SHA-256 of its text without it. A record of 1.0 has none, and a
//! record of 1.1 that release 0.1.0 has written again has lost everything that 1.1 has added.

use serde::Deserialize;

use crate::node::sha256;

/// The format that is written.
pub const FORMAT_VERSION: &str = "1.1";
/// The format of release 0.1.0.
pub(super) const FIRST_FORMAT: &str = "1.0";
/// The formats that are read, oldest first.
pub const KNOWN_FORMATS: [&str; 2] = [FIRST_FORMAT, FORMAT_VERSION];
/// What stands before the digest, in the text of a record, and after it.
const BEFORE_DIGEST: &str = ",\n  \"digest\": \"";
const AFTER_DIGEST: &str = "\"\n}";
/// How a text ends that has no digest yet.
const END: &str = "\n}";

/// Why bytes are no record that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRecord {
    /// The reason in words.
    pub reason: String,
    /// Whether a newer version of k3s-harden wrote them: they are not damaged.
    pub is_newer: bool,
}

impl NoRecord {
    /// Returns what is damaged for this reason.
    pub(super) fn damaged(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_newer: false }
    }
}

/// Adds the digest to the text of a record.
pub(super) fn seal(text: &str) -> String {
    let open = text.strip_suffix(END).unwrap_or(text);
    format!("{open}{BEFORE_DIGEST}{}{AFTER_DIGEST}", sha256(text.as_bytes()))
}

/// Tells whether a text ends with the digest of the rest of it.
pub(super) fn is_sealed(bytes: &[u8], digest: &str) -> bool {
    let text = std::str::from_utf8(bytes).ok();
    let parts = text.and_then(|text| text.strip_suffix(AFTER_DIGEST)?.rsplit_once(BEFORE_DIGEST));
    parts.is_some_and(|(open, found)| found == digest && sha256(format!("{open}{END}").as_bytes()) == digest)
}

/// Tells whether this version reads a format.
pub(super) fn is_known(version: &str) -> bool {
    KNOWN_FORMATS.contains(&version)
}

/// Says why bytes are no record: those of another format are not damaged.
pub(super) fn unreadable(bytes: &[u8], error: &serde_json::Error) -> NoRecord {
    #[derive(Deserialize)]
    struct Version {
        format_version: String,
        #[serde(default)]
        tool: serde_json::Value,
    }
    match serde_json::from_slice(bytes) {
        Ok(Version { format_version, tool }) if !is_known(&format_version) => {
            unknown_format(&format_version, tool.as_str().unwrap_or_default())
        }
        _ => NoRecord::damaged(error.to_string()),
    }
}

/// Says that a record has another format, and which version of k3s-harden reads it: the one that wrote it.
pub(super) fn unknown_format(format: &str, tool: &str) -> NoRecord {
    let read = KNOWN_FORMATS.join(" and ");
    let numbers = |text: &str| -> Option<(u32, u32)> {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let is_version = |text: &str| {
        text.len() < 64 && text.starts_with(|first: char| first.is_ascii_digit()) && {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte))
        }
    };
    if numbers(format) > numbers(FORMAT_VERSION) {
        let newer = if is_version(tool) {
            format!("k3s-harden {tool} wrote it, in format {format}: use that version or a newer one")
        } else {
            format!("a newer version of k3s-harden wrote it, in format {format}: use that version")
        };
        return NoRecord { reason: format!("{newer}; this one reads {read}"), is_newer: true };
    }
    NoRecord::damaged(format!("its format is {format}, and this version of k3s-harden reads {read}"))
}
