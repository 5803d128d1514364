// SPDX-License-Identifier: Apache-2.0
//! Text as a YAML scalar that every reader takes for exactly that text.

use std::io::{self, Write};

/// Writes `text` as a double-quoted scalar of printable ASCII.
///
/// YAML 1.1 readers, K3s's among them, take `no`, `0600` and `1_000` for something else without quotes, and fold
/// NEL and the Unicode line separators inside of them; so everything is quoted, and what is not printable ASCII
/// is escaped. Go's and Rust's readers agree on these escapes; JSON's surrogate pairs they would not read.
///
/// # Errors
/// Those of the writer.
pub fn yaml_string(text: &str, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"\"")?;
    // What needs no escape goes out in one piece.
    let mut plain = 0;
    for (at, character) in text.char_indices() {
        if matches!(character, ' '..='~') && !matches!(character, '"' | '\\') {
            continue;
        }
        out.write_all(&text.as_bytes()[plain..at])?;
        plain = at + character.len_utf8();
        match character {
            '"' => out.write_all(b"\\\"")?,
            '\\' => out.write_all(b"\\\\")?,
            '\n' => out.write_all(b"\\n")?,
            '\t' => out.write_all(b"\\t")?,
            _ => match u32::from(character) {
                code @ 0..=0xff => write!(out, "\\x{code:02x}")?,
                code @ 0x100..=0xffff => write!(out, "\\u{code:04x}")?,
                code => write!(out, "\\U{code:08x}")?,
            },
        }
    }
    out.write_all(&text.as_bytes()[plain..])?;
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quoted(text: &str) -> String {
        let mut out = Vec::new();
        yaml_string(text, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes() {
        assert_eq!(quoted("a\"b\\c\nd\u{85}\u{2028}\u{1f600}ä"), r#""a\"b\\c\nd\x85\u2028\U0001f600\xe4""#);
    }

    proptest! {
        #[test]
        fn any_text_survives_two_readers(text in any::<String>()) {
            let written = quoted(&text);
            prop_assert_eq!(&serde_yaml::from_str::<String>(&written).unwrap(), &text);
            let events: Vec<_> = granit_parser::Parser::new_from_str(&written).collect::<Result<_, _>>().unwrap();
            let scalar = events.iter().find_map(|(event, _)| match event {
                granit_parser::Event::Scalar(value, ..) => Some(value.to_string()),
                _ => None,
            });
            prop_assert_eq!(scalar, Some(text));
        }
    }
}
