// SPDX-License-Identifier: Apache-2.0
//! The plugins of kube-scheduler (data/scheduler-plugins.yaml), and what it refuses of the sets that a profile enables.
//!
//! Source: pkg/scheduler/framework/runtime/framework.go (`NewFramework`) and pkg/scheduler/apis/config/v1/default_plugins.go
//! of Kubernetes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::object::{self, Fault, Position};
use super::yaml::YamlNode;
use crate::embedded;
use crate::version::KubernetesMinor;

/// The minors that have something.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PointMinors {
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
}

/// A plugin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SchedulerPlugin {
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
    refused: Option<KubernetesMinor>,
    points: BTreeMap<String, PointMinors>,
}

static PLUGINS: LazyLock<BTreeMap<String, SchedulerPlugin>> =
    LazyLock::new(|| embedded::table("scheduler-plugins"));

/// The points of a profile that plugins extend.
pub(super) const POINTS: [&str; 14] = [
    "preFilter",
    "filter",
    "postFilter",
    "reserve",
    "preScore",
    "score",
    "preBind",
    "bind",
    "postBind",
    "permit",
    "preEnqueue",
    "queueSort",
    "placementGenerate",
    "placementScore",
];
/// The field that enables a plugin at all of its points.
const EVERY_POINT: &str = "multiPoint";
/// The point whose plugins have weights.
const SCORE: &str = "score";
/// What stands for all plugins among those that are disabled.
const ALL: &str = "*";
/// The plugins that every minor enables and that a profile cannot do without.
const NEEDED: [(&str, &str); 2] = [("queueSort", "PrioritySort"), ("bind", "DefaultBinder")];

/// Tells whether the API version `v1` refuses the name of a plugin.
pub(super) fn is_refused(name: &str, version: &str, minor: KubernetesMinor) -> bool {
    let from = PLUGINS.get(name).and_then(|plugin| plugin.refused);
    version.ends_with("/v1") && from.is_some_and(|from| from <= minor)
}

fn extends(name: &str, point: &str, minor: KubernetesMinor) -> bool {
    let range = PLUGINS.get(name).and_then(|plugin| plugin.points.get(point));
    range.is_some_and(|range| minor.is_within(range.from, range.until))
}

fn exists(name: &str, minor: KubernetesMinor) -> bool {
    PLUGINS.get(name).is_some_and(|plugin| minor.is_within(plugin.from, plugin.until))
}

/// Returns the names of a set's plugins that are `enabled` or `disabled`, with their positions.
pub(super) fn names<'a>(plugins: &'a YamlNode, point: &str, list: &str) -> Vec<(&'a str, Position)> {
    let set = object::field(plugins, point);
    let items = set.map_or(&[][..], |set| object::items(set, list));
    items.iter().map(|item| (object::text(item, "name"), item.position)).collect()
}

/// Returns why the scheduler of a minor does not start with the plugins of a profile.
pub(super) fn refused(plugins: &YamlNode, minor: KubernetesMinor) -> Option<Fault> {
    let everywhere = names(plugins, EVERY_POINT, "enabled");
    for point in POINTS {
        let type_name = format!("{}{}Plugin", point[..1].to_uppercase(), &point[1..]);
        let mut seen: Vec<&str> = Vec::new();
        for (name, position) in names(plugins, point, "enabled") {
            let message = if !exists(name, minor) {
                format!("{type_name} {name:?} does not exist")
            } else if !extends(name, point, minor) {
                format!("plugin {name:?} does not extend {type_name} plugin")
            } else if seen.contains(&name) {
                format!("plugin {name:?} already registered as {type_name:?}")
            } else {
                seen.push(name);
                continue;
            };
            return Some(Fault::new(position, message));
        }
    }
    for (name, position) in &everywhere {
        if !exists(name, minor) {
            let message = format!("PreFilterPlugin {name:?} does not exist");
            return Some(Fault::new(*position, message));
        }
    }
    let twice = |point| twice_everywhere(plugins, &everywhere, point, minor);
    let missing = |(point, default)| missing(plugins, &everywhere, (point, default), minor);
    let fault = POINTS.into_iter().find_map(twice).or_else(|| NEEDED.into_iter().find_map(missing));
    fault.or_else(|| below_zero(plugins, minor))
}

/// `getValidScoreWeights`: the total of the weights overflows behind one that is below 0.
fn below_zero(plugins: &YamlNode, minor: KubernetesMinor) -> Option<Fault> {
    let sets = [EVERY_POINT, SCORE].into_iter().filter_map(|point| object::field(plugins, point));
    let mut items = sets.flat_map(|set| object::items(set, "enabled"));
    let is_wrong = |item: &&YamlNode| {
        object::number(item, "weight") < 0 && extends(object::text(item, "name"), SCORE, minor)
    };
    let item = items.find(is_wrong)?;
    Some(Fault::new(object::position_of(item, "weight"), "total score of Score plugins could overflow"))
}

/// `expandMultiPointPlugins`: a plugin that is enabled twice for all points.
fn twice_everywhere(
    plugins: &YamlNode,
    everywhere: &[(&str, Position)],
    point: &str,
    minor: KubernetesMinor,
) -> Option<Fault> {
    let (at_point, disabled) = (names(plugins, point, "enabled"), names(plugins, point, "disabled"));
    let is_in = |list: &[(&str, Position)], name: &str| list.iter().any(|(known, _)| *known == name);
    if is_in(&disabled, ALL) {
        return None;
    }
    let mut seen: Vec<&str> = Vec::new();
    for (name, position) in everywhere {
        if !extends(name, point, minor) || is_in(&disabled, name) || is_in(&at_point, name) {
            continue;
        }
        if seen.contains(name) {
            let message = format!("plugin {name:?} already registered as {point:?}");
            return Some(Fault::new(*position, message));
        }
        seen.push(name);
    }
    None
}

/// Returns the fault of a profile that has not the plugins that it needs.
fn missing(
    plugins: &YamlNode,
    everywhere: &[(&str, Position)],
    (point, default): (&str, &str),
    minor: KubernetesMinor,
) -> Option<Fault> {
    let is_in = |list: &[(&str, Position)], name: &str| list.iter().any(|(known, _)| *known == name);
    let disabled = names(plugins, point, "disabled");
    let mut found: Vec<&str> = names(plugins, point, "enabled").into_iter().map(|(name, _)| name).collect();
    if !is_in(&disabled, ALL) {
        let off = names(plugins, EVERY_POINT, "disabled");
        let is_default = !is_in(&off, ALL) && !is_in(&off, default);
        let others = everywhere.iter().map(|(name, _)| *name).filter(|name| extends(name, point, minor));
        for name in is_default.then_some(default).into_iter().chain(others) {
            if !is_in(&disabled, name) && !found.contains(&name) {
                found.push(name);
            }
        }
    }
    let position = object::position_of(plugins, point);
    match (point, found.len()) {
        ("queueSort", 1) => None,
        ("queueSort", count) => Some(Fault::new(
            position,
            format!("only one queue sort plugin required for profile, but got {count}"),
        )),
        (_, 0) => Some(Fault::new(position, "at least one bind plugin is needed for profile")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::yaml;

    #[test]
    fn plugins_are_there_once_at_points_that_they_extend() {
        for (text, minor, fault) in [
            ("{}", "1.36", ""),
            ("{score: {disabled: [{name: '*'}]}}", "1.36", ""),
            (
                "{score: {enabled: [{name: ImageLocality, weight: -1}]}}",
                "1.36",
                "total score of Score plugins",
            ),
            ("{filter: {enabled: [{name: NodeName, weight: -1}]}}", "1.36", ""),
            ("{score: {enabled: [{name: Nope}]}}", "1.36", "ScorePlugin \"Nope\" does not exist"),
            (
                "{bind: {enabled: [{name: NodeName}]}}",
                "1.36",
                "plugin \"NodeName\" does not extend BindPlugin plugin",
            ),
            ("{preFilter: {enabled: [{name: NodeName}]}}", "1.37", ""),
            (
                "{score: {enabled: [{name: ImageLocality}, {name: ImageLocality}]}}",
                "1.36",
                "plugin \"ImageLocality\" already",
            ),
            ("{queueSort: {disabled: [{name: '*'}]}}", "1.36", "only one queue sort plugin"),
            ("{queueSort: {disabled: [{name: '*'}], enabled: [{name: PrioritySort}]}}", "1.36", ""),
            ("{bind: {disabled: [{name: DefaultBinder}]}}", "1.36", "at least one bind plugin"),
            ("{multiPoint: {disabled: [{name: '*'}]}}", "1.36", "only one queue sort plugin"),
            (
                "{multiPoint: {disabled: [{name: '*'}], enabled: [{name: PrioritySort}, {name: DefaultBinder}]}}",
                "1.36",
                "",
            ),
            (
                "{multiPoint: {enabled: [{name: EBSLimits}]}}",
                "1.36",
                "PreFilterPlugin \"EBSLimits\" does not exist",
            ),
            ("{multiPoint: {enabled: [{name: EBSLimits}]}}", "1.30", ""),
        ] {
            let plugins = yaml::read(text.as_bytes()).unwrap().unwrap();
            let found =
                refused(&plugins, minor.parse().unwrap()).map(|fault| fault.message).unwrap_or_default();
            assert!(
                found.starts_with(fault) && found.is_empty() == fault.is_empty(),
                "{minor} {text}: {found}"
            );
        }
    }
}
