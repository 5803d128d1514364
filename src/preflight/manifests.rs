//! The manifests that K3s' deploy controller applies: objects that the minor does not serve or that have no effect.
//!
//! None of them stops K3s.

use std::collections::BTreeSet;

use serde_yaml::Value;

use super::Finding;
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::NodeConfig;
use crate::k3s::manifests::{ManifestFault, ManifestFaultKind, ManifestObject, Manifests};
use crate::kubernetes::api_versions::{self, Unserved};
use crate::kubernetes::names::{BUILT_IN_NAMESPACES, NAME_LABEL};
use crate::version::KubernetesMinor;

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    if !node.runs("deploy-controller") {
        return Ok(Vec::new());
    }
    let Manifests { objects, faults } = Manifests::read(node)?;
    let mut findings: Vec<Finding> = faults.into_iter().map(unapplied).collect();
    let namespaces = namespaces(&objects);
    let labels = labels(&objects);
    // A cluster that has started may have namespaces and labels from other sources.
    let is_new = node.traces().started.is_none();
    for object in &objects {
        findings.extend(not_served(object, node.minor()));
        findings.extend(no_namespace(object, &namespaces).filter(|_| is_new));
        findings.extend(selects_nothing(object, &labels));
    }
    Ok(findings)
}

/// Returns the objects that K3s applies and that the minor serves.
///
/// # Errors
/// A manifest that cannot be read, or because of which K3s applies none.
pub(crate) fn applied(node: &NodeConfig<'_>) -> Result<Vec<ManifestObject>> {
    if !node.runs("deploy-controller") {
        return Ok(Vec::new());
    }
    let Manifests { objects, faults } = Manifests::read(node)?;
    if let Some(fault) = faults.into_iter().find(|fault| fault.kind != ManifestFaultKind::Document) {
        return Err(Error::new(ErrorKind::Failed, fault.message).at(fault.place));
    }
    let is_served = |object: &ManifestObject| not_served(object, node.minor()).is_none();
    Ok(objects.into_iter().filter(is_served).collect())
}

fn unapplied(fault: ManifestFault) -> Finding {
    let finding = match fault.kind {
        ManifestFaultKind::DanglingLink => {
            Finding::hardens_nothing("manifest-dangling-link", fault.message, "remove it")
        }
        ManifestFaultKind::NotRead => {
            Finding::not_judged("manifest-not-read", fault.message, "look at it by hand")
        }
        ManifestFaultKind::Document => {
            let remedy = "mend this document, or remove it";
            Finding::hardens_nothing("manifest-unreadable", fault.message, remedy)
        }
    };
    finding.at(fault.place)
}

fn not_served(object: &ManifestObject, minor: KubernetesMinor) -> Option<Finding> {
    let (version, kind) = (text_of(&object.value, "apiVersion"), text_of(&object.value, "kind"));
    let (message, instead) = match api_versions::unserved(&version, &kind, minor)? {
        Unserved::NotYet { from, instead } => {
            (format!("Kubernetes {minor} does not serve {version} {kind} yet: it comes with {from}"), instead)
        }
        Unserved::NoLonger { until, instead } => {
            (format!("Kubernetes {minor} no longer serves {version} {kind}: {until} was the last"), instead)
        }
    };
    let remedy = match instead {
        Some(instead) => format!("write it as {instead}"),
        None => "remove it".to_owned(),
    };
    let finding = Finding::hardens_nothing(
        "manifest-not-served",
        format!("{message}; K3s tries it again every 15 s"),
        remedy,
    );
    Some(
        finding.says(format!("no matches for kind {kind:?} in version {version:?}")).at(object.place.clone()),
    )
}

fn no_namespace(object: &ManifestObject, namespaces: &BTreeSet<String>) -> Option<Finding> {
    let namespace = metadata(&object.value, "namespace");
    if namespace.is_empty() || namespaces.contains(&namespace) {
        return None;
    }
    let (kind, name) = (text_of(&object.value, "kind"), metadata(&object.value, "name"));
    let message = format!(
        "{kind} {name} is for the namespace {namespace}, which a new cluster does not have: K3s tries it again every 15 s until it does"
    );
    let remedy = format!(
        "make the namespace first, in a file that sorts before, or leave {name} out until it is there"
    );
    let finding = Finding::warns("manifest-no-namespace", message, remedy);
    Some(finding.says(format!("namespaces {namespace:?} not found")).at(object.place.clone()))
}

/// A namespaceSelector on a label that no namespace has matches nothing, so the policy blocks what it should allow.
fn selects_nothing(object: &ManifestObject, labels: &BTreeSet<String>) -> Option<Finding> {
    if text_of(&object.value, "kind") != "NetworkPolicy" {
        return None;
    }
    let mut keys = BTreeSet::new();
    for direction in ["ingress", "egress"] {
        let rules =
            object.value.get("spec").and_then(|spec| spec.get(direction)).and_then(Value::as_sequence);
        for peer in rules.into_iter().flatten().flat_map(peers) {
            let selector = peer.get("namespaceSelector").and_then(|selector| selector.get("matchLabels"));
            let wanted = selector.and_then(Value::as_mapping).into_iter().flat_map(|map| map.keys());
            keys.extend(wanted.filter_map(Value::as_str).map(str::to_owned));
        }
    }
    let unknown: Vec<String> = keys.into_iter().filter(|key| !labels.contains(key)).collect();
    let key = unknown.first()?;
    let name = metadata(&object.value, "name");
    let message = format!(
        "NetworkPolicy {name} selects namespaces by the label {key}, which no namespace has: it lets nothing in, and DNS in kube-system is blocked by it"
    );
    Some(
        Finding::hardens_nothing("manifest-selects-nothing", message, format!("select by {NAME_LABEL}"))
            .at(object.place.clone()),
    )
}

fn peers(rule: &Value) -> impl Iterator<Item = &Value> {
    ["from", "to"].into_iter().filter_map(|key| rule.get(key)?.as_sequence()).flatten()
}

/// The namespaces of a new cluster, and those that manifests create.
fn namespaces(objects: &[ManifestObject]) -> BTreeSet<String> {
    let made = objects.iter().filter(|object| text_of(&object.value, "kind") == "Namespace");
    let made = made.map(|object| metadata(&object.value, "name"));
    BUILT_IN_NAMESPACES.iter().map(|name| (*name).to_owned()).chain(made).collect()
}

/// The labels of namespaces.
fn labels(objects: &[ManifestObject]) -> BTreeSet<String> {
    let made = objects.iter().filter(|object| text_of(&object.value, "kind") == "Namespace");
    let labels = made.filter_map(|object| object.value.get("metadata")?.get("labels")?.as_mapping());
    let keys = labels.flat_map(|labels| labels.keys().filter_map(Value::as_str).map(str::to_owned));
    keys.chain([NAME_LABEL.to_owned()]).collect()
}

fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn metadata(value: &Value, key: &str) -> String {
    value.get("metadata").map(|metadata| text_of(metadata, key)).unwrap_or_default()
}
