// SPDX-License-Identifier: Apache-2.0
//! Every link leads to a file of the project, and to an anchor that is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;

use super::pages;

/// The targets of the links in a page.
pub(super) fn targets(text: &str) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let page: String =
        pages::paragraphs(text).iter().map(|text| pages::without_quotes(text) + "\n").collect();
    link.captures_iter(&page).map(|found| found[1].to_owned()).collect()
}

/// What may stand behind `#`: the ids that a page has, and those that its headings get.
fn anchors(text: &str) -> BTreeSet<String> {
    let id = Regex::new(r#"<a id="([^"]+)">"#).unwrap();
    let link = Regex::new(r"\[([^\]]*)\]\([^)]*\)").unwrap();
    let mut found: BTreeSet<String> = id.captures_iter(text).map(|found| found[1].to_owned()).collect();
    for (_, line) in pages::prose(text) {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let heading = link.replace_all(heading.trim(), "$1").to_lowercase();
        let kept = |character: &char| character.is_alphanumeric() || " -_".contains(*character);
        let slug: String = heading
            .chars()
            .filter(kept)
            .map(|character| if character == ' ' { '-' } else { character })
            .collect();
        let again = (1..).map(|number| format!("{slug}-{number}"));
        let free = std::iter::once(slug.clone()).chain(again).find(|slug| !found.contains(slug));
        found.insert(free.unwrap());
    }
    found
}

#[test]
fn every_link_resolves() {
    // Of each file once: the reference has thousands of links.
    let mut known: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    let (mut checked, mut broken) = (0, Vec::new());
    for page in pages::all() {
        for target in targets(&pages::read(&page)) {
            if target.contains("://") {
                continue;
            }
            checked += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if path.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap_or(Path::new("")).join(path)
            };
            let is_there = if anchor.is_empty() {
                file.exists()
            } else {
                let read = || anchors(&pages::read(&file));
                file.is_file() && known.entry(file.clone()).or_insert_with(read).contains(anchor)
            };
            if !is_there {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(checked > 300, "{checked}");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn anchors_are_those_of_headings_and_ids() {
    let found =
        anchors("# A `b`, c!\n\n## Same\n\n## Same\n\n```sh\n# no heading\n```\n\n<a id=\"x\"></a>#word\n");
    let wanted = ["a-b-c", "same", "same-1", "x"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(wanted));
}
