// SPDX-License-Identifier: Apache-2.0
//! A YAML text that a user wrote (profile, settings, audit policy), read with its positions.
//!
//! The values come from `serde_yaml`; where an error has to name line and column, the text is walked a second
//! time by an event parser. So the good case pays nothing for positions, and no error is without one.

use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Place, Result};

/// Largest profile, settings file or audit policy, in bytes.
pub const MAX_SOURCE_BYTES: usize = 256 * 1024;
/// Deepest nesting of such a file, in levels. Its parser takes seconds on some deeper ones.
pub const MAX_NESTING: usize = 64;

/// Most values of such a file, with its aliases written out.
pub const MAX_VALUES: usize = 100_000;

/// A text with the name under which the user knows it.
#[derive(Debug, Clone)]
pub struct SourceText {
    name: String,
    text: String,
}

/// The position of a value, and whether it is written without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValuePosition {
    /// Line and column, from 1.
    pub position: (usize, usize),
    /// Whether it is a plain scalar.
    pub plain: bool,
}

impl SourceText {
    /// Wraps `bytes` and checks them: size, encoding, syntax, nesting, one document, no key twice.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the place.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self> {
        let name = name.into();
        let at = |position| Place { file: name.clone(), position };
        if bytes.len() > MAX_SOURCE_BYTES {
            let error =
                Error::new(ErrorKind::BadInput, format!("the file is larger than {MAX_SOURCE_BYTES} bytes"));
            return Err(error.at(at(None)));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = good.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            Error::new(ErrorKind::BadInput, "this is not UTF-8").at(at(Some((line, column))))
        })?;
        check(&text).map_err(|(position, message, hint)| {
            let error = Error::new(ErrorKind::BadInput, message).at(at(Some(position)));
            if hint.is_empty() { error } else { error.hint(hint) }
        })?;
        Ok(Self { name, text })
    }

    /// Returns the name under which the user knows the text.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the text itself.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the document; an empty text is null.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the place.
    pub fn value(&self) -> Result<Value> {
        if Parser::new_from_str(&self.text).flatten().all(|(event, _)| !is_content(&event)) {
            return Ok(Value::Null);
        }
        let mut value: serde_yaml::Value =
            serde_yaml::from_str(&self.text).map_err(|error| self.yaml_error(&error))?;
        value.apply_merge().map_err(|error| self.yaml_error(&error))?;
        if let Some(path) = not_finite(&value) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            return Err(self.error(&path, "this is not a finite number"));
        }
        serde_json::to_value(&value).map_err(|_| self.error(&[], "a key is not text, or a value has a tag"))
    }

    /// Returns an error at the value under `path` (keys, and numbers for items of lists).
    #[must_use]
    pub fn error(&self, path: &[&str], message: impl Into<String>) -> Error {
        Error::new(ErrorKind::BadInput, message).at(self.place(path))
    }

    /// Returns an error at the key that `path` ends with.
    #[must_use]
    pub fn error_at_key(&self, path: &[&str], message: impl Into<String>) -> Error {
        let position = locate(&self.text, path, true).map(|spot| spot.position);
        Error::new(ErrorKind::BadInput, message).at(Place { file: self.name.clone(), position })
    }

    /// Returns the place of the value under `path`, or of the nearest thing around it that is there.
    #[must_use]
    pub fn place(&self, path: &[&str]) -> Place {
        let position = (0..=path.len()).rev().find_map(|length| self.spot(&path[..length]));
        Place { file: self.name.clone(), position: position.map(|spot| spot.position) }
    }

    /// Returns where and how the value under `path` is written.
    #[must_use]
    pub fn spot(&self, path: &[&str]) -> Option<ValuePosition> {
        locate(&self.text, path, false)
    }

    /// Returns where and how the key that `path` ends with is written.
    #[must_use]
    pub fn key_spot(&self, path: &[&str]) -> Option<ValuePosition> {
        locate(&self.text, path, true)
    }

    fn yaml_error(&self, error: &serde_yaml::Error) -> Error {
        let position = error.location().map(|location| (location.line(), location.column()));
        let text = error.to_string();
        // The place is said in front, as everywhere else.
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        Error::new(ErrorKind::BadInput, message).at(Place { file: self.name.clone(), position })
    }
}

fn position(span: &Span) -> (usize, usize) {
    (span.start.line(), span.start.col() + 1)
}

fn is_content(event: &Event<'_>) -> bool {
    matches!(event, Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) | Event::Alias(..))
}

/// Finds a number that JSON has no form for, by its path.
fn not_finite(value: &serde_yaml::Value) -> Option<Vec<String>> {
    let under = |key: String, value| {
        let mut path = not_finite(value)?;
        path.insert(0, key);
        Some(path)
    };
    match value {
        serde_yaml::Value::Number(number) if number.as_f64().is_some_and(|number| !number.is_finite()) => {
            Some(Vec::new())
        }
        serde_yaml::Value::Sequence(items) => {
            items.iter().enumerate().find_map(|(index, item)| under(index.to_string(), item))
        }
        serde_yaml::Value::Mapping(pairs) => {
            pairs.iter().find_map(|(key, value)| under(key.as_str().unwrap_or_default().to_owned(), value))
        }
        _ => None,
    }
}

type Complaint = ((usize, usize), String, &'static str);

/// One container on the way down: the keys of a mapping seen so far, or a list.
enum OpenLevel {
    Mapping { keys: BTreeSet<String>, key: Option<String> },
    Sequence { index: usize },
}

/// Counts the values of a text as if its aliases were written out: a file of 200 kB can hold gigabytes.
#[derive(Default)]
struct ValueCount {
    total: usize,
    anchors: BTreeMap<usize, usize>,
    open: Vec<(usize, usize)>,
}

impl ValueCount {
    /// Takes a value of `size` and returns whether there are too many.
    fn add(&mut self, anchor: usize, size: usize) -> bool {
        self.total = self.total.saturating_add(size);
        if anchor != 0 {
            self.anchors.insert(anchor, size);
        }
        self.total > MAX_VALUES
    }

    fn take(&mut self, event: &Event<'_>) -> bool {
        match event {
            Event::Scalar(_, _, anchor, _) => self.add(*anchor, 1),
            Event::Alias(anchor) => self.add(0, self.anchors.get(anchor).copied().unwrap_or(1)),
            Event::MappingStart(_, anchor, _) | Event::SequenceStart(_, anchor, _) => {
                self.open.push((*anchor, self.total));
                self.add(0, 1)
            }
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some((anchor, before)) = self.open.pop().filter(|(anchor, _)| *anchor != 0) {
                    self.anchors.insert(anchor, self.total - before);
                }
                false
            }
            _ => false,
        }
    }
}

/// Checks what the YAML reader itself does not: nesting before it is slow, aliases before they are written out,
/// keys given twice, second documents.
fn check(text: &str) -> std::result::Result<(), Complaint> {
    let mut levels: Vec<OpenLevel> = Vec::new();
    let mut documents = 0;
    let mut count = ValueCount::default();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| {
            let mark = error.marker();
            let info = error.info();
            let is_tab =
                text.lines().nth(mark.line().saturating_sub(1)).and_then(|line| line.chars().nth(mark.col()))
                    == Some('\t');
            let hint = if is_tab || info.contains("tab") {
                "indent with spaces"
            } else {
                "check indentation, colons and quotes"
            };
            ((mark.line(), mark.col() + 1), format!("invalid YAML: {info}"), hint)
        })?;
        let here = position(&span);
        if count.take(&event) {
            return Err((here, format!("there are more than {MAX_VALUES} values, aliases written out"), ""));
        }
        match &event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    return Err((
                        here,
                        "a second document begins here".into(),
                        "keep one document to a file",
                    ));
                }
            }
            Event::Scalar(value, ..) => {
                if let Some(OpenLevel::Mapping { keys, key: key @ None }) = levels.last_mut() {
                    if !keys.insert(value.to_string()) {
                        let message = format!("the key {value:?} is here a second time");
                        return Err((here, message, "keep one of them"));
                    }
                    *key = Some(value.to_string());
                } else {
                    value_ended(&mut levels);
                }
            }
            Event::Alias(..) => value_ended(&mut levels),
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                if let Some(OpenLevel::Mapping { key: None, .. }) = levels.last() {
                    return Err((here, "a key must be text".into(), ""));
                }
                if levels.len() == MAX_NESTING {
                    return Err((here, format!("nested deeper than {MAX_NESTING} levels"), ""));
                }
                levels.push(match event {
                    Event::MappingStart(..) => OpenLevel::Mapping { keys: BTreeSet::new(), key: None },
                    _ => OpenLevel::Sequence { index: 0 },
                });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
                value_ended(&mut levels);
            }
            _ => {}
        }
    }
    Ok(())
}

fn value_ended(levels: &mut [OpenLevel]) {
    match levels.last_mut() {
        Some(OpenLevel::Mapping { key, .. }) => *key = None,
        Some(OpenLevel::Sequence { index }) => *index += 1,
        None => {}
    }
}

/// Finds the value (or with `want_key` the key) under `path`.
fn locate(text: &str, path: &[&str], want_key: bool) -> Option<ValuePosition> {
    let mut levels: Vec<OpenLevel> = Vec::new();
    for (event, span) in Parser::new_from_str(text).flatten() {
        let is_key = matches!(levels.last(), Some(OpenLevel::Mapping { key: None, .. }));
        let plain = matches!(event, Event::Scalar(_, ScalarStyle::Plain, ..));
        if let (Event::Scalar(value, ..), Some(OpenLevel::Mapping { key: key @ None, .. })) =
            (&event, levels.last_mut())
        {
            *key = Some(value.to_string());
            if want_key && at_path(&levels, path) {
                return Some(ValuePosition { position: position(&span), plain });
            }
            continue;
        }
        if is_content(&event) && !is_key && !want_key && at_path(&levels, path) {
            return Some(ValuePosition { position: position(&span), plain });
        }
        match event {
            Event::Scalar(..) | Event::Alias(..) => value_ended(&mut levels),
            Event::MappingStart(..) => levels.push(OpenLevel::Mapping { keys: BTreeSet::new(), key: None }),
            Event::SequenceStart(..) => levels.push(OpenLevel::Sequence { index: 0 }),
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
                value_ended(&mut levels);
            }
            _ => {}
        }
    }
    None
}

fn at_path(levels: &[OpenLevel], path: &[&str]) -> bool {
    levels.len() == path.len()
        && levels.iter().zip(path).all(|(level, part)| match level {
            OpenLevel::Mapping { key, .. } => key.as_deref() == Some(part),
            OpenLevel::Sequence { index } => part.parse() == Ok(*index),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Result<SourceText> {
        SourceText::new("site.yaml", text.as_bytes().to_vec())
    }

    /// 200 kB that hold a hundred million values.
    fn bomb() -> String {
        format!("x: &a [{}]\ny: [{}]\n", "b, ".repeat(4000), "*a, ".repeat(30_000))
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        let error = source("a: {b: [1, .inf]}\n").unwrap().value().unwrap_err();
        assert_eq!(error.to_string(), "site.yaml:1:12: this is not a finite number");
    }

    #[test]
    fn values_and_keys_are_found() {
        let source = source("a:\n  b: [x, \"y\"]\n  c: {d: 1}\ne: 2\n").unwrap();
        assert_eq!(source.spot(&["a", "b", "1"]), Some(ValuePosition { position: (2, 10), plain: false }));
        assert_eq!(source.spot(&["a", "c", "d"]), Some(ValuePosition { position: (3, 10), plain: true }));
        assert_eq!(source.spot(&["e"]), Some(ValuePosition { position: (4, 4), plain: true }));
        assert_eq!(source.error_at_key(&["a", "c"], "m").to_string(), "site.yaml:3:3: m");
        assert_eq!(source.place(&["a", "zz", "q"]).to_string(), "site.yaml:2:3");
    }

    #[test]
    fn hostile_texts_are_refused_with_their_place() {
        for (text, message) in [
            ("a: 1\nb: 2\na: 3\n", "site.yaml:3:1: the key \"a\" is here a second time"),
            ("a: 1\n---\nb: 2\n", "site.yaml:2:1: a second document begins here"),
            ("a: [1\nb: 2\n", "site.yaml:2:"),
            (&("[".repeat(70) + &"]".repeat(70)), "site.yaml:1:65: nested deeper than 64 levels"),
            (&"[".repeat(MAX_SOURCE_BYTES), "site.yaml:1:"),
            ("? [a]\n: 1\n", "site.yaml:1:3: a key must be text"),
            (&bomb(), "site.yaml:2:"),
        ] {
            let error = source(text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        let error = SourceText::new("site.yaml", b"a: b\nc: \xff\n".to_vec()).unwrap_err();
        assert_eq!(error.to_string(), "site.yaml:2:4: this is not UTF-8");
        let error = SourceText::new("site.yaml", vec![b'#'; MAX_SOURCE_BYTES + 1]).unwrap_err();
        assert_eq!(error.to_string(), "site.yaml: the file is larger than 262144 bytes");
    }

    #[test]
    fn merges_and_empty_texts_are_read() {
        assert_eq!(source("# nothing\n").unwrap().value().unwrap(), Value::Null);
        let value = source("a: &x {b: 1}\nc: {<<: *x, d: 2}\n").unwrap().value().unwrap();
        assert_eq!(value["c"], serde_json::json!({"b": 1, "d": 2}));
    }
}
