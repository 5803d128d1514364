// SPDX-License-Identifier: Apache-2.0
//! The files of a node, as git keeps them and to compare them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::{Case, STATE};
use crate::support::{Node, walk};

/// Copies a tree that git has kept, and gives it its modes, its symlinks and its empty directories.
pub(super) fn lay(files: &Path, modes: &Path) -> Node {
    let node = if files.exists() { Node::new().copy(files) } else { Node::new() };
    let text = fs::read_to_string(modes).unwrap_or_default();
    let mut exact = Vec::new();
    for line in text.lines() {
        let (mode, path) = line.split_once(' ').unwrap();
        match path.split_once(" -> ") {
            Some((path, target)) => symlink(target, node.path().join(path)).unwrap(),
            None => {
                let path = node.path().join(path);
                if !path.exists() {
                    fs::create_dir_all(&path).unwrap();
                }
                exact.push((path, u32::from_str_radix(mode, 8).unwrap()));
            }
        }
    }
    for (path, mode) in exact.into_iter().rev() {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    node
}

/// Everything below a root but the state directory: by path the mode, and the content or target.
pub(super) type Tree = BTreeMap<PathBuf, (String, Vec<u8>)>;

pub(super) fn tree(node: &Node) -> Tree {
    let content = |path: &Path| {
        let target = fs::read_link(path).map(|target| target.into_os_string().into_encoded_bytes());
        target.or_else(|_| fs::read(path)).unwrap_or_default()
    };
    let found = walk(node.path()).into_iter().filter(|(path, _)| !path.starts_with(STATE));
    found.map(|(path, mode)| (path.clone(), (mode, content(&node.path().join(path))))).collect()
}

#[track_caller]
pub(super) fn assert_same(case: &Case, found: &Tree, wanted: &Tree) {
    for path in wanted.keys().chain(found.keys()) {
        let text = |tree: &Tree| {
            let there = tree.get(path);
            there.map(|(mode, bytes)| format!("{mode}\n{}", String::from_utf8_lossy(bytes)))
        };
        assert_eq!(text(found), text(wanted), "{case:?}: {}", path.display());
    }
    assert_eq!(found, wanted, "{case:?}");
}

/// The same whichever version and profile wrote it: who completes what another has begun writes what is left.
pub(super) fn without_header(tree: Tree) -> Tree {
    let plain = |line: &str| match line.starts_with("# Written by k3s-harden ") {
        true => "# Written by k3s-harden\n".to_owned(),
        false => line.to_owned(),
    };
    let text = |bytes: Vec<u8>| match String::from_utf8(bytes) {
        Ok(text) => text.split_inclusive('\n').map(plain).collect::<String>().into_bytes(),
        Err(other) => other.into_bytes(),
    };
    tree.into_iter().map(|(path, (mode, bytes))| (path, (mode, text(bytes)))).collect()
}

/// The paths at which two trees differ.
pub(super) fn differences(one: &Tree, other: &Tree) -> BTreeSet<PathBuf> {
    one.keys().chain(other.keys()).filter(|path| one.get(*path) != other.get(*path)).cloned().collect()
}
