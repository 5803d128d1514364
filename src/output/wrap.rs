// SPDX-License-Identifier: Apache-2.0
//! Wraps text to the width of a terminal.

/// The smallest width to which text is wrapped.
pub(super) const MIN_WIDTH: usize = 40;

/// Wraps a text at spaces; `first` is the width of the first line and `next` that of the others. A word that is longer than
/// a line stays in one piece, so that a path can be copied.
pub(super) fn wrap(text: &str, first: Option<usize>, next: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut has_words = false;
    for word in text.split(' ') {
        let limit = if lines.is_empty() { first } else { next };
        let width = line.chars().count() + usize::from(has_words) + word.chars().count();
        if has_words && limit.is_some_and(|limit| width > limit) {
            lines.push(std::mem::replace(&mut line, word.to_owned()));
            continue;
        }
        if has_words {
            line.push(' ');
        }
        line.push_str(word);
        has_words = true;
    }
    lines.push(line);
    lines
}
