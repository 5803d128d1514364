// SPDX-License-Identifier: Apache-2.0
//! Finds the values of secret keys in a YAML text by its events, with where they are in the text.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, Span};

use super::secrets::{LABELS, SecretName};

/// How deep a text is followed; what is deeper is not K3s's configuration.
const MAX_DEPTH: usize = 1000;

/// What the nodes of a text say.
#[derive(Debug, Default)]
pub(super) struct SecretNodes {
    /// The values of secret keys.
    pub(super) secrets: Vec<Range<usize>>,
    /// The scalars, in the order of the text.
    scalars: Vec<ScalarSpan>,
}

/// A scalar in a text.
#[derive(Debug)]
pub(super) struct ScalarSpan {
    /// Where it is, with its quotes.
    pub(super) range: Range<usize>,
    /// What it is there for.
    pub(super) kind: ScalarKind,
    /// Whether it is a label or a taint of the node.
    pub(super) is_label: bool,
    /// Whether it has several lines.
    is_long: bool,
}

/// What a scalar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScalarKind {
    /// A key of a mapping whose value has been read.
    Key,
    /// A key whose value cannot be read, one of several lines, which only a broken text has, or a whole document.
    Broken,
    /// Any other.
    Value,
}

impl SecretNodes {
    /// Returns the scalar that is at a place of the text.
    pub(super) fn scalar_at(&self, at: usize) -> Option<&ScalarSpan> {
        let index = self.scalars.partition_point(|scalar| scalar.range.start <= at).checked_sub(1)?;
        self.scalars.get(index).filter(|scalar| at < scalar.range.end && scalar.kind != ScalarKind::Broken)
    }
}

impl SecretNodes {
    fn set_kind(&mut self, index: usize, kind: ScalarKind) {
        if let Some(scalar) = self.scalars.get_mut(index) {
            scalar.kind = if scalar.is_long { ScalarKind::Broken } else { kind };
        }
    }
}

/// A collection that is not closed yet.
struct OpenNode {
    start: usize,
    /// Where its last scalar ends.
    end: usize,
    anchor: usize,
    is_map: bool,
    /// The key whose value comes next.
    key: Option<OpenKey>,
}

/// A key whose value comes next.
#[derive(Clone, Copy)]
struct OpenKey {
    /// Whether its value is a secret.
    is_secret: bool,
    /// Whether its values are labels or taints.
    has_labels: bool,
    /// Its scalar.
    scalar: Option<usize>,
}

#[derive(Default)]
struct NodeReader {
    found: SecretNodes,
    open: Vec<OpenNode>,
    /// Where the nodes with anchors are, with the texts of scalars.
    anchors: HashMap<usize, (Range<usize>, String)>,
}

/// Reads a text as far as it is YAML.
pub(super) fn find(text: &str) -> SecretNodes {
    let mut options = Options::default();
    options.block_scalar_eof_without_line_feed = true;
    let mut reader = NodeReader::default();
    for next in Parser::new_from_str_with_options(text, options) {
        let taken = next.ok().filter(|_| reader.open.len() < MAX_DEPTH);
        if taken.and_then(|(event, span)| reader.take(text, event, &span)).is_none() {
            let last = reader.found.scalars.len().saturating_sub(1);
            reader.found.set_kind(last, ScalarKind::Broken);
            break;
        }
    }
    for key in reader.open.iter().filter_map(|open| open.key?.scalar) {
        reader.found.set_kind(key, ScalarKind::Broken);
    }
    reader.found
}

impl NodeReader {
    /// Takes an event; none if its place is not known.
    fn take(&mut self, text: &str, event: Event<'_>, span: &Span) -> Option<()> {
        let (start, end) = (span.start.byte_offset()?, span.end.byte_offset()?);
        let range = start..start + text.get(start..end)?.trim_end().len();
        match event {
            Event::Scalar(said, _, anchor, _) => {
                self.anchors.insert(anchor, (range.clone(), said.to_string()));
                let index = self.found.scalars.len();
                let is_long = text[range.clone()].contains('\n');
                self.found.scalars.push(ScalarSpan {
                    range: range.clone(),
                    kind: ScalarKind::Value,
                    is_label: self.open.iter().any(|open| open.key.is_some_and(|key| key.has_labels)),
                    is_long,
                });
                self.close(range, &said, Some(index));
            }
            Event::Alias(anchor) => {
                let (target, said) = self.anchors.get(&anchor).cloned().unwrap_or_default();
                if self.expects_secret() {
                    self.found.secrets.push(target);
                }
                self.close(range, &said, None);
            }
            Event::SequenceStart(_, anchor, _) | Event::MappingStart(_, anchor, _) => {
                let is_map = matches!(event, Event::MappingStart(..));
                self.open.push(OpenNode { start, end: start, anchor, is_map, key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = self.open.pop()?;
                self.anchors.insert(node.anchor, (node.start..node.end, String::new()));
                self.close(node.start..node.end, "a collection", None);
            }
            _ => {}
        }
        Some(())
    }

    fn expects_secret(&self) -> bool {
        self.open.last().is_some_and(|open| open.key.is_some_and(|key| key.is_secret))
    }

    /// Takes a node that is whole, as a key or as a value.
    fn close(&mut self, range: Range<usize>, said: &str, scalar: Option<usize>) {
        let Some(open) = self.open.last_mut() else {
            // A document of one scalar is a text of lines, such as a file of variables.
            if let Some(scalar) = scalar {
                self.found.set_kind(scalar, ScalarKind::Broken);
            }
            return;
        };
        open.end = open.end.max(range.end);
        if !open.is_map {
            return;
        }
        match open.key.take() {
            None => {
                let name = said.strip_suffix('+').unwrap_or(said);
                open.key = Some(OpenKey {
                    is_secret: SecretName::of(name).is_some(),
                    has_labels: LABELS.contains(&name),
                    scalar,
                });
            }
            Some(key) => {
                if let Some(scalar) = key.scalar {
                    self.found.set_kind(scalar, ScalarKind::Key);
                }
                if key.is_secret && !matches!(said, "" | "~" | "null") {
                    self.found.secrets.push(range);
                }
            }
        }
    }
}
