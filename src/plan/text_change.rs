//! What a change of a text looks like: a unified diff, or for a long one its beginning.

use similar::TextDiff;

/// Texts with no more lines together are compared line by line. The time for that grows with the square of the lines.
const MAX_COMPARED_LINES: usize = 4_000;
/// Texts with no more bytes together are compared line by line.
const MAX_COMPARED_BYTES: usize = 1024 * 1024;
/// Of longer texts, so many lines of each side are shown.
const MAX_SHOWN_LINES: usize = 200;
/// Of longer texts, lines of so many bytes together are shown of each side.
const MAX_SHOWN_BYTES: usize = 64 * 1024;

/// The change of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextChange<'a> {
    names: [&'a str; 2],
    texts: [&'a [u8]; 2],
}

/// The lines of a long text that differ from those of another one.
struct Differing<'a> {
    /// The number of the first one, from 1.
    first: usize,
    lines: Vec<&'a [u8]>,
    /// How many of them are shown.
    shown: usize,
}

impl<'a> TextChange<'a> {
    /// Takes the texts, each with the name that the diff gives it.
    pub(super) fn new(before: (&'a str, &'a [u8]), after: (&'a str, &'a [u8])) -> Self {
        Self { names: [before.0, after.0], texts: [before.1, after.1] }
    }

    /// Returns it as a unified diff. That of a long text ends with how many lines it leaves out.
    pub(super) fn diff(&self) -> String {
        if !self.is_long() {
            let [before, after] = self.texts.map(String::from_utf8_lossy);
            let diff = TextDiff::from_lines(before.as_ref(), after.as_ref());
            return diff.unified_diff().header(self.names[0], self.names[1]).to_string();
        }
        let sides = self.differing();
        let [before, after] = &sides;
        let mut text = format!(
            "--- {}\n+++ {}\n@@ -{},{} +{},{} @@\n",
            self.names[0],
            self.names[1],
            before.first,
            before.lines.len(),
            after.first,
            after.lines.len()
        );
        for (sign, side) in ['-', '+'].into_iter().zip(&sides) {
            for line in &side.lines[..side.shown] {
                text.push(sign);
                text.push_str(&String::from_utf8_lossy(line));
                text.push('\n');
            }
        }
        match self.left_out() {
            0 => text,
            count => text + &format!("({count} more lines differ, and are not shown)\n"),
        }
    }

    /// Returns how many lines that differ the diff leaves out.
    pub(super) fn left_out(&self) -> usize {
        if !self.is_long() {
            return 0;
        }
        self.differing().iter().map(|side| side.lines.len() - side.shown).sum()
    }

    fn is_long(&self) -> bool {
        let lines = |text: &&[u8]| text.iter().filter(|byte| **byte == b'\n').count();
        let bytes: usize = self.texts.iter().map(|text| text.len()).sum();
        bytes > MAX_COMPARED_BYTES || self.texts.iter().map(lines).sum::<usize>() > MAX_COMPARED_LINES
    }

    /// Returns what is left of both texts without the lines that they have in common at the beginning and at the end.
    fn differing(&self) -> [Differing<'a>; 2] {
        let [before, after] = self.texts.map(lines_of);
        let pairs = before.iter().zip(&after);
        let first = pairs.take_while(|(one, other)| one == other).count();
        let pairs = before[first..].iter().rev().zip(after[first..].iter().rev());
        let last = pairs.take_while(|(one, other)| one == other).count();
        [before, after].map(|lines| {
            let lines = lines[first..lines.len() - last].to_vec();
            let mut bytes = 0;
            let fits = |line: &&&[u8]| {
                bytes += line.len();
                bytes <= MAX_SHOWN_BYTES
            };
            let shown = lines.iter().take(MAX_SHOWN_LINES).take_while(fits).count();
            Differing { first: first + 1, lines, shown }
        })
    }
}

fn lines_of(text: &[u8]) -> Vec<&[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.is_empty() { Vec::new() } else { text.split(|byte| *byte == b'\n').collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change<'a>(before: &'a str, after: &'a str) -> TextChange<'a> {
        TextChange::new(("/a", before.as_bytes()), ("/b", after.as_bytes()))
    }

    #[test]
    fn a_short_text_is_shown_in_full() {
        let (before, after) = ("x\n".repeat(300), "y\n".repeat(300));
        let change = change(&before, &after);
        assert_eq!((change.left_out(), change.diff().lines().count()), (0, 603));
    }

    #[test]
    fn a_long_one_is_cut_and_says_how_many_lines_are_left_out() {
        let before: String = (0..200_000).map(|number| format!("line {number}\n")).collect();
        let started = std::time::Instant::now();
        let cut = change(&before, "mine\n");
        let diff = cut.diff();
        assert_eq!(cut.left_out(), 200_000 - MAX_SHOWN_LINES);
        assert_eq!(diff.lines().last(), Some("(199800 more lines differ, and are not shown)"));
        assert_eq!(diff.lines().filter(|line| line.starts_with("-line")).count(), MAX_SHOWN_LINES);
        assert!(diff.contains("\n+mine\n"));
        // Comparing these line by line takes seconds, and tens of them in a debug build.
        assert!(started.elapsed().as_secs() < 5);
    }

    #[test]
    fn of_a_long_one_only_what_differs_counts() {
        let lines: Vec<String> = (0..10_000).map(|number| format!("line {number}\n")).collect();
        let mut other = lines.clone();
        other[5000] = "mine\n".to_owned();
        let (before, after) = (lines.concat(), other.concat());
        let change = change(&before, &after);
        assert_eq!(change.diff(), "--- /a\n+++ /b\n@@ -5001,1 +5001,1 @@\n-line 5000\n+mine\n");
        assert_eq!(change.left_out(), 0);
    }

    #[test]
    fn a_line_without_end_is_left_out() {
        let before = "x".repeat(2 * MAX_COMPARED_BYTES);
        let change = change(&before, "mine\n");
        assert_eq!(
            change.diff(),
            "--- /a\n+++ /b\n@@ -1,1 +1,1 @@\n+mine\n(1 more lines differ, and are not shown)\n"
        );
    }
}
