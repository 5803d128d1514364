// SPDX-License-Identifier: Apache-2.0
//! The fields of the kinds of configuration that Kubernetes' components read, with their types (data/config-fields.yaml),
//! and how a component decodes a document: field by field, by the types of its own minor.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;

use super::object::{Fault, MAX_FAULTS, ObjectFile, field_path, json_type, whole_number};
use super::scalar::{self, Scalar};
use super::yaml::{YamlNode, YamlValue};
use super::{flag_values, kubelet_defaults, quantity};
use crate::embedded;
use crate::version::KubernetesMinor;

/// An API version of a kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindVersion {
    /// The Go type, where it is not named as the kind.
    #[serde(rename = "type")]
    go_type: Option<String>,
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
}

/// A field for a range of minors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldRow {
    of: String,
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
}

/// A field: its type, which several minors may have as another.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum FieldEntry {
    Always(String),
    Sometimes(FieldRow),
    Changing(Vec<FieldRow>),
}

/// The table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldTable {
    kinds: BTreeMap<String, BTreeMap<String, KindVersion>>,
    types: BTreeMap<String, BTreeMap<String, FieldEntry>>,
    /// The arguments with the fields that they override, by kind.
    flags: BTreeMap<String, BTreeMap<String, String>>,
    /// The durations that may be null, by Go type.
    nullable: BTreeMap<String, Vec<String>>,
    /// The defaults, by kind.
    defaults: BTreeMap<String, FieldDefaults>,
    /// The kinds that are objects of the cluster, and no configuration of a component.
    #[serde(skip)]
    objects: BTreeSet<String>,
}

/// The table of the objects that are read from files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectTable {
    kinds: BTreeMap<String, BTreeMap<String, KindVersion>>,
    types: BTreeMap<String, BTreeMap<String, FieldEntry>>,
}

/// The defaults of a kind that rules compare with.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FieldDefaults {
    /// The values of fields that are not there.
    pub(super) unset: BTreeMap<String, serde_json::Value>,
    /// The values of fields that are not there, or zero.
    pub(super) zero: BTreeMap<String, serde_json::Value>,
}

static TABLE: LazyLock<FieldTable> = LazyLock::new(|| {
    let mut table: FieldTable = embedded::table("config-fields");
    let objects: ObjectTable = embedded::table("admission-objects");
    table.objects = objects.kinds.keys().cloned().collect();
    table.kinds.extend(objects.kinds);
    table.types.extend(objects.types);
    table
});

impl FieldEntry {
    /// Returns the field's type in a minor; none if the minor lacks the field.
    fn of(&'static self, minor: KubernetesMinor) -> Option<&'static str> {
        let fits = |row: &&FieldRow| minor.is_within(row.from, row.until);
        match self {
            Self::Always(of) => Some(of),
            Self::Sometimes(row) => Some(row).filter(fits).map(|row| row.of.as_str()),
            Self::Changing(rows) => rows.iter().find(fits).map(|row| row.of.as_str()),
        }
    }

    /// Returns since when, or until when, other minors have it.
    fn availability(&self, minor: KubernetesMinor) -> String {
        let rows = match self {
            Self::Always(_) => &[],
            Self::Sometimes(row) => std::slice::from_ref(row),
            Self::Changing(rows) => rows.as_slice(),
        };
        let mut said = rows.iter().map(|row| minor.availability(row.from, row.until));
        said.find(|text| !text.is_empty()).unwrap_or_default()
    }
}

/// Returns the API versions of a kind that a minor decodes, each with the kind.
#[must_use]
pub fn registered(kind: &str, minor: KubernetesMinor) -> Vec<(&'static str, &'static str)> {
    let known = TABLE.kinds.get_key_value(kind).into_iter();
    let versions = known.flat_map(|(kind, versions)| versions.iter().map(move |row| (kind.as_str(), row)));
    versions
        .filter(|(_, (_, row))| minor.is_within(row.from, row.until))
        .map(|(kind, (version, _))| (version.as_str(), kind))
        .collect()
}

/// Returns the API versions of the kinds that a minor decodes and that are in an API group, each with the kind.
#[must_use]
pub fn registered_in(
    group: &str,
    kinds: &[&str],
    minor: KubernetesMinor,
) -> Vec<(&'static str, &'static str)> {
    let is_in = |version: &str| version.split_once('/').is_some_and(|(name, _)| name == group);
    let all = kinds.iter().flat_map(|kind| registered(kind, minor));
    all.filter(|(version, _)| is_in(version)).collect()
}

/// Returns the type of a field of a kind in a minor, by its path; none if the minor has no such field, or if the field is a
/// mapping with fields of its own.
#[must_use]
pub(super) fn type_of(
    (version, kind): (&str, &str),
    path: &str,
    minor: KubernetesMinor,
) -> Option<&'static str> {
    let (kind, versions) = TABLE.kinds.get_key_value(kind)?;
    let mut of = versions.get(version)?.go_type.as_deref().unwrap_or(kind);
    for name in path.split('.') {
        of = TABLE.types.get(of)?.get(name)?.of(minor)?;
    }
    (!TABLE.types.contains_key(of)).then_some(of)
}

/// Returns the arguments with the fields of a kind that they override.
pub(super) fn flags_of(kind: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let flags = TABLE.flags.get(kind).into_iter().flatten();
    flags.map(|(flag, field)| (flag.as_str(), field.as_str()))
}

/// Returns the defaults of a kind; none if no rule compares with one.
pub(super) fn defaults_of(kind: &str) -> Option<&'static FieldDefaults> {
    TABLE.defaults.get(kind)
}

/// A field of a Go type, below a kind in one of its API versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypedField<'a> {
    /// The kind.
    pub kind: &'a str,
    /// Its API version.
    pub version: &'a str,
    /// The Go type that has the field.
    pub go_type: &'a str,
    /// The name of the field; empty for a type that has none.
    pub field: &'a str,
    /// Its type: `[]` before it is a list, `{}` a map.
    pub of: &'a str,
}

/// Returns every field of every kind of configuration that a minor has.
#[must_use]
pub fn typed_fields(minor: KubernetesMinor) -> Vec<TypedField<'static>> {
    fields_of_kinds(minor, |kind| !TABLE.objects.contains(kind))
}

/// Returns every field of the objects that a minor takes from files.
#[must_use]
pub fn typed_object_fields(minor: KubernetesMinor) -> Vec<TypedField<'static>> {
    fields_of_kinds(minor, |kind| TABLE.objects.contains(kind))
}

fn fields_of_kinds(minor: KubernetesMinor, is_wanted: impl Fn(&str) -> bool) -> Vec<TypedField<'static>> {
    let mut found = Vec::new();
    for (kind, versions) in TABLE.kinds.iter().filter(|(kind, _)| is_wanted(kind)) {
        for (version, row) in versions.iter().filter(|(_, row)| minor.is_within(row.from, row.until)) {
            let mut types = vec![row.go_type.as_deref().unwrap_or(kind)];
            let mut next = 0;
            while let Some(&go_type) = types.get(next) {
                next += 1;
                let Some(fields) = TABLE.types.get(go_type) else { continue };
                let go_type = go_name_of(go_type);
                let none = TypedField { kind, version, go_type, field: "", of: "" };
                found.extend(fields.is_empty().then_some(none));
                for (field, of) in fields.iter().filter_map(|(field, entry)| Some((field, entry.of(minor)?)))
                {
                    found.push(TypedField { kind, version, go_type, field, of: go_name_of(of) });
                    let base = of.trim_start_matches(['[', ']', '{', '}']);
                    if !types.contains(&base) {
                        types.push(base);
                    }
                }
            }
        }
    }
    found
}

/// Returns a type's name without the API version that tells it from others of the same name.
fn go_name_of(of: &str) -> &str {
    of.split_once('@').map_or(of, |(name, _)| name)
}

/// How the names in a document are compared with those of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldNames {
    /// Letter by letter, as sigs.k8s.io/json does.
    Exact,
    /// In any case, as Go's encoding/json does with what the kubelet has merged.
    AnyCase,
}

/// What a component makes of a document.
#[derive(Debug, Default)]
pub struct DecodedFields {
    /// The fields by the names that the component knows, with dots; a value is a text, a list or a map.
    pub fields: BTreeMap<String, YamlNode>,
    /// Their types.
    pub types: BTreeMap<String, &'static str>,
    /// Fields that the component does not know: a strict one refuses them, another one drops them.
    pub unknown: Vec<Fault>,
    /// Values that have another type than their fields: it does not start.
    pub faults: Vec<Fault>,
}

impl DecodedFields {
    fn insert(&mut self, path: &str, of: &'static str, node: &YamlNode) {
        self.fields.insert(path.to_owned(), node.clone());
        self.types.insert(path.to_owned(), of);
    }
}

/// Decodes a document of a kind as a minor does; `json` tells that it is JSON, whose numbers nobody converts.
#[must_use]
pub fn decode(
    root: &YamlNode,
    (version, kind): (&str, &str),
    minor: KubernetesMinor,
    names: FieldNames,
    json: bool,
) -> DecodedFields {
    let mut decoded = DecodedFields::default();
    let known = TABLE.kinds.get_key_value(kind);
    if let Some((known, row)) = known.and_then(|(kind, versions)| Some((kind, versions.get(version)?))) {
        let go_type = row.go_type.as_deref().unwrap_or(known);
        FieldDecoder { minor, names, json }.add(root, go_type, ("", ""), &mut decoded);
    }
    decoded
}

/// Decodes a file as what it says that it is. `unknown` has its repeated keys, too: what a strict component refuses and
/// another one drops.
///
/// # Errors
/// The first value of another type than its field.
pub fn decode_file(file: &ObjectFile, minor: KubernetesMinor) -> Result<DecodedFields, Fault> {
    let (version, kind) = file.kind()?;
    decode_file_as(file, (&version, &kind), minor)
}

/// Decodes a file as an API version and a kind that it need not say.
///
/// # Errors
/// As [`decode_file`].
pub fn decode_file_as(
    file: &ObjectFile,
    kind: (&str, &str),
    minor: KubernetesMinor,
) -> Result<DecodedFields, Fault> {
    let mut decoded = decode(&file.root, kind, minor, FieldNames::Exact, file.is_json());
    if let Some(fault) = decoded.faults.first() {
        return Err(fault.clone());
    }
    decoded.unknown.splice(..0, file.repeated_keys());
    decoded.unknown.truncate(MAX_FAULTS);
    Ok(decoded)
}

/// Takes the fields out of a document that a component drops, and returns them. Where letters have any case, names become
/// those of the fields, and simple values become texts where a text is wanted (sigs.k8s.io/yaml).
///
/// # Errors
/// The first duration that is null and may not be: merging would lose it.
pub(super) fn take_unknown(
    root: &mut YamlNode,
    (version, kind): (&str, &str),
    minor: KubernetesMinor,
    names: FieldNames,
) -> Result<Vec<Fault>, Fault> {
    let mut decoded = DecodedFields::default();
    let known = TABLE.kinds.get_key_value(kind);
    if let Some((known, row)) = known.and_then(|(kind, versions)| Some((kind, versions.get(version)?))) {
        let go_type = row.go_type.as_deref().unwrap_or(known);
        FieldDecoder { minor, names, json: false }.take(root, go_type, "", &mut decoded);
    }
    decoded.faults.into_iter().next().map_or(Ok(decoded.unknown), Err)
}

/// Returns the fault of a field of the type `of` in a Go type that is null, if the field may not be.
fn null_fault(value: &YamlNode, (go_type, name, of): (&str, &str, &str), written: &str) -> Option<Fault> {
    let is_pointer =
        || TABLE.nullable.get(go_type).is_some_and(|names| names.iter().any(|known| known == name));
    if of != "Duration" || !value.is_null() || is_pointer() {
        return None;
    }
    Some(Fault::new(value.position, format!("{written}: time: invalid duration \"\"")))
}

/// How a component decodes.
struct FieldDecoder {
    minor: KubernetesMinor,
    names: FieldNames,
    json: bool,
}

impl FieldDecoder {
    /// Adds a value of the type `of`. `path` is that of the field, and as it is written.
    fn add(
        &self,
        node: &YamlNode,
        of: &'static str,
        (path, written): (&str, &str),
        decoded: &mut DecodedFields,
    ) {
        if node.is_null() {
            return;
        }
        let mut mismatch = |what: &str| self.mismatch(node, written, (of, what), decoded);
        if let Some(each) = of.strip_prefix("[]") {
            let YamlValue::List(items) = &node.value else { return mismatch("a list") };
            for (index, item) in items.iter().enumerate() {
                let (path, written) = (format!("{path}[{index}]"), format!("{written}[{index}]"));
                self.add(item, each, (&path, &written), decoded);
            }
            decoded.insert(path, of, node);
        } else if let Some(each) = of.strip_prefix("{}") {
            let YamlValue::Map(pairs) = &node.value else { return mismatch("a mapping") };
            for (key, value) in pairs {
                let key = key.go_text();
                self.add(value, each, (&field_path(path, &key), &field_path(written, &key)), decoded);
            }
            decoded.insert(path, of, node);
        } else if let Some(fields) = TABLE.types.get(of) {
            let YamlValue::Map(pairs) = &node.value else { return mismatch("a mapping") };
            match self.names {
                FieldNames::Exact => self.add_exact(pairs, (of, fields), (path, written), decoded),
                FieldNames::AnyCase => self.add_any_case(pairs, fields, (path, written), decoded),
            }
        } else if let Some(what) = self.value_fault(node, of) {
            mismatch(what);
        } else {
            decoded.insert(path, of, node);
        }
    }

    /// Takes the fields that are unknown out of a value of the type `of`.
    fn take(&self, node: &mut YamlNode, of: &'static str, path: &str, decoded: &mut DecodedFields) {
        let fields = TABLE.types.get(of);
        match &mut node.value {
            YamlValue::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    if let Some(each) = of.strip_prefix("[]") {
                        self.take(item, each, &format!("{path}[{index}]"), decoded);
                    }
                }
            }
            YamlValue::Map(pairs) => pairs.retain_mut(|(key, value)| {
                let name = key.go_text();
                let path = field_path(path, &name);
                let mut found = fields.and_then(|fields| fields.get_key_value(&name));
                if found.is_none() && self.names == FieldNames::AnyCase {
                    let mut all = fields.into_iter().flatten();
                    found = all.find(|(known, _)| known.eq_ignore_ascii_case(&name));
                    if let Some((known, _)) = found {
                        key.value = YamlValue::Scalar(Scalar::Text(known.clone()));
                    }
                }
                let entry = found.map(|(_, entry)| entry);
                let known = entry.and_then(|entry| entry.of(self.minor));
                if let (Some((name, _)), Some(field)) = (found, known) {
                    decoded.faults.extend(null_fault(value, (of, name, field), &path));
                }
                // In a map null is the zero value, which merging would lose.
                if value.is_null() {
                    match of {
                        "{}string" => value.value = YamlValue::Scalar(Scalar::Text(String::new())),
                        "{}bool" => value.value = YamlValue::Scalar(Scalar::Bool(false)),
                        _ => {}
                    }
                }
                match known.or(of.strip_prefix("{}")) {
                    Some(of) => self.take(value, of, &path, decoded),
                    None if fields.is_some() => {
                        self.drop(key, &path, entry, decoded);
                        return false;
                    }
                    None => {}
                }
                true
            }),
            YamlValue::Scalar(Scalar::Null) => {}
            YamlValue::Scalar(_) => {
                if of == "string" && self.names == FieldNames::AnyCase {
                    node.value = YamlValue::Scalar(Scalar::Text(node.go_text()));
                }
            }
        }
    }

    fn add_exact(
        &self,
        pairs: &[(YamlNode, YamlNode)],
        (go_type, fields): (&str, &'static BTreeMap<String, FieldEntry>),
        (path, written): (&str, &str),
        decoded: &mut DecodedFields,
    ) {
        // YAML is made JSON first, which keeps the last of several.
        let last: HashMap<String, usize> =
            pairs.iter().enumerate().map(|(index, (key, _))| (key.go_text(), index)).collect();
        for (index, (key, value)) in pairs.iter().enumerate() {
            let name = key.go_text();
            if !self.json && last.get(&name) != Some(&index) {
                continue;
            }
            let (path, written) = (field_path(path, &name), field_path(written, &name));
            let entry = fields.get(&name);
            match entry.and_then(|entry| entry.of(self.minor)) {
                Some(of) => {
                    decoded.faults.extend(null_fault(value, (go_type, &name, of), &written));
                    self.add(value, of, (&path, &written), decoded);
                }
                None => self.drop(key, &written, entry, decoded),
            }
        }
    }

    fn add_any_case(
        &self,
        pairs: &[(YamlNode, YamlNode)],
        fields: &'static BTreeMap<String, FieldEntry>,
        (path, written): (&str, &str),
        decoded: &mut DecodedFields,
    ) {
        let mut pairs: Vec<(String, &YamlNode, &YamlNode)> =
            pairs.iter().map(|(key, value)| (key.go_text(), key, value)).collect();
        pairs.sort_by(|one, other| one.0.cmp(&other.0));
        for (name, key, value) in pairs {
            let written = field_path(written, &name);
            let known = fields
                .get_key_value(&name)
                .or_else(|| fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)));
            let Some((known, of)) = known.and_then(|(known, entry)| Some((known, entry.of(self.minor)?)))
            else {
                self.drop(key, &written, known.map(|(_, entry)| entry), decoded);
                continue;
            };
            let path = field_path(path, known);
            let is_written =
                self.minor >= DEFAULTS_WRITTEN_FROM && kubelet_defaults::is_always_written(&path);
            if name >= *known || (has_no_default(of) && !is_written) {
                self.add(value, of, (&path, &written), decoded);
                continue;
            }
            // The default comes behind it, and counts. The type is looked at all the same.
            let mut other = DecodedFields::default();
            self.add(value, of, (&path, &written), &mut other);
            decoded.faults.append(&mut other.faults);
        }
    }

    fn drop(&self, key: &YamlNode, written: &str, entry: Option<&FieldEntry>, decoded: &mut DecodedFields) {
        let availability = entry.map(|entry| entry.availability(self.minor)).unwrap_or_default();
        let message = format!("unknown field {written:?}{availability}");
        decoded.unknown.push(Fault::new(key.position, message));
    }

    /// Adds the fault of a value; `what` says in words what the type takes.
    fn mismatch(
        &self,
        node: &YamlNode,
        written: &str,
        (of, what): (&str, &str),
        decoded: &mut DecodedFields,
    ) {
        let message = match (self.names, &node.value) {
            (FieldNames::AnyCase, _) => format!("{written} takes {what}, not {}", node.go_text()),
            (FieldNames::Exact, YamlValue::Scalar(Scalar::Text(text))) if of == "Duration" => {
                format!("{written}: time: invalid duration {text:?}")
            }
            (FieldNames::Exact, _) => format!(
                "json: cannot unmarshal {} into Go struct field {written} of type {}",
                json_type(node),
                json_name(of)
            ),
        };
        decoded.faults.push(Fault::new(node.position, message));
    }

    /// Returns what a simple type takes, if that is not the value.
    fn value_fault(&self, node: &YamlNode, of: &str) -> Option<&'static str> {
        let text = match &node.value {
            YamlValue::Scalar(Scalar::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let number = whole_number(&node.value, self.json);
        let float = match &node.value {
            YamlValue::Scalar(Scalar::Float(value)) => Some(*value),
            #[allow(clippy::cast_precision_loss, reason = "only its size counts")]
            YamlValue::Scalar(Scalar::Int(value)) => Some(*value as f64),
            #[allow(clippy::cast_precision_loss, reason = "only its size counts")]
            YamlValue::Scalar(Scalar::Uint(value)) => Some(*value as f64),
            _ => None,
        };
        let is_duration = || text.is_some_and(|text| flag_values::duration(text).is_some());
        let (fits, wanted) = match of {
            "string" => (text.is_some(), "a text"),
            "bytes" => (text.is_some_and(|text| scalar::base64(text).is_some()), "a text in base64"),
            "bool" => {
                (matches!(&node.value, YamlValue::Scalar(Scalar::Bool(_))), "true or false, without quotes")
            }
            "int32" => {
                (number.is_some_and(|number| i32::try_from(number).is_ok()), "a whole number of 32 bits")
            }
            "int64" => (number.is_some(), "a whole number"),
            "uint32" => {
                (number.is_some_and(|number| u32::try_from(number).is_ok()), "a whole number, 0 or more")
            }
            "float32" => (float.is_some_and(|value| value.abs() <= f64::from(f32::MAX)), "a number"),
            "float64" => (float.is_some(), "a number"),
            "Duration" => (is_duration(), "a duration such as 300s, 5m or 1h30m"),
            "TimeOrMetaDuration" => (is_duration() || number.is_some(), "a duration such as 5s"),
            "Quantity" | "QuantityValue" => (
                float.is_some() || text.is_some_and(|text| quantity::parse(text).is_some()),
                "a quantity such as 100Mi",
            ),
            // Objects that are decoded later, or never.
            _ => (true, ""),
        };
        (!fits).then_some(wanted)
    }
}

/// Returns a type as Go's decoder names it.
fn json_name(of: &str) -> &str {
    match of {
        "Duration" | "TimeOrMetaDuration" | "bytes" => "string",
        _ if of.starts_with("[]") => "[]",
        "{}string" => "map[string]string",
        _ if TABLE.types.contains_key(of) => "struct",
        _ => of,
    }
}

/// The first minor whose kubelet merges drop-ins into a configuration of v1beta1: before, the names in it were Go's own.
const DEFAULTS_WRITTEN_FROM: KubernetesMinor = KubernetesMinor::new(32);

/// Tells whether a merged configuration of the kubelet has a field of this type only where somebody sets it.
fn has_no_default(of: &str) -> bool {
    matches!(of, "bool" | "string") || of.starts_with(['[', '{']) || TABLE.types.contains_key(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_one_that_the_decoder_knows() {
        const SIMPLE: [&str; 16] = [
            "string",
            "bytes",
            "bool",
            "int32",
            "int64",
            "uint32",
            "float32",
            "float64",
            "Duration",
            "TimeOrMetaDuration",
            "Quantity",
            "QuantityValue",
            "RawExtension",
            "Unknown",
            "Time",
            "FieldsV1",
        ];
        let is_known = |of: &str| {
            let base = of.trim_start_matches(['[', ']', '{', '}']);
            SIMPLE.contains(&base) || TABLE.types.contains_key(base)
        };
        for (name, fields) in &TABLE.types {
            for (field, entry) in fields {
                let types: Vec<&str> = match entry {
                    FieldEntry::Always(of) => vec![of],
                    FieldEntry::Sometimes(row) => vec![&row.of],
                    FieldEntry::Changing(rows) => rows.iter().map(|row| row.of.as_str()).collect(),
                };
                assert!(types.into_iter().all(is_known), "{name}.{field}");
            }
        }
        for (name, nullable) in &TABLE.nullable {
            for field in nullable {
                assert!(TABLE.types[name].contains_key(field), "{name}.{field}");
            }
        }
        for (kind, versions) in &TABLE.kinds {
            for (version, row) in versions {
                assert!(is_known(row.go_type.as_deref().unwrap_or(kind)), "{kind} {version}");
            }
        }
    }
}
