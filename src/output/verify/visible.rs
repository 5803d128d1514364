//! Text of a node, made harmless for a terminal and a page.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns `text` with every character that is not seen, or that changes how others are seen, written as its number
/// (`\u{1b}`): controls, which command a terminal, and the marks of direction, with which a text reads as another.
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
            seen => shown.push(seen),
        }
    }
    Cow::Owned(shown)
}

/// Tells whether a character has to be written as its number.
fn is_hidden(character: char) -> bool {
    // The last ones are no characters at all, and XML does not take them.
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_stays() {
        for text in ["", "a b/c\\d", "Grüße 日本 🦀"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn what_is_not_seen_is_written_out() {
        assert_eq!(
            visible("\x1b[31m\r\n\t\u{9b}\u{7f}\u{202e}\0"),
            r"\u{1b}[31m\u{d}\n\t\u{9b}\u{7f}\u{202e}\u{0}"
        );
    }
}
