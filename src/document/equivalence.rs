// SPDX-License-Identifier: Apache-2.0
//! Tells whether two texts of a file differ only in comments and blank lines.
//!
//! The header names a version and a profile, and comments name controls of a benchmark. A file that differs in
//! nothing else is not written again, because K3s applies policy.yaml anew whenever its bytes change.
//!
//! Two texts are equivalent if both conditions hold: without comments and blank lines they have the same bytes, and a
//! YAML parser reads the same events from them. The first condition excludes what readers of YAML 1.1 and 1.2
//! understand differently; the second one distinguishes a comment from a `#` inside of a scalar. Anything else, and
//! any text that cannot be parsed, is a difference.

use std::ops::Range;

use granit_parser::{Event, Options, Parser};

use crate::node::RootedPath;

/// Tells whether two texts of the file at `path` differ in comments and blank lines at most.
#[must_use]
pub fn is_equivalent(path: &RootedPath, one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    let (Ok(one), Ok(other)) = (std::str::from_utf8(one), std::str::from_utf8(other)) else { return false };
    let bare = match path.name().rsplit_once('.') {
        Some((_, "yaml")) => bare_yaml,
        Some((_, "conf")) if path.as_str().starts_with("/etc/sysctl.d/") => bare_parameters,
        _ => return false,
    };
    is_plain(one)
        && is_plain(other)
        && matches!((bare(one), bare(other)), (Some(one), Some(other)) if one == other)
}

/// Tells whether all readers agree on where lines end and what a blank is: no tab, no carriage return, no byte order
/// mark, and none of the characters at which YAML 1.1 ends a line, and a comment with it, and YAML 1.2 does not.
fn is_plain(text: &str) -> bool {
    text.chars().all(|letter| {
        letter == '\n' || !(letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}'))
    })
}

/// A text without its comments and blank lines, and the events of a YAML parser.
type Bare<'a> = (Vec<String>, Vec<Event<'a>>);

/// Returns a YAML file without comments; none if it is no YAML, or if its readers may disagree on it.
fn bare_yaml(text: &str) -> Option<Bare<'_>> {
    // A directive, or the end of a document without the beginning of the next one.
    if text.lines().any(|line| line.starts_with('%') || line.starts_with("...")) {
        return None;
    }
    let mut options = Options::default();
    options.emit_anchor_events = true;
    let (mut events, mut comments) = (Vec::new(), Vec::new());
    for next in Parser::new_from_str_with_options(text, options) {
        match next.ok()? {
            (Event::Comment(..), span) => comments.push(span.byte_range()?),
            (event, _) => events.push(event),
        }
    }
    Some((without(text, &comments)?, events))
}

/// Returns the lines of `text` that are left without `comments`, which are in order.
fn without(text: &str, comments: &[Range<usize>]) -> Option<Vec<String>> {
    let (mut left, mut from) = (String::with_capacity(text.len()), 0);
    for comment in comments {
        // Blanks before a comment belong to it.
        left.push_str(text.get(from..comment.start)?.trim_end_matches(' '));
        from = comment.end;
    }
    left.push_str(text.get(from..)?);
    Some(left.lines().filter(|line| !is_blank(line)).map(str::to_owned).collect())
}

/// Returns a file of kernel parameters without comments (sysctl.d(5): `#` and `;` begin a comment, blanks may come
/// before them); none if a line could go on in the next line, as it does for `BusyBox`.
fn bare_parameters(text: &str) -> Option<Bare<'_>> {
    let is_comment = |line: &&str| line.trim_start_matches(' ').starts_with(['#', ';']);
    if text.lines().any(|line| line.ends_with('\\')) {
        return None;
    }
    let left = text.lines().filter(|line| !is_comment(line) && !is_blank(line));
    Some((left.map(str::to_owned).collect(), Vec::new()))
}

fn is_blank(line: &str) -> bool {
    line.bytes().all(|byte| byte == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn judged(path: &str, one: &str, other: &str) -> bool {
        let path = RootedPath::fixed(path);
        let said = is_equivalent(&path, one.as_bytes(), other.as_bytes());
        assert_eq!(said, is_equivalent(&path, other.as_bytes(), one.as_bytes()), "one way round");
        assert!(is_equivalent(&path, one.as_bytes(), one.as_bytes()));
        said
    }

    fn yaml(one: &str, other: &str) -> bool {
        judged("/var/lib/rancher/k3s/server/audit.yaml", one, other)
    }

    fn parameters(one: &str, other: &str) -> bool {
        judged("/etc/sysctl.d/90-kubelet.conf", one, other)
    }

    #[test]
    fn comments_and_blank_lines_mean_nothing() {
        for (one, other) in [
            ("# 0.1.0\na: 1\n", "# 0.2.0\na: 1\n"),
            ("# 0.1.0\na: 1\n", "a: 1\n"),
            ("a: 1 # CIS 1.1\nb: 2\n", "a: 1 # CIS 1.2\nb: 2\n"),
            ("a: 1 # CIS 1.1\n", "a: 1\n"),
            ("a:\n  # why\n  - b\n\n", "a:\n\n  - b\n# why not\n"),
            ("l:\n  - \"x # y\" # CIS 1\n", "l:\n  - \"x # y\" # CIS 2\n"),
            ("# a\n---\nb: 1\n---\n# c\nd: 2\n", "# b\n---\nb: 1\n# e\n---\nd: 2\n"),
            ("a: [1, # one\n  2]\n", "a: [1,\n  2]\n"),
            ("a: | # text\n  # b\nc: 1\n", "a: |\n  # b\n# d\nc: 1\n"),
            ("a: 1 # caf\u{e9} \u{1f512}\nb: 2\n", "a: 1 # \u{e4}\nb: 2\n"),
        ] {
            assert!(yaml(one, other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_comment_means_something() {
        for (one, other) in [
            // Inside of scalars.
            ("a: |\n  # b\n  c\n", "a: |\n  # d\n  c\n"),
            ("a: |\n  # b\n  c\n", "a: |\n  c\n"),
            ("a: >\n  b\n  # c\n", "a: >\n  b\n"),
            ("a: |+\n  b\n\n# c\n\nd: 1\n", "a: |+\n  b\n\n\nd: 1\n"),
            ("a: |\n  b\n\n  c\n", "a: |\n  b\n  c\n"),
            ("a: \"b # c\"\n", "a: \"b # d\"\n"),
            ("a: 'b\n  # c'\n", "a: 'b\n  # d'\n"),
            ("a: b\n  c\n", "a: b\n\n  c\n"),
            ("a: b#c\n", "a: b#d\n"),
            ("- \"a=b\" # c\n", "- \"a=b # c\"\n"),
            // Beside a comment that differs too.
            ("# 0.1.0\na: 1\n", "# 0.2.0\na: 2\n"),
            ("a: 1 # CIS 1\n", "a: 2 # CIS 2\n"),
            ("# a: 1\n", "a: 1\n"),
            ("a: 1\n# b: 2\n", "a: 1\nb: 2\n"),
            // Styles, tags, anchors, keys, order, indentation.
            ("a: 1\n", "a: \"1\"\n"),
            ("a: \"b/c\"\n", "a: \"b\\/c\"\n"),
            ("a: 'b'\n", "a: \"b\"\n"),
            ("a: 1\n", "a: !!str 1\n"),
            ("a: &b 1\nc: *b\n", "a: &b 1\nc: 1\n"),
            ("a: &b 1\n", "a: &c 1\n"),
            ("a: 1\nb: 2\n", "b: 2\na: 1\n"),
            ("a: 1\n", "a: 1\na: 1\n"),
            ("a: {b: 1}\n", "a:\n  b: 1\n"),
            ("a:\n  - b\n", "a:\n    - b\n"),
            // Further documents.
            ("# a\na: 1\n", "# b\na: 1\n---\nb: 2\n"),
            ("# a\na: 1\n---\nb: 2\n", "# b\na: 1\n---\nb: 3\n"),
            ("# a\na: 1\n", "---\n# b\na: 1\n"),
            ("# a\na: 1\n", "# b\na: 1\n---\n"),
        ] {
            assert!(!yaml(one, other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn where_readers_differ_bytes_count() {
        for (one, other) in [
            ("# a\na: 1\n", "# a\r\na: 1\r\n"),
            ("# a\na: 1\n", "# b\ra: 2\na: 1\n"),
            ("# a\na: 1\n", "\u{feff}# a\na: 1\n"),
            // YAML 1.1 ends a line here, and so the comment.
            ("# a\na: 1\n", "# b\u{85}c: 2\na: 1\n"),
            ("# a\na: 1\n", "# b\u{2028}c: 2\na: 1\n"),
            ("# a\na: 1\n", "# b\u{2029}c: 2\na: 1\n"),
            ("# a\na: 1\n", "\t# b\na: 1\n"),
            ("# a\na: 1\n", "# \u{0}\na: 1\n"),
            ("# a\na: 1\n", "%YAML 1.2\n---\na: 1\n"),
            ("# a\na: 1\n", "# b\na: 1\n...\n# c\n"),
            // No YAML.
            ("# a\na: [\n", "# b\na: [\n"),
            ("# a\na: *b\n", "# b\na: *b\n"),
        ] {
            assert!(!yaml(one, other), "{one:?} {other:?}");
        }
        let path = RootedPath::fixed("/x.yaml");
        assert!(!is_equivalent(&path, b"# \xff\na: 1\n", b"# b\na: 1\n"));
    }

    #[test]
    fn kernel_parameters_have_comments_too() {
        assert!(parameters("# 0.1.0\nvm.panic_on_oom=0\n", "; b\n\n  # c\nvm.panic_on_oom=0\n"));
        for (one, other) in [
            ("# a\nvm.panic_on_oom=0\n", "# b\nvm.panic_on_oom=1\n"),
            ("kernel.panic=10\n", "kernel.panic=10 # a\n"),
            ("kernel.panic=10\n", "kernel.panic=10\n-kernel.panic=10\n"),
            ("kernel.panic=10\nvm.panic_on_oom=0\n", "vm.panic_on_oom=0\nkernel.panic=10\n"),
            // BusyBox takes the next line for a part of the comment.
            ("# a\nkernel.panic=10\n", "# a \\\nkernel.panic=10\n"),
            ("kernel.panic=10\\\n# a\nvm.panic_on_oom=0\n", "kernel.panic=10\\\nvm.panic_on_oom=0\n"),
            ("# a\nkernel.panic=10\n", "# b\rkernel.panic=0\nkernel.panic=10\n"),
            ("# a\nkernel.panic=10\n", "\u{feff}# a\nkernel.panic=10\n"),
        ] {
            assert!(!parameters(one, other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn of_other_files_bytes_count() {
        assert!(!judged("/etc/rancher/k3s/registries", "# a\na: 1\n", "# b\na: 1\n"));
        assert!(!judged("/etc/x.conf", "# a\nb=1\n", "# b\nb=1\n"));
    }
}
