// SPDX-License-Identifier: Apache-2.0
//! Lists what sets the values that implement a control: a file of the node, K3s itself, or a file that `apply` writes.

use serde::Serialize;

use super::explained_node::ExplainedNode;
use super::table;
use crate::document::{self, DropIn, TakenOver, UsersLines};
use crate::error::Place;
use crate::k3s::{NodePaths, components};
use crate::kubernetes::gate_flag;
use crate::node::RootedPath;
use crate::profile::{ArgumentTable, ValueOf, declarations};
use crate::verify::control::Control;
use crate::verify::rule::{ControlRule, FieldRule, FileRule, FlagRule, GateRule};
use crate::version::KubernetesMinor;

/// A value that implements a control, and what sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetBy {
    /// The name: an argument with its component, a key of K3s, or a file.
    pub what: String,
    /// The value, if it is known.
    pub value: Option<String>,
    /// What sets it.
    pub by: SetterKind,
    /// The file that sets it; none if K3s sets it by default.
    pub place: Option<Place>,
}

/// What sets a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SetterKind {
    /// A file of this node.
    Node,
    /// K3s, or the component by its default.
    K3s,
    /// `apply` writes it with this profile.
    Apply,
    /// `apply` writes it if a setting enables it.
    Setting,
}

/// Returns what sets the values that implement a control.
pub(super) fn set_by(control: &Control, here: &ExplainedNode<'_>) -> Vec<SetBy> {
    let mut found = Vec::new();
    if !control.roles.contains(&here.facts.node.role) {
        return found;
    }
    let search = SettingSearch { here, ours: &here.rendered.drop_in.configuration };
    for flag in flags(control, here.facts.node.minor()) {
        found.extend(search.flag(&flag));
    }
    for key in keys(&control.name) {
        found.extend(search.key(key));
    }
    found.extend(search.own_files(&control.name));
    found.extend(search.files_of_k3s(&control.rule));
    found.dedup();
    name_users_lines(&mut found, here);
    found
}

/// Puts the user's line in the place of the drop-in's where the drop-in only carries its value over, as `verify` does.
fn name_users_lines(found: &mut [SetBy], here: &ExplainedNode<'_>) {
    let node = &here.facts.node;
    let is_on_the_node = |one: &&mut SetBy| matches!(one.by, SetterKind::Node);
    let places = found.iter().filter_map(|one| one.place.as_ref());
    let taken = TakenOver::read_for(node.root, &node.config.path_or_default(), places).unwrap_or_default();
    for one in found.iter_mut().filter(is_on_the_node) {
        let value = one.place.as_ref().and_then(|place| taken.at(place));
        if let Some(UsersLines::Whole(own)) = value.map(|value| &value.users) {
            one.place = Some(own.clone());
        }
    }
}

/// An argument of a component, and the field of the kubelet's configuration with the same meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SetFlag {
    component: String,
    name: String,
    field: Option<String>,
}

/// Returns the arguments that the rule of a control reads, and those by which k3s-harden implements it, each once.
fn flags(control: &Control, minor: KubernetesMinor) -> Vec<SetFlag> {
    let mut flags: Vec<SetFlag> = Vec::new();
    walk(&control.rule, &mut |rule| {
        if let ControlRule::Flag(FlagRule { component, name, field, .. }) = rule {
            flags.push(SetFlag { component: component.clone(), name: name.clone(), field: field.clone() });
        }
        if let ControlRule::Gate(GateRule { component, field, .. }) = rule {
            let name = gate_flag::FLAG.to_owned();
            flags.push(SetFlag { component: component.clone(), name, field: field.clone() });
        }
    });
    let names = table::names_in_tables(&control.name);
    let serves = |controls: &[String]| controls.iter().any(|one| names.contains(&one.as_str()));
    let table_of_arguments = ArgumentTable::get();
    // The list leaves out a plugin whose setting has no effect on the minor.
    let has_effect =
        |name: &String| declarations().get(name).is_none_or(|row| row.kubernetes.contains(minor));
    let mut plugins =
        table_of_arguments.plugins.iter().filter(|row| row.setting.as_ref().is_none_or(has_effect));
    let plugins = plugins.any(|row| serves(&row.controls));
    for row in &table_of_arguments.arguments {
        if table::is_served_by(row, &names) || row.value == ValueOf::Plugins && plugins {
            flags.push(SetFlag { component: row.component.clone(), name: row.name.clone(), field: None });
        }
    }
    let mut once: Vec<SetFlag> = Vec::new();
    for flag in flags {
        if !once.iter().any(|known| (&known.component, &known.name) == (&flag.component, &flag.name)) {
            once.push(flag);
        }
    }
    once
}

/// Returns the keys of K3s that implement a control. A key that passes an argument to a component is not among them.
fn keys(control: &str) -> impl Iterator<Item = &'static str> {
    let settings = table::settings_of(control);
    let rows = ArgumentTable::get().keys.iter();
    rows.filter(move |row| settings.contains(&row.setting.as_str())).map(|row| row.key.as_str())
}

/// Visits a rule and its parts.
fn walk(rule: &ControlRule, visit: &mut dyn FnMut(&ControlRule)) {
    visit(rule);
    match rule {
        ControlRule::All(rules) | ControlRule::Any(rules) => rules.iter().for_each(|rule| walk(rule, visit)),
        ControlRule::WithEtcd(rule) | ControlRule::WithAnyEtcd(rule) => walk(rule, visit),
        _ => {}
    }
}

/// The search for what sets a value.
struct SettingSearch<'a> {
    here: &'a ExplainedNode<'a>,
    /// The drop-in that `apply` writes.
    ours: &'a DropIn,
}

impl SettingSearch<'_> {
    fn flag(&self, flag: &SetFlag) -> Vec<SetBy> {
        let facts = self.here.facts;
        let SetFlag { component, name, field } = flag;
        if components::of_key(&format!("{component}-arg"), facts.node.role).is_none() {
            return Vec::new();
        }
        let what = format!("{component} {name}");
        let set = |value, by, place| SetBy { what: what.clone(), value, by, place };
        let given: Vec<String> = facts
            .forecast(component)
            .into_iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value)
            .collect();
        let value = (!given.is_empty()).then(|| given.join(","));
        let config = facts.kubelet.as_ref().ok().filter(|_| component == "kubelet");
        let configured = field.as_ref().zip(config).and_then(|(field, config)| config.get(field));
        let now = match (facts.place_of(component, name), value, configured) {
            (Some(place), value, _) => Some(set(value, SetterKind::Node, Some(place))),
            (None, Some(value), _) => Some(set(Some(value), SetterKind::K3s, None)),
            (None, None, Some(field)) => {
                let by = if field.place.is_some() { SetterKind::Node } else { SetterKind::K3s };
                Some(set(Some(field.items.join(",")), by, field.place.clone()))
            }
            (None, None, None) => None,
        };
        let ours = self.ours.components.iter().filter(|ours| ours.name == *component);
        let ours = ours.flat_map(|ours| &ours.arguments).find(|ours| ours.name == *name);
        let next = match (ours, &now) {
            (Some(ours), Some(now)) if now.value.as_ref() == Some(&ours.value) => None,
            (Some(ours), _) => Some(set(Some(ours.value.clone()), SetterKind::Apply, Some(facts.drop_in()))),
            (None, Some(_)) => None,
            (None, None) => {
                let mut rows = ArgumentTable::get().arguments.iter();
                let row = rows.find(|row| row.component == *component && row.name == *name);
                row.map(|_| set(None, SetterKind::Setting, Some(facts.drop_in())))
            }
        };
        now.into_iter().chain(next).collect()
    }

    fn key(&self, key: &str) -> Vec<SetBy> {
        let set = |value: Option<String>, by, place| SetBy { what: format!("K3s {key}"), value, by, place };
        let node = &self.here.facts.node;
        let now =
            node.value(key).map(|(value, place)| set(Some(value.to_owned()), SetterKind::Node, Some(place)));
        let ours = self.ours.keys.iter().find(|ours| ours.name == key);
        let ours = ours.map(|ours| ours.value.as_str().map_or_else(|| ours.value.to_string(), str::to_owned));
        let next = match (ours, &now) {
            (Some(ours), Some(now)) if now.value.as_ref() == Some(&ours) => None,
            (Some(ours), _) => Some(set(Some(ours), SetterKind::Apply, Some(self.here.facts.drop_in()))),
            (None, Some(_)) => None,
            (None, None) => {
                let mut rows = ArgumentTable::get().keys.iter();
                let known = rows.any(|row| row.key == key && row.roles.contains(&node.role));
                known.then(|| set(None, SetterKind::Setting, Some(self.here.facts.drop_in())))
            }
        };
        now.into_iter().chain(next).collect()
    }

    /// Returns the files of k3s-harden that implement a control, beside the drop-in.
    fn own_files(&self, control: &str) -> Vec<SetBy> {
        let keys = table::files_of(control);
        if keys.is_empty() {
            return Vec::new();
        }
        let ExplainedNode { facts, profile, target, rendered, .. } = self.here;
        let ids = profile.ids(&table::names_in_tables(control));
        let serving = rendered.documents.iter().filter(|document| {
            keys.contains(&document.key) && document.controls.iter().any(|id| ids.contains(id))
        });
        let found: Vec<SetBy> = serving
            .map(|document| {
                let by =
                    if facts.node.root.exists(&document.path) { SetterKind::Node } else { SetterKind::Apply };
                file(&document.path, by)
            })
            .collect();
        if !found.is_empty() {
            return found;
        }
        let minor = facts.node.minor();
        let has_policies = declarations()["admission_policies"].kubernetes.contains(minor);
        let paths = document::paths(&target.config, &target.data_dir).into_iter();
        paths
            .filter(|(key, _)| keys.contains(key) && (has_policies || !document::is_admission_file(key)))
            .map(|(_, path)| file(&path, SetterKind::Setting))
            .collect()
    }

    /// Returns the files whose modes and owners a rule reads, and which K3s creates.
    fn files_of_k3s(&self, rule: &ControlRule) -> Vec<SetBy> {
        let mut found = Vec::new();
        let below = |path: &str| match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("{}/{path}", self.here.target.data_dir),
        };
        walk(rule, &mut |rule| match rule {
            ControlRule::File(FileRule { path, mode, owner, .. }) => {
                let what = match (mode, owner) {
                    (Some(_), Some(_)) => "mode and owner",
                    (Some(_), None) => "mode",
                    (None, _) => "owner",
                };
                let place = Some(Place { file: below(path), position: None });
                found.push(SetBy { what: what.to_owned(), value: None, by: SetterKind::K3s, place });
            }
            ControlRule::Etcd(FieldRule { field, .. }) => {
                let place = Some(Place { file: below(&NodePaths::get().etcd_config), position: None });
                found.push(SetBy { what: format!("etcd {field}"), value: None, by: SetterKind::K3s, place });
            }
            _ => {}
        });
        found
    }
}

fn file(path: &RootedPath, by: SetterKind) -> SetBy {
    let place = Some(Place { file: path.to_string(), position: None });
    SetBy { what: "file".to_owned(), value: None, by, place }
}
