// SPDX-License-Identifier: Apache-2.0
//! Names as text. A name on a node is bytes; nothing makes it UTF-8. Here it is text that stands for exactly those bytes: a
//! byte that is no UTF-8 is a character of its own, from a range that nobody uses. So a file of any name is read.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

/// The character of a byte that is no UTF-8, less the byte. They are in a private use area.
const BYTES: u32 = 0x10_f700;

/// Returns text that stands for bytes.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let character =
        |byte: &u8| char::from_u32(BYTES + u32::from(*byte)).unwrap_or(char::REPLACEMENT_CHARACTER);
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if byte_of(letter).is_some() {
                text.extend(letter.encode_utf8(&mut [0; 4]).as_bytes().iter().map(character));
            } else {
                text.push(letter);
            }
        }
        text.extend(chunk.invalid().iter().map(character));
    }
    text
}

/// Returns the bytes that a text stands for.
pub(super) fn bytes_of(text: &str) -> Cow<'_, OsStr> {
    if !text.contains(|letter| byte_of(letter).is_some()) {
        return Cow::Borrowed(OsStr::new(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    for letter in text.chars() {
        match byte_of(letter) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(OsString::from_vec(bytes))
}

/// Returns the byte that is no UTF-8 for which a character stands in a path; none for any other character.
#[must_use]
pub fn byte_of(character: char) -> Option<u8> {
    u32::from(character)
        .checked_sub(BYTES)
        .and_then(|byte| u8::try_from(byte).ok())
        .filter(|byte| *byte >= 0x80)
}
