//! The configuration on a node as K3s will read it: its files are found, merged, and turned into a command line.

use super::command_line::{self, RefusedKey};
use super::config_file;
use super::merge::{self, ConfigKey};
use super::node_paths::DEFAULT_CONFIG;
use crate::Role;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::node::{Root, RootedPath};
use crate::version::KubernetesMinor;

/// K3s' configuration files, merged.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedConfig {
    /// The files, in the order in which K3s reads them.
    pub files: Vec<RootedPath>,
    /// The keys, merged.
    pub keys: Vec<ConfigKey>,
    /// The command line, without the program.
    pub argv: Vec<String>,
    /// What K3s logs about them.
    pub warnings: Vec<String>,
    /// The minor whose flags decide.
    pub minor: KubernetesMinor,
}

impl MergedConfig {
    /// Reads the configuration for the command line `words`, which begins with the command, of K3s of a minor.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the place where K3s would not start, or if a file is over a limit.
    pub fn read(root: &Root, words: &[String], minor: KubernetesMinor) -> Result<Self> {
        Self::read_from(root, words, minor, Some(&RootedPath::fixed(DEFAULT_CONFIG)))
    }

    /// The same with another configuration file than the default one, or with none.
    ///
    /// # Errors
    /// As for [`MergedConfig::read`].
    pub fn read_from(
        root: &Root,
        words: &[String],
        minor: KubernetesMinor,
        config: Option<&RootedPath>,
    ) -> Result<Self> {
        let paths = config.map(|config| paths(root, config)).transpose()?.unwrap_or_default();
        let mut files = Vec::new();
        for path in paths {
            match root.read(&path)? {
                Some(bytes) => files.push((path, bytes)),
                // K3s ignores all configuration files if one of them is missing.
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
        let (known, warnings) = command_line::strip_unknown(words, &keys, minor);
        let argv = command_line::argv(words, &known);
        Ok(Self { files: files.into_iter().map(|(path, _)| path).collect(), keys, argv, warnings, minor })
    }
}

impl MergedConfig {
    /// Returns the keys that K3s' command line refuses: K3s exits on the first.
    #[must_use]
    pub fn refused_keys(&self, role: Role) -> Vec<RefusedKey> {
        command_line::refused_keys(&self.keys, role, self.minor)
    }
}

/// Returns `config.yaml`, if it exists, and the drop-ins beside it.
fn paths(root: &Root, config: &RootedPath) -> Result<Vec<RootedPath>> {
    let mut paths = Vec::new();
    if root.exists(config) {
        paths.push(config.clone());
    }
    let drop_ins = config_file::drop_ins(config);
    for name in root.list(&drop_ins)? {
        let Some(name) = name.to_str() else { continue };
        let path = drop_ins.join(name);
        if merge::is_drop_in(name) && !root.is_directory(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}
