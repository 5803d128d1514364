// SPDX-License-Identifier: Apache-2.0
//! The manifests that K3s's deploy controller applies: objects that the minor does not serve or that have no effect.
//!
//! None of them stops K3s.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Finding;
use super::apiserver::ApiServer;
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::NodeConfig;
use crate::k3s::manifests::{ManifestFault, ManifestFaultKind, ManifestObject, Manifests};
use crate::kubernetes::names::{BUILT_IN_NAMESPACES, NAME_LABEL};
use crate::kubernetes::object_validity;
use crate::kubernetes::runtime_config::{self, RuntimeSwitches};
use crate::kubernetes::served_kinds::{self, Unserved};
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
    let switches = switches(node);
    for object in &objects {
        let unserved = not_served(object, node.minor(), &switches);
        findings.extend(unserved.or_else(|| refused(object)));
        findings.extend(no_namespace(object, &namespaces).filter(|_| is_new));
        findings.extend(selects_nothing(object, &labels));
    }
    Ok(findings)
}

/// Returns the objects that K3s applies and that the API server of the minor takes.
///
/// # Errors
/// A manifest that cannot be read, or because of which K3s applies none.
pub(crate) fn applied(node: &NodeConfig<'_>) -> Result<Vec<ManifestObject>> {
    if !node.runs("deploy-controller") {
        return Ok(Vec::new());
    }
    let Manifests { objects, faults } = Manifests::read(node)?;
    // Of the others, nothing of the file is applied, or each object has its doubt.
    let hides_all = [ManifestFaultKind::DanglingLink, ManifestFaultKind::NotRead];
    if let Some(fault) = faults.into_iter().find(|fault| hides_all.contains(&fault.kind)) {
        return Err(Error::new(ErrorKind::Failed, fault.message).at(fault.place));
    }
    let switches = switches(node);
    let is_taken = |object: &ManifestObject| {
        not_served(object, node.minor(), &switches).is_none() && refused(object).is_none()
    };
    Ok(objects.into_iter().filter(is_taken).collect())
}

/// Returns what the API server's flag `runtime-config` brings and takes.
fn switches(node: &NodeConfig<'_>) -> RuntimeSwitches {
    let server = ApiServer::configured(node);
    let flags = server.iter().flat_map(|server| server.flags.iter());
    let texts = flags.filter(|(name, _)| *name == runtime_config::FLAG).map(|(_, text)| text.to_owned());
    RuntimeSwitches::parse(&texts.collect::<Vec<String>>().join(","))
}

fn unapplied(fault: ManifestFault) -> Finding {
    let finding = match fault.kind {
        ManifestFaultKind::DanglingLink => {
            Finding::hardens_nothing("manifest-dangling-link", fault.message, "remove it")
        }
        ManifestFaultKind::NotRead => {
            Finding::not_judged("manifest-not-read", fault.message, "look at it by hand")
        }
        ManifestFaultKind::Name => {
            Finding::hardens_nothing("manifest-name", fault.message, "give it another name")
        }
        ManifestFaultKind::SharedAddon => Finding::warns(
            "manifest-shared-addon",
            fault.message,
            "give it a name that differs from all others before the first dot",
        ),
        ManifestFaultKind::Skipped => Finding::warns(
            "manifest-skipped",
            fault.message,
            "rename the file, or remove the one that ends in .skip",
        ),
        ManifestFaultKind::LinkedFolder => Finding::warns(
            "manifest-linked-folder",
            fault.message,
            "copy the files into a folder of their own",
        ),
        ManifestFaultKind::Time => {
            Finding::warns("manifest-time", fault.message, "touch it whenever it changes, or restart K3s")
        }
        ManifestFaultKind::Document => {
            let remedy = "fix this document, or remove it";
            Finding::hardens_nothing("manifest-unreadable", fault.message, remedy)
        }
    };
    finding.at(fault.place)
}

fn not_served(
    object: &ManifestObject,
    minor: KubernetesMinor,
    switches: &RuntimeSwitches,
) -> Option<Finding> {
    let (version, kind) = (text_of(&object.value, "apiVersion"), text_of(&object.value, "kind"));
    let flag = runtime_config::FLAG;
    let message = match served_kinds::unserved(&version, &kind, minor, switches)? {
        Unserved::NotYet(from) => {
            format!("Kubernetes {minor} does not serve {version} {kind} yet: it comes with {from}")
        }
        Unserved::NoLonger(until) => {
            format!("Kubernetes {minor} no longer serves {version} {kind}: {until} was the last")
        }
        Unserved::NotAsked => {
            format!("Kubernetes {minor} serves {version} {kind} only if {flag} asks for it")
        }
        Unserved::SwitchedOff => format!("{flag} switches {version} {kind} off"),
        Unserved::Never => format!("Kubernetes serves no {version} {kind}"),
    };
    let (group, _) = served_kinds::group_and_version(&version);
    let instead = served_kinds::served_version(group, &kind, minor).filter(|instead| *instead != version);
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

/// An object that the API server refuses.
fn refused(object: &ManifestObject) -> Option<Finding> {
    let message = object_validity::refused(&object.value)?;
    let (kind, name) = (text_of(&object.value, "kind"), metadata(&object.value, "name"));
    let message = format!("the API server refuses {kind} {name}: {message}; K3s tries it again every 15 s");
    Some(Finding::hardens_nothing("manifest-refused", message, "fix this object").at(object.place.clone()))
}

fn no_namespace(object: &ManifestObject, namespaces: &BTreeSet<String>) -> Option<Finding> {
    let namespace = metadata(&object.value, "namespace");
    if namespace.is_empty() || namespaces.contains(&namespace) {
        return None;
    }
    let (kind, name) = (text_of(&object.value, "kind"), metadata(&object.value, "name"));
    let message = format!(
        "{kind} {name} needs the namespace {namespace}, which a new cluster does not have: K3s retries every 15 s until the namespace exists"
    );
    let remedy = format!(
        "create the namespace in a file that sorts before this one, or add {name} when the namespace exists"
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
        let rules = object.value.get("spec").and_then(|spec| spec.get(direction)).and_then(Value::as_array);
        for peer in rules.into_iter().flatten().flat_map(peers) {
            let selector = peer.get("namespaceSelector").and_then(|selector| selector.get("matchLabels"));
            let wanted = selector.and_then(Value::as_object).into_iter().flat_map(|map| map.keys());
            keys.extend(wanted.cloned());
        }
    }
    let unknown: Vec<String> = keys.into_iter().filter(|key| !labels.contains(key)).collect();
    let key = unknown.first()?;
    let name = metadata(&object.value, "name");
    let message = format!(
        "NetworkPolicy {name} selects namespaces by the label {key}, which no namespace has: it allows no traffic, and blocks DNS in kube-system"
    );
    Some(
        Finding::hardens_nothing("manifest-selects-nothing", message, format!("select by {NAME_LABEL}"))
            .at(object.place.clone()),
    )
}

fn peers(rule: &Value) -> impl Iterator<Item = &Value> {
    ["from", "to"].into_iter().filter_map(|key| rule.get(key)?.as_array()).flatten()
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
    let labels = made.filter_map(|object| object.value.get("metadata")?.get("labels")?.as_object());
    let keys = labels.flat_map(|labels| labels.keys().cloned());
    keys.chain([NAME_LABEL.to_owned()]).collect()
}

fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn metadata(value: &Value, key: &str) -> String {
    value.get("metadata").map(|metadata| text_of(metadata, key)).unwrap_or_default()
}
