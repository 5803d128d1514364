// SPDX-License-Identifier: Apache-2.0
//! registries.yaml, or the file that `private-registry` names: K3s waits for ever where it cannot read it.

use super::Finding;
use super::apiserver::{FileAt, in_file, look};
use crate::Role;
use crate::error::{Place, Result};
use crate::k3s::registries::{self, Registries};
use crate::k3s::{NodeConfig, flags};
use crate::node::{PathKind, RootedPath};

const KEY: &str = "private-registry";
const SAYS: &str = "Waiting to retrieve agent configuration; server is not ready: ";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(path) = path(node)? else { return Ok(Vec::new()) };
    let refused = |reason: String| {
        let message = format!("K3s cannot read {path}, and waits for ever: {reason}");
        let finding = Finding::stops("registries", message, "fix the file, or remove it");
        finding.says(format!("{SAYS}{reason}"))
    };
    let whole = Place { file: path.to_string(), position: None };
    let bytes = match node.root.kind(&path)? {
        PathKind::Absent => return Ok(Vec::new()),
        PathKind::BelowFile => return Ok(vec![refused(format!("open {path}: not a directory")).at(whole)]),
        PathKind::Loop => {
            let reason = format!("open {path}: too many levels of symbolic links");
            return Ok(vec![refused(reason).at(whole)]);
        }
        _ => match look(node, &path)? {
            FileAt::Nothing => return Ok(Vec::new()),
            FileAt::Directory => return Ok(vec![refused(format!("read {path}: is a directory")).at(whole)]),
            FileAt::File(bytes) => bytes,
        },
    };
    match registries::read(&bytes) {
        Ok(read) => effect(node, &path, &read),
        Err(faults) => {
            let finding = |fault: &crate::kubernetes::object::Fault| {
                refused(fault.message.clone()).at(in_file(&path, fault.position))
            };
            Ok(faults.iter().map(finding).collect())
        }
    }
}

/// Returns the file that K3s reads; none if it reads none. A server runs in its data directory.
fn path(node: &NodeConfig<'_>) -> Result<Option<RootedPath>> {
    let text = match node.value(KEY) {
        Some((text, _)) => text,
        None => flags::default_text(KEY, node.release).unwrap_or_default(),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let is_relative = !text.starts_with('/');
    if is_relative && node.role == Role::Agent {
        return node.path(&format!("/{text}")).map(Some);
    }
    node.path(text).map(Some)
}

/// Returns what has no effect in a file that K3s takes.
fn effect(node: &NodeConfig<'_>, path: &RootedPath, read: &Registries) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for key in &read.ignored {
        findings.push(
            Finding::warns(
                "registries-key",
                format!("K3s does not know {}, and ignores it", key.message),
                "write mirrors (endpoint, rewrite), configs (auth, tls) and their keys as K3s's documentation has them",
            )
            .at(in_file(path, key.position)),
        );
    }
    for (file, position) in &read.files {
        let named = node.path(file)?;
        if !node.root.exists(&named) {
            findings.push(
                Finding::warns(
                    "registries-file",
                    format!("{named} does not exist: containerd cannot pull from this registry"),
                    "write the file, or name another one",
                )
                .at(in_file(path, *position)),
            );
        }
    }
    Ok(findings)
}
