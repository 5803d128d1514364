// SPDX-License-Identifier: Apache-2.0
//! How the kubelet decodes what it has merged of its configuration: with Go's encoding/json, which does not mind the case
//! of letters.

use super::component_flags;
use super::config_fields::{self, FieldNames};
use super::yaml::YamlNode;
use crate::version::KubernetesMinor;

pub use super::config_fields::DecodedFields;

/// The API version and the kind of the kubelet's configuration.
pub(super) const KIND: (&str, &str) = ("kubelet.config.k8s.io/v1beta1", "KubeletConfiguration");

/// Returns the field that an argument overrides; none for an argument that has no field.
#[must_use]
pub fn of_flag(flag: &str) -> Option<&'static str> {
    component_flags::all().get("kubelet")?.get(flag)?.field.as_deref()
}

/// Returns the type of a field, by its path; none if the minor has no such field, or if it is a mapping with fields of its own.
#[must_use]
pub(super) fn type_of(path: &str, minor: KubernetesMinor) -> Option<&'static str> {
    config_fields::type_of(KIND, path, minor)
}

/// Decodes a configuration as the kubelet of a minor does.
#[must_use]
pub fn decode(root: &YamlNode, minor: KubernetesMinor) -> DecodedFields {
    config_fields::decode(root, KIND, minor, FieldNames::AnyCase, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::yaml;

    fn decoded(text: &str, minor: &str) -> DecodedFields {
        decode(&yaml::read(text.as_bytes()).unwrap().unwrap(), minor.parse().unwrap())
    }

    #[test]
    fn types_are_those_of_the_minor() {
        for (text, minor, fault) in [
            ("maxPods: 50", "1.36", ""),
            ("maxPods: '50'", "1.36", "maxPods takes a whole number of 32 bits, not 50"),
            ("maxpods: '50'", "1.36", "maxpods takes"),
            ("evictionHard: {memory.available: 1}", "1.36", "evictionHard.memory.available takes a text"),
            ("registerWithTaints: [a]", "1.36", "registerWithTaints[0] takes a mapping"),
            ("registerWithTaints: [{key: 1}]", "1.36", "registerWithTaints[0].key takes a text"),
            ("staticPodURLHeader: {a: b}", "1.36", "staticPodURLHeader.a takes a list"),
            ("logging: {verbosity: -1}", "1.36", "logging.verbosity takes"),
            (
                "logging: {options: {text: {infoBufferSize: abc}}}",
                "1.36",
                "logging.options.text.infoBufferSize takes",
            ),
            ("protectKernelDefaults: 'true'", "1.36", "protectKernelDefaults takes true or false"),
            ("syncFrequency: 60", "1.36", "syncFrequency takes a duration"),
            ("maxPods: null", "1.36", ""),
        ] {
            let faults = decoded(text, minor).faults;
            let said = faults.first().map_or("", |fault| fault.message.as_str());
            assert!(said.starts_with(fault) && faults.is_empty() == fault.is_empty(), "{text}: {said}");
        }
    }

    #[test]
    fn letters_of_any_case_name_a_field_and_others_are_dropped() {
        let both = decoded("MaxPods: -5\nmaxpods: 7\nProtectKernelDefaults: true\nmaxPod: 1\n", "1.36");
        assert_eq!(both.fields["maxPods"].go_text(), "7");
        assert_eq!(both.fields["protectKernelDefaults"].go_text(), "true");
        assert_eq!(both.unknown[0].message, "unknown field \"maxPod\"");
        assert!(!decoded("MaxPods: -5\n", "1.36").fields.contains_key("maxPods"), "the default counts");
        for name in ["SeccompDefault", "MakeIPTablesUtilChains"] {
            let text = format!("{name}: true\n");
            assert!(decoded(&text, "1.36").fields.is_empty(), "{name}: the default counts");
            assert_eq!(decoded(&text, "1.31").fields.len(), 1, "{name}");
        }
        assert_eq!(decoded("seccompdefault: true", "1.36").fields["seccompDefault"].go_text(), "true");
        assert_eq!(decoded("podLogsDir: /a", "1.29").unknown.len(), 1);
        assert_eq!(decoded("podLogsDir: /a", "1.30").unknown.len(), 0);
    }
}
