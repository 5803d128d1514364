// SPDX-License-Identifier: Apache-2.0
//! The installed K3s: its binary, and the version in its bytes.

use std::collections::BTreeMap;

use super::node_paths::NodePaths;
use crate::error::{Error, ErrorKind, Result};
use crate::node::{Root, RootedPath};
use crate::version::K3sVersion;

/// Longest version text in a binary, in bytes.
const MAX_VERSION_BYTES: usize = 64;
/// How much of a binary is searched at a time, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// Finds the installed binary.
#[must_use]
pub fn binary(root: &Root) -> Option<RootedPath> {
    NodePaths::get().binaries.iter().find(|path| root.exists(path)).cloned()
}

/// Finds the version in the bytes of the installed binary, which is never run; none if there is no binary.
///
/// # Errors
/// [`ErrorKind::BadInput`] if the binary holds no version, or several minors equally often.
pub fn version(root: &Root) -> Result<Option<(K3sVersion, RootedPath)>> {
    for path in &NodePaths::get().binaries {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        // A version at the end of a chunk is found with the next chunk; a version in the kept part was counted.
        let is_there = root.read_in_pieces(path, CHUNK_BYTES, MAX_VERSION_BYTES, |window, from, last| {
            for version in versions(window, from, last) {
                *counts.entry(version).or_default() += 1;
            }
        })?;
        if is_there {
            return most_frequent(&counts, root, path).map(|version| Some((version, path.clone())));
        }
    }
    Ok(None)
}

/// Tells whether a K3s binary is there, without reading it.
#[must_use]
pub fn is_installed(root: &Root) -> bool {
    NodePaths::get().binaries.iter().any(|path| root.exists(path))
}

/// Returns the versions whose `+k3s` ends after `from`; near the end only in the `last` chunk.
fn versions(window: &[u8], from: usize, last: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mark = b"+k3s";
    let half = MAX_VERSION_BYTES / 2;
    for at in 0..window.len().saturating_sub(mark.len()) {
        if window[at] != b'+' || !window[at..].starts_with(mark) {
            continue;
        }
        if (at + half < from) || (!last && at + half >= window.len()) {
            continue;
        }
        let number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let start = at - window[..at].iter().rev().take(half).take_while(|byte| number(byte)).count();
        let digits = window[at + mark.len()..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if start == 0 || window[start - 1] != b'v' || digits == 0 {
            continue;
        }
        let text = String::from_utf8_lossy(&window[start - 1..at + mark.len() + digits]).into_owned();
        if text.parse::<K3sVersion>().is_ok() {
            found.push(text);
        }
    }
    found
}

fn most_frequent(counts: &BTreeMap<String, usize>, root: &Root, path: &RootedPath) -> Result<K3sVersion> {
    let most = counts.values().max().copied().unwrap_or(0);
    let mut versions = counts
        .iter()
        .filter(|(_, count)| **count == most)
        .filter_map(|(text, _)| text.parse::<K3sVersion>().ok());
    let error = |what: &str| {
        Error::new(ErrorKind::BadInput, format!("{} {what}", root.display(path)))
            .hint("name the version: --k3s-version v1.33.4+k3s1, or just 1.33")
    };
    let version = versions.next().ok_or_else(|| error("does not say which version of K3s it is"))?;
    if versions.any(|other| other.minor() != version.minor()) {
        return Err(error("names several versions of K3s"));
    }
    Ok(version)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests build their roots by hand")]
mod tests {
    use super::*;

    fn with_binary(bytes: &[u8]) -> Result<Option<String>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("usr/local/bin")).unwrap();
        std::fs::write(dir.path().join("usr/local/bin/k3s"), bytes).unwrap();
        version(&Root::open(dir.path()).unwrap()).map(|found| found.map(|(version, _)| version.to_string()))
    }

    #[test]
    fn the_version_is_found_wherever_a_chunk_ends() {
        for offset in (CHUNK_BYTES - 80..CHUNK_BYTES + 80).step_by(1) {
            let mut bytes = vec![b'x'; offset];
            bytes.extend_from_slice(b"version.Version=v1.33.4+k3s1\0");
            bytes.extend(vec![0; 200]);
            assert_eq!(with_binary(&bytes).unwrap().as_deref(), Some("v1.33.4+k3s1"), "{offset}");
        }
    }

    #[test]
    fn the_most_frequent_one_counts_and_doubt_is_an_error() {
        assert_eq!(
            with_binary(b"v1.33.4+k3s1 v1.24.17+k3s1 v1.33.4+k3s1").unwrap().as_deref(),
            Some("v1.33.4+k3s1")
        );
        assert!(
            with_binary(b"v1.33.4+k3s1 v1.24.17+k3s1")
                .unwrap_err()
                .to_string()
                .ends_with("names several versions of K3s")
        );
        assert!(
            with_binary(b"1.33.4+k3s1 v1.33+k3s")
                .unwrap_err()
                .to_string()
                .ends_with("which version of K3s it is")
        );
    }
}
