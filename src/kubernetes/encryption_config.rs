// SPDX-License-Identifier: Apache-2.0
//! The encryption configuration that the API server's flag `encryption-provider-config` names.
//!
//! Source: pkg/apis/apiserver/validation and pkg/server/options/encryptionconfig of k8s.io/apiserver.

use std::collections::{HashMap, HashSet};

use super::config_fields;
use super::object::{self, Fault, ObjectFile, Position, Refusal};
use super::yaml::YamlNode;
use super::{flag_values, scalar};
use crate::version::KubernetesMinor;

/// The kind, and the one from before there was an API group.
const KINDS: [&str; 2] = ["EncryptionConfiguration", "EncryptionConfig"];
/// Providers with keys, and the lengths that those may have.
const PROVIDERS: [(&str, &[usize]); 3] =
    [("aesgcm", &[16, 24, 32]), ("aescbc", &[16, 24, 32]), ("secretbox", &[32])];
/// Resources that are stored but that no API serves.
const WITHOUT_API: [&str; 3] = ["apiserveripinfo", "serviceipallocations", "servicenodeportallocations"];

/// The providers by their fields, in the order in which the API server looks for them.
pub const PROVIDER_NAMES: [&str; 5] = ["aesgcm", "aescbc", "secretbox", "identity", "kms"];
/// The first minor that decodes the file strictly.
const STRICT_FROM: KubernetesMinor = KubernetesMinor::new(31);
/// The first minor that checks the names of resources, and takes wildcards.
const WILDCARDS_FROM: KubernetesMinor = KubernetesMinor::new(27);
/// The first minor in which KMS v1 needs its feature gate.
const KMS_V1_GATED_FROM: KubernetesMinor = KubernetesMinor::new(29);

/// A configuration that the API server accepts.
#[derive(Debug, Clone, PartialEq)]
pub struct EncryptionConfig {
    /// Groups of resources, each with its providers: the first group with a resource counts.
    pub resources: Vec<EncryptedResources>,
    /// Fields that are unknown or there twice: the API server drops them silently.
    pub dropped: Vec<Fault>,
    /// The position of a second document, which is not read.
    pub second_document: Option<Position>,
}

/// Resources with the providers that encrypt them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedResources {
    /// The resources, such as `secrets` or `*.apps`.
    pub resources: Vec<String>,
    /// The providers in order: the first one writes.
    pub providers: Vec<ResourceProvider>,
}

/// A provider, without its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceProvider {
    /// Its name, one of [`PROVIDER_NAMES`].
    pub name: &'static str,
    /// The position of its entry.
    pub position: Position,
    /// The position of its content.
    pub content_position: Position,
}

/// Why the API server refuses a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionRefusal {
    /// It is empty, no YAML or JSON, or a field has the wrong type.
    Syntax,
    /// Its API version or kind is another.
    Version,
    /// A field is unknown or there twice, and the minor is strict.
    Field,
    /// A list is empty.
    Empty,
    /// A resource.
    Resource,
    /// An entry of a provider.
    Provider,
    /// A key.
    Key,
    /// A KMS provider.
    Kms,
}

type Validated<T = ()> = Result<T, Refusal<EncryptionRefusal>>;

/// Reads a configuration as the API server of a minor reads it; `kms_v1` tells whether the feature gate KMSv1 is on.
/// No secret is ever part of a message.
///
/// # Errors
/// Why the API server refuses it.
pub fn read(bytes: &[u8], minor: KubernetesMinor, kms_v1: bool) -> Validated<EncryptionConfig> {
    let syntax = || Refusal::with_reason(EncryptionRefusal::Syntax);
    if bytes.is_empty() {
        let message = "the encryption provider configuration file is empty";
        return Err(Refusal::new(EncryptionRefusal::Syntax, (1, 1), message));
    }
    let document = ObjectFile::read(bytes).map_err(syntax())?;
    document.kind().map_err(syntax())?;
    let known = KINDS.map(|kind| config_fields::registered(kind, minor)).concat();
    document.expect(&known).map_err(Refusal::with_reason(EncryptionRefusal::Version))?;
    let dropped = config_fields::decode_file(&document, minor).map_err(syntax())?.unknown;
    if minor >= STRICT_FROM {
        object::refuse_dropped(&dropped).map_err(Refusal::with_reason(EncryptionRefusal::Field))?;
    }
    let resources = read_resources(&document.root, minor, kms_v1)?;
    Ok(EncryptionConfig { resources, dropped, second_document: document.second_document })
}

/// `ValidateEncryptionConfiguration`, with its checks in their order.
fn read_resources(
    root: &YamlNode,
    minor: KubernetesMinor,
    kms_v1: bool,
) -> Validated<Vec<EncryptedResources>> {
    let needed = |node: &YamlNode, name: &str, path: &str| {
        if object::items(node, name).is_empty() {
            let message = format!("{path}: Required value: at least one {path} is required");
            return Err(Refusal::new(EncryptionRefusal::Empty, object::position_of(node, name), message));
        }
        Ok(())
    };
    needed(root, "resources", "resources")?;
    let mut kms_names = Vec::new();
    let mut groups = Vec::new();
    for (index, group) in object::items(root, "resources").iter().enumerate() {
        let path = format!("resources[{index}]");
        needed(group, "resources", &format!("{path}.resources"))?;
        if minor >= WILDCARDS_FROM {
            check_resources(object::items(group, "resources"), &format!("{path}.resources"))?;
        }
        needed(group, "providers", &format!("{path}.providers"))?;
        let mut providers = Vec::new();
        for (number, provider) in object::items(group, "providers").iter().enumerate() {
            let path = format!("{path}.providers[{number}]");
            let (name, content) = single_provider(provider, &path)?;
            if let Some((_, lengths)) = PROVIDERS.iter().find(|(known, _)| *known == name) {
                check_keys(content, &format!("{path}.{name}.keys"), lengths)?;
            } else if name == "kms" {
                check_kms(content, &format!("{path}.kms"), minor, kms_v1, &mut kms_names)?;
            }
            let (position, content_position) = (provider.position, content.position);
            providers.push(ResourceProvider { name, position, content_position });
        }
        groups.push(EncryptedResources { resources: object::texts(group, "resources"), providers });
    }
    if minor >= WILDCARDS_FROM {
        check_masks(root)?;
    }
    Ok(groups)
}

/// Returns the resource and the group of a name (`ParseGroupResource` of k8s.io/apimachinery).
fn parse_resource(name: &str) -> (&str, &str) {
    name.split_once('.').unwrap_or((name, ""))
}

/// `getTransformerOverridesAndKMSPluginProbes`: a wildcard of an earlier entry leaves nothing to a later one.
fn check_masks(root: &YamlNode) -> Validated {
    let mut earlier: HashSet<(&str, &str)> = HashSet::new();
    for item in object::items(root, "resources").iter().flat_map(|group| object::items(group, "resources")) {
        let part = parse_resource(object::node_text(item));
        if let Some(mask) = [("*", part.1), ("*", "*")].into_iter().find(|mask| earlier.contains(mask)) {
            let (name, mask) = (resource_name(part), resource_name(mask));
            let message = format!("resource {name:?} is masked by earlier rule {mask:?}");
            return Err(Refusal::new(EncryptionRefusal::Resource, item.position, message));
        }
        earlier.insert(part);
    }
    Ok(())
}

/// `grYAMLString`.
fn resource_name((resource, group): (&str, &str)) -> String {
    if group.is_empty() && resource != "*" { resource.to_owned() } else { format!("{resource}.{group}") }
}

impl EncryptionConfig {
    /// Returns the resources whose providers encrypt a resource of the core group; none if the API server stores it in plain.
    /// Before wildcards, `*.` is the name of a resource that nobody has (`TransformerForResource`).
    #[must_use]
    pub fn of_core_resource(&self, resource: &str, minor: KubernetesMinor) -> Option<&EncryptedResources> {
        let is_it = |name: &String| match parse_resource(name) {
            ("*", "" | "*") => minor >= WILDCARDS_FROM,
            (named, group) => named == resource && group.is_empty(),
        };
        self.resources.iter().find(|group| group.resources.iter().any(is_it))
    }
}

/// Returns the provider of an entry, which has exactly one, and its content.
fn single_provider<'a>(entry: &'a YamlNode, path: &str) -> Validated<(&'static str, &'a YamlNode)> {
    let given = PROVIDER_NAMES.into_iter().filter_map(|name| Some((name, object::field(entry, name)?)));
    let given: Vec<(&str, &YamlNode)> = given.collect();
    if let [one] = given.as_slice() {
        return Ok(*one);
    }
    let why = if given.is_empty() {
        "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity"
    } else {
        "more than one provider specified in a single element, should split into different list elements"
    };
    let message = format!("{path}: Invalid value: {why}");
    Err(Refusal::new(EncryptionRefusal::Provider, entry.position, message))
}

/// `validateResourceNames` and `validateResourceOverlap`.
fn check_resources(items: &[YamlNode], path: &str) -> Validated {
    let refuse = |node: &YamlNode, path: &str, why: &str| {
        let message = format!("{path}: Invalid value: {:?}: {why}", object::node_text(node));
        Err(Refusal::new(EncryptionRefusal::Resource, node.position, message))
    };
    let parts: Vec<(&str, &str)> = items.iter().map(|item| parse_resource(object::node_text(item))).collect();
    let every = parts.contains(&("*", "*"));
    let mut groups: HashMap<&str, (bool, usize)> = HashMap::new();
    let mut seen = HashSet::new();
    for (item, part) in items.iter().zip(&parts) {
        if !seen.insert(part) {
            return refuse(item, path, "the same resource cannot be specified multiple times");
        }
        let (star, count) = groups.entry(part.1).or_default();
        (*star, *count) = (*star || part.0 == "*", *count + 1);
        if (every && parts.len() > 1) || (*star && *count > 1) {
            let why = "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked";
            return refuse(item, path, why);
        }
    }
    for (index, (item, (resource, group))) in items.iter().zip(&parts).enumerate() {
        let text = object::node_text(item);
        let why = if text.to_lowercase() != text {
            "resource name should not contain capital letters"
        } else if text == "*" {
            "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"
        } else if WITHOUT_API.contains(&text) {
            "resources which do not have REST API/s cannot be encrypted"
        } else if *group == "events.k8s.io" {
            "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file"
        } else if *group == "extensions" {
            "'extensions' group has been removed and cannot be used for encryption"
        } else if *group == "*" && *resource != "*" {
            "encrypting the same resource across groups is not supported"
        } else {
            continue;
        };
        return refuse(item, &format!("{path}[{index}]"), why);
    }
    Ok(())
}

/// `validateKey`, of every key.
fn check_keys(provider: &YamlNode, path: &str, lengths: &[usize]) -> Validated {
    let keys = object::items(provider, "keys");
    let wrong = |position, message: String| Err(Refusal::new(EncryptionRefusal::Key, position, message));
    if keys.is_empty() {
        return wrong(
            object::position_of(provider, "keys"),
            format!("{path}: Required value: at least one keys is required"),
        );
    }
    for (index, key) in keys.iter().enumerate() {
        let path = format!("{path}[{index}]");
        for name in ["name", "secret"] {
            if object::text(key, name).is_empty() {
                let message = format!("{path}.{name}: Required value: {name} is a mandatory field for a key");
                return wrong(object::position_of(key, name), message);
            }
        }
        let position = object::position_of(key, "secret");
        let Some(secret) = scalar::base64(object::text(key, "secret")) else {
            return wrong(position, format!("{path}.secret: Invalid value: secrets must be base64 encoded"));
        };
        if !lengths.contains(&secret.len()) {
            let lengths: Vec<String> = lengths.iter().map(ToString::to_string).collect();
            let message = format!(
                "{path}.secret: Invalid value: secret is not of the expected length, got {}, expected one of [{}]",
                secret.len(),
                lengths.join(" ")
            );
            return wrong(position, message);
        }
    }
    Ok(())
}

/// `validateKMSConfiguration`.
fn check_kms<'a>(
    kms: &'a YamlNode,
    path: &str,
    minor: KubernetesMinor,
    kms_v1: bool,
    names: &mut Vec<&'a str>,
) -> Validated {
    let wrong = |field: &str, why: &str| {
        let message = format!("{path}.{field}: Invalid value: {why}");
        Err(Refusal::new(EncryptionRefusal::Kms, object::position_of(kms, field), message))
    };
    let version = match object::text(kms, "apiVersion") {
        "" => "v1",
        version => version,
    };
    let name = object::text(kms, "name");
    if name.is_empty() {
        return wrong("name", "name is a mandatory field for a provider");
    }
    if version != "v1" && name.contains(':') {
        return wrong("name", "invalid KMS provider name, must not contain ':'");
    }
    if version != "v1" && names.contains(&name) {
        return wrong("name", "duplicate KMS provider name, names must be unique");
    }
    names.push(name);
    let timeout = object::text(kms, "timeout");
    if !timeout.is_empty() && flag_values::duration(timeout).is_none_or(|timeout| timeout <= 0) {
        return wrong("timeout", "timeout should be a positive value");
    }
    let endpoint = object::text(kms, "endpoint");
    if endpoint.is_empty() {
        return wrong("endpoint", "endpoint is a mandatory field for a kms");
    }
    if !endpoint.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("unix")) {
        return wrong("endpoint", "unsupported scheme for KMS provider, only unix is supported");
    }
    if let Some(size) = object::field(kms, "cachesize") {
        if version != "v1" {
            return wrong("cachesize", "cachesize is not supported in v2");
        }
        if object::whole_number(&size.value, false) == Some(0) {
            return wrong("cachesize", "cachesize should be a positive value, or negative to disable");
        }
    }
    if !["v1", "v2"].contains(&version) {
        return wrong("apiVersion", "unsupported apiVersion for KMS provider, only v1 and v2 are supported");
    }
    if version == "v1" && minor >= KMS_V1_GATED_FROM && !kms_v1 {
        return wrong("apiVersion", "KMSv1 is deprecated: set --feature-gates=KMSv1=true to use it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a configuration with an entry for each list of resources; of an accepted one returns whether the first entry that
    /// has Secrets is the one with this index.
    fn read_entries(entries: &[&str], minor: u16) -> Result<Option<usize>, String> {
        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let mut text =
            "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n".to_owned();
        for entry in entries {
            text.push_str(&format!(
                "- resources: [{entry}]\n  providers: [{{aescbc: {{keys: [{{name: k, secret: {key}}}]}}}}]\n"
            ));
        }
        let minor = KubernetesMinor::new(minor);
        let config = read(text.as_bytes(), minor, false).map_err(|refusal| refusal.fault.message)?;
        let found = config.of_core_resource("secrets", minor);
        Ok(found.and_then(|found| config.resources.iter().position(|group| group == found)))
    }

    #[test]
    fn an_earlier_wildcard_masks_later_resources() {
        for (entries, masked, mask) in [
            (&["'*.'", "secrets"][..], "secrets", "*."),
            (&["'*.*'", "secrets"], "secrets", "*.*"),
            (&["'*.'", "secrets."], "secrets", "*."),
            (&["'*.apps'", "deployments.apps"], "deployments.apps", "*.apps"),
            (&["configmaps", "'*.*'", "'*.apps'"], "*.apps", "*.*"),
            (&["'*.'", "'*.'"], "*.", "*."),
            (&["'*.*'", "'*.*'"], "*.*", "*.*"),
        ] {
            let says = format!("resource {masked:?} is masked by earlier rule {mask:?}");
            assert_eq!(read_entries(entries, 27), Err(says.clone()), "{entries:?}");
            assert_eq!(read_entries(entries, 37), Err(says), "{entries:?}");
            assert!(read_entries(entries, 26).is_ok(), "{entries:?}: names of resources that nobody has");
        }
    }

    #[test]
    fn what_is_not_masked_counts_in_its_order() {
        for (entries, at) in [
            (&["'*.apps'", "secrets"][..], Some(1)),
            (&["secrets", "'*.'"], Some(0)),
            (&["secrets", "'*.*'"], Some(0)),
            (&["configmaps", "'*.'", "'*.*'"], Some(1)),
            (&["'*.apps'", "'*.*'"], Some(1)),
            (&["secrets", "secrets"], Some(0)),
            (&["secrets.apps", "configmaps"], None),
            (&["'*.apps'"], None),
        ] {
            assert_eq!(read_entries(entries, 33), Ok(at), "{entries:?}");
        }
    }

    #[test]
    fn wildcards_are_of_1_27_and_newer() {
        for name in ["'*.'", "'*.*'"] {
            assert_eq!(read_entries(&[name], 26), Ok(None), "{name}");
            assert_eq!(read_entries(&[name], 27), Ok(Some(0)), "{name}");
        }
        assert_eq!(read_entries(&["'*.', secrets"], 26), Ok(Some(0)));
        assert!(read_entries(&["'*.', secrets"], 27).is_err(), "they overlap");
        assert_eq!(read_entries(&["secrets."], 26), Ok(Some(0)));
    }
}
