//! K3s' key `disable`: which packaged component, file or folder each of its words switches off or deletes
//! (data/packaged-components.yaml).
//!
//! Source: `shouldDisableFile` in pkg/deploy/controller.go and pkg/cli/server/server.go of K3s. It splits each item at
//! commas, trims the parts, and compares them with the name of a file without its ending, and with the folders that hold
//! it.

use std::sync::LazyLock;

use serde::Deserialize;

use super::NodeConfig;
use super::config_values::{disabling, disabling_words};
use super::manifests;
use super::node_paths::NodePaths;
use crate::embedded;
use crate::error::{Place, Result};
use crate::nearest::nearest;
use crate::version::KubernetesMinor;

/// A row of data/packaged-components.yaml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackagedRow {
    word: String,
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
}

/// A word of `disable` that names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UselessWord {
    /// The word.
    pub word: String,
    /// The packaged component that is probably meant.
    pub meant: Option<&'static str>,
    /// Where it is written.
    pub place: Place,
}

fn rows() -> &'static [PackagedRow] {
    static ROWS: LazyLock<Vec<PackagedRow>> = LazyLock::new(|| embedded::table("packaged-components"));
    &ROWS
}

/// Returns where `disable` names a manifest, by its name without its ending, or a folder that holds it: K3s then deletes
/// it, be it the user's. `path` is relative to `manifests`.
#[must_use]
pub fn deletion(node: &NodeConfig<'_>, path: &str) -> Option<Place> {
    let values = &node.effective.as_ref().ok()?.values;
    names(path).iter().find_map(|name| disabling(values, name))
}

/// Returns the words by which `disable` names a manifest: its name without its ending, and each folder that holds it.
fn names(path: &str) -> Vec<&str> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let folders = folder.match_indices('/').map(|(at, _)| &folder[..at]).chain([folder]);
    [stem].into_iter().chain(folders.filter(|folder| !folder.is_empty())).collect()
}

/// Returns the words of `disable` that name no packaged component of the minor, and no file or folder in `manifests`.
///
/// # Errors
/// A folder that cannot be read.
pub fn useless_words(node: &NodeConfig<'_>) -> Result<Vec<UselessWord>> {
    let Ok(effective) = &node.effective else { return Ok(Vec::new()) };
    let known = rows().iter().filter(|row| node.minor().is_within(row.from, row.until));
    let known: Vec<&str> = known.map(|row| row.word.as_str()).collect();
    let unknown: Vec<(&str, Place)> = disabling_words(&effective.values)
        .filter(|(word, _)| !word.is_empty() && !known.contains(word))
        .collect();
    if unknown.is_empty() {
        return Ok(Vec::new());
    }
    let manifests = node.data_dir.join(&NodePaths::get().manifests);
    let mut there = Vec::new();
    manifests::list(node, &manifests, 0, &mut there)?;
    let base = format!("{manifests}/");
    let is_there = |word: &str| {
        let mut paths = there.iter().filter_map(|path| path.as_str().strip_prefix(&base));
        paths.any(|path| names(path).contains(&word))
    };
    let useless = unknown.into_iter().filter(|(word, _)| !is_there(word));
    Ok(useless
        .map(|(word, place)| UselessWord { meant: meant(word, &known), word: word.to_owned(), place })
        .collect())
}

/// Returns the known word that a word is meant to be, whatever its case and its ending.
fn meant(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    let stem = lower.strip_suffix(".yaml").or_else(|| lower.strip_suffix(".yml")).unwrap_or(&lower);
    nearest(stem, known).and_then(|name| known.iter().find(|known| **known == name).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_named_by_its_name_and_its_folders() {
        assert_eq!(names("policy.yaml"), ["policy"]);
        assert_eq!(names("a/b/my.policy.yaml"), ["my.policy", "a", "a/b"]);
        assert_eq!(names("noending"), ["noending"]);
    }

    #[test]
    fn a_slip_is_recognized() {
        let meant = |word| meant(word, &["coredns", "servicelb", "traefik"]);
        assert_eq!(meant("treafik"), Some("traefik"));
        assert_eq!(meant("Traefik.yaml"), Some("traefik"));
        assert_eq!(meant("service-lb"), Some("servicelb"));
        assert_eq!(meant("longhorn"), None);
    }
}
