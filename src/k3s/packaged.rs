// SPDX-License-Identifier: Apache-2.0
//! K3s's key `disable`: which packaged component, file or folder each of its words switches off or deletes
//! (data/packaged-components.yaml).
//!
//! Source: pkg/cli/server/server.go of K3s, which splits each item at commas and trims the parts. What the deploy controller
//! makes of them stands in [`manifest_files`].

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::NodeConfig;
use super::config_values::{disabling, disabling_words};
use super::manifest_files::{self, ManifestFiles};
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
    file: Option<String>,
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

/// Why K3s does not run a packaged component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchedOff {
    /// The reason, in words.
    pub reason: String,
    /// Where it is set.
    pub place: Place,
}

/// The packaged components with pods that NetworkPolicies are about, and the manifest that each stands or falls with; none for
/// the load balancer, which has no manifest.
const WITH_PODS: [(&str, Option<&str>); 4] = [
    ("coredns", Some("coredns.yaml")),
    ("metrics-server", Some("metrics-server/metrics-server-deployment.yaml")),
    ("servicelb", None),
    ("traefik", Some("traefik.yaml")),
];

/// Returns the packaged components with pods that K3s does not run: a word of `disable` names the manifest or its folder, or a
/// `.skip` does.
#[must_use]
pub fn switched_off(node: &NodeConfig<'_>) -> BTreeMap<&'static str, SwitchedOff> {
    // What cannot be read skips nothing.
    let files = ManifestFiles::walk(node).unwrap_or_default();
    let why = |component: &str, manifest: Option<&str>| {
        let Some(manifest) = manifest else {
            let word = disabling(&node.effective.as_ref().ok()?.values, component)?;
            return Some(SwitchedOff { reason: format!("disable has {component}"), place: word });
        };
        if let Some(deletion) = manifest_files::deletion(node, manifest).filter(|one| !one.word.is_empty()) {
            return Some(SwitchedOff {
                reason: format!("disable has {}", deletion.word),
                place: deletion.place,
            });
        }
        let skip = manifest.split('/').find_map(|name| files.skip_of(name))?;
        let place = Place { file: skip.to_string(), position: None };
        Some(SwitchedOff { reason: format!("K3s does not apply its {component}"), place })
    };
    WITH_PODS
        .into_iter()
        .filter_map(|(component, manifest)| Some((component, why(component, manifest)?)))
        .collect()
}

fn rows() -> &'static [PackagedRow] {
    static ROWS: LazyLock<Vec<PackagedRow>> = LazyLock::new(|| embedded::table("packaged-components"));
    &ROWS
}

/// Returns the manifests that K3s writes itself, as paths below `manifests`: those that no word of `disable` takes away.
pub(super) fn own_manifests<'n>(node: &'n NodeConfig<'_>) -> impl Iterator<Item = &'static str> + 'n {
    let rows = rows().iter().filter(|row| node.minor().is_within(row.from, row.until));
    let files = rows.filter_map(|row| row.file.as_deref());
    files.filter(|file| manifest_files::deletion(node, file).is_none())
}

/// Returns where `disable` has an empty word, with which K3s deletes every manifest: a comma too many, or an empty value.
#[must_use]
pub fn empty_word(node: &NodeConfig<'_>) -> Option<Place> {
    disabling(&node.effective.as_ref().ok()?.values, "")
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
    let there = ManifestFiles::walk(node)?.files;
    let base = format!("{manifests}/");
    let is_there = |word: &str| {
        let mut paths = there.iter().filter_map(|path| path.as_str().strip_prefix(&base));
        paths.any(|path| manifest_files::names(path).contains(&word))
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
    fn a_slip_is_recognized() {
        let meant = |word| meant(word, &["coredns", "servicelb", "traefik"]);
        assert_eq!(meant("treafik"), Some("traefik"));
        assert_eq!(meant("Traefik.yaml"), Some("traefik"));
        assert_eq!(meant("service-lb"), Some("servicelb"));
        assert_eq!(meant("longhorn"), None);
    }
}
