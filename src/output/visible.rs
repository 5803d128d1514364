// SPDX-License-Identifier: Apache-2.0
//! Makes text of a node harmless for a terminal, a page and JSON.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::k3s::logins_masked;
use crate::node::byte_of;

/// Writes every invisible character as its number (`\u{1b}`): control characters, which command a terminal, and direction
/// marks, which change the order in which other characters are shown. A byte of a name that is no UTF-8 is `\xff`.
///
/// The user names and passwords of URLs are masked: a message quotes values of the user's, and is shown to others.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    with_logins_masked(text, numbered)
}

fn with_logins_masked(text: &str, next: impl Fn(&str) -> Cow<'_, str>) -> Cow<'_, str> {
    match logins_masked(text) {
        Cow::Borrowed(text) => next(text),
        Cow::Owned(text) => Cow::Owned(next(&text).into_owned()),
    }
}

fn numbered(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            plain if !is_hidden(plain) => shown.push(plain),
            hidden => {
                let _infallible = match byte_of(hidden) {
                    Some(byte) => write!(shown, "\\x{byte:02x}"),
                    None => write!(shown, "\\u{{{:x}}}", u32::from(hidden)),
                };
            }
        }
    }
    Cow::Owned(shown)
}

/// Writes the invisible characters that JSON allows to stand for themselves as its escapes, in a text that is JSON already: they
/// stand only inside strings there, and their value stays the same. The user names and passwords of URLs are masked.
pub(super) fn visible_json(json: &str) -> Cow<'_, str> {
    with_logins_masked(json, escaped_json)
}

fn escaped_json(json: &str) -> Cow<'_, str> {
    // What stands between the strings.
    let is_hidden = |character: char| !matches!(character, '\n' | '\t' | '\r') && is_hidden(character);
    if !json.contains(is_hidden) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hidden(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _infallible = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Tells whether a character is written as its number.
fn is_hidden(character: char) -> bool {
    // The last ones are noncharacters, which XML forbids.
    character.is_control()
        || byte_of(character).is_some()
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
    fn json_means_the_same() {
        let value = serde_json::json!({"a\u{7f}": ["\u{9b}31m\u{202e}\u{e0041}\n", "plain"]});
        let shown = visible_json(&format!("{value:#}")).into_owned();
        assert!(shown.chars().all(|it| it == '\n' || !is_hidden(it)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        assert!(matches!(visible_json("{\n  \"a\": 1\n}"), Cow::Borrowed(_)));
    }

    #[test]
    fn no_login_of_a_url_is_shown() {
        let message = "issuer.url: Invalid value: \"https://u:V3ry@h/a\": 'http://v:V3ry@i'";
        assert_eq!(
            visible(message),
            "issuer.url: Invalid value: \"https://********@h/a\": 'http://********@i'"
        );
        let shown = visible_json(&serde_json::json!({"a": message, "b": "c@d"}).to_string()).into_owned();
        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(value, serde_json::json!({"a": visible(message), "b": "c@d"}));
    }

    #[test]
    fn invisible_characters_are_written_as_numbers() {
        assert_eq!(
            visible("\x1b[31m\r\n\t\u{9b}\u{7f}\u{202e}\0"),
            r"\u{1b}[31m\u{d}\n\t\u{9b}\u{7f}\u{202e}\u{0}"
        );
    }
}
