// SPDX-License-Identifier: Apache-2.0
//! Where the API server finds the configuration of an admission plugin: the file that `admission-control-config-file`
//! names, and the entry in it, or else the file that the entry names.

use super::Finding;
use super::apiserver::{ApiServer, FileAt, in_file};
use crate::error::Result;
use crate::kubernetes::admission_config::PluginEntry;
use crate::kubernetes::object::{Fault, ObjectFile, Position};
use crate::node::RootedPath;

/// The flag that names the file.
pub(super) const FLAG: &str = "admission-control-config-file";

/// A plugin's own configuration.
pub(super) struct PluginConfig {
    /// The file that holds it.
    pub(super) path: RootedPath,
    /// The configuration; the fault if it cannot be read; none if there is none.
    pub(super) document: std::result::Result<Option<ObjectFile>, Fault>,
    /// Whether the entry names a file that is empty.
    is_empty: bool,
    /// The position of the plugin's entry.
    pub(super) position: Position,
}

impl PluginConfig {
    /// Returns the configuration as a plugin takes it that decodes an empty file, too, and refuses it.
    pub(super) fn decoded(&self) -> std::result::Result<Option<ObjectFile>, Fault> {
        if self.is_empty {
            return Err(Fault::new((1, 1), "Object 'Kind' is missing in ''"));
        }
        self.document.clone()
    }

    /// Returns a configuration that is the whole file which the flag names.
    pub(super) fn whole(path: &RootedPath, bytes: &[u8]) -> Self {
        let document = ObjectFile::read(bytes).map(Some);
        Self { path: path.clone(), document, is_empty: false, position: (1, 1) }
    }

    /// Finds the configuration of an entry in the file `path`. The inner error is the finding if the entry names a file that does
    /// not exist.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn find(
        server: &ApiServer<'_>,
        path: &RootedPath,
        entry: &PluginEntry,
    ) -> Result<std::result::Result<Self, Box<Finding>>> {
        let position = entry.position;
        if entry.configuration.is_some() || entry.path.is_empty() {
            let document = Ok(entry.configuration.clone());
            return Ok(Ok(Self { path: path.clone(), document, is_empty: false, position }));
        }
        let folder = path.parent().map_or_else(String::new, |parent| parent.to_string());
        let named = &entry.path;
        let file = if named.starts_with('/') { named.clone() } else { format!("{folder}/{named}") };
        let file = server.node.path(&file)?;
        let FileAt::File(bytes) = server.look(&file)? else {
            let finding = Finding::stops(
                "admission-path-missing",
                format!("{file}, which the entry for {} names, is no file", entry.name),
                "write it; a path is looked for beside the file that names it",
            );
            let says = format!(
                "Couldn't open admission plugin configuration {file}: &fs.PathError{{Op:\"open\", Path:\"{file}\", Err:0x2}}"
            );
            return Ok(Err(Box::new(finding.at(in_file(path, entry.path_position)).says(says))));
        };
        let document = if bytes.is_empty() { Ok(None) } else { ObjectFile::read(&bytes).map(Some) };
        Ok(Ok(Self { path: file, document, is_empty: bytes.is_empty(), position }))
    }
}
