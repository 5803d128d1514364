// SPDX-License-Identifier: Apache-2.0
//! Amounts of a resource, such as `100Mi` or `250m`.
//!
//! Source: pkg/api/resource/quantity.go of k8s.io/apimachinery (`ParseQuantity`).

/// Suffixes with the power of ten, or of two, by which they multiply.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
/// The number of digits behind the point that a quantity keeps.
const NANO_DIGITS: i32 = 9;
/// The largest amount with a binary suffix, in billionths.
const MOST_BINARY: i128 = i64::MAX as i128 * 1_000_000_000;

/// Reads a quantity, in billionths. An amount between two billionths is rounded away from zero; an amount that is
/// too large is the largest that can be counted.
#[must_use]
pub fn parse(text: &str) -> Option<i128> {
    if text.is_empty() {
        return None;
    }
    let (negative, rest) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, rest) = digits(rest);
    let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), digits);
    let amount = format!("{whole}{fraction}");
    let behind_point = i32::try_from(fraction.len()).ok()?;
    let value = if let Some((_, power)) = BINARY.iter().find(|(known, _)| *known == suffix) {
        // A suffix alone is 0; but beyond int64 Kubernetes reads numbers in another way, which needs a digit.
        if amount.is_empty() && *power > 40 {
            return None;
        }
        scaled(&amount, NANO_DIGITS - behind_point, 1 << power).min(MOST_BINARY)
    } else {
        let power = exponent(suffix)?;
        if amount.is_empty() && power < -NANO_DIGITS {
            return None;
        }
        scaled(&amount, power.saturating_add(NANO_DIGITS - behind_point), 1)
    };
    Some(if negative { -value } else { value })
}

/// Reads a quantity that stands for a whole number of 64 bits (`AsInt64`): one without a fraction behind its suffix, even if
/// that is zero.
#[must_use]
pub fn integer(text: &str) -> Option<i64> {
    let amount = parse(text)?;
    let (_, rest) = digits(text.strip_prefix(['+', '-']).unwrap_or(text));
    let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), digits);
    let is_whole = match exponent(suffix) {
        Some(power) => i32::try_from(fraction.len()).is_ok_and(|length| length <= power),
        None => fraction.is_empty(),
    };
    let is_small = is_whole && amount.abs() < MOST_BINARY;
    is_small.then(|| i64::try_from(amount / 1_000_000_000).ok()).flatten()
}

/// Splits off the decimal digits at the beginning.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Returns the power of ten of a decimal suffix, or of an exponent such as `e3` or `E-2`.
fn exponent(suffix: &str) -> Option<i32> {
    if let Some((_, power)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Some(*power);
    }
    let power = suffix.strip_prefix(['e', 'E'])?;
    let unsigned = power.strip_prefix(['+', '-']).unwrap_or(power);
    let is_number = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && power.parse::<i64>().is_ok()).then(|| power.parse().unwrap_or(i32::MAX))
}

/// Returns `digits * factor * 10^power`, rounded up; the largest number if it is larger.
fn scaled(digits: &str, power: i32, factor: u128) -> i128 {
    let product = product(digits, factor);
    if product.is_empty() {
        return 0;
    }
    let shift = usize::try_from(power.unsigned_abs()).unwrap_or(usize::MAX);
    if power >= 0 {
        // An i128 has 39 digits.
        let zeros = "0".repeat(shift.min(39));
        return format!("{product}{zeros}").parse().unwrap_or(i128::MAX);
    }
    let (whole, fraction) = product.split_at(product.len().saturating_sub(shift));
    let whole = if whole.is_empty() { Ok(0) } else { whole.parse::<i128>() };
    let has_rest = fraction.bytes().any(|digit| digit != b'0');
    whole.map_or(i128::MAX, |whole| whole.saturating_add(i128::from(has_rest)))
}

/// Multiplies decimal digits of any length; the result has no leading zeros, and no digits if it is 0.
fn product(digits: &str, factor: u128) -> String {
    let mut reversed = Vec::new();
    let mut carry = 0;
    let mut push = |sum: u128| {
        reversed.push(char::from(b"0123456789"[usize::try_from(sum % 10).unwrap_or_default()]));
        sum / 10
    };
    for digit in digits.bytes().rev() {
        carry = push(carry + u128::from(digit - b'0') * factor);
    }
    while carry > 0 {
        carry = push(carry);
    }
    let product: String = reversed.into_iter().rev().collect();
    product.trim_start_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn quantities_are_kubernetes() {
        const ONE: i128 = 1_000_000_000;
        for (text, value) in [
            ("0", Some(0)),
            ("1", Some(ONE)),
            ("-1", Some(-ONE)),
            ("+0.5", Some(ONE / 2)),
            ("1.", Some(ONE)),
            ("250m", Some(ONE / 4)),
            ("1n", Some(1)),
            ("0.1n", Some(1)),
            ("12345678901234567890.1234567891", Some(12_345_678_901_234_567_890_123_456_790)),
            ("1.00000000000000000000000000000000000001", Some(ONE + 1)),
            ("1e-99", Some(1)),
            ("1e99", Some(i128::MAX)),
            ("100Mi", Some(100 * 1024 * 1024 * ONE)),
            ("1.5Ki", Some(1536 * ONE)),
            ("2k", Some(2000 * ONE)),
            ("1e3", Some(1000 * ONE)),
            ("1E-3", Some(ONE / 1000)),
            ("1E", Some(1_000_000_000_000_000_000 * ONE)),
            ("", None),
            ("5%", None),
            ("1K", None),
            ("1mi", None),
            ("1e", None),
            ("1 Gi", None),
            ("abc", None),
            ("1e3k", None),
            ("k", Some(0)),
            ("Ti", Some(0)),
            ("Pi", None),
            ("e-9", Some(0)),
            ("e-10", None),
        ] {
            assert_eq!(parse(text), value, "{text}");
        }
    }
}
