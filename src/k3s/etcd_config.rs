// SPDX-License-Identifier: Apache-2.0
//! The configuration file that K3s writes for its etcd, as etcd reads it: YAML, merged and made JSON, with names in any case
//! and values of the fields' types (data/etcd-transport.yaml).
//!
//! Source: configFromFile in server/embed/config.go of etcd, sigs.k8s.io/yaml, Go's encoding/json.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::embedded;
use crate::kubernetes::object::{Fault, Located};
use crate::kubernetes::scalar::Scalar;
use crate::kubernetes::yaml::{self, YamlNode, YamlProblem, YamlValue};

/// The fields of both transports.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TransportTable {
    sections: Vec<String>,
    text: Vec<String>,
    boolean: Vec<String>,
}

fn table() -> &'static TransportTable {
    static TABLE: LazyLock<TransportTable> = LazyLock::new(|| embedded::table("etcd-transport"));
    &TABLE
}

/// What etcd's configuration says of the transport.
#[derive(Debug, Default)]
pub struct EtcdConfig {
    values: BTreeMap<String, Located<String>>,
}

impl EtcdConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// Why etcd does not start with it.
    pub fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let of_yaml = |problem: YamlProblem| Fault::new(problem.position.unwrap_or((1, 1)), problem.message);
        let mut config = Self::default();
        let Some(root) = yaml::read_merged(bytes).map_err(of_yaml)?.0 else { return Ok(config) };
        let TransportTable { sections, text, boolean } = table();
        let sections: Vec<&str> = sections.iter().map(String::as_str).collect();
        let names: Vec<&str> = text.iter().chain(boolean).map(String::as_str).collect();
        for (section, node) in fields(&root, "", &sections)? {
            for (name, node) in fields(node, section, &names)? {
                let path = format!("{section}.{name}");
                if let Some(text) = value(node, &path, boolean.iter().any(|known| known == name))? {
                    config.values.insert(path, Located { value: text, position: node.position });
                }
            }
        }
        Ok(config)
    }

    /// Returns the value of a field; none if the file does not set it.
    #[must_use]
    pub fn value(&self, path: &str) -> Option<&Located<String>> {
        self.values.get(path)
    }
}

/// Returns the fields of a mapping that have one of the names, in the order in which Go's decoder takes them: sorted as they
/// are written, so that a name in small letters comes behind its capitals and counts.
fn fields<'n, 't>(
    node: &'n YamlNode,
    path: &str,
    names: &[&'t str],
) -> Result<Vec<(&'t str, &'n YamlNode)>, Fault> {
    let pairs = match &node.value {
        YamlValue::Map(pairs) => pairs.as_slice(),
        YamlValue::Scalar(Scalar::Null) => &[],
        _ => return Err(mismatch(node, path, "a mapping")),
    };
    // Of a key that is there twice the last counts.
    let by_text: BTreeMap<String, &YamlNode> =
        pairs.iter().map(|(key, value)| (key.go_text(), value)).collect();
    let known = |key: &str| names.iter().find(|name| name.eq_ignore_ascii_case(key)).copied();
    Ok(by_text.into_iter().filter_map(|(key, value)| Some((known(&key)?, value))).collect())
}

/// Returns the text of a value; none for null, which sets nothing.
fn value(node: &YamlNode, path: &str, is_boolean: bool) -> Result<Option<String>, Fault> {
    match &node.value {
        YamlValue::Scalar(Scalar::Null) => Ok(None),
        YamlValue::Scalar(Scalar::Bool(_)) => Ok(Some(node.go_text())),
        // A scalar of YAML becomes the text that its field takes.
        YamlValue::Scalar(_) if !is_boolean => Ok(Some(node.go_text())),
        _ => Err(mismatch(node, path, if is_boolean { "true or false" } else { "a text" })),
    }
}

fn mismatch(node: &YamlNode, path: &str, what: &str) -> Fault {
    let path = if path.is_empty() { "the file" } else { path };
    Fault::new(node.position, format!("{path} takes {what}, not {}: etcd does not start", node.go_text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a field as etcd reads it, empty if it is not set; none if etcd does not start.
    fn read(text: &str, path: &str) -> Option<String> {
        let config = EtcdConfig::read(text.as_bytes()).ok()?;
        Some(config.value(path).map(|found| found.value.clone()).unwrap_or_default())
    }

    #[test]
    fn merge_keys_count_in_the_order_of_the_text() {
        for (text, wanted) in [
            ("<<: {client-cert-auth: true}", "true"),
            ("client-cert-auth: true, <<: {client-cert-auth: false}", "false"),
            ("<<: {client-cert-auth: false}, client-cert-auth: true", "true"),
        ] {
            let text = format!("client-transport-security: {{{text}}}\n");
            let found = read(&text, "client-transport-security.client-cert-auth");
            assert_eq!(found.as_deref(), Some(wanted), "{text}");
        }
        let whole = "<<: {peer-transport-security: {auto-tls: true}}\n";
        assert_eq!(read(whole, "peer-transport-security.auto-tls").as_deref(), Some("true"));
    }

    #[test]
    fn names_are_read_in_any_case_and_small_letters_count() {
        for (text, wanted) in [
            ("AUTO-TLS: true", "true"),
            ("Auto-TLS: true, auto-tls: false", "false"),
            ("auto-tls: false, Auto-TLS: true", "false"),
            ("auto_tls: true", ""),
        ] {
            let text = format!("Client-Transport-Security: {{{text}}}\n");
            let found = read(&text, "client-transport-security.auto-tls");
            assert_eq!(found.as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn values_have_the_types_of_the_fields() {
        for (text, field, wanted) in [
            ("cert-file: 1", "cert-file", Some("1")),
            ("cert-file: true", "cert-file", Some("true")),
            ("cert-file: null", "cert-file", Some("")),
            ("cert-file: \"\"", "cert-file", Some("")),
            ("cert-file: [a]", "cert-file", None),
            ("cert-file: {a: b}", "cert-file", None),
            ("auto-tls: yes", "auto-tls", Some("true")),
            ("auto-tls: null", "auto-tls", Some("")),
            ("auto-tls: \"true\"", "auto-tls", None),
            ("auto-tls: 1", "auto-tls", None),
            ("unknown: [a]", "auto-tls", Some("")),
        ] {
            let whole = format!("client-transport-security: {{{text}}}\n");
            let found = read(&whole, &format!("client-transport-security.{field}"));
            assert_eq!(found.as_deref(), wanted, "{text}");
        }
        for text in ["- a\n", "text\n", "client-transport-security: [a]\n", "client-transport-security: \"\n"]
        {
            assert_eq!(read(text, "client-transport-security.auto-tls"), None, "{text}");
        }
        for text in ["", "# nothing\n", "client-transport-security:\n"] {
            assert_eq!(read(text, "client-transport-security.auto-tls").as_deref(), Some(""), "{text}");
        }
    }
}
