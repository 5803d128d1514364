//! A manifest: a file of objects, as Kubernetes' reader of YAML documents splits it and reads each.
//!
//! Source: pkg/util/yaml/decoder.go of k8s.io/apimachinery.

use serde_yaml::Value;

use super::object::{Fault, Located};

/// Reads the objects of a file: its documents, and the items of those that are lists. Each has the position at which
/// its document begins. Documents without anything in them are left out.
///
/// A document with a key that is there twice is left out too: Kubernetes takes the last one, this reader takes neither.
///
/// # Errors
/// The first document that is no YAML, or no object.
pub fn read(bytes: &[u8]) -> Result<Vec<Located<Value>>, Fault> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let mut objects = Vec::new();
    for (line, document) in documents(text) {
        let parsed: Result<Value, _> = serde_yaml::from_str(document);
        if matches!(&parsed, Err(error) if error.to_string().contains("duplicate entry")) {
            continue;
        }
        let value = parsed.map_err(|error| {
            let inside = error.location().map_or(0, |location| location.line().saturating_sub(1));
            Fault::new((line + inside, 1), format!("this is no YAML ({error})"))
        })?;
        if value.is_null() || value.as_mapping().is_some_and(serde_yaml::Mapping::is_empty) {
            continue;
        }
        let text_of = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        if text_of("apiVersion").is_empty() || text_of("kind").is_empty() {
            return Err(Fault::new((line, 1), "this document has no apiVersion or no kind"));
        }
        let is_list = text_of("kind").ends_with("List");
        match value.get("items").and_then(Value::as_sequence).filter(|_| is_list) {
            Some(items) => {
                let located = |item: &Value| Located { value: item.clone(), position: (line, 1) };
                objects.extend(items.iter().map(located));
            }
            None => objects.push(Located { value, position: (line, 1) }),
        }
    }
    Ok(objects)
}

/// Splits a file at the lines that begin a document; with the line at which each begins.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut begin, mut first_line, mut at) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            found.push((first_line, &text[begin..at]));
            (begin, first_line) = (at + line.len().min(3), index + 1);
        }
        at += line.len();
    }
    found.push((first_line, &text[begin..]));
    let first_of = |(line, text): (usize, &str)| {
        let blank = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
        line + text.lines().take_while(blank).count()
    };
    found
        .into_iter()
        .map(|(line, text)| (first_of((line, text)), (line, text)))
        .map(|(first, (_, text))| (first, text))
        .collect()
}
