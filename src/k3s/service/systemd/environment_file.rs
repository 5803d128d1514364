// SPDX-License-Identifier: Apache-2.0
//! Environment files as systemd reads them (systemd v252 to v257, src/basic/env-file.c). This is no shell: `export` sets
//! nothing, and nothing is expanded.

use super::unit::is_variable_name;

/// What is read of an environment file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::k3s) struct EnvironmentFile {
    /// Names and values, in their order; a later one of a name counts.
    pub(in crate::k3s) variables: Vec<(String, String)>,
    /// Where systemd gives the file up, and why.
    pub(in crate::k3s) broken: Option<(usize, String)>,
    /// The line behind a comment that ends in a backslash: systemd before v254 takes it for a part of the comment.
    pub(in crate::k3s) differs: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EnvironmentState {
    BeforeKey,
    Key,
    BeforeValue,
    Value,
    ValueEscape,
    SingleQuotes,
    DoubleQuotes,
    DoubleQuotesEscape,
    Comment,
    CommentEscape,
}

/// Characters that a backslash protects inside double quotes (SHELL_NEED_ESCAPE).
const ESCAPED_IN_QUOTES: &str = "\"\\`$";

/// Reads an environment file.
pub(in crate::k3s) fn read(bytes: &[u8]) -> EnvironmentFile {
    use EnvironmentState::{
        BeforeKey, BeforeValue, Comment, CommentEscape, DoubleQuotes, DoubleQuotesEscape, Key, SingleQuotes,
        Value, ValueEscape,
    };
    let mut file = EnvironmentFile::default();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (mut state, mut line) = (BeforeKey, 1);
    let (mut key, mut value) = (Vec::new(), Vec::new());
    // The blanks at the end of an unquoted value begin here.
    let mut blanks = None;
    for &byte in &bytes[..end] {
        let is_newline = matches!(byte, b'\n' | b'\r');
        let is_blank = is_newline || matches!(byte, b' ' | b'\t');
        match state {
            BeforeKey if matches!(byte, b'#' | b';') => state = Comment,
            BeforeKey if !is_blank => {
                state = Key;
                key = vec![byte];
            }
            BeforeKey => {}
            Key if is_newline => state = BeforeKey,
            Key if byte == b'=' => {
                state = BeforeValue;
                blanks = None;
            }
            Key => key.push(byte),
            BeforeValue | Value if is_newline => {
                state = BeforeKey;
                if !file.push(&key, &mut value, blanks.take(), line) {
                    return file;
                }
            }
            BeforeValue if byte == b'\'' => state = SingleQuotes,
            BeforeValue if byte == b'"' => state = DoubleQuotes,
            BeforeValue | Value if byte == b'\\' => {
                state = ValueEscape;
                blanks = None;
            }
            BeforeValue if is_blank => {}
            BeforeValue | Value => {
                state = Value;
                if is_blank {
                    blanks.get_or_insert(value.len());
                } else {
                    blanks = None;
                }
                value.push(byte);
            }
            ValueEscape => {
                state = Value;
                if !is_newline {
                    value.push(byte);
                }
            }
            SingleQuotes if byte == b'\'' => state = BeforeValue,
            DoubleQuotes if byte == b'"' => state = BeforeValue,
            DoubleQuotes if byte == b'\\' => state = DoubleQuotesEscape,
            SingleQuotes | DoubleQuotes => value.push(byte),
            DoubleQuotesEscape => {
                state = DoubleQuotes;
                if ESCAPED_IN_QUOTES.contains(char::from(byte)) {
                    value.push(byte);
                } else if byte != b'\n' {
                    value.extend([b'\\', byte]);
                }
            }
            Comment if byte == b'\\' => state = CommentEscape,
            Comment if is_newline => state = BeforeKey,
            Comment => {}
            CommentEscape => {
                if is_newline {
                    file.differs.get_or_insert(line + 1);
                }
                state = if is_newline { BeforeKey } else { Comment };
            }
        }
        if byte == b'\n' {
            line += 1;
        }
    }
    if !matches!(state, BeforeKey | Key | Comment | CommentEscape) {
        file.push(&key, &mut value, if state == Value { blanks } else { None }, line);
    }
    file
}

impl EnvironmentFile {
    /// Adds a variable; false if systemd gives the file up.
    fn push(&mut self, key: &[u8], value: &mut Vec<u8>, blanks: Option<usize>, line: usize) -> bool {
        let mut value = std::mem::take(value);
        value.truncate(blanks.unwrap_or(value.len()));
        let (Ok(key), Ok(value)) = (std::str::from_utf8(key), String::from_utf8(value)) else {
            self.variables.clear();
            self.broken = Some((line, "the line is no UTF-8".to_owned()));
            return false;
        };
        let key = key.trim_end_matches(super::lines::BLANKS);
        // An invalid name is dropped once the file is read.
        if is_variable_name(key) {
            self.variables.push((key.to_owned(), value));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        read(text.as_bytes()).variables
    }

    fn value(text: &str) -> String {
        values(&format!("A={text}\n")).pop().unwrap().1
    }

    #[test]
    fn unquoted_values_keep_the_blanks_inside() {
        assert_eq!(value("--a=1  --b \t"), "--a=1  --b");
        assert_eq!(value(" x"), "x");
        assert_eq!(value("a\\ "), "a ");
        assert_eq!(value("a\\\n b"), "a b");
        assert_eq!(value("a'b'"), "a'b'");
    }

    #[test]
    fn quotes_stand_at_the_beginning() {
        assert_eq!(value("'a b' \"c\\\"d\\n\" "), "a bc\"d\\n");
        assert_eq!(value("\"a\nb\""), "a\nb");
        assert_eq!(value("\"a\\\nb\""), "ab");
        assert_eq!(value("'a'b  "), "ab");
        // Quotes that do not end take the rest.
        assert_eq!(values("A='x\nB=y\n"), [("A".to_owned(), "x\nB=y\n".to_owned())]);
    }

    #[test]
    fn export_and_other_names_set_nothing() {
        let text = "# x\n; y\nexport A=1\n B = 2 \nno\n1C=3\n=4\nD=\nB=5";
        let expected =
            [("B", "2"), ("D", ""), ("B", "5")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(values(text), expected);
    }

    #[test]
    fn a_comment_that_ends_in_a_backslash_is_read_in_two_ways() {
        let file = read(b"# x \\\nA=1\n");
        assert_eq!((file.variables.len(), file.differs), (1, Some(2)));
        assert_eq!(read(b"# x \\ \nA=1\n").differs, None);
        assert_eq!(read(b"A=\xff\n").broken.unwrap().0, 1);
    }
}
