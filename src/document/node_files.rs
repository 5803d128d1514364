// SPDX-License-Identifier: Apache-2.0
//! The files and directories that a hardened node has, as the manual lists them: with the paths of a node whose configuration
//! and data directory are K3s' own.

use super::files::{DIRECTORIES, ROWS};
use crate::Role;
use crate::k3s::{DEFAULT_CONFIG, DEFAULT_DATA_DIR};
use crate::mode::FileMode;
use crate::node::RootedPath;

/// A file or directory with an exact mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFile {
    /// The key of a file, such as audit; none for a directory.
    pub key: Option<&'static str>,
    /// Its path.
    pub path: RootedPath,
    /// Its mode.
    pub mode: FileMode,
    /// The roles of the nodes that have it.
    pub roles: Vec<Role>,
    /// What a file is for; none for a directory.
    pub about: Option<&'static str>,
}

/// Returns the directories and files, in the order in which they are written.
#[must_use]
pub fn node_files() -> Vec<NodeFile> {
    let (config, data_dir) = (RootedPath::fixed(DEFAULT_CONFIG), RootedPath::fixed(DEFAULT_DATA_DIR));
    let directories = DIRECTORIES.iter().map(|(name, mode, _, _)| NodeFile {
        key: None,
        path: data_dir.join(name),
        mode: *mode,
        roles: vec![Role::Server],
        about: None,
    });
    let files = ROWS.iter().map(|row| NodeFile {
        key: Some(row.key),
        path: row.place.on_node(&config, &data_dir),
        mode: row.mode,
        roles: row.roles.to_vec(),
        about: Some(row.about),
    });
    directories.chain(files).collect()
}
