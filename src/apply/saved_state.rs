//! The state of a resource as a run's record holds it: metadata in the record, bytes in backup files beside it.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::{Deserialize, Serialize};

use super::state::{run_directory, unreadable};
use crate::error::Result;
use crate::mode::{FileMode, Owner};
use crate::node::{Attributes, PathState, Root};
use crate::plan::CurrentState;

/// The name of the record in the directory of its run.
pub(super) const JOURNAL: &str = "journal.json";

/// The state of a resource before or after a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
#[allow(
    missing_docs,
    reason = "the names say it: modes are octal text, owners uid:gid, backups names of files beside the record"
)]
pub enum SavedState {
    /// Nothing.
    Absent,
    /// A kernel parameter that cannot be read.
    Unknown,
    /// A file, whose bytes are in `backup`.
    File {
        #[serde(with = "as_text")]
        mode: FileMode,
        #[serde(with = "as_text")]
        owner: Owner,
        #[serde(with = "hexadecimal")]
        attributes: Attributes,
        backup: String,
    },
    /// A directory.
    Directory {
        #[serde(with = "as_text")]
        mode: FileMode,
        #[serde(with = "as_text")]
        owner: Owner,
        #[serde(with = "hexadecimal")]
        attributes: Attributes,
    },
    /// A symlink, whose target is in `backup`.
    Symlink {
        #[serde(with = "as_text")]
        owner: Owner,
        backup: String,
    },
    /// The value of a kernel parameter.
    Value { value: String },
}

impl SavedState {
    /// Returns the name of the backup file that holds its bytes.
    pub(super) fn backup(&self) -> Option<&str> {
        match self {
            Self::File { backup, .. } | Self::Symlink { backup, .. } => Some(backup),
            _ => None,
        }
    }

    pub(super) fn backup_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::File { backup, .. } | Self::Symlink { backup, .. } => Some(backup),
            _ => None,
        }
    }

    /// Returns the state with its bytes, from the directory of run `id`.
    ///
    /// # Errors
    /// If the backup file is missing or cannot be read.
    pub(super) fn load(&self, root: &Root, id: u32) -> Result<CurrentState> {
        let bytes = |backup: &String| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
            if backup.is_empty() || backup.starts_with('.') || !backup.bytes().all(plain) {
                let journal = run_directory(id).join(JOURNAL);
                return Err(unreadable(root, &journal, &format!("{backup:?} is no name of a backup")));
            }
            let path = run_directory(id).join(backup);
            root.read(&path)?.ok_or_else(|| unreadable(root, &path, "it is not there"))
        };
        Ok(match self {
            Self::Absent => CurrentState::Path(PathState::Absent),
            Self::Unknown => CurrentState::Unreadable("it could not be read".to_owned()),
            Self::File { mode, owner, attributes, backup } => CurrentState::Path(PathState::File {
                mode: *mode,
                owner: *owner,
                attributes: attributes.clone(),
                bytes: bytes(backup)?,
            }),
            Self::Directory { mode, owner, attributes } => CurrentState::Path(PathState::Directory {
                mode: *mode,
                owner: *owner,
                attributes: attributes.clone(),
            }),
            Self::Symlink { owner, backup } => CurrentState::Path(PathState::Symlink {
                owner: *owner,
                target: OsString::from_vec(bytes(backup)?),
            }),
            Self::Value { value } => CurrentState::Value(value.clone()),
        })
    }

    /// Returns the saved form of a state, whose bytes go into `backup`.
    pub(super) fn from_current(current: &CurrentState, backup: String) -> Self {
        match current {
            CurrentState::Path(PathState::File { mode, owner, attributes, .. }) => {
                Self::File { mode: *mode, owner: *owner, attributes: attributes.clone(), backup }
            }
            CurrentState::Path(PathState::Directory { mode, owner, attributes }) => {
                SavedState::Directory { mode: *mode, owner: *owner, attributes: attributes.clone() }
            }
            CurrentState::Path(PathState::Symlink { owner, .. }) => {
                SavedState::Symlink { owner: *owner, backup }
            }
            CurrentState::Path(PathState::Absent | PathState::Other) => SavedState::Absent,
            CurrentState::Value(value) => SavedState::Value { value: value.clone() },
            CurrentState::Unreadable(_) => SavedState::Unknown,
        }
    }
}

/// Returns the bytes of a state that go into a backup file.
pub(super) fn content(current: &CurrentState) -> Option<&[u8]> {
    match current {
        CurrentState::Path(PathState::File { bytes, .. }) => Some(bytes),
        CurrentState::Path(PathState::Symlink { target, .. }) => Some(target.as_bytes()),
        _ => None,
    }
}

/// A value as its text, read back by its own parser.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'a, T: FromStr<Err: Display>, D: Deserializer<'a>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Bytes in hexadecimal: a list of numbers takes five times as much.
mod hexadecimal {
    use std::collections::BTreeMap;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::node::Attributes;

    pub(super) fn serialize<S: Serializer>(attributes: &Attributes, to: S) -> Result<S::Ok, S::Error> {
        let text = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        attributes.iter().map(|(name, bytes)| (name, text(bytes))).collect::<BTreeMap<_, _>>().serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Attributes, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(from)?;
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes = |text: &str| text.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>();
        let read = |(name, text): (String, String)| {
            bytes(&text).map(|bytes| (name, bytes)).ok_or_else(|| D::Error::custom("expected hexadecimal"))
        };
        texts.into_iter().map(read).collect()
    }
}
