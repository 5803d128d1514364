// SPDX-License-Identifier: Apache-2.0
//! Which of our files somebody has edited since a run wrote them.

use std::collections::BTreeSet;

use super::history::History;
use super::run_entry::RunEntry;
use super::saved_state::SavedState;
use crate::error::Result;
use crate::node::{PathState, Root, RootedPath, sha256};

/// Returns those of `paths` whose bytes are not what the newest run that tells of them left there. A path that no run tells of
/// is not among them: nobody knows what it was.
///
/// # Errors
/// If the caller may not read the history or a file.
pub fn edited_since(root: &Root, paths: &[RootedPath]) -> Result<BTreeSet<RootedPath>> {
    let mut edited = BTreeSet::new();
    if paths.is_empty() {
        return Ok(edited);
    }
    let history = History::read(root)?;
    for path in paths {
        let of_path = |entry: &&RunEntry| entry.path == path.to_string();
        let newest = history.runs().iter().rev().find_map(|run| Some((run, run.steps().find(of_path)?)));
        let Some((run, RunEntry { after, .. })) = newest else { continue };
        let PathState::File { bytes, .. } = root.look_without_attributes(path)? else { continue };
        let left = match after {
            SavedState::File { .. } => after.digest().map(str::to_owned).map_or_else(
                || Ok(after.read(root, run.id)?.map(|bytes| sha256(&bytes))),
                |digest| Ok(Some(digest)),
            )?,
            _ => None,
        };
        if left.is_none_or(|left| left != sha256(&bytes)) {
            edited.insert(path.clone());
        }
    }
    Ok(edited)
}
