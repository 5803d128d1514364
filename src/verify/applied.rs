// SPDX-License-Identifier: Apache-2.0
//! The objects that K3s applies to its cluster: those of the manifests in its data directory.

use serde_json::Value;

use super::cluster::{ObjectKind, name, namespace};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::k3s::NodeConfig;
use crate::k3s::manifests::ManifestObject;
use crate::kubernetes::names::BUILT_IN_NAMESPACES;
use crate::preflight::manifests;

/// An object of a manifest.
#[derive(Debug)]
pub struct AppliedObject {
    pub(super) object: Value,
    pub(super) place: Place,
    /// Why it is not certain that the object stays in the cluster.
    doubt: Option<String>,
}

impl AppliedObject {
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
    let objects = manifests::applied(node)?.into_iter();
    let applied = |ManifestObject { value, place, doubt }| AppliedObject { object: value, place, doubt };
    Ok(objects.map(applied).collect())
}

/// Returns the objects of a kind.
///
/// # Errors
/// [`ErrorKind::Failed`] with the place of an object of which it is not certain that K3s keeps it in the cluster.
pub(super) fn of_kind(objects: &[AppliedObject], kind: ObjectKind) -> Result<Vec<&AppliedObject>> {
    let is_certain = |object: &&AppliedObject| match &object.doubt {
        Some(doubt) => Err(Error::new(ErrorKind::Failed, doubt.clone()).at(object.place.clone())),
        None => Ok(()),
    };
    // The API server refuses an object without a name.
    let is_own = |object: &&AppliedObject| kind.is_of(&object.object) && !object.name().is_empty();
    let own: Vec<&AppliedObject> = objects.iter().filter(is_own).collect();
    own.iter().try_for_each(is_certain)?;
    Ok(own)
}

/// Returns the namespaces of a new cluster, the built-in ones first.
///
/// # Errors
/// As for [`of_kind`].
pub(super) fn namespaces(objects: &[AppliedObject]) -> Result<Vec<&str>> {
    let mut names = BUILT_IN_NAMESPACES.to_vec();
    for namespace in of_kind(objects, ObjectKind::Namespace)? {
        if !names.contains(&namespace.name()) {
            names.push(namespace.name());
        }
    }
    Ok(names)
}

/// Returns the manifest into which k3s-harden writes its policies, and into which a missing policy belongs.
pub(super) fn policy_file(node: &NodeConfig<'_>) -> Place {
    let file = node.data_dir.join("server/manifests/policy.yaml");
    Place { file: file.to_string(), position: None }
}
