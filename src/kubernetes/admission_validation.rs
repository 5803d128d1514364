// SPDX-License-Identifier: Apache-2.0
//! What the API server asks of an admission policy, a binding or a webhook configuration: the validation that follows the
//! defaults (`pkg/apis/admissionregistration/validation` of k8s.io/kubernetes), and what files may not say.

use std::collections::HashSet;

use super::admission_matching::{self, at, invalid, required, unsupported};
use super::admission_parts::{SUFFIX, UnjudgedPart, located};
use super::cel::{self, CelVerdict};
use super::cel_admission::AdmissionExpressions;
use super::names;
use super::object::{self, Fault, Located, field, node_text};
use super::yaml::{YamlNode, YamlValue};
use crate::version::KubernetesMinor;

const MAX_ANNOTATION_BYTES: usize = 256 * 1024;
const MAX_MATCH_CONDITIONS: usize = 64;
const MAX_AUDIT_ANNOTATIONS: usize = 20;
const MAX_AUDIT_EXPRESSION: usize = 5 * 1024;

/// Validates an object of a kind that was decoded, and adds the parts that are not judged.
///
/// # Errors
/// The first thing that the API server refuses.
pub(super) fn validate(
    kind: &str,
    item: &YamlNode,
    minor: KubernetesMinor,
    parts: &mut Vec<UnjudgedPart>,
) -> Result<(), Fault> {
    let empty = at(item);
    metadata(field(item, "metadata").unwrap_or(&empty), parts)?;
    let spec = field(item, "spec").unwrap_or(&empty);
    status(item, parts);
    match kind {
        "ValidatingAdmissionPolicy" => policy(item, spec, minor, parts),
        "ValidatingAdmissionPolicyBinding" => {
            binding(spec)?;
            actions(spec)
        }
        "MutatingAdmissionPolicyBinding" => {
            binding(spec)?;
            mutating_operations(spec)
        }
        "MutatingAdmissionPolicy" => {
            parts.push(UnjudgedPart {
                what: "the spec of a MutatingAdmissionPolicy",
                position: spec.position,
            });
            Ok(())
        }
        _ => {
            let hooks = object::items(item, "webhooks");
            parts.extend(
                hooks.first().map(|hook| UnjudgedPart { what: "a webhook", position: hook.position }),
            );
            Ok(())
        }
    }
}

/// Checks what objects in files may not say, and returns the policy that a binding names.
///
/// # Errors
/// Parameters, and webhooks that are no URLs.
pub(super) fn check_static(
    kind: &str,
    name: &str,
    item: &YamlNode,
) -> Result<Option<Located<String>>, Fault> {
    let empty = at(item);
    let spec = field(item, "spec").unwrap_or(&empty);
    let parameters = |prefix: String, name: &str| match field(spec, name) {
        None => Ok(()),
        Some(node) => {
            let message = format!("{prefix}: spec.{name} is not supported for static manifests");
            Err(Fault::new(node.position, message))
        }
    };
    if kind.ends_with("Binding") {
        parameters(format!("binding {name:?}"), "paramRef")?;
        let policy = located(spec, "policyName");
        if !policy.value.ends_with(SUFFIX) {
            let message =
                format!("binding {name:?}: spec.policyName {:?} must end with {SUFFIX:?}", policy.value);
            return Err(Fault::new(policy.position, message));
        }
        return Ok(Some(policy));
    }
    parameters(format!("{kind} {name:?}"), "paramKind")?;
    for hook in object::items(item, "webhooks") {
        let config = field(hook, "clientConfig");
        let refuse = |what: &str| {
            let message =
                format!("webhook {:?} in {name:?}: clientConfig.{what}", object::text(hook, "name"));
            Err(Fault::new(config.unwrap_or(hook).position, message))
        };
        if config.is_some_and(|config| field(config, "service").is_some()) {
            return refuse("service is not supported for static manifests; use clientConfig.url instead");
        }
        if config.is_none_or(|config| object::text(config, "url").is_empty()) {
            return refuse("url is required for static manifests");
        }
    }
    Ok(None)
}

/// `ValidateObjectMeta` of an object without a namespace, whose name is a subdomain.
fn metadata(metadata: &YamlNode, parts: &mut Vec<UnjudgedPart>) -> Result<(), Fault> {
    let generated = located(metadata, "generateName");
    // What is generated replaces a dash at the end.
    let masked = match generated.value.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let kept = rest.char_indices().next_back().map_or(0, |(at, _)| at);
            format!("{}a", &rest[..kept])
        }
        _ => generated.value.clone(),
    };
    if !masked.is_empty() && !names::is_subdomain(&masked) {
        return invalid(metadata, "metadata", "generateName", "must be a lowercase RFC 1123 subdomain");
    }
    let name = object::text(metadata, "name");
    if name.is_empty() {
        return required(metadata, "metadata", "name", "name or generateName is required");
    }
    if !names::is_subdomain(name) {
        return invalid(metadata, "metadata", "name", "must be a lowercase RFC 1123 subdomain");
    }
    if !object::text(metadata, "namespace").is_empty() {
        let message = "metadata.namespace: Forbidden: not allowed on this type";
        return Err(Fault::new(object::position_of(metadata, "namespace"), message));
    }
    if object::number(metadata, "generation") < 0 {
        return invalid(metadata, "metadata", "generation", "must be greater than or equal to 0");
    }
    admission_matching::labels(metadata, "metadata", "labels")?;
    annotations(metadata)?;
    finalizers(metadata)?;
    let unjudged = |what, node: &YamlNode| UnjudgedPart { what, position: node.position };
    for (name, what) in [("ownerReferences", "an owner reference"), ("managedFields", "a managed field")] {
        parts.extend(object::items(metadata, name).first().map(|node| unjudged(what, node)));
    }
    for name in ["creationTimestamp", "deletionTimestamp"] {
        parts.extend(field(metadata, name).map(|node| unjudged("a time", node)));
    }
    Ok(())
}

fn annotations(metadata: &YamlNode) -> Result<(), Fault> {
    let Some(YamlNode { value: YamlValue::Map(pairs), .. }) = field(metadata, "annotations") else {
        return Ok(());
    };
    if let Some((key, _)) = pairs.iter().find(|(key, _)| !names::is_qualified(&key.go_text().to_lowercase()))
    {
        let message = format!("metadata.annotations: Invalid value: {:?}: no qualified name", key.go_text());
        return Err(Fault::new(key.position, message));
    }
    let size: usize = pairs.iter().map(|(key, value)| key.go_text().len() + node_text(value).len()).sum();
    if size > MAX_ANNOTATION_BYTES {
        return invalid(metadata, "metadata", "annotations", "may not be more than 262144 bytes");
    }
    Ok(())
}

fn finalizers(metadata: &YamlNode) -> Result<(), Fault> {
    let found = object::located_texts(metadata, "finalizers");
    if found.iter().any(|one| !names::is_qualified(&one.value)) {
        return invalid(metadata, "metadata", "finalizers", "no qualified name");
    }
    if ["orphan", "foregroundDeletion"].iter().all(|name| found.iter().any(|one| one.value == *name)) {
        return invalid(
            metadata,
            "metadata",
            "finalizers",
            "orphan and foregroundDeletion cannot be both set",
        );
    }
    Ok(())
}

/// Of a status, only its times can be wrong.
fn status(item: &YamlNode, parts: &mut Vec<UnjudgedPart>) {
    let conditions = field(item, "status").map(|status| object::items(status, "conditions"));
    let first = conditions.and_then(<[YamlNode]>::first);
    parts.extend(first.map(|node| UnjudgedPart { what: "a time", position: node.position }));
}

/// `validateValidatingAdmissionPolicySpec`.
fn policy(
    item: &YamlNode,
    spec: &YamlNode,
    minor: KubernetesMinor,
    parts: &mut Vec<UnjudgedPart>,
) -> Result<(), Fault> {
    unsupported(spec, "spec", "failurePolicy", &["Fail", "Ignore"])?;
    let Some(constraints) = field(spec, "matchConstraints") else {
        return required(spec, "spec", "matchConstraints", "");
    };
    admission_matching::resources(constraints, "spec.matchConstraints")?;
    if object::items(constraints, "resourceRules").is_empty() {
        return required(constraints, "spec.matchConstraints", "resourceRules", "");
    }
    let mut expressions = AdmissionExpressions::new(minor, !object::items(spec, "variables").is_empty());
    match_conditions(spec, &expressions, parts)?;
    variables(spec, &mut expressions, parts)?;
    let (validations, audits) = (object::items(spec, "validations"), object::items(spec, "auditAnnotations"));
    if validations.is_empty() && audits.is_empty() {
        let message = "validations or auditAnnotations must contain at least one item";
        return required(spec, "spec", "validations", message);
    }
    for (index, validation) in validations.iter().enumerate() {
        one_validation(validation, &format!("spec.validations[{index}]"), &expressions, parts)?;
    }
    let name = field(item, "metadata").map_or("", |metadata| object::text(metadata, "name"));
    audit_annotations(spec, audits, name, &expressions, parts)
}

/// Judges an expression of a field.
fn expression(
    node: &YamlNode,
    (path, name): (&str, &str),
    judged: CelVerdict,
    parts: &mut Vec<UnjudgedPart>,
) -> Result<(), Fault> {
    match judged {
        CelVerdict::Compiles => Ok(()),
        CelVerdict::Fails(reason) => invalid(node, path, name, &reason),
        CelVerdict::Unknown => {
            parts.push(UnjudgedPart { what: "an expression", position: object::position_of(node, name) });
            Ok(())
        }
    }
}

fn match_conditions(
    spec: &YamlNode,
    expressions: &AdmissionExpressions,
    parts: &mut Vec<UnjudgedPart>,
) -> Result<(), Fault> {
    let conditions = object::items(spec, "matchConditions");
    if conditions.len() > MAX_MATCH_CONDITIONS {
        return invalid(spec, "spec", "matchConditions", "must have at most 64 items");
    }
    let mut seen = HashSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        let path = format!("spec.matchConditions[{index}]");
        let text = object::text(condition, "expression").trim();
        if text.is_empty() {
            return required(condition, &path, "expression", "");
        }
        expression(condition, (&path, "expression"), expressions.condition(text), parts)?;
        let name = object::text(condition, "name");
        if name.is_empty() {
            return required(condition, &path, "name", "");
        }
        if !names::is_qualified(name) {
            return invalid(condition, &path, "name", "no qualified name");
        }
        if !seen.insert(name) {
            let message = format!("{path}.name: Duplicate value: {name:?}");
            return Err(Fault::new(object::position_of(condition, "name"), message));
        }
    }
    Ok(())
}

fn variables(
    spec: &YamlNode,
    expressions: &mut AdmissionExpressions,
    parts: &mut Vec<UnjudgedPart>,
) -> Result<(), Fault> {
    for (index, variable) in object::items(spec, "variables").iter().enumerate() {
        let path = format!("spec.variables[{index}]");
        let name = object::text(variable, "name");
        if name.trim().is_empty() {
            return required(variable, &path, "name", "name is not specified");
        }
        if !cel::is_identifier(name) {
            return invalid(variable, &path, "name", "must be a valid CEL identifier");
        }
        let text = object::text(variable, "expression");
        if text.trim().is_empty() {
            return required(variable, &path, "expression", "expression is not specified");
        }
        expression(variable, (&path, "expression"), expressions.variable(name, text), parts)?;
    }
    Ok(())
}

fn one_validation(
    validation: &YamlNode,
    path: &str,
    expressions: &AdmissionExpressions,
    parts: &mut Vec<UnjudgedPart>,
) -> Result<(), Fault> {
    let text = object::text(validation, "expression");
    if text.trim().is_empty() {
        return required(validation, path, "expression", "expression is not specified");
    }
    expression(validation, (path, "expression"), expressions.validation(text), parts)?;
    let text = object::text(validation, "messageExpression");
    if !text.is_empty() {
        if text.trim().is_empty() {
            return invalid(validation, path, "messageExpression", "must be non-empty if specified");
        }
        expression(validation, (path, "messageExpression"), expressions.message(text), parts)?;
    }
    let message = object::text(validation, "message");
    if !message.is_empty() && message.trim().is_empty() {
        return invalid(validation, path, "message", "must be non-empty if specified");
    }
    if message.trim().contains(['\n', '\r']) {
        return invalid(validation, path, "message", "must not contain line breaks");
    }
    unsupported(validation, path, "reason", &["Forbidden", "Invalid", "RequestEntityTooLarge"])
}

fn audit_annotations(
    spec: &YamlNode,
    audits: &[YamlNode],
    policy: &str,
    expressions: &AdmissionExpressions,
    parts: &mut Vec<UnjudgedPart>,
) -> Result<(), Fault> {
    if audits.len() > MAX_AUDIT_ANNOTATIONS {
        return invalid(spec, "spec", "auditAnnotations", "must not have more than 20 auditAnnotations");
    }
    let mut seen = HashSet::new();
    for (index, audit) in audits.iter().enumerate() {
        let path = format!("spec.auditAnnotations[{index}]");
        let key = object::text(audit, "key");
        if !names::is_qualified(&format!("{policy}/{key}")) {
            return invalid(audit, &path, "key", "no qualified name with the name of the policy before it");
        }
        let text = object::text(audit, "valueExpression").trim();
        if text.is_empty() {
            return required(audit, &path, "valueExpression", "valueExpression is not specified");
        }
        if text.len() > MAX_AUDIT_EXPRESSION {
            return required(audit, &path, "valueExpression", "must not exceed 5120 bytes in length");
        }
        expression(audit, (&path, "valueExpression"), expressions.audit(text), parts)?;
        if !seen.insert(key) {
            let message = format!("{path}.key: Duplicate value: {key:?}");
            return Err(Fault::new(object::position_of(audit, "key"), message));
        }
    }
    Ok(())
}

/// What bindings of both kinds have.
fn binding(spec: &YamlNode) -> Result<(), Fault> {
    let policy = object::text(spec, "policyName");
    if policy.is_empty() {
        return required(spec, "spec", "policyName", "");
    }
    if !names::is_subdomain(policy) {
        return invalid(spec, "spec", "policyName", "must be a lowercase RFC 1123 subdomain");
    }
    field(spec, "matchResources")
        .map_or(Ok(()), |found| admission_matching::resources(found, "spec.matchResources"))
}

/// `validateValidationActions`.
fn actions(spec: &YamlNode) -> Result<(), Fault> {
    const NAME: &str = "validationActions";
    let found = object::items(spec, NAME);
    let mut seen = HashSet::new();
    for (index, action) in found.iter().enumerate() {
        let text = node_text(action);
        let refuse =
            |why: &str| Err(Fault::new(action.position, format!("spec.{NAME}[{index}]: {why}: {text:?}")));
        if !["Audit", "Deny", "Warn"].contains(&text) {
            return refuse("Unsupported value");
        }
        if !seen.insert(text) {
            return refuse("Duplicate value");
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        return invalid(spec, "spec", NAME, "must not contain both Deny and Warn");
    }
    if seen.is_empty() {
        return required(spec, "spec", NAME, "at least one validation action is required");
    }
    Ok(())
}

/// A binding can have only what mutates.
fn mutating_operations(spec: &YamlNode) -> Result<(), Fault> {
    let rules = field(spec, "matchResources").map_or(&[][..], |found| object::items(found, "resourceRules"));
    let all = rules.iter().flat_map(|rule| object::items(rule, "operations"));
    match all
        .into_iter()
        .find(|operation| !["*", "CONNECT", "CREATE", "UPDATE"].contains(&node_text(operation)))
    {
        None => Ok(()),
        Some(found) => {
            let message = format!(
                "spec.matchResources.resourceRules.operations: Unsupported value: {:?}",
                node_text(found)
            );
            Err(Fault::new(found.position, message))
        }
    }
}
