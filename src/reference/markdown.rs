// SPDX-License-Identifier: Apache-2.0
//! A page in Markdown, and texts on it. Texts of tables are escaped, so that none is taken for markup.

use std::fmt::Write as _;

/// A page of the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferencePage {
    /// The name of its file.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A page that is being written.
#[derive(Debug)]
pub(super) struct Page {
    /// The name of its file.
    pub(super) name: String,
    /// Its title.
    pub(super) title: String,
    /// What it is, in a line.
    pub(super) about: String,
    body: String,
}

impl Page {
    /// Begins a page.
    pub(super) fn new(name: impl Into<String>, title: impl Into<String>, about: impl Into<String>) -> Self {
        Self { name: name.into(), title: title.into(), about: about.into(), body: String::new() }
    }

    /// Adds a heading below the title, and an anchor to link to where the heading is no name.
    pub(super) fn heading(&mut self, text: &str) {
        self.block(&format!("## {}", plain(text)));
    }

    /// Adds a paragraph of Markdown.
    pub(super) fn paragraph(&mut self, markdown: &str) {
        self.block(markdown);
    }

    /// Adds a list of Markdown.
    pub(super) fn list(&mut self, items: impl IntoIterator<Item = String>) {
        let items: Vec<String> = items.into_iter().map(|item| format!("- {item}")).collect();
        self.block(&items.join("\n"));
    }

    /// Adds lines that are typed.
    pub(super) fn typed(&mut self, lines: impl IntoIterator<Item = String>) {
        let lines: Vec<String> = lines.into_iter().map(|line| format!("    {line}")).collect();
        self.block(&lines.join("\n"));
    }

    /// Adds a table of Markdown; nothing without rows.
    pub(super) fn table(&mut self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        let rows: Vec<String> = rows.into_iter().map(|cells| format!("| {} |", cells.join(" | "))).collect();
        if !rows.is_empty() {
            let rule = "---|".repeat(head.len());
            self.block(&format!("| {} |\n|{rule}\n{}", head.join(" | "), rows.join("\n")));
        }
    }

    fn block(&mut self, text: &str) {
        let _infallible = write!(self.body, "\n{text}\n");
    }

    /// Returns the whole page.
    pub(super) fn finish(self) -> ReferencePage {
        let Self { name, title, about, body } = self;
        ReferencePage { name, text: format!("# {}\n\n{}\n{body}", plain(&title), plain(&about)) }
    }
}

/// Returns a text as it is, on one line, also in a cell of a table.
pub(super) fn plain(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.trim().chars() {
        match letter {
            '\n' => escaped.push(' '),
            '|' | '*' | '<' | '[' | ']' | '\\' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// Returns a text with the words between backticks as what is typed.
pub(super) fn with_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(index, part)| if index % 2 == 1 { code(part) } else { untrimmed(part) }).collect()
}

/// Escapes a part of a text, whose spaces separate it from the next.
fn untrimmed(part: &str) -> String {
    let escaped = plain(part);
    let space = |is_there: bool| if is_there { " " } else { "" };
    match escaped.is_empty() {
        true => space(!part.is_empty()).to_owned(),
        false => format!("{}{escaped}{}", space(part.starts_with(' ')), space(part.ends_with(' '))),
    }
}

/// Returns a text as what is typed, or as a value; also in a cell of a table.
pub(super) fn code(text: &str) -> String {
    let text = text.replace('|', "\\|").replace('\n', " ");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// Returns a link with a text.
pub(super) fn link(text: &str, target: &str) -> String {
    format!("[{}]({target})", plain(text))
}

/// Returns links, one after the other; a dash for none.
pub(super) fn links<'a>(names: impl IntoIterator<Item = &'a str>, target: impl Fn(&str) -> String) -> String {
    let links: Vec<String> = names.into_iter().map(|name| link(name, &target(name))).collect();
    if links.is_empty() { NOTHING.to_owned() } else { links.join(", ") }
}

/// What stands in a cell without a value.
pub(super) const NOTHING: &str = "–";

/// Returns an anchor to link to.
pub(super) fn anchor(name: &str) -> String {
    format!("<a id=\"{name}\"></a>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_no_markup() {
        assert_eq!(plain("a|b <c>\n*d* [e]"), "a\\|b \\<c> \\*d\\* \\[e\\]");
        assert_eq!(with_code("see `plan --out | x`, or *not*"), "see `plan --out \\| x`, or \\*not\\*");
        assert_eq!(with_code("`a` `b`: c"), "`a` `b`: c");
        assert_eq!(code("a`b"), "`` a`b ``");
    }

    #[test]
    fn a_page_has_a_title_a_line_and_its_blocks() {
        let mut page = Page::new("x.md", "Title", "What it is.");
        page.heading("Part");
        page.table(&["a", "b"], [vec!["1".to_owned(), "2".to_owned()]]);
        page.table(&["c"], []);
        page.list(["x".to_owned(), "y".to_owned()]);
        page.typed(["k3s-harden".to_owned()]);
        assert_eq!(
            page.finish().text,
            "# Title\n\nWhat it is.\n\n## Part\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- x\n- y\n\n    k3s-harden\n"
        );
    }
}
