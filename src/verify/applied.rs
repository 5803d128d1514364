//! The objects that K3s applies to its cluster: those of the manifests in its data directory.

use serde_json::Value;

use super::cluster::{name, namespace, text};
use crate::error::{Place, Result};
use crate::k3s::NodeConfig;
use crate::k3s::manifests::ManifestObject;
use crate::kubernetes::names::BUILT_IN_NAMESPACES;
use crate::preflight::manifests;

/// An object of a manifest.
#[derive(Debug)]
pub struct AppliedObject {
    pub(super) object: Value,
    pub(super) place: Place,
}

impl AppliedObject {
    /// Returns its kind.
    pub(super) fn kind(&self) -> &str {
        text(&self.object, "/kind")
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &str {
        name(&self.object)
    }

    /// Returns the namespace into which K3s applies it.
    pub(super) fn namespace(&self) -> &str {
        match namespace(&self.object) {
            "" => "default",
            namespace => namespace,
        }
    }
}

/// Reads the objects that K3s applies.
///
/// # Errors
/// Any error of a manifest that exists and cannot be read.
pub(super) fn read(node: &NodeConfig<'_>) -> Result<Vec<AppliedObject>> {
    // JSON cannot express a mapping with a list as a key: such a document is not an object of Kubernetes.
    let converted = |object: ManifestObject| {
        let place = object.place;
        serde_json::to_value(object.value).ok().map(|object| AppliedObject { object, place })
    };
    Ok(manifests::applied(node)?.into_iter().filter_map(converted).collect())
}

/// Returns the namespaces of a new cluster, the built-in ones first.
pub(super) fn namespaces(objects: &[AppliedObject]) -> Vec<&str> {
    let mut names = BUILT_IN_NAMESPACES.to_vec();
    for namespace in objects.iter().filter(|object| object.kind() == "Namespace") {
        if !names.contains(&namespace.name()) {
            names.push(namespace.name());
        }
    }
    names
}

/// Returns the manifest into which k3s-harden writes its policies, and into which a missing policy belongs.
pub(super) fn policy_file(node: &NodeConfig<'_>) -> Place {
    let file = node.data_dir.join("server/manifests/policy.yaml");
    Place { file: file.to_string(), position: None }
}
