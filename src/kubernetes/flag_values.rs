// SPDX-License-Identifier: Apache-2.0
//! The values of arguments, as Go's and Kubernetes' flag packages parse them (spf13/pflag, strconv, time, encoding/csv,
//! k8s.io/component-base/cli/flag, k8s.io/apimachinery/pkg/util/net, k8s.io/utils/net).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads a boolean as Go does (`strconv.ParseBool`); none for any other word.
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `ParseInt(text, 0, 64)`.
pub fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let value = magnitude(digits)?;
    let value = if negative { -value } else { value };
    i64::try_from(value).is_ok().then_some(value)
}

/// Tells whether a text is a whole number as Go writes one, however large.
pub fn is_whole(text: &str) -> bool {
    digits(text.strip_prefix(['+', '-']).unwrap_or(text)).is_some()
}

/// Go's `ParseUint(text, 0, 64)`.
pub fn unsigned(text: &str) -> Option<i128> {
    magnitude(text).filter(|value| u64::try_from(*value).is_ok())
}

fn magnitude(text: &str) -> Option<i128> {
    let (digits, base) = digits(text)?;
    i128::from_str_radix(&digits, base).ok()
}

/// The digits of a whole number as Go writes one, and their base: `0x1e`, `0b1`, `0o7` or `07`, `1_000`.
fn digits(text: &str) -> Option<(String, u32)> {
    let lower = text.to_ascii_lowercase();
    let (digits, base) = without_prefix(&lower);
    // An underscore is between digits, or between the prefix and the digits.
    let digits = if base == 10 { digits } else { digits.strip_prefix('_').unwrap_or(digits) };
    let fits = |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_digit(base));
    digits.split('_').all(fits).then(|| (digits.replace('_', ""), base))
}

/// Returns the digits of a number in lower case and their base, which its prefix names.
pub(super) fn without_prefix(lower: &str) -> (&str, u32) {
    match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (lower, 10),
    }
}

/// Go's `ParseFloat`, before it is rounded: a number too large is infinite.
pub fn number(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let plain = lower.strip_prefix(['+', '-']).unwrap_or(&lower);
    if let Some(digits) = plain.strip_prefix("0x") {
        let value = hexadecimal_number(digits)?;
        return Some(if lower.starts_with('-') { -value } else { value });
    }
    match plain {
        "inf" | "infinity" => text.parse().ok(),
        "nan" if plain == lower => Some(f64::NAN),
        _ => {
            let is_number = plain.bytes().any(|byte| byte.is_ascii_digit())
                && plain.bytes().all(|byte| byte.is_ascii_digit() || b".e+-_".contains(&byte));
            let digits = without_underscores(&lower, 10).filter(|_| is_number)?;
            digits.parse().ok()
        }
    }
}

/// The digits of a number behind `0x`: they need an exponent, of two.
fn hexadecimal_number(text: &str) -> Option<f64> {
    let text = without_underscores(text.strip_prefix('_').unwrap_or(text), 16)?;
    let (mantissa, exponent) = text.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let is_exponent = {
        let figures = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !figures.is_empty() && figures.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_exponent || digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let digit = |byte: u8| f64::from(char::from(byte).to_digit(16).unwrap_or_default());
    let value = digits.bytes().fold(0.0_f64, |value, byte| value.mul_add(16.0, digit(byte)));
    let exponent = exponent.parse().unwrap_or(if exponent.starts_with('-') { -9_999 } else { 9_999 });
    let places = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    Some(value * f64::from(exponent - places).exp2())
}

/// Takes underscores away, which may only be between digits.
fn without_underscores(text: &str, base: u32) -> Option<String> {
    let parts: Vec<&str> = text.split('_').collect();
    let is_digit = |letter: Option<char>| letter.is_some_and(|letter| letter.is_digit(base));
    let fits = |pair: &[&str]| is_digit(pair[0].chars().last()) && is_digit(pair[1].chars().next());
    parts.windows(2).all(fits).then(|| parts.concat())
}

/// Go's `ParseDuration`, in nanoseconds.
pub fn duration(text: &str) -> Option<i128> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let length = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (figure, behind) = rest.split_at(length);
        let end =
            behind.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(behind.len());
        let unit: i128 = match &behind[..end] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = figure.split_once('.').unwrap_or((figure, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(unit)?)?;
        // Only the first digits of the fraction matter.
        let fraction: String = fraction.chars().take(15).collect();
        if !fraction.is_empty() {
            let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
            total = total.checked_add(fraction.parse::<i128>().ok()? * unit / scale)?;
        }
        rest = &behind[end..];
    }
    let total = if negative { -total } else { total };
    i64::try_from(total).is_ok().then_some(total)
}

/// Go's `net.ParseIP`, after pflag's `TrimSpace`.
pub fn address(text: &str) -> Option<IpAddr> {
    text.trim().parse().ok()
}

/// `ParseIPSloppy` of k8s.io/utils/net: leading zeros are decimal.
#[must_use]
pub fn sloppy_address(text: &str) -> Option<IpAddr> {
    sloppy_v4(text).map(IpAddr::V4).or_else(|| sloppy_v6(text).map(IpAddr::V6))
}

/// The first record of Go's encoding/csv, which reads a flag with several values; none if the text has an error.
pub fn comma_separated(text: &str) -> Option<Vec<String>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (field, behind) = quoted_field(quoted)?;
            fields.push(field);
            match behind.strip_prefix(',') {
                Some(next) => rest = next,
                None if behind.is_empty() || behind.starts_with('\n') => return Some(fields),
                None => return None,
            }
            continue;
        }
        let line = rest.split('\n').next().unwrap_or(rest);
        let (field, next) = match line.split_once(',') {
            Some((field, _)) => (field, Some(&rest[field.len() + 1..])),
            None => (line, None),
        };
        if field.contains('"') {
            return None;
        }
        fields.push(field.to_owned());
        match next {
            Some(next) => rest = next,
            None => return Some(fields),
        }
    }
}

/// Reads up to the quote that ends a field; two quotes stand for one.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once('"')?;
        field.push_str(before);
        match behind.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, behind)),
        }
    }
}

/// A block of addresses as `ParseCIDRSloppy` of k8s.io/utils/net reads it: the address, and the length of its prefix in
/// bits. Leading zeros are decimal.
#[must_use]
pub fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let address = sloppy_address(address)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = if is_number { prefix.parse::<u8>().ok()? } else { return None };
    (prefix <= most).then_some((address, prefix))
}

/// An IPv4 address whose parts may have leading zeros.
fn sloppy_v4(text: &str) -> Option<Ipv4Addr> {
    let part = |part: &str| {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { part.parse::<u8>().ok() } else { None }
    };
    let parts: Option<Vec<u8>> = text.split('.').map(part).collect();
    <[u8; 4]>::try_from(parts?).ok().map(Ipv4Addr::from)
}

/// An IPv6 address whose parts may have leading zeros, and that may end in such an IPv4 address.
fn sloppy_v6(text: &str) -> Option<Ipv6Addr> {
    let part = |part: &str| match part.trim_start_matches('0') {
        "" if !part.is_empty() => Some("0".to_owned()),
        _ if part.contains('.') => sloppy_v4(part).map(|address| address.to_string()),
        plain => Some(plain.to_owned()),
    };
    let parts: Option<Vec<String>> = text.split(':').map(part).collect();
    parts?.join(":").parse().ok()
}

/// A range of ports as `PortRange.Set` of k8s.io/apimachinery/pkg/util/net reads it: the first port, and how many.
/// Written as `8000`, `8000-8010` or `8000+10`; nothing is an empty range.
#[must_use]
pub fn port_range(text: &str) -> Option<(i64, i64)> {
    const LAST: i64 = 65_535;
    // strconv.Atoi: decimal, with a sign.
    let number = |text: &str| text.parse::<i64>().ok();
    let text = text.trim();
    if text.is_empty() {
        return Some((0, 0));
    }
    let (low, high) = match (text.split_once('-'), text.split_once('+')) {
        (None, None) => (number(text)?, number(text)?),
        (Some((low, high)), None) => (number(low)?, number(high)?),
        (None, Some((low, offset))) => (number(low)?, number(low)?.checked_add(number(offset)?)?),
        (Some(_), Some(_)) => return None,
    };
    (low <= LAST && high <= LAST && low <= high).then(|| (low, 1 + high - low))
}

/// Pairs with commas between them, as `MapStringString` of k8s.io/component-base/cli/flag reads them; `separator` is
/// `=`, or `<` for thresholds.
#[must_use]
pub fn map(text: &str, separator: char) -> Option<BTreeMap<String, String>> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once(separator)?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    text.split(',').filter(|text| !text.is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_gos() {
        for (text, value) in [
            ("30", Some(30)),
            ("-1", Some(-1)),
            ("0x1e", Some(30)),
            ("1_0", Some(10)),
            ("0_7", Some(7)),
            ("010", Some(8)),
            ("08", None),
            ("1__0", None),
            ("_1", None),
            ("", None),
            ("30d", None),
            ("9223372036854775808", None),
        ] {
            assert_eq!(integer(text), value, "{text}");
        }
        for (text, value) in [
            ("5m0s", Some(300_000_000_000)),
            ("-1s", Some(-1_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            ("0", Some(0)),
            ("60", None),
            ("1d", None),
            ("300S", None),
            (".s", None),
            ("", None),
        ] {
            assert_eq!(duration(text), value, "{text}");
        }
        for (text, value) in [
            ("1.5", Some(1.5)),
            ("1_0.5e1", Some(105.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("0x1p-2", Some(0.25)),
            ("-0x1.8p1", Some(-3.0)),
            ("Inf", Some(f64::INFINITY)),
            ("-infinity", Some(f64::NEG_INFINITY)),
            ("0x1", None),
            ("1__0", None),
            ("_1", None),
            ("+nan", None),
            (".", None),
            ("1e", None),
            ("", None),
        ] {
            assert_eq!(number(text), value, "{text}");
        }
        assert_eq!(comma_separated("a,b,"), Some(vec!["a".into(), "b".into(), String::new()]));
        assert_eq!(comma_separated("\"a,b\",c"), Some(vec!["a,b".into(), "c".into()]));
        assert_eq!(comma_separated("a\"b"), None);
        assert_eq!(comma_separated("\"a"), None);
    }

    #[test]
    fn values_are_kubernetes() {
        let v4 = |text: &str| text.parse::<IpAddr>().unwrap();
        for (text, value) in [
            ("10.42.0.0/16", Some((v4("10.42.0.0"), 16))),
            ("010.42.0.0/16", Some((v4("10.42.0.0"), 16))),
            ("fd00::/48", Some((v4("fd00::"), 48))),
            ("::0ffff:10.0.0.01/128", Some((v4("::ffff:10.0.0.1"), 128))),
            ("10.42.0.0/33", None),
            ("10.42.0.0", None),
            ("10.42.0/16", None),
            (" 10.42.0.0/16", None),
            ("10.42.0.0/", None),
        ] {
            assert_eq!(cidr(text), value, "{text}");
        }
        for (text, value) in [
            ("30000-32767", Some((30000, 2768))),
            ("80", Some((80, 1))),
            ("8000+10", Some((8000, 11))),
            (" ", Some((0, 0))),
            ("2-1", None),
            ("65536", None),
            ("1-2+3", None),
            ("a-b", None),
        ] {
            assert_eq!(port_range(text), value, "{text}");
        }
        let pairs = map("cpu=1, memory = 1Gi ,,x=", '=').unwrap();
        assert_eq!(
            pairs.iter().map(|(k, v)| format!("{k}:{v}")).collect::<Vec<_>>(),
            ["cpu:1", "memory:1Gi", "x:"]
        );
        assert_eq!(map("cpu=1,memory", '='), None);
        assert_eq!(map("a<1", '<').unwrap()["a"], "1");
        assert_eq!(map("a=1", '<'), None);
    }
}
