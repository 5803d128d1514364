// SPDX-License-Identifier: Apache-2.0
//! The configurations of the admission plugins ResourceQuota and PodTolerationRestriction.
//!
//! Source: pkg/admission/plugin/resourcequota of k8s.io/apiserver; plugin/pkg/admission/podtolerationrestriction and
//! `ValidateTolerations` in pkg/apis/core/validation of Kubernetes.

use super::object::{self, Fault, ObjectFile, Refusal};
use super::taints;
use super::yaml::YamlNode;
use super::{config_fields, names};
use crate::version::KubernetesMinor;

/// How a plugin reads its configuration.
struct PluginReader {
    plugin: &'static str,
    /// The API groups of its configuration, each with the kinds that it reads from that.
    kinds: &'static [(&'static str, &'static [&'static str])],
    /// The first minor that decodes strictly; none if every minor drops what it does not know.
    strict_from: Option<KubernetesMinor>,
    /// The plugin's own validation.
    check: fn(&YamlNode) -> Result<(), Fault>,
}

const READERS: [PluginReader; 2] = [
    PluginReader {
        plugin: "PodTolerationRestriction",
        kinds: &[("podtolerationrestriction.admission.k8s.io", &["Configuration"])],
        strict_from: None,
        check: check_tolerations,
    },
    PluginReader {
        plugin: "ResourceQuota",
        kinds: &[
            ("apiserver.config.k8s.io", &["ResourceQuotaConfiguration"]),
            ("resourcequota.admission.k8s.io", &["Configuration"]),
        ],
        strict_from: Some(KubernetesMinor::new(32)),
        check: check_limited_resources,
    },
];

/// Why the API server refuses a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginConfigRefusal {
    /// It is no YAML or JSON, or a field has the wrong type.
    Syntax,
    /// Its API version or kind is another.
    Version,
    /// A field is unknown or there twice, and the minor is strict.
    Field,
    /// The plugin's own validation refuses a value.
    Value,
}

/// Tells whether the configuration of a plugin is read here.
#[must_use]
pub fn reads(plugin: &str) -> bool {
    READERS.iter().any(|reader| reader.plugin == plugin)
}

/// Returns the API versions and kinds that a plugin reads.
#[must_use]
pub fn registered(plugin: &str, minor: KubernetesMinor) -> Vec<(&'static str, &'static str)> {
    let reader = READERS.iter().find(|reader| reader.plugin == plugin);
    let kinds = reader.into_iter().flat_map(|reader| reader.kinds);
    kinds.flat_map(|(group, kinds)| config_fields::registered_in(group, kinds, minor)).collect()
}

/// Checks the configuration of a plugin as the API server does. Returns the fields that it drops.
///
/// # Errors
/// Why the API server refuses it.
pub fn read(
    document: &ObjectFile,
    plugin: &str,
    minor: KubernetesMinor,
) -> Result<Vec<Fault>, Refusal<PluginConfigRefusal>> {
    let Some(reader) = READERS.iter().find(|reader| reader.plugin == plugin) else { return Ok(Vec::new()) };
    let syntax = || Refusal::with_reason(PluginConfigRefusal::Syntax);
    document.kind().map_err(syntax())?;
    document
        .expect(&registered(plugin, minor))
        .map_err(Refusal::with_reason(PluginConfigRefusal::Version))?;
    let dropped = config_fields::decode_file(document, minor).map_err(syntax())?.unknown;
    if reader.strict_from.is_some_and(|from| minor >= from) {
        object::refuse_dropped(&dropped).map_err(Refusal::with_reason(PluginConfigRefusal::Field))?;
    }
    (reader.check)(&document.root).map_err(Refusal::with_reason(PluginConfigRefusal::Value))?;
    Ok(dropped)
}

/// `ValidateConfiguration` of ResourceQuota.
fn check_limited_resources(root: &YamlNode) -> Result<(), Fault> {
    let resources = object::items(root, "limitedResources");
    match resources.iter().position(|item| object::text(item, "resource").is_empty()) {
        Some(at) => Err(Fault::new(
            object::position_of(&resources[at], "resource"),
            format!("limitedResources[{at}].resource: Required value"),
        )),
        None => Ok(()),
    }
}

/// `ValidateConfiguration` of PodTolerationRestriction.
fn check_tolerations(root: &YamlNode) -> Result<(), Fault> {
    for list in ["default", "whitelist"] {
        for (index, toleration) in object::items(root, list).iter().enumerate() {
            if let Some((field, problem)) = toleration_fault(toleration) {
                let position = object::position_of(toleration, field);
                let message =
                    format!("invalid config: [podtolerationrestriction.{list}[{index}].{field}: {problem}]");
                return Err(Fault::new(position, message));
            }
        }
    }
    Ok(())
}

/// Returns the first field of a toleration that is refused, with the reason. The plugin takes no operators that compare
/// numbers, whatever the feature gates are.
fn toleration_fault(toleration: &YamlNode) -> Option<(&'static str, String)> {
    let text = |field| object::text(toleration, field);
    let (key, operator, value, effect) = (text("key"), text("operator"), text("value"), text("effect"));
    let invalid = |field, value: &str, why: &str| Some((field, format!("Invalid value: {value:?}: {why}")));
    if !key.is_empty() && !names::is_qualified(key) {
        return invalid("key", key, "name part must consist of alphanumeric characters, '-', '_' or '.'");
    }
    if key.is_empty() && operator != "Exists" {
        let why =
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        return invalid("operator", operator, why);
    }
    if object::field(toleration, "tolerationSeconds").is_some() && effect != "NoExecute" {
        return invalid("effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    match operator {
        "" | "Equal" if !names::is_label_value(value) => {
            return invalid(
                "operator",
                value,
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'",
            );
        }
        "Exists" if !value.is_empty() => {
            return invalid("operator", value, "value must be empty when `operator` is 'Exists'");
        }
        "" | "Equal" | "Exists" => {}
        _ => {
            let why = format!("Unsupported value: {operator:?}: supported values: \"Equal\", \"Exists\"");
            return Some(("operator", why));
        }
    }
    if effect.is_empty() || taints::EFFECTS.contains(&effect) {
        return None;
    }
    let supported = "\"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"";
    Some(("effect", format!("Unsupported value: {effect:?}: supported values: {supported}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: ResourceQuotaConfiguration\n";
    const TOLERATIONS: &str =
        "apiVersion: podtolerationrestriction.admission.k8s.io/v1alpha1\nkind: Configuration\n";

    fn judge(plugin: &str, head: &str, rest: &str, minor: &str) -> Result<usize, PluginConfigRefusal> {
        let document = ObjectFile::read(format!("{head}{rest}").as_bytes()).unwrap();
        let dropped = read(&document, plugin, minor.parse().unwrap());
        dropped.map(|dropped| dropped.len()).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn resource_quota_is_strict_from_1_32() {
        let judge = |rest, minor| judge("ResourceQuota", QUOTA, rest, minor);
        assert_eq!(judge("limitedResources: [{resource: pods}]\n", "1.23"), Ok(0));
        assert_eq!(judge("unknown: 1\n", "1.31"), Ok(1));
        assert_eq!(judge("unknown: 1\n", "1.32"), Err(PluginConfigRefusal::Field));
        assert_eq!(judge("limitedResources: [{apiGroup: apps}]\n", "1.37"), Err(PluginConfigRefusal::Value));
        assert_eq!(judge("limitedResources: {}\n", "1.37"), Err(PluginConfigRefusal::Syntax));
    }

    #[test]
    fn each_plugin_has_its_own_configuration() {
        let old = "apiVersion: resourcequota.admission.k8s.io/v1beta1\nkind: Configuration\n";
        assert_eq!(judge("ResourceQuota", old, "", "1.37"), Ok(0));
        assert_eq!(judge("ResourceQuota", TOLERATIONS, "", "1.37"), Err(PluginConfigRefusal::Version));
        assert_eq!(judge("PodTolerationRestriction", old, "", "1.37"), Err(PluginConfigRefusal::Version));
        let mixed = "apiVersion: resourcequota.admission.k8s.io/v1beta1\nkind: ResourceQuotaConfiguration\n";
        assert_eq!(judge("ResourceQuota", mixed, "", "1.37"), Err(PluginConfigRefusal::Version));
    }

    #[test]
    fn tolerations_are_validated() {
        let judge = |toleration: &str| {
            let rest = format!("default: [{toleration}]\n");
            judge("PodTolerationRestriction", TOLERATIONS, &rest, "1.37")
        };
        for good in [
            "{operator: Exists}",
            "{key: a.b/c, value: d}",
            "{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 5}",
            "{key: a, unknown: 1}",
        ] {
            assert!(judge(good).is_ok(), "{good}");
        }
        for bad in [
            "{}",
            "{key: a b}",
            "{key: a, value: b c}",
            "{key: a, operator: Exists, value: b}",
            "{key: a, operator: Lt, value: '5'}",
            "{key: a, effect: Never}",
            "{key: a, tolerationSeconds: 5}",
        ] {
            assert_eq!(judge(bad), Err(PluginConfigRefusal::Value), "{bad}");
        }
    }
}
