//! The fields of KubeletConfiguration and their types (data/kubelet-fields.yaml), and how the kubelet decodes them: with
//! Go's encoding/json, which does not mind the case of letters.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::object::{Fault, field_path, whole_number};
use super::scalar::Scalar;
use super::yaml::{YamlNode, YamlValue};
use super::{flag_values, quantity};
use crate::embedded;
use crate::version::KubernetesMinor;

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FieldKind {
    Text,
    Bool,
    Int32,
    Int64,
    Unsigned,
    Number,
    Duration,
    DurationOrNumber,
    Quantity,
}

/// A row of the table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldRow {
    kind: FieldKind,
    /// The argument that overrides it.
    flag: Option<String>,
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
}

/// A type with what is in it.
#[derive(Debug)]
enum KubeletType {
    Value(FieldRow),
    List(Box<KubeletType>),
    Map(Box<KubeletType>),
    Struct(BTreeMap<String, KubeletType>),
}

static ROWS: LazyLock<BTreeMap<String, FieldRow>> = LazyLock::new(|| embedded::table("kubelet-fields"));
static FIELDS: LazyLock<KubeletType> = LazyLock::new(|| {
    let mut root = BTreeMap::new();
    for (path, row) in ROWS.iter() {
        insert(&mut root, path, row.clone());
    }
    KubeletType::Struct(root)
});

/// Returns the field that an argument overrides, if it is one that k3s-harden writes.
#[must_use]
pub fn of_flag(flag: &str) -> Option<&'static str> {
    let row = ROWS.iter().find(|(_, row)| row.flag.as_deref() == Some(flag));
    row.map(|(path, _)| path.trim_end_matches("[]"))
}

fn insert(fields: &mut BTreeMap<String, KubeletType>, path: &str, row: FieldRow) {
    let at = path.find(['.', '[', '{']).unwrap_or(path.len());
    let (name, rest) = path.split_at(at);
    if let (Some(KubeletType::Struct(below)), Some(rest)) = (fields.get_mut(name), rest.strip_prefix('.')) {
        return insert(below, rest, row);
    }
    if let (Some(KubeletType::List(each)), Some(rest)) = (fields.get_mut(name), rest.strip_prefix("[].")) {
        if let KubeletType::Struct(below) = each.as_mut() {
            insert(below, rest, row);
        }
        return;
    }
    fields.insert(name.to_owned(), type_of(rest, row));
}

fn type_of(rest: &str, row: FieldRow) -> KubeletType {
    if let Some(rest) = rest.strip_prefix("[]") {
        return KubeletType::List(Box::new(type_of(rest, row)));
    }
    if let Some(rest) = rest.strip_prefix("{}") {
        return KubeletType::Map(Box::new(type_of(rest, row)));
    }
    match rest.strip_prefix('.') {
        Some(path) => {
            let mut fields = BTreeMap::new();
            insert(&mut fields, path, row);
            KubeletType::Struct(fields)
        }
        None => KubeletType::Value(row),
    }
}

impl KubeletType {
    fn is_of(&self, minor: KubernetesMinor) -> bool {
        match self {
            Self::Value(row) => minor.is_within(row.from, row.until),
            Self::List(each) | Self::Map(each) => each.is_of(minor),
            Self::Struct(fields) => fields.values().any(|field| field.is_of(minor)),
        }
    }

    /// Tells whether a merged configuration has the field only where somebody sets it.
    fn has_no_default(&self) -> bool {
        match self {
            Self::Value(row) => matches!(row.kind, FieldKind::Bool | FieldKind::Text),
            _ => true,
        }
    }
}

/// What the kubelet makes of a document.
#[derive(Debug, Default)]
pub struct DecodedFields {
    /// The fields by the names that the kubelet knows, with dots; a value is a text, a list of texts or a map of texts.
    pub fields: BTreeMap<String, YamlNode>,
    /// Fields that the kubelet drops.
    pub unknown: Vec<Fault>,
    /// Values that have another type than their fields: it does not start.
    pub faults: Vec<Fault>,
}

/// Decodes a configuration as the kubelet of a minor does.
#[must_use]
pub fn decode(root: &YamlNode, minor: KubernetesMinor) -> DecodedFields {
    let mut decoded = DecodedFields::default();
    decoded.add(root, &FIELDS, ("", ""), minor);
    decoded
}

impl DecodedFields {
    /// `path` is that of the field, and as it is written.
    fn add(&mut self, node: &YamlNode, wanted: &KubeletType, path: (&str, &str), minor: KubernetesMinor) {
        let (path, written) = path;
        if node.is_null() {
            return;
        }
        match (wanted, &node.value) {
            (KubeletType::Value(row), _) => match value_fault(node, row.kind) {
                Some(why) => self.mismatch(node, written, &why),
                None => {
                    self.fields.insert(path.to_owned(), node.clone());
                }
            },
            (KubeletType::List(each), YamlValue::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let (path, written) = (format!("{path}[{index}]"), format!("{written}[{index}]"));
                    self.add(item, each, (&path, &written), minor);
                }
                self.fields.insert(path.to_owned(), node.clone());
            }
            (KubeletType::Map(each), YamlValue::Map(pairs)) => {
                for (key, value) in pairs {
                    let key = key.go_text();
                    self.add(value, each, (&field_path(path, &key), &field_path(written, &key)), minor);
                }
                self.fields.insert(path.to_owned(), node.clone());
            }
            (KubeletType::Struct(fields), YamlValue::Map(pairs)) => {
                let mut pairs: Vec<(String, &YamlNode, &YamlNode)> =
                    pairs.iter().map(|(key, value)| (key.go_text(), key, value)).collect();
                pairs.sort_by(|one, other| one.0.cmp(&other.0));
                for (name, key, value) in pairs {
                    let written = field_path(written, &name);
                    let known = fields
                        .get_key_value(&name)
                        .or_else(|| fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)));
                    let Some((known, wanted)) = known.filter(|(_, wanted)| wanted.is_of(minor)) else {
                        let message = format!("unknown field {written:?}");
                        self.unknown.push(Fault::new(key.position, message));
                        continue;
                    };
                    let path = field_path(path, known);
                    let counts = name >= *known || wanted.has_no_default();
                    if counts {
                        self.add(value, wanted, (&path, &written), minor);
                        continue;
                    }
                    // The default comes behind it, and counts. The type is looked at all the same.
                    let mut other = Self::default();
                    other.add(value, wanted, (&path, &written), minor);
                    self.faults.append(&mut other.faults);
                }
            }
            (KubeletType::List(_), _) => self.mismatch(node, written, "a list"),
            (KubeletType::Map(_) | KubeletType::Struct(_), _) => self.mismatch(node, written, "a mapping"),
        }
    }

    fn mismatch(&mut self, node: &YamlNode, written: &str, wanted: &str) {
        let message = format!("{written} takes {wanted}, not {}", node.go_text());
        self.faults.push(Fault::new(node.position, message));
    }
}

/// Returns what a field takes, if that is not the value.
fn value_fault(node: &YamlNode, kind: FieldKind) -> Option<String> {
    let text = match &node.value {
        YamlValue::Scalar(Scalar::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let number = whole_number(&node.value, false);
    let is_number =
        matches!(&node.value, YamlValue::Scalar(Scalar::Int(_) | Scalar::Uint(_) | Scalar::Float(_)));
    let is_duration = text.is_some_and(|text| flag_values::duration(text).is_some());
    let (fits, wanted) = match kind {
        FieldKind::Text => (text.is_some(), "a text"),
        FieldKind::Bool => {
            (matches!(&node.value, YamlValue::Scalar(Scalar::Bool(_))), "true or false, without quotes")
        }
        FieldKind::Int32 => {
            (number.is_some_and(|number| i32::try_from(number).is_ok()), "a whole number of 32 bits")
        }
        FieldKind::Int64 => (number.is_some(), "a whole number"),
        FieldKind::Unsigned => {
            (number.is_some_and(|number| u32::try_from(number).is_ok()), "a whole number, 0 or more")
        }
        FieldKind::Number => (is_number, "a number"),
        FieldKind::Duration => (is_duration, "a duration such as 300s, 5m or 1h30m"),
        FieldKind::DurationOrNumber => (is_duration || number.is_some(), "a duration such as 5s"),
        FieldKind::Quantity => (
            is_number || text.is_some_and(|text| quantity::parse(text).is_some()),
            "a quantity such as 100Mi",
        ),
    };
    (!fits).then(|| wanted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::yaml;

    fn decoded(text: &str, minor: &str) -> DecodedFields {
        decode(&yaml::read(text.as_bytes()).unwrap().unwrap(), minor.parse().unwrap())
    }

    #[test]
    fn types_are_those_of_the_minor() {
        for (text, minor, fault) in [
            ("maxPods: 50", "1.36", ""),
            ("maxPods: '50'", "1.36", "maxPods takes a whole number of 32 bits, not 50"),
            ("maxpods: '50'", "1.36", "maxpods takes"),
            ("evictionHard: {memory.available: 1}", "1.36", "evictionHard.memory.available takes a text"),
            ("registerWithTaints: [a]", "1.36", "registerWithTaints[0] takes a mapping"),
            ("registerWithTaints: [{key: 1}]", "1.36", "registerWithTaints[0].key takes a text"),
            ("staticPodURLHeader: {a: b}", "1.36", "staticPodURLHeader.a takes a list"),
            ("logging: {verbosity: -1}", "1.36", "logging.verbosity takes"),
            (
                "logging: {options: {text: {infoBufferSize: abc}}}",
                "1.36",
                "logging.options.text.infoBufferSize takes",
            ),
            ("protectKernelDefaults: 'true'", "1.36", "protectKernelDefaults takes true or false"),
            ("syncFrequency: 60", "1.36", "syncFrequency takes a duration"),
            ("maxPods: null", "1.36", ""),
        ] {
            let faults = decoded(text, minor).faults;
            let said = faults.first().map_or("", |fault| fault.message.as_str());
            assert!(said.starts_with(fault) && faults.is_empty() == fault.is_empty(), "{text}: {said}");
        }
    }

    #[test]
    fn letters_of_any_case_name_a_field_and_others_are_dropped() {
        let both = decoded("MaxPods: -5\nmaxpods: 7\nProtectKernelDefaults: true\nmaxPod: 1\n", "1.36");
        assert_eq!(both.fields["maxPods"].go_text(), "7");
        assert_eq!(both.fields["protectKernelDefaults"].go_text(), "true");
        assert_eq!(both.unknown[0].message, "unknown field \"maxPod\"");
        assert!(!decoded("MaxPods: -5\n", "1.36").fields.contains_key("maxPods"), "the default counts");
        assert_eq!(decoded("podLogsDir: /a", "1.29").unknown.len(), 1);
        assert_eq!(decoded("podLogsDir: /a", "1.30").unknown.len(), 0);
    }
}
