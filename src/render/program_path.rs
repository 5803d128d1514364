// SPDX-License-Identifier: Apache-2.0
//! The path of a program that systemd runs, quoted for a unit and for a shell in it.

use std::path::Path;

use super::unit_word::{is_plain, word};
use crate::error::{Error, ErrorKind, Result};
use crate::shell_word::quoted;

/// The path of k3s-harden on the node that is rendered for: absolute, normal, and without control characters, quotes and
/// backslashes, which systemd takes in no path of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramPath(String);

impl ProgramPath {
    /// What to write instead of a path that cannot be used.
    pub const HINT: &'static str =
        "name the program where it is on the node: --binary /usr/local/bin/k3s-harden";

    /// Checks a path.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if systemd would refuse it, or nobody could read it in a unit.
    pub fn parse(path: &Path) -> Result<Self> {
        let refused = |why: &str| {
            let message = format!("--binary {}: {why}", path.display());
            Err(Error::new(ErrorKind::Usage, message).hint(Self::HINT))
        };
        let Some(text) = path.to_str() else { return refused("it is not UTF-8") };
        let Some(below) = text.strip_prefix('/') else { return refused("it is not an absolute path") };
        if text.contains(char::is_control) {
            return refused("it has a control character");
        }
        if text.contains(['"', '\'', '\\']) {
            return refused("systemd runs no program whose path has a quote or a backslash");
        }
        if below.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return refused("it has an empty part, a dot or two dots between its slashes");
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns it as the first word of `ExecStart=`, or as a word of `RequiresMountsFor=`. systemd replaces no variable
    /// in either.
    pub(super) fn word(&self) -> String {
        word(&self.0)
    }

    /// Returns it as one word of a shell's script that stands between single quotes in a unit (systemd.service(5),
    /// "Command lines").
    pub(super) fn in_script(&self) -> String {
        let for_shell = if is_plain(&self.0) { self.0.clone() } else { quoted(&self.0) };
        let mut escaped = String::new();
        for character in for_shell.chars() {
            match character {
                '\'' => escaped.extend(['\\', character]),
                '%' | '$' => escaped.extend([character, character]),
                other => escaped.push(other),
            }
        }
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_for_the_shell_and_for_systemd() {
        let path = ProgramPath::parse(Path::new("/usr/bin/k3s-harden")).unwrap();
        assert_eq!((path.word(), path.in_script()), (path.0.clone(), path.0.clone()));
        let path = ProgramPath::parse(Path::new("/a b/50% $x `y`; #*/k")).unwrap();
        assert_eq!(path.word(), "\"/a b/50%% $x `y`; #*/k\"");
        assert_eq!(path.in_script(), "\\'/a b/50%% $$x `y`; #*/k\\'");
    }

    #[test]
    fn what_no_unit_can_name_is_refused() {
        for (path, why) in [
            ("k3s-harden", "not an absolute path"),
            ("", "not an absolute path"),
            ("/", "an empty part"),
            ("/usr/bin/", "an empty part"),
            ("/usr//bin/k3s-harden", "an empty part"),
            ("/usr/../bin/k3s-harden", "two dots"),
            ("/usr/./bin/k3s-harden", "a dot"),
            ("/usr/bin/k3s\nharden", "a control character"),
            ("/usr/bin/k3s\u{7f}harden", "a control character"),
            ("/it's/k3s-harden", "a quote or a backslash"),
            ("/\"it\"/k3s-harden", "a quote or a backslash"),
            ("/a\\b/k3s-harden", "a quote or a backslash"),
        ] {
            let error = ProgramPath::parse(Path::new(path)).unwrap_err();
            assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(why), "{path:?}: {error}");
        }
    }
}
