//! The configuration on a node as K3s will read it: its files are found, and merged.

use super::merge::{self, ConfigKey};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::node::{Root, RootedPath};

/// K3s' configuration files, merged.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct MergedConfig {
    /// The files, in the order in which K3s reads them.
    pub(super) files: Vec<RootedPath>,
    /// The keys, merged.
    pub(super) keys: Vec<ConfigKey>,
}

impl MergedConfig {
    /// Reads a configuration file and the drop-ins beside it.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the place where K3s would not start, or if a file is over a limit.
    pub(super) fn read(root: &Root, config: &RootedPath) -> Result<Self> {
        let mut files = Vec::new();
        for path in paths(root, config)? {
            match root.read(&path)? {
                Some(bytes) => files.push((path, bytes)),
                // K3s ignores all configuration files if one of them is missing.
                None => return Ok(Self::default()),
            }
        }
        let named = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
        let keys = merge::merge(named).map_err(|(file, problem)| {
            Error::new(ErrorKind::BadInput, problem.message).at(Place { file, position: problem.position })
        })?;
        Ok(Self { files: files.into_iter().map(|(path, _)| path).collect(), keys })
    }
}

/// Returns `config.yaml`, if it exists, and the drop-ins beside it.
fn paths(root: &Root, config: &RootedPath) -> Result<Vec<RootedPath>> {
    let mut paths = Vec::new();
    if root.exists(config) {
        paths.push(config.clone());
    }
    let drop_ins: RootedPath = format!("{config}.d").parse()?;
    for name in root.list(&drop_ins)? {
        let Some(name) = name.to_str() else { continue };
        let path = drop_ins.join(name);
        if merge::is_drop_in(name) && !root.is_directory(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}
