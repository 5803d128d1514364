// SPDX-License-Identifier: Apache-2.0
//! The configuration of the admission plugin ImagePolicyWebhook, which has no API version: Go's own JSON reader takes the
//! field `imagePolicy`, letter case apart, and drops what it does not know.
//!
//! Source: plugin/pkg/admission/imagepolicy of Kubernetes.

use super::object::{self, Fault, Located, ObjectFile, json_type, whole_number};
use super::scalar::Scalar;
use super::yaml::{YamlNode, YamlValue};

/// The field with the configuration.
pub const FIELD: &str = "imagePolicy";
/// The field that names the kubeconfig.
pub const KUBECONFIG: &str = "kubeConfigFile";

/// The fields that are numbers: each with its unit in nanoseconds, and the least and the most nanoseconds that it may be.
const NUMBERS: [(&str, i64, i64, i64); 3] = [
    ("retryBackoff", 1_000_000, 1, 300_000_000_000),
    ("allowTTL", 1_000_000_000, 1_000_000_000, 1_800_000_000_000),
    ("denyTTL", 1_000_000_000, 1_000_000_000, 1_800_000_000_000),
];
/// The number that stands for the default, and the one that switches off.
const ALWAYS_TAKEN: [i64; 2] = [0, -1];

/// Checks a configuration as the plugin does. Returns the kubeconfig that it names, which is empty if it names none.
///
/// # Errors
/// Why the plugin refuses it.
pub fn read(document: &ObjectFile) -> Result<Located<String>, Fault> {
    let root = &document.root;
    let policy = inner(root, FIELD)?;
    let Some(policy) = policy else {
        return Ok(Located { value: String::new(), position: root.position });
    };
    let numbers = NUMBERS.map(|(name, ..)| member(policy, name));
    let file = member(policy, KUBECONFIG);
    let is_text = |node: &YamlNode| matches!(&node.value, YamlValue::Scalar(Scalar::Text(_)));
    let is_bool = |node: &YamlNode| matches!(&node.value, YamlValue::Scalar(Scalar::Bool(_)));
    if let Some(file) = file.filter(|file| !is_text(file)) {
        return Err(mismatch(file, KUBECONFIG, "string"));
    }
    if let Some(allow) = member(policy, "defaultAllow").filter(|allow| !is_bool(allow)) {
        return Err(mismatch(allow, "defaultAllow", "bool"));
    }
    let mut read = Vec::new();
    for (row, node) in NUMBERS.into_iter().zip(numbers) {
        let Some(node) = node else { continue };
        let number = whole_number(&node.value, document.is_json());
        read.push((row, node, number.ok_or_else(|| mismatch(node, row.0, "time.Duration"))?));
    }
    for ((name, unit, least, most), node, number) in read {
        let scaled = number.wrapping_mul(unit);
        if !ALWAYS_TAKEN.contains(&number) && !(least..=most).contains(&scaled) {
            let message = format!(
                "{name}: valid value is between {} and {}, got {number}",
                (least / unit).max(1),
                most / unit
            );
            return Err(Fault::new(node.position, message));
        }
    }
    Ok(Located {
        value: file.map_or("", object::node_text).to_owned(),
        position: file.unwrap_or(policy).position,
    })
}

/// Returns a field that is set: the last of its name, letter case apart.
fn member<'a>(node: &'a YamlNode, name: &str) -> Option<&'a YamlNode> {
    let YamlValue::Map(pairs) = &node.value else { return None };
    let (_, value) = pairs.iter().rev().find(|(key, _)| key.go_text().eq_ignore_ascii_case(name))?;
    (!value.is_null()).then_some(value)
}

/// Returns a field that is a mapping.
fn inner<'a>(root: &'a YamlNode, name: &str) -> Result<Option<&'a YamlNode>, Fault> {
    let is_map = |node: &YamlNode| matches!(&node.value, YamlValue::Map(_));
    if !is_map(root) && !root.is_null() {
        return Err(mismatch(root, "", "imagepolicy.AdmissionConfig"));
    }
    match member(root, name) {
        Some(node) if !is_map(node) => Err(mismatch(node, name, "imagepolicy.imagePolicyWebhookConfig")),
        found => Ok(found),
    }
}

fn mismatch(node: &YamlNode, name: &str, of: &str) -> Fault {
    let message =
        format!("json: cannot unmarshal {} into Go struct field {name} of type {of}", json_type(node));
    Fault::new(node.position, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<String, String> {
        let read = read(&ObjectFile::read(text.as_bytes()).unwrap());
        read.map(|found| found.value).map_err(|fault| fault.message)
    }

    #[test]
    fn times_have_bounds_of_their_own() {
        for (good, named) in [
            ("imagePolicy: {kubeConfigFile: /a}", "/a"),
            ("ImagePolicy: {kubeconfigfile: /a, allowTTL: 1800, denyTTL: 1, retryBackoff: 300000}", "/a"),
            ("imagePolicy: {allowTTL: -1, denyTTL: 0, retryBackoff: -1, unknown: a}", ""),
            ("other: 1", ""),
        ] {
            assert_eq!(file(good).as_deref(), Ok(named), "{good}");
        }
        for bad in [
            "imagePolicy: {allowTTL: 1801}",
            "imagePolicy: {denyTTL: -2}",
            "imagePolicy: {retryBackoff: 300001}",
            "imagePolicy: {retryBackoff: 1.5}",
            "imagePolicy: {allowTTL: 30s}",
            "imagePolicy: {defaultAllow: 'no'}",
            "imagePolicy: {kubeConfigFile: 5}",
            "imagePolicy: []",
            "[]",
        ] {
            assert!(file(bad).is_err(), "{bad}");
        }
    }
}
