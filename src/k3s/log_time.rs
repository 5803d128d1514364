// SPDX-License-Identifier: Apache-2.0
//! Times as K3s and k3s-harden write them (RFC 3339), as seconds.

use std::time::UNIX_EPOCH;

/// Returns a time such as `2026-11-25T09:00:00Z` or `2026-11-25T10:00:00+01:00` as seconds since 1970, without its fraction;
/// none for another text.
#[must_use]
pub fn seconds(text: &str) -> Option<i64> {
    let (time, rest) = text.trim().split_at_checked("2026-11-25T09:00:00".len())?;
    let zone = rest.trim_start_matches(|letter: char| letter == '.' || letter.is_ascii_digit());
    let offset = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign @ ("+" | "-"), offset) => {
            let (hours, minutes) = offset.split_once(':')?;
            let offset = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            if sign == "-" { -offset } else { offset }
        }
        _ => return None,
    };
    // The library reads no other zone.
    let at = humantime::parse_rfc3339(&format!("{time}Z")).ok()?;
    let since = at.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(i64::try_from(since).ok()? - offset)
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
