// SPDX-License-Identifier: Apache-2.0
//! The tokens of CEL (the lexer rules of parser/gen/CEL.g4 in cel-go).

use super::cel_types::CelFault;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CelToken {
    /// A name, which may be a reserved word.
    Name(String),
    /// A whole number; none if it is too large for 64 bits.
    Int(Option<i64>),
    /// A whole number without sign.
    Uint(u64),
    /// A number with a fraction or an exponent; infinite if it is too large for 64 bits.
    Double(f64),
    Text(CelText),
    Bytes,
    Sign(&'static str),
}

/// A text, as far as its content is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CelText {
    Known(String),
    /// It has escapes.
    Escaped,
}

/// Signs, the longer ones first.
const SIGNS: [&str; 23] = [
    "&&", "||", "==", "!=", "<=", ">=", "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "!", "<", ">", "+",
    "-", "*", "/",
];
const WHITE: [char; 5] = [' ', '\t', '\n', '\r', '\u{c}'];

fn unrecognized(text: &str) -> CelFault {
    let letter = text.chars().next().unwrap_or_default();
    CelFault::Fails(format!("Syntax error: token recognition error at: '{letter}'"))
}

/// Returns the tokens of a text.
pub(super) fn tokens(text: &str) -> Result<Vec<CelToken>, CelFault> {
    let mut found = Vec::new();
    let mut rest = skip(text);
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '"' | '\'' => text_token(rest, false)?,
            'r' | 'R' if rest[1..].starts_with(['"', '\'']) => {
                let (token, length) = text_token(&rest[1..], true)?;
                (token, length + 1)
            }
            'b' | 'B' if bytes_prefix(rest).is_some() => {
                let (prefix, is_raw) = bytes_prefix(rest).unwrap_or_default();
                (CelToken::Bytes, bytes_length(&rest[prefix..], is_raw)? + prefix)
            }
            first if first.is_ascii_alphabetic() || first == '_' => {
                let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
                let length = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
                (CelToken::Name(rest[..length].to_owned()), length)
            }
            first if first.is_ascii_digit() => number(rest),
            '.' if rest[1..].starts_with(|digit: char| digit.is_ascii_digit()) => number(rest),
            '%' => (CelToken::Sign("%"), 1),
            // Whether a name may be quoted changed with minors.
            '`' => return Err(CelFault::Unknown),
            _ => {
                let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
                let sign = sign.ok_or_else(|| unrecognized(rest))?;
                (CelToken::Sign(sign), sign.len())
            }
        };
        found.push(token);
        rest = skip(&rest[length..]);
    }
    Ok(found)
}

/// Skips white space and comments.
fn skip(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches(WHITE);
        let Some(comment) = text.strip_prefix("//") else { return text };
        text = comment.find('\n').map_or("", |end| &comment[end..]);
    }
}

/// Returns the length of what stands before the quote of bytes, and whether they are raw.
fn bytes_prefix(text: &str) -> Option<(usize, bool)> {
    let behind = &text[1..];
    if behind.starts_with(['"', '\'']) {
        return Some((1, false));
    }
    let raw = behind.strip_prefix(['r', 'R'])?;
    raw.starts_with(['"', '\'']).then_some((2, true))
}

fn bytes_length(text: &str, is_raw: bool) -> Result<usize, CelFault> {
    let (token, length) = text_token(text, is_raw)?;
    // An escape of a letter has another meaning in bytes.
    if token == CelToken::Text(CelText::Escaped) { Err(CelFault::Unknown) } else { Ok(length) }
}

/// Returns the text that begins with a quote, and its length.
fn text_token(text: &str, is_raw: bool) -> Result<(CelToken, usize), CelFault> {
    let quote = &text[..1];
    let long = quote.repeat(3);
    let is_long = text.starts_with(&long);
    let end = if is_long { long.as_str() } else { quote };
    let mut at = end.len();
    let mut has_escapes = false;
    loop {
        let rest = &text[at..];
        if rest.starts_with(end) {
            let content = &text[end.len()..at];
            let content = match has_escapes {
                true => CelText::Escaped,
                false => CelText::Known(content.to_owned()),
            };
            return Ok((CelToken::Text(content), at + end.len()));
        }
        match rest.chars().next() {
            None => return Err(unrecognized(text)),
            Some('\n' | '\r') if !is_long => return Err(unrecognized(text)),
            Some('\\') if !is_raw => {
                has_escapes = true;
                at += escape_length(&rest[1..]).ok_or_else(|| unrecognized(text))?? + 1;
            }
            Some(letter) => at += letter.len_utf8(),
        }
    }
}

/// Returns the length of an escape behind its backslash; none if there is none such.
fn escape_length(text: &str) -> Option<Result<usize, CelFault>> {
    let digits = |from: usize, count: usize| {
        let digits = text.get(from..from + count)?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let letter = |count: usize| match char::from_u32(digits(1, count)?) {
        Some(_) => Some(Ok(count + 1)),
        // Half of a pair, or no letter at all.
        None => Some(Err(CelFault::Unknown)),
    };
    match text.chars().next()? {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`' => Some(Ok(1)),
        'x' | 'X' => digits(1, 2).map(|_| Ok(3)),
        'u' => letter(4),
        'U' => letter(8),
        '0'..='3' => {
            let octal = text.get(1..3)?.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
            octal.then_some(Ok(3))
        }
        _ => None,
    }
}

/// Returns the number that a text begins with, and its length.
fn number(text: &str) -> (CelToken, usize) {
    let count = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    if let Some(hex) = text.strip_prefix("0x") {
        let length = hex.bytes().take_while(u8::is_ascii_hexdigit).count();
        if length > 0 {
            let is_uint = hex[length..].starts_with(['u', 'U']);
            let token = match is_uint {
                true => u64::from_str_radix(&hex[..length], 16).map_or(CelToken::Int(None), CelToken::Uint),
                false => CelToken::Int(i64::from_str_radix(&hex[..length], 16).ok()),
            };
            return (token, length + 2 + usize::from(is_uint));
        }
    }
    let whole = count(text);
    let behind = &text[whole..];
    let fraction = behind.strip_prefix('.').map_or(0, count);
    let mut length = whole + if fraction > 0 { fraction + 1 } else { 0 };
    let mut is_double = fraction > 0;
    if let Some(exponent) = text[length..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        let digits = count(&exponent[sign..]);
        if digits > 0 {
            is_double = true;
            length += 1 + sign + digits;
        }
    }
    if is_double {
        return (CelToken::Double(text[..length].parse().unwrap_or(f64::INFINITY)), length);
    }
    if behind.starts_with(['u', 'U']) {
        let token = text[..whole].parse::<u64>().map_or(CelToken::Int(None), CelToken::Uint);
        return (token, whole + 1);
    }
    (CelToken::Int(text[..whole].parse().ok()), whole)
}
