// SPDX-License-Identifier: Apache-2.0
//! The configurations of the admission plugins that take policies and webhooks from files: the field
//! `staticManifestsDir`. What the files hold is read by `admission_objects`.
//!
//! Source: pkg/admission/plugin/manifest, plugin/policy/config, plugin/policy/manifest/loader and plugin/webhook/config
//! of k8s.io/apiserver v0.37.2.

use super::config_fields;
use super::object::{self, Fault, Located, ObjectFile, Refusal};
use crate::version::KubernetesMinor;

/// The feature gate of the field: off in 1.36, on from 1.37.
pub const GATE: &str = "ManifestBasedAdmissionControlConfig";
/// The first minor that has the field. The plugins for policies read no configuration before.
pub const FIELD_FROM: KubernetesMinor = KubernetesMinor::new(36);
/// The endings of the files that are read, in any case.
pub const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The plugins, with the kind of their configuration.
const PLUGINS: [(&str, &str); 4] = [
    ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyConfiguration"),
    ("MutatingAdmissionWebhook", WEBHOOK_KIND),
    ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyConfiguration"),
    ("ValidatingAdmissionWebhook", WEBHOOK_KIND),
];
const WEBHOOK_KIND: &str = "WebhookAdmissionConfiguration";
/// The older form of a webhook's configuration, which minors before [`FIELD_FROM`] have too.
const OLD_WEBHOOK: &str = "WebhookAdmission";

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
    PLUGINS.iter().any(|(name, _)| *name == plugin)
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
    let Some((_, kind)) = PLUGINS.iter().find(|(name, _)| *name == plugin) else { return Ok(None) };
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
}
