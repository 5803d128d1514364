// SPDX-License-Identifier: Apache-2.0
//! The tokens of a POSIX shell (XCU 2.3 of POSIX): words with their quotes and expansions, operators, comments.

/// A part of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::k3s) enum ShellPiece {
    /// Plain text.
    Text {
        /// The text without its quotes.
        text: String,
        /// Whether it was quoted.
        quoted: bool,
    },
    /// `$NAME` or `${NAME…}`.
    Variable {
        /// Its name.
        name: String,
        /// What stands behind the name: `:-`, `-`, `:=`, `=`, `:+`, `+`, and a word.
        other: Option<(&'static str, ShellWord)>,
        /// Whether it was quoted, so that its value stays one word.
        quoted: bool,
    },
    /// An expansion that is not read, such as `$(hostname)`.
    Unread(String),
}

/// A word, by its parts.
pub(in crate::k3s) type ShellWord = Vec<ShellPiece>;

/// A token, with its line from 1 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::k3s) struct ShellToken {
    pub(in crate::k3s) line: usize,
    pub(in crate::k3s) kind: ShellTokenKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::k3s) enum ShellTokenKind {
    Word(ShellWord),
    /// An operator; a newline is one, too.
    Operator(&'static str),
}

/// Operators, longest first.
const OPERATORS: [&str; 20] = [
    "<<-", "&>>", "<<", ">>", "<&", ">&", "<>", ">|", "&>", "&&", "||", ";;", "<", ">", "&", "|", ";", "(",
    ")", "\n",
];
/// Operators that come with a word.
const REDIRECTIONS: [&str; 11] = ["<<-", "&>>", "<<", ">>", "<&", ">&", "<>", ">|", "&>", "<", ">"];
/// What stands between a variable's name and another word.
const FORMS: [&str; 6] = [":-", ":=", ":+", "-", "=", "+"];

/// Tells whether an operator is a redirection.
pub(in crate::k3s) fn is_redirection(operator: &str) -> bool {
    REDIRECTIONS.contains(&operator)
}

/// Returns the tokens of a text.
///
/// # Errors
/// The line, and what is not read there.
pub(in crate::k3s) fn tokens(text: &str) -> Result<Vec<ShellToken>, (usize, String)> {
    let mut reader = ShellReader { rest: text, line: 1 };
    let mut tokens = Vec::new();
    loop {
        reader.skip_blanks();
        let line = reader.line;
        if reader.rest.is_empty() {
            return Ok(tokens);
        }
        if let Some(operator) = OPERATORS.into_iter().find(|operator| reader.rest.starts_with(operator)) {
            if operator.starts_with("<<") {
                return Err((line, "a here-document".to_owned()));
            }
            reader.take(operator.len());
            tokens.push(ShellToken { line, kind: ShellTokenKind::Operator(operator) });
            continue;
        }
        let word = reader.word()?;
        // Digits in front of a redirection are the number of a file.
        let is_number = matches!(word.as_slice(), [ShellPiece::Text { text, quoted: false }]
            if text.bytes().all(|byte| byte.is_ascii_digit()));
        if !(is_number && reader.rest.starts_with(['<', '>'])) {
            tokens.push(ShellToken { line, kind: ShellTokenKind::Word(word) });
        }
    }
}

/// Reads a text from its beginning on.
struct ShellReader<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> ShellReader<'t> {
    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.take(letter.len_utf8());
        Some(letter)
    }

    fn skip_blanks(&mut self) {
        loop {
            if self.rest.starts_with([' ', '\t']) {
                self.take(1);
            } else if self.rest.starts_with("\\\n") {
                self.take(2);
            } else if self.rest.starts_with('#') {
                self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else {
                return;
            }
        }
    }

    /// Reads a word up to a blank or an operator.
    fn word(&mut self) -> Result<ShellWord, (usize, String)> {
        let mut word = ShellWord::new();
        while let Some(letter) = self.rest.chars().next() {
            match letter {
                ' ' | '\t' | '\n' | '<' | '>' | '&' | '|' | ';' | '(' | ')' => break,
                '\'' => {
                    let line = self.line;
                    self.take(1);
                    let end = self.rest.find('\'').ok_or((line, "quotes that do not end".to_owned()))?;
                    let text = self.take(end).to_owned();
                    self.take(1);
                    word.push(ShellPiece::Text { text, quoted: true });
                }
                '"' => self.double_quotes(&mut word)?,
                _ => self.piece(&mut word, None)?,
            }
        }
        Ok(word)
    }

    fn double_quotes(&mut self, word: &mut ShellWord) -> Result<(), (usize, String)> {
        let line = self.line;
        self.take(1);
        // Empty quotes are a word.
        word.push(ShellPiece::Text { text: String::new(), quoted: true });
        loop {
            match self.rest.chars().next() {
                None => return Err((line, "quotes that do not end".to_owned())),
                Some('"') => {
                    self.take(1);
                    return Ok(());
                }
                Some(_) => self.piece(word, Some('"'))?,
            }
        }
    }

    /// Reads a character or an expansion; `quotes` are those around it.
    fn piece(&mut self, word: &mut ShellWord, quotes: Option<char>) -> Result<(), (usize, String)> {
        let quoted = quotes.is_some();
        let mut add = |letter: char, quoted: bool| match word.last_mut() {
            Some(ShellPiece::Text { text, quoted: before }) if *before == quoted => text.push(letter),
            _ => word.push(ShellPiece::Text { text: letter.to_string(), quoted }),
        };
        match self.next() {
            Some('\\') => match self.next() {
                Some('\n') => {}
                None => add('\\', quoted),
                // In double quotes a backslash only protects these.
                Some(letter) if quoted && !"$`\"\\".contains(letter) => {
                    add('\\', true);
                    add(letter, true);
                }
                Some(letter) => add(letter, true),
            },
            Some('`') => {
                let line = self.line;
                let end = self.rest.find('`').ok_or((line, "quotes that do not end".to_owned()))?;
                let text = format!("`{}`", self.take(end));
                self.take(1);
                word.push(ShellPiece::Unread(text));
            }
            Some('$') => self.dollar(word, quoted)?,
            Some(letter) => add(letter, quoted),
            None => {}
        }
        Ok(())
    }

    /// Reads an expansion behind its dollar sign.
    fn dollar(&mut self, word: &mut ShellWord, quoted: bool) -> Result<(), (usize, String)> {
        let line = self.line;
        if self.rest.starts_with('{') {
            self.take(1);
            let length = name_length(self.rest);
            let name = self.take(length).to_owned();
            if !name.is_empty() && self.rest.starts_with('}') {
                self.take(1);
                word.push(ShellPiece::Variable { name, other: None, quoted });
                return Ok(());
            }
            let form = FORMS.into_iter().find(|form| !name.is_empty() && self.rest.starts_with(form));
            let Some(form) = form else {
                // Any other form: its end is found by counting braces.
                let text = self.balanced('{', '}').ok_or((line, "braces that do not end".to_owned()))?;
                word.push(ShellPiece::Unread(format!("${{{name}{text}")));
                return Ok(());
            };
            self.take(form.len());
            let mut other = ShellWord::new();
            loop {
                match self.rest.chars().next() {
                    None => return Err((line, "braces that do not end".to_owned())),
                    Some('}') => {
                        self.take(1);
                        break;
                    }
                    Some('"') => self.double_quotes(&mut other)?,
                    Some('\'') if !quoted => {
                        self.take(1);
                        let end = self.rest.find('\'').ok_or((line, "quotes that do not end".to_owned()))?;
                        let text = self.take(end).to_owned();
                        self.take(1);
                        other.push(ShellPiece::Text { text, quoted: true });
                    }
                    Some(_) => self.piece(&mut other, quoted.then_some('"'))?,
                }
            }
            word.push(ShellPiece::Variable { name, other: Some((form, other)), quoted });
            return Ok(());
        }
        if self.rest.starts_with('(') {
            self.take(1);
            let text = self.balanced('(', ')').ok_or((line, "brackets that do not end".to_owned()))?;
            word.push(ShellPiece::Unread(format!("$({text}")));
            return Ok(());
        }
        let length = name_length(self.rest);
        if length > 0 {
            let name = self.take(length).to_owned();
            word.push(ShellPiece::Variable { name, other: None, quoted });
        } else if self.rest.starts_with(|next: char| next.is_ascii_digit() || "@*#?-$!".contains(next)) {
            let special = self.take(1);
            word.push(ShellPiece::Unread(format!("${special}")));
        } else if self.rest.starts_with('\'') && !quoted {
            // Some shells have a quote of their own here.
            return Err((line, "$'…'".to_owned()));
        } else {
            word.push(ShellPiece::Text { text: "$".to_owned(), quoted });
        }
        Ok(())
    }

    /// Takes what is left up to the bracket that closes, and returns it.
    fn balanced(&mut self, open: char, close: char) -> Option<&'t str> {
        let mut depth = 1;
        let end = self.rest.char_indices().find(|(_, letter)| {
            depth += i32::from(*letter == open) - i32::from(*letter == close);
            depth == 0
        })?;
        Some(self.take(end.0 + close.len_utf8()))
    }
}

/// Returns the length of the variable name at the beginning of a text.
fn name_length(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        tokens(text)
            .unwrap()
            .into_iter()
            .map(|token| match token.kind {
                ShellTokenKind::Operator(operator) => operator.to_owned(),
                ShellTokenKind::Word(word) => word
                    .into_iter()
                    .map(|piece| match piece {
                        ShellPiece::Text { text, .. } => text,
                        ShellPiece::Variable { name, other, .. } => {
                            format!("<{name}{}>", other.map(|(form, _)| form).unwrap_or_default())
                        }
                        ShellPiece::Unread(text) => format!("!{text}!"),
                    })
                    .collect(),
            })
            .collect()
    }

    #[test]
    fn words_have_quotes_escapes_and_expansions() {
        assert_eq!(texts(r#"a\ b 'c d'"e \"f\x" g'' "" # h"#), ["a b", r#"c de "f\x"#, "g", ""]);
        assert_eq!(
            texts("a=$B${C}x \"${D:-e f}\" $1 $(x (y)) `z` $ a#b"),
            ["a=<B><C>x", "<D:->", "!$1!", "!$(x (y))!", "!`z`!", "$", "a#b"]
        );
        assert_eq!(texts("a \\\n b\n\nc"), ["a", "b", "\n", "\n", "c"]);
    }

    #[test]
    fn operators_stand_alone() {
        assert_eq!(texts("a>>b 2>&1;c&&d||e"), ["a", ">>", "b", ">&", "1", ";", "c", "&&", "d", "||", "e"]);
        assert_eq!(texts("f(){ g;}"), ["f", "(", ")", "{", "g", ";", "}"]);
    }

    #[test]
    fn what_does_not_end_is_not_read() {
        for text in ["'a", "\"a", "${a", "$(a", "cat << x", "$'a'"] {
            assert!(tokens(text).is_err(), "{text}");
        }
        assert_eq!(tokens("a\nb 'c").unwrap_err().0, 2);
    }
}
