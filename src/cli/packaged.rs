// SPDX-License-Identifier: Apache-2.0
//! Warnings about what K3s's packaged components, and its key `disable`, do to policy.yaml.

use super::context::Context;
use crate::document::Rendered;
use crate::error::Result;
use crate::k3s::manifests::{self, ManifestDeletion, ManifestObject, Manifests};
use crate::preflight;

/// The namespace in which K3s runs the pods of its load balancer by default (servicelb-namespace).
const LOAD_BALANCER_NAMESPACE: &str = "kube-system";
/// The Service whose traffic policy.yaml lets through (setting svclb_policy).
const ALLOWED_SERVICE: &str = "traefik";

/// Returns warnings about words of `disable` and arguments that do not do what they seem to, and about what keeps K3s from
/// applying policy.yaml.
pub(super) fn warnings(context: &Context<'_>, rendered: &Rendered) -> Result<Vec<String>> {
    let node = &context.node;
    let notes = preflight::notes(node)?.into_iter();
    let mut warnings: Vec<String> = notes
        .map(|finding| match finding.place {
            Some(place) => format!("{place}: {}; {}", finding.message, finding.remedy),
            None => finding.message,
        })
        .collect();
    let Some(policy) = rendered.documents.iter().find(|document| document.key == "policy") else {
        return Ok(warnings);
    };
    let name = policy.path.name();
    // An empty word has a note of its own.
    let deletion = manifests::deletion(node, name).filter(|deletion| !deletion.word.is_empty());
    if let Some(ManifestDeletion { word, place }) = deletion {
        warnings.push(format!(
            "{place}: disable contains {word}: K3s deletes {} and its objects at every start. Remove {word} there",
            policy.path
        ));
    }
    if let Some(skip) = manifests::skip_file(node, name)? {
        warnings.push(format!("{skip}: K3s does not apply {name} while this file exists: remove it"));
    }
    Ok(warnings)
}

/// Returns warnings about the LoadBalancer Services in the node's manifests whose traffic policy.yaml blocks.
pub(super) fn load_balancer_warnings(context: &Context<'_>) -> Result<Vec<String>> {
    let (node, profile) = (&context.node, &context.profile);
    let namespace = match node.value("servicelb-namespace") {
        Some((text, _)) if !text.is_empty() => text,
        _ => LOAD_BALANCER_NAMESPACE,
    };
    let isolated =
        if profile.is_on("intra_namespace_policy") { profile.texts("namespaces") } else { Vec::new() };
    let has_own = node.runs("servicelb");
    if !node.runs("deploy-controller") || has_own && !isolated.iter().any(|one| one == namespace) {
        return Ok(Vec::new());
    }
    let is_allowed = |name: &str| {
        let setting = if has_own { "svclb_policy" } else { "traefik_policy" };
        name == ALLOWED_SERVICE && profile.is_on(setting)
    };
    let blocked = |object: &ManifestObject| {
        let text = |path: &[&str]| {
            let value = path.iter().try_fold(&object.value, |value, key| value.get(key));
            value.and_then(serde_json::Value::as_str).map(str::to_owned)
        };
        let name = text(&["metadata", "name"])?;
        let is_balanced = text(&["kind"])? == "Service"
            && text(&["spec", "type"])? == "LoadBalancer"
            // Another load balancer serves it.
            && text(&["spec", "loadBalancerClass"]).is_none();
        if !has_own {
            // Another load balancer hands the traffic to the pods of the Service, as it came from outside.
            let own = text(&["metadata", "namespace"]).unwrap_or_else(|| "default".to_owned());
            let is_closed = text(&["kind"])? == "Service"
                && text(&["spec", "type"])? == "LoadBalancer"
                && isolated.contains(&own);
            return (is_closed && !is_allowed(&name)).then(|| {
                format!(
                    "{}: the LoadBalancer Service {name} gets no external traffic: the NetworkPolicy intra-namespace blocks it in {own}. Add a NetworkPolicy for the pods of the Service",
                    object.place
                )
            });
        }
        (is_balanced && !is_allowed(&name)).then(|| {
            format!(
                "{}: the LoadBalancer Service {name} gets no traffic: its svclb pods are in {namespace}, and the NetworkPolicy intra-namespace blocks them there. Add a NetworkPolicy for pods in {namespace} with the label svccontroller.k3s.cattle.io/svcname: {name}",
                object.place
            )
        })
    };
    Ok(Manifests::read(node)?.objects.iter().filter_map(blocked).collect())
}
