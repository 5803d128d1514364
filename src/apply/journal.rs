//! The format of a record: its version, and the digest that tells whether it is as it was written.
//!
//! A record of format 1.1 ends with its digest, the SHA-256 of its text without it. A record of 1.0 has none, and a
//! record of 1.1 that release 0.1.0 has written again has lost everything that 1.1 has added.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::node::sha256;

/// The format that is written.
pub(super) const FORMAT_VERSION: &str = "1.1";
/// The format of release 0.1.0.
pub(super) const FIRST_FORMAT: &str = "1.0";
/// What stands before the digest, in the text of a record, and after it.
const BEFORE_DIGEST: &str = ",\n  \"digest\": \"";
const AFTER_DIGEST: &str = "\"\n}";
/// How a text ends that has no digest yet.
const END: &str = "\n}";

/// What a record says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct JournalHead<'a> {
    pub(super) format_version: &'a str,
    pub(super) digest: Option<&'a str>,
    /// Whether it has a field that came with the digest.
    pub(super) is_newer: bool,
}

/// A record, or a part of one.
pub(super) trait Journalled: DeserializeOwned {
    fn head(&self) -> JournalHead<'_>;
}

/// Adds the digest to the text of a record.
pub(super) fn seal(text: &str) -> String {
    let open = text.strip_suffix(END).unwrap_or(text);
    format!("{open}{BEFORE_DIGEST}{}{AFTER_DIGEST}", sha256(text.as_bytes()))
}

/// Parses a record and checks its digest.
///
/// # Errors
/// Why it cannot be trusted.
pub(super) fn parse<T: Journalled>(bytes: &[u8]) -> Result<T, String> {
    let record: T = serde_json::from_slice(bytes).map_err(|error| unreadable(bytes, &error))?;
    let head = record.head();
    if ![FIRST_FORMAT, FORMAT_VERSION].contains(&head.format_version) {
        return Err(unknown_format(head.format_version));
    }
    match head.digest {
        Some(digest) if !is_sealed(bytes, digest) => {
            Err("it is not as k3s-harden wrote it: its digest is another".to_owned())
        }
        None if head.is_newer => Err("it is not as k3s-harden wrote it: its digest is missing".to_owned()),
        _ => Ok(record),
    }
}

/// Tells whether a text ends with the digest of the rest of it.
fn is_sealed(bytes: &[u8], digest: &str) -> bool {
    let text = std::str::from_utf8(bytes).ok();
    let parts = text.and_then(|text| text.strip_suffix(AFTER_DIGEST)?.rsplit_once(BEFORE_DIGEST));
    parts.is_some_and(|(open, found)| found == digest && sha256(format!("{open}{END}").as_bytes()) == digest)
}

/// Says why bytes are no record: those of another format are not damaged.
fn unreadable(bytes: &[u8], error: &serde_json::Error) -> String {
    #[derive(Deserialize)]
    struct Version {
        format_version: String,
    }
    match serde_json::from_slice(bytes) {
        Ok(Version { format_version }) if ![FIRST_FORMAT, FORMAT_VERSION].contains(&&*format_version) => {
            unknown_format(&format_version)
        }
        _ => error.to_string(),
    }
}

fn unknown_format(version: &str) -> String {
    format!(
        "its format is {version}, and this version of k3s-harden reads {FIRST_FORMAT} and {FORMAT_VERSION}"
    )
}
