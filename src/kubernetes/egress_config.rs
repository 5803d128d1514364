// SPDX-License-Identifier: Apache-2.0
//! The egress selector configuration that the API server's flag `egress-selector-config-file` names.
//!
//! Source: pkg/server/egressselector/config.go of k8s.io/apiserver.

use std::collections::HashSet;

use super::config_fields::{self, FieldNames};
use super::object::{self, Fault, Located, ObjectFile, Position, Refusal};
use super::yaml::YamlNode;
use crate::version::KubernetesMinor;

const KIND: &str = "EgressSelectorConfiguration";
const BETA: (&str, &str) = ("apiserver.k8s.io/v1beta1", KIND);
const ALPHA: &str = "apiserver.k8s.io/v1alpha1";
/// The first minor that decodes the file strictly (k8s.io/apiserver v0.32).
const STRICT_FROM: KubernetesMinor = KubernetesMinor::new(32);
/// What may be selected.
const NAMES: [&str; 3] = ["cluster", "controlplane", "etcd"];
/// The old name of `controlplane`, which only v1alpha1 converts.
const OLD_NAME: &str = "master";

/// A configuration that the API server accepts, if its files are there.
#[derive(Debug, Clone, PartialEq)]
pub struct EgressConfig {
    /// The certificates and keys of connections, which have to be there, with the names of their fields.
    pub files: Vec<(&'static str, Located<String>)>,
    /// Fields that are unknown or there twice: the API server drops them silently.
    pub dropped: Vec<Fault>,
    /// The position of a second document, which is not read.
    pub second_document: Option<Position>,
}

/// Why the API server refuses a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EgressRefusal {
    /// It is no YAML or JSON, or a field has the wrong type.
    Syntax,
    /// Its API version or kind is another.
    Version,
    /// A field is unknown or there twice, and the minor is strict.
    Field,
    /// The name of a selection.
    Name,
    /// A connection.
    Connection,
}

type Validated<T = ()> = Result<T, Refusal<EgressRefusal>>;

/// Reads a configuration as the API server of a minor reads it.
///
/// # Errors
/// Why the API server refuses it.
pub fn read(bytes: &[u8], minor: KubernetesMinor) -> Validated<EgressConfig> {
    let syntax = || Refusal::with_reason(EgressRefusal::Syntax);
    let mut document = ObjectFile::read(bytes).map_err(syntax())?;
    let (version, kind) = document.kind().map_err(syntax())?;
    let dropped = if minor < STRICT_FROM {
        // `yaml.Unmarshal` into the type of v1beta1: nobody looks at the version, and letters have any case.
        if kind != KIND {
            let message = format!("invalid service configuration object {kind:?}");
            let position = object::position_of(&document.root, "kind");
            return Err(Refusal::new(EgressRefusal::Version, position, message));
        }
        let repeated = document.repeated_keys();
        let taken = config_fields::take_unknown(&mut document.root, BETA, minor, FieldNames::AnyCase);
        let mut dropped = taken.map_err(syntax())?;
        config_fields::decode_file_as(&document, BETA, minor).map_err(syntax())?;
        dropped.extend(repeated);
        dropped
    } else {
        document
            .expect(&config_fields::registered(KIND, minor))
            .map_err(Refusal::with_reason(EgressRefusal::Version))?;
        let dropped = config_fields::decode_file(&document, minor).map_err(syntax())?.unknown;
        object::refuse_dropped(&dropped).map_err(Refusal::with_reason(EgressRefusal::Field))?;
        dropped
    };
    let is_alpha = minor >= STRICT_FROM && version == ALPHA;
    let mut files = Vec::new();
    let selections = object::items(&document.root, "egressSelections");
    for selection in selections {
        let nothing =
            YamlNode { value: super::yaml::YamlValue::Map(Vec::new()), position: selection.position };
        let connection = object::field(selection, "connection").unwrap_or(&nothing);
        check_connection(connection, &mut files)?;
    }
    let mut seen = HashSet::new();
    for (index, selection) in selections.iter().enumerate() {
        let text = object::text(selection, "name");
        let name = if is_alpha && text == OLD_NAME { "controlplane".to_owned() } else { text.to_lowercase() };
        let wrong = |message: String| {
            Err(Refusal::new(EgressRefusal::Name, object::position_of(selection, "name"), message))
        };
        if !seen.insert(name.clone()) {
            return wrong(format!("service.connection[{index}]: Duplicate value: {name:?}"));
        }
        if !NAMES.contains(&name.as_str()) {
            let known = "supported values: \"cluster\", \"controlplane\", \"etcd\"";
            return wrong(format!("service.connection: Unsupported value: {name:?}: {known}"));
        }
    }
    Ok(EgressConfig { files, dropped, second_document: document.second_document })
}

fn refuse<T>(node: &YamlNode, name: &str, why: &str) -> Validated<T> {
    let message = format!("service.connection.{name}: {why}");
    Err(Refusal::new(EgressRefusal::Connection, object::position_of(node, name), message))
}

/// Checks a connection by its protocol, and collects its files.
fn check_connection(connection: &YamlNode, files: &mut Vec<(&'static str, Located<String>)>) -> Validated {
    let transport = object::field(connection, "transport");
    let protocol = object::text(connection, "proxyProtocol");
    if !["Direct", "HTTPConnect", "GRPC"].contains(&protocol) {
        let known = "supported values: \"Direct\", \"HTTPConnect\", \"GRPC\"";
        let why = format!("Unsupported value: {protocol:?}: {known}");
        return refuse(connection, "proxyProtocol", &why);
    }
    if protocol == "Direct" {
        return match transport {
            Some(_) => {
                let why = "Invalid value: \"direct\": config must be absent for direct connect";
                refuse(connection, "transport", why)
            }
            None => Ok(()),
        };
    }
    let Some(transport) = transport else {
        let why = format!("Required value: transport must be set for {protocol}");
        return refuse(connection, "transport", &why);
    };
    let (tcp, uds) = (object::field(transport, "tcp"), object::field(transport, "uds"));
    match (protocol, tcp, uds) {
        ("HTTPConnect", Some(_), Some(_)) => {
            refuse(transport, "tcp", "Invalid value: TCP and UDS cannot both be set")
        }
        ("HTTPConnect", None, None) => {
            refuse(transport, "tcp", "Required value: One of TCP or UDS must be set")
        }
        ("HTTPConnect", Some(tcp), None) => check_tcp(tcp, files),
        (_, _, Some(uds)) if object::text(uds, "udsName").is_empty() => {
            refuse(uds, "udsName", "Invalid value: \"nil\": must be present for UDS connections")
        }
        (_, _, Some(_)) => Ok(()),
        (_, _, None) => refuse(transport, "uds", "Required value: UDS must be set with GRPC"),
    }
}

fn check_tcp(tcp: &YamlNode, files: &mut Vec<(&'static str, Located<String>)>) -> Validated {
    let url = object::text(tcp, "url");
    let tls = object::field(tcp, "tlsConfig");
    if url.starts_with("http://") {
        return match tls {
            Some(_) => {
                refuse(tcp, "tlsConfig", "Invalid value: \"nil\": config must not be present when using HTTP")
            }
            // `getTLSConfig` takes it for granted.
            None => {
                let why =
                    "the API server ends with a nil pointer at a connection over http:// (getTLSConfig)";
                refuse(tcp, "url", why)
            }
        };
    }
    if !url.starts_with("https://") {
        let why = format!("Invalid value: {url:?}: supported connection protocols are http:// and https://");
        return refuse(tcp, "url", &why);
    }
    let Some(tls) = tls else {
        return refuse(tcp, "tlsConfig", "Required value: TLSConfig must be present when using HTTPS");
    };
    for (name, is_needed) in [("caBundle", false), ("clientCert", true), ("clientKey", true)] {
        let value = object::text(tls, name);
        if value.is_empty() && is_needed {
            return refuse(tls, name, &format!("Invalid value: \"nil\": Using TLS requires {name}"));
        }
        if !value.is_empty() {
            let position = object::position_of(tls, name);
            files.push((name, Located { value: value.to_owned(), position }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str, minor: u16) -> Option<EgressRefusal> {
        read(text.as_bytes(), KubernetesMinor::new(minor)).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn an_old_minor_minds_neither_the_version_nor_letters() {
        use EgressRefusal::{Connection, Field, Name, Syntax, Version};
        let with = |version: &str, selection: &str| {
            format!(
                "apiVersion: {version}\nkind: EgressSelectorConfiguration\negressSelections: [{selection}]\n"
            )
        };
        let direct = "{name: etcd, connection: {proxyProtocol: Direct}}";
        for (text, old, new) in [
            (with("apiserver.k8s.io/v1beta1", direct), None, None),
            (with("v9", direct), None, Some(Version)),
            (with("apiserver.k8s.io/v1beta1", direct).replace("kind", "Kind"), None, Some(Field)),
            (
                with("apiserver.k8s.io/v1beta1", direct).replace("Egress", "Ingress"),
                Some(Version),
                Some(Version),
            ),
            (with("apiserver.k8s.io/v1beta1", &direct.replace("name", "Name")), None, Some(Field)),
            (
                with("apiserver.k8s.io/v1beta1", &direct.replace("Direct", "direct")),
                Some(Connection),
                Some(Connection),
            ),
            (with("apiserver.k8s.io/v1alpha1", &direct.replace("etcd", "master")), Some(Name), None),
            (with("apiserver.k8s.io/v1beta1", &direct.replace("etcd", "1")), Some(Name), Some(Syntax)),
            (with("apiserver.k8s.io/v1beta1", direct) + "egressSelections: []\n", None, Some(Field)),
            (with("apiserver.k8s.io/v1beta1", "3"), Some(Syntax), Some(Syntax)),
        ] {
            assert_eq!(refusal(&text, 29), old, "1.29: {text}");
            assert_eq!(refusal(&text, 36), new, "1.36: {text}");
        }
    }

    #[test]
    fn a_connection_over_http_ends_the_api_server() {
        let text = "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\negressSelections: [{name: etcd, connection: {proxyProtocol: HTTPConnect, transport: {tcp: {url: 'http://127.0.0.1:1'}}}}]\n";
        assert_eq!(refusal(text, 36), Some(EgressRefusal::Connection));
    }
}
