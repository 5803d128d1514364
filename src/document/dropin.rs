//! What reaches K3s' configuration: its own keys, and the components' arguments, each once.

use serde::Serialize;
use serde_json::Value;

use crate::Role;
use crate::node::RootedPath;
use crate::profile::{ArgumentTable, ControlId, Profile, ValueOf};

/// The K3s configuration of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Configuration {
    /// K3s' own keys.
    pub keys: Vec<Key>,
    /// The components that get arguments.
    pub components: Vec<Component>,
}

/// One of K3s' own keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Key {
    /// The key.
    pub name: String,
    /// A boolean, or text.
    pub value: Value,
    /// The benchmark's numbers of the controls that it serves, for a comment.
    pub controls: String,
    /// The same as numbers.
    #[serde(skip)]
    pub ids: Vec<ControlId>,
}

/// A component with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Component {
    /// Its name, such as kube-apiserver.
    pub name: String,
    /// Its arguments; no name is there twice.
    pub arguments: Vec<Argument>,
}

/// One argument of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Argument {
    /// The argument without dashes.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The benchmark's numbers of the controls that it serves, for a comment.
    pub controls: String,
    /// The same as numbers.
    #[serde(skip)]
    pub ids: Vec<ControlId>,
}

/// What else of the node the configuration refers to.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The role.
    pub role: Role,
    /// K3s' data directory.
    pub data_dir: &'a RootedPath,
    /// The documents that are written too, by key.
    pub documents: &'a [&'a str],
    /// Whether PodSecurityPolicy objects are written: the plugin without them lets no pod start.
    pub pod_security_policies: bool,
}

impl Configuration {
    /// Returns what `profile` asks of K3s.
    #[must_use]
    pub fn new(profile: &Profile, table: &ArgumentTable, around: Around<'_>) -> Self {
        let mut keys = Vec::new();
        for row in table.keys.iter().filter(|row| row.roles.contains(&around.role)) {
            let value = profile.value(&row.setting);
            if !matches!(value, Value::Null | Value::Bool(false)) && profile.selection.wants(&row.controls) {
                let ids = profile.ids(&row.controls);
                keys.push(Key { name: row.key.clone(), value: value.clone(), controls: join(&ids), ids });
            }
        }
        let mut components: Vec<Component> = Vec::new();
        for row in &table.arguments {
            // An agent exits on the keys of the control plane.
            if around.role == Role::Agent && row.component != "kubelet" {
                continue;
            }
            let wanted = match &row.document {
                Some(document) => around.documents.contains(&document.as_str()),
                None => profile.selection.wants(&row.controls) || row.value == ValueOf::Plugins,
            };
            let found = wanted.then(|| value_of(&row.value, profile, table, around)).flatten();
            let Some((value, more)) = found else { continue };
            let mut ids = profile.ids(&row.controls);
            ids.extend(more);
            ids.sort();
            let argument = Argument { name: row.name.clone(), value, controls: join(&ids), ids };
            match components.iter_mut().find(|component| component.name == row.component) {
                Some(component) => component.arguments.push(argument),
                None => components.push(Component { name: row.component.clone(), arguments: vec![argument] }),
            }
        }
        Self { keys, components }
    }

    /// Tells whether there is anything to configure.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.components.is_empty()
    }

    /// Returns the numbers of all controls that it serves, sorted, each once.
    #[must_use]
    pub fn ids(&self) -> Vec<ControlId> {
        let keys = self.keys.iter().flat_map(|key| &key.ids);
        let arguments = self.components.iter().flat_map(|component| &component.arguments);
        let mut ids: Vec<ControlId> = keys.chain(arguments.flat_map(|argument| &argument.ids)).cloned().collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

/// Returns the value as K3s takes it, with controls that only the value tells.
fn value_of(
    value: &ValueOf,
    profile: &Profile,
    table: &ArgumentTable,
    around: Around<'_>,
) -> Option<(String, Vec<ControlId>)> {
    match value {
        ValueOf::Setting(name) => match profile.value(name) {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Array(_) => Some(profile.texts(name).join(",")),
            other => Some(other.to_string()),
        }
        .map(|text| (text, Vec::new())),
        ValueOf::Path(path) => Some((around.data_dir.join(path).to_string(), Vec::new())),
        ValueOf::Plugins => {
            let on = table.plugins.iter().filter(|row| {
                row.setting.as_ref().is_none_or(|setting| profile.is_on(setting))
                    && profile.selection.wants(&row.controls)
                    && (row.plugin != "PodSecurityPolicy" || around.pod_security_policies)
                    && (row.plugin != "EventRateLimit" || around.documents.contains(&"psa"))
            });
            let on: Vec<_> = on.collect();
            let names: Vec<&str> = on.iter().map(|row| row.plugin.as_str()).collect();
            let controls: Vec<&String> = on.iter().flat_map(|row| &row.controls).collect();
            (!names.is_empty()).then(|| (names.join(","), profile.ids(&controls)))
        }
    }
}

/// Joins numbers for a comment.
#[must_use]
pub fn join(ids: &[ControlId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
