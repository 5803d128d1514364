// SPDX-License-Identifier: Apache-2.0
//! Reads the keys of one mapping, each once, with errors that name the place and what to write instead.

use serde_json::{Map, Value};

use super::source::SourceText;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::nearest::{closest, nearest};

/// Where a document came from: a text with positions, or one that is built in.
#[derive(Debug, Clone)]
pub enum DocumentText {
    /// A file of the user's.
    File(SourceText),
    /// A file of the project, by its name there.
    BuiltIn(String),
}

impl DocumentText {
    /// Returns the name under which the user knows the text.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::File(source) => source.name(),
            Self::BuiltIn(name) => name,
        }
    }

    /// Returns the place of the value under `path`.
    #[must_use]
    pub fn place(&self, path: &[&str]) -> Place {
        match self {
            Self::File(source) => source.place(path),
            Self::BuiltIn(name) => Place { file: name.clone(), position: None },
        }
    }

    /// Returns an error at the value under `path`.
    #[must_use]
    pub fn error(&self, path: &[&str], message: impl Into<String>) -> Error {
        Error::new(ErrorKind::BadInput, message).at(self.place(path))
    }

    /// Returns an error at the key that `path` ends with.
    #[must_use]
    pub fn error_at_key(&self, path: &[&str], message: impl Into<String>) -> Error {
        match self {
            Self::File(source) => source.error_at_key(path, message),
            Self::BuiltIn(_) => self.error(path, message),
        }
    }
}

/// The keys of one mapping that have not been taken yet.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    text: &'a DocumentText,
    path: Vec<&'a str>,
    map: Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Begins to read `value`, which is under `path`; null is an empty mapping.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if `value` is something else than a mapping.
    pub(crate) fn new(text: &'a DocumentText, path: &[&'a str], value: Value) -> Result<Self> {
        let map = match value {
            Value::Object(map) => map,
            Value::Null => Map::new(),
            other => {
                let error = text.error(path, format!("expected a mapping, found {}", describe(&other)));
                return Err(error.hint("write it as key: value, one to a line"));
            }
        };
        Ok(Self { text, path: path.to_vec(), map, known: Vec::new() })
    }

    /// Takes the value of `key`, if it is there and not null.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.map.remove(key).filter(|value| !value.is_null())
    }

    /// Takes a text.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if it is something else.
    pub(crate) fn text(&mut self, key: &'static str) -> Result<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => {
                let mut path = self.path.clone();
                path.push(key);
                let error = self.text.error(&path, format!("{key} must be text, found {}", describe(&other)));
                let scalar = other.is_number() || other.is_boolean();
                Err(if scalar {
                    error.hint(format!("write it in quotes: {key}: \"{other}\""))
                } else {
                    error
                })
            }
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] for the first key that was not taken, with the nearest known one.
    pub(crate) fn finish(self) -> Result<()> {
        let Some(key) = self.map.keys().next() else { return Ok(()) };
        let mut path = self.path.clone();
        path.push(key);
        Err(unknown(self.text.error_at_key(&path, format!("unknown key {key:?}")), key, &self.known))
    }
}

/// The most names that an error suggests.
const MAX_SUGGESTIONS: usize = 5;

/// Adds what to write instead of `name` to an error about an unknown name.
#[must_use]
pub(crate) fn unknown<S: AsRef<str>>(error: Error, name: &str, known: &[S]) -> Error {
    match nearest(name, known) {
        Some(candidate) => error.hint(format!("did you mean {candidate}?")),
        None => {
            let names = closest(name, known, MAX_SUGGESTIONS).join(", ");
            error.hint(match known.len() {
                0..=MAX_SUGGESTIONS => format!("use one of: {names}"),
                all => format!("there are {all} names; the closest: {names}"),
            })
        }
    }
}

/// Returns what a value is, in words for an error.
#[must_use]
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_asked_for() {
        let source = SourceText::new("p.yaml", b"name: x\nextend: y\n".to_vec()).unwrap();
        let value = source.value().unwrap();
        let text = DocumentText::File(source);
        let mut fields = Fields::new(&text, &[], value).unwrap();
        assert_eq!(fields.text("name").unwrap().as_deref(), Some("x"));
        assert!(fields.take("extends").is_none());
        let error = fields.finish().unwrap_err();
        assert_eq!(error.to_string(), "p.yaml:2:1: unknown key \"extend\"");
        assert_eq!(error.hints(), ["did you mean extends?"]);
    }
}
