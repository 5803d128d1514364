// SPDX-License-Identifier: Apache-2.0
//! Text for a terminal. Every text of a run goes to stdout and stderr as a [`ScreenText`].

use std::fmt;

use super::visible::{visible, visible_json};
use crate::error::{Error, ErrorKind, Result};

/// The decoration of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// No decoration.
    Plain,
    /// ANSI colours.
    Coloured,
}

/// The colours of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Bold.
    Bold,
    /// Bold and cyan.
    BoldCyan,
    /// Bold and green.
    BoldGreen,
    /// Bold and magenta.
    BoldMagenta,
    /// Bold and red.
    BoldRed,
    /// Bold and yellow.
    BoldYellow,
    /// Blue.
    Blue,
    /// Cyan.
    Cyan,
    /// Faint.
    Faint,
    /// Green.
    Green,
    /// As the rest.
    Plain,
    /// Red.
    Red,
    /// Yellow.
    Yellow,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::BoldCyan => "1;36",
            Self::BoldGreen => "1;32",
            Self::BoldMagenta => "1;35",
            Self::BoldRed => "1;31",
            Self::BoldYellow => "1;33",
            Self::Blue => "34",
            Self::Cyan => "36",
            Self::Faint => "2",
            Self::Green => "32",
            Self::Plain => "",
            Self::Red => "31",
            Self::Yellow => "33",
        }
    }
}

/// Text that commands no terminal: control characters and direction marks of whatever is pushed into it are written as their
/// numbers. Only its own methods write colours and line breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScreenText {
    text: String,
    style: Style,
}

impl ScreenText {
    /// Begins a text.
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self { text: String::new(), style }
    }

    /// Returns a value as JSON, in several lines. Its strings mean the same as before, but for the logins of URLs.
    ///
    /// # Errors
    /// If the value cannot be written as JSON.
    pub fn json(value: &impl serde::Serialize) -> Result<Self> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Error::new(ErrorKind::Failed, error.to_string()))?;
        Ok(Self::json_line(&(text + "\n")))
    }

    /// Returns a text that is JSON already, such as a line of a log.
    #[must_use]
    pub fn json_line(json: &str) -> Self {
        Self { text: visible_json(json).into_owned(), style: Style::Plain }
    }

    /// Returns a report for programs, such as a page, in which line breaks and tabs stand for themselves.
    #[must_use]
    pub fn report(report: &str) -> Self {
        let mut text = Self::new(Style::Plain);
        for piece in report.split_inclusive(['\n', '\t']) {
            let (shown, own) = match piece.strip_suffix(['\n', '\t']) {
                Some(shown) => (shown, &piece[shown.len()..]),
                None => (piece, ""),
            };
            text.push(shown);
            text.text.push_str(own);
        }
        text
    }

    /// Writes something into the line. A line break in it is written as `\n`.
    pub fn push(&mut self, text: impl fmt::Display) {
        self.text.push_str(&visible(&text.to_string()));
    }

    /// Writes something into the line with a colour.
    pub fn paint(&mut self, ink: Ink, text: impl fmt::Display) {
        if ink == Ink::Plain || self.style == Style::Plain {
            return self.push(text);
        }
        self.text.push_str("\x1b[");
        self.text.push_str(ink.code());
        self.text.push('m');
        self.push(text);
        self.text.push_str("\x1b[0m");
    }

    /// Ends the line.
    pub fn end(&mut self) {
        self.text.push('\n');
    }

    /// Writes a whole line.
    pub fn line(&mut self, text: impl fmt::Display) {
        self.paint_line(Ink::Plain, text);
    }

    /// Writes a whole line with a colour.
    pub fn paint_line(&mut self, ink: Ink, text: impl fmt::Display) {
        self.paint(ink, text);
        self.end();
    }

    /// Writes something that may have several lines, and ends the last one. The others are indented, but those that begin as
    /// lines of a diff do: whatever they hold, none begins as a line of ours.
    pub fn message(&mut self, text: impl fmt::Display) {
        let text = text.to_string();
        for (index, line) in text.split('\n').enumerate() {
            let is_of_diff = line.starts_with(['+', '-', '@', ' ', '\\']) && !line.starts_with(" help:");
            if index > 0 && !line.is_empty() && !is_of_diff {
                self.push("  ");
            }
            self.line(line);
        }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ScreenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\x1b[2J\u{9b}31m\u{7f}\r\n\t\u{202e}b";

    #[test]
    fn nothing_of_others_commands_a_terminal() {
        let shown = r"a\u{1b}[2J\u{9b}31m\u{7f}\u{d}\n\t\u{202e}b";
        let mut text = ScreenText::new(Style::Coloured);
        text.push(HOSTILE);
        text.paint(Ink::Red, HOSTILE);
        text.line(HOSTILE);
        assert_eq!(text.as_str(), format!("{shown}\x1b[31m{shown}\x1b[0m{shown}\n"));
        let mut text = ScreenText::new(Style::Plain);
        text.paint_line(Ink::BoldRed, HOSTILE);
        assert_eq!(text.as_str(), format!("{shown}\n"));
    }

    #[test]
    fn a_message_of_several_lines_begins_none_of_ours() {
        let mut text = ScreenText::new(Style::Plain);
        text.push("error: ");
        text.message("one\nK3s starts.\r\n\n-a\x1b[2J\n help: x");
        assert_eq!(text.as_str(), "error: one\n  K3s starts.\\u{d}\n\n-a\\u{1b}[2J\n   help: x\n");
    }

    #[test]
    fn a_report_keeps_its_lines() {
        assert_eq!(ScreenText::report("<a>\n\t\x1b\u{85}</a>\n").as_str(), "<a>\n\t\\u{1b}\\u{85}</a>\n");
        assert_eq!(ScreenText::json(&HOSTILE).unwrap().as_str().matches('\u{9b}').count(), 0);
    }
}
