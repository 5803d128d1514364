// SPDX-License-Identifier: Apache-2.0
//! What the table of changes names on a node of a release. k3s-harden's own reader of the table is what is tested, so
//! the table is read here once more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::tree::{Tree, differences, tree, without_header};
use super::{Case, DROP_IN, POLICY, folder, run, words};
use crate::reports::schema;
use crate::support::Node;

/// Files that no row reaches on a node, whatever its minor and role, because of what the release was told:
/// (case, file below the root).
const OUT_OF_REACH: [(&str, &str); 2] = [
    // Its last run is about control 5.2: about psa.yaml.
    ("only-some-controls", DROP_IN),
    ("only-some-controls", POLICY),
];

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Row {
    since: String,
    path: String,
    #[serde(default)]
    minors: Minors,
    roles: Option<Vec<String>>,
    gets: Option<String>,
    what: String,
    why: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct Minors {
    from: Option<String>,
    to: Option<String>,
}

/// The rows by the file, below the root, that they change.
pub(super) type Named = BTreeMap<PathBuf, Vec<Row>>;

pub(super) fn rows() -> Vec<Row> {
    #[derive(Deserialize)]
    struct Table {
        changes: Vec<Row>,
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/document/data/changes.yaml");
    serde_yaml::from_str::<Table>(&fs::read_to_string(path).unwrap()).unwrap().changes
}

impl Row {
    fn path(&self, data_dir: &str) -> PathBuf {
        Path::new(data_dir).join(&self.path).strip_prefix("/").unwrap().to_owned()
    }

    fn is_about(&self, case: &Case) -> bool {
        let minor = numbers(&case.minor());
        let Minors { from, to } = &self.minors;
        numbers(&case.version) <= numbers(&self.since)
            && from.as_ref().is_none_or(|from| numbers(from) <= minor)
            && to.as_ref().is_none_or(|to| minor <= numbers(to))
            && self.roles.as_ref().is_none_or(|roles| roles.contains(&case.told("--role").unwrap()))
    }

    /// As `plan` shows it.
    fn line(&self) -> String {
        format!("changed since {}: {}", self.since, self.what)
    }

    /// As `plan --format json` shows it.
    fn json(&self) -> Value {
        json!({"since": self.since, "what": self.what, "why": self.why})
    }
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(|number| number.parse().unwrap()).collect()
}

impl Case {
    /// What the runs were told last for an option.
    fn told(&self, option: &str) -> Option<String> {
        let words: Vec<&String> = self.steps.iter().flatten().collect();
        words.windows(2).rfind(|pair| pair[0] == option).map(|pair| pair[1].clone())
    }

    pub(super) fn minor(&self) -> String {
        let told = self.told("--k3s-version").unwrap();
        told.trim_start_matches('v').split('.').take(2).collect::<Vec<_>>().join(".")
    }

    pub(super) fn role(&self) -> String {
        self.told("--role").unwrap()
    }

    /// What the table names, where `left` is what the release left: a file of somebody else stays as it is.
    pub(super) fn named(&self, left: &Tree) -> Named {
        let data_dir = self.told("--data-dir").unwrap_or_else(|| "/var/lib/rancher/k3s".to_owned());
        let mut named = Named::new();
        let rows: Vec<Row> = rows().into_iter().filter(|row| row.is_about(self)).collect();
        // What this version would write, where a row is about some of the files alone.
        let fresh = rows.iter().any(|row| row.gets.is_some()).then(|| self.fresh());
        let has = |tree: Option<&Tree>, path: &Path, text: &str| {
            let file = tree.and_then(|tree| tree.get(path));
            file.is_some_and(|(_, bytes)| String::from_utf8_lossy(bytes).contains(text))
        };
        for row in rows {
            let path = row.path(&data_dir);
            let is_ours = left.get(&path).is_none_or(|(_, bytes)| {
                String::from_utf8_lossy(bytes).contains("\n# Written by k3s-harden ")
            });
            let is_out_of_reach =
                OUT_OF_REACH.iter().any(|(case, file)| *case == self.name && Path::new(file) == path);
            let gets = row.gets.as_deref();
            let is_got =
                gets.is_none_or(|text| has(fresh.as_ref(), &path, text) && !has(Some(left), &path, text));
            if is_ours && is_got && !is_out_of_reach {
                named.entry(path).or_default().push(row);
            }
        }
        named
    }

    /// The node before, with every step carried out by this version.
    fn fresh(&self) -> Tree {
        let node = self.before();
        for step in self.steps.iter().filter(|step| step[0] != "plan") {
            let words = if step[0] == "killed" { &step[2..] } else { &step[..] };
            let told = folder().join("cases").join(&self.name).join("told");
            let words: Vec<String> =
                words.iter().map(|word| word.replace("TOLD", told.to_str().unwrap())).collect();
            // The releases before `merge` replaced what was not theirs.
            let replaces = words[0] == "apply" && !words.iter().any(|word| word.starts_with("--on-foreign"));
            let more = ["--on-foreign", "replace"].map(str::to_owned);
            let words = [words, more.into_iter().filter(|_| replaces).collect()].concat();
            run(self, &node, &words, &[0]);
        }
        without_header(tree(&node))
    }
}

/// Checks that only the files of `named` differ, all of them, and that they are what a new node has.
#[track_caller]
pub(super) fn assert_changed(case: &Case, before: &Tree, after: &Tree, named: &Named) {
    let (before, after) = (without_header(before.clone()), without_header(after.clone()));
    let changed = without_folders(differences(&before, &after), &before, named);
    assert_eq!(changed, named.keys().cloned().collect(), "{case:?}: the files that changed");
    if !changed.is_empty() {
        let fresh = case.fresh();
        for path in &changed {
            assert!(
                after.get(path) == fresh.get(path),
                "{case:?}: {}: a new node has another",
                path.display()
            );
        }
    }
}

/// Tells whether a path is that of a folder in which files of `named` are.
fn holds_a_file_of(path: &Path, named: &Named) -> bool {
    named.keys().any(|file| file.parent() == Some(path))
}

/// Returns the paths without the folders that are made for files of `named`, and were not there before.
fn without_folders(mut paths: BTreeSet<PathBuf>, before: &Tree, named: &Named) -> BTreeSet<PathBuf> {
    paths.retain(|path| before.contains_key(path) || !holds_a_file_of(path, named));
    paths
}

/// Has this version apply to a node of a release; returns what the table names on it.
#[track_caller]
pub(super) fn update(case: &Case, node: &Node) -> Named {
    let before = tree(node);
    let named = case.named(&before);
    let said = run(case, node, &words(case, "apply"), &[0]).stdout;
    assert_eq!(said == "Nothing to change.\n", named.is_empty(), "{case:?}: {said}");
    let after = tree(node);
    let written = without_folders(differences(&before, &after), &before, &named);
    assert_eq!(written, named.keys().cloned().collect(), "{case:?}: the files that were written");
    assert_changed(case, &before, &after, &named);
    named
}

/// Checks that a plan has the rows of `named` beside their files, and nothing else changes.
#[track_caller]
pub(super) fn assert_shown(case: &Case, text: &str, json: &Value, named: &Named) {
    assert_eq!((&json["role"], &json["kubernetes"]), (&case.role().into(), &case.minor().into()), "{case:?}");
    let published: Value = serde_json::from_str(include_str!("../../../docs/schema/plan.json")).unwrap();
    schema::check(&published, json);
    let mut shown = BTreeMap::new();
    for action in json["actions"].as_array().unwrap() {
        if action["action"] == "none" {
            assert!(action.get("changed_since").is_none(), "{case:?}: {action}");
        } else {
            let path = action["path"].as_str().unwrap();
            // A folder that is made for a file is shown as made, without a row of its own.
            let is_folder = action["resource"] == "directory" && action["action"] == "create";
            if is_folder && holds_a_file_of(Path::new(path.trim_start_matches('/')), named) {
                assert!(action.get("changed_since").is_none(), "{case:?}: {action}");
                continue;
            }
            shown.insert(path.to_owned(), action["changed_since"].clone());
        }
    }
    assert_eq!(shown, by_path(named, Row::json), "{case:?}: the plan in JSON");

    // A heading comes after an empty line; the rows, and then the diff, come after the heading.
    let mut shown = BTreeMap::new();
    let lines: Vec<&str> = text.lines().collect();
    for (at, _) in lines.iter().enumerate().filter(|(_, line)| line.is_empty()) {
        let Some(path) = lines[at + 1].split(' ').find(|word| word.starts_with('/')) else { continue };
        let made = lines[at + 1].starts_with("create ")
            && holds_a_file_of(Path::new(path.trim_start_matches('/')), named);
        if made {
            continue;
        }
        let rows = lines[at + 2..].iter().take_while(|line| line.starts_with("changed since "));
        shown.insert(path.to_owned(), rows.copied().collect::<Vec<_>>().into());
    }
    assert_eq!(shown, by_path(named, |row| row.line().into()), "{case:?}: the plan as text:\n{text}");
    let rows: usize = named.values().map(Vec::len).sum();
    assert_eq!(text.matches("changed since ").count(), rows, "{case:?}: {text}");
}

fn by_path(named: &Named, shown: impl Fn(&Row) -> Value) -> BTreeMap<String, Value> {
    let line = |(path, rows): (&PathBuf, &Vec<Row>)| {
        (format!("/{}", path.display()), rows.iter().map(&shown).collect::<Vec<_>>().into())
    };
    named.iter().map(line).collect()
}
