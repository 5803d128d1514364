// SPDX-License-Identifier: Apache-2.0
//! A file of one of Kubernetes' own kinds, read as its API server reads it, with positions: YAML (yaml.v2's) becomes
//! JSON, which is decoded into a type, the names of fields case by case; a file that begins with `{` has to be JSON.
//! Source: runtime/serializer/json of k8s.io/apimachinery, sigs.k8s.io/yaml, sigs.k8s.io/json.

use std::collections::HashSet;

use super::flag_values;
use super::scalar::Scalar;
use super::yaml::{self, YamlNode, YamlValue};

/// The most faults of a kind that are reported.
pub const MAX_FAULTS: usize = 20;

/// Line and column, from 1.
pub type Position = (usize, usize);

/// A fault in a file: the API server's own message, and the position.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Kubernetes' own message.
    pub message: String,
    /// The position of the fault.
    pub position: Position,
}

impl Fault {
    /// Creates a fault.
    #[must_use]
    pub fn new(position: Position, message: impl Into<String>) -> Self {
        Self { message: message.into(), position }
    }
}

/// Why a component refuses a file: the reason as the reader of that file classifies it, and the fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal<R> {
    /// The class of the fault.
    pub reason: R,
    /// The fault.
    pub fault: Fault,
}

impl<R> Refusal<R> {
    /// Creates a refusal.
    #[must_use]
    pub fn new(reason: R, position: Position, message: impl Into<String>) -> Self {
        Self { reason, fault: Fault::new(position, message) }
    }

    /// Classifies a fault; for `map_err`.
    pub fn with_reason(reason: R) -> impl FnOnce(Fault) -> Self {
        |fault| Self { reason, fault }
    }
}

/// A value with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its position.
    pub position: Position,
}

/// A file, or an object that is embedded in a file.
#[derive(Debug, Clone)]
pub struct ObjectFile {
    /// Its content; null for an empty file.
    pub root: YamlNode,
    /// Whether it is JSON: numbers in JSON are not converted.
    json: bool,
    /// The position of a second document.
    pub second_document: Option<Position>,
    /// Whether a repeated key is still in `root`.
    has_repeated_keys: bool,
}

impl ObjectFile {
    /// Reads a file.
    pub fn read(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.iter().find(|byte| !b" \t\r\n\x0b\x0c".contains(byte)) == Some(&b'{') {
            return Self::read_json(bytes);
        }
        let (root, second_document) = yaml::read_merged(bytes).map_err(|problem| {
            let position = problem.position.unwrap_or((1, 1));
            Fault::new(position, format!("yaml: line {}: {}", position.0, problem.message))
        })?;
        let root = root.unwrap_or(YamlNode { value: YamlValue::Scalar(Scalar::Null), position: (1, 1) });
        check_json(&root)?;
        Ok(Self { root, json: false, second_document, has_repeated_keys: true })
    }

    fn read_json(bytes: &[u8]) -> Result<Self, Fault> {
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| {
            Fault::new((error.line(), error.column().max(1)), format!("json parse error: {error}"))
        })?;
        // JSON is YAML, but for a few escapes: then only the positions are lost.
        let root = match yaml::read(bytes) {
            Ok(Some(root)) => root,
            _ => from_json(&value),
        };
        Ok(Self { root, json: true, second_document: None, has_repeated_keys: true })
    }

    /// Returns an object that is embedded in this one.
    pub fn part(&self, node: &YamlNode) -> Self {
        // It was made JSON before, which has each key once, if it was not JSON already.
        Self { root: node.clone(), json: self.json, second_document: None, has_repeated_keys: self.json }
    }

    /// Returns its API version and kind, empty if it has none. Go's own JSON reader looks for these, and does
    /// not mind capitals.
    pub fn kind(&self) -> Result<(String, String), Fault> {
        let mut found = [String::new(), String::new()];
        let pairs = match &self.root.value {
            YamlValue::Map(pairs) => pairs.as_slice(),
            YamlValue::Scalar(Scalar::Null) => &[],
            _ => {
                let message = format!(
                    "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value of type struct",
                    json_type(&self.root)
                );
                return Err(Fault::new(self.root.position, message));
            }
        };
        let mut pairs: Vec<(String, &YamlNode)> =
            pairs.iter().map(|(key, node)| (key.go_text(), node)).collect();
        if !self.json {
            pairs.sort_by(|one, other| one.0.cmp(&other.0));
            pairs.reverse();
            pairs.dedup_by(|one, other| one.0 == other.0);
            pairs.reverse();
        }
        for (key, node) in pairs {
            for (index, name) in ["apiversion", "kind"].iter().enumerate() {
                if !key.eq_ignore_ascii_case(name) {
                    continue;
                }
                match &node.value {
                    YamlValue::Scalar(Scalar::Text(text)) => text.clone_into(&mut found[index]),
                    YamlValue::Scalar(Scalar::Null) => {}
                    _ => {
                        let message = format!(
                            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go struct field .{key} of type string",
                            json_type(node)
                        );
                        return Err(Fault::new(node.position, message));
                    }
                }
            }
        }
        let [version, kind] = found;
        Ok((version, kind))
    }

    /// Checks that it has one of the API versions and kinds that a decoder has registered.
    ///
    /// # Errors
    /// The fault that the decoder reports (`Decode` in runtime/serializer/json of k8s.io/apimachinery).
    pub fn expect(&self, registered: &[(&str, &str)]) -> Result<(), Fault> {
        let (version, kind) = self.kind()?;
        if registered.contains(&(version.as_str(), kind.as_str())) {
            return Ok(());
        }
        self.expect_kind()?;
        let is_registered = registered.iter().any(|(known, _)| *known == version);
        let field = if is_registered { "kind" } else { "apiVersion" };
        let message = format!("no kind {kind:?} is registered for version {version:?}");
        Err(Fault::new(position_of(&self.root, field), message))
    }

    /// Checks that it says an API version and a kind, whichever they are.
    ///
    /// # Errors
    /// As [`Self::expect`].
    pub fn expect_kind(&self) -> Result<(), Fault> {
        let (version, kind) = self.kind()?;
        let (field, name) = match (kind.is_empty(), version.is_empty()) {
            (true, _) => ("kind", "Kind"),
            (_, true) => ("apiVersion", "apiVersion"),
            _ => return Ok(()),
        };
        Err(Fault::new(position_of(&self.root, field), format!("Object '{name}' is missing")))
    }

    /// Returns the fields that are there twice.
    #[must_use]
    pub fn repeated_keys(&self) -> Vec<Fault> {
        let mut found = Vec::new();
        if self.has_repeated_keys {
            find_repeated_keys(&self.root, "", &mut found);
        }
        found.truncate(MAX_FAULTS);
        found
    }

    /// Leaves the last of each repeated key, as a decoder does that is not strict. Within JSON, Go's decoder takes each in
    /// turn.
    pub fn keep_last_keys(&mut self) {
        if !self.json {
            keep_last_keys(&mut self.root);
        }
    }

    /// Tells whether it is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }
}

/// Refuses the first of the fields that a lenient decoder drops, as a strict decoder does.
///
/// # Errors
/// That field, in the strict decoder's words (`NewStrictDecodingError` in runtime/error.go of k8s.io/apimachinery).
pub fn refuse_dropped(dropped: &[Fault]) -> Result<(), Fault> {
    dropped.first().map_or(Ok(()), |fault| {
        Err(Fault::new(fault.position, format!("strict decoding error: {}", fault.message)))
    })
}

/// Refuses what YAML can say and JSON cannot.
fn check_json(node: &YamlNode) -> Result<(), Fault> {
    match &node.value {
        YamlValue::Scalar(Scalar::Float(value)) if !value.is_finite() => {
            Err(Fault::new(node.position, format!("json: unsupported value: {value}")))
        }
        YamlValue::Scalar(_) => Ok(()),
        YamlValue::List(items) => items.iter().try_for_each(check_json),
        YamlValue::Map(pairs) => pairs.iter().try_for_each(|(key, value)| {
            match &key.value {
                YamlValue::Scalar(Scalar::Null | Scalar::Uint(_)) => {
                    return Err(Fault::new(key.position, "unsupported map key"));
                }
                YamlValue::Scalar(_) => {}
                _ => {
                    return Err(Fault::new(
                        key.position,
                        format!("yaml: invalid map key: {}", key.go_text()),
                    ));
                }
            }
            check_json(value)
        }),
    }
}

fn from_json(value: &serde_json::Value) -> YamlNode {
    use serde_json::Value as Json;
    let value = match value {
        Json::Null => YamlValue::Scalar(Scalar::Null),
        Json::Bool(value) => YamlValue::Scalar(Scalar::Bool(*value)),
        Json::Number(number) => YamlValue::Scalar(
            number
                .as_i64()
                .map(Scalar::Int)
                .or_else(|| number.as_u64().map(Scalar::Uint))
                .unwrap_or_else(|| Scalar::Float(number.as_f64().unwrap_or_default())),
        ),
        Json::String(text) => YamlValue::Scalar(Scalar::Text(text.clone())),
        Json::Array(items) => YamlValue::List(items.iter().map(from_json).collect()),
        Json::Object(pairs) => YamlValue::Map(
            pairs
                .iter()
                .map(|(key, value)| (from_json(&Json::String(key.clone())), from_json(value)))
                .collect(),
        ),
    };
    YamlNode { value, position: (1, 1) }
}

pub(super) fn json_type(node: &YamlNode) -> &'static str {
    match &node.value {
        YamlValue::List(_) => "array",
        YamlValue::Map(_) => "object",
        YamlValue::Scalar(Scalar::Null) => "null",
        YamlValue::Scalar(Scalar::Bool(_)) => "bool",
        YamlValue::Scalar(Scalar::Text(_)) => "string",
        YamlValue::Scalar(_) => "number",
    }
}

fn find_repeated_keys(node: &YamlNode, path: &str, loose: &mut Vec<Fault>) {
    match &node.value {
        YamlValue::Scalar(_) => {}
        YamlValue::List(items) => {
            for (index, item) in items.iter().enumerate() {
                find_repeated_keys(item, &format!("{path}[{index}]"), loose);
            }
        }
        YamlValue::Map(pairs) => {
            let mut seen = HashSet::new();
            for (key, value) in pairs {
                let name = key.go_text();
                if !seen.insert((json_type(key), name.clone())) {
                    let message = format!(
                        "yaml: unmarshal errors: line {}: key {name:?} already set in map",
                        key.position.0
                    );
                    loose.push(Fault::new(key.position, message));
                }
                find_repeated_keys(value, &field_path(path, &name), loose);
            }
        }
    }
}

fn keep_last_keys(node: &mut YamlNode) {
    match &mut node.value {
        YamlValue::Scalar(_) => {}
        YamlValue::List(items) => items.iter_mut().for_each(keep_last_keys),
        YamlValue::Map(pairs) => {
            let mut seen = HashSet::new();
            pairs.reverse();
            pairs.retain(|(key, _)| seen.insert(key.go_text()));
            pairs.reverse();
            pairs.iter_mut().for_each(|(_, value)| keep_last_keys(value));
        }
    }
}

/// Returns the path of a field of the mapping at `path`, which is empty for the whole document.
#[must_use]
pub fn field_path(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Returns a whole number, which YAML may also write as `1e3` or `1.0`.
pub fn whole_number(value: &YamlValue, json: bool) -> Option<i64> {
    match value {
        YamlValue::Scalar(Scalar::Int(value)) => Some(*value),
        #[allow(clippy::cast_possible_truncation, reason = "it is small and has no fraction")]
        YamlValue::Scalar(Scalar::Float(value)) if !json && value.fract() == 0.0 && value.abs() < 1e15 => {
            Some(*value as i64)
        }
        _ => None,
    }
}

/// Returns a field that is set, the last of its name.
pub fn field<'a>(node: &'a YamlNode, name: &str) -> Option<&'a YamlNode> {
    let YamlValue::Map(pairs) = &node.value else { return None };
    let (_, value) = pairs.iter().rev().find(|(key, _)| key.go_text() == name)?;
    (!value.is_null()).then_some(value)
}

/// Returns the text of a field, empty if it has none.
pub fn text<'a>(node: &'a YamlNode, name: &str) -> &'a str {
    field(node, name).map_or("", node_text)
}

/// Returns a node's text.
pub fn node_text(node: &YamlNode) -> &str {
    match &node.value {
        YamlValue::Scalar(Scalar::Text(text)) => text,
        _ => "",
    }
}

/// Returns the items of a field that is a list.
pub fn items<'a>(node: &'a YamlNode, name: &str) -> &'a [YamlNode] {
    match field(node, name).map(|node| &node.value) {
        Some(YamlValue::List(items)) => items,
        _ => &[],
    }
}

/// Returns the texts of a field that is a list of strings, with their positions.
#[must_use]
pub fn located_texts(node: &YamlNode, name: &str) -> Vec<Located<String>> {
    let located = |item: &YamlNode| Located { value: node_text(item).to_owned(), position: item.position };
    items(node, name).iter().map(located).collect()
}

/// Returns the texts of a field that is a list of strings.
#[must_use]
pub fn texts(node: &YamlNode, name: &str) -> Vec<String> {
    items(node, name).iter().map(|item| node_text(item).to_owned()).collect()
}

/// Returns the length of a field that is a duration, 0 if it has none.
#[must_use]
pub fn duration(node: &YamlNode, name: &str) -> i128 {
    flag_values::duration(text(node, name)).unwrap_or_default()
}

/// Returns a field's whole number, 0 if it has none.
pub fn number(node: &YamlNode, name: &str) -> i64 {
    field(node, name).and_then(|node| whole_number(&node.value, false)).unwrap_or_default()
}

/// Returns the position of a field; without the field, that of the node.
pub fn position_of(node: &YamlNode, name: &str) -> Position {
    field(node, name).map_or(node.position, |node| node.position)
}
