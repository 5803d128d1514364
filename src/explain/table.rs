// SPDX-License-Identifier: Apache-2.0
//! The table of reasons and pitfalls (data/explanations.yaml).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::embedded;
use crate::profile::{ArgumentRow, ArgumentTable, ValueOf};

/// A sentence with its source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pitfall {
    /// The sentence.
    pub text: String,
    /// The source.
    pub source: String,
}

/// A row of the table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplanationRow {
    /// The reason for the control.
    pub(super) why: String,
    /// The source of the reason.
    pub(super) source: String,
    /// The pitfalls on K3s.
    #[serde(default)]
    pub(super) pitfalls: Vec<Pitfall>,
    /// The mistakes of scanners about it.
    #[serde(default)]
    pub(super) scanners: Vec<MistakeRow>,
    /// The settings that affect it, beside those of the arguments that implement it.
    #[serde(default)]
    settings: Vec<String>,
    /// The files of k3s-harden that implement it, by their keys.
    #[serde(default)]
    files: Vec<String>,
    /// The control whose settings, arguments and files implement it too.
    like: Option<String>,
}

/// A mistake of a scanner.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MistakeRow {
    pub(super) text: String,
    /// How to satisfy the scanner without harm, or that it is impossible.
    pub(super) please: Option<String>,
    /// The argument of the kubelet that the scanner misreads if it is the last one.
    pub(super) last: Option<String>,
    pub(super) source: String,
}

/// Returns the whole table, by the names of the controls.
pub(super) fn rows() -> &'static BTreeMap<String, ExplanationRow> {
    static ROWS: LazyLock<BTreeMap<String, ExplanationRow>> =
        LazyLock::new(|| embedded::table("explanations"));
    &ROWS
}

/// Returns the names under which other tables list what implements a control: its own, and that of its `like`.
pub(super) fn names_in_tables(control: &str) -> Vec<&str> {
    let like = rows().get(control).and_then(|row| row.like.as_deref());
    std::iter::once(control).chain(like).collect()
}

/// Returns the settings that affect a control: those of the arguments that implement it, then those of its row.
#[must_use]
pub fn settings_of(control: &str) -> Vec<&'static str> {
    let names = names_in_tables(control);
    let serves = |controls: &[String]| controls.iter().any(|one| names.contains(&one.as_str()));
    let table = ArgumentTable::get();
    let keys = table.keys.iter().filter(|row| serves(&row.controls)).map(|row| row.setting.as_str());
    let arguments = table.arguments.iter().filter(|row| serves(&row.controls));
    let arguments = arguments.filter_map(|row| match &row.value {
        ValueOf::Setting(name) => Some(name.as_str()),
        ValueOf::Path(_) | ValueOf::Gate(_) | ValueOf::Plugins => None,
    });
    let plugins = table.plugins.iter().filter(|row| serves(&row.controls));
    let plugins = plugins.filter_map(|row| row.setting.as_deref());
    let own = names.iter().filter_map(|name| rows().get(*name)).flat_map(|row| &row.settings);
    let mut settings = Vec::new();
    for name in keys.chain(arguments).chain(plugins).chain(own.map(String::as_str)) {
        if !settings.contains(&name) {
            settings.push(name);
        }
    }
    settings
}

/// Returns the keys of the files of k3s-harden that implement a control.
#[must_use]
pub fn files_of(control: &str) -> Vec<&'static str> {
    let rows = names_in_tables(control).into_iter().filter_map(|name| rows().get(name));
    rows.flat_map(|row| row.files.iter().map(String::as_str)).collect()
}

/// Tells whether an argument implements a control, known by these names. One that names a file of ours does so where the file
/// does.
pub(super) fn is_served_by(row: &ArgumentRow, names: &[&str]) -> bool {
    let in_file = |document: &String| {
        names.iter().filter_map(|name| rows().get(*name)).any(|row| row.files.contains(document))
    };
    row.controls.iter().any(|one| names.contains(&one.as_str())) && row.document.as_ref().is_none_or(in_file)
}

/// Tells whether keys or arguments in the drop-in implement a control, also such that no setting decides.
#[must_use]
pub fn is_in_drop_in(control: &str) -> bool {
    let names = names_in_tables(control);
    let serves = |controls: &[String]| controls.iter().any(|one| names.contains(&one.as_str()));
    let table = ArgumentTable::get();
    table.keys.iter().any(|row| serves(&row.controls))
        || table.arguments.iter().any(|row| is_served_by(row, &names))
        || table.plugins.iter().any(|row| serves(&row.controls))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::document;
    use crate::kubernetes::component_flags;
    use crate::node::RootedPath;
    use crate::profile::declarations;
    use crate::verify::{benchmarks, controls};

    #[test]
    fn every_control_has_a_row_and_every_row_a_control() {
        let names: BTreeSet<String> = benchmarks()
            .iter()
            .flat_map(|benchmark| controls(benchmark).unwrap())
            .map(|control| control.name)
            .collect();
        assert!(names.iter().eq(rows().keys()), "{names:?}");
    }

    #[test]
    fn rows_name_only_what_exists() {
        let keys: Vec<&str> = document::paths(&RootedPath::fixed("/config"), &RootedPath::fixed("/data"))
            .iter()
            // What is the user's implements no control.
            .filter(|(_, path)| !document::is_users(path))
            .map(|(key, _)| *key)
            .collect();
        let mut used = BTreeSet::new();
        for (name, row) in rows() {
            for setting in &row.settings {
                assert!(declarations().contains_key(setting), "{name}: {setting}");
            }
            for key in &row.files {
                assert!(keys.contains(&key.as_str()) && key != "config", "{name}: {key}");
                used.insert(key.as_str());
            }
            if let Some(like) = &row.like {
                assert!(rows().get(like).is_some_and(|other| other.like.is_none()), "{name}: {like}");
            }
            for misread in row.scanners.iter().filter_map(|mistake| mistake.last.as_ref()) {
                assert!(component_flags::all()["kubelet"].contains_key(misread), "{name}: {misread}");
            }
            let unique: BTreeSet<&str> = settings_of(name).into_iter().collect();
            assert_eq!(unique.len(), settings_of(name).len(), "{name}");
        }
        let unused: Vec<&&str> = keys.iter().filter(|key| !used.contains(**key)).collect();
        assert_eq!(unused, [&"config"], "the drop-in is known by the arguments in it");
    }

    #[test]
    fn no_row_repeats_what_arguments_yaml_says() {
        let table = ArgumentTable::get();
        for (name, row) in rows() {
            for setting in &row.settings {
                let mut keys = table.keys.iter().filter(|key| key.setting == *setting);
                assert!(!keys.any(|key| key.controls.contains(name)), "{name}: {setting}");
                let value = ValueOf::Setting(setting.clone());
                let mut arguments = table.arguments.iter().filter(|argument| argument.value == value);
                assert!(!arguments.any(|argument| argument.controls.contains(name)), "{name}: {setting}");
                let mut plugins =
                    table.plugins.iter().filter(|plugin| plugin.setting.as_ref() == Some(setting));
                assert!(!plugins.any(|plugin| plugin.controls.contains(name)), "{name}: {setting}");
            }
        }
    }

    #[test]
    fn every_setting_affects_a_control_except_those_of_the_tool() {
        let shaping: BTreeSet<&str> = rows().keys().flat_map(|name| settings_of(name)).collect();
        let others: Vec<&String> =
            declarations().keys().filter(|name| !shaping.contains(name.as_str())).collect();
        assert_eq!(others, ["history_runs"]);
    }

    #[test]
    fn every_text_is_a_sentence_with_a_source() {
        let fine = |text: &str, source: &str| {
            assert!(text.ends_with('.') && !text.contains('\n'), "{text:?}");
            assert!(!source.is_empty() && !source.ends_with('.'), "{source:?}");
        };
        for row in rows().values() {
            fine(&row.why, &row.source);
            row.pitfalls.iter().for_each(|pitfall| fine(&pitfall.text, &pitfall.source));
            for mistake in &row.scanners {
                fine(&mistake.text, &mistake.source);
                mistake.please.iter().for_each(|please| fine(please, &mistake.source));
            }
        }
    }
}
