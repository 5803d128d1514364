// SPDX-License-Identifier: Apache-2.0
//! YAML as gopkg.in/yaml.v2 reads it, with positions.
//!
//! An event parser decides on the grammar, yaml.v2 on the meaning: scalars as in `scalar`, duplicate keys kept, merge keys
//! dropped (`MapSlice`) or followed (maps), only the first document read, aliases copied.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StructureStyle};

use super::scalar::{self, Scalar};
use super::yaml_tabs::{BadTab, Tabs};

/// Largest configuration file that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Deepest nesting, in levels. yaml.v2 goes to 10 000; no file of a node needs more than a few.
pub const MAX_LEVELS: usize = 100;
/// Most values in a file, with aliases written out. yaml.v2 refuses "excessive aliasing" too.
pub const MAX_VALUES: usize = 1_000_000;

/// The event parser's message for a directive without an end of a document before it.
const BEFORE_DIRECTIVE: &str = "missing explicit document end marker before directive";

/// A value with its place: line and column, from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct YamlNode {
    /// What it is.
    pub value: YamlValue,
    /// Its position.
    pub position: (usize, usize),
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum YamlValue {
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    List(Vec<YamlNode>),
    /// A mapping in its order, with keys that are there twice.
    Map(Vec<(YamlNode, YamlNode)>),
}

/// The first document, if there is anything in it, and where a further one begins.
pub type Parsed = (Option<YamlNode>, Option<(usize, usize)>);

/// Why a file cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlProblem {
    /// The reason.
    pub message: String,
    /// Line and column, from 1.
    pub position: Option<(usize, usize)>,
}

impl YamlProblem {
    fn at(position: (usize, usize), message: impl Into<String>) -> Self {
        Self { message: message.into(), position: Some(position) }
    }
}

impl From<BadTab> for YamlProblem {
    fn from(tab: BadTab) -> Self {
        Self::at(tab.0, "a tab cannot start any token: indent with spaces")
    }
}

/// Reads the first document; none if there is nothing in it.
///
/// # Errors
/// If yaml.v2 refuses it, or if it is over a limit.
pub fn read(bytes: &[u8]) -> Result<Option<YamlNode>, YamlProblem> {
    parse(bytes, false).map(|(root, _)| root)
}

/// Reads the first document into maps rather than a `MapSlice`, as Kubernetes does: merge keys are followed. Also returns
/// where a second document begins, which is not read.
///
/// # Errors
/// If it is no YAML, or over a limit.
pub fn read_merged(bytes: &[u8]) -> Result<Parsed, YamlProblem> {
    parse(bytes, true)
}

fn parse(bytes: &[u8], merging: bool) -> Result<Parsed, YamlProblem> {
    if bytes.len() > MAX_BYTES {
        return Err(YamlProblem {
            message: format!("the file is larger than {MAX_BYTES} bytes"),
            position: None,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        YamlProblem::at((line, 1), "this is not UTF-8")
    })?;
    let line_of = |at: usize| text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1;
    if let Some((at, _)) = text.char_indices().find(|(_, letter)| !printable(*letter)) {
        return Err(YamlProblem::at((line_of(at), 1), "control characters are not allowed"));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // YAML 1.1 ends a line at these too, 1.2 does not.
    let text = &text.replace(['\u{85}', '\u{2028}', '\u{2029}'], "\n");
    check_directives(text)?;
    let mut options = Options::default();
    options.block_scalar_eof_without_line_feed = true;
    options.emit_anchor_events = true;
    options.bom_inside_document_as_content = true;
    let mut builder = Builder { text, merging, ..Builder::default() };
    let mut tabs = Tabs::new(text);
    let mut parser = Parser::new_from_str_with_options(text, options);
    while let Some(next) = parser.next() {
        let (event, span) = match next {
            Ok(next) => next,
            // Here a directive ends a document, even without a marker; the rest is not read.
            Err(error) if merging && error.info().contains(BEFORE_DIRECTIVE) => {
                let line = error.marker().line();
                let before = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
                let shorter = text.get(..before).filter(|shorter| shorter.len() < text.len());
                let (root, _) = parse(shorter.unwrap_or_default().as_bytes(), merging)?;
                return Ok((root, Some((line, 1))));
            }
            Err(error) => {
                let mark = error.marker();
                return Err(YamlProblem::at((mark.line(), mark.col() + 1), error.info()));
            }
        };
        if let Event::DocumentEnd = event {
            tabs.check_lines(span.start.line())?;
            let second_document = if merging { parser.find_map(|next| second_document(&next)) } else { None };
            return Ok((builder.root, second_document));
        }
        tabs.check(&event, &span)?;
        builder.take(event, &span)?;
    }
    Ok((builder.root, None))
}

/// Returns where something follows the first document, YAML or not.
fn second_document(next: &Result<(Event<'_>, Span), ScanError>) -> Option<(usize, usize)> {
    match next {
        Err(error) => Some((error.marker().line(), error.marker().col() + 1)),
        // The parser reports an empty document as `~`.
        Ok((Event::Scalar(text, ScalarStyle::Plain, ..), _)) if matches!(text.as_ref(), "" | "~") => None,
        Ok((Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..), span)) => {
            Some((span.start.line(), span.start.col() + 1))
        }
        Ok(_) => None,
    }
}

/// YAML 1.1's printable characters.
fn printable(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

/// yaml.v2 refuses directives that it does not know, and any version but its own.
fn check_directives(text: &str) -> Result<(), YamlProblem> {
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("%TAG") => {}
            Some("%YAML") if words.next() == Some("1.1") => {}
            Some("%YAML") => return Err(YamlProblem::at((index + 1, 1), "found incompatible YAML document")),
            Some(word) if word.starts_with('%') && line.starts_with('%') => {
                return Err(YamlProblem::at((index + 1, 1), "found unknown directive name"));
            }
            // The end of a document without a beginning.
            Some("...") if line.starts_with("...") => {
                return Err(YamlProblem::at((index + 1, 1), "did not find expected node content"));
            }
            Some(word) if !word.starts_with('#') => break,
            _ => {}
        }
    }
    Ok(())
}

/// A container that is still open, with its values so far.
struct OpenContainer {
    node: YamlNode,
    key: Option<PendingKey>,
    anchor: usize,
}

/// A key that waits for its value.
enum PendingKey {
    /// One of the mapping's own.
    Own(YamlNode),
    /// `<<`: with a `MapSlice` the merged value is checked and dropped, with maps its pairs are added.
    Merge,
}

#[derive(Default)]
struct Builder<'a> {
    text: &'a str,
    open: Vec<OpenContainer>,
    anchors: HashMap<usize, (YamlNode, usize)>,
    values: usize,
    root: Option<YamlNode>,
    /// How deep it is inside of flow collections.
    flow: usize,
    /// Whether the scalar that is being closed is a plain `<<`.
    merge_is_next: bool,
    /// Whether merge keys are followed.
    merging: bool,
}

impl Builder<'_> {
    /// Tells whether an empty scalar is a key that is not there, before a colon: yaml.v2 takes one only behind `?`.
    fn lacks_key(&self, span: &Span) -> bool {
        let is_key = self.open.last().is_some_and(|container| {
            matches!(container.node.value, YamlValue::Map(_)) && container.key.is_none()
        });
        let Some(at) = span.start.byte_offset().filter(|_| is_key && self.flow == 0) else { return false };
        let (before, behind) = self.text.split_at_checked(at).unwrap_or_default();
        behind.starts_with(':') && !before.trim_end().ends_with('?')
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlProblem> {
        let position = (span.start.line(), span.start.col() + 1);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if style == ScalarStyle::DoubleQuoted {
                    check_escapes(span.slice(self.text).unwrap_or_default(), position)?;
                }
                if self.flow > 0
                    && style == ScalarStyle::Plain
                    && (text.contains('?') || text.starts_with(':'))
                {
                    // In a flow collection, a question mark or colon is an indicator of YAML 1.1.
                    return Err(YamlProblem::at(
                        position,
                        "a text with a question mark, or with a colon at its beginning, needs quotes inside of [] and {}",
                    ));
                }
                // The event parser hands an empty scalar over as a tilde.
                if matches!(text.as_ref(), "" | "~") && style == ScalarStyle::Plain && self.lacks_key(span) {
                    return Err(YamlProblem::at(position, "did not find expected key"));
                }
                let merge = text == "<<" && style == ScalarStyle::Plain;
                let tag = tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()));
                let resolved = scalar::resolve(&text, tag.as_deref(), style != ScalarStyle::Plain);
                let resolved = resolved.map_err(|mismatch| {
                    // The value is not quoted: it may be a secret, and what it is for is not known here.
                    let (found, expected) = (mismatch.found, mismatch.expected);
                    YamlProblem::at(position, format!("cannot decode {found} as a {expected}"))
                })?;
                self.count(1, position)?;
                self.merge_is_next = merge;
                self.close(YamlNode { value: YamlValue::Scalar(resolved), position }, anchor)?;
            }
            Event::Anchor(_, name) => check_anchor(&name, position)?,
            Event::Alias(anchor) => {
                check_anchor(span.slice(self.text).unwrap_or_default().trim_start_matches('*'), position)?;
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(YamlProblem::at(position, "an anchor contains itself"));
                };
                self.count(size, position)?;
                self.close(node, 0)?;
            }
            Event::SequenceStart(style, anchor, _) => {
                self.flow += usize::from(self.flow > 0 || style == StructureStyle::Flow);
                self.begin(YamlValue::List(Vec::new()), anchor, position)?;
            }
            Event::MappingStart(style, anchor, _) => {
                self.flow += usize::from(self.flow > 0 || style == StructureStyle::Flow);
                self.begin(YamlValue::Map(Vec::new()), anchor, position)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.flow = self.flow.saturating_sub(1);
                if let Some(open) = self.open.pop() {
                    self.close(open.node, open.anchor)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(
        &mut self,
        value: YamlValue,
        anchor: usize,
        position: (usize, usize),
    ) -> Result<(), YamlProblem> {
        if self.open.len() == MAX_LEVELS {
            return Err(YamlProblem::at(position, format!("nested deeper than {MAX_LEVELS} levels")));
        }
        self.count(1, position)?;
        self.open.push(OpenContainer { node: YamlNode { value, position }, key: None, anchor });
        Ok(())
    }

    /// Counts values before they are copied: an alias of an alias doubles them each time.
    fn count(&mut self, more: usize, position: (usize, usize)) -> Result<(), YamlProblem> {
        self.values = self.values.saturating_add(more);
        if self.values > MAX_VALUES {
            return Err(YamlProblem::at(
                position,
                format!("more than {MAX_VALUES} values, aliases written out"),
            ));
        }
        Ok(())
    }

    /// Adds a finished value to its container.
    fn close(&mut self, node: YamlNode, anchor: usize) -> Result<(), YamlProblem> {
        if anchor != 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let merge = std::mem::take(&mut self.merge_is_next);
        let Some(OpenContainer { node: container, key, .. }) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut container.value {
            YamlValue::List(items) => items.push(node),
            YamlValue::Map(pairs) => match key.take() {
                None if merge => *key = Some(PendingKey::Merge),
                None => *key = Some(PendingKey::Own(node)),
                Some(PendingKey::Own(key)) => pairs.push((key, node)),
                Some(PendingKey::Merge) if is_mergeable(&node) => {
                    if self.merging {
                        merge_into(node, pairs);
                    }
                }
                Some(PendingKey::Merge) => {
                    let message = "map merge requires map or sequence of maps as the value";
                    return Err(YamlProblem::at(node.position, message));
                }
            },
            YamlValue::Scalar(_) => {}
        }
        Ok(())
    }
}

/// Adds the merged pairs after the others, those with the highest precedence last.
fn merge_into(node: YamlNode, pairs: &mut Vec<(YamlNode, YamlNode)>) {
    match node.value {
        YamlValue::Map(more) => pairs.extend(more),
        YamlValue::List(items) => items.into_iter().rev().for_each(|item| merge_into(item, pairs)),
        YamlValue::Scalar(_) => {}
    }
}

fn is_mergeable(node: &YamlNode) -> bool {
    let is_map = |node: &YamlNode| matches!(node.value, YamlValue::Map(_));
    match &node.value {
        YamlValue::List(items) => items.iter().all(is_map),
        _ => is_map(node),
    }
}

/// In YAML 1.1's reader a name is letters and digits; 1.2 allows nearly everything.
fn check_anchor(name: &str, position: (usize, usize)) -> Result<(), YamlProblem> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if name.chars().all(fits) {
        return Ok(());
    }
    Err(YamlProblem::at(position, "the name of an anchor has only letters, digits, dashes and underscores"))
}

fn size(node: &YamlNode) -> usize {
    match &node.value {
        YamlValue::Scalar(_) => 1,
        YamlValue::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        YamlValue::Map(pairs) => 1 + pairs.iter().map(|(key, value)| size(key) + size(value)).sum::<usize>(),
    }
}

/// YAML 1.1 has no `\/`, which 1.2 took over from JSON.
fn check_escapes(quoted: &str, position: (usize, usize)) -> Result<(), YamlProblem> {
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' && letters.next() == Some('/') {
            return Err(YamlProblem::at(position, "found unknown escape character"));
        }
    }
    Ok(())
}

impl YamlNode {
    /// Tells whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == YamlValue::Scalar(Scalar::Null)
    }

    /// Returns it as Go prints it inside of something else: `[a b]`, `[{key value}]`.
    #[must_use]
    pub fn go_text(&self) -> String {
        let join = |parts: Vec<String>| format!("[{}]", parts.join(" "));
        match &self.value {
            YamlValue::Scalar(scalar) => scalar.go_text(),
            YamlValue::List(items) => join(items.iter().map(Self::go_text).collect()),
            YamlValue::Map(pairs) => join(
                pairs
                    .iter()
                    .map(|(key, value)| format!("{{{} {}}}", key.go_text(), value.go_text()))
                    .collect(),
            ),
        }
    }
}
