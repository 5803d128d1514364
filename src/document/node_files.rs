// SPDX-License-Identifier: Apache-2.0
//! The files that a hardened node has, as the manual lists them: with the paths of a node whose configuration and data
//! directory are K3s's own.

use super::file_table::ROWS;
use crate::Role;
use crate::k3s::{DEFAULT_CONFIG, DEFAULT_DATA_DIR};
use crate::mode::FileMode;
use crate::node::RootedPath;

/// A file with an exact mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFile {
    /// Its key, such as audit.
    pub key: &'static str,
    /// Its path.
    pub path: RootedPath,
    /// Its mode.
    pub mode: FileMode,
    /// The roles of the nodes that have it.
    pub roles: Vec<Role>,
    /// What it is for.
    pub about: &'static str,
}

/// Returns the files, in the order in which they are written.
#[must_use]
pub fn node_files() -> Vec<NodeFile> {
    let (config, data_dir) = (RootedPath::fixed(DEFAULT_CONFIG), RootedPath::fixed(DEFAULT_DATA_DIR));
    let files = ROWS.iter().map(|row| NodeFile {
        key: row.key,
        path: row.place.on_node(&config, &data_dir),
        mode: row.mode,
        roles: row.roles.to_vec(),
        about: row.about,
    });
    files.collect()
}
