// SPDX-License-Identifier: Apache-2.0
//! Which configuration file K3s reads: findConfigFileFlag of pkg/configfilearg/parser.go in K3s.
//!
//! `K3S_CONFIG_FILE` has precedence over `--config` and `-c`, and both over the default file. K3s looks for the two flags
//! among all words of its command line before it parses any of them: in front of the command, behind `--`, and as the
//! value of another flag. The first one counts. The drop-ins are in the folder `<file>.d`.

use std::sync::LazyLock;

use serde::Deserialize;

use super::merge;
use super::node_paths::DEFAULT_CONFIG;
use super::origin::{self, ValueOrigin};
use super::service::NodeService;
use crate::Role;
use crate::embedded;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::node::{PathKind, PathState, Root, RootedPath};
use crate::version::{Availability, FirstReleases, K3sRelease};

/// The configuration file that K3s reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its path; none if K3s reads no configuration file at all: the name is empty, or a URL.
    pub path: Option<RootedPath>,
    /// The name as it is written.
    pub text: String,
    /// What names it; none for the default file.
    pub origin: Option<ValueOrigin>,
}

/// The table of what differs between releases (data/config-file.yaml).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ConfigFileTable {
    /// The first releases that start without a configuration file that is named and does not exist.
    starts_without_file: FirstReleases,
}

impl Default for ConfigFile {
    fn default() -> Self {
        Self { path: Some(RootedPath::fixed(DEFAULT_CONFIG)), text: DEFAULT_CONFIG.to_owned(), origin: None }
    }
}

impl ConfigFile {
    /// Finds the configuration file that K3s reads in `role`.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if the service names no valid path.
    pub fn of_service(root: &Root, service: &NodeService, role: Role) -> Result<Self> {
        Self::with_words(root, service, role, &[])
    }

    /// Returns the configuration file that K3s reads with `typed` behind the words of the service.
    pub(super) fn with_words(
        root: &Root,
        service: &NodeService,
        role: Role,
        typed: &[String],
    ) -> Result<Self> {
        let by_variable = service.variable_of(role, "config").filter(|(text, _)| !text.is_empty());
        let words: Vec<&str> = service.words.iter().chain(typed).map(String::as_str).collect();
        let by_word = || {
            let (at, text) = named(&words)?;
            let origin = if at < service.words.len() { service.origin() } else { ValueOrigin::CommandLine };
            Some((text, origin))
        };
        let Some((text, origin)) = by_variable.or_else(by_word) else { return Ok(Self::default()) };
        let (text, origin) = (text.to_owned(), Some(origin));
        // K3s opens a URL as if it were a path, and finds nothing (readConfigFile asks os.Stat first).
        if text.is_empty() || text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self { path: None, text, origin });
        }
        match opened(root, &service.working_directory, &text) {
            Ok(path) => Ok(Self { path: Some(path), text, origin }),
            Err(error) => {
                let error = error.hint("it is the name of K3s's configuration file");
                Err(origin::at(error, origin.as_ref()))
            }
        }
    }

    /// Returns its path; if K3s reads none, that of the default file, where the user looks for it.
    #[must_use]
    pub fn path_or_default(&self) -> RootedPath {
        self.path.clone().unwrap_or_else(|| RootedPath::fixed(DEFAULT_CONFIG))
    }

    /// Returns the folder of its drop-ins.
    #[must_use]
    pub fn drop_ins(&self) -> RootedPath {
        drop_ins(&self.path_or_default())
    }

    /// Returns the place that names it; none for the default file.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.origin.as_ref().map(ValueOrigin::place)
    }

    /// Tells whether a release starts although the file that is named does not exist; none if K3s does not miss it.
    ///
    /// # Errors
    /// If the folder of the drop-ins cannot be read.
    pub fn starts_without(&self, root: &Root, release: K3sRelease) -> Result<Option<Availability>> {
        static TABLE: LazyLock<ConfigFileTable> = LazyLock::new(|| embedded::table("config-file"));
        let Some(origin) = self.origin.as_ref().filter(|_| !self.text.is_empty()) else { return Ok(None) };
        if let Some(path) = &self.path {
            // Drop-ins are enough for the server and the agent. The binary that starts them looks for the file that
            // the variable names, and for no other (FindString in releases before those of the table).
            let by_variable = matches!(origin, ValueOrigin::Variable { .. });
            let is_drop_in = |name: &String| merge::is_drop_in(name);
            if root.exists(path) || !by_variable && root.names(&self.drop_ins())?.iter().any(is_drop_in) {
                return Ok(None);
            }
        }
        Ok(Some(TABLE.starts_without_file.availability(release)))
    }

    /// Returns what K3s says of a file that it cannot open, or of a folder of drop-ins; it exits then. None if it can.
    #[must_use]
    pub fn fault(&self, root: &Root) -> Option<String> {
        let path = self.path.as_ref()?;
        // K3s lists the drop-ins before it looks at the file (readConfigFile).
        if let Some(why) = root.unreachable(&self.drop_ins().join("any.yaml")) {
            return Some(format!("open {}.d: {why}", self.text));
        }
        if let Some(why) = root.unreachable(path) {
            return Some(format!("stat {}: {why}", self.text));
        }
        // What cannot be looked at is told when it is read.
        let is_directory = matches!(root.kind(path), Ok(PathKind::Directory));
        is_directory.then(|| format!("read {}: is a directory", self.text))
    }

    /// Refuses a file that K3s cannot open, and one that is named and does not exist, for a release that exits then.
    pub(super) fn check(&self, root: &Root, release: K3sRelease) -> Result<()> {
        if let Some(says) = self.fault(root) {
            let file = self.path_or_default().to_string();
            return Err(Error::new(ErrorKind::BadInput, says).at(Place { file, position: None }));
        }
        if self.starts_without(root, release)? != Some(Availability::Absent) {
            return Ok(());
        }
        let message = format!("K3s {release} exits: open {}: no such file or directory", self.text);
        let error = Error::new(ErrorKind::BadInput, message).hint("create the file, or name one that exists");
        Err(origin::at(error, self.origin.as_ref()))
    }
}

/// Returns the folder of the drop-ins beside a configuration file.
#[must_use]
pub fn drop_ins(config: &RootedPath) -> RootedPath {
    let name = format!("{}.d", config.name());
    config.beside(&name)
}

/// Returns the name that the first flag among the words gives, and the position of the flag. `--config` without a word
/// behind it names nothing.
fn named<'a>(words: &[&'a str]) -> Option<(usize, &'a str)> {
    words.iter().enumerate().find_map(|(at, word)| match *word {
        "--config" | "-c" => Some((at, words.get(at + 1).copied().unwrap_or_default())),
        _ => word.strip_prefix("--config=").or_else(|| word.strip_prefix("-c=")).map(|text| (at, text)),
    })
}

/// Returns the path that the kernel opens for `text` in `folder`. The kernel goes up from where a symlink leads, so `..`
/// behind anything but a directory is refused.
fn opened(root: &Root, folder: &RootedPath, text: &str) -> Result<RootedPath> {
    let mut begun = String::new();
    for part in text.split('/') {
        let above = if begun.is_empty() && !text.starts_with('/') { "." } else { begun.as_str() };
        if part == ".." {
            let above = folder.resolve(if above.is_empty() { "/" } else { above })?;
            if !matches!(root.look(&above)?, PathState::Directory { .. }) {
                let message =
                    format!("{text:?} has .. after {above}, which is a symlink, or not a directory");
                return Err(Error::new(ErrorKind::BadInput, message).hint("write the path without .."));
            }
        }
        begun.push_str(part);
        begun.push('/');
    }
    folder.resolve(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_flag_among_all_words_counts() {
        let named = |words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            named(&words).map(|(_, text)| text.to_owned())
        };
        for (words, text) in [
            ("server --config /a", "/a"),
            ("--config /a server", "/a"),
            ("server -c /a", "/a"),
            ("server -c=/a --config /b", "/a"),
            ("server --config=/a", "/a"),
            ("server stray --config /a", "/a"),
            ("server -- --config /a", "/a"),
            ("server --token --config /a", "/a"),
            ("server --config --debug", "--debug"),
            ("server --config=", ""),
            ("server --config", ""),
        ] {
            assert_eq!(named(words).as_deref(), Some(text), "{words}");
        }
        for words in ["server", "server -config /a", "server --configs=/a", "server -config=/a", "server -cx"]
        {
            assert_eq!(named(words), None, "{words}");
        }
    }

    #[test]
    fn drop_ins_are_beside_the_file() {
        for (config, folder) in [("/etc/own.yaml", "/etc/own.yaml.d"), ("/own", "/own.d")] {
            assert_eq!(drop_ins(&RootedPath::fixed(config)).as_str(), folder);
        }
    }
}
