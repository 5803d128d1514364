// SPDX-License-Identifier: Apache-2.0
//! A typed value, as Go has it after it has parsed a flag or decoded a field.

use std::cmp::Ordering;

use crate::kubernetes::flag_values;

/// A value of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum TypedValue {
    /// `bool`.
    Bool(bool),
    /// A whole number of any width.
    Whole(i128),
    /// A number.
    Number(f64),
    /// A duration, in nanoseconds.
    Duration(i128),
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
    /// Names with values, in their order; a name may repeat.
    Map(Vec<(String, String)>),
}

impl TypedValue {
    /// Returns the value as it is written.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Bool(is_on) => is_on.to_string(),
            Self::Whole(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Duration(nanoseconds) => go_duration(*nanoseconds),
            Self::Text(text) => text.clone(),
            Self::List(items) => items.join(","),
            Self::Map(pairs) => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
                pairs.join(",")
            }
        }
    }

    /// Tells whether it is Go's zero value: false, 0, nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Bool(is_on) => !is_on,
            Self::Whole(number) | Self::Duration(number) => *number == 0,
            Self::Number(number) => *number == 0.0,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Map(pairs) => pairs.is_empty(),
        }
    }

    /// Compares two amounts: numbers, or durations; none for anything else, and for what is not a number.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(one) | Self::Duration(one), Self::Whole(other) | Self::Duration(other)) => {
                Some(one.cmp(other))
            }
            _ => self.float()?.partial_cmp(&other.float()?),
        }
    }

    /// Returns an amount as Go's float64.
    #[expect(clippy::cast_precision_loss, reason = "Go compares a float with a float")]
    fn float(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Whole(number) | Self::Duration(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// Returns an amount times a factor; a whole one without what is behind the point, as Go converts it.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "Go converts it so, too")]
    pub fn times(&self, factor: f64) -> Option<Self> {
        let product = self.float()? * factor;
        Some(match self {
            Self::Whole(_) => Self::Whole(product as i128),
            Self::Duration(_) => Self::Duration(product as i128),
            _ => Self::Number(product),
        })
    }

    /// Returns an amount less a number.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the tables take whole numbers away from whole numbers"
    )]
    pub fn less(&self, number: f64) -> Option<Self> {
        match self {
            Self::Whole(amount) => Some(Self::Whole(amount - number as i128)),
            _ => Some(Self::Number(self.float()? - number)),
        }
    }

    /// Reads an amount that a row of a table has: a number, or a duration.
    #[must_use]
    pub fn amount(text: &str) -> Option<Self> {
        let whole = flag_values::integer(text).map(Self::Whole);
        let number = || flag_values::number(text).map(Self::Number);
        whole.or_else(number).or_else(|| flag_values::duration(text).map(Self::Duration))
    }
}

/// Writes a duration as Go does (`time.Duration.String`).
fn go_duration(nanoseconds: i128) -> String {
    const SECOND: i128 = 1_000_000_000;
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let length = nanoseconds.abs();
    if length == 0 {
        return "0s".to_owned();
    }
    if length < SECOND {
        let (unit, name) = match length {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", fraction(length, unit));
    }
    let (minutes, rest) = (length / (60 * SECOND), length % (60 * SECOND));
    let seconds = fraction(rest, SECOND);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// Writes an amount in a unit, without zeros at its end.
fn fraction(amount: i128, unit: i128) -> String {
    let digits = unit.ilog10() as usize;
    let behind = format!("{:0digits$}", amount % unit);
    match behind.trim_end_matches('0') {
        "" => (amount / unit).to_string(),
        behind => format!("{}.{behind}", amount / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_does() {
        for text in ["0s", "1ns", "1.5µs", "20ms", "3s", "1.5s", "2m0s", "4h0m0s", "1h1m1.001s", "-5m0s"] {
            assert_eq!(go_duration(flag_values::duration(text).unwrap()), text);
        }
    }

    #[test]
    fn amounts_compare_whatever_their_type() {
        let less = |one: &str, other: &str| {
            let (one, other) = (TypedValue::amount(one).unwrap(), TypedValue::amount(other).unwrap());
            one.compare(&other) == Some(Ordering::Less)
        };
        assert!(less("1", "2") && less("0.01", "1") && less("1s", "1m") && !less("NaN", "1"));
        assert_eq!(TypedValue::Text("a".to_owned()).compare(&TypedValue::Whole(1)), None);
    }
}
