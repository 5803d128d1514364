// SPDX-License-Identifier: Apache-2.0
//! A manifest: a file of objects, as K3s's deploy controller splits it into documents and decodes each without a type.
//!
//! Source: `yamlToObjects` in pkg/deploy/controller.go of K3s; pkg/util/yaml/decoder.go (`YAMLReader`, `ToJSON`) and
//! pkg/apis/meta/v1/unstructured/helpers.go (`UnstructuredJSONScheme`) of k8s.io/apimachinery.

use serde_json::{Map, Number, Value};

use super::object::{Fault, Located, ObjectFile, Position};
use super::scalar::Scalar;
use super::yaml::{YamlNode, YamlValue};

const SEPARATOR: &str = "---";

/// Reads the objects of a file: its documents, and the items of those that are lists. Each has the position at which its
/// document begins. Of a key that is there twice, the last counts.
///
/// # Errors
/// The first document that is no YAML, or no object: nothing of the file is applied then.
pub fn read(bytes: &[u8]) -> Result<Vec<Located<Value>>, Fault> {
    let mut objects = Vec::new();
    for (line, document) in documents(bytes)? {
        let file = ObjectFile::read(document)
            .map_err(|fault| Fault::new((line + fault.position.0 - 1, fault.position.1), fault.message))?;
        let begin = line + lines(document).take_while(is_blank).count();
        let object = to_json(&file.root).ok_or_else(|| no_object(begin))?;
        for value in objects_of(object, begin)? {
            objects.push(Located { value, position: (begin, 1) });
        }
    }
    Ok(objects)
}

fn no_object(line: usize) -> Fault {
    Fault::new((line, 1), "this document is no object of Kubernetes")
}

/// Returns the object of a document, or the objects of a list: anything with the field `items` is one.
fn objects_of(object: Value, line: usize) -> Result<Vec<Value>, Fault> {
    let position: Position = (line, 1);
    let Value::Object(mut fields) = object else { return Err(no_object(line)) };
    let (version, kind) = (text(&fields, "apiVersion"), text(&fields, "kind"));
    if kind.is_empty() {
        return Err(Fault::new(position, "this document has no kind"));
    }
    let items = match fields.remove("items") {
        None => vec![Value::Object(fields)],
        Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(Fault::new(position, "items of this document is no list")),
    };
    let of_list = kind.strip_suffix("List").unwrap_or(&kind);
    let object = |item: Value| {
        let mut fields = match item {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            _ => return Err(Fault::new(position, "an item of this list is no object")),
        };
        if text(&fields, "kind").is_empty() && text(&fields, "apiVersion").is_empty() {
            fields.insert("kind".to_owned(), of_list.into());
            fields.insert("apiVersion".to_owned(), version.clone().into());
        }
        // K3s asks the API server about each version and kind, and takes nothing of the file if it cannot ask.
        if text(&fields, "kind").is_empty() || text(&fields, "apiVersion").is_empty() {
            return Err(Fault::new(position, "this document has no apiVersion or no kind"));
        }
        Ok(Value::Object(fields))
    };
    items.into_iter().map(object).collect()
}

fn text(fields: &Map<String, Value>, name: &str) -> String {
    fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Returns a value as JSON, without the earlier ones of keys that are there twice; none for a number that JSON has not.
#[must_use]
pub fn to_json(node: &YamlNode) -> Option<Value> {
    Some(match &node.value {
        YamlValue::Scalar(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Bool(value) => (*value).into(),
            Scalar::Int(value) => (*value).into(),
            Scalar::Uint(value) => (*value).into(),
            Scalar::Float(value) => Number::from_f64(*value)?.into(),
            scalar => scalar.go_text().into(),
        },
        YamlValue::List(items) => Value::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        YamlValue::Map(pairs) => {
            let pair = |(key, value): &(YamlNode, YamlNode)| Some((key.go_text(), to_json(value)?));
            Value::Object(pairs.iter().map(pair).collect::<Option<_>>()?)
        }
    })
}

/// Splits a file at the lines that separate documents, and leaves empty ones out; with the line at which each begins.
///
/// # Errors
/// A line that begins like a separator, and is none.
pub fn documents(bytes: &[u8]) -> Result<Vec<(usize, &[u8])>, Fault> {
    let mut found = Vec::new();
    let (mut begin, mut first, mut at) = (0, 1, 0);
    for (index, line) in lines(bytes).enumerate() {
        if let Some(behind) = line.strip_prefix(SEPARATOR.as_bytes()) {
            let behind = String::from_utf8_lossy(behind);
            let behind = behind.trim();
            if !behind.is_empty() && !behind.starts_with('#') {
                let message = format!("invalid Yaml document separator: {behind}");
                return Err(Fault::new((index + 1, 1), message));
            }
            // A separator that nothing is before belongs to the document behind it.
            if at > begin {
                found.push((first, &bytes[begin..at]));
                (begin, first) = (at + line.len(), index + 2);
            }
        }
        at += line.len();
    }
    found.push((first, &bytes[begin..]));
    found.retain(|(_, document)| !lines(document).all(is_empty));
    Ok(found)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

/// `isEmptyYaml`, of one line.
fn is_empty(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let text = text.trim();
    text.is_empty() || text == SEPARATOR || text.starts_with('#')
}

/// Tells whether nothing of the object is in a line.
fn is_blank(line: &&[u8]) -> bool {
    is_empty(line) || line.starts_with(SEPARATOR.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(text: &str) -> Result<String, String> {
        let found =
            read(text.as_bytes()).map_err(|fault| format!("{}: {}", fault.position.0, fault.message))?;
        let shown = found.iter().map(|one| {
            let field = |name: &str| one.value.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
            format!("{} {} {}", one.position.0, field("apiVersion"), field("kind"))
        });
        Ok(shown.collect::<Vec<_>>().join(", "))
    }

    // What Kubernetes 1.33's own reader made of these texts.
    #[test]
    fn documents_are_split_as_kubernetes_splits_them() {
        let a = "apiVersion: v1\nkind: A\n";
        for (text, expected) in [
            (format!("{a}---\n{a}"), Ok("1 v1 A, 4 v1 A")),
            (format!("---\n# c\n---\n\n---\n{a}---"), Ok("6 v1 A")),
            (format!("{a}--- # c\n{a}"), Ok("1 v1 A, 4 v1 A")),
            (format!("{}---\r\n{a}", a.replace('\n', "\r\n")), Ok("1 v1 A, 4 v1 A")),
            (format!("\u{feff}{a}"), Ok("1 v1 A")),
            (format!("{a}t: |\n  ---\n"), Ok("1 v1 A")),
            (format!("{a}t: |\n  a\n---\n{a}"), Ok("1 v1 A, 6 v1 A")),
            (format!("{a}...\n{a}"), Ok("1 v1 A")),
            (format!("{a}--- {{a: b}}\n"), Err("3: invalid Yaml document separator: {a: b}")),
            (format!("{a}---abc\n"), Err("3: invalid Yaml document separator: abc")),
            ("# c\n\n---\n".to_owned(), Ok("")),
            (format!("{a}---\n{{}}\n"), Err("4: this document has no kind")),
            (format!("{a}---\nnull\n"), Err("4: this document is no object of Kubernetes")),
            (format!("{a}---\n[]\n"), Err("4: this document is no object of Kubernetes")),
            (format!("{a}kind: B\n"), Ok("1 v1 B")),
            ("Kind: A\napiVersion: v1\n".to_owned(), Err("1: this document has no kind")),
            ("kind: 3\napiVersion: v1\n".to_owned(), Err("1: this document has no kind")),
            ("kind: A\n".to_owned(), Err("1: this document has no apiVersion or no kind")),
            ("{\"kind\": \"A\", \"apiVersion\": \"v1\"}\n".to_owned(), Ok("1 v1 A")),
        ] {
            assert_eq!(objects(&text), expected.map(str::to_owned).map_err(str::to_owned), "{text:?}");
        }
        assert!(objects(&format!("{a}---\na: [\n")).is_err());
        assert!(objects("{\"kind\": \"A\", \"apiVersion\": \"v1\"}\n{\"kind\": \"A\"}\n").is_err());
    }

    #[test]
    fn anything_with_items_is_a_list() {
        for (text, expected) in [
            ("kind: List\napiVersion: v1\nitems: [{kind: A, apiVersion: v2}]\n", Ok("1 v2 A")),
            ("kind: AList\napiVersion: v1\nitems: [{metadata: {}}, null]\n", Ok("1 v1 A, 1 v1 A")),
            ("kind: A\napiVersion: v1\nitems: [{}]\n", Ok("1 v1 A")),
            ("kind: A\napiVersion: v1\nitems: null\n", Ok("")),
            ("kind: A\napiVersion: v1\nitems: []\n", Ok("")),
            ("kind: A\napiVersion: v1\nItems: [{kind: B}]\n", Ok("1 v1 A")),
            ("kind: A\napiVersion: v1\nitems: 3\n", Err("1: items of this document is no list")),
            ("kind: A\napiVersion: v1\nitems: [3]\n", Err("1: an item of this list is no object")),
            (
                "kind: AList\napiVersion: v1\nitems: [{kind: B}]\n",
                Err("1: this document has no apiVersion or no kind"),
            ),
        ] {
            assert_eq!(objects(text), expected.map(str::to_owned).map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn merge_keys_count_in_the_order_of_the_text() {
        let value = |text: &str| {
            let found = read(format!("kind: A\napiVersion: v1\n{text}").as_bytes()).unwrap();
            found[0].value["x"].to_string()
        };
        assert_eq!(value("y: &y {a: 1}\nx: {<<: *y, b: 2}\n"), r#"{"a":1,"b":2}"#);
        assert_eq!(value("x: {<<: {a: 1}, a: 2}\n"), r#"{"a":2}"#);
        assert_eq!(value("x: {a: 2, <<: {a: 1}}\n"), r#"{"a":1}"#);
        assert_eq!(value("x: {<<: [{a: 1}, {a: 2, b: 3}]}\n"), r#"{"a":1,"b":3}"#);
        assert_eq!(value("x: {a: 1, a: 2}\n"), r#"{"a":2}"#);
        assert_eq!(value("x: {1: yes, true: 012}\n"), r#"{"1":true,"true":10}"#);
        assert!(read(b"kind: A\napiVersion: v1\nx: {<<: null}\n").is_err());
    }
}
