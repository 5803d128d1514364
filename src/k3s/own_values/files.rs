// SPDX-License-Identifier: Apache-2.0
//! Checks of K3s's own values that name files.

use super::reader::{Answer, OwnReader};
use super::rules::{Ending, OwnRule};
use crate::error::Result;
use crate::k3s::node_paths::NodePaths;
use crate::node::{PathKind, PathState, RootedPath};

/// Where nobody makes files and folders: file systems of the kernel, and devices.
const PSEUDO: [&str; 3] = ["/proc", "/sys", "/dev/null"];

/// Returns the error with which Go opens and reads a file; none if it can.
pub(super) fn read_error(reader: &OwnReader<'_>, path: &RootedPath) -> Result<Option<String>> {
    Ok(match reader.node.root.kind(path)? {
        PathKind::File | PathKind::Other => None,
        PathKind::Directory => Some(format!("read {path}: is a directory")),
        PathKind::Absent => Some(format!("open {path}: no such file or directory")),
        PathKind::BelowFile => Some(format!("open {path}: not a directory")),
        PathKind::Loop => Some(format!("open {path}: too many levels of symbolic links")),
    })
}

/// A file for which K3s waits.
pub(super) fn file_appears(reader: &OwnReader<'_>, rule: &OwnRule) -> Result<Answer> {
    let Some(text) = reader.given(rule.key()) else { return Ok(Answer::Fine) };
    let path = reader.early_path(text)?;
    if reader.node.root.kind(&path)? == PathKind::Absent {
        return Ok(Answer::because(text, format!("Waiting for file {text:?} to be created")));
    }
    let detail = read_error(reader, &path)?;
    Ok(detail.map_or(Answer::Fine, |detail| Answer::Wrong {
        value: text.to_owned(),
        detail,
        ends: Some(Ending::Exits),
    }))
}

/// A file that the agent on a server reads, from its data directory.
pub(super) fn agent_file(reader: &OwnReader<'_>, rule: &OwnRule) -> Result<Answer> {
    let Some(text) = reader.given(rule.key()) else { return Ok(Answer::Fine) };
    let detail = read_error(reader, &reader.node.path(text)?)?;
    Ok(detail.map_or(Answer::Fine, |detail| Answer::because(text, detail)))
}

/// A file that is made, with the folders above it.
pub(super) fn log_file(reader: &OwnReader<'_>, rule: &OwnRule) -> Result<Answer> {
    let Some(text) = reader.given(rule.key()) else { return Ok(Answer::Fine) };
    let path = reader.early_path(text)?;
    let is_pseudo = PSEUDO.iter().any(|folder| path.as_str().starts_with(&format!("{folder}/")));
    let kind = reader.node.root.kind(&path)?;
    let refused = matches!(kind, PathKind::Directory | PathKind::BelowFile | PathKind::Loop);
    let cannot_be_made = is_pseudo && kind == PathKind::Absent;
    Ok(Answer::unless(text, !(refused || cannot_be_made)))
}

/// The kubeconfig of the administrator, which is made with the folders above it. K3s takes a link away from its usual
/// place, and makes a new one there.
pub(super) fn kubeconfig_file(reader: &OwnReader<'_>, rule: &OwnRule) -> Result<Answer> {
    let text = match reader.given(rule.key()) {
        Some(text) => text,
        None if reader.is_on("rootless") => return Ok(Answer::Fine),
        None => NodePaths::get().kubeconfig.as_str(),
    };
    let path = reader.node.path(text)?;
    let kind = reader.node.root.kind(&path)?;
    let is_pseudo = PSEUDO.iter().any(|folder| path.as_str().starts_with(&format!("{folder}/")));
    let reason = match kind {
        PathKind::Directory => "is a directory",
        PathKind::BelowFile => "not a directory",
        PathKind::Loop => "too many levels of symbolic links",
        PathKind::Absent if is_pseudo => "no such file or directory",
        PathKind::Absent | PathKind::File | PathKind::Other => return Ok(Answer::Fine),
    };
    let is_usual = path == NodePaths::get().kubeconfig;
    if is_usual && matches!(reader.node.root.look(&path)?, PathState::Symlink { .. }) {
        return Ok(Answer::Fine);
    }
    Ok(Answer::because(text, format!("open {path}: {reason}")))
}

/// The snapshot from which a cluster is restored.
pub(super) fn restore_path(reader: &OwnReader<'_>, rule: &OwnRule) -> Result<Answer> {
    let Some(text) = reader.given(rule.key()) else { return Ok(Answer::Fine) };
    let kind = reader.node.root.kind(&reader.node.path(text)?)?;
    Ok(Answer::unless(text, matches!(kind, PathKind::File | PathKind::Directory | PathKind::Other)))
}

/// The provider with which K3s makes an encryption configuration, if it has made none before.
pub(super) fn encryption_provider(reader: &OwnReader<'_>, rule: &OwnRule) -> Result<Answer> {
    let made = reader.node.data_dir.join(&NodePaths::get().encryption_config);
    let bytes = match reader.node.root.kind(&made)? {
        PathKind::File => reader.node.root.read(&made)?,
        _ => None,
    };
    Ok(match reader.text(rule.key()) {
        Some(text) if bytes.is_none_or(|bytes| bytes.is_empty()) => {
            Answer::unless(text, rule.values.iter().any(|known| known == text))
        }
        _ => Answer::Fine,
    })
}
