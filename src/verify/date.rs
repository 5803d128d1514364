// SPDX-License-Identifier: Apache-2.0
//! A date, for the last day of a waiver. Verify needs no other part of a date library.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};

/// A date of the Gregorian calendar, without a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    // The derived order compares the fields in this order.
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Returns the date if it exists; the year is 1 to 9999.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let fits = (1..=9999).contains(&year) && (1..=days_in(year, month)).contains(&day);
        fits.then_some(Self { year, month, day })
    }

    /// Returns the date of a UTC time such as `2027-01-31T10:00:00Z`.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] for any other text.
    pub fn from_time(time: &str) -> Result<Self> {
        time.split_once('T').map_or(time, |(day, _)| day).parse()
    }
}

/// Returns the number of days in a month; 0 for an invalid month.
fn days_in(year: u16, month: u8) -> u8 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Date {
    type Err = Error;

    /// Reads `2027-01-31`. It refuses shorter forms such as `2027-1-2`, which people read in two ways.
    fn from_str(text: &str) -> Result<Self> {
        let digits = |part: &str, count: usize| {
            (part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit())).then_some(())
        };
        let read = || {
            let (year, rest) = text.split_once('-')?;
            let (month, day) = rest.split_once('-')?;
            digits(year, 4).and(digits(month, 2)).and(digits(day, 2))?;
            Self::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
        };
        read().ok_or_else(|| {
            Error::new(ErrorKind::BadInput, format!("{text:?} is not a day"))
                .hint("write year, month and day: 2027-01-31")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written() {
        for text in ["2027-01-31", "0001-01-01", "9999-12-31", "2028-02-29", "2000-02-29", "2027-04-30"] {
            assert_eq!(text.parse::<Date>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn invalid_dates_are_refused() {
        for text in [
            "",
            "2027-02-29",
            "1900-02-29",
            "2027-04-31",
            "2027-00-10",
            "2027-13-01",
            "2027-01-00",
            "2027-01-32",
            "0000-01-01",
            "2027-1-31",
            "27-01-31",
            "2027-01-31T00:00:00Z",
            " 2027-01-31",
            "2027-+1-31",
            "2027/01/31",
            "31.01.2027",
            "never",
        ] {
            let error = text.parse::<Date>().unwrap_err();
            assert_eq!(error.to_string(), format!("{text:?} is not a day"));
            assert_eq!(error.hints(), ["write year, month and day: 2027-01-31"]);
        }
    }

    #[test]
    fn dates_are_ordered() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let days: Vec<Date> =
            ["2026-12-31", "2027-01-01", "2027-01-31", "2027-02-01", "2027-10-09", "2028-01-01"]
                .map(day)
                .into();
        assert!(days.is_sorted_by(|earlier, later| earlier < later));
    }
}
