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

/// Returns `digits * 10^power * factor`, rounded up.
fn scaled(digits: &str, power: i32, factor: i128) -> i128 {
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return 0;
    }
    let whole = i32::try_from(digits.len()).unwrap_or(i32::MAX).saturating_add(power);
    // More digits than can be counted, or none that counts.
    if whole > 37 {
        return i128::MAX;
    }
    if whole < -37 {
        return 1;
    }
    if power >= 0 {
        let value = digits
            .parse::<i128>()
            .ok()
            .and_then(|value| value.checked_mul(10_i128.pow(power.unsigned_abs())));
        return value.and_then(|value| value.checked_mul(factor)).unwrap_or(i128::MAX);
    }
    let Some((value, divisor)) = digits
        .parse::<i128>()
        .ok()
        .and_then(|value| value.checked_mul(factor))
        .zip(10_i128.checked_pow(power.unsigned_abs()))
    else {
        // The digits that are too many are those behind the last that counts.
        let kept = digits.len().min(37 - 19);
        let lost = i32::try_from(digits.len() - kept).unwrap_or(i32::MAX);
        return scaled(&digits[..kept], power.saturating_add(lost), factor).saturating_add(1);
    };
    value / divisor + i128::from(value % divisor != 0)
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
