// SPDX-License-Identifier: Apache-2.0
//! The state of a resource as a run's record holds it: metadata in the record, bytes in backup files beside it.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::{Deserialize, Serialize};

use super::damage::{self, Damage, unreadable};
use super::state::run_directory;
use crate::error::Result;
use crate::mode::{FileMode, Owner};
use crate::node::{Attributes, PathState, Root, RootedPath, sha256};
use crate::plan::CurrentState;

/// The name of the record in the directory of its run.
pub(super) const JOURNAL: &str = "journal.json";

/// The state of a resource before or after a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "the names say it: modes are octal text, owners uid:gid, backups names of files beside the record, with their digests"
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// The value of a kernel parameter.
    Value { value: String },
    /// Mode and owner of something whose content is not looked at.
    Permissions {
        #[serde(with = "as_text")]
        mode: FileMode,
        #[serde(with = "as_text")]
        owner: Owner,
    },
}

impl SavedState {
    /// Returns the name of the backup file that holds its bytes.
    pub(super) fn backup(&self) -> Option<&str> {
        match self {
            Self::File { backup, .. } | Self::Symlink { backup, .. } => Some(backup),
            _ => None,
        }
    }

    /// Names the backup file anew that holds `bytes`.
    pub(super) fn move_to(&mut self, name: String, bytes: &[u8]) {
        if let Self::File { backup, sha256: digest, .. } | Self::Symlink { backup, sha256: digest, .. } = self
        {
            *backup = name;
            *digest = Some(sha256(bytes));
        }
    }

    /// Returns the digest of these bytes, if the record has it.
    pub(super) fn digest(&self) -> Option<&str> {
        match self {
            Self::File { sha256, .. } | Self::Symlink { sha256, .. } => sha256.as_deref(),
            _ => None,
        }
    }

    /// Returns the bytes in its backup file, from the directory of run `id`; none if it has no backup.
    ///
    /// # Errors
    /// As for [`SavedState::load`].
    pub(super) fn read(&self, root: &Root, id: u32) -> Result<Option<Vec<u8>>> {
        let Some(backup) = self.backup() else { return Ok(None) };
        let path = backup_path(id, backup).map_err(|damage| unreadable(root, &damage))?;
        let read = self.read_checked(root, id, &path)?;
        read.map(Some).map_err(|damage| unreadable(root, &damage))
    }

    /// Returns the state with its bytes, from the directory of run `id`.
    ///
    /// # Errors
    /// If the backup file is missing, is not as it was written, or cannot be read.
    pub(super) fn load(&self, root: &Root, id: u32) -> Result<CurrentState> {
        let bytes = self.read(root, id)?.unwrap_or_default();
        Ok(match self {
            Self::Absent => CurrentState::Path(PathState::Absent),
            Self::Unknown => CurrentState::Unreadable("it could not be read".to_owned()),
            Self::File { mode, owner, attributes, .. } => CurrentState::Path(PathState::File {
                mode: *mode,
                owner: *owner,
                attributes: attributes.clone(),
                bytes,
            }),
            Self::Directory { mode, owner, attributes } => CurrentState::Path(PathState::Directory {
                mode: *mode,
                owner: *owner,
                attributes: attributes.clone(),
            }),
            Self::Symlink { owner, .. } => {
                CurrentState::Path(PathState::Symlink { owner: *owner, target: OsString::from_vec(bytes) })
            }
            Self::Value { value } => CurrentState::Value(value.clone()),
            Self::Permissions { mode, owner } => CurrentState::Permissions(*mode, *owner),
        })
    }

    /// Looks whether its backup file is there and as it was written; none if it is, or there is none to look at.
    ///
    /// # Errors
    /// If the caller may not read it.
    pub(super) fn damage(&self, root: &Root, id: u32) -> Result<Option<Damage>> {
        let Some(backup) = self.backup() else { return Ok(None) };
        match backup_path(id, backup) {
            Ok(path) => Ok(self.read_checked(root, id, &path)?.err()),
            Err(damage) => Ok(Some(damage)),
        }
    }

    fn read_checked(
        &self,
        root: &Root,
        id: u32,
        path: &RootedPath,
    ) -> Result<std::result::Result<Vec<u8>, Damage>> {
        let damaged = |reason: &str| Ok(Err(Damage::new(id, path.clone(), reason)));
        match root.read_itself(path) {
            Err(error) => damage::of_error(root, id, path.clone(), error).map(Err),
            Ok(None) => damaged("it is not there"),
            Ok(Some(bytes)) if self.digest().is_some_and(|digest| digest != sha256(&bytes)) => {
                damaged("it is not as k3s-harden wrote it: its digest is another")
            }
            Ok(Some(bytes)) => Ok(Ok(bytes)),
        }
    }

    /// Returns the saved form of a state, whose bytes go into `backup`.
    pub(super) fn from_current(current: &CurrentState, backup: String) -> Self {
        let sha256 = content(current).map(sha256);
        match current {
            CurrentState::Path(PathState::File { mode, owner, attributes, .. }) => {
                Self::File { mode: *mode, owner: *owner, attributes: attributes.clone(), backup, sha256 }
            }
            CurrentState::Path(PathState::Directory { mode, owner, attributes }) => {
                SavedState::Directory { mode: *mode, owner: *owner, attributes: attributes.clone() }
            }
            CurrentState::Path(PathState::Symlink { owner, .. }) => {
                SavedState::Symlink { owner: *owner, backup, sha256 }
            }
            CurrentState::Path(PathState::Absent | PathState::Other) => SavedState::Absent,
            CurrentState::Value(value) => SavedState::Value { value: value.clone() },
            CurrentState::Permissions(mode, owner) => SavedState::Permissions { mode: *mode, owner: *owner },
            // A file that is too large to be backed up is never changed.
            CurrentState::Path(PathState::Large { .. }) | CurrentState::Unreadable(_) => SavedState::Unknown,
        }
    }
}

/// Returns the path of a backup; damage if a record names what is no backup of its run.
fn backup_path(id: u32, backup: &str) -> std::result::Result<RootedPath, Damage> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if backup.is_empty() || backup.starts_with('.') || !backup.bytes().all(plain) {
        let journal = run_directory(id).join(JOURNAL);
        return Err(Damage::new(id, journal, format!("{backup:?} is no name of a backup")));
    }
    Ok(run_directory(id).join(backup))
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
