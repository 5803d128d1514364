// SPDX-License-Identifier: Apache-2.0
//! The objects that an admission plugin takes from the files of a directory (`staticManifestsDir`), as the API server
//! reads them before it serves: decoded strictly, with names of their own, validated, and bindings with their policies.
//! What is not known here is for the API server: no verdict is a guess.
//!
//! Source: pkg/admission/plugin/policy/manifest/loader and webhook/manifest/loader of k8s.io/apiserver, and
//! pkg/admission/plugin/policy/manifest/loader of k8s.io/kubernetes; the same in v1.36.3 and v1.37.2.

use std::collections::{HashMap, HashSet};

use super::admission_documents::{self, AdmissionDocument};
use super::admission_parts::{SUFFIX, UnjudgedPart};
use super::admission_validation;
use super::config_fields;
use super::object::{self, Fault, ObjectFile, Position};
use super::scalar::Scalar;
use super::yaml::{YamlNode, YamlValue};
use crate::version::KubernetesMinor;

const OBJECTS: &str = "admissionregistration.k8s.io/v1";
/// The kind of a list of any objects.
const ANY_LIST: &str = "List";
/// Deepest nesting of such lists.
const MAX_LISTS: usize = 20;

/// The kinds of objects that each plugin takes. Those of one plugin have the same fields in a list.
const KINDS: [(&str, &[&str]); 4] = [
    ("MutatingAdmissionPolicy", &["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]),
    ("MutatingAdmissionWebhook", &["MutatingWebhookConfiguration"]),
    ("ValidatingAdmissionPolicy", &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]),
    ("ValidatingAdmissionWebhook", &["ValidatingWebhookConfiguration"]),
];

/// The objects of a plugin's directory.
#[derive(Debug)]
pub struct AdmissionObjects {
    minor: KubernetesMinor,
    kinds: &'static [&'static str],
    /// The names of each kind, with the file that each is in.
    names: HashMap<(String, String), String>,
    bindings: Vec<PolicyReference>,
}

/// A binding, and the policy that it names.
#[derive(Debug)]
struct PolicyReference {
    binding: String,
    policy: String,
    file: String,
    position: Position,
}

impl AdmissionObjects {
    /// Returns a directory of a plugin without files.
    #[must_use]
    pub fn new(plugin: &str, minor: KubernetesMinor) -> Self {
        let kinds = KINDS.iter().find(|(name, _)| *name == plugin).map_or(&[][..], |(_, kinds)| *kinds);
        Self { minor, kinds, names: HashMap::new(), bindings: Vec::new() }
    }

    /// Tells whether there are any objects.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        !self.names.is_empty()
    }

    /// Adds the objects of a file, and returns the parts of them that are not judged.
    ///
    /// # Errors
    /// The first thing that the API server refuses.
    pub fn add(&mut self, bytes: &[u8], file: &str) -> Result<Vec<UnjudgedPart>, Fault> {
        let mut parts = Vec::new();
        for document in admission_documents::split(bytes)? {
            let read = |bytes| ObjectFile::read(bytes).and_then(|file| file.expect_kind().map(|()| file));
            let object = read(&document.text).map_err(|fault| document.fault(fault))?;
            let mut found = Vec::new();
            self.add_object(&object, (&document, file), 0, &mut found)
                .map_err(|fault| document.fault(fault))?;
            parts.extend(
                found
                    .into_iter()
                    .map(|part| UnjudgedPart { position: document.position(part.position), ..part }),
            );
        }
        Ok(parts)
    }

    /// Checks that the policies are there which bindings name.
    ///
    /// # Errors
    /// The first binding without its policy, with its file.
    pub fn check_references(&self) -> Result<(), (String, Fault)> {
        let policies: HashSet<&str> = self
            .names
            .keys()
            .filter(|(kind, _)| !kind.ends_with("Binding"))
            .map(|(_, name)| name.as_str())
            .collect();
        match self.bindings.iter().find(|reference| !policies.contains(reference.policy.as_str())) {
            None => Ok(()),
            Some(PolicyReference { binding, policy, file, position }) => {
                let message = format!(
                    "binding {binding:?} references policy {policy:?} which does not exist in the manifest directory"
                );
                Err((file.clone(), Fault::new(*position, message)))
            }
        }
    }

    /// Adds an object, or those of a list. Positions are those in the document.
    fn add_object(
        &mut self,
        object: &ObjectFile,
        place: (&AdmissionDocument, &str),
        depth: usize,
        parts: &mut Vec<UnjudgedPart>,
    ) -> Result<(), Fault> {
        let (version, kind) = object.kind()?;
        if kind == ANY_LIST {
            return self.add_list(object, place, depth, parts);
        }
        let of_list = kind.strip_suffix("List");
        let item_kind = of_list.unwrap_or(&kind).to_owned();
        if version != OBJECTS || !self.kinds.contains(&item_kind.as_str()) {
            let message = format!("unsupported resource type: kind {kind:?} of version {version:?}");
            return Err(Fault::new(object.root.position, message));
        }
        let decoded = config_fields::decode_file(object, self.minor)?;
        object::refuse_dropped(&decoded.unknown)?;
        if of_list.is_none() {
            return self.add_item(&item_kind, &object.root, place, parts);
        }
        // All are validated before the first name is looked at; whichever fails, the API server does not start.
        object::items(&object.root, "items")
            .iter()
            .try_for_each(|item| self.add_item(&item_kind, item, place, parts))
    }

    /// Adds the items of a `List`, whose API version nobody looks at. Each is decoded on its own.
    fn add_list(
        &mut self,
        list: &ObjectFile,
        place: (&AdmissionDocument, &str),
        depth: usize,
        parts: &mut Vec<UnjudgedPart>,
    ) -> Result<(), Fault> {
        let (version, _) = list.kind()?;
        if version.matches('/').count() > 1 || version.ends_with('/') {
            let message = format!("unexpected GroupVersion string: {version}");
            return Err(Fault::new(object::position_of(&list.root, "apiVersion"), message));
        }
        let mut head = list.clone();
        let mut items = Vec::new();
        if let YamlValue::Map(pairs) = &mut head.root.value {
            pairs.retain(|(key, value)| {
                let is_items = key.go_text() == "items";
                if is_items {
                    items.push(value.clone());
                }
                !is_items
            });
        }
        // Its own fields are those of every list. Keys that are there twice are refused anywhere in it.
        let decoded =
            config_fields::decode_file_as(&head, (OBJECTS, &format!("{}List", self.kinds[0])), self.minor)?;
        let mut dropped = list.repeated_keys();
        dropped.extend(decoded.unknown);
        object::refuse_dropped(&dropped)?;
        let Some(YamlNode { value, position }) = items.pop() else { return Ok(()) };
        match value {
            YamlValue::List(items) if depth < MAX_LISTS => {
                for item in &items {
                    let item = list.part(item);
                    item.expect_kind()?;
                    self.add_object(&item, place, depth + 1, parts)?;
                }
                Ok(())
            }
            YamlValue::List(_) => {
                parts.push(UnjudgedPart { what: "a list this deep", position });
                Ok(())
            }
            YamlValue::Scalar(Scalar::Null) => Ok(()),
            _ => Err(Fault::new(
                position,
                "json: cannot unmarshal into Go struct field List.items of type []runtime.RawExtension",
            )),
        }
    }

    fn add_item(
        &mut self,
        kind: &str,
        item: &YamlNode,
        (document, file): (&AdmissionDocument, &str),
        parts: &mut Vec<UnjudgedPart>,
    ) -> Result<(), Fault> {
        admission_validation::validate(kind, item, self.minor, parts)?;
        let metadata = object::field(item, "metadata");
        let name = metadata.map_or("", |metadata| object::text(metadata, "name"));
        let position = metadata.map_or(item.position, |metadata| object::position_of(metadata, "name"));
        let refuse = |message: String| Err(Fault::new(position, message));
        if !name.ends_with(SUFFIX) {
            return refuse(format!("{name:?} must have a name ending with {SUFFIX:?}"));
        }
        let earlier = self.names.insert((kind.to_owned(), name.to_owned()), file.to_owned());
        if let Some(earlier) = earlier {
            return refuse(format!("duplicate name {name:?} found (previously seen in {earlier:?})"));
        }
        let Some(policy) = admission_validation::check_static(kind, name, item)? else { return Ok(()) };
        let (value, position) = (policy.value, document.position(policy.position));
        self.bindings.push(PolicyReference {
            binding: name.to_owned(),
            policy: value,
            file: file.to_owned(),
            position,
        });
        Ok(())
    }
}
