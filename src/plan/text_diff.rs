//! The difference between two texts of a file. Secrets are masked: diffs land in the logs of other programs.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use crate::k3s::masked;
use crate::node::RootedPath;

/// Returns a unified diff. A line whose secret has changed has changed, and shows asterisks on both sides.
pub(super) fn unified(path: &RootedPath, before: Option<&[u8]>, after: Option<&[u8]>) -> String {
    let text = |bytes: Option<&[u8]>| bytes.map(String::from_utf8_lossy).unwrap_or_default().into_owned();
    let (old, new) = (text(before), text(after));
    let (old_shown, new_shown) = (masked(&old), masked(&new));
    let (old_lines, new_lines) = (lines(&old), lines(&new));
    let (old_shown, new_shown) = (lines(&old_shown), lines(&new_shown));
    let diff = TextDiff::configure().newline_terminated(true).diff_slices(&old_lines, &new_lines);
    let name = |there: bool| if there { path.to_string() } else { "/dev/null".to_owned() };
    let mut shown = String::new();
    for hunk in diff.unified_diff().iter_hunks() {
        if shown.is_empty() {
            let _infallible =
                writeln!(shown, "--- {}\n+++ {}", name(before.is_some()), name(after.is_some()));
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
}
