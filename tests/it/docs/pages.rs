// SPDX-License-Identifier: Apache-2.0
//! The pages of the manual, and what they are made of.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::walk;

/// A fenced block: the word behind its fence, its lines, and where it begins (from 0).
pub(super) struct Block {
    pub(super) language: String,
    pub(super) lines: Vec<String>,
    pub(super) fence: usize,
}

/// The pages below docs.
pub(super) fn manual() -> Vec<PathBuf> {
    let is_page = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "md");
    walk(Path::new("docs"))
        .into_iter()
        .map(|(path, _)| Path::new("docs").join(path))
        .filter(is_page)
        .collect()
}

/// Everything that a reader of the project finds, but for the changelog.
pub(super) fn all() -> Vec<PathBuf> {
    let is_readme = |path: &PathBuf| path.ends_with("README.md");
    let examples = walk(Path::new("examples")).into_iter().map(|(path, _)| Path::new("examples").join(path));
    let top = ["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(PathBuf::from);
    top.into_iter().chain(manual()).chain(examples.filter(is_readme)).collect()
}

/// The pages that are written by hand, without the decisions, which tell of their day.
pub(crate) fn by_hand() -> Vec<PathBuf> {
    const MADE: [&str; 5] =
        ["docs/reference", "docs/adr", "docs/READS.md", "docs/K3S-FLAGS.md", "docs/COMPONENT-VALUES.md"];
    all().into_iter().filter(|page| !MADE.iter().any(|made| page.starts_with(made))).collect()
}

pub(super) fn read(page: &Path) -> String {
    fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// The fenced blocks of a page. A block of a list is indented with its list.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if let Some(language) = trimmed.strip_prefix("```") {
            if !is_open {
                blocks.push(Block { language: language.to_owned(), lines: Vec::new(), fence: number });
            }
            is_open = !is_open;
        } else if is_open {
            blocks.last_mut().unwrap().lines.push(line.to_owned());
        }
    }
    assert!(!is_open, "a block has no end");
    blocks
}

/// The lines outside of blocks, each with its number (from 0).
pub(super) fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut is_open = false;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_open = !is_open;
        } else if !is_open {
            found.push((number, line));
        }
    }
    found
}

/// The paragraphs outside of blocks, each on one line: what stands between backticks may go over a line's end.
pub(super) fn paragraphs(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for (_, line) in prose(text) {
        if line.trim().is_empty() {
            found.push(String::new());
        } else {
            let paragraph = found.last_mut().unwrap();
            paragraph.push_str(line.trim());
            paragraph.push(' ');
        }
    }
    found
}

/// The texts between single backticks.
pub(crate) fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The text without what stands between backticks.
pub(super) fn without_quotes(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}
