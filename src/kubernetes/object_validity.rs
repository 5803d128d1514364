// SPDX-License-Identifier: Apache-2.0
//! What the API server refuses of an object of a manifest whose kind it serves, as far as an object that is there could count:
//! names and labels of every kind, and network policies. A field that it does not know it drops.
//!
//! Source: the types of k8s.io/api; ValidateObjectMeta of k8s.io/apimachinery; ValidateNetworkPolicy in
//! pkg/apis/networking/validation and ValidateServiceAccountName, ValidateNamespaceName in pkg/apis/core/validation.

use serde_json::Value;

use super::names;
use super::served_kinds::group_and_version;

/// The most directions that a network policy lists.
const MAX_POLICY_TYPES: usize = 2;

/// Returns why the API server refuses an object; none if nothing of what is looked at is wrong.
#[must_use]
pub fn refused(object: &Value) -> Option<String> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let (group, _) = group_and_version(text("apiVersion"));
    refused_name(object, (group, text("kind"))).or_else(|| refused_metadata(object)).or_else(|| {
        match (group, text("kind")) {
            ("networking.k8s.io", "NetworkPolicy") => refused_policy(object.get("spec")?),
            ("", "ServiceAccount") => {
                wrong_type(object, "automountServiceAccountToken", Value::is_boolean, "true or false")
            }
            _ => None,
        }
    })
}

fn refused_name(object: &Value, kind: (&str, &str)) -> Option<String> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str)?;
    let (is_fine, what) = match kind {
        ("", "Namespace") => (names::is_label(name), "a label of RFC 1123"),
        ("", "ServiceAccount") | ("networking.k8s.io", "NetworkPolicy") => {
            (names::is_subdomain(name), "a subdomain of RFC 1123")
        }
        _ => return None,
    };
    (!is_fine).then(|| format!("metadata.name: Invalid value: {name:?}: it has to be {what}"))
}

fn refused_metadata(object: &Value) -> Option<String> {
    let metadata = object.get("metadata").filter(|metadata| !metadata.is_null())?;
    for name in ["name", "namespace", "generateName"] {
        if let Some(fault) = wrong_type(metadata, name, Value::is_string, "a text") {
            return Some(format!("metadata.{fault}"));
        }
    }
    for name in ["labels", "annotations"] {
        if let Some(fault) = wrong_texts(metadata, name) {
            return Some(format!("metadata.{fault}"));
        }
    }
    wrong_labels(metadata.get("labels")).map(|fault| format!("metadata.labels: {fault}"))
}

/// Returns the fault of labels that are a mapping of texts.
fn wrong_labels(labels: Option<&Value>) -> Option<String> {
    labels?.as_object()?.iter().find_map(|(key, value)| {
        let is_fine = names::is_qualified(key) && value.as_str().is_none_or(names::is_label_value);
        (!is_fine).then(|| format!("Invalid value: {key:?}: {value}"))
    })
}

fn refused_policy(spec: &Value) -> Option<String> {
    let of_spec = |fault: String| format!("spec.{fault}");
    if !spec.is_object() && !spec.is_null() {
        return Some(mismatch("spec", spec, "a mapping"));
    }
    if let Some(fault) = refused_selector(spec, "podSelector") {
        return Some(of_spec(fault));
    }
    for name in ["policyTypes", "ingress", "egress"] {
        if let Some(fault) = wrong_type(spec, name, Value::is_array, "a list") {
            return Some(of_spec(fault));
        }
    }
    let types = items(spec, "policyTypes");
    if types.len() > MAX_POLICY_TYPES {
        return Some("spec.policyTypes: Invalid value: may not specify more than two policyTypes".to_owned());
    }
    if let Some(other) = types.iter().find(|kind| !matches!(kind.as_str(), Some("Ingress" | "Egress"))) {
        return Some(format!(
            "spec.policyTypes: Unsupported value: {other}: supported values: \"Egress\", \"Ingress\""
        ));
    }
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in items(spec, direction) {
            if !rule.is_object() && !rule.is_null() {
                return Some(of_spec(mismatch(direction, rule, "mappings")));
            }
            for name in [peers, "ports"] {
                if let Some(fault) = wrong_type(rule, name, Value::is_array, "a list") {
                    return Some(format!("spec.{direction}.{fault}"));
                }
            }
            if let Some(fault) = items(rule, peers).iter().find_map(refused_peer) {
                return Some(format!("spec.{direction}.{peers}: {fault}"));
            }
        }
    }
    None
}

/// Returns the items of a list, which may be missing.
fn items<'v>(node: &'v Value, name: &str) -> &'v [Value] {
    node.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn refused_peer(peer: &Value) -> Option<String> {
    let has = |name: &str| peer.get(name).is_some_and(|value| !value.is_null());
    let is_selector = has("podSelector") || has("namespaceSelector");
    if has("ipBlock") == is_selector {
        let why =
            if is_selector { "may not specify both ipBlock and another peer" } else { "must specify a peer" };
        return Some(why.to_owned());
    }
    ["podSelector", "namespaceSelector"].into_iter().find_map(|name| refused_selector(peer, name))
}

fn refused_selector(node: &Value, name: &str) -> Option<String> {
    let selector = node.get(name).filter(|selector| !selector.is_null())?;
    if !selector.is_object() {
        return Some(mismatch(name, selector, "a mapping"));
    }
    let fault = wrong_texts(selector, "matchLabels")
        .or_else(|| wrong_labels(selector.get("matchLabels")))
        .or_else(|| wrong_type(selector, "matchExpressions", Value::is_array, "a list"))
        .or_else(|| selector.get("matchExpressions")?.as_array()?.iter().find_map(refused_expression));
    fault.map(|fault| format!("{name}.{fault}"))
}

/// `ValidateLabelSelectorRequirement`.
fn refused_expression(expression: &Value) -> Option<String> {
    let text = |name: &str| expression.get(name).and_then(Value::as_str).unwrap_or_default();
    let has_values =
        expression.get("values").and_then(Value::as_array).is_some_and(|values| !values.is_empty());
    let is_fine = names::is_qualified(text("key"))
        && match text("operator") {
            "In" | "NotIn" => has_values,
            "Exists" | "DoesNotExist" => !has_values,
            _ => false,
        };
    (!is_fine).then(|| format!("matchExpressions: Invalid value: {expression}"))
}

/// Returns the fault of a field that has to be a mapping of texts.
fn wrong_texts(node: &Value, name: &str) -> Option<String> {
    let value = node.get(name).filter(|value| !value.is_null())?;
    let Some(pairs) = value.as_object() else { return Some(mismatch(name, value, "a mapping")) };
    let is_wrong = |(_, value): &(&String, &Value)| !value.is_string() && !value.is_null();
    pairs.iter().find(is_wrong).map(|(key, value)| mismatch(&format!("{name}.{key}"), value, "a text"))
}

/// Returns the fault of a field of another type; null is no value.
fn wrong_type(node: &Value, name: &str, is_it: fn(&Value) -> bool, what: &str) -> Option<String> {
    let value = node.get(name).filter(|value| !value.is_null() && !is_it(value))?;
    Some(mismatch(name, value, what))
}

fn mismatch(name: &str, value: &Value, what: &str) -> String {
    format!("{name}: it takes {what}, not {value}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(spec: &Value) -> Value {
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "all", "namespace": "default"},
            "spec": spec,
        })
    }

    #[test]
    fn policies_that_the_api_server_takes() {
        for spec in [
            json!({}),
            json!(null),
            json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
            json!({"podSelector": {"matchLabels": {"a/b": "c"}}, "unknown": 1}),
            json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}}),
            json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}),
            json!({"ingress": [{}, {"from": [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}),
            json!({"egress": [{"to": [], "ports": [{"port": 53}]}]}),
        ] {
            assert_eq!(refused(&policy(&spec)), None, "{spec}");
        }
    }

    #[test]
    fn policies_that_the_api_server_refuses() {
        for spec in [
            json!(5),
            json!([]),
            json!({"podSelector": []}),
            json!({"podSelector": {"matchLabels": {"a": 1}}}),
            json!({"podSelector": {"matchLabels": {"a b": "c"}}}),
            json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}),
            json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
            json!({"policyTypes": "Ingress"}),
            json!({"policyTypes": ["ingress"]}),
            json!({"policyTypes": ["Ingress", "Egress", "Ingress"]}),
            json!({"ingress": {}}),
            json!({"ingress": [{"from": [{}]}]}),
            json!({"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}]}),
        ] {
            assert!(refused(&policy(&spec)).is_some(), "{spec}");
        }
    }

    #[test]
    fn names_and_labels_count_for_each_kind() {
        let named = |version: &str, kind: &str, metadata: Value| {
            refused(&json!({"apiVersion": version, "kind": kind, "metadata": metadata})).is_some()
        };
        assert!(named("v1", "Namespace", json!({"name": "a.b"})));
        assert!(!named("v1", "ServiceAccount", json!({"name": "a.b"})));
        assert!(named("v1", "ServiceAccount", json!({"name": "A"})));
        assert!(named("v1", "ServiceAccount", json!({"name": 5})));
        assert!(!named("rbac.authorization.k8s.io/v1", "ClusterRole", json!({"name": "a:B"})));
        assert!(named("v1", "ConfigMap", json!({"name": "a", "labels": {"a": 1}})));
        assert!(named("v1", "ConfigMap", json!({"name": "a", "labels": {"a": "b c"}})));
        assert!(named("v1", "ConfigMap", json!({"name": "a", "annotations": {"a": true}})));
        assert!(!named(
            "v1",
            "ConfigMap",
            json!({"name": "a", "labels": {"a": null}, "annotations": {"A": "b c"}})
        ));
        let account = |value: Value| {
            let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}, "automountServiceAccountToken": value});
            refused(&object).is_some()
        };
        assert!(
            account(json!("false")) && account(json!(0)) && !account(json!(false)) && !account(json!(null))
        );
    }
}
