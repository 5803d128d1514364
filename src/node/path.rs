//! Paths inside the node's root.
//!
//! A name on a node is bytes; nothing makes it UTF-8. Here it is text that stands for exactly those bytes: a byte that is
//! no UTF-8 is a character of its own, from a range that nobody uses. So a file of any name is read, and a path is text.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// The character of a byte that is no UTF-8, less the byte. They are in a private use area.
const BYTES: u32 = 0x10_f700;

/// An absolute path inside the node's root, without `.`, `..` and empty parts. Never a path of the machine
/// that the tool runs on. Paths are ordered by their bytes, as Go and systemd order them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RootedPath(String);

impl RootedPath {
    /// Wraps a path that the source code states.
    ///
    /// # Panics
    /// If it is not absolute and normal.
    #[must_use]
    pub fn fixed(path: &str) -> Self {
        path.parse().expect("paths in the source are absolute and normal")
    }

    /// Returns the path below this one; `below` may be a name of [`super::Root::names`].
    #[must_use]
    pub fn join(&self, below: &str) -> Self {
        debug_assert!(!below.is_empty() && below.split('/').all(is_part), "{below}");
        Self(if self.0 == "/" { format!("/{below}") } else { format!("{}/{below}", self.0) })
    }

    /// Returns the path that `text` names in this directory, cleaned as Go's `filepath.Abs` does: `..` goes up by the
    /// text alone, whatever is a symlink.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if it holds a character that no path has.
    pub fn resolve(&self, text: &str) -> Result<Self> {
        let text = text_of(text.as_bytes());
        let whole = if text.starts_with('/') { text } else { format!("{}/{text}", self.0) };
        let mut parts: Vec<&str> = Vec::new();
        for part in whole.split('/').filter(|part| !matches!(*part, "" | ".")) {
            if part == ".." {
                parts.pop();
            } else {
                parts.push(part);
            }
        }
        Self::listed(&format!("/{}", parts.join("/")))
    }

    /// Returns the path of a text that was put together from names of [`super::Root::names`].
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if it is not absolute and normal.
    pub fn listed(text: &str) -> Result<Self> {
        let trimmed = if text.len() > 1 { text.trim_end_matches('/') } else { text };
        let normal =
            trimmed == "/" || trimmed.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_part));
        if !normal || text.len() > 4096 {
            return Err(Error::new(ErrorKind::BadInput, format!("{text:?} is not an absolute path"))
                .hint("write it from the root on, without . and ..: /var/lib/rancher/k3s"));
        }
        Ok(Self(trimmed.to_owned()))
    }

    /// Returns the directory that holds it; none for the root itself.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, name) = self.0.rsplit_once('/')?;
        (!name.is_empty()).then(|| Self(if parent.is_empty() { "/".to_owned() } else { parent.to_owned() }))
    }

    /// Returns the last part; empty for the root itself.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the path as text that stands for its bytes, with its leading slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the last part as the kernel knows it.
    pub(super) fn file_name(&self) -> Cow<'_, OsStr> {
        bytes_of(self.name())
    }

    /// Returns the path relative to the root as the kernel knows it, `.` for the root itself.
    pub(super) fn relative(&self) -> Cow<'_, OsStr> {
        match self.0.trim_start_matches('/') {
            "" => Cow::Borrowed(OsStr::new(".")),
            relative => bytes_of(relative),
        }
    }
}

/// Returns text that stands for bytes.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let character =
        |byte: &u8| char::from_u32(BYTES + u32::from(*byte)).unwrap_or(char::REPLACEMENT_CHARACTER);
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if byte_of(letter).is_some() {
                text.extend(letter.encode_utf8(&mut [0; 4]).as_bytes().iter().map(character));
            } else {
                text.push(letter);
            }
        }
        text.extend(chunk.invalid().iter().map(character));
    }
    text
}

/// Returns the bytes that a text stands for.
fn bytes_of(text: &str) -> Cow<'_, OsStr> {
    if !text.contains(|letter| byte_of(letter).is_some()) {
        return Cow::Borrowed(OsStr::new(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    for letter in text.chars() {
        match byte_of(letter) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(OsString::from_vec(bytes))
}

/// Returns the byte that is no UTF-8 for which a character stands in a path; none for any other character.
#[must_use]
pub fn byte_of(character: char) -> Option<u8> {
    u32::from(character)
        .checked_sub(BYTES)
        .and_then(|byte| u8::try_from(byte).ok())
        .filter(|byte| *byte >= 0x80)
}

fn is_part(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && !part.contains('\0')
}

impl PartialOrd for RootedPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RootedPath {
    fn cmp(&self, other: &Self) -> Ordering {
        bytes_of(&self.0).cmp(&bytes_of(&other.0))
    }
}

impl fmt::Display for RootedPath {
    /// Writes a byte that is no UTF-8 as `\xNN`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = bytes_of(&self.0);
        for chunk in bytes.as_bytes().utf8_chunks() {
            f.write_str(chunk.valid())?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

impl FromStr for RootedPath {
    type Err = Error;

    /// Reads a path that somebody has written. It has no line break: none of K3s' own texts could name such a file.
    fn from_str(text: &str) -> Result<Self> {
        if text.contains('\n') {
            return Err(Error::new(ErrorKind::BadInput, format!("{text:?} is not an absolute path"))
                .hint("write it without line breaks"));
        }
        Self::listed(&text_of(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_and_normal_paths() {
        for good in ["/", "/a", "/a/b/"] {
            assert!(good.parse::<RootedPath>().is_ok(), "{good}");
        }
        for bad in ["", "a", "/a/../b", "/a//b", "/./a", "/a\0", "/a\nb", "//"] {
            assert!(bad.parse::<RootedPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_text_is_resolved_as_go_does() {
        let folder = RootedPath::fixed("/srv/work");
        for (text, path) in [
            ("k3s", "/srv/work/k3s"),
            ("./a//b/", "/srv/work/a/b"),
            ("../k3s", "/srv/k3s"),
            ("../../../k3s", "/k3s"),
            ("/srv/old/../k3s/", "/srv/k3s"),
            ("//srv", "/srv"),
            ("/..", "/"),
        ] {
            assert_eq!(folder.resolve(text).unwrap().as_str(), path, "{text}");
        }
        assert!(folder.resolve("a\0").is_err());
    }

    #[test]
    fn any_bytes_are_a_name() {
        for bytes in [
            &b"gr\xf6sse.yaml"[..],
            b"\xff",
            b"a\nb",
            "\u{10f7ff}x".as_bytes(),
            b"\xf4\x8f",
            "größe".as_bytes(),
        ] {
            let text = text_of(bytes);
            assert_eq!(bytes_of(&text).as_bytes(), bytes, "{text}");
            let path = RootedPath::fixed("/etc").join(&text);
            assert_eq!(path.file_name().as_bytes(), bytes);
            assert_eq!(RootedPath::listed(path.as_str()).unwrap(), path);
        }
        assert_eq!(RootedPath::fixed("/").join(&text_of(b"gr\xf6sse")).to_string(), r"/gr\xf6sse");
        // What is written with such a character is that character.
        let written = RootedPath::fixed("/\u{10f7ff}");
        assert_eq!(written.to_string(), "/\u{10f7ff}");
        assert_eq!(written.file_name().as_bytes(), "\u{10f7ff}".as_bytes());
        assert_eq!(RootedPath::fixed("/a").resolve("\u{10f7ff}").unwrap().name(), written.name());
        // In the order of the bytes.
        let path = |bytes: &[u8]| RootedPath::fixed("/").join(&text_of(bytes));
        assert!(path(b"a\xc0") < path("aé".as_bytes()) && path("aé".as_bytes()) < path(b"a\xff"));
    }

    #[test]
    fn parents_end_at_the_root() {
        let path = RootedPath::fixed("/a/b");
        assert_eq!(path.parent().unwrap().as_str(), "/a");
        assert_eq!(path.parent().unwrap().parent().unwrap().as_str(), "/");
        assert_eq!(path.parent().unwrap().parent().unwrap().parent(), None);
    }
}
