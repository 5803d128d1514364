// SPDX-License-Identifier: Apache-2.0
//! The lines of a unit file as systemd reads them (systemd v252, src/shared/conf-parser.c and read_line_full of
//! src/basic/fileio.c): comments, continuation, sections and assignments.

/// What separates words and surrounds keys and values (WHITESPACE of src/basic/string-util.h).
pub(super) const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];
/// The longest line, and the longest line with its continuation (LONG_LINE_MAX).
const LONGEST_LINE: usize = 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The sections of a service whose assignments count; others are ignored with what is in them.
const SECTIONS: [&str; 3] = ["Unit", "Service", "Install"];

/// The assignments of a unit file, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::k3s) struct UnitLines {
    pub(in crate::k3s) assignments: Vec<UnitAssignment>,
    /// Command lines in front of every section: systemd ignores them, and they still say what the file is for.
    pub(in crate::k3s) stray: Vec<String>,
    /// Where systemd stops reading the file, and why.
    pub(in crate::k3s) broken: Option<(usize, String)>,
}

/// An assignment, such as `ExecStart=/usr/local/bin/k3s server`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::k3s) struct UnitAssignment {
    pub(in crate::k3s) section: &'static str,
    pub(in crate::k3s) key: String,
    pub(in crate::k3s) value: String,
    /// The line on which it begins, from 1 on.
    pub(in crate::k3s) line: usize,
}

/// Reads the text of a unit file or of a drop-in.
pub(in crate::k3s) fn read(bytes: &[u8]) -> UnitLines {
    let mut read = UnitLines::default();
    let mut section = None;
    let mut at = 0;
    let mut number = 0;
    let mut mark_seen = false;
    // The line so far, with the number of its first line.
    let mut begun: Option<(usize, Vec<u8>)> = None;
    loop {
        let line = match next_line(bytes, &mut at) {
            Some(Ok(line)) => line,
            Some(Err(())) => {
                read.broken = Some((number + 1, "the line is too long".to_owned()));
                return read;
            }
            None => break,
        };
        number += 1;
        // A comment is dropped wherever it stands, also between the lines of a continuation.
        if matches!(line.iter().find(|byte| !is_blank(**byte)), Some(b'#' | b';')) {
            continue;
        }
        let mut line = line;
        if !mark_seen && let Some(rest) = line.strip_prefix(BYTE_ORDER_MARK) {
            mark_seen = true;
            line = rest;
        }
        let (first, mut whole) = begun.take().unwrap_or((number, Vec::new()));
        if whole.len() + line.len() > LONGEST_LINE {
            read.broken = Some((number, "the line with its continuation is too long".to_owned()));
            return read;
        }
        whole.extend_from_slice(line);
        if ends_escaped(&whole) {
            whole.pop();
            whole.push(b' ');
            begun = Some((first, whole));
            continue;
        }
        if let Err(why) = read.add(&whole, first, &mut section) {
            read.broken = Some((first, why));
            return read;
        }
    }
    if let Some((first, whole)) = begun
        && let Err(why) = read.add(&whole, first, &mut section)
    {
        read.broken = Some((first, why));
    }
    read
}

impl UnitLines {
    /// Adds a whole line. The error is why systemd reads no further.
    fn add(&mut self, line: &[u8], number: usize, section: &mut Option<&'static str>) -> Result<(), String> {
        let Ok(text) = std::str::from_utf8(line) else { return Err("the line is no UTF-8".to_owned()) };
        let text = text.trim_matches(BLANKS);
        if let Some(header) = text.strip_prefix('[') {
            let Some(name) = header.strip_suffix(']') else {
                return Err(format!("{text} is no section header"));
            };
            if !is_safe(name) {
                return Err(format!("{text} is no section header"));
            }
            *section = SECTIONS.into_iter().find(|known| *known == name);
            return Ok(());
        }
        if let (Some(section), Some((key, value))) = (*section, text.split_once('='))
            && !key.is_empty()
        {
            let (key, value) = (key.trim_matches(BLANKS).to_owned(), value.trim_matches(BLANKS).to_owned());
            self.assignments.push(UnitAssignment { section, key, value, line: number });
        } else if let Some(command) = text.strip_prefix("ExecStart=").filter(|_| section.is_none()) {
            self.stray.push(command.to_owned());
        }
        Ok(())
    }
}

/// Tells whether a text has neither quotes nor control characters (string_is_safe).
pub(super) fn is_safe(text: &str) -> bool {
    !text.chars().any(|letter| letter < ' ' || matches!(letter, '"' | '\'' | '\\' | '\u{7f}'))
}

fn is_blank(byte: u8) -> bool {
    BLANKS.contains(&char::from(byte))
}

/// Tells whether the last character is a backslash that no other backslash escapes.
fn ends_escaped(text: &[u8]) -> bool {
    text.iter().fold(false, |escaped, byte| !escaped && *byte == b'\\')
}

/// Returns the next line without its end; the error if it is too long. Line ends are a newline, a carriage return, a NUL,
/// and pairs of different ones.
fn next_line<'b>(bytes: &'b [u8], at: &mut usize) -> Option<Result<&'b [u8], ()>> {
    let start = *at;
    let length = bytes[start..].iter().take_while(|byte| end_of_line(**byte) == 0).count();
    if length >= LONGEST_LINE {
        return Some(Err(()));
    }
    *at += length;
    let mut seen = 0;
    while let Some(end) = bytes.get(*at).map(|byte| end_of_line(*byte)) {
        if seen & NUL != 0 || end == 0 || end & seen != 0 {
            break;
        }
        seen |= end;
        *at += 1;
    }
    (*at > start).then(|| Ok(&bytes[start..start + length]))
}

const NUL: u8 = 4;

fn end_of_line(byte: u8) -> u8 {
    match byte {
        b'\n' => 1,
        b'\r' => 2,
        0 => NUL,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        let read = read(text.as_bytes());
        read.assignments.into_iter().map(|assignment| assignment.value).collect()
    }

    #[test]
    fn comments_inside_a_continuation_are_dropped() {
        for comment in ["# x", "  ; x \\", "#"] {
            let text = format!("[Service]\nA=a \\\n{comment}\n b\nB=c\n");
            assert_eq!(values(&text), ["a   b", "c"], "{comment}");
        }
        // An empty line is none: it ends the continuation.
        assert_eq!(values("[Service]\nA=a \\\n\n b=c\n"), ["a", "c"]);
    }

    #[test]
    fn only_a_backslash_at_the_end_continues_a_line() {
        assert_eq!(values("[Service]\nA=a \\ \nB=b\n"), ["a \\", "b"]);
        assert_eq!(values("[Service]\nA=a \\\\\nB=b\n"), ["a \\\\", "b"]);
        assert_eq!(values("[Service]\nA=a \\"), ["a"]);
        // Escapes are counted from the first line on.
        assert_eq!(values("[Service]\nA=\\\\\\\nB=b\n"), ["\\\\ B=b"]);
    }

    #[test]
    fn line_ends_are_those_of_three_worlds() {
        assert_eq!(values("\u{feff}[Service]\r\nA=a\rB=b\n\rC=c \\\r\nd\0E=e"), ["a", "b", "c  d", "e"]);
    }

    #[test]
    fn assignments_belong_to_a_known_section() {
        let text = "A=a\n[Service]\n  B = b=c \n=x\nno\n[X-Mine]\nC=c\n[Install]\nD=\n";
        assert_eq!(values(text), ["b=c", ""]);
        let bad = read(b"[Service]\nA=a\n[Service\nB=b\n");
        assert_eq!((bad.assignments.len(), bad.broken.unwrap().0), (1, 3));
        assert_eq!(read(b"[Service]\nA=\xff\n").broken.unwrap().0, 2);
    }
}
