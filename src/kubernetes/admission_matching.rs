// SPDX-License-Identifier: Apache-2.0
//! What an admission policy or a binding matches: selectors of labels, and rules of resources and operations
//! (`validateMatchResources` in pkg/apis/admissionregistration/validation of k8s.io/kubernetes).

use std::collections::HashSet;

use super::names;
use super::object::{self, Fault, field, node_text};
use super::scalar::Scalar;
use super::yaml::{YamlNode, YamlValue};

/// Returns an object without fields at the place of another one.
pub(super) fn at(node: &YamlNode) -> YamlNode {
    YamlNode { value: YamlValue::Scalar(Scalar::Null), position: node.position }
}

/// Refuses the value of a field of the object at `path`.
pub(super) fn invalid<T>(node: &YamlNode, path: &str, name: &str, why: &str) -> Result<T, Fault> {
    let value = match field(node, name).map(|node| &node.value) {
        Some(YamlValue::Scalar(scalar)) => format!("{:?}: ", scalar.go_text()),
        _ => String::new(),
    };
    let message = format!("{path}.{name}: Invalid value: {value}{why}");
    Err(Fault::new(object::position_of(node, name), message))
}

/// Refuses a field that is not there or empty.
pub(super) fn required<T>(node: &YamlNode, path: &str, name: &str, why: &str) -> Result<T, Fault> {
    let colon = if why.is_empty() { "" } else { ": " };
    let message = format!("{path}.{name}: Required value{colon}{why}");
    Err(Fault::new(object::position_of(node, name), message))
}

/// Refuses a text that is there and none of the known ones.
pub(super) fn unsupported(node: &YamlNode, path: &str, name: &str, known: &[&str]) -> Result<(), Fault> {
    let Some(found) = field(node, name) else { return Ok(()) };
    let text = node_text(found);
    if known.contains(&text) {
        return Ok(());
    }
    let known: Vec<String> = known.iter().map(|known| format!("{known:?}")).collect();
    let message =
        format!("{path}.{name}: Unsupported value: {text:?}: supported values: {}", known.join(", "));
    Err(Fault::new(found.position, message))
}

/// `ValidateLabels` of a field.
pub(super) fn labels(node: &YamlNode, path: &str, name: &str) -> Result<(), Fault> {
    let Some(YamlNode { value: YamlValue::Map(pairs), .. }) = field(node, name) else { return Ok(()) };
    for (key, value) in pairs {
        let refuse = |node: &YamlNode, what: &str| {
            let message = format!("{path}.{name}: Invalid value: {:?}: {what}", node.go_text());
            Err(Fault::new(node.position, message))
        };
        if !names::is_qualified(&key.go_text()) {
            return refuse(key, "no qualified name");
        }
        if !names::is_label_value(node_text(value)) {
            return refuse(value, "no valid label");
        }
    }
    Ok(())
}

/// Validates what is matched.
///
/// # Errors
/// The first thing that the API server refuses.
pub(super) fn resources(matched: &YamlNode, path: &str) -> Result<(), Fault> {
    unsupported(matched, path, "matchPolicy", &["Equivalent", "Exact"])?;
    for name in ["namespaceSelector", "objectSelector"] {
        field(matched, name).map_or(Ok(()), |found| selector(found, &format!("{path}.{name}")))?;
    }
    for name in ["resourceRules", "excludeResourceRules"] {
        for (index, found) in object::items(matched, name).iter().enumerate() {
            rule(found, &format!("{path}.{name}[{index}]"))?;
        }
    }
    Ok(())
}

/// `ValidateLabelSelector`.
fn selector(selector: &YamlNode, path: &str) -> Result<(), Fault> {
    labels(selector, path, "matchLabels")?;
    for (index, one) in object::items(selector, "matchExpressions").iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let values = object::texts(one, "values");
        match object::text(one, "operator") {
            "In" | "NotIn" if values.is_empty() => {
                return required(
                    one,
                    &path,
                    "values",
                    "must be specified when `operator` is 'In' or 'NotIn'",
                );
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let message = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                let message = format!("{path}.values: Forbidden: {message}");
                return Err(Fault::new(object::position_of(one, "values"), message));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => return invalid(one, &path, "operator", "not a valid selector operator"),
        }
        if !names::is_qualified(object::text(one, "key")) {
            return invalid(one, &path, "key", "no qualified name");
        }
        if values.iter().any(|value| !names::is_label_value(value)) {
            return invalid(one, &path, "values", "no valid label");
        }
    }
    Ok(())
}

/// `validateNamedRuleWithOperations`.
fn rule(rule: &YamlNode, path: &str) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    for name in object::texts(rule, "resourceNames") {
        if matches!(name.as_str(), "." | "..") || name.contains(['/', '%']) {
            return invalid(rule, path, "resourceNames", &format!("{name:?} may not be a part of a path"));
        }
        if !seen.insert(name.clone()) {
            let message = format!("{path}.resourceNames: Duplicate value: {name:?}");
            return Err(Fault::new(object::position_of(rule, "resourceNames"), message));
        }
    }
    let operations = not_empty(rule, path, "operations")?;
    alone(rule, path, ("operations", &operations), "operations")?;
    if let Some(found) = operations
        .iter()
        .find(|text| !["*", "CONNECT", "CREATE", "DELETE", "UPDATE"].contains(&text.as_str()))
    {
        let message = format!("{path}.operations: Unsupported value: {found:?}");
        return Err(Fault::new(object::position_of(rule, "operations"), message));
    }
    let groups = not_empty(rule, path, "apiGroups")?;
    alone(rule, path, ("apiGroups", &groups), "API groups")?;
    let versions = not_empty(rule, path, "apiVersions")?;
    alone(rule, path, ("apiVersions", &versions), "API versions")?;
    if versions.iter().any(String::is_empty) {
        return required(rule, path, "apiVersions", "one of them is empty");
    }
    resource_names(rule, path)?;
    unsupported(rule, path, "scope", &["*", "Cluster", "Namespaced"])
}

fn not_empty(rule: &YamlNode, path: &str, name: &str) -> Result<Vec<String>, Fault> {
    let found = object::texts(rule, name);
    if found.is_empty() { required(rule, path, name, "") } else { Ok(found) }
}

/// Refuses a star beside others.
fn alone(rule: &YamlNode, path: &str, (name, found): (&str, &[String]), what: &str) -> Result<(), Fault> {
    if found.len() > 1 && found.iter().any(|text| text == "*") {
        return invalid(rule, path, name, &format!("if '*' is present, must not specify other {what}"));
    }
    Ok(())
}

/// `validateResources`.
fn resource_names(rule: &YamlNode, path: &str) -> Result<(), Fault> {
    const NAME: &str = "resources";
    let found = not_empty(rule, path, NAME)?;
    let (mut all_below, mut below_all) = (HashSet::new(), HashSet::new());
    // As Kubernetes has it: of the resources without a part below them, the last decides.
    let mut has_whole = false;
    for text in &found {
        if text.is_empty() {
            return required(rule, path, NAME, "one of them is empty");
        }
        let Some((resource, below)) = text.split_once('/') else {
            has_whole = text != "*";
            continue;
        };
        if all_below.contains(resource) {
            let message = format!("if '{resource}/*' is present, must not specify {text}");
            return invalid(rule, path, NAME, &message);
        }
        if below_all.contains(below) {
            let message = format!("if '*/{below}' is present, must not specify {text}");
            return invalid(rule, path, NAME, &message);
        }
        if below == "*" {
            all_below.insert(resource);
        }
        if resource == "*" {
            below_all.insert(below);
        }
    }
    if found.len() > 1 && found.iter().any(|text| text == "*/*") {
        return invalid(rule, path, NAME, "if '*/*' is present, must not specify other resources");
    }
    if has_whole && found.iter().any(|text| text == "*") {
        let message = "if '*' is present, must not specify other resources without subresources";
        return invalid(rule, path, NAME, message);
    }
    Ok(())
}
