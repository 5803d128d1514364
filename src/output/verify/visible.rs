//! Makes text of a node harmless for a terminal and a page.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Writes every invisible character as its number (`\u{1b}`): control characters, which command a terminal, and direction
/// marks, which change the order in which other characters are shown.
pub(in crate::output) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            hidden if is_hidden(hidden) => {
                let _infallible = write!(shown, "\\u{{{:x}}}", u32::from(hidden));
            }
            plain => shown.push(plain),
        }
    }
    Cow::Owned(shown)
}

/// Tells whether a character is written as its number.
fn is_hidden(character: char) -> bool {
    // The last ones are noncharacters, which XML forbids.
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_characters_stay() {
        for text in ["", "a b/c\\d", "Grüße 日本 🦀"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn invisible_characters_are_written_as_numbers() {
        assert_eq!(
            visible("\x1b[31m\r\n\t\u{9b}\u{7f}\u{202e}\0"),
            r"\u{1b}[31m\u{d}\n\t\u{9b}\u{7f}\u{202e}\u{0}"
        );
    }
}
