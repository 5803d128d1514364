// SPDX-License-Identifier: Apache-2.0
//! The difference between two texts of a file. Secrets are masked: diffs land in the logs of other programs.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use crate::error::one_line;
use crate::k3s::masked;
use crate::node::RootedPath;

/// Texts with no more lines together are compared line by line. The time for that grows with the square of the lines.
const MAX_COMPARED_LINES: usize = 4_000;
/// Texts with no more bytes together are compared line by line.
const MAX_COMPARED_BYTES: usize = 1024 * 1024;
/// Of longer texts, so many lines of each side are shown.
const MAX_SHOWN_LINES: usize = 200;
/// Of longer texts, lines of so many bytes together are shown of each side.
const MAX_SHOWN_BYTES: usize = 64 * 1024;

/// Returns a unified diff. A line whose secret has changed has changed, and shows asterisks on both sides. The diff of a long
/// text ends with how many lines it leaves out.
pub(super) fn unified(path: &RootedPath, before: Option<&[u8]>, after: Option<&[u8]>) -> String {
    if is_long([before, after]) {
        return cut(path, [before, after]);
    }
    let text = |bytes: Option<&[u8]>| bytes.map(String::from_utf8_lossy).unwrap_or_default().into_owned();
    let (old, new) = (text(before), text(after));
    let (old_shown, new_shown) = (masked(&old), masked(&new));
    let (old_lines, new_lines) = (lines(&old), lines(&new));
    let (old_shown, new_shown) = (lines(&old_shown), lines(&new_shown));
    let diff = TextDiff::configure().newline_terminated(true).diff_slices(&old_lines, &new_lines);
    let mut shown = String::new();
    for hunk in diff.unified_diff().iter_hunks() {
        if shown.is_empty() {
            let _infallible = writeln!(shown, "--- {}\n+++ {}", name(path, before), name(path, after));
        }
        let _infallible = writeln!(shown, "{}", hunk.header());
        for change in hunk.iter_changes() {
            let (sign, lines, index) = match change.tag() {
                ChangeTag::Equal => (' ', &old_shown, change.old_index()),
                ChangeTag::Delete => ('-', &old_shown, change.old_index()),
                ChangeTag::Insert => ('+', &new_shown, change.new_index()),
            };
            let line = index.and_then(|index| lines.get(index)).copied().unwrap_or_default();
            shown.push(sign);
            shown.push_str(line);
            if !line.ends_with('\n') {
                shown.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
    shown
}

/// Returns how many lines that differ the diff leaves out.
pub(super) fn left_out(before: Option<&[u8]>, after: Option<&[u8]>) -> usize {
    if !is_long([before, after]) {
        return 0;
    }
    differing([before, after]).iter().map(|side| side.lines - side.shown).sum()
}

/// The lines of a long text that differ from those of another one.
struct Differing {
    /// The number of the first one, from 0.
    first: usize,
    /// How many they are.
    lines: usize,
    /// How many of them are shown.
    shown: usize,
}

/// Returns what differs as one hunk, without comparing the lines in it, and of each side the beginning.
fn cut(path: &RootedPath, texts: [Option<&[u8]>; 2]) -> String {
    let sides = differing(texts);
    let numbers = sides.iter().map(|side| format!("{},{}", side.first + 1, side.lines));
    let ranges: Vec<String> =
        ['-', '+'].iter().zip(numbers).map(|(sign, range)| format!("{sign}{range}")).collect();
    let [before, after] = texts.map(|text| name(path, text));
    let mut shown = format!("--- {before}\n+++ {after}\n@@ {} @@\n", ranges.join(" "));
    for (sign, (side, text)) in ['-', '+'].into_iter().zip(sides.iter().zip(texts)) {
        let text = text.map(String::from_utf8_lossy).unwrap_or_default();
        let text = masked(needed(&text, side));
        for line in text.split('\n').skip(side.first).take(side.shown) {
            shown.push(sign);
            shown.push_str(line);
            shown.push('\n');
        }
    }
    match left_out(texts[0], texts[1]) {
        0 => shown,
        count => shown + &format!("({count} more lines differ, and are not shown)\n"),
    }
}

/// Returns what of a text is looked through for secrets, to show its first lines that differ: finding secrets takes long in a
/// long text. What stands at an anchor is a secret if its name is used for one, which may be at the end.
fn needed<'a>(text: &'a str, side: &Differing) -> &'a str {
    let lines = side.first + side.shown + MAX_SHOWN_LINES;
    let end: usize = text.split_inclusive('\n').take(lines).map(str::len).sum();
    if text[..end].contains('&') { text } else { &text[..end] }
}

fn is_long(texts: [Option<&[u8]>; 2]) -> bool {
    let texts = texts.map(Option::unwrap_or_default);
    let lines = |text: &&[u8]| text.iter().filter(|byte| **byte == b'\n').count();
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    bytes > MAX_COMPARED_BYTES || texts.iter().map(lines).sum::<usize>() > MAX_COMPARED_LINES
}

/// Returns what is left of both texts without the lines that they have in common at the beginning and at the end.
fn differing(texts: [Option<&[u8]>; 2]) -> [Differing; 2] {
    let [before, after] = texts.map(|text| raw_lines(text.unwrap_or_default()));
    let first = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
    let backwards = before[first..].iter().rev().zip(after[first..].iter().rev());
    let last = backwards.take_while(|(one, other)| one == other).count();
    [before, after].map(|lines| {
        let lines = &lines[first..lines.len() - last];
        let mut bytes = 0;
        let fits = |line: &&&[u8]| {
            bytes += line.len();
            bytes <= MAX_SHOWN_BYTES
        };
        let shown = lines.iter().take(MAX_SHOWN_LINES).take_while(fits).count();
        Differing { first, lines: lines.len(), shown }
    })
}

fn raw_lines(text: &[u8]) -> Vec<&[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.is_empty() { Vec::new() } else { text.split(|byte| *byte == b'\n').collect() }
}

fn name(path: &RootedPath, text: Option<&[u8]>) -> String {
    if text.is_some() { one_line(&path.to_string()).into_owned() } else { "/dev/null".to_owned() }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(before: &str, after: &str) -> String {
        unified(&RootedPath::fixed("/etc/x"), Some(before.as_bytes()), Some(after.as_bytes()))
    }

    #[test]
    fn a_changed_secret_is_a_changed_line() {
        assert_eq!(
            diff("a: 1\ntoken: one\n", "a: 1\ntoken: two\n"),
            "--- /etc/x\n+++ /etc/x\n@@ -1,2 +1,2 @@\n a: 1\n-token: ********\n+token: ********\n"
        );
        assert_eq!(diff("token: one\n", "token: one\n"), "");
        // A line that only looks the same does not come out as the same.
        assert!(
            diff("token: one\nb: 1\n", "token: one\nb: 2\n").contains(" token: ********\n-b: 1\n+b: 2\n")
        );
    }

    #[test]
    fn lines_are_as_other_diffs_have_them() {
        for (before, after) in
            [("a\nb\n", "a\nc\n"), ("a", "a\n"), ("a\n", "a"), ("", "x\ny"), ("a\n\nb\n", ""), ("ä\n", "a\n")]
        {
            let expected =
                TextDiff::from_lines(before, after).unified_diff().header("/etc/x", "/etc/x").to_string();
            assert_eq!(diff(before, after), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_path_stays_in_its_line() {
        let path = RootedPath::fixed("/srv").join("\n+++ x\n");
        let shown = unified(&path, None, Some(b"a\n"));
        assert_eq!(shown, "--- /dev/null\n+++ /srv/\\n+++ x\\n\n@@ -0,0 +1 @@\n+a\n");
        let long = "a\n".repeat(MAX_COMPARED_LINES + 1);
        assert!(unified(&path, None, Some(long.as_bytes())).contains("\n+++ /srv/\\n+++ x\\n\n@@ "));
    }

    fn hidden(before: &str, after: &str) -> usize {
        left_out(Some(before.as_bytes()), Some(after.as_bytes()))
    }

    #[test]
    fn a_short_text_is_shown_in_full() {
        let (before, after) = ("x\n".repeat(300), "y\n".repeat(300));
        assert_eq!((hidden(&before, &after), diff(&before, &after).lines().count()), (0, 603));
    }

    #[test]
    fn a_long_one_is_cut_and_says_how_many_lines_are_left_out() {
        let before: String = (0..200_000).map(|number| format!("line {number}\n")).collect();
        let started = std::time::Instant::now();
        let shown = diff(&before, "mine\n");
        assert_eq!(hidden(&before, "mine\n"), 200_000 - MAX_SHOWN_LINES);
        assert_eq!(shown.lines().last(), Some("(199800 more lines differ, and are not shown)"));
        assert_eq!(shown.lines().filter(|line| line.starts_with("-line")).count(), MAX_SHOWN_LINES);
        assert!(shown.contains("\n+mine\n"));
        // Comparing these line by line takes seconds, and tens of them in a debug build.
        assert!(started.elapsed().as_secs() < 5);
    }

    #[test]
    fn of_a_long_one_only_what_differs_counts() {
        let lines: Vec<String> = (0..10_000).map(|number| format!("line {number}\n")).collect();
        let mut other = lines.clone();
        other[5000] = "token: mine\n".to_owned();
        let (before, after) = (lines.concat(), other.concat());
        let expected = "--- /etc/x\n+++ /etc/x\n@@ -5001,1 +5001,1 @@\n-line 5000\n+token: ********\n";
        assert_eq!(diff(&before, &after), expected);
        assert_eq!(hidden(&before, &after), 0);
    }

    #[test]
    fn a_secret_is_masked_where_only_the_end_tells_it() {
        let rest = "x: 1\n".repeat(5_000);
        for secret in [format!("a: &x hush\n{rest}token: *x\n"), format!("token: >\n  hush\n{rest}")] {
            let shown = diff(&secret, "mine\n");
            assert!(shown.contains("********") && !shown.contains("hush"), "{shown}");
        }
    }

    #[test]
    fn a_line_without_end_is_left_out() {
        let before = "x".repeat(2 * MAX_COMPARED_BYTES);
        let shown =
            "--- /etc/x\n+++ /etc/x\n@@ -1,1 +1,1 @@\n+mine\n(1 more lines differ, and are not shown)\n";
        assert_eq!(diff(&before, "mine\n"), shown);
    }
}
