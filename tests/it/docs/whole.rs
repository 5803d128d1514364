// SPDX-License-Identifier: Apache-2.0
//! The manual is whole: every page is in SUMMARY.md, and README.md stays short.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{links, pages};

/// The longest README that is read.
const README_LINES: usize = 120;

#[test]
fn the_readme_is_short() {
    let lines = pages::read(Path::new("README.md")).lines().count();
    assert!(lines <= README_LINES, "{lines}");
}

#[test]
fn the_summary_names_every_page_once_and_nothing_else() {
    let summary = PathBuf::from("docs/SUMMARY.md");
    let named = links::targets(&pages::read(&summary));
    let once: BTreeSet<PathBuf> = named.iter().map(|target| Path::new("docs").join(target)).collect();
    assert_eq!(named.len(), once.len(), "a page stands there twice");
    let pages: BTreeSet<PathBuf> = pages::manual().into_iter().filter(|page| *page != summary).collect();
    let missing: Vec<_> = pages.difference(&once).collect();
    let more: Vec<_> = once.difference(&pages).collect();
    assert!(missing.is_empty() && more.is_empty(), "missing: {missing:#?}, no page: {more:#?}");
}

/// A reader finds a page by its first line, so each has one heading of the first level, and begins with it.
#[test]
fn every_page_begins_with_its_title() {
    for page in pages::manual() {
        let text = pages::read(&page);
        let titles = pages::prose(&text).iter().filter(|(_, line)| line.starts_with("# ")).count();
        let is_summary = page.ends_with("SUMMARY.md");
        assert!(text.starts_with("# ") && (titles == 1 || is_summary), "{}", page.display());
    }
}

#[test]
fn every_block_says_what_it_is() {
    const KNOWN: [&str; 5] = ["console", "sh", "yaml", "json", "text"];
    let mut unknown = Vec::new();
    for page in pages::by_hand() {
        for block in pages::blocks(&pages::read(&page)) {
            // The way of the data in ARCHITECTURE.md is drawn.
            if !KNOWN.contains(&block.language.as_str()) && !page.ends_with("ARCHITECTURE.md") {
                unknown.push(format!("{}:{}: {:?}", page.display(), block.fence + 1, block.language));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}
