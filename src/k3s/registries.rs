// SPDX-License-Identifier: Apache-2.0
//! K3s's registries.yaml, as rancher/wharfie reads it: five types, on yaml.v2's rules. Keys that the types do not have are
//! ignored; of a key that is there twice the last counts.
//! Source: rancher/wharfie@v0.7.0 pkg/registries, gopkg.in/yaml.v2@v2.4.0 decode.go.

use super::logins::MASK;
use super::secret_text::masked;
use crate::kubernetes::object::{Fault, MAX_FAULTS, Position};
use crate::kubernetes::scalar::{self, Scalar};
use crate::kubernetes::yaml::{self, YamlNode, YamlValue};

/// The most letters of a value in a message.
const SHOWN: usize = 10;

/// What K3s reads in a registries.yaml that it takes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registries {
    /// The keys that it ignores.
    pub ignored: Vec<Fault>,
    /// The patterns for names of repositories, which are regular expressions.
    pub rewrites: Vec<(String, Position)>,
    /// The files of certificates and keys.
    pub files: Vec<(String, Position)>,
}

/// A Go type of wharfie's.
enum GoType {
    Text,
    Boolean,
    List(&'static GoType),
    Map(&'static GoType),
    Struct(&'static str, &'static [(&'static str, GoType)]),
}

const AUTH: GoType = GoType::Struct(
    "registries.AuthConfig",
    &[
        ("username", GoType::Text),
        ("password", GoType::Text),
        ("auth", GoType::Text),
        ("identity_token", GoType::Text),
    ],
);
const TLS: GoType = GoType::Struct(
    "registries.TLSConfig",
    &[
        ("ca_file", GoType::Text),
        ("cert_file", GoType::Text),
        ("key_file", GoType::Text),
        ("insecure_skip_verify", GoType::Boolean),
    ],
);
const MIRROR: GoType = GoType::Struct(
    "registries.Mirror",
    &[("endpoint", GoType::List(&GoType::Text)), ("rewrite", GoType::Map(&GoType::Text))],
);
const CONFIG: GoType = GoType::Struct("registries.RegistryConfig", &[("auth", AUTH), ("tls", TLS)]);
const REGISTRY: GoType = GoType::Struct(
    "registries.Registry",
    &[("mirrors", GoType::Map(&MIRROR)), ("configs", GoType::Map(&CONFIG)), ("auths", GoType::Map(&AUTH))],
);

impl GoType {
    /// Returns the type as Go prints it.
    fn name(&self) -> String {
        match self {
            Self::Text => "string".to_owned(),
            Self::Boolean => "bool".to_owned(),
            Self::List(each) => format!("[]{}", each.name()),
            Self::Map(each) => format!("map[string]{}", each.name()),
            Self::Struct(name, _) => (*name).to_owned(),
        }
    }
}

/// Reads a registries.yaml.
///
/// # Errors
/// What yaml.v2 reports, each fault with its position: K3s then waits for ever.
pub fn read(bytes: &[u8]) -> Result<Registries, Vec<Fault>> {
    let root = yaml::read_merged(bytes).map_err(|problem| {
        let position = problem.position.unwrap_or((1, 1));
        vec![Fault::new(position, format!("yaml: line {}: {}", position.0, problem.message))]
    })?;
    let (Some(root), _) = root else { return Ok(Registries::default()) };
    let text = String::from_utf8_lossy(bytes);
    let mut decoder = Decoder { text: &text, faults: Vec::new(), read: Registries::default() };
    decoder.decode(&root, &REGISTRY, "");
    if decoder.faults.is_empty() {
        return Ok(decoder.read);
    }
    decoder.faults.truncate(MAX_FAULTS);
    Err(decoder.faults)
}

struct Decoder<'a> {
    text: &'a str,
    faults: Vec<Fault>,
    read: Registries,
}

impl Decoder<'_> {
    fn decode(&mut self, node: &YamlNode, wanted: &GoType, path: &str) {
        match (&node.value, wanted) {
            // Nothing is the zero value of each type, and text is any scalar.
            (YamlValue::Scalar(Scalar::Null), _)
            | (YamlValue::Scalar(_), GoType::Text)
            | (YamlValue::Scalar(Scalar::Bool(_)), GoType::Boolean) => self.note(node, path),
            (YamlValue::List(items), GoType::List(each)) => {
                items.iter().for_each(|item| self.decode(item, each, path));
            }
            (YamlValue::Map(pairs), GoType::Map(each)) => {
                for (key, value) in pairs {
                    if self.is_name(key) {
                        if path == "mirrors.rewrite" {
                            self.read.rewrites.push((key.go_text(), key.position));
                        }
                        self.decode(value, each, path);
                    }
                }
            }
            (YamlValue::Map(pairs), GoType::Struct(_, fields)) => {
                for (key, value) in pairs {
                    if !self.is_name(key) {
                        continue;
                    }
                    let name = key_text(key);
                    let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    match fields.iter().find(|(known, _)| *known == name) {
                        Some((_, wanted)) => self.decode(value, wanted, &below),
                        None => self.read.ignored.push(Fault::new(key.position, below)),
                    }
                }
            }
            _ => self.refuse(node, wanted),
        }
    }

    /// A key is text, as any scalar is.
    fn is_name(&mut self, key: &YamlNode) -> bool {
        let is_scalar = matches!(key.value, YamlValue::Scalar(_));
        if !is_scalar {
            self.refuse(key, &GoType::Text);
        }
        is_scalar
    }

    fn note(&mut self, node: &YamlNode, path: &str) {
        let is_file =
            ["configs.tls.ca_file", "configs.tls.cert_file", "configs.tls.key_file"].contains(&path);
        if let (true, YamlValue::Scalar(Scalar::Text(text))) = (is_file, &node.value) {
            self.read.files.push((text.clone(), node.position));
        }
    }

    fn refuse(&mut self, node: &YamlNode, wanted: &GoType) {
        let found = match &node.value {
            YamlValue::List(_) => "!!seq".to_owned(),
            YamlValue::Map(_) => "!!map".to_owned(),
            YamlValue::Scalar(scalar) => {
                let (tag, text) = self.written(scalar, node.position);
                let is_secret = matches!(wanted, GoType::Struct("registries.AuthConfig", _));
                let text = if is_secret { MASK.into() } else { masked(&text) };
                format!("{tag} `{}`", shown(&text))
            }
        };
        let line = node.position.0;
        let message =
            format!("yaml: unmarshal errors: line {line}: cannot unmarshal {found} into {}", wanted.name());
        self.faults.push(Fault::new(node.position, message));
    }
}

impl Decoder<'_> {
    /// Returns a scalar as it is written, with the tag that yaml.v2 gives it. Quotes stand for text.
    fn written(&self, scalar: &Scalar, (line, column): Position) -> (&'static str, String) {
        let line = self.text.lines().nth(line - 1).unwrap_or_default();
        let rest: String = line.chars().skip(column - 1).collect();
        let plain = rest.split([' ', ',', ']', '}']).next().unwrap_or_default();
        match scalar {
            Scalar::Text(text) if text == plain && scalar::is_timestamp(text) => {
                ("!!timestamp", text.clone())
            }
            Scalar::Text(text) => ("!!str", text.clone()),
            other => (other.tag(), plain.to_owned()),
        }
    }
}

/// Returns a key as the text that the decoder makes of it.
fn key_text(key: &YamlNode) -> String {
    if key.is_null() { String::new() } else { key.go_text() }
}

/// Returns the beginning of a value that is longer than a message shows.
fn shown(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let end = (0..=SHOWN - 3).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}...", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<String> {
        read(text.as_bytes()).err().map(|faults| faults[0].message.clone())
    }

    #[test]
    fn what_wharfie_takes_is_taken() {
        for text in [
            "",
            "# nothing\n",
            "~\n",
            "mirrors:\n",
            "mirrors:\n  a:\n    endpoint: [https://m, 1, yes]\n    rewrite: {\"^x\": y}\n",
            "configs:\n  a:\n    auth: {username: u, password: 1234}\n    tls: {insecure_skip_verify: yes}\n",
            "mirror:\n  a: x\n",
            "auths: {a: {auth: x}}\n",
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
        let read = read(b"mirror: 1\nconfigs: {a: {tls: {ca_file: /ca}}}\nmirrors: {a: {rewrite: {(: b}}}\n")
            .unwrap();
        assert_eq!(read.ignored, [Fault::new((1, 1), "mirror")]);
        assert_eq!(read.files, [("/ca".to_owned(), (2, 30))]);
        assert_eq!(read.rewrites[0].0, "(");
    }

    #[test]
    fn what_it_refuses_has_its_message() {
        for (text, message) in [
            ("- a\n", "line 1: cannot unmarshal !!seq into registries.Registry"),
            ("mirrors: hello\n", "line 1: cannot unmarshal !!str `hello` into map[string]registries.Mirror"),
            (
                "mirrors:\n  a:\n    endpoint: https://x\n",
                "line 3: cannot unmarshal !!str `https://x` into []string",
            ),
            ("configs:\n  a:\n    auth: [x]\n", "line 3: cannot unmarshal !!seq into registries.AuthConfig"),
            (
                "configs:\n  a:\n    tls:\n      insecure_skip_verify: maybe\n",
                "line 4: cannot unmarshal !!str `maybe` into bool",
            ),
            ("configs:\n  a: [1]\n", "line 2: cannot unmarshal !!seq into registries.RegistryConfig"),
        ] {
            assert_eq!(fault(text), Some(format!("yaml: unmarshal errors: {message}")), "{text}");
        }
        assert!(fault("mirrors: [\n").is_some());
    }
}
