//! A configuration file, as K3s' YAML reader (gopkg.in/yaml.v2, into a `MapSlice`) reads it, with positions.
//!
//! The grammar is an event parser's; the meaning is yaml.v2's: scalars by `scalar`, keys kept twice, merge keys
//! dropped, further documents not read, aliases copied.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::scalar::{self, Scalar};

/// Largest configuration file that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Deepest nesting, in levels. yaml.v2 goes to 10 000; no key of K3s holds more than a list.
pub const MAX_LEVELS: usize = 1000;
/// Most values in a file, with aliases written out. yaml.v2 refuses "excessive aliasing" too.
pub const MAX_VALUES: usize = 1_000_000;

/// A value with its place: line and column, from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it stands.
    pub position: (usize, usize),
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping in its order, with keys that are there twice.
    Map(Vec<(Node, Node)>),
}

/// Why a file cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The reason.
    pub message: String,
    /// Line and column, from 1.
    pub position: Option<(usize, usize)>,
}

impl Problem {
    fn at(position: (usize, usize), message: impl Into<String>) -> Self {
        Self { message: message.into(), position: Some(position) }
    }
}

/// Reads the first document; none where there is nothing in it.
///
/// # Errors
/// Where K3s would not start on it, or where it is over a limit.
pub fn read(bytes: &[u8]) -> Result<Option<Node>, Problem> {
    if bytes.len() > MAX_BYTES {
        return Err(Problem {
            message: format!("the file is larger than {MAX_BYTES} bytes"),
            position: None,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        Problem::at((line, 1), "this is not UTF-8")
    })?;
    if let Some(at) = text.bytes().position(|byte| byte == 0) {
        let line = text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1;
        return Err(Problem::at((line, 1), "control characters are not allowed"));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut options = Options::default();
    options.block_scalar_eof_without_line_feed = true;
    let mut builder = Builder::default();
    let mut tabs = Tabs::new(text);
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| {
            let mark = error.marker();
            Problem::at((mark.line(), mark.col() + 1), error.info())
        })?;
        if let Event::DocumentEnd = event {
            tabs.check_lines(span.start.line())?;
            break;
        }
        tabs.check(&event, &span)?;
        builder.take(event, &span)?;
    }
    Ok(builder.root)
}

/// Tabs where yaml.v2's scanner takes none and our event parser does: before a token that could be a key, which
/// is at the beginning of a line and behind `-` or `?`, outside of flow collections.
struct Tabs<'a> {
    lines: Vec<&'a str>,
    /// Lines that begin inside of a scalar or a flow collection.
    inside: Vec<bool>,
    flow: usize,
    flow_from: usize,
}

impl<'a> Tabs<'a> {
    fn new(text: &'a str) -> Self {
        let lines: Vec<&str> = if text.contains('\t') { text.lines().collect() } else { Vec::new() };
        Self { inside: vec![false; lines.len()], lines, flow: 0, flow_from: 0 }
    }

    fn check(&mut self, event: &Event<'_>, span: &Span) -> Result<(), Problem> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let (first, last) = (span.start.line(), span.end.line());
        match event {
            Event::SequenceStart(StructureStyle::Flow, ..)
            | Event::MappingStart(StructureStyle::Flow, ..) => {
                self.flow += 1;
                if self.flow == 1 {
                    self.flow_from = first;
                    return self.check_before(span);
                }
            }
            Event::SequenceEnd | Event::MappingEnd if self.flow > 0 => {
                self.flow -= 1;
                if self.flow == 0 {
                    self.cover(self.flow_from, last);
                }
            }
            Event::Scalar(_, style, ..) if self.flow == 0 => {
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                // The end of a block scalar is the beginning of what follows it.
                self.cover(first, if block && span.end.col() == 0 { last.saturating_sub(1) } else { last });
                return self.check_before(span);
            }
            _ => {}
        }
        Ok(())
    }

    fn check_before(&self, span: &Span) -> Result<(), Problem> {
        let Some(line) = self.lines.get(span.start.line().saturating_sub(1)) else { return Ok(()) };
        let before: String = line.chars().take(span.start.col()).collect();
        let token = before.trim_end_matches([' ', '\t']);
        let indicator = token.is_empty() || token.ends_with(['-', '?']);
        if indicator && before[token.len()..].contains('\t') {
            return Err(bad_tab((span.start.line(), token.chars().count() + 1)));
        }
        Ok(())
    }

    fn cover(&mut self, first: usize, last: usize) {
        for line in self.inside.iter_mut().take(last).skip(first) {
            *line = true;
        }
    }

    /// Checks the lines up to the end of the document, those without a token too.
    fn check_lines(&self, end: usize) -> Result<(), Problem> {
        let lines = self.lines.iter().zip(&self.inside).enumerate().take(end);
        for (index, (line, inside)) in lines {
            let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
            if let (false, Some(column)) = (inside, indent.find('\t')) {
                return Err(bad_tab((index + 1, column + 1)));
            }
        }
        Ok(())
    }
}

fn bad_tab(position: (usize, usize)) -> Problem {
    Problem::at(position, "a tab cannot start any token: indent with spaces")
}

/// A container that is still open, with what it holds so far.
struct Open {
    node: Node,
    key: Option<Node>,
    anchor: usize,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    values: usize,
    root: Option<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Problem> {
        let position = (span.start.line(), span.start.col() + 1);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let resolved =
                    scalar::resolve(&text, standard(tag.as_deref()), !plain).map_err(|mismatch| {
                        Problem::at(
                            position,
                            format!("cannot decode {} `{text}` as a {}", mismatch.found, mismatch.wanted),
                        )
                    })?;
                // A tag of somebody's own makes text of it.
                let resolved = if tag.is_some() && standard(tag.as_deref()).is_none() {
                    Scalar::Text(text.into_owned())
                } else {
                    resolved
                };
                self.count(1, position)?;
                self.close(Node { value: Value::Scalar(resolved), position }, anchor);
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(Problem::at(position, "an anchor contains itself"));
                };
                self.count(size, position)?;
                self.close(node, 0);
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Value::List(Vec::new()), anchor, position)?,
            Event::MappingStart(_, anchor, _) => self.begin(Value::Map(Vec::new()), anchor, position)?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.close(open.node, open.anchor);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, value: Value, anchor: usize, position: (usize, usize)) -> Result<(), Problem> {
        if self.open.len() == MAX_LEVELS {
            return Err(Problem::at(position, format!("nested deeper than {MAX_LEVELS} levels")));
        }
        self.count(1, position)?;
        self.open.push(Open { node: Node { value, position }, key: None, anchor });
        Ok(())
    }

    /// Counts values before they are copied: an alias of an alias doubles them each time.
    fn count(&mut self, more: usize, position: (usize, usize)) -> Result<(), Problem> {
        self.values = self.values.saturating_add(more);
        if self.values > MAX_VALUES {
            return Err(Problem::at(position, format!("more than {MAX_VALUES} values, aliases written out")));
        }
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn close(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { node: Node { value: Value::List(items), .. }, .. }) => items.push(node),
            Some(Open { node: Node { value: Value::Map(pairs), .. }, key, .. }) => match key.take() {
                None => *key = Some(node),
                Some(key) => pairs.push((key, node)),
            },
            Some(Open { node: Node { value: Value::Scalar(_), .. }, .. }) => {}
        }
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(_) => 1,
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(pairs) => 1 + pairs.iter().map(|(key, value)| size(key) + size(value)).sum::<usize>(),
    }
}

/// Returns the suffix of a tag of YAML's own.
fn standard(tag: Option<&Tag>) -> Option<&str> {
    let tag = tag?;
    (tag.handle() == "tag:yaml.org,2002:").then(|| tag.suffix())
}

impl Node {
    /// Tells whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Scalar(Scalar::Null)
    }

    /// Returns it as Go prints it inside of something else: `[a b]`, `[{key value}]`.
    #[must_use]
    pub fn go_text(&self) -> String {
        let join = |parts: Vec<String>| format!("[{}]", parts.join(" "));
        match &self.value {
            Value::Scalar(scalar) => scalar.go_text(),
            Value::List(items) => join(items.iter().map(Self::go_text).collect()),
            Value::Map(pairs) => join(
                pairs
                    .iter()
                    .map(|(key, value)| format!("{{{} {}}}", key.go_text(), value.go_text()))
                    .collect(),
            ),
        }
    }
}
