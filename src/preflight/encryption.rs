//! The encryption configuration that `encryption-provider-config` names, where the user's own arguments name one: the one
//! of `secrets-encryption` K3s writes itself.
//!
//! Source: pkg/apis/apiserver/validation and pkg/server/options/encryptionconfig of k8s.io/apiserver.

use std::collections::{HashMap, HashSet};

use super::Finding;
use super::apiserver::{ApiServer, FileAt, in_file, refused};
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::flag_values;
use crate::kubernetes::object::{self, Fault, FieldType, ObjectFile, STRINGS};
use crate::kubernetes::scalar;
use crate::kubernetes::yaml::YamlNode;
use crate::node::RootedPath;

const FLAG: &str = "encryption-provider-config";
/// Group and version with the kind; the second is from before there was a group.
const KINDS: [(&str, &str); 2] =
    [("apiserver.config.k8s.io/v1", "EncryptionConfiguration"), ("v1", "EncryptionConfig")];
/// Providers with keys, and the lengths that those may have.
const PROVIDERS: [(&str, &[usize]); 3] =
    [("aesgcm", &[16, 24, 32]), ("aescbc", &[16, 24, 32]), ("secretbox", &[32])];
/// What is stored, but no API serves.
const WITHOUT_API: [&str; 3] = ["apiserveripinfo", "serviceipallocations", "servicenodeportallocations"];

const CONFIGURATION: FieldType = FieldType::Object(&[
    ("apiVersion", FieldType::String),
    ("kind", FieldType::String),
    ("resources", FieldType::List(&RESOURCES)),
]);
const RESOURCES: FieldType =
    FieldType::Object(&[("resources", STRINGS), ("providers", FieldType::List(&PROVIDER))]);
const PROVIDER: FieldType = FieldType::Object(&[
    ("aesgcm", KEYS),
    ("aescbc", KEYS),
    ("secretbox", KEYS),
    ("identity", FieldType::Object(&[])),
    ("kms", KMS),
]);
const KEYS: FieldType = FieldType::Object(&[(
    "keys",
    FieldType::List(&FieldType::Object(&[("name", FieldType::String), ("secret", FieldType::String)])),
)]);
const KMS: FieldType = FieldType::Object(&[
    ("apiVersion", FieldType::String),
    ("name", FieldType::String),
    ("cachesize", FieldType::Int32),
    ("endpoint", FieldType::String),
    ("timeout", FieldType::String),
]);

type Refused = (&'static str, Fault);

pub(super) fn judge(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(server) = ApiServer::of(node) else { return Ok(Vec::new()) };
    let (Some(text), Some(place)) = (server.value(FLAG), server.place(FLAG)) else { return Ok(Vec::new()) };
    let path = node.path(text)?;
    let of_k3s = node.data_dir.join("server/cred");
    let bytes = match server.look(&path)? {
        FileAt::File(bytes) => bytes,
        FileAt::Nothing if path.as_str().starts_with(&format!("{of_k3s}/")) => return Ok(Vec::new()),
        other => {
            let (what, error) = match other {
                FileAt::Directory => ("is a directory", format!("read {path}: is a directory")),
                _ => ("does not exist", format!("open {path}: no such file or directory")),
            };
            let message = format!("the encryption configuration {path} {what}");
            let finding =
                Finding::stops("encryption-file-missing", message, "write it, or use secrets-encryption");
            let says = format!("error reading encryption provider configuration file \"{path}\": {error}");
            return Ok(vec![finding.at(place).says(says)]);
        }
    };
    Ok(match check(&server, &bytes) {
        Ok((document, loose)) => effect(&path, &document, &loose),
        Err((code, fault)) => {
            let remedy = match code {
                "encryption-version" => {
                    "write apiVersion: apiserver.config.k8s.io/v1 and kind: EncryptionConfiguration"
                }
                "encryption-key" => "write a name, and base64 of as many bytes as the provider needs",
                "encryption-field" => "write the field as Kubernetes does, once",
                "encryption-syntax" => "mend the YAML",
                _ => "write it as the message says, or use secrets-encryption",
            };
            vec![refused(code, &path, &fault, "error while parsing file: ", remedy)]
        }
    })
}

/// Says why an API server with these flags would not start on a configuration, if it would not.
pub(crate) fn refusal(node: &NodeConfig<'_>, flags: Vec<(String, String)>, bytes: &[u8]) -> Option<Fault> {
    check(&ApiServer::with(node, flags), bytes).err().map(|(_, fault)| fault)
}

/// What a configuration that the server takes does.
fn effect(path: &RootedPath, document: &ObjectFile, loose: &[Fault]) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        loose.iter().map(|fault| super::admission::unknown_field("encryption-field", path, fault)).collect();
    if let Some(position) = document.further {
        let finding = Finding::hardens_nothing(
            "encryption-second-document",
            "nobody reads a second document",
            "put all resources into the first",
        );
        findings.push(finding.at(in_file(path, position)));
    }
    for group in object::items(&document.root, "resources") {
        let first = object::items(group, "providers").first();
        if let Some(identity) = first.and_then(|provider| object::field(provider, "identity")) {
            let finding = Finding::hardens_nothing(
                "encryption-identity-first",
                "the first provider, which writes, is identity: nothing is encrypted",
                "put a provider with keys before it",
            );
            findings.push(finding.at(in_file(path, identity.position)));
        }
    }
    findings
}

fn check(server: &ApiServer<'_>, bytes: &[u8]) -> std::result::Result<(ObjectFile, Vec<Fault>), Refused> {
    let syntax = |fault| ("encryption-syntax", fault);
    if bytes.is_empty() {
        let message = "the encryption provider configuration file is empty";
        return Err(syntax(Fault::new((1, 1), message)));
    }
    let document = ObjectFile::read(bytes).map_err(syntax)?;
    let (version, kind) = document.kind().map_err(syntax)?;
    if !KINDS.contains(&(version.as_str(), kind.as_str())) {
        let message = if kind.is_empty() {
            "Object 'Kind' is missing".to_owned()
        } else if version.is_empty() {
            "Object 'apiVersion' is missing".to_owned()
        } else {
            format!("no kind {kind:?} is registered for version {version:?}")
        };
        let position = object::place(&document.root, if kind.is_empty() { "kind" } else { "apiVersion" });
        return Err(("encryption-version", Fault::new(position, message)));
    }
    let loose = document.decode(&CONFIGURATION).map_err(syntax)?;
    // Read strictly from 1.31 on.
    if let (true, Some(fault)) = (server.is_from("1.31"), loose.first()) {
        let message = format!("strict decoding error: {}", fault.message);
        return Err(("encryption-field", Fault::new(fault.position, message)));
    }
    validate(server, &document.root)?;
    Ok((document, loose))
}

fn validate(server: &ApiServer<'_>, root: &YamlNode) -> std::result::Result<(), Refused> {
    let needed = |node: &YamlNode, name: &str, path: &str| {
        if object::items(node, name).is_empty() {
            let message = format!("{path}: Required value: at least one {path} is required");
            return Err(("encryption-empty", Fault::new(object::place(node, name), message)));
        }
        Ok(())
    };
    needed(root, "resources", "resources")?;
    let mut kms_names = Vec::new();
    for (index, group) in object::items(root, "resources").iter().enumerate() {
        let path = format!("resources[{index}]");
        needed(group, "resources", &format!("{path}.resources"))?;
        if server.is_from("1.27") {
            resources(object::items(group, "resources"), &format!("{path}.resources"))?;
        }
        needed(group, "providers", &format!("{path}.providers"))?;
        for (number, provider) in object::items(group, "providers").iter().enumerate() {
            let path = format!("{path}.providers[{number}]");
            let given: Vec<&str> = ["aesgcm", "aescbc", "secretbox", "identity", "kms"]
                .into_iter()
                .filter(|name| object::field(provider, name).is_some())
                .collect();
            let [name] = given.as_slice() else {
                let why = if given.is_empty() {
                    "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity"
                } else {
                    "more than one provider specified in a single element, should split into different list elements"
                };
                let message = format!("{path}: Invalid value: {why}");
                return Err(("encryption-provider", Fault::new(provider.position, message)));
            };
            let Some(content) = object::field(provider, name) else { continue };
            if let Some((_, lengths)) = PROVIDERS.iter().find(|(known, _)| known == name) {
                keys(content, &format!("{path}.{name}.keys"), lengths)?;
            } else if *name == "kms" {
                kms(server, content, &format!("{path}.kms"), &mut kms_names)?;
            }
        }
    }
    Ok(())
}

/// What is encrypted, from 1.27 on with wildcards.
fn resources(items: &[YamlNode], path: &str) -> std::result::Result<(), Refused> {
    let refuse = |node: &YamlNode, path: &str, why: &str| {
        let message = format!("{path}: Invalid value: {:?}: {why}", object::content(node));
        Err(("encryption-resource", Fault::new(node.position, message)))
    };
    let parts: Vec<(&str, &str)> = items
        .iter()
        .map(|item| object::content(item).split_once('.').unwrap_or((object::content(item), "")))
        .collect();
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
        let text = object::content(item);
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

/// Checks keys; a secret is never in a message.
fn keys(provider: &YamlNode, path: &str, lengths: &[usize]) -> std::result::Result<(), Refused> {
    let keys = object::items(provider, "keys");
    let wrong = |position, message: String| Err(("encryption-key", Fault::new(position, message)));
    if keys.is_empty() {
        return wrong(
            object::place(provider, "keys"),
            format!("{path}: Required value: at least one keys is required"),
        );
    }
    for (index, key) in keys.iter().enumerate() {
        let path = format!("{path}[{index}]");
        for name in ["name", "secret"] {
            if object::text(key, name).is_empty() {
                let message = format!("{path}.{name}: Required value: {name} is a mandatory field for a key");
                return wrong(object::place(key, name), message);
            }
        }
        let position = object::place(key, "secret");
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

fn kms<'a>(
    server: &ApiServer<'_>,
    kms: &'a YamlNode,
    path: &str,
    names: &mut Vec<&'a str>,
) -> std::result::Result<(), Refused> {
    let wrong = |field: &str, why: &str| {
        let message = format!("{path}.{field}: Invalid value: {why}");
        Err(("encryption-kms", Fault::new(object::place(kms, field), message)))
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
        if object::whole(&size.value, false) == Some(0) {
            return wrong("cachesize", "cachesize should be a positive value, or negative to disable");
        }
    }
    if !["v1", "v2"].contains(&version) {
        return wrong("apiVersion", "unsupported apiVersion for KMS provider, only v1 and v2 are supported");
    }
    let gates = server.value("feature-gates").unwrap_or_default();
    if version == "v1" && server.is_from("1.29") && !gates.split(',').any(|gate| gate.trim() == "KMSv1=true")
    {
        return wrong("apiVersion", "KMSv1 is deprecated: set --feature-gates=KMSv1=true to use it");
    }
    Ok(())
}
