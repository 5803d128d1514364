// SPDX-License-Identifier: Apache-2.0
//! The documents of the kubelet's configuration, read and merged as the kubelet does it, with the file of each value.

use std::collections::BTreeSet;

use crate::error::{Error, ErrorKind, Place, Result};
use crate::kubernetes::kubelet_documents::{self, DocumentRole, MergedDocuments};
use crate::kubernetes::object::{self, Position};
use crate::kubernetes::yaml::{self, YamlNode, YamlValue};
use crate::node::{PathState, Root, RootedPath};
use crate::version::KubernetesMinor;

/// A document of the kubelet's configuration at the next start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubeletSource {
    /// What K3s writes itself.
    Own(String),
    /// The file that the kubelet's argument `config` names, in a K3s that hands the argument on.
    ConfigFile(RootedPath),
    /// A drop-in, or a file that becomes one.
    DropIn(RootedPath),
    /// The folder that the argument `config-dir` names, and that is not there.
    MissingFolder(RootedPath),
}

/// The documents of a node's kubelet, merged.
#[derive(Debug, Default)]
pub struct KubeletFiles {
    merged: MergedDocuments,
    /// The file of each document; none for what K3s writes.
    files: Vec<Option<RootedPath>>,
    /// The fields that a document takes out with null.
    pub(super) taken_out: BTreeSet<String>,
}

impl KubeletFiles {
    /// Reads documents in their order, as the kubelet of a minor does.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the place for a file that ends the kubelet, and any error of reading one.
    pub fn read(root: &Root, sources: &[KubeletSource], minor: KubernetesMinor) -> Result<Self> {
        let mut files = Self::default();
        for source in sources {
            match source {
                KubeletSource::Own(text) => {
                    if let Ok(Some(node)) = yaml::read(text.as_bytes()) {
                        files.add(node, None);
                    }
                }
                KubeletSource::ConfigFile(path) => {
                    files.add_file(root, path, DocumentRole::ConfigFile, minor)?;
                }
                KubeletSource::DropIn(path) => files.add_file(root, path, DocumentRole::DropIn, minor)?,
                // K3s or the kubelet does not start: `preflight` says so.
                KubeletSource::MissingFolder(_) => {}
            }
        }
        Ok(files)
    }

    fn add(&mut self, node: YamlNode, file: Option<&RootedPath>) {
        add_taken_out(&node, "", &mut self.taken_out);
        self.merged.add(node);
        self.files.push(file.cloned());
    }

    fn add_file(
        &mut self,
        root: &Root,
        path: &RootedPath,
        role: DocumentRole,
        minor: KubernetesMinor,
    ) -> Result<()> {
        let refused = |message: String, position: Option<Position>| {
            Error::new(ErrorKind::BadInput, message).at(Place { file: path.to_string(), position })
        };
        if matches!(root.look_directory(path), Ok(PathState::Directory { .. })) {
            return Err(refused(format!("{path} is a directory, not a configuration file"), None));
        }
        let bytes = root.read(path)?.ok_or_else(|| refused(format!("{path} does not exist"), None))?;
        let document = kubelet_documents::read(&bytes, role, minor)
            .map_err(|fault| refused(fault.message, Some(fault.position)))?;
        self.add(document.root, Some(path));
        Ok(())
    }

    /// Returns the merged configuration.
    #[must_use]
    pub fn root(&self) -> &YamlNode {
        self.merged.root()
    }

    /// Returns the place of a merged value; none for a value that is in no file.
    #[must_use]
    pub fn place(&self, position: Position) -> Option<Place> {
        let (document, position) = MergedDocuments::place(position);
        let file = self.files.get(document)?.as_ref()?;
        Some(Place { file: file.to_string(), position: Some(position) })
    }
}

/// Adds the paths of the fields that are null.
fn add_taken_out(node: &YamlNode, path: &str, found: &mut BTreeSet<String>) {
    let YamlValue::Map(pairs) = &node.value else { return };
    for (key, value) in pairs {
        let path = object::field_path(path, &key.go_text());
        if value.is_null() {
            found.insert(path);
        } else {
            add_taken_out(value, &path, found);
        }
    }
}
