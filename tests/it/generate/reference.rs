// SPDX-License-Identifier: Apache-2.0
//! The reference pages: those in docs/reference are what the binary writes, and what they say is so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;

use super::{verbs_of_help, written};
use crate::support::Node;

const FOLDER: &str = "docs/reference";

/// The pages in docs/reference, by name.
fn published() -> BTreeMap<String, String> {
    let paths = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.map(|path| (named(&path), fs::read_to_string(&path).unwrap())).collect()
}

// The pages have no made-up minor.
#[cfg(not(next_minor))]
#[test]
fn the_pages_are_what_the_binary_writes() {
    if std::env::var_os("K3S_HARDEN_BLESS").is_some() {
        fs::remove_dir_all(FOLDER).unwrap();
        written(&["docs"], Path::new(FOLDER));
    }
    let folder = tempfile::tempdir().unwrap();
    let made: BTreeMap<String, String> = written(&["docs"], folder.path()).into_iter().collect();
    let published = published();
    assert!(published.keys().eq(made.keys()), "{:?}\n{:?}", published.keys(), made.keys());
    for (name, text) in made {
        assert!(
            published[&name] == text,
            "{name}: K3S_HARDEN_BLESS=1 cargo test --test it generate writes the pages"
        );
    }
}

#[test]
fn every_link_leads_somewhere() {
    let pages = published();
    let anchor = Regex::new("<a id=\"([^\"]+)\">").unwrap();
    let link = Regex::new(r"\]\(([^)]+)\)").unwrap();
    let slug = |heading: &str| -> String {
        let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let anchors: BTreeMap<&str, BTreeSet<String>> = pages
        .iter()
        .map(|(name, text)| {
            let headings = text.lines().filter_map(|line| line.strip_prefix("## ")).map(slug);
            let named = anchor.captures_iter(text).map(|found| found[1].to_owned());
            (name.as_str(), headings.chain(named).collect())
        })
        .collect();
    let mut found = 0;
    for (name, text) in &pages {
        for target in link.captures_iter(text).map(|found| found[1].to_owned()) {
            let (page, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let page = if page.is_empty() { name } else { page };
            let known = anchors.get(page).unwrap_or_else(|| panic!("{name}: {target}"));
            assert!(anchor.is_empty() || known.contains(anchor), "{name}: {target}");
            found += 1;
        }
    }
    assert!(found > 1000, "{found}");
}

#[test]
fn a_page_has_a_title_a_line_and_no_long_table() {
    let mut verbs = verbs_of_help(&[]).into_iter().map(|words| words.join(" "));
    assert!(verbs.all(|verb| published()["command-line.md"].contains(&format!("\n## {verb}\n"))));
    for (name, text) in published() {
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("# ") && lines[1].is_empty() && lines[2].ends_with('.'), "{name}");
        let (mut rows, mut most) = (0, 0);
        for line in &lines {
            rows = if line.starts_with('|') { rows + 1 } else { 0 };
            most = most.max(rows);
        }
        // The head and the line below it are not counted.
        assert!((3..=82).contains(&most), "{name}: {most}");
    }
}

/// The rows of a table below a heading, or of the page's first: each with its cells.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, part) = page.split_once(heading).unwrap_or_else(|| panic!("{heading}"));
    let lines = part.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    let lines = lines.take_while(|line| line.starts_with('|'));
    let tag = Regex::new("<a id=\"[^\"]+\"></a>|`").unwrap();
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split(" | ");
        cells.map(|cell| tag.replace_all(cell.trim(), "").into_owned()).collect()
    };
    lines.map(cells).collect()
}

#[test]
fn a_hardened_node_has_the_files_that_the_page_lists_and_no_other() {
    let page = &published()["files.md"];
    for (role, profile, minor) in [
        ("server", "cis", "1.33"),
        ("server", "cis,strict", "1.33"),
        ("agent", "cis,strict", "1.33"),
        ("server", "cis", "1.37"),
        ("server", "cis,strict", "1.37"),
        ("server", "cis", "1.24"),
    ] {
        let node = Node::new();
        let words = ["apply", "--profile", profile, "--k3s-version", minor, "--role", role];
        assert_eq!(node.run(&words).code, 0);
        let mut listed = BTreeSet::new();
        for heading in ["## Files\n", "## Directories with an exact mode\n", "## Directories that are made"] {
            for cells in rows(page, heading) {
                if is_for(&cells[2], role, profile, minor) {
                    let path = cells[0].trim_start_matches('/').to_owned();
                    assert_eq!(node.mode(&path), cells[1], "{role}: {path}");
                    listed.insert(path);
                }
            }
        }
        let own = &rows(page, "## k3s-harden's own\n")[0];
        assert_eq!(node.mode(own[0].trim_start_matches('/')), own[1]);
        let found: BTreeSet<String> =
            node.tree().lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect();
        let others: Vec<&String> = found.difference(&listed).collect();
        assert!(others.is_empty() && listed.len() > 5, "{role} {profile} {minor}: {others:?}");
    }
}

/// Tells whether a cell such as `server (1.25 to 1.37) with strict, agent` is about a node.
fn is_for(cell: &str, role: &str, profile: &str, minor: &str) -> bool {
    let number = |minor: &str| minor.rsplit_once('.').unwrap().1.parse::<u32>().unwrap();
    let of_role = cell.split(", ").find_map(|part| part.strip_prefix(role));
    of_role.is_some_and(|condition| {
        let minors = condition.split_once('(').map(|(_, rest)| rest.split_once(')').unwrap().0);
        let is_within = minors.is_none_or(|minors| {
            let (from, to) = minors.split_once(" to ").unwrap_or((minors, minors));
            (number(from)..=number(to)).contains(&number(minor))
        });
        is_within && (!condition.ends_with("with strict") || profile.contains("strict"))
    })
}

/// The numbers of a header: `1.2.3, 1.2.16 to 1.2.21`.
fn numbers(header: &str) -> Vec<String> {
    let last = |id: &str| id.rsplit_once('.').unwrap().1.parse::<u32>().unwrap();
    let all = header.split(", ").flat_map(|part| {
        let (from, to) = part.split_once(" to ").unwrap_or((part, part));
        let section = from.rsplit_once('.').unwrap().0.to_owned();
        (last(from)..=last(to)).map(move |number| format!("{section}.{number}"))
    });
    all.collect()
}

/// Each number in the header of a drop-in has the drop-in in "set by", whoever decides the value.
#[test]
fn what_a_drop_in_sets_is_set_by_it() {
    let pages = published();
    let mut seen = 0;
    for (minor, benchmark) in [("1.24", "1.24"), ("1.33", "1.12"), ("1.35", "2.0")] {
        for role in ["server", "agent"] {
            let node = Node::new();
            let words = ["apply", "--profile", "cis,strict", "--k3s-version", minor, "--role", role];
            assert_eq!(node.run(&words).code, 0);
            let drop_in = node.read("etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml");
            let header = drop_in.lines().nth(2).unwrap().strip_prefix(&format!("# CIS {benchmark}: "));
            let page = &pages[&format!("controls-cis-{benchmark}.md")];
            for id in numbers(header.unwrap_or_else(|| panic!("{drop_in}"))) {
                let row = page.lines().find(|row| row.contains(&format!("<a id=\"{id}\">")));
                let row = row.unwrap_or_else(|| panic!("{benchmark}: {id}"));
                let (_, set_by) = row.rsplit_once(" | ").unwrap();
                assert!(set_by.contains("[config](files.md#config)"), "{role}: {row}");
                let name = &row.split(" | ").nth(1).unwrap().trim_start_matches('[');
                let name = name.split(']').next().unwrap();
                let row =
                    pages["controls.md"].lines().find(|row| row.contains(&format!("<a id=\"{name}\">")));
                assert!(row.unwrap().contains("[config](files.md#config)"), "{name}");
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "{seen}");
}

/// What the code asks the environment for, the page names.
#[test]
fn every_variable_is_listed() {
    let mut sources = Vec::new();
    let mut folders = vec![Path::new("src").to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.extension() {
                None => folders.push(path),
                Some(extension) if extension == "rs" => sources.push(fs::read_to_string(path).unwrap()),
                Some(_) => {}
            }
        }
    }
    // A file of tests alone has its attribute in mod.rs.
    let code: Vec<&str> = sources
        .iter()
        .map(|text| text.split("#[cfg(test)]\nmod tests").next().unwrap())
        .filter(|text| !text.contains("K3S_HARDEN_SEED"))
        .collect();
    // (Without regular expressions: in a build for tests they take a minute for all of the code.)
    let behind = |mark: &str, end: char| -> Vec<String> {
        let parts = code.iter().flat_map(|text| text.split(mark).skip(1));
        parts.filter_map(|part| Some(part.split_once(end)?.0.to_owned())).collect()
    };
    let constants: BTreeMap<String, String> = behind("const ", ';')
        .iter()
        .filter_map(|line| line.split_once(": &str = "))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect();
    let asked = [behind("env::var(", ')'), behind("env::var_os(", ')'), behind("env = \"", '"')].concat();
    let names = asked.iter().map(|name| constants.get(name).map_or(name.trim_matches('"'), String::as_str));
    let found: BTreeSet<&str> = names.collect();
    let page = &published()["environment.md"];
    for name in &found {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
    assert!(found.len() > 30 && found.contains("NO_COLOR") && found.contains("K3S_HARDEN_SET"), "{found:?}");
}
