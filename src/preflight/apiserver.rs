// SPDX-License-Identifier: Apache-2.0
//! The API server's final flags: the user's arguments merged with K3s's own.

use std::collections::BTreeSet;

use super::Finding;
use crate::Role;
use crate::error::{Place, Result};
use crate::k3s::{NodeConfig, arguments};
use crate::kubernetes::apiserver_flags::ApiServerFlags;
use crate::kubernetes::authorization_config::ALWAYS_ALLOW;
use crate::kubernetes::component_flags;
use crate::kubernetes::object::{Fault, MAX_FAULTS, Position};
use crate::kubernetes::settings::ComponentSettings;
use crate::node::{PathState, RootedPath};

pub(super) const NAME: &str = "kube-apiserver";

/// The content of a path.
pub(super) enum FileAt {
    Nothing,
    Directory,
    File(Vec<u8>),
}

/// Why a path holds no file: in words, and as Go reports it.
pub(super) struct NoFile {
    pub(super) what: &'static str,
    pub(super) error: String,
}

impl FileAt {
    /// Returns the bytes of the file at `path`.
    pub(super) fn into_bytes(self, path: &RootedPath) -> std::result::Result<Vec<u8>, NoFile> {
        match self {
            Self::File(bytes) => Ok(bytes),
            Self::Directory => {
                Err(NoFile { what: "is a directory", error: format!("read {path}: is a directory") })
            }
            Self::Nothing => Err(NoFile {
                what: "does not exist",
                error: format!("open {path}: no such file or directory"),
            }),
        }
    }
}

/// A file that an argument names, with its bytes; the finding if it is no file.
pub(super) type FileOfFlag = std::result::Result<(RootedPath, Vec<u8>), Box<Finding>>;

/// The API server of a node.
pub(super) struct ApiServer<'a> {
    pub(super) node: &'a NodeConfig<'a>,
    pub(super) flags: ApiServerFlags,
}

impl<'a> ApiServer<'a> {
    /// Returns the API server of a node; none on an agent, and none if the configuration cannot be read.
    pub(super) fn configured(node: &'a NodeConfig<'a>) -> Option<Self> {
        let flags = node.effective.as_ref().ok()?.components.get(NAME)?;
        let flags = || flags.iter().map(|flag| arguments::name_and_value(flag)).collect();
        (node.role == Role::Server).then(|| Self { node, flags: ApiServerFlags::new(flags()) })
    }

    /// Returns an API server with the given flags (names without dashes, and values) in place of the configured ones.
    pub(super) fn with(node: &'a NodeConfig<'a>, flags: Vec<(String, String)>) -> Self {
        Self { node, flags: ApiServerFlags::new(flags) }
    }

    /// Returns the settings that the flags make, with the defaults of the minor.
    pub(super) fn settings(&self) -> ComponentSettings {
        let flags = self.flags.iter();
        component_flags::settings(NAME, self.node.minor(), flags)
    }

    /// Returns where the user sets a flag.
    pub(super) fn place(&self, name: &str) -> Option<Place> {
        let arguments = self.node.arguments(NAME);
        let found = arguments.into_iter().rev().find(|argument| argument.name.replace('_', "-") == name);
        found.map(|argument| argument.place)
    }

    /// Adds the place of a flag to a finding.
    pub(super) fn at(&self, name: &str, finding: Finding) -> Finding {
        match self.place(name) {
            Some(place) => finding.at(place),
            None => finding,
        }
    }

    /// Returns the finding for a flag whose feature gate is off.
    pub(super) fn without_gate(&self, flag: &str, gate: &str) -> Finding {
        let finding = Finding::stops(
            "argument-gated",
            format!("{flag} needs the feature gate {gate}, which is off in {}", self.node.minor()),
            format!("write feature-gates={gate}=true, or remove {flag}"),
        );
        self.at(flag, finding)
    }

    /// Returns the admission plugins that are on.
    pub(super) fn plugins(&self) -> BTreeSet<String> {
        self.flags.plugins(self.node.minor())
    }

    /// Reads the file that the user's own argument names. None without the argument, and where the minor does not have
    /// it or nothing is there, which the checks of arguments report. The inner error is the finding if it is no file.
    ///
    /// # Errors
    /// A path that cannot be read.
    pub(super) fn file_of(&self, flag: &str) -> Result<Option<FileOfFlag>> {
        let (Some(text), Some(place)) = (self.flags.value(flag), self.place(flag)) else { return Ok(None) };
        if component_flags::unknown(NAME, self.node.minor(), flag).is_some() {
            return Ok(None);
        }
        let path = self.node.path(text)?;
        match self.look(&path)? {
            FileAt::Nothing => Ok(None),
            FileAt::File(bytes) => Ok(Some(Ok((path, bytes)))),
            FileAt::Directory => {
                let message = format!("{path}, which {NAME}'s {flag} names, is a directory");
                let finding = Finding::stops("argument-file-directory", message, "name a file");
                Ok(Some(Err(Box::new(finding.at(place).says(format!("read {path}: is a directory"))))))
            }
        }
    }

    /// Tells whether a feature gate is on.
    pub(super) fn has_gate(&self, gate: &str) -> bool {
        self.settings().gate(gate, self.node.minor()) == Some(true)
    }

    /// Tells whether the API server switches anonymous requests off by itself, which it does where it allows everything
    /// (`ApplyAuthorization` in pkg/kubeapiserver/options/authentication.go of Kubernetes). A file has the last word.
    pub(super) fn switches_anonymous_off(&self) -> bool {
        let modes = self.flags.value("authorization-mode").unwrap_or_default();
        modes.split(',').any(|mode| mode == ALWAYS_ALLOW)
    }

    /// Reads a path that a flag names.
    pub(super) fn look(&self, path: &RootedPath) -> Result<FileAt> {
        look(self.node, path)
    }
}

/// Reads a path.
///
/// # Errors
/// A path that cannot be read.
pub(super) fn look(node: &NodeConfig<'_>, path: &RootedPath) -> Result<FileAt> {
    if matches!(node.root.look_directory(path), Ok(PathState::Directory { .. })) {
        return Ok(FileAt::Directory);
    }
    Ok(node.root.read(path)?.map_or(FileAt::Nothing, FileAt::File))
}

/// Returns a place in a file of the node.
pub(super) fn in_file(path: &RootedPath, position: (usize, usize)) -> Place {
    Place { file: path.to_string(), position: Some(position) }
}

/// Returns the finding for what the API server refuses in a file.
pub(super) fn refused(
    code: &'static str,
    path: &RootedPath,
    fault: &Fault,
    says: &str,
    remedy: &str,
) -> Finding {
    Finding::stops(code, fault.message.clone(), remedy)
        .at(in_file(path, fault.position))
        .says(format!("{says}{}", fault.message))
}

/// Returns the finding for a field that the API server drops silently.
pub(super) fn dropped_field(code: &'static str, path: &RootedPath, fault: &Fault) -> Finding {
    Finding::hardens_nothing(
        code,
        format!("{}: the API server silently ignores it", fault.message),
        "spell the field exactly as Kubernetes does, and set it once",
    )
    .at(in_file(path, fault.position))
}

/// Returns the findings for expressions of CEL that only its compiler can judge.
pub(super) fn unknown_expressions(
    code: &'static str,
    path: &RootedPath,
    positions: &[Position],
) -> Vec<Finding> {
    let finding = |position: &Position| {
        let message = "not checked: whether this expression compiles. If not, the API server stops";
        Finding::unknown(code, message, "try it on a test cluster of the same minor")
            .at(in_file(path, *position))
    };
    positions.iter().take(MAX_FAULTS).map(finding).collect()
}

/// Returns the finding for a second document, which the API server does not read.
pub(super) fn second_document(
    code: &'static str,
    path: &RootedPath,
    position: Position,
    remedy: &str,
) -> Finding {
    Finding::hardens_nothing(code, "a second document is ignored", remedy).at(in_file(path, position))
}
