//! The drop-in before it is merged: K3s's own keys, and the arguments of its components, each once.

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde_json::Value;

use super::present::PresentFiles;
use crate::Role;
use crate::k3s::RunningComponents;
use crate::node::RootedPath;
use crate::profile::{Accepts, ArgumentTable, ControlId, PluginRow, Profile, ValueOf};

/// The K3s configuration of a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DropIn {
    /// K3s' own keys.
    pub keys: Vec<DropInKey>,
    /// The components that get arguments.
    pub components: Vec<DropInComponent>,
}

/// One of K3s' own keys.
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
    /// The same as numbers.
    #[serde(skip)]
    pub ids: Vec<ControlId>,
}

/// What the drop-in depends on besides the profile.
#[derive(Debug, Clone, Copy)]
pub struct DropInContext<'a> {
    /// The role: an agent exits on keys of a server.
    pub role: Role,
    /// What runs on the node: nobody reads the arguments of the rest.
    pub running: &'a RunningComponents,
    /// K3s' data directory.
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
    pub fn new(profile: &Profile, table: &ArgumentTable, context: DropInContext<'_>) -> Self {
        let mut keys = Vec::new();
        for row in table.keys.iter().filter(|row| row.roles.contains(&context.role)) {
            let value = profile.value(&row.setting);
            let wanted = profile.selection.wants(&row.controls) || context.present.has_key(&row.key);
            let is_read = row.component.as_ref().is_none_or(|component| context.running.has(component));
            if !matches!(value, Value::Null | Value::Bool(false)) && wanted && is_read {
                let ids = profile.ids(&row.controls);
                keys.push(DropInKey {
                    name: row.key.clone(),
                    value: value.clone(),
                    controls: join(&ids),
                    ids,
                });
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
            let found = match (&row.document, &row.value) {
                // A file's own controls, because it need not serve all that it can.
                (Some(document), value) => context.document(document).and_then(|ids| {
                    text_of(value, profile, context.data_dir).map(|text| (text, ids.clone()))
                }),
                (None, ValueOf::Plugins) => plugins(profile, table, context),
                (None, value) => {
                    let there = context.present.has_argument(&row.component, &row.name);
                    let wanted = profile.selection.wants(&row.controls) || there;
                    let text = wanted.then(|| text_of(value, profile, context.data_dir)).flatten();
                    text.map(|text| (text, profile.ids(&row.controls)))
                }
            };
            let Some((value, ids)) = found else { continue };
            let (name, controls) = (row.name.clone(), join(&ids));
            let argument = DropInArgument { name, value, controls, from: None, accepts: row.accepts, ids };
            match components.iter_mut().find(|component| component.name == row.component) {
                Some(component) => component.arguments.push(argument),
                None => {
                    let name = row.component.clone();
                    components.push(DropInComponent { name, arguments: vec![argument], append: true });
                }
            }
        }
        Self { keys, components }
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

/// Returns the value of an argument as K3s takes it; none if it is not to be written.
fn text_of(value: &ValueOf, profile: &Profile, data_dir: &RootedPath) -> Option<String> {
    match value {
        ValueOf::Path(path) => Some(data_dir.join(path).to_string()),
        ValueOf::Setting(name) => match profile.value(name) {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Array(_) => Some(profile.texts(name).join(",")),
            other => Some(other.to_string()),
        },
        ValueOf::Plugins => None,
    }
}

/// Joins the admission plugins that are on; also returns the controls that they implement.
fn plugins(
    profile: &Profile,
    table: &ArgumentTable,
    context: DropInContext<'_>,
) -> Option<(String, Vec<ControlId>)> {
    let wanted = |row: &PluginRow| {
        row.setting.as_ref().is_none_or(|setting| profile.is_on(setting))
            && (profile.selection.wants(&row.controls) || context.present.has_plugin(&row.plugin))
            // Without the objects it lets no pod start, without the limits the API server does not.
            && (row.plugin != "PodSecurityPolicy" || context.pod_security_policies)
            && (row.plugin != "EventRateLimit" || context.document("psa").is_some())
    };
    let controls: Vec<&String> =
        table.plugins.iter().filter(|row| wanted(row)).flat_map(|row| &row.controls).collect();
    let on = table.plugins.iter().filter(|row| row.default || wanted(row));
    let names: Vec<&str> = on.map(|row| row.plugin.as_str()).collect();
    (!controls.is_empty()).then(|| (names.join(","), profile.ids(&controls)))
}

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
