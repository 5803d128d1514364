//! Lines that fit a terminal.

/// Narrower than this nothing is wrapped.
pub(super) const MIN_WIDTH: usize = 40;

/// Breaks a text at spaces. A word that is longer than a line stays whole: a path is there to be copied.
pub(super) fn wrap(text: &str, first: Option<usize>, next: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut is_begun = false;
    for word in text.split(' ') {
        let limit = if lines.is_empty() { first } else { next };
        let width = line.chars().count() + usize::from(is_begun) + word.chars().count();
        if is_begun && limit.is_some_and(|limit| width > limit) {
            lines.push(std::mem::replace(&mut line, word.to_owned()));
            continue;
        }
        if is_begun {
            line.push(' ');
        }
        line.push_str(word);
        is_begun = true;
    }
    lines.push(line);
    lines
}
