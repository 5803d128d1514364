// SPDX-License-Identifier: Apache-2.0
//! The configurations of the admission plugins that take policies and webhooks from files: the field
//! `staticManifestsDir`, and what the files hold.
//!
//! Source: pkg/admission/plugin/manifest, plugin/policy/config, plugin/policy/manifest/loader and plugin/webhook/config
//! of k8s.io/apiserver v0.37.2.

use std::collections::HashSet;

use serde_json::Value;

use super::config_fields;
use super::manifest;
use super::object::{self, Fault, Located, ObjectFile, Position, Refusal};
use crate::version::KubernetesMinor;

/// The feature gate of the field: off in 1.36, on from 1.37.
pub const GATE: &str = "ManifestBasedAdmissionControlConfig";
/// The first minor that has the field. The plugins for policies read no configuration before.
pub const FIELD_FROM: KubernetesMinor = KubernetesMinor::new(36);
/// The endings of the files that are read, in any case.
pub const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The plugins, with the kind of their configuration, and the kinds of objects that they take.
const PLUGINS: [(&str, &str, &[&str]); 4] = [
    (
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyConfiguration",
        &["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"],
    ),
    ("MutatingAdmissionWebhook", WEBHOOK_KIND, &["MutatingWebhookConfiguration"]),
    (
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyConfiguration",
        &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"],
    ),
    ("ValidatingAdmissionWebhook", WEBHOOK_KIND, &["ValidatingWebhookConfiguration"]),
];
const WEBHOOK_KIND: &str = "WebhookAdmissionConfiguration";
/// The older form of a webhook's configuration, which minors before [`FIELD_FROM`] have too.
const OLD_WEBHOOK: &str = "WebhookAdmission";
/// What the names of objects in the files end in.
const SUFFIX: &str = ".static.k8s.io";
const OBJECTS: &str = "admissionregistration.k8s.io/v1";

/// Why the API server refuses a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaticRefusal {
    /// It is no YAML or JSON, or a field has the wrong type.
    Syntax,
    /// Its API version or kind is another.
    Version,
    /// A field is unknown or there twice.
    Field,
    /// A path is not absolute.
    Path,
}

/// Tells whether an admission plugin takes objects from files.
#[must_use]
pub fn takes_files(plugin: &str) -> bool {
    PLUGINS.iter().any(|(name, ..)| *name == plugin)
}

/// Tells whether a minor reads nothing of the configuration of such a plugin: of one for policies before the field.
#[must_use]
pub fn is_unread(plugin: &str, minor: KubernetesMinor) -> bool {
    minor < FIELD_FROM && !plugin.ends_with("Webhook")
}

/// The configuration of such a plugin.
#[derive(Debug, Default)]
pub struct StaticConfig {
    /// The folder that it names, if it names one.
    pub folder: Option<Located<String>>,
    /// The kubeconfig that it names, if it names one.
    pub kubeconfig: Option<Located<String>>,
    /// The fields that are unknown or there twice, which the plugin drops.
    pub dropped: Vec<Fault>,
}

/// Reads the configuration of such a plugin; none if the minor reads none of it.
///
/// # Errors
/// Why the API server refuses it.
pub fn read(
    document: &ObjectFile,
    plugin: &str,
    minor: KubernetesMinor,
) -> Result<Option<StaticConfig>, Refusal<StaticRefusal>> {
    let Some((_, kind, _)) = PLUGINS.iter().find(|(name, ..)| *name == plugin) else { return Ok(None) };
    let is_webhook = *kind == WEBHOOK_KIND;
    if is_unread(plugin, minor) {
        return Ok(None);
    }
    let syntax = || Refusal::with_reason(StaticRefusal::Syntax);
    document.kind().map_err(syntax())?;
    let mut known = config_fields::registered(kind, minor);
    if is_webhook {
        known.extend(config_fields::registered(OLD_WEBHOOK, minor));
    }
    document.expect(&known).map_err(Refusal::with_reason(StaticRefusal::Version))?;
    let dropped = config_fields::decode_file(document, minor).map_err(syntax())?.unknown;
    if minor >= FIELD_FROM {
        object::refuse_dropped(&dropped).map_err(Refusal::with_reason(StaticRefusal::Field))?;
    }
    let root = &document.root;
    let relative = |name: &str| {
        let text = object::text(root, name);
        let message = format!("{name}: Invalid value: {text:?}: must be an absolute file path");
        Err(Refusal::new(StaticRefusal::Path, object::position_of(root, name), message))
    };
    let kubeconfig = object::text(root, "kubeConfigFile");
    if is_webhook && !kubeconfig.starts_with('/') && (minor < FIELD_FROM || !kubeconfig.is_empty()) {
        return relative("kubeConfigFile");
    }
    let named = |name: &str| {
        let (value, position) = (object::text(root, name).to_owned(), object::position_of(root, name));
        (!value.is_empty()).then_some(Located { value, position })
    };
    let folder = named(FIELD).filter(|_| minor >= FIELD_FROM);
    if folder.as_ref().is_some_and(|folder| !folder.value.starts_with('/')) {
        return relative(FIELD);
    }
    let kubeconfig = named("kubeConfigFile").filter(|_| is_webhook);
    Ok(Some(StaticConfig { folder, kubeconfig, dropped }))
}

/// The field.
pub const FIELD: &str = "staticManifestsDir";

/// The objects of a plugin's folder.
#[derive(Debug, Default)]
pub struct StaticObjects {
    /// How many files have something in them.
    pub files: usize,
    names: HashSet<(String, String)>,
}

impl StaticObjects {
    /// Adds the objects of a file. Their specs are not judged.
    ///
    /// # Errors
    /// The first object that the plugin refuses.
    pub fn add(&mut self, bytes: &[u8], plugin: &str) -> Result<(), Fault> {
        self.files += usize::from(!bytes.is_empty());
        let kinds = PLUGINS.iter().find(|(name, ..)| *name == plugin).map_or(&[][..], |(.., kinds)| kinds);
        for object in manifest::read(bytes)? {
            self.add_object(&object.value, object.position, kinds)?;
        }
        Ok(())
    }

    fn add_object(&mut self, object: &Value, position: Position, kinds: &[&str]) -> Result<(), Fault> {
        let text = |path: &[&str]| {
            let found = path.iter().try_fold(object, |value, key| value.get(*key));
            found.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (version, kind, name) = (text(&["apiVersion"]), text(&["kind"]), text(&["metadata", "name"]));
        let refuse = |message: String| Err(Fault::new(position, message));
        if version != OBJECTS || !kinds.contains(&kind.as_str()) {
            return refuse(format!("no kind {kind:?} is registered for version {version:?}"));
        }
        if !name.ends_with(SUFFIX) {
            return refuse(format!("{name:?} must have a name ending with {SUFFIX:?}"));
        }
        if !self.names.insert((kind.clone(), name.clone())) {
            return refuse(format!("duplicate name {name:?} found"));
        }
        if kind.ends_with("Binding") && !text(&["spec", "policyName"]).ends_with(SUFFIX) {
            return refuse(format!("binding {name:?}: spec.policyName must end with {SUFFIX:?}"));
        }
        for field in ["paramKind", "paramRef"] {
            if object.get("spec").and_then(|spec| spec.get(field)).is_some_and(|value| !value.is_null()) {
                return refuse(format!("{name:?}: spec.{field} is not supported for static manifests"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, plugin: &str, minor: &str) -> Result<Option<String>, StaticRefusal> {
        let document = ObjectFile::read(text.as_bytes()).unwrap();
        let config = read(&document, plugin, minor.parse().unwrap()).map_err(|refusal| refusal.reason)?;
        Ok(config.and_then(|config| config.folder).map(|folder| folder.value))
    }

    #[test]
    fn the_field_is_read_from_1_36_on() {
        let policy = "apiVersion: apiserver.config.k8s.io/v1\nkind: ValidatingAdmissionPolicyConfiguration\nstaticManifestsDir: /a\n";
        let plugin = "ValidatingAdmissionPolicy";
        assert_eq!(read_text(policy, plugin, "1.35"), Ok(None));
        assert_eq!(read_text(policy, plugin, "1.36"), Ok(Some("/a".to_owned())));
        assert_eq!(read_text(&policy.replace("/a", "a"), plugin, "1.36"), Err(StaticRefusal::Path));
        assert_eq!(read_text(&policy.replace("Dir", "Folder"), plugin, "1.36"), Err(StaticRefusal::Field));
        assert_eq!(read_text(policy, "MutatingAdmissionPolicy", "1.36"), Err(StaticRefusal::Version));
        let webhook = policy.replace("ValidatingAdmissionPolicy", "WebhookAdmission");
        let plugin = "ValidatingAdmissionWebhook";
        assert_eq!(read_text(&webhook, plugin, "1.36"), Ok(Some("/a".to_owned())));
        assert_eq!(read_text(&webhook, plugin, "1.35"), Err(StaticRefusal::Path), "no kubeConfigFile");
    }

    #[test]
    fn objects_have_their_kind_and_their_ending() {
        let policy = "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: a.static.k8s.io}\n";
        let add = |texts: &[&str]| {
            let mut objects = StaticObjects::default();
            texts
                .iter()
                .try_for_each(|text| objects.add(text.as_bytes(), "ValidatingAdmissionPolicy"))
                .map(|()| objects.files)
        };
        assert_eq!(add(&[policy]).unwrap(), 1);
        assert!(add(&[policy, policy]).is_err());
        assert!(add(&[&policy.replace(".static.k8s.io", "")]).is_err());
        assert!(add(&[&policy.replace("Validating", "Mutating")]).is_err());
        assert!(add(&[&format!("{policy}spec: {{paramKind: {{kind: A}}}}\n")]).is_err());
    }
}
