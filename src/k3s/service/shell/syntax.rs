// SPDX-License-Identifier: Apache-2.0
//! Commands of a shell: where one ends, and its assignments and words.

use super::lex::{ShellPiece, ShellToken, ShellTokenKind, ShellWord, is_redirection};

/// A command without `if`, loops and the like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::k3s) struct SimpleCommand {
    pub(in crate::k3s) line: usize,
    /// Assignments in front of its words.
    pub(in crate::k3s) assignments: Vec<(String, ShellWord)>,
    /// Its words, without redirections.
    pub(in crate::k3s) words: Vec<ShellWord>,
}

/// Tokens, from one on.
#[derive(Debug)]
pub(in crate::k3s) struct ShellCursor<'t> {
    tokens: &'t [ShellToken],
    at: usize,
}

impl<'t> ShellCursor<'t> {
    pub(in crate::k3s) fn new(tokens: &'t [ShellToken]) -> Self {
        Self { tokens, at: 0 }
    }

    pub(in crate::k3s) fn line(&self) -> usize {
        self.tokens.get(self.at).or_else(|| self.tokens.last()).map_or(1, |token| token.line)
    }

    pub(in crate::k3s) fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub(in crate::k3s) fn skip(&mut self) {
        self.at += 1;
    }

    /// Returns the operator at this place.
    pub(in crate::k3s) fn operator(&self) -> Option<&'static str> {
        self.operator_at(0)
    }

    fn operator_at(&self, ahead: usize) -> Option<&'static str> {
        match &self.tokens.get(self.at + ahead)?.kind {
            ShellTokenKind::Operator(operator) => Some(operator),
            ShellTokenKind::Word(_) => None,
        }
    }

    /// Returns the word at this place if it is plain text, as reserved words are.
    pub(in crate::k3s) fn plain_word(&self) -> Option<&'t str> {
        match &self.tokens.get(self.at)?.kind {
            ShellTokenKind::Word(word) => plain(word),
            ShellTokenKind::Operator(_) => None,
        }
    }

    /// Tells whether a function is defined here: a name with `()` behind it.
    pub(in crate::k3s) fn is_at_function(&self) -> bool {
        self.plain_word().is_some() && self.operator_at(1) == Some("(") && self.operator_at(2) == Some(")")
    }

    pub(in crate::k3s) fn skip_newlines(&mut self) {
        while matches!(self.operator(), Some("\n" | ";")) {
            self.skip();
        }
    }

    /// Takes a simple command, up to the operator behind it.
    pub(in crate::k3s) fn command(&mut self) -> SimpleCommand {
        let mut command = SimpleCommand { line: self.line(), ..SimpleCommand::default() };
        while let Some(token) = self.tokens.get(self.at) {
            match &token.kind {
                ShellTokenKind::Operator(operator) if is_redirection(operator) => {
                    self.skip();
                    if self.operator().is_none() {
                        self.skip();
                    }
                    continue;
                }
                ShellTokenKind::Operator(_) => break,
                ShellTokenKind::Word(word) => match assignment(word) {
                    Some(assignment) if command.words.is_empty() => command.assignments.push(assignment),
                    _ => command.words.push(word.clone()),
                },
            }
            self.skip();
        }
        command
    }
}

/// Returns the text of a word without quotes and expansions.
pub(in crate::k3s) fn plain(word: &ShellWord) -> Option<&str> {
    match word.as_slice() {
        [ShellPiece::Text { text, quoted: false }] => Some(text),
        _ => None,
    }
}

/// Returns the name and the value of a word `NAME=value`.
pub(in crate::k3s) fn assignment(word: &ShellWord) -> Option<(String, ShellWord)> {
    let (ShellPiece::Text { text, quoted: false }, rest) = word.split_first()? else { return None };
    let (name, value) = text.split_once('=')?;
    let is_name = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then(|| {
        let mut value = vec![ShellPiece::Text { text: value.to_owned(), quoted: false }];
        value.extend(rest.iter().cloned());
        (name.to_owned(), value)
    })
}
