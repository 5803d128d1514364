// SPDX-License-Identifier: Apache-2.0
//! Tabs that yaml.v2 refuses.

use granit_parser::{Event, ScalarStyle, Span, StructureStyle};

/// The line and column of a tab that yaml.v2 refuses.
#[derive(Debug)]
pub(super) struct BadTab(pub(super) (usize, usize));

/// Finds tabs that yaml.v2's scanner refuses and the event parser accepts: before a token that could be a key, which is at
/// the beginning of a line or after `-` or `?`, outside of flow collections.
pub(super) struct Tabs<'a> {
    lines: Vec<&'a str>,
    /// Lines that begin inside of a scalar or a flow collection.
    inside: Vec<bool>,
    flow: usize,
    flow_from: usize,
}

impl<'a> Tabs<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let lines: Vec<&str> = if text.contains('\t') { text.lines().collect() } else { Vec::new() };
        Self { inside: vec![false; lines.len()], lines, flow: 0, flow_from: 0 }
    }

    pub(super) fn check(&mut self, event: &Event<'_>, span: &Span) -> Result<(), BadTab> {
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

    fn check_before(&self, span: &Span) -> Result<(), BadTab> {
        let Some(line) = self.lines.get(span.start.line().saturating_sub(1)) else { return Ok(()) };
        let before: String = line.chars().take(span.start.col()).collect();
        let token = before.trim_end_matches([' ', '\t']);
        let indicator = token.is_empty() || token.ends_with(['-', '?']);
        if indicator && before[token.len()..].contains('\t') {
            return Err(BadTab((span.start.line(), token.chars().count() + 1)));
        }
        Ok(())
    }

    fn cover(&mut self, first: usize, last: usize) {
        for line in self.inside.iter_mut().take(last).skip(first) {
            *line = true;
        }
    }

    /// Checks the lines up to the end of the document, those without a token too.
    pub(super) fn check_lines(&self, end: usize) -> Result<(), BadTab> {
        let lines = self.lines.iter().zip(&self.inside).enumerate().take(end);
        for (index, (line, inside)) in lines {
            let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
            if let (false, Some(column)) = (inside, indent.find('\t')) {
                return Err(BadTab((index + 1, column + 1)));
            }
        }
        Ok(())
    }
}
