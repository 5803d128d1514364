// SPDX-License-Identifier: Apache-2.0
//! The lines of a log that have a text. A log may be long: it is searched as a whole, and only the lines that have the text are
//! looked at.

use memchr::{memchr, memchr_iter, memmem, memrchr};

/// Returns the lines of a log that contain `mark`, each with its index, first to last.
pub(super) fn lines_with<'a>(log: &'a str, mark: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let finder = memmem::Finder::new(mark);
    let bytes = log.as_bytes();
    let (mut from, mut begin, mut index) = (0, 0, 0);
    std::iter::from_fn(move || {
        let hit = from + finder.find(bytes.get(from..)?)?;
        let start = memrchr(b'\n', &bytes[..hit]).map_or(0, |at| at + 1);
        let end = memchr(b'\n', &bytes[hit..]).map_or(bytes.len(), |at| hit + at);
        index += memchr_iter(b'\n', &bytes[begin..start]).count();
        (begin, from) = (start, end);
        let line = &log[start..end];
        // As `str::lines`: a carriage return counts as an end only before a line feed.
        let is_ended = end < bytes.len();
        Some((index, line.strip_suffix('\r').filter(|_| is_ended).unwrap_or(line)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_those_that_all_lines_have() {
        for log in ["", "a", "x\n", "xx x\r\nä x ö\n\nb\nx", "a\nb\n", "\n\nx\r", "x\nx\nx\n"] {
            let slow: Vec<(usize, &str)> =
                log.lines().enumerate().filter(|(_, line)| line.contains('x')).collect();
            assert_eq!(lines_with(log, "x").collect::<Vec<_>>(), slow, "{log:?}");
        }
    }
}
