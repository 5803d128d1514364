//! Paths inside the node's root.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// An absolute path inside the node's root, without `.`, `..` and empty parts. Never a path of the machine
/// that the tool runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    /// Returns the path below this one.
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
        let whole = if text.starts_with('/') { text.to_owned() } else { format!("{self}/{text}") };
        let mut parts: Vec<&str> = Vec::new();
        for part in whole.split('/').filter(|part| !matches!(*part, "" | ".")) {
            if part == ".." {
                parts.pop();
            } else {
                parts.push(part);
            }
        }
        format!("/{}", parts.join("/")).parse()
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

    /// Returns the path as text, with its leading slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path relative to the root, `.` for the root itself.
    pub(super) fn relative(&self) -> &str {
        match self.0.trim_start_matches('/') {
            "" => ".",
            relative => relative,
        }
    }
}

fn is_part(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && !part.contains(['\0', '\n'])
}

impl fmt::Display for RootedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RootedPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let trimmed = if text.len() > 1 { text.trim_end_matches('/') } else { text };
        let normal =
            trimmed == "/" || trimmed.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_part));
        if !normal || text.len() > 4096 {
            return Err(Error::new(ErrorKind::BadInput, format!("{text:?} is not an absolute path"))
                .hint("write it from the root on, without . and ..: /var/lib/rancher/k3s"));
        }
        Ok(Self(trimmed.to_owned()))
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
        for bad in ["", "a", "/a/../b", "/a//b", "/./a", "/a\0", "//"] {
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
    fn parents_end_at_the_root() {
        let path = RootedPath::fixed("/a/b");
        assert_eq!(path.parent().unwrap().as_str(), "/a");
        assert_eq!(path.parent().unwrap().parent().unwrap().as_str(), "/");
        assert_eq!(path.parent().unwrap().parent().unwrap().parent(), None);
    }
}
