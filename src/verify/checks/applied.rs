//! What K3s will put into its cluster: the objects of the manifests.

use serde_json::Value;

use crate::document::BUILT_IN_NAMESPACES;
use crate::error::{Place, Result};
use crate::k3s::manifests::ManifestObject;
use crate::preflight::manifests;
use crate::verify::cluster::{name, namespace, text};
use crate::verify::{NodeFacts, evaluate};

/// An object of a manifest.
#[derive(Debug)]
pub(in crate::verify) struct Applied {
    pub(super) object: Value,
    pub(super) place: Place,
}

impl Applied {
    pub(super) fn kind(&self) -> &str {
        text(&self.object, "/kind")
    }

    pub(super) fn name(&self) -> &str {
        name(&self.object)
    }

    /// The namespace that it comes into.
    pub(super) fn namespace(&self) -> &str {
        match namespace(&self.object) {
            "" => "default",
            namespace => namespace,
        }
    }
}

/// Returns the objects that K3s will apply, which are read once.
///
/// # Errors
/// Where a manifest cannot be read.
pub(super) fn objects<'f>(facts: &'f NodeFacts<'_>) -> Result<&'f [Applied]> {
    facts.manifests.get_or_init(|| read(facts)).as_deref().map_err(evaluate::copy)
}

fn read(facts: &NodeFacts<'_>) -> Result<Vec<Applied>> {
    // What JSON cannot say, such as a mapping with a list for a key, is no object.
    let converted = |object: ManifestObject| {
        let place = object.place;
        serde_json::to_value(object.value).ok().map(|object| Applied { object, place })
    };
    Ok(manifests::applied(&facts.node)?.into_iter().filter_map(converted).collect())
}

/// Returns the namespaces that a new cluster will have, the built-in ones first.
pub(super) fn namespaces(objects: &[Applied]) -> Vec<&str> {
    let mut names = BUILT_IN_NAMESPACES.to_vec();
    for made in objects.iter().filter(|object| object.kind() == "Namespace") {
        if !names.contains(&made.name()) {
            names.push(made.name());
        }
    }
    names
}

/// Where our own policies are, and others that are missing belong.
pub(super) fn home(facts: &NodeFacts<'_>) -> Place {
    let file = facts.node.data_dir.join("server/manifests/policy.yaml");
    Place { file: file.to_string(), position: None }
}
