// SPDX-License-Identifier: Apache-2.0
//! The profiles of a scheduler's configuration, and the arguments of plugins in them.
//!
//! Source: pkg/scheduler/apis/config/validation (`validateKubeSchedulerProfile`, validation_pluginargs.go) and
//! k8s.io/kube-scheduler/config/v1 (`DecodeNestedObjects`).

use std::collections::{HashMap, HashSet};

use super::config_fields;
use super::config_settings;
use super::names;
use super::object::{self, Fault, ObjectFile, Refusal, refuse_dropped};
use super::scheduler_outcome::{RULES, SchedulerConfig, SchedulerContext, SchedulerRefusal, Validated};
use super::scheduler_plugins::{self, POINTS};
use super::settings;
use super::yaml::{YamlNode, YamlValue};
use crate::version::KubernetesMinor;

/// The plugin whose validation looks for another name than its own, so that this name takes no arguments.
const MISNAMED: &str = "NodeResourcesFitArgs";
/// The first minor whose gate for the shape of VolumeBinding is StorageCapacityScoring.
const SCORING_FROM: KubernetesMinor = KubernetesMinor::new(33);
/// The greatest score of a point of a shape.
const MAX_SCORE: i64 = 10;

/// Checks the profiles.
///
/// # Errors
/// Arguments of a plugin that the scheduler cannot decode.
pub(super) fn check(
    document: &ObjectFile,
    profiles: &[YamlNode],
    version: &str,
    context: SchedulerContext<'_>,
    config: &mut SchedulerConfig,
) -> Validated {
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut queue_sort = None;
    for (index, profile) in profiles.iter().enumerate() {
        let path = format!("profiles[{index}]");
        let mut wrong = |node: &YamlNode, name: &str, why: &str| {
            let message = format!("{path}.{name}: {why}");
            config.faults.push(Fault::new(object::position_of(node, name), message));
        };
        let name = match object::field(profile, "schedulerName") {
            None if profiles.len() == 1 => "default-scheduler",
            other => other.map_or("", object::node_text),
        };
        if name.is_empty() {
            wrong(profile, "schedulerName", "Required value");
        }
        if known.insert(name, index).is_some() {
            wrong(profile, "schedulerName", "Duplicate value");
        }
        let score = object::number(profile, "percentageOfNodesToScore");
        if !(0..=100).contains(&score) {
            let why = format!("Invalid value: {score}: not in valid range [0-100]");
            wrong(profile, "percentageOfNodesToScore", &why);
        }
        let nothing = YamlNode { value: YamlValue::Map(Vec::new()), position: profile.position };
        let plugins = object::field(profile, "plugins").unwrap_or(&nothing);
        for point in POINTS {
            for (name, position) in scheduler_plugins::names(plugins, point, "enabled") {
                if scheduler_plugins::is_refused(name, version, context.minor) {
                    let message = format!(
                        "{path}.plugins.{point}.enabled: Invalid value: {name:?}: was invalid in version {version:?}"
                    );
                    config.faults.push(Fault::new(position, message));
                }
            }
        }
        let sorts = ["enabled", "disabled"].map(|list| {
            let names = scheduler_plugins::names(plugins, "queueSort", list);
            names.into_iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        });
        if sorts[0].len() > 1 {
            let message = format!(
                "{path}.plugins.queueSort.Enabled: Invalid value: {}: only one queue sort plugin can be enabled",
                sorts[0].len()
            );
            config.faults.push(Fault::new(object::position_of(plugins, "queueSort"), message));
        }
        if *queue_sort.get_or_insert_with(|| sorts.clone()) != sorts {
            let message =
                format!("{path}.plugins.queueSort: Invalid value: must be the same for all profiles");
            config.faults.push(Fault::new(object::position_of(plugins, "queueSort"), message));
        }
        config.faults.extend(scheduler_plugins::refused(plugins, context.minor));
        let mut seen = HashSet::new();
        for (at, plugin) in object::items(profile, "pluginConfig").iter().enumerate() {
            let path = format!("{path}.pluginConfig[{at}]");
            let name = object::text(plugin, "name");
            let message = if !seen.insert(name) {
                format!("{path}: Duplicate value: {name:?}")
            } else if scheduler_plugins::is_refused(name, version, context.minor) {
                format!("{path}: Invalid value: {name:?}: was invalid in version {version:?}")
            } else if name == MISNAMED {
                format!("{path}.args: Invalid value: has to match plugin args")
            } else {
                check_args(document, plugin, version, &path, context, config)?;
                continue;
            };
            config.faults.push(Fault::new(plugin.position, message));
        }
    }
    Ok(())
}

/// Decodes the arguments of a plugin, and checks them.
fn check_args(
    document: &ObjectFile,
    plugin: &YamlNode,
    version: &str,
    path: &str,
    context: SchedulerContext<'_>,
    config: &mut SchedulerConfig,
) -> Validated {
    let minor = context.minor;
    let name = object::text(plugin, "name");
    let kind = format!("{name}Args");
    let known = config_fields::registered(&kind, minor);
    // Nobody decodes the arguments of a plugin that has none, or that is none of Kubernetes'.
    if !known.iter().any(|(known, _)| *known == version) {
        return Ok(());
    }
    let nothing = YamlNode { value: YamlValue::Map(Vec::new()), position: plugin.position };
    let args = object::field(plugin, "args").unwrap_or(&nothing);
    let part = document.part(args);
    let at = |reason| {
        move |fault: Fault| {
            let message = format!("decoding {path}: decoding args for plugin {name}: {}", fault.message);
            Refusal::new(reason, fault.position, message)
        }
    };
    let (own_version, own_kind) = part.kind().map_err(at(SchedulerRefusal::Syntax))?;
    let or = |own: String, default: &str| if own.is_empty() { default.to_owned() } else { own };
    let (own_version, own_kind) = (or(own_version, version), or(own_kind, &kind));
    if own_kind != kind || !known.iter().any(|(known, _)| *known == own_version) {
        let message =
            format!("args for plugin {name} were not of type {kind}, got {own_kind} of {own_version}");
        return Err(at(SchedulerRefusal::Version)(Fault::new(args.position, message)));
    }
    let decoded = config_fields::decode_file_as(&part, (&own_version, &kind), minor)
        .map_err(at(SchedulerRefusal::Syntax))?;
    refuse_dropped(&decoded.unknown).map_err(at(SchedulerRefusal::Field))?;
    let settings = config_settings::settings(&decoded, &kind, &settings::ComponentSettings::default());
    for one in settings::refused(RULES, &settings, minor) {
        let position = decoded.fields.get(&one.setting).map_or(args.position, |node| node.position);
        config.refused.push((one, Some(position)));
    }
    let mut found = Vec::new();
    structure(args, name, context, &mut found);
    for fault in found {
        config.faults.push(Fault::new(fault.position, format!("{path}.args.{}", fault.message)));
    }
    Ok(())
}

/// Checks what no rule of one setting says.
fn structure(args: &YamlNode, name: &str, context: SchedulerContext<'_>, found: &mut Vec<Fault>) {
    match name {
        "VolumeBinding" => {
            let gate = if context.minor < SCORING_FROM {
                "VolumeCapacityPriority"
            } else {
                "StorageCapacityScoring"
            };
            let shape = object::field(args, "shape");
            if context.has_gate(gate) {
                // An empty one becomes the default.
                if !object::items(args, "shape").is_empty() {
                    check_shape(args, "shape", found);
                }
            } else if let Some(shape) = shape {
                let message = format!(
                    "shape: Invalid value: unexpected field `shape`, remove it or turn on the feature gate {gate}"
                );
                found.push(Fault::new(shape.position, message));
            }
        }
        "NodeResourcesFit" => {
            let Some(strategy) = object::field(args, "scoringStrategy") else { return };
            for resource in object::items(strategy, "resources") {
                let weight = object::number(resource, "weight");
                if !(0..=100).contains(&weight) {
                    let name = object::text(resource, "name");
                    let message = format!(
                        "scoringStrategy.resources: Invalid value: {weight}: resource weight of {name} not in valid range (0, 100]"
                    );
                    found.push(Fault::new(resource.position, message));
                }
            }
            let ratio = object::field(strategy, "requestedToCapacityRatio");
            let wants = object::text(strategy, "type") == "RequestedToCapacityRatio";
            let field = "scoringStrategy.requestedToCapacityRatio";
            match ratio {
                Some(ratio) if wants => check_shape(ratio, "shape", found),
                Some(ratio) => {
                    let message =
                        format!("{field}: Forbidden: must be nil when type is not RequestedToCapacityRatio");
                    found.push(Fault::new(ratio.position, message));
                }
                None if wants => {
                    let message = format!(
                        "{field}: Required value: must be specified when type is RequestedToCapacityRatio"
                    );
                    found.push(Fault::new(strategy.position, message));
                }
                None => {}
            }
            if object::field(strategy, "type").is_none() {
                let message = "scoringStrategy.type: Unsupported value: \"\"";
                found.push(Fault::new(strategy.position, message));
            }
        }
        "NodeResourcesBalancedAllocation" => {
            let mut seen = HashSet::new();
            for resource in object::items(args, "resources") {
                let (name, weight) = (object::text(resource, "name"), object::number(resource, "weight"));
                if !seen.insert(name) {
                    let message = format!("resources.name: Duplicate value: {name:?}");
                    found.push(Fault::new(resource.position, message));
                }
                // 0 becomes 1.
                if weight != 0 && weight != 1 {
                    let message = format!("resources.weight: Invalid value: {weight}: must be 1");
                    found.push(Fault::new(resource.position, message));
                }
            }
        }
        "PodTopologySpread" => check_constraints(args, found),
        "NodeAffinity" => check_affinity(args, found),
        "DynamicResources" => {
            let timeout = object::field(args, "filterTimeout");
            if let Some(node) = timeout.filter(|_| !context.has_gate("DRASchedulerFilterTimeout")) {
                let message = "filterTimeout: Forbidden: DRASchedulingFilterTimeout feature gate is disabled";
                found.push(Fault::new(node.position, message));
            }
            let Some(node) = object::field(args, "bindingTimeout") else { return };
            let has_gates = context.has_gate("DRADeviceBindingConditions")
                && context.has_gate("DRAResourceClaimDeviceStatus");
            if !has_gates {
                let message = "bindingTimeout: Forbidden: DRADeviceBindingConditions or DRAResourceClaimDeviceStatus feature gate is disabled";
                found.push(Fault::new(node.position, message));
            } else if object::duration(args, "bindingTimeout") < 1_000_000_000 {
                let message = "bindingTimeout: Invalid value: must be at least 1 second";
                found.push(Fault::new(node.position, message));
            }
        }
        _ => {}
    }
}

/// `validateFunctionShape`.
fn check_shape(node: &YamlNode, field: &str, found: &mut Vec<Fault>) {
    let shape = object::items(node, field);
    if shape.is_empty() {
        let message = format!("{field}: Required value: at least one point must be specified");
        found.push(Fault::new(object::position_of(node, field), message));
    }
    let mut last = None;
    for point in shape {
        let (utilization, score) = (object::number(point, "utilization"), object::number(point, "score"));
        let why = if last.is_some_and(|last| last >= utilization) {
            "utilization: Invalid value: values must be sorted in increasing order"
        } else if !(0..=100).contains(&utilization) {
            "utilization: Invalid value: not in valid range [0, 100]"
        } else if !(0..=MAX_SCORE).contains(&score) {
            "score: Invalid value: not in valid range [0, 10]"
        } else {
            last = Some(utilization);
            continue;
        };
        found.push(Fault::new(point.position, format!("{field}.{why}")));
        return;
    }
}

/// `ValidatePodTopologySpreadArgs`.
fn check_constraints(args: &YamlNode, found: &mut Vec<Fault>) {
    let constraints = object::items(args, "defaultConstraints");
    let default = matches!(object::text(args, "defaultingType"), "" | "System");
    if default && !constraints.is_empty() {
        let message = "defaultingType: Invalid value: \"System\": when .defaultConstraints are not empty";
        found.push(Fault::new(object::position_of(args, "defaultConstraints"), message));
    }
    let mut seen = HashSet::new();
    for (index, constraint) in constraints.iter().enumerate() {
        let mut wrong = |name: &str, why: &str| {
            let message = format!("defaultConstraints[{index}].{name}: {why}");
            found.push(Fault::new(object::position_of(constraint, name), message));
        };
        let skew = object::number(constraint, "maxSkew");
        if skew <= 0 {
            wrong("maxSkew", &format!("Invalid value: {skew}: not in valid range (0, inf)"));
        }
        let key = object::text(constraint, "topologyKey");
        if !names::is_qualified(key) {
            wrong("topologyKey", &format!("Invalid value: {key:?}"));
        }
        let when = object::text(constraint, "whenUnsatisfiable");
        if !matches!(when, "DoNotSchedule" | "ScheduleAnyway") {
            wrong(
                "whenUnsatisfiable",
                &format!(
                    "Unsupported value: {when:?}: supported values: \"DoNotSchedule\", \"ScheduleAnyway\""
                ),
            );
        }
        if object::field(constraint, "labelSelector").is_some() {
            wrong(
                "labelSelector",
                "Forbidden: constraint must not define a selector, as they deduced for each pod",
            );
        }
        if !seen.insert((key, when)) {
            wrong("topologyKey", &format!("Duplicate value: \"{{{key}, {when}}}\""));
        }
    }
}

/// `NewNodeSelector` and `NewPreferredSchedulingTerms` of k8s.io/component-helpers/scheduling/corev1/nodeaffinity.
fn check_affinity(args: &YamlNode, found: &mut Vec<Fault>) {
    let Some(affinity) = object::field(args, "addedAffinity") else { return };
    let required = object::field(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
    let required = required.map_or(&[][..], |node| object::items(node, "nodeSelectorTerms")).iter();
    let preferred = object::items(affinity, "preferredDuringSchedulingIgnoredDuringExecution").iter();
    let preferred = preferred.filter(|term| object::number(term, "weight") != 0);
    for term in required.chain(preferred.filter_map(|term| object::field(term, "preference"))) {
        for requirement in object::items(term, "matchExpressions") {
            check_requirement(requirement, false, found);
        }
        for requirement in object::items(term, "matchFields") {
            check_requirement(requirement, true, found);
        }
    }
}

fn check_requirement(requirement: &YamlNode, of_field: bool, found: &mut Vec<Fault>) {
    let (key, operator) = (object::text(requirement, "key"), object::text(requirement, "operator"));
    let values = object::texts(requirement, "values");
    let why = if of_field {
        match operator {
            "In" | "NotIn" if values.len() != 1 => "values: Required value: must have one element",
            "In" | "NotIn" => return,
            _ => "operator: Unsupported value",
        }
    } else {
        let is_number = |text: &String| text.parse::<i64>().is_ok();
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                "values: Invalid value: for 'in', 'notin' operators, values set can't be empty"
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                "values: Invalid value: values set must be empty for exists and does not exist"
            }
            "Gt" | "Lt" if values.len() != 1 => {
                "values: Invalid value: for 'Gt', 'Lt' operators, exactly one value is required"
            }
            "Gt" | "Lt" if !values.iter().all(is_number) => {
                "values: Invalid value: for 'Gt', 'Lt' operators, the value must be an integer"
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {
                if !names::is_qualified(key) {
                    "key: Invalid value"
                } else if !values.iter().all(|value| value.is_empty() || names::is_label_value(value)) {
                    "values: Invalid value: a valid label must be an empty string or consist of alphanumeric characters"
                } else {
                    return;
                }
            }
            _ => "operator: Invalid value: not a valid selector operator",
        }
    };
    let kind = if of_field { "matchFields" } else { "matchExpressions" };
    found.push(Fault::new(requirement.position, format!("addedAffinity.{kind}.{why}")));
}
