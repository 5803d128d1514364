// SPDX-License-Identifier: Apache-2.0
//! The drop-in before it is merged: K3s's own keys, and the arguments of its components, each once.

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde_json::Value;

use super::existing::ExistingConfig;
use super::kubelet_files::KUBELET;
use super::present::{PresentEntry, PresentFiles};
use crate::Role;
use crate::k3s::RunningComponents;
use crate::k3s::arguments::name_and_value;
use crate::kubernetes::{admission_plugins, feature_gates, gate_flag};
use crate::node::RootedPath;
use crate::profile::{
    Accepts, ArgumentRow, ArgumentTable, ControlId, ControlSelection, PluginRow, Profile, ValueOf,
};

/// The K3s configuration of a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DropIn {
    /// K3s's own keys.
    pub keys: Vec<DropInKey>,
    /// The components that get arguments.
    pub components: Vec<DropInComponent>,
}

/// One of K3s's own keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DropInKey {
    /// The key.
    pub name: String,
    /// A boolean, or text.
    pub value: Value,
    /// The benchmark's numbers of the controls that it implements, for a comment.
    pub controls: String,
    /// The same as numbers.
    #[serde(skip)]
    pub ids: Vec<ControlId>,
    /// Whether it stands in the drop-in on the node and the run is not about its controls: it stays as it is.
    #[serde(skip)]
    pub kept: bool,
}

/// A component with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DropInComponent {
    /// Its name, such as kube-apiserver.
    pub name: String,
    /// Its arguments; no name is there twice.
    pub arguments: Vec<DropInArgument>,
    /// Whether they are added to what other files give it, or take its whole list over.
    pub append: bool,
}

/// One argument of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DropInArgument {
    /// The argument without dashes.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The benchmark's numbers of the controls that it implements, for a comment.
    pub controls: String,
    /// The user's file that the value, or a part of it, was taken from.
    pub from: Option<String>,
    /// Which other values satisfy its controls.
    #[serde(skip)]
    pub accepts: Accepts,
    /// The arguments that its component does not take beside it.
    #[serde(skip)]
    pub excludes: &'static [String],
    /// The same as numbers.
    #[serde(skip)]
    pub ids: Vec<ControlId>,
    /// Whether it stands in the drop-in on the node and the run is not about its controls: it stays as it is.
    #[serde(skip)]
    pub kept: bool,
}

impl DropInArgument {
    /// Returns the argument that one of K3s's own keys stands for.
    pub(super) fn of_key(key: &DropInKey) -> Self {
        Self {
            name: key.name.clone(),
            value: key.value.to_string(),
            controls: key.controls.clone(),
            from: None,
            accepts: Accepts::Same,
            excludes: &[],
            ids: key.ids.clone(),
            kept: false,
        }
    }
}

/// What the drop-in depends on besides the profile.
#[derive(Debug, Clone, Copy)]
pub struct DropInContext<'a> {
    /// The role: an agent exits on keys of a server.
    pub role: Role,
    /// What runs on the node: nobody reads the arguments of the rest.
    pub running: &'a RunningComponents,
    /// K3s's data directory.
    pub data_dir: &'a RootedPath,
    /// The documents written with it, by key, with the controls that each implements: arguments name their paths.
    pub documents: &'a [(&'a str, Vec<ControlId>)],
    /// Whether PodSecurityPolicy objects are written: without them the plugin lets no pod start.
    pub pod_security_policies: bool,
    /// The parts of k3s-harden's files that the node has already.
    pub present: &'a PresentFiles,
}

impl DropInContext<'_> {
    fn document(&self, key: &str) -> Option<&Vec<ControlId>> {
        self.documents.iter().find(|(known, _)| *known == key).map(|(_, ids)| ids)
    }
}

impl DropIn {
    /// Returns the K3s configuration of `profile`.
    #[must_use]
    pub fn new(profile: &Profile, table: &'static ArgumentTable, context: DropInContext<'_>) -> Self {
        let mut keys = Vec::new();
        for row in table.keys.iter().filter(|row| row.roles.contains(&context.role)) {
            let ids = profile.ids(&row.controls);
            let wanted = profile.selection.wants(&row.controls);
            let is_read = row.component.as_ref().is_none_or(|component| context.running.has(component))
                && row.needs.as_ref().is_none_or(|setting| profile.is_on(setting));
            let there = context.present.keys().get(&row.key).filter(|_| !wanted);
            let value = there.map_or_else(|| profile.value(&row.setting), |entry| &entry.value);
            if there.is_some() || wanted && is_read && !matches!(value, Value::Null | Value::Bool(false)) {
                let controls = there.and_then(PresentEntry::controls).unwrap_or_else(|| join(&ids));
                let kept = there.is_some();
                keys.push(DropInKey { name: row.key.clone(), value: value.clone(), controls, ids, kept });
            }
        }
        let mut components: Vec<DropInComponent> = Vec::new();
        for row in &table.arguments {
            // An agent exits on the keys of the control plane.
            if context.role == Role::Agent && row.component != "kubelet"
                || !context.running.has(&row.component)
            {
                continue;
            }
            let Some(argument) = argument(row, profile, table, context) else { continue };
            match components.iter_mut().find(|component| component.name == row.component) {
                Some(component) => component.arguments.push(argument),
                None => {
                    let name = row.component.clone();
                    components.push(DropInComponent { name, arguments: vec![argument], append: true });
                }
            }
        }
        let mut found = Self { keys, components };
        found.keep_arguments_of_keys(context.present);
        found
    }

    /// Takes over the kubelet's arguments that stand beside keys which stay (see `drop_in_merge`).
    fn keep_arguments_of_keys(&mut self, present: &PresentFiles) {
        let kept = self.keys.iter().filter(|key| key.kept && present.argument(KUBELET, &key.name).is_some());
        let kept: Vec<DropInArgument> =
            kept.map(|key| DropInArgument { kept: true, ..DropInArgument::of_key(key) }).collect();
        if !kept.is_empty() {
            self.kubelet().arguments.splice(0..0, kept);
        }
    }

    /// Returns the kubelet, which need not have arguments yet.
    pub(super) fn kubelet(&mut self) -> &mut DropInComponent {
        let at = self.components.iter().position(|component| component.name == KUBELET);
        let at = at.unwrap_or_else(|| {
            self.components.push(DropInComponent {
                name: KUBELET.to_owned(),
                arguments: Vec::new(),
                append: true,
            });
            self.components.len() - 1
        });
        &mut self.components[at]
    }

    /// Adds the feature gates of the table that files of the user's turn off, where they are on by default: without them the
    /// API server does not start. `ids` are the controls of what needs them.
    pub(super) fn set_gates_that_are_off(
        &mut self,
        profile: &Profile,
        existing: &ExistingConfig,
        ids: &[ControlId],
    ) {
        let given = existing.before_ours(&format!("{API_SERVER}-arg"));
        let lists: Vec<String> = given
            .iter()
            .map(|item| name_and_value(&item.text))
            .filter(|(name, _)| name == gate_flag::FLAG)
            .map(|(_, list)| list)
            .collect();
        let entries = lists.iter().flat_map(|list| list.split(','));
        let entries = entries.filter_map(feature_gates::parts);
        let entries: Vec<(&str, &str)> = entries.map(|(_, gate, value)| (gate, value)).collect();
        for row in &ArgumentTable::get().arguments {
            let ValueOf::Gate(name) = &row.value else { continue };
            let is_on = |given: &[(&str, &str)]| feature_gates::is_on(name, profile.minor, given);
            if (is_on(&[]), is_on(&entries)) != (Some(true), Some(false)) {
                continue;
            }
            if let Some(component) = self.components.iter_mut().find(|one| one.name == row.component) {
                component.arguments.push(DropInArgument {
                    name: row.name.clone(),
                    value: format!("{name}=true"),
                    controls: join(ids),
                    from: None,
                    accepts: row.accepts,
                    ids: ids.to_vec(),
                    excludes: &[],
                    kept: false,
                });
            }
        }
    }

    /// Returns the feature gate that it turns on, if it does.
    pub(super) fn gate_of_ours(&self) -> Option<&'static str> {
        let mut arguments = self.components.iter().flat_map(|component| &component.arguments);
        let value = &arguments.find(|argument| argument.accepts == Accepts::Gates)?.value;
        ArgumentTable::get().arguments.iter().find_map(|row| match &row.value {
            ValueOf::Gate(name) if value.starts_with(name.as_str()) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Tells whether there is anything to configure.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.components.is_empty()
    }

    /// Returns the numbers of all controls that it implements, sorted, each once.
    #[must_use]
    pub fn ids(&self) -> Vec<ControlId> {
        let keys = self.keys.iter().flat_map(|key| &key.ids);
        let arguments = self.components.iter().flat_map(|component| &component.arguments);
        let mut ids: Vec<ControlId> =
            keys.chain(arguments.flat_map(|argument| &argument.ids)).cloned().collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

/// Tells whether a run is about a key, an argument or a plugin of the drop-in, or leaves out a plugin that the minor does
/// not have.
pub(super) fn is_changed_by(profile: &Profile, present: &PresentFiles) -> bool {
    let ArgumentTable { keys, arguments, plugins, .. } = ArgumentTable::get();
    let wants = |controls: &Vec<String>| profile.selection.wants(controls);
    let arguments = arguments.iter().filter(|row| row.value != ValueOf::Plugins);
    let words = present.argument(API_SERVER, ENABLE_ADMISSION_PLUGINS).map_or("", PresentEntry::text);
    keys.iter().any(|row| wants(&row.controls))
        || arguments.flat_map(|row| &row.controls).any(|control| profile.selection.wants(&[control]))
        || plugins.iter().any(|row| wants(&row.controls))
        || admission_plugins::removed(profile.minor)
            .any(|removed| words.split(',').any(|word| word == removed))
}

/// Tells whether a selection is about everything that the drop-in on the node holds.
pub(super) fn is_covered(
    selection: &ControlSelection,
    table: &ArgumentTable,
    present: &PresentFiles,
) -> bool {
    let key = |name: &String| {
        table.keys.iter().find(|row| row.key == *name).is_some_and(|row| selection.wants(&row.controls))
    };
    let plugin = |word: &str| {
        table.plugins.iter().find(|row| row.plugin == word).is_some_and(|row| selection.wants(&row.controls))
    };
    let argument = |(component, name): &(String, String), entry: &PresentEntry| {
        let row = table.arguments.iter().find(|row| (&row.component, &row.name) == (component, name));
        row.map_or_else(
            || component == KUBELET && key(name),
            |row| match row.value {
                ValueOf::Plugins => entry.text().split(',').all(plugin),
                _ => row.controls.iter().all(|control| selection.wants(&[control])),
            },
        )
    };
    present.keys().keys().all(key) && present.arguments().iter().all(|(name, entry)| argument(name, entry))
}

/// Returns the value of an argument as K3s takes it; none if it is not to be written.
pub(super) fn text_of(value: &ValueOf, profile: &Profile, data_dir: &RootedPath) -> Option<String> {
    match value {
        ValueOf::Path(path) => Some(data_dir.join(path).to_string()),
        ValueOf::Setting(name) => match profile.value(name) {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Array(_) => Some(profile.texts(name).join(",")),
            other => Some(other.to_string()),
        },
        ValueOf::Gate(name) => {
            (feature_gates::is_on(name, profile.minor, &[]) == Some(false)).then(|| format!("{name}=true"))
        }
        ValueOf::Plugins => None,
    }
}

/// Returns an argument as it is to be written, or as it stands in the drop-in on the node if the run is not about it.
fn argument(
    row: &'static ArgumentRow,
    profile: &Profile,
    table: &ArgumentTable,
    context: DropInContext<'_>,
) -> Option<DropInArgument> {
    let wants = |control: &String| profile.selection.wants(&[control]);
    // A copy of what the user's file has, for no control, comes from there again.
    let there = context.present.argument(&row.component, &row.name).filter(|entry| !entry.is_copy());
    let (value, ids, there) = match (&row.document, &row.value) {
        (Some(document), value) => match context.document(document) {
            // A file's own controls, because it need not serve all that it can.
            Some(ids) if row.controls.iter().any(wants) => {
                (text_of(value, profile, context.data_dir)?, ids.clone(), None)
            }
            // A file of ours that is not written is removed. Any other stays: one that was left to its author, or one in
            // another data directory.
            None if row.controls.iter().all(wants) => return None,
            None if row.controls.iter().any(wants) && context.present.has_document(document) => return None,
            _ => (there?.text().to_owned(), profile.ids(&row.controls), there),
        },
        (None, ValueOf::Plugins) => plugins(profile, table, context)?,
        (None, _) if !profile.selection.wants(&row.controls) => {
            (there?.text().to_owned(), profile.ids(&row.controls), there)
        }
        (None, value) => (text_of(value, profile, context.data_dir)?, profile.ids(&row.controls), None),
    };
    Some(DropInArgument {
        name: row.name.clone(),
        value,
        controls: there.and_then(PresentEntry::controls).unwrap_or_else(|| join(&ids)),
        from: there.and_then(|entry| entry.comment.as_ref()?.from.clone()),
        accepts: row.accepts,
        excludes: &row.excludes,
        ids,
        kept: there.is_some(),
    })
}

/// Joins the admission plugins that are on; also returns the controls that they implement, and the entry on the node if
/// the run is about none of them.
fn plugins<'a>(
    profile: &Profile,
    table: &ArgumentTable,
    context: DropInContext<'a>,
) -> Option<(String, Vec<ControlId>, Option<&'a PresentEntry>)> {
    let entry = context.present.argument(API_SERVER, ENABLE_ADMISSION_PLUGINS);
    let there: Vec<&str> = entry.map_or_else(Vec::new, |entry| entry.text().split(',').collect());
    // With one that the minor does not have the API server does not start.
    let is_removed =
        |plugin: &str| admission_plugins::removed(profile.minor).any(|removed| removed == plugin);
    let wants = |row: &&PluginRow| profile.selection.wants(&row.controls);
    let is_on = |row: &PluginRow| {
        row.setting.as_ref().is_none_or(|setting| profile.is_on(setting))
            // Without the objects it lets no pod start, without the limits the API server does not.
            && (row.plugin != "PodSecurityPolicy" || context.pod_security_policies)
            && (row.plugin != "EventRateLimit" || context.document("psa").is_some())
    };
    let wanted = |row: &PluginRow| match wants(&row) {
        true => is_on(row),
        false => there.contains(&row.plugin.as_str()) && !is_removed(&row.plugin),
    };
    let controls: Vec<&String> =
        table.plugins.iter().filter(|row| wanted(row)).flat_map(|row| &row.controls).collect();
    let entry = entry.filter(|_| !table.plugins.iter().any(|row| wants(&row)));
    let text = match entry {
        Some(entry) if !there.iter().any(|plugin| is_removed(plugin)) => entry.text().to_owned(),
        _ => {
            let on = table.plugins.iter().filter(|row| row.default || wanted(row));
            on.map(|row| row.plugin.as_str()).collect::<Vec<_>>().join(",")
        }
    };
    (entry.is_some() || !controls.is_empty()).then(|| (text, profile.ids(&controls), entry))
}

const API_SERVER: &str = "kube-apiserver";
const ENABLE_ADMISSION_PLUGINS: &str = "enable-admission-plugins";

/// Joins numbers for a reader: three and more that follow one another become a range.
#[must_use]
pub fn join(ids: &[ControlId]) -> String {
    let mut text = String::new();
    let mut add = |words: fmt::Arguments<'_>| {
        let separator = if text.is_empty() { "" } else { ", " };
        let _infallible = write!(text, "{separator}{words}");
    };
    for run in ids.chunk_by(ControlId::precedes) {
        match run {
            [first, _, .., last] => add(format_args!("{first} to {last}")),
            short => short.iter().for_each(|id| add(format_args!("{id}"))),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_become_ranges() {
        let ids: Vec<ControlId> = ["1.2.9", "1.2.16", "1.2.17", "1.2.18", "3.2.1", "3.2.2", "4.2.3"]
            .iter()
            .map(|id| id.parse().unwrap())
            .collect();
        assert_eq!(join(&ids), "1.2.9, 1.2.16 to 1.2.18, 3.2.1, 3.2.2, 4.2.3");
    }
}
