// SPDX-License-Identifier: Apache-2.0
//! How the value of each argument of a component, and of each field of its files, is judged: by rules, by its type, by
//! another check, or not at all (data/value-judgements.yaml).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::argument_files;
use super::component_flags::{self, ComponentFlag};
use super::config_fields::{self, TypedField};
use super::kubelet_fields;
use super::settings;
use crate::embedded;
use crate::version::KubernetesMinor;

/// How the values of a setting are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueJudgement {
    /// By rules, besides its type: what each of them wants.
    Rules(Vec<String>),
    /// By its type alone: what it takes.
    Type(&'static str),
    /// By another check: which.
    Elsewhere(&'static str),
    /// Every value is fine: why.
    AnyValue(&'static str),
    /// By its type and rules; only the running machine tells the rest: what.
    Machine(&'static str),
    /// Not at all: why.
    NotJudged(&'static str),
}

/// A row.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JudgementRow {
    #[serde(default)]
    of: Vec<String>,
    settings: Vec<String>,
    #[serde(alias = "by")]
    why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct JudgementTable {
    elsewhere: Vec<JudgementRow>,
    any: Vec<JudgementRow>,
    machine: Vec<JudgementRow>,
    not_judged: Vec<JudgementRow>,
}

/// The kinds whose fields have rules, with the name under which the rules are known.
const RULES_OF_KINDS: [(&str, &str); 3] = [
    ("KubeletConfiguration", "kubelet"),
    ("KubeProxyConfiguration", "kube-proxy-config"),
    ("KubeSchedulerConfiguration", "kube-scheduler-config"),
];
/// How deep the fields of a kind lie; the types of some hold themselves.
const MAX_DEPTH: usize = 6;
/// The Go types that take any text.
const TEXTS: [&str; 3] = ["RawExtension", "bytes", "string"];

static TABLE: LazyLock<JudgementTable> = LazyLock::new(|| embedded::table("value-judgements"));

/// Returns why the value of an argument of a component is not judged; none if it is.
#[must_use]
pub fn not_judged(component: &str, name: &str) -> Option<&'static str> {
    find(&TABLE.not_judged, component, name)
}

/// Returns what only the running machine tells of the value of an argument of a component; none if that is nothing.
#[must_use]
pub fn of_machine(component: &str, name: &str) -> Option<&'static str> {
    find(&TABLE.machine, component, name)
}

/// Returns how the values of an argument of a component are judged; none if the tables do not say it.
#[must_use]
pub fn of_flag(component: &str, name: &str) -> Option<ValueJudgement> {
    let flag = component_flags::all().get(component)?.get(name)?;
    let field = if component == "kubelet" { kubelet_fields::of_flag(name) } else { None };
    let names = [Some(name), field].into_iter().flatten();
    let judged = judgement(component, name, names.flat_map(|name| settings::bounds(component, name)));
    let is_open_to_all = matches!(judged, None | Some(ValueJudgement::AnyValue(_)));
    if is_open_to_all && argument_files::is_opened(component, name) {
        return Some(ValueJudgement::Elsewhere("preflight/argument_files.rs: the file that it names"));
    }
    judged.or_else(|| refuses_texts(flag).then(|| ValueJudgement::Type(flag.kind.wanted())))
}

/// Returns how the values of a field of a kind are judged, by its path and its type; none if the tables do not say it.
#[must_use]
pub fn of_field(kind: &str, path: &str, of: &'static str) -> Option<ValueJudgement> {
    let rules = RULES_OF_KINDS.iter().find(|(known, _)| *known == kind).map(|(_, rules)| *rules);
    let bounds = rules.into_iter().flat_map(|rules| settings::bounds(rules, path));
    let is_text = TEXTS.contains(&of.trim_start_matches(['[', ']', '{', '}']));
    judgement(kind, path, bounds).or_else(|| (!is_text).then_some(ValueJudgement::Type(of)))
}

/// Returns the fields of a kind in its newest version of a minor, by their paths, with their types: those that have no fields
/// themselves. A kind of several API groups has those of each.
#[must_use]
pub fn fields(kind: &str, minor: KubernetesMinor) -> Vec<(String, &'static str)> {
    let mut typed = config_fields::typed_fields(minor);
    typed.retain(|field| field.kind == kind);
    let stability = |version: &str| (!version.contains("alpha"), !version.contains("beta"));
    let mut newest: BTreeMap<&str, &str> = BTreeMap::new();
    for version in typed.iter().map(|field| field.version) {
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        let known = newest.entry(group).or_insert(version);
        if (stability(version), version) > (stability(known), *known) {
            *known = version;
        }
    }
    let mut found: Vec<(String, &'static str)> =
        newest.into_values().flat_map(|version| fields_of_version(&typed, version)).collect();
    found.sort();
    found.dedup();
    found
}

fn fields_of_version(typed: &[TypedField<'static>], version: &str) -> Vec<(String, &'static str)> {
    let of_version = || typed.iter().filter(|field| field.version == version);
    let mut types: BTreeMap<&str, Vec<(&str, &'static str)>> = BTreeMap::new();
    for field in of_version().filter(|field| !field.field.is_empty()) {
        types.entry(field.go_type).or_default().push((field.field, field.of));
    }
    // The first type is the kind's own.
    let Some(own) = of_version().next() else { return Vec::new() };
    let mut found = Vec::new();
    let mut next = vec![(String::new(), own.go_type, 0)];
    while let Some((path, go_type, depth)) = next.pop() {
        for (field, of) in types.get(go_type).into_iter().flatten() {
            let path = if path.is_empty() { (*field).to_owned() } else { format!("{path}.{field}") };
            let base = of.trim_start_matches(['[', ']', '{', '}']);
            if types.contains_key(base) && depth < MAX_DEPTH {
                next.push((path, base, depth + 1));
            } else {
                found.push((path, *of));
            }
        }
    }
    found
}

/// Returns what the table and the rules say of a setting.
fn judgement(of: &str, name: &str, bounds: impl Iterator<Item = String>) -> Option<ValueJudgement> {
    if let Some(why) = not_judged(of, name) {
        return Some(ValueJudgement::NotJudged(why));
    }
    if let Some(what) = of_machine(of, name) {
        return Some(ValueJudgement::Machine(what));
    }
    let mut bounds: Vec<String> = bounds.collect();
    if !bounds.is_empty() {
        let mut said = Vec::new();
        bounds.retain(|text| {
            let is_new = !said.contains(text);
            said.push(text.clone());
            is_new
        });
        return Some(ValueJudgement::Rules(bounds));
    }
    let elsewhere = find(&TABLE.elsewhere, of, name).map(ValueJudgement::Elsewhere);
    elsewhere.or_else(|| find(&TABLE.any, of, name).map(ValueJudgement::AnyValue))
}

/// Tells whether the type of an argument has more to say than how items are told apart.
fn refuses_texts(flag: &ComponentFlag) -> bool {
    use settings::FlagType as Kind;
    let takes_texts = [Kind::Configuration, Kind::Gates, Kind::List, Kind::Map, Kind::Multimap, Kind::Pairs];
    !takes_texts.contains(&flag.kind) && !matches!(flag.kind, Kind::Text | Kind::Texts)
}

fn find(rows: &'static [JudgementRow], component: &str, name: &str) -> Option<&'static str> {
    let is_of = |row: &&JudgementRow| {
        (row.of.is_empty() || row.of.iter().any(|of| of == component))
            && row.settings.iter().any(|known| is_meant(known, name))
    };
    rows.iter().find(is_of).map(|row| row.why.as_str())
}

/// Tells whether a name of the table is, or stands for, a setting.
fn is_meant(known: &str, name: &str) -> bool {
    known.strip_suffix('*').map_or(known == name, |begin| name.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_settings_that_there_are() {
        let minors = KubernetesMinor::supported();
        let names = |of: &str| -> Vec<String> {
            let flags = component_flags::all().get(of).into_iter().flat_map(|flags| flags.keys().cloned());
            let fields = minors.iter().flat_map(|minor| fields(of, *minor)).map(|(path, _)| path);
            flags.chain(fields).collect()
        };
        let all: Vec<String> = component_flags::all().keys().flat_map(|component| names(component)).collect();
        let rows = [&TABLE.elsewhere, &TABLE.any, &TABLE.machine, &TABLE.not_judged];
        for row in rows.into_iter().flatten().filter(|row| row.settings != ["apiVersion", "kind"]) {
            let known: Vec<Vec<String>> = row.of.iter().map(|of| names(of)).collect();
            for (of, names) in row.of.iter().zip(&known) {
                let is_there = row.settings.iter().any(|one| names.iter().any(|name| is_meant(one, name)));
                assert!(is_there, "{of} has none of {:?}", row.settings);
            }
            for one in &row.settings {
                let mut names =
                    known.iter().flatten().chain(row.of.is_empty().then_some(&all).into_iter().flatten());
                assert!(names.any(|name| is_meant(one, name)), "{one} of {:?}", row.of);
            }
        }
    }
}
