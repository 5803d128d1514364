//! The journal: what a run was told, what it is about to replace, and how it ended.
//!
//! ```text
//! /var/lib/k3s-harden/            0700, locked while a run lasts
//!   runs/0001/journal.json        one directory a run
//!   runs/0001/0007                what the 7th entry held before
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use serde::{Deserialize, Serialize};

use crate::Role;
use crate::error::{Error, Kind, Result};
use crate::k3s::OnConflict;
use crate::node::{FileMode, Node, Owner, Root, RootedPath};
use crate::plan::{Action, Change, Current, OnForeign};

/// Where the journal and the backups are.
pub const STATE_DIRECTORY: &str = "/var/lib/k3s-harden";
const FORMAT_VERSION: &str = "1.0";

/// What a run was told on its command line; later runs on the same root default to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// `--profile`, in order.
    pub profiles: Vec<String>,
    /// `--k3s-version`, unless it was found out.
    pub k3s_version: Option<String>,
    /// `--role`, unless it was found out.
    pub role: Option<Role>,
    /// `--set`, in order.
    pub assignments: Vec<(String, String)>,
    /// `--settings`, unless it was the node's own file.
    pub settings: Option<String>,
    /// `--skip`.
    #[serde(default)]
    pub skip: Vec<String>,
    /// `--on-foreign`.
    #[serde(default)]
    pub on_foreign: Option<OnForeign>,
    /// `--on-conflict`.
    #[serde(default)]
    pub on_conflict: Option<OnConflict>,
    /// `--data-dir`.
    pub data_dir: Option<String>,
    /// The texts of the files that these name, because they may not be on the node.
    pub files: BTreeMap<String, String>,
}

/// How far a run got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It has written this journal and may have changed some of the entries.
    Begun,
    /// It has changed all of them.
    Committed,
    /// It failed and has put all of them back.
    RolledBack,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    format_version: String,
    /// Its number, from 1.
    pub id: u32,
    /// The version of the tool.
    pub tool: String,
    /// How far it got.
    pub state: State,
    /// What it was told.
    pub told: Told,
    /// Directories that were made to hold the journal itself.
    pub made: Vec<String>,
    /// What it changes, in order.
    pub entries: Vec<Entry>,
}

/// A resource that a run changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// `file`, `directory` or `sysctl`.
    pub resource: String,
    /// What was there before.
    pub before: Saved,
}

/// What was at a path before a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
#[allow(missing_docs, reason = "the names say it: modes are octal text, owners uid:gid")]
pub enum Saved {
    /// Nothing, or a parameter that could not be read.
    Absent,
    /// A file, whose bytes are in `backup` beside the journal.
    File { mode: String, owner: String, backup: String },
    /// A directory.
    Directory { mode: String, owner: String },
    /// A symlink.
    Symlink { target: String },
    /// The value of a kernel parameter.
    Value { value: String },
}

impl Journal {
    /// Begins a journal for `actions`.
    #[must_use]
    pub fn new(id: u32, told: Told, made: &[RootedPath], actions: &[&Action]) -> Self {
        let entries = actions.iter().enumerate().map(|(index, action)| Entry {
            path: action.resource.path().to_string(),
            resource: action.resource.noun().to_owned(),
            before: save(&action.before, index),
        });
        Self {
            format_version: FORMAT_VERSION.to_owned(),
            id,
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            state: State::Begun,
            told,
            made: made.iter().map(ToString::to_string).collect(),
            entries: entries.collect(),
        }
    }

    /// Writes the journal to the disk.
    ///
    /// # Errors
    /// Where that fails.
    pub fn write(&self, root: &Root, owner: Owner) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::new(Kind::Failed, error.to_string()))?;
        root.replace(&directory(self.id).join("journal.json"), text.as_bytes(), FileMode::PRIVATE_FILE, owner)
    }

    /// Makes the directory of the run with the bytes that it is about to replace, then writes the journal.
    ///
    /// # Errors
    /// Where that fails; nothing is changed then, and nothing of the run stays.
    pub fn begin(&self, root: &Root, owner: Owner, actions: &[&Action]) -> Result<()> {
        let directory = directory(self.id);
        let mut backups = Vec::new();
        let mut all = || {
            root.make_directory(&directory, FileMode::PRIVATE_DIRECTORY, owner)?;
            for (action, entry) in actions.iter().zip(&self.entries) {
                if let (Saved::File { backup, .. }, Current::Node(Node::File { bytes, .. })) =
                    (&entry.before, &action.before)
                {
                    let path = directory.join(backup);
                    root.replace(&path, bytes, FileMode::PRIVATE_FILE, owner)?;
                    backups.push(path);
                }
            }
            self.write(root, owner)
        };
        let result = all();
        if result.is_err() {
            // On a full disk each retry would leave another one. Best effort: the first error is the one to report.
            for path in &backups {
                root.remove_file(path).unwrap_or_default();
            }
            root.remove_empty_directory(&directory).unwrap_or_default();
        }
        result
    }
}

fn save(before: &Current, index: usize) -> Saved {
    match before {
        Current::Node(Node::File { mode, owner, .. }) => {
            Saved::File { mode: mode.to_string(), owner: owner.to_string(), backup: format!("{index:04}") }
        }
        Current::Node(Node::Directory { mode, owner }) => {
            Saved::Directory { mode: mode.to_string(), owner: owner.to_string() }
        }
        Current::Node(Node::Symlink { target }) => {
            Saved::Symlink { target: target.to_string_lossy().into_owned() }
        }
        Current::Value(Ok(value)) => Saved::Value { value: value.clone() },
        Current::Node(Node::Absent | Node::Other) | Current::Value(Err(_)) => Saved::Absent,
    }
}

/// Returns the path of the runs.
#[must_use]
pub(super) fn runs() -> RootedPath {
    RootedPath::fixed(STATE_DIRECTORY).join("runs")
}

fn directory(id: u32) -> RootedPath {
    runs().join(&format!("{id:04}"))
}

/// Returns the numbers of the runs, oldest first.
///
/// # Errors
/// Where the directory cannot be read.
pub(super) fn ids(root: &Root) -> Result<Vec<u32>> {
    let number = |name: &OsString| {
        let name = name.to_str().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))?;
        name.parse().ok()
    };
    let mut ids: Vec<u32> = root.list(&runs())?.iter().filter_map(number).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Reads the journals of a root: what the newest run that was carried out was told, and every path that one wrote.
///
/// # Errors
/// Where a journal cannot be read; one that is damaged names itself.
pub fn recorded(root: &Root) -> Result<(Option<Told>, BTreeSet<RootedPath>)> {
    let mut told = None;
    let mut paths = BTreeSet::new();
    for id in ids(root)? {
        let path = directory(id).join("journal.json");
        // A run that was killed before it changed anything has no journal.
        let Some(bytes) = root.read(&path)? else { continue };
        let unreadable = |why: &str| {
            Error::new(Kind::Failed, format!("the journal {} cannot be read: {why}", root.display(&path)))
                .hint("it is of another version of k3s-harden, or damaged; move it away to go on without it")
        };
        let journal: Journal =
            serde_json::from_slice(&bytes).map_err(|error| unreadable(&error.to_string()))?;
        if !journal.format_version.starts_with("1.") {
            return Err(unreadable(&format!("its format is {}", journal.format_version)));
        }
        if journal.state == State::RolledBack {
            continue;
        }
        let files = journal.entries.iter().filter(|entry| entry.resource == "file");
        paths.extend(files.filter_map(|entry| entry.path.parse().ok()));
        told = Some(journal.told);
    }
    Ok((told, paths))
}

/// Tells whether a plan's action belongs into a journal.
pub(super) fn is_change(action: &&Action) -> bool {
    action.change != Change::None
}
