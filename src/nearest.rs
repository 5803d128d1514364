// SPDX-License-Identifier: Apache-2.0
//! Finds the known name that a misspelt one was meant to be.

/// Returns the known name that `name` may have been meant for.
pub(crate) fn nearest<'a, S: AsRef<str>>(name: &str, known: &'a [S]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (distance(name, candidate.as_ref()), candidate.as_ref()))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .map(|(_, candidate)| candidate)
}

/// Returns the `count` known names that are the most like `name`, the closest first.
pub(crate) fn closest<'a, S: AsRef<str>>(name: &str, known: &'a [S], count: usize) -> Vec<&'a str> {
    let mut names: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    names.sort_by_cached_key(|candidate| distance(name, candidate));
    names.truncate(count);
    names
}

/// Levenshtein's distance, for names of a few dozen characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("audit_log_max_age", "audit_log_maxage"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
