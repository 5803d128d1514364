// SPDX-License-Identifier: Apache-2.0
//! Modes and owners of files. They are parsed once, and no bare number is handed on.

use std::fmt;
use std::str::FromStr;

use nix::sys::stat::Mode;

use crate::error::{Error, ErrorKind, Result};

/// The permission bits of a file or directory, written as four octal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(u32);

impl FileMode {
    /// Private directory.
    pub const PRIVATE_DIRECTORY: Self = Self(0o700);
    /// Private file.
    pub const PRIVATE_FILE: Self = Self(0o600);
    /// Directory that all users may enter.
    pub const PUBLIC_DIRECTORY: Self = Self(0o755);
    /// File that all users may read.
    pub const PUBLIC_FILE: Self = Self(0o644);

    /// Keeps the permission bits (with setuid, setgid and sticky) of `st_mode`.
    #[must_use]
    pub fn from_stat(st_mode: u32) -> Self {
        Self(st_mode & 0o7777)
    }

    /// Returns it as `stat -c %a` prints it, such as `600`.
    #[must_use]
    pub fn as_stat(self) -> String {
        format!("{:o}", self.0)
    }

    /// Returns the bits, for formats with a number.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Tells whether it permits nothing that `other` does not.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Returns what both permit.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns it without setuid and setgid, which the kernel takes away when the owner changes.
    #[must_use]
    pub fn without_set_ids(self) -> Self {
        Self(self.0 & !0o6000)
    }

    pub(crate) fn to_nix(self) -> Mode {
        Mode::from_bits_truncate(self.0)
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for FileMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let octal = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let bits = octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
        bits.map(Self).ok_or_else(|| {
            Error::new(ErrorKind::BadInput, format!("{text:?} is not a file mode"))
                .hint("write it in octal: \"0600\"")
        })
    }
}

/// Numeric owner and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Owner {
    /// root:root.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
}

impl FromStr for Owner {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers =
            text.split_once(':').and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
        numbers.map(|(uid, gid)| Self { uid, gid }).ok_or_else(|| {
            Error::new(ErrorKind::BadInput, format!("{text:?} is not an owner"))
                .hint("write it as numbers: \"0:0\"")
        })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_text() {
        assert_eq!("0600".parse::<FileMode>().unwrap().to_string(), "0600");
        assert_eq!("755".parse::<FileMode>().unwrap(), FileMode::PUBLIC_DIRECTORY);
        for bad in ["", "6", "0999", "0o600", "00600", "rw-"] {
            assert!(bad.parse::<FileMode>().is_err(), "{bad}");
        }
        assert_eq!("5:6".parse::<Owner>().unwrap().to_string(), "5:6");
        assert!("root".parse::<Owner>().is_err());
    }
}
