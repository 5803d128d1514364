// SPDX-License-Identifier: Apache-2.0
//! When a K3s that runs takes what a file of ours holds (data/effects.yaml), and which settings a change of it is about.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::admission_files;
use super::present::PresentFiles;
use crate::embedded;
use crate::profile::{ArgumentTable, Profile, ValueOf, declarations};
use crate::version::KubernetesMinor;

/// The document that is K3s's configuration.
const CONFIGURATION: &str = "config";

/// When something takes effect on a node where K3s has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectTime {
    /// At once: the run itself sets it, or K3s looks at the file again within seconds.
    Live,
    /// When K3s starts again.
    Restart,
    /// When the machine boots again.
    Boot,
    /// Not by configuration alone any more: steps have to be done by hand.
    TooLate,
}

/// A row of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentEffect {
    document: String,
    /// When what it holds takes effect.
    pub when: EffectTime,
    settings: Vec<String>,
}

/// Returns the row of a document; none for what is no document of ours.
#[must_use]
pub fn effect_of(document: &str) -> Option<&'static DocumentEffect> {
    static TABLE: LazyLock<Vec<DocumentEffect>> = LazyLock::new(|| embedded::table("effects"));
    TABLE.iter().find(|row| row.document == document)
}

impl DocumentEffect {
    /// Tells whether a minor has any of the settings that are written into the document.
    pub(super) fn is_possible(&self, minor: KubernetesMinor) -> bool {
        let known = declarations();
        let has = |name: &String| known.get(name).is_some_and(|setting| setting.kubernetes.contains(minor));
        self.settings.is_empty() || self.settings.iter().any(has)
    }

    /// Returns the settings that a change of the document's bytes is about, as far as they tell. `earlier` is the profile that was
    /// in force before; without it, or if it differs in nothing, all that are on count.
    #[must_use]
    pub fn settings(
        &self,
        profile: &Profile,
        earlier: Option<&Profile>,
        (before, after): (&[u8], &[u8]),
    ) -> BTreeSet<String> {
        if self.document == CONFIGURATION {
            return changed_entries(before, after);
        }
        let has_value = |name: &&String| match profile.values.get(*name).map(|resolved| &resolved.value) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Array(items)) => !items.is_empty(),
            Some(_) => true,
        };
        let differs = |name: &&String| {
            let value = |profile: &Profile| profile.values.get(*name).map(|resolved| resolved.value.clone());
            earlier.is_some_and(|earlier| value(earlier) != value(profile))
        };
        let changed: BTreeSet<String> = self.settings.iter().filter(differs).cloned().collect();
        if changed.is_empty() { self.settings.iter().filter(has_value).cloned().collect() } else { changed }
    }
}

/// Returns what a minor has of the files on a node: neither documents, keys and arguments of which no setting can be written on it,
/// nor what names them.
#[must_use]
pub fn present_on_minor(present: PresentFiles, minor: KubernetesMinor) -> PresentFiles {
    let (table, known) = (ArgumentTable::get(), declarations());
    let has_setting =
        |name: &String| known.get(name).is_none_or(|setting| setting.kubernetes.contains(minor));
    let has_document = |name: &str| {
        // The one that stands for all files of server/admission.d is possible with them.
        let name = if name == admission_files::ANY { admission_files::ACCESS } else { name };
        effect_of(name).is_none_or(|row| row.is_possible(minor))
    };
    present.only(
        has_document,
        |key| table.keys.iter().find(|row| row.key == key).is_none_or(|row| has_setting(&row.setting)),
        |component, name| {
            let row = table.arguments.iter().find(|row| row.component == component && row.name == name);
            row.is_none_or(|row| match (&row.document, &row.value) {
                (Some(document), _) => has_document(document),
                (None, ValueOf::Setting(setting)) => has_setting(setting),
                (None, _) => true,
            })
        },
    )
}

/// Returns the settings behind the entries of the drop-in that differ, and the names of arguments that no setting is behind.
fn changed_entries(before: &[u8], after: &[u8]) -> BTreeSet<String> {
    let read = |bytes: &[u8]| PresentFiles::new([(CONFIGURATION, bytes.to_vec())]);
    let (before, after) = (read(before), read(after));
    let table = ArgumentTable::get();
    let mut settings = BTreeSet::new();
    for name in before.keys().keys().chain(after.keys().keys()) {
        let value = |files: &PresentFiles| files.keys().get(name).map(|entry| entry.value.clone());
        if value(&before) != value(&after) {
            let row = table.keys.iter().find(|row| row.key == *name);
            settings.insert(row.map_or_else(|| name.clone(), |row| row.setting.clone()));
        }
    }
    for (component, name) in before.arguments().keys().chain(after.arguments().keys()) {
        let value = |files: &PresentFiles| {
            files.argument(component, name).map(|entry| entry.text().to_owned()).unwrap_or_default()
        };
        let (old, new) = (value(&before), value(&after));
        let is_there = |files: &PresentFiles| files.argument(component, name).is_some();
        if old == new && is_there(&before) == is_there(&after) {
            continue;
        }
        let row = table.arguments.iter().find(|row| (&row.component, &row.name) == (component, name));
        match row.map(|row| &row.value) {
            Some(ValueOf::Setting(setting)) => {
                settings.insert(setting.clone());
            }
            Some(ValueOf::Plugins) => settings.extend(changed_plugins(&old, &new)),
            _ => {
                settings.insert(name.clone());
            }
        }
    }
    settings
}

/// Returns the settings of the admission plugins that only one of two lists has; the argument itself if none of them has one.
fn changed_plugins(old: &str, new: &str) -> Vec<String> {
    let words = |text: &str| text.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
    let (old, new) = (words(old), words(new));
    let rows = &ArgumentTable::get().plugins;
    let changed = old.symmetric_difference(&new).filter(|word| !word.is_empty());
    let setting = |word: &String| rows.iter().find(|row| row.plugin == *word)?.setting.clone();
    let found: Vec<String> = changed.filter_map(setting).collect();
    if found.is_empty() { vec!["enable-admission-plugins".to_owned()] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_has_a_row_and_every_row_settings_that_exist() {
        for row in super::super::file_table::ROWS {
            assert!(effect_of(row.key).is_some(), "{}", row.key);
        }
        let rows: Vec<DocumentEffect> = embedded::table("effects");
        let known = declarations();
        let named: BTreeSet<&String> = rows.iter().flat_map(|row| &row.settings).collect();
        assert!(named.iter().all(|name| known.contains_key(*name)));
        // Those of K3s's configuration have their rows in the table of arguments; one is k3s-harden's own.
        let table = ArgumentTable::get();
        let of_arguments = table.arguments.iter().filter_map(|row| match &row.value {
            ValueOf::Setting(setting) => Some(setting),
            _ => None,
        });
        let of_keys = table.keys.iter().map(|row| &row.setting);
        let of_plugins = table.plugins.iter().filter_map(|row| row.setting.as_ref());
        let written: BTreeSet<&String> = of_arguments.chain(of_keys).chain(of_plugins).collect();
        let is_placed = |name: &&String| named.contains(*name) || written.contains(*name);
        let lost: Vec<&String> = known.keys().filter(|name| !is_placed(name)).collect();
        assert_eq!(lost, ["history_runs"]);
    }

    #[test]
    fn a_changed_entry_is_the_setting_behind_it() {
        let head = "# x\n# Written by k3s-harden 0.1.0 from profile cis-1.12.\n";
        let text = |maxage: &str, plugins: &str| {
            format!(
                "{head}kube-apiserver-arg+:\n  - \"enable-admission-plugins={plugins}\"\n  - \"audit-log-maxage={maxage}\"\n"
            )
        };
        let found = |before: &str, after: &str| {
            changed_entries(before.as_bytes(), after.as_bytes()).into_iter().collect::<Vec<_>>()
        };
        let base = text("30", "NodeRestriction");
        assert!(found(&base, &base).is_empty());
        assert_eq!(found(&base, &text("90", "NodeRestriction")), ["audit_log_maxage"]);
        assert_eq!(found(&base, &text("30", "NodeRestriction,EventRateLimit")), ["event_rate_limit"]);
        let keyed = format!("{base}secrets-encryption: true\n");
        assert_eq!(found(&base, &keyed), ["secrets_encryption"]);
        let path = format!("{head}kube-apiserver-arg+:\n  - \"audit-log-path=/x\"\n");
        assert_eq!(found(head, &path), ["audit-log-path"]);
    }
}
