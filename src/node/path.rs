// SPDX-License-Identifier: Apache-2.0
//! Paths inside the node's root.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;

use super::name::{byte_of, bytes_of, text_of};
use crate::error::{Error, ErrorKind, Result};

/// Longest path that is read, in bytes: the kernel's PATH_MAX.
const MAX_PATH_BYTES: usize = 4096;

/// An absolute path inside the node's root, without `.`, `..` and empty parts. Never a path of the machine
/// that the tool runs on. It stands for any bytes (see `name`), and paths are ordered by their bytes, as Go and systemd order
/// them.
#[derive(Debug, Clone)]
pub struct RootedPath {
    text: String,
    /// How much of the text names the directory below which no symlink is followed; see [`RootedPath::sealed`].
    seal: Option<usize>,
}

impl RootedPath {
    /// Wraps a path that the source code states.
    ///
    /// # Panics
    /// If it is not absolute and normal.
    #[must_use]
    pub fn fixed(path: &str) -> Self {
        path.parse().expect("paths in the source are absolute and normal")
    }

    /// Returns the same path, below which no symlink is followed: [`super::Root`] refuses one there. Symlinks on the way to the
    /// path are. A sealed path is the same path as one that is not.
    #[must_use]
    pub fn sealed(self) -> Self {
        Self { seal: Some(self.text.len()), ..self }
    }

    /// Returns the part of a path up to a seal and the part below it, both relative; none if nothing is sealed.
    pub(super) fn below_seal(&self) -> Option<(&str, &str)> {
        let (above, below) = self.text.split_at_checked(self.seal?)?;
        let below = below.strip_prefix('/')?;
        Some((above.trim_start_matches('/'), below))
    }

    /// Returns the path below this one; `below` may be a name of [`super::Root::names`].
    #[must_use]
    pub fn join(&self, below: &str) -> Self {
        debug_assert!(!below.is_empty() && below.split('/').all(is_part), "{below}");
        let text = if self.text == "/" { format!("/{below}") } else { format!("{}/{below}", self.text) };
        Self { text, seal: self.seal }
    }

    /// Returns the path that `text` names in this directory, cleaned as Go's `filepath.Abs` does: `..` goes up by the
    /// text alone, whatever is a symlink.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if it holds a character that no path has.
    pub fn resolve(&self, text: &str) -> Result<Self> {
        let text = text_of(text.as_bytes());
        let whole = if text.starts_with('/') { text } else { format!("{}/{text}", self.text) };
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
        if !normal || text.len() > MAX_PATH_BYTES {
            return Err(Error::new(ErrorKind::BadInput, format!("{text:?} is not an absolute path"))
                .hint("write it from the root on, without . and ..: /var/lib/rancher/k3s"));
        }
        Ok(Self { text: trimmed.to_owned(), seal: None })
    }

    /// Reads a path that a run has recorded: the text that [`fmt::Display`] writes of it. Earlier versions recorded paths with line
    /// breaks too, and what they changed there is put back.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if it is not absolute and normal.
    pub fn recorded(text: &str) -> Result<Self> {
        Self::listed(&text_of(text.as_bytes()))
    }

    /// Checks that a run that changes something at this path can record it, so that a later run puts it back.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if what would be recorded is not read as this path.
    pub fn check_recordable(&self) -> Result<()> {
        let text = self.to_string();
        // What stands for other bytes than its own is read, and never written.
        if self.text.contains(|letter| byte_of(letter).is_some()) {
            let why = "it has a byte that is no UTF-8, or a character between U+10F780 and U+10F7FF";
            return Err(not_recordable(&text, why, "name a path without it"));
        }
        match Self::recorded(&text) {
            Ok(read) if read == *self => Ok(()),
            _ => {
                let why = format!("it is longer than {MAX_PATH_BYTES} bytes");
                Err(not_recordable(&text, &why, "name a shorter path"))
            }
        }
    }

    /// The same for a path that somebody has chosen: it has no line break either.
    ///
    /// # Errors
    /// As for [`RootedPath::check_recordable`].
    pub fn check_chosen(&self) -> Result<()> {
        match self.text.contains('\n') {
            true => Err(not_recordable(&self.text, "it has a line break", "name a path without line breaks")),
            false => self.check_recordable(),
        }
    }

    /// Returns the directory that holds it; none for the root itself.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, name) = self.text.rsplit_once('/')?;
        let text = if parent.is_empty() { "/".to_owned() } else { parent.to_owned() };
        let seal = self.seal.filter(|seal| *seal <= text.len());
        (!name.is_empty()).then_some(Self { text, seal })
    }

    /// Returns the path of `name` in the same directory.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        self.parent().unwrap_or_else(|| self.clone()).join(name)
    }

    /// Tells whether it is `folder`, or lies below it, as the two are written.
    #[must_use]
    pub fn is_within(&self, folder: &Self) -> bool {
        let rest = self.text.strip_prefix(folder.text.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Returns the last part; empty for the root itself.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the path as text that stands for its bytes, with its leading slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the last part as the kernel knows it.
    pub(super) fn file_name(&self) -> Cow<'_, OsStr> {
        bytes_of(self.name())
    }

    /// Returns the path relative to the root as the kernel knows it, `.` for the root itself.
    pub(super) fn relative(&self) -> Cow<'_, OsStr> {
        match self.text.trim_start_matches('/') {
            "" => Cow::Borrowed(OsStr::new(".")),
            relative => bytes_of(relative),
        }
    }
}

impl PartialEq for RootedPath {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RootedPath {}

impl PartialOrd for RootedPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RootedPath {
    fn cmp(&self, other: &Self) -> Ordering {
        bytes_of(&self.text).cmp(&bytes_of(&other.text))
    }
}

impl Hash for RootedPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

fn not_recordable(text: &str, why: &str, instead: &str) -> Error {
    let message = format!("what k3s-harden would change at {text:?} could not be rolled back: {why}");
    Error::new(ErrorKind::BadInput, message)
        .hint(format!("{instead}, and move the files from this path to it"))
}

fn is_part(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && !part.contains('\0')
}

impl fmt::Display for RootedPath {
    /// Writes a byte that is no UTF-8 as `\xNN`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = bytes_of(&self.text);
        for chunk in bytes.as_bytes().utf8_chunks() {
            f.write_str(chunk.valid())?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

impl FromStr for RootedPath {
    type Err = Error;

    /// Reads a path that somebody has written. It has no line break: no text of K3s's could name such a file.
    fn from_str(text: &str) -> Result<Self> {
        if text.contains('\n') {
            return Err(Error::new(ErrorKind::BadInput, format!("{text:?} has a line break"))
                .hint("write it without line breaks"));
        }
        Self::recorded(text)
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
        let folder = RootedPath::fixed("/srv/place");
        for (text, path) in [
            ("k3s", "/srv/place/k3s"),
            ("./a//b/", "/srv/place/a/b"),
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
    fn a_path_lies_in_a_folder_by_whole_parts() {
        let is_within =
            |path: &str, folder: &str| RootedPath::fixed(path).is_within(&RootedPath::fixed(folder));
        assert!(
            is_within("/a/b", "/a") && is_within("/a", "/a") && is_within("/a", "/") && is_within("/", "/")
        );
        assert!(!is_within("/ab", "/a") && !is_within("/a", "/a/b") && !is_within("/", "/a"));
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
        for name in ["\u{10f7ff}x", "a\nb"] {
            let path = RootedPath::fixed("/srv").resolve(name).unwrap();
            assert_eq!(RootedPath::recorded(&path.to_string()).unwrap(), path);
        }
        // In the order of the bytes.
        let path = |bytes: &[u8]| RootedPath::fixed("/").join(&text_of(bytes));
        assert!(path(b"a\xc0") < path("aé".as_bytes()) && path("aé".as_bytes()) < path(b"a\xff"));
    }

    #[test]
    fn what_may_be_changed_is_recorded_as_it_is() {
        let seed = std::env::var("K3S_HARDEN_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
        println!("K3S_HARDEN_SEED={seed}");
        let mut state = seed;
        let mut below = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((state >> 33) % limit as u64).unwrap()
        };
        let pieces: [&[u8]; 16] = [
            b"a",
            b"\\xff",
            b"\\",
            b" ",
            b"\t",
            b"\n",
            b"\r",
            b"\x1b",
            b"\"",
            b"..",
            b".",
            b"~",
            b"\xff",
            b"\xc3",
            "\u{10f7ff}".as_bytes(),
            "é\u{2028}".as_bytes(),
        ];
        let (mut accepted, mut refused) = (0, 0);
        for _ in 0..4000 {
            let mut path = RootedPath::fixed("/");
            for _ in 0..1 + below(4) {
                let name: Vec<u8> =
                    (0..1 + below(3)).flat_map(|_| pieces[below(pieces.len())].to_vec()).collect();
                let text = text_of(&name);
                path = if is_part(&text) { path.join(&text) } else { path };
            }
            match path.check_chosen() {
                Ok(()) => {
                    accepted += 1;
                    let text = path.to_string();
                    assert_eq!(text.parse::<RootedPath>().unwrap(), path);
                    assert_eq!(RootedPath::recorded(&text).unwrap(), path);
                    assert_eq!(path.file_name().as_bytes(), path.name().as_bytes(), "it is written as it is");
                }
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.kind(), ErrorKind::BadInput);
                    let unusual = |letter: char| letter == '\n' || byte_of(letter).is_some();
                    assert!(path.as_str().contains(unusual), "{path:?}");
                }
            }
        }
        assert!(accepted > 500 && refused > 500, "{accepted} {refused}");
        let long = RootedPath::fixed("/").join(&["a"; 2050].join("/"));
        assert!(long.check_recordable().is_err());
    }

    #[test]
    fn a_line_break_that_was_recorded_is_read() {
        let path = RootedPath::fixed("/srv").join("a\nb");
        assert_eq!(RootedPath::recorded(&path.to_string()).unwrap(), path);
        path.check_recordable().unwrap();
        let error = path.check_chosen().unwrap_err();
        assert!(error.message().ends_with("it has a line break"), "{error}");
    }

    #[test]
    fn parents_end_at_the_root() {
        let path = RootedPath::fixed("/a/b");
        assert_eq!(path.parent().unwrap().as_str(), "/a");
        assert_eq!(path.parent().unwrap().parent().unwrap().as_str(), "/");
        assert_eq!(path.parent().unwrap().parent().unwrap().parent(), None);
    }

    #[test]
    fn a_seal_holds_below_its_path_only() {
        let state = RootedPath::fixed("/var/lib/tool").sealed();
        let run = state.join("runs").join("0001");
        assert_eq!(run.below_seal(), Some(("var/lib/tool", "runs/0001")));
        assert_eq!(run.parent().unwrap().below_seal(), Some(("var/lib/tool", "runs")));
        assert_eq!(state.below_seal(), None, "what leads to it may be a symlink");
        assert_eq!(state.parent().unwrap().join("other").below_seal(), None);
        assert_eq!(run, RootedPath::fixed("/var/lib/tool/runs/0001"));
    }
}
