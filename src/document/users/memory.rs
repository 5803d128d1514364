// SPDX-License-Identifier: Apache-2.0
//! What a file of ours says of parts that were the user's: a line of its header, which every later version reads.
//!
//! The line has names alone. Their values stand in the file, so that whoever removes one there takes it back.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// The beginning of the line.
const MARK: &str = "# Taken over: ";
/// The line is behind the header, which has three lines.
const AMONG_FIRST: usize = 6;

/// The parts of a file that were the user's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::document) struct FileMemory {
    /// Namespaces that are exempt from Pod Security.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) namespaces: Vec<String>,
    /// Users that are exempt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) usernames: Vec<String>,
    /// Runtime classes that are exempt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) runtime_classes: Vec<String>,
    /// The modes of Pod Security whose level and version are the user's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) defaults: Vec<String>,
    /// The types of EventRateLimit's limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) limits: Vec<String>,
    /// Admission plugins whose whole entry is the user's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) plugins: Vec<String>,
    /// Parts that no run was about yet, which stay as they were.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) pending: Vec<String>,
    /// Whether the whole file is the user's.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) whole: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl FileMemory {
    /// Reads the line of a file of ours; nothing of the user's where there is none.
    ///
    /// # Errors
    /// If somebody has edited the line until it cannot be read.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        match text.lines().take(AMONG_FIRST).find_map(|line| line.strip_prefix(MARK)) {
            None => Ok(Self::default()),
            Some(json) => serde_json::from_str(json).map_err(|error| error.to_string()),
        }
    }

    /// Returns the line; empty where nothing is the user's. It is of printable ASCII: readers of YAML disagree on where else a
    /// comment ends.
    pub(in crate::document) fn line(&self) -> String {
        if *self == Self::default() {
            return String::new();
        }
        let json = serde_json::to_string(self).unwrap_or_default();
        let mut line = MARK.to_owned();
        for letter in json.chars() {
            if matches!(letter, ' '..='~') {
                line.push(letter);
                continue;
            }
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Writing to a text does not fail.
                write!(line, "\\u{unit:04x}").unwrap_or_default();
            }
        }
        line + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_read_as_it_was_written() {
        let memory = FileMemory {
            usernames: vec!["a\u{2028}b".to_owned(), "\u{7f}\u{1f512}\"\\".to_owned()],
            namespaces: vec!["shop".to_owned()],
            whole: true,
            ..FileMemory::default()
        };
        let line = memory.line();
        assert!(line.trim_end().bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
        assert_eq!(FileMemory::read(&format!("# a\n# b\n# c\n{line}a: 1\n")).unwrap(), memory);
        assert_eq!(FileMemory::default().line(), "");
        assert_eq!(FileMemory::read("a: 1\n").unwrap(), FileMemory::default());
        // A later version may say more.
        let newer = "# Taken over: {\"namespaces\":[\"a\"],\"more\":1}\n";
        assert_eq!(FileMemory::read(newer).unwrap().namespaces, ["a"]);
        assert!(FileMemory::read("# Taken over: {\n").is_err());
    }
}
