// SPDX-License-Identifier: Apache-2.0
//! One scalar, as gopkg.in/yaml.v2 resolves it and as Go prints it.
//!
//! YAML 1.1 with the exceptions of that library: `yes` and `on` are true, `0640` is octal, `1_000` is a number, `1:30` is
//! not.
//! Source: resolve.go of yaml.v2, strconv of Go.

use super::flag_values;

/// A scalar's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// `~`, `null`, or nothing.
    Null,
    /// `true`, `yes`, `on`, `y` and their opposites.
    Bool(bool),
    /// An integer that fits 64 bits with a sign.
    Int(i64),
    /// A larger one that fits 64 bits.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
}

impl Scalar {
    /// Returns the value as Go's `fmt.Sprint` prints it.
    #[must_use]
    pub fn go_text(&self) -> String {
        match self {
            Self::Null => "<nil>".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Uint(value) => value.to_string(),
            Self::Float(value) => go_float(*value),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Scalar {
    /// Returns the tag of its type, such as `!!str`.
    #[must_use]
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Int(_) | Self::Uint(_) => "!!int",
            Self::Float(_) => "!!float",
            Self::Text(_) => "!!str",
        }
    }
}

/// Why a scalar with an explicit tag cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What was found, such as `!!str`.
    pub found: &'static str,
    /// The explicit tag, such as `!!int`.
    pub expected: String,
}

const TRUE: [&str; 11] = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
const FALSE: [&str; 11] = ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];
const NULL: [&str; 5] = ["", "~", "null", "Null", "NULL"];

/// The prefix of YAML's own tags.
const STANDARD: &str = "tag:yaml.org,2002:";

/// Resolves `text`; `tag` is the whole of an explicit tag, `quoted` any style but plain.
///
/// # Errors
/// If the text does not have the type of the tag.
pub fn resolve(text: &str, tag: Option<&str>, quoted: bool) -> Result<Scalar, Mismatch> {
    let Some(tag) = tag else {
        return Ok(if quoted { Scalar::Text(text.to_owned()) } else { plain(text) });
    };
    let Some(tag) = tag.strip_prefix(STANDARD) else { return Ok(Scalar::Text(text.to_owned())) };
    match (tag, plain(text)) {
        ("str", _) => Ok(Scalar::Text(text.to_owned())),
        ("binary", _) => base64(text)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(Scalar::Text)
            .ok_or_else(|| Mismatch { found: "!!str", expected: "!!binary".into() }),
        ("bool", value @ Scalar::Bool(_)) | ("int", value @ (Scalar::Int(_) | Scalar::Uint(_))) => Ok(value),
        ("float", value @ Scalar::Float(_)) | ("null", value @ Scalar::Null) => Ok(value),
        #[allow(clippy::cast_precision_loss, reason = "as Go converts it")]
        ("float", Scalar::Int(value)) => Ok(Scalar::Float(value as f64)),
        ("timestamp", Scalar::Text(_)) if is_timestamp(text) => Ok(Scalar::Text(text.to_owned())),
        ("bool" | "int" | "float" | "null" | "timestamp", value) => {
            Err(Mismatch { found: value.tag(), expected: format!("!!{tag}") })
        }
        // Any other tag leaves the text as it is.
        _ => Ok(Scalar::Text(text.to_owned())),
    }
}

fn plain(text: &str) -> Scalar {
    if NULL.contains(&text) {
        return Scalar::Null;
    }
    if TRUE.contains(&text) || FALSE.contains(&text) {
        return Scalar::Bool(TRUE.contains(&text));
    }
    match text {
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes().first() {
        // Go accepts underscores only between digits.
        Some(b'.') => separated(text).and_then(|text| float(&text)),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            let plain = text.replace('_', "");
            integer(&plain).or_else(|| float(&plain)).or_else(|| signed_binary(&plain))
        }
        _ => None,
    };
    number.unwrap_or_else(|| Scalar::Text(text.to_owned()))
}

/// Go's `ParseInt(text, 0, 64)`, then `ParseUint`.
fn integer(text: &str) -> Option<Scalar> {
    let (negative, signed, digits) = match text.as_bytes() {
        [b'-', ..] => (true, true, &text[1..]),
        [b'+', ..] => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, base) = flag_values::without_prefix(&lower);
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return None;
    }
    let value = u128::from_str_radix(digits, base).ok()?;
    let value = i128::try_from(value).ok()?;
    let value = if negative { -value } else { value };
    match i64::try_from(value) {
        Ok(value) => Some(Scalar::Int(value)),
        // ParseUint accepts no sign.
        Err(_) if !signed => u64::try_from(value).ok().map(Scalar::Uint),
        Err(_) => None,
    }
}

/// yaml.v2's own rule for a text that Go refuses: `0b` with a sign after it.
fn signed_binary(text: &str) -> Option<Scalar> {
    let digits = text.strip_prefix("0b")?;
    i64::from_str_radix(digits, 2).ok().map(Scalar::Int)
}

/// Returns `text` without its underscores, if each is between two digits.
fn separated(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let good = |(at, byte): (usize, &u8)| *byte != b'_' || (at > 0 && digit(at - 1) && digit(at + 1));
    bytes.iter().enumerate().all(good).then(|| text.replace('_', ""))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, as a float that is not too large for one.
fn float(text: &str) -> Option<Scalar> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let good = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    if !good || exponent.is_some_and(|exponent| !digits(exponent)) {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Scalar::Float)
}

/// Go's `%v` of a float64: the shortest digits, with an exponent below -4 and from 6 on.
fn go_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Tells whether Go's `time.Parse` accepts it: `Y-M-D`, with a time after a space, or after `T` and with a zone.
#[must_use]
pub fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 5 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let date = || {
        let year: u16 = text[..4].parse().ok()?;
        let (month, rest) = number(&text[5..])?;
        let (day, rest) = number(rest.strip_prefix('-')?)?;
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        ((1..=12).contains(&month) && (1..=days).contains(&day)).then_some(rest)
    };
    match date().map(|rest| (rest, rest.strip_prefix(['T', 't']))) {
        Some(("", _)) => true,
        Some((_, Some(rest))) => time(rest).is_some_and(is_zone),
        Some((rest, None)) => rest.starts_with(' ') && time(rest.trim_start_matches(' ')) == Some(""),
        None => false,
    }
}

/// Returns the text after a time of day.
fn time(text: &str) -> Option<&str> {
    let (hour, rest) = number(text)?;
    let (minute, rest) = number(rest.strip_prefix(':')?)?;
    let (second, rest) = number(rest.strip_prefix(':')?)?;
    let fraction =
        rest.strip_prefix(['.', ',']).map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let rest = fraction.filter(|behind| behind.len() + 1 < rest.len()).unwrap_or(rest);
    (hour < 24 && minute < 60 && second < 60).then_some(rest)
}

fn is_zone(text: &str) -> bool {
    let offset = text.strip_prefix(['+', '-']).filter(|offset| offset.len() == 5).and_then(|offset| {
        let ((hours, rest), (minutes, end)) = (number(offset)?, number(offset.get(3..)?)?);
        Some(hours <= 24 && minutes <= 60 && rest.starts_with(':') && rest.len() == 3 && end.is_empty())
    });
    text == "Z" || offset == Some(true)
}

/// Returns the number of one or two digits at the beginning of `text`, and the rest.
fn number(text: &str) -> Option<(u8, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

/// Standard base64 with padding; line breaks are skipped, as Go does.
#[must_use]
pub fn base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    let mut out = Vec::new();
    for (index, chunk) in bytes.chunks(4).enumerate() {
        let last = (index + 1) * 4 == bytes.len();
        let padding = chunk.iter().rev().take_while(|byte| **byte == b'=').count();
        if chunk.len() != 4 || padding > 2 || (padding > 0 && !last) {
            return None;
        }
        let mut bits = 0_u32;
        for byte in &chunk[..4 - padding] {
            bits = bits << 6 | u32::try_from(ALPHABET.iter().position(|letter| letter == byte)?).ok()?;
        }
        bits <<= 6 * padding;
        out.extend(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        for (text, printed) in [
            ("1e3", "1000"),
            ("1E6", "1e+06"),
            ("1.50", "1.5"),
            ("0.00001", "1e-05"),
            ("-0.0", "-0"),
            ("99999999999999999999", "1e+20"),
            ("685.230_15e+03", "685230.15"),
        ] {
            assert_eq!(plain(text).go_text(), printed, "{text}");
        }
    }

    #[test]
    fn underscores_and_signs_are_gos() {
        for (text, value) in [
            (".1_5", Scalar::Float(0.15)),
            (".1_", Scalar::Text(".1_".into())),
            ("._1", Scalar::Text("._1".into())),
            (".1__5", Scalar::Text(".1__5".into())),
            ("1__5", Scalar::Int(15)),
            ("0b-101", Scalar::Int(-5)),
            ("0b+1_0", Scalar::Int(2)),
            ("-0b-1", Scalar::Text("-0b-1".into())),
            ("0x-1", Scalar::Text("0x-1".into())),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
    }

    #[test]
    fn timestamps_are_what_go_parses() {
        for good in [
            "2001-12-14",
            "2001-1-2",
            "2024-2-29",
            "2001-12-14t21:59:43.10-05:00",
            "2001-12-14T1:2:3,5Z",
            "2001-12-14   21:59:43",
        ] {
            assert!(is_timestamp(good), "{good}");
        }
        for bad in [
            "2023-2-29",
            "2001-13-01",
            "2001-0-1",
            "02001-01-01",
            "2001-12-14 ",
            "2001-12-14 21:59:43Z",
            "2001-12-14T21:59:43",
            "2001-12-14T21:59:43.Z",
            "2001-12-14T24:00:00Z",
            "2001-12-14T21:59:43+5:00",
            "2001-12-14x",
        ] {
            assert!(!is_timestamp(bad), "{bad}");
        }
    }
}
