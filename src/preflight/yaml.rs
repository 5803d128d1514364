//! A file of one of Kubernetes' own kinds, read as its API server reads it, with positions: YAML (yaml.v2's) becomes
//! JSON, which is decoded into a type, the names of fields case by case; a file that begins with `{` has to be JSON.
//! Source: runtime/serializer/json of k8s.io/apimachinery, sigs.k8s.io/yaml, sigs.k8s.io/json.

use std::collections::{HashMap, HashSet};

use crate::k3s::scalar::Scalar;
use crate::k3s::yaml::{self, Node, Value};

/// Most faults of a kind that are told: who has more has seen enough.
pub(crate) const MAX_FAULTS: usize = 20;

/// Line and column, from 1.
type Position = (usize, usize);

/// What is wrong with a file, as the API server says it, and where.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) position: Position,
}

impl Fault {
    pub(crate) fn new(position: Position, message: impl Into<String>) -> Self {
        Self { message: message.into(), position }
    }
}

/// A file, or what is embedded in one.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// What is in it; null for nothing.
    pub(crate) root: Node,
    /// Whether it is JSON, where numbers are taken as they are written.
    json: bool,
    /// Where a second document begins.
    pub(crate) further: Option<Position>,
    /// Whether keys that are there twice are still seen.
    twice_is_seen: bool,
}

/// What a field holds.
#[derive(Debug)]
pub(crate) enum Type {
    Text,
    Boolean,
    /// A whole number of 32 bits.
    Whole,
    /// One of 64 bits.
    Long,
    /// `name: text`.
    Texts,
    /// Anything.
    Any,
    List(&'static Type),
    Object(&'static [(&'static str, Type)]),
}

/// The metadata of an object.
pub(crate) const METADATA: Type = Type::Object(&[
    ("name", Type::Text),
    ("generateName", Type::Text),
    ("namespace", Type::Text),
    ("selfLink", Type::Text),
    ("uid", Type::Text),
    ("resourceVersion", Type::Text),
    ("generation", Type::Long),
    ("creationTimestamp", Type::Any),
    ("deletionTimestamp", Type::Any),
    ("deletionGracePeriodSeconds", Type::Long),
    ("labels", Type::Texts),
    ("annotations", Type::Texts),
    ("ownerReferences", Type::List(&Type::Any)),
    ("finalizers", Type::List(&Type::Text)),
    ("managedFields", Type::List(&Type::Any)),
]);

pub(crate) const TEXTS: Type = Type::List(&Type::Text);

impl Document {
    /// Reads a file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.iter().find(|byte| !b" \t\r\n\x0b\x0c".contains(byte)) == Some(&b'{') {
            return Self::read_json(bytes);
        }
        let (root, further) = yaml::read_merged(bytes).map_err(|problem| {
            let position = problem.position.unwrap_or((1, 1));
            Fault::new(position, format!("yaml: line {}: {}", position.0, problem.message))
        })?;
        let root = root.unwrap_or(Node { value: Value::Scalar(Scalar::Null), position: (1, 1) });
        becomes_json(&root)?;
        Ok(Self { root, json: false, further, twice_is_seen: true })
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
        Ok(Self { root, json: true, further: None, twice_is_seen: true })
    }

    /// Returns an object that is embedded in this one.
    pub(crate) fn part(&self, node: &Node) -> Self {
        // It was made JSON before, which has each key once, if it was not JSON already.
        Self { root: node.clone(), json: self.json, further: None, twice_is_seen: self.json }
    }

    /// Returns its API version and kind, empty where it has none. Go's own JSON reader looks for these, and does
    /// not mind capitals.
    pub(crate) fn kind(&self) -> Result<(String, String), Fault> {
        let mut found = [String::new(), String::new()];
        let pairs = match &self.root.value {
            Value::Map(pairs) => pairs.as_slice(),
            Value::Scalar(Scalar::Null) => &[],
            _ => {
                let message = format!(
                    "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value of type struct",
                    name_of(&self.root)
                );
                return Err(Fault::new(self.root.position, message));
            }
        };
        let mut pairs: Vec<(String, &Node)> = pairs.iter().map(|(key, node)| (key.go_text(), node)).collect();
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
                    Value::Scalar(Scalar::Text(text)) => text.clone_into(&mut found[index]),
                    Value::Scalar(Scalar::Null) => {}
                    _ => {
                        let message = format!(
                            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go struct field .{key} of type string",
                            name_of(node)
                        );
                        return Err(Fault::new(node.position, message));
                    }
                }
            }
        }
        let [version, kind] = found;
        Ok((version, kind))
    }

    /// Decodes it as a type: what cannot be decoded is an error; returned are fields that are unknown or there twice,
    /// which a strict reader refuses and another one drops.
    pub(crate) fn decode(&self, wanted: &Type) -> Result<Vec<Fault>, Fault> {
        let mut loose = Vec::new();
        if self.twice_is_seen {
            twice(&self.root, "", &mut loose);
        }
        decode(&self.root, wanted, "", self.json, &mut loose)?;
        loose.truncate(MAX_FAULTS);
        Ok(loose)
    }
}

/// Refuses what YAML can say and JSON cannot.
fn becomes_json(node: &Node) -> Result<(), Fault> {
    match &node.value {
        Value::Scalar(Scalar::Float(value)) if !value.is_finite() => {
            Err(Fault::new(node.position, format!("json: unsupported value: {value}")))
        }
        Value::Scalar(_) => Ok(()),
        Value::List(items) => items.iter().try_for_each(becomes_json),
        Value::Map(pairs) => pairs.iter().try_for_each(|(key, value)| {
            match &key.value {
                Value::Scalar(Scalar::Null | Scalar::Uint(_)) => {
                    return Err(Fault::new(key.position, "unsupported map key"));
                }
                Value::Scalar(_) => {}
                _ => {
                    return Err(Fault::new(
                        key.position,
                        format!("yaml: invalid map key: {}", key.go_text()),
                    ));
                }
            }
            becomes_json(value)
        }),
    }
}

fn from_json(value: &serde_json::Value) -> Node {
    use serde_json::Value as Json;
    let value = match value {
        Json::Null => Value::Scalar(Scalar::Null),
        Json::Bool(value) => Value::Scalar(Scalar::Bool(*value)),
        Json::Number(number) => Value::Scalar(
            number
                .as_i64()
                .map(Scalar::Int)
                .or_else(|| number.as_u64().map(Scalar::Uint))
                .unwrap_or_else(|| Scalar::Float(number.as_f64().unwrap_or_default())),
        ),
        Json::String(text) => Value::Scalar(Scalar::Text(text.clone())),
        Json::Array(items) => Value::List(items.iter().map(from_json).collect()),
        Json::Object(pairs) => Value::Map(
            pairs
                .iter()
                .map(|(key, value)| (from_json(&Json::String(key.clone())), from_json(value)))
                .collect(),
        ),
    };
    Node { value, position: (1, 1) }
}

fn name_of(node: &Node) -> &'static str {
    match &node.value {
        Value::List(_) => "array",
        Value::Map(_) => "object",
        Value::Scalar(Scalar::Null) => "null",
        Value::Scalar(Scalar::Bool(_)) => "bool",
        Value::Scalar(Scalar::Text(_)) => "string",
        Value::Scalar(_) => "number",
    }
}

fn twice(node: &Node, path: &str, loose: &mut Vec<Fault>) {
    match &node.value {
        Value::Scalar(_) => {}
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                twice(item, &format!("{path}[{index}]"), loose);
            }
        }
        Value::Map(pairs) => {
            let mut seen = HashSet::new();
            for (key, value) in pairs {
                let name = key.go_text();
                if !seen.insert((name_of(key), name.clone())) {
                    let message = format!(
                        "yaml: unmarshal errors: line {}: key {name:?} already set in map",
                        key.position.0
                    );
                    loose.push(Fault::new(key.position, message));
                }
                twice(value, &below(path, &name), loose);
            }
        }
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn decode(node: &Node, wanted: &Type, path: &str, json: bool, loose: &mut Vec<Fault>) -> Result<(), Fault> {
    let mismatch = |wanted: &str| {
        let message =
            format!("json: cannot unmarshal {} into Go struct field {path} of type {wanted}", name_of(node));
        Err(Fault::new(node.position, message))
    };
    match (wanted, &node.value) {
        (Type::Any, _) | (_, Value::Scalar(Scalar::Null)) => Ok(()),
        (Type::Text, Value::Scalar(Scalar::Text(_))) | (Type::Boolean, Value::Scalar(Scalar::Bool(_))) => {
            Ok(())
        }
        (Type::Text, _) => mismatch("string"),
        (Type::Boolean, _) => mismatch("bool"),
        (Type::Whole, value) if whole(value, json).is_some_and(|value| i32::try_from(value).is_ok()) => {
            Ok(())
        }
        (Type::Whole, _) => mismatch("int32"),
        (Type::Long, value) if whole(value, json).is_some() => Ok(()),
        (Type::Long, _) => mismatch("int64"),
        (Type::List(each), Value::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                decode(item, each, &format!("{path}[{index}]"), json, loose)?;
            }
            Ok(())
        }
        (Type::List(_), _) => mismatch("[]"),
        (Type::Texts, Value::Map(pairs)) => pairs.iter().try_for_each(|(key, value)| {
            decode(value, &Type::Text, &below(path, &key.go_text()), json, loose)
        }),
        (Type::Texts, _) => mismatch("map[string]string"),
        (Type::Object(fields), Value::Map(pairs)) => {
            let last: HashMap<String, usize> =
                pairs.iter().enumerate().map(|(index, (key, _))| (key.go_text(), index)).collect();
            for (index, (key, value)) in pairs.iter().enumerate() {
                let name = key.go_text();
                if !json && last.get(&name) != Some(&index) {
                    continue;
                }
                let path = below(path, &name);
                match fields.iter().find(|(known, _)| *known == name) {
                    Some((_, wanted)) => decode(value, wanted, &path, json, loose)?,
                    None => loose.push(Fault::new(key.position, format!("unknown field {path:?}"))),
                }
            }
            Ok(())
        }
        (Type::Object(_), _) => mismatch("struct"),
    }
}

/// Returns a whole number, which YAML may also write as `1e3` or `1.0`.
pub(crate) fn whole(value: &Value, json: bool) -> Option<i64> {
    match value {
        Value::Scalar(Scalar::Int(value)) => Some(*value),
        #[allow(clippy::cast_possible_truncation, reason = "it is small and has no fraction")]
        Value::Scalar(Scalar::Float(value)) if !json && value.fract() == 0.0 && value.abs() < 1e15 => {
            Some(*value as i64)
        }
        _ => None,
    }
}

/// Returns a field that is set, the last of its name.
pub(crate) fn field<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let Value::Map(pairs) = &node.value else { return None };
    let (_, value) = pairs.iter().rev().find(|(key, _)| key.go_text() == name)?;
    (!value.is_null()).then_some(value)
}

/// Returns the text of a field, empty where it has none.
pub(crate) fn text<'a>(node: &'a Node, name: &str) -> &'a str {
    field(node, name).map_or("", content)
}

/// Returns a node's text.
pub(crate) fn content(node: &Node) -> &str {
    match &node.value {
        Value::Scalar(Scalar::Text(text)) => text,
        _ => "",
    }
}

/// Returns the items of a field that is a list.
pub(crate) fn items<'a>(node: &'a Node, name: &str) -> &'a [Node] {
    match field(node, name).map(|node| &node.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

/// Returns a field's whole number, 0 where it has none.
pub(crate) fn number(node: &Node, name: &str) -> i64 {
    field(node, name).and_then(|node| whole(&node.value, false)).unwrap_or_default()
}

/// Returns where a field is, or would be.
pub(crate) fn place(node: &Node, name: &str) -> Position {
    field(node, name).map_or(node.position, |node| node.position)
}

/// RFC 1123's label, such as the name of a namespace.
pub(crate) fn is_label(text: &str) -> bool {
    let inner = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    text.len() <= 63
        && !text.is_empty()
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// RFC 1123's subdomain, such as an API group. Its labels may be longer than a label alone.
pub(crate) fn is_subdomain(text: &str) -> bool {
    let inner = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}
