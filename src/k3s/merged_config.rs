//! The configuration on a node as K3s will read it: its files found, merged, and made a command line.

use super::flags;
use super::merge::{self, ConfigKey};
use crate::Role;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::node::{Root, RootedPath};
use crate::version::KubernetesMinor;

/// Where K3s looks by default.
pub const DEFAULT_CONFIG: &str = "/etc/rancher/k3s/config.yaml";

/// What K3s makes of its configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedConfig {
    /// The files, in the order in which K3s reads them.
    pub files: Vec<RootedPath>,
    /// The keys, merged.
    pub keys: Vec<ConfigKey>,
    /// The command line, without the program.
    pub argv: Vec<String>,
    /// What K3s logs about it.
    pub warnings: Vec<String>,
    /// The minor whose flags it was read by.
    pub minor: KubernetesMinor,
}

impl MergedConfig {
    /// Reads the configuration for the command line `words`, which begins with the command, of K3s of a minor.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the place where K3s would not start, or where a file is over a limit.
    pub fn of(root: &Root, words: &[String], minor: KubernetesMinor) -> Result<Self> {
        Self::with(root, words, minor, &RootedPath::fixed(DEFAULT_CONFIG))
    }

    /// The same with another configuration file than the default one.
    ///
    /// # Errors
    /// As for [`MergedConfig::of`].
    pub fn with(root: &Root, words: &[String], minor: KubernetesMinor, config: &RootedPath) -> Result<Self> {
        let paths = paths(root, config)?;
        let mut files = Vec::new();
        for path in paths {
            match root.read(&path)? {
                Some(bytes) => files.push((path, bytes)),
                // K3s takes a missing file as a missing configuration, whatever else there is.
                None => {
                    return Ok(Self {
                        files: Vec::new(),
                        keys: Vec::new(),
                        argv: words.to_vec(),
                        warnings: Vec::new(),
                        minor,
                    });
                }
            }
        }
        let named = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
        let keys = merge::merge(named).map_err(|(file, problem)| {
            Error::new(ErrorKind::BadInput, problem.message).at(Place { file, position: problem.position })
        })?;
        let (known, warnings) = strip_unknown(words, &keys, minor);
        let argv = merge::argv(words, &known);
        Ok(Self { files: files.into_iter().map(|(path, _)| path).collect(), keys, argv, warnings, minor })
    }
}

impl MergedConfig {
    /// Returns what K3s' command line refuses, with its message and the place: K3s exits on the first.
    #[must_use]
    pub fn refusals(&self, role: Role) -> Vec<(String, Place)> {
        let known = flags::names(role, self.minor);
        let keys = self.keys.iter().filter(|key| role == Role::Agent || known.contains(key.name.as_str()));
        let items = keys.flat_map(|key| key.items.iter().map(move |item| (key, item)));
        items
            .filter_map(|(key, item)| {
                Some((flags::check(role, self.minor, &key.name, &item.text).err()?, item.place.clone()))
            })
            .collect()
    }
}

/// Returns `config.yaml`, if it is there, and the drop-ins beside it.
fn paths(root: &Root, config: &RootedPath) -> Result<Vec<RootedPath>> {
    let mut paths = Vec::new();
    if root.exists(config) {
        paths.push(config.clone());
    }
    let drop_ins: RootedPath = format!("{config}.d").parse()?;
    for name in root.list(&drop_ins)? {
        let Some(name) = name.to_str() else { continue };
        let lower = name.to_ascii_lowercase();
        let path = drop_ins.join(name);
        if (lower.ends_with(".yaml") || lower.ends_with(".yml")) && !root.is_directory(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Leaves out what a server does not know, as K3s does when `server` is its first word; an agent keeps all.
fn strip_unknown(
    words: &[String],
    keys: &[ConfigKey],
    minor: KubernetesMinor,
) -> (Vec<ConfigKey>, Vec<String>) {
    if words.first().is_none_or(|word| word != "server") {
        return (keys.to_vec(), Vec::new());
    }
    let known = flags::names(Role::Server, minor);
    let (mut kept, mut warnings) = (Vec::new(), Vec::new());
    for key in keys {
        if known.contains(key.name.as_str()) {
            kept.push(key.clone());
        } else {
            let flag = merge::flag(&key.name, "");
            let flag = flag.trim_end_matches('=');
            warnings.extend(
                key.items.iter().map(|_| format!("Unknown flag {flag} found in config.yaml, skipping")),
            );
        }
    }
    (kept, warnings)
}
