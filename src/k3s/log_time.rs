// SPDX-License-Identifier: Apache-2.0
//! Times as K3s and k3s-harden write them (RFC 3339), as seconds.

/// Returns a time such as `2026-11-25T09:00:00Z` or `2026-11-25T10:00:00+01:00` as seconds since 1970, without its fraction;
/// none for another text.
#[must_use]
pub fn seconds(text: &str) -> Option<i64> {
    let (date, rest) = text.trim().split_once('T')?;
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let clock = rest.get(..8)?;
    let zone = rest.get(8..)?.trim_start_matches(|letter: char| letter == '.' || letter.is_ascii_digit());
    let mut parts = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, rest) = (parts.next()??, parts.next()??, parts.next()??);
    let offset = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign @ ("+" | "-"), offset) => {
            let (hours, minutes) = offset.split_once(':')?;
            let offset = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            if sign == "-" { -offset } else { offset }
        }
        _ => return None,
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The days since 1970-01-01, with years that begin in March.
    let year = year - i64::from(month <= 2);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let era = year.div_euclid(400);
    let in_era = year - era * 400;
    let days = era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hours * 3600 + minutes * 60 + rest - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_zones() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2026-11-25T09:00:00Z"), Some(1_795_597_200));
        assert_eq!(seconds("2026-11-25T10:00:00.25+01:00"), Some(1_795_597_200));
        assert_eq!(seconds("2026-11-25T04:30:00-04:30"), Some(1_795_597_200));
        assert_eq!(seconds("2024-02-29T23:59:59Z").map(|at| at + 1), seconds("2024-03-01T00:00:00Z"));
        for other in
            ["", "x", "2026-11-25", "2026-13-25T09:00:00Z", "2026-11-25T09:00:00", "2026-11-25T09:00Z"]
        {
            assert_eq!(seconds(other), None, "{other}");
        }
    }
}
