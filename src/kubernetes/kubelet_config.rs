// SPDX-License-Identifier: Apache-2.0
//! The kubelet's configuration (KubeletConfiguration): its file and its drop-ins, merged as the kubelet merges them.
//!
//! Source: cmd/kubelet/app/server.go of Kubernetes (`mergeKubeletConfigurations`): files that end in `.conf`, also in
//! folders, in the order of their names, each a JSON merge patch.

use std::collections::{BTreeMap, BTreeSet};

use super::object::Position;
use super::yaml::{YamlNode, YamlValue};
use crate::error::Place;
use crate::version::KubernetesMinor;

/// The ending of a drop-in's name; other files in the folder are not read.
pub const DROP_IN_ENDING: &str = ".conf";

/// The first minor whose kubelet does not start on cgroup v1 by default (KubeletConfiguration, `failCgroupV1`).
const REFUSES_CGROUP_V1_FROM: KubernetesMinor = KubernetesMinor::new(35);

/// Tells whether the kubelet of a minor does not start on cgroup v1, unless `failCgroupV1` is false.
#[must_use]
pub fn refuses_cgroup_v1(minor: KubernetesMinor) -> bool {
    minor >= REFUSES_CGROUP_V1_FROM
}

/// The merged configuration, by dotted path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KubeletConfig {
    fields: BTreeMap<String, KubeletField>,
    /// The fields that a drop-in takes out with null.
    taken_out: BTreeSet<String>,
    /// Whether the kubelet reads a file rather than drop-ins alone.
    of_file: bool,
}

/// A field, and where it is set.
#[derive(Debug, Clone, PartialEq)]
pub struct KubeletField {
    /// Its value; several for a list.
    pub items: Vec<String>,
    /// Where it is set; none for a text that is in no file.
    pub place: Option<Place>,
}

impl KubeletConfig {
    /// Returns a field by its dotted path, such as `authentication.anonymous.enabled`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&KubeletField> {
        self.fields.get(path)
    }

    /// Returns every field with its dotted path.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &KubeletField)> {
        self.fields.iter().map(|(path, field)| (path.as_str(), field))
    }

    /// Returns the fields of a mapping, such as `featureGates`, by their names in it.
    pub fn below<'c>(&'c self, path: &str) -> impl Iterator<Item = (&'c str, &'c KubeletField)> {
        let below = format!("{path}.");
        self.fields.iter().filter_map(move |(known, field)| Some((known.strip_prefix(&below)?, field)))
    }

    /// Returns a configuration that is merged and decoded already; `place` tells where a position is.
    #[must_use]
    pub fn of_fields(fields: &BTreeMap<String, YamlNode>, place: &dyn Fn(Position) -> Option<Place>) -> Self {
        let is_value = |(_, node): &(&String, &YamlNode)| !matches!(node.value, YamlValue::Map(_));
        let field = |(path, node): (&String, &YamlNode)| {
            (path.clone(), KubeletField { items: items_of(node), place: place(node.position) })
        };
        Self { fields: fields.iter().filter(is_value).map(field).collect(), ..Self::default() }
    }

    /// Adds the fields that a drop-in takes out with null, and whether the kubelet reads a file.
    #[must_use]
    pub fn with_taken_out(mut self, taken_out: BTreeSet<String>, of_file: bool) -> Self {
        (self.taken_out, self.of_file) = (taken_out, of_file);
        self
    }

    /// Tells whether the default of a field without a value is that of a file, and not that of its argument: a file is
    /// decoded into new settings, and what a drop-in takes out has no value any more.
    #[must_use]
    pub fn defaults_as_in_a_file(&self, path: &str) -> bool {
        let is_above = |taken: &String| {
            path.strip_prefix(taken.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.of_file || self.taken_out.iter().any(is_above)
    }
}

/// Returns the texts of a value: several of a list.
fn items_of(node: &YamlNode) -> Vec<String> {
    match &node.value {
        YamlValue::List(items) => items.iter().map(YamlNode::go_text).collect(),
        _ => vec![node.go_text()],
    }
}

#[cfg(test)]
mod tests {
    use super::super::kubelet_documents::MergedDocuments;
    use super::super::kubelet_fields;
    use super::super::object::ObjectFile;
    use super::*;

    #[test]
    fn a_drop_in_is_a_merge_patch() {
        let config = |texts: &[&str]| {
            let mut merged = MergedDocuments::default();
            texts.iter().for_each(|text| merged.add(ObjectFile::read(text.as_bytes()).unwrap().root));
            let decoded = kubelet_fields::decode(merged.root(), KubernetesMinor::new(33));
            KubeletConfig::of_fields(&decoded.fields, &|position| {
                let (file, position) = MergedDocuments::place(position);
                Some(Place { file: format!("/{file}"), position: Some(position) })
            })
        };
        let first =
            "authentication:\n  anonymous: {enabled: false}\n  webhook: {enabled: true}\nclusterDNS: [a]\n";
        let second = "authentication:\n  anonymous: {enabled: true}\n  webhook: null\nclusterDNS: [b, c]\n";
        let merged = config(&[first, second]);
        let place = Place { file: "/1".into(), position: Some((2, 24)) };
        let enabled = KubeletField { items: vec!["true".into()], place: Some(place) };
        assert_eq!(merged.get("authentication.anonymous.enabled"), Some(&enabled));
        assert_eq!(merged.get("authentication.webhook.enabled"), None);
        assert_eq!(merged.get("clusterDNS").unwrap().items, ["b", "c"]);
        let gates = config(&["featureGates: {A: true, B: false}\nevictionHard: {c: d}\n"]);
        let gates =
            gates.below("featureGates").map(|(name, field)| format!("{name}={}", field.items.join(",")));
        assert_eq!(gates.collect::<Vec<_>>(), ["A=true", "B=false"]);
        let merged = config(&[first, "authentication: 3\n"]);
        assert_eq!(merged.get("authentication.anonymous.enabled"), None);
    }

    #[test]
    fn what_is_merged_in_counts_in_the_order_of_the_text() {
        for (text, enabled) in [
            ("webhook: &on {enabled: true}\n  anonymous: {<<: *on}", "true"),
            ("anonymous: {<<: {enabled: true}, enabled: false}", "false"),
            ("anonymous: {enabled: false, <<: {enabled: true}}", "true"),
            ("anonymous: {<<: [{enabled: false}, {enabled: true}]}", "false"),
            ("anonymous: {<<: {<<: {enabled: true}, enabled: false}}", "false"),
        ] {
            let file = ObjectFile::read(format!("authentication:\n  {text}\n").as_bytes()).unwrap();
            let decoded = kubelet_fields::decode(&file.root, KubernetesMinor::new(33));
            let config = KubeletConfig::of_fields(&decoded.fields, &|_| None);
            assert_eq!(config.get("authentication.anonymous.enabled").unwrap().items, [enabled], "{text}");
        }
    }
}
