// SPDX-License-Identifier: Apache-2.0
//! The record of one run: its inputs, the state of each resource before and after it, and how it ended.
//!
//! ```text
//! /var/lib/k3s-harden/            0700, locked while a run lasts
//!   made                          the directories that were created to hold it
//!   runs/0001/journal.json        one directory a run
//!   runs/0001/0007.before         what the 7th entry held before
//!   runs/0001/0007.after          what the run writes there
//! ```
//!
//! `journal.rs` has the format, and `run_journal.rs` reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::damage::Damage;
use super::journal::{self, FIRST_FORMAT, FORMAT_VERSION};
use super::removal::RunsEntry;
use super::run_entry::RunEntry;
use super::run_list::{RunNumber, forget, mark_newest};
use super::saved_state::{JOURNAL, SavedState, content};
use super::state::{not_moved, run_directory, runs_directory};
use crate::Role;
use crate::document::OnConflict;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Owner;
use crate::node::{DirectoryMove, MAX_FILE_BYTES, Metadata, Root, host};
use crate::plan::{Action, OnForeign, PlanSubject, ResourceKind};
use crate::version::KubernetesMinor;

/// The inputs of a run: what the user named. Later runs on the same root default to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunInputs {
    /// `--profile`, in order.
    pub profiles: Vec<String>,
    /// `--k3s-version`, if the user named one.
    pub k3s_version: Option<String>,
    /// `--role`, if the user named one.
    pub role: Option<Role>,
    /// `--set`, in order.
    pub assignments: Vec<(String, String)>,
    /// `--settings`, if the user named a file.
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
    /// `--assume-minor`, on a node of a minor that was newer than the version of the run knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_minor: Option<KubernetesMinor>,
    /// `--data-dir`.
    pub data_dir: Option<String>,
    /// The texts of the files that these name, by absolute path: the files may be missing on the node.
    pub files: BTreeMap<String, String>,
}

impl RunInputs {
    /// Tells whether two runs get the same settings from the same texts.
    #[must_use]
    pub fn sets_the_same(&self, other: &Self) -> bool {
        (&self.profiles, &self.assignments, &self.settings, &self.files)
            == (&other.profiles, &other.assignments, &other.settings, &other.files)
    }
}

/// How far a run got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It has written this record and may have changed some of the entries.
    Begun,
    /// It has changed all of them.
    Committed,
    /// It failed or was killed, and all of them were restored.
    RolledBack,
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunVerb {
    /// It applies a profile.
    Apply,
    /// It restores the state before a run.
    Rollback {
        /// The number of that run.
        to: u32,
    },
}

/// The record of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    pub(super) format_version: String,
    /// Its number, from 1.
    pub id: u32,
    /// The last of the runs that were merged into it, if any were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<u32>,
    /// The number of the newest run before it, 0 if there was none; absent in records of format 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<u32>,
    /// The version of the tool.
    pub tool: String,
    /// When it began, in UTC (RFC 3339).
    pub time: String,
    /// What it does.
    pub verb: RunVerb,
    /// How far it got.
    pub state: RunState,
    /// Whether it stays in the history once it has ended.
    pub kept: bool,
    /// Its node and profile.
    pub about: PlanSubject,
    /// The inputs that are in force after it; none on a node where no run is.
    #[serde(rename = "told")]
    pub inputs: Option<RunInputs>,
    /// Every file that this and earlier runs wrote and that was not undone.
    pub written: Vec<String>,
    /// What it changes, in order.
    pub entries: Vec<RunEntry>,
    /// The paths that were not put back when the run was undone, because another program had changed them since: what
    /// was there before the run is in its backups only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// What somebody had put at paths between the runs that were merged into it: nothing else holds these bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) foreign: Vec<ForeignCopy>,
    /// The digest of its text, as it was read; the text that is written gets its own.
    #[serde(default, skip_serializing)]
    pub(super) digest: Option<String>,
}

/// What somebody had put at a path between two runs that were merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForeignCopy {
    /// The path.
    pub(super) path: String,
    /// The run that found it there.
    pub(super) run: u32,
    /// What was there, in a backup file of this run.
    pub(super) state: SavedState,
}

/// The head of a record, before the changes of the run are known.
#[derive(Debug, Clone)]
pub(super) struct RunHead {
    /// What it does.
    pub(super) verb: RunVerb,
    /// Whether it stays in the history.
    pub(super) kept: bool,
    /// The inputs that are in force after it.
    pub(super) inputs: Option<RunInputs>,
    /// The files that earlier runs wrote.
    pub(super) written: Vec<String>,
}

impl RunRecord {
    /// Returns the record of a run that begins and carries out `actions`.
    #[must_use]
    pub(super) fn new(number: RunNumber, head: RunHead, about: PlanSubject, actions: &[&Action]) -> Self {
        let entry = |(index, action): (usize, &&Action)| RunEntry {
            path: action.resource.path().to_string(),
            resource: action.resource.kind(),
            before: SavedState::from_current(&action.before, format!("{index:04}.before")),
            after: SavedState::from_current(&action.resource.desired_state(), format!("{index:04}.after")),
        };
        let entries: Vec<RunEntry> = actions.iter().enumerate().map(entry).collect();
        let mut written = head.written;
        if head.verb == RunVerb::Apply {
            let files = entries.iter().filter(|entry| entry.resource == ResourceKind::File);
            written.extend(files.map(|entry| entry.path.clone()));
            written.sort();
            written.dedup();
        }
        Self {
            format_version: FORMAT_VERSION.to_owned(),
            id: number.id,
            through: None,
            previous: Some(number.previous),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            time: host::now(),
            verb: head.verb,
            state: RunState::Begun,
            kept: head.kept,
            about,
            inputs: head.inputs,
            written,
            entries,
            left: Vec::new(),
            foreign: Vec::new(),
            digest: None,
        }
    }

    /// Tells whether it is a step of the history: it has changed something that is not undone by itself.
    #[must_use]
    pub fn is_step(&self) -> bool {
        match self.state {
            RunState::Committed => true,
            RunState::RolledBack => !self.left.is_empty(),
            RunState::Begun => false,
        }
    }

    /// Returns what it has changed and not put back itself.
    pub fn steps(&self) -> impl Iterator<Item = &RunEntry> {
        let is_all = self.state == RunState::Committed;
        let counts = move |entry: &&RunEntry| is_all || self.left.contains(&entry.path);
        self.entries.iter().filter(counts).filter(|_| self.is_step())
    }

    /// Returns the states of all that it changes.
    pub(super) fn states(&self) -> impl Iterator<Item = &SavedState> {
        self.entries.iter().flat_map(RunEntry::states)
    }

    /// Tells whether release 0.1.0 merged it from several: what somebody had put between these is not known.
    pub(super) fn is_united_without_copies(&self) -> bool {
        self.through.is_some() && self.format_version == FIRST_FORMAT
    }

    /// Looks for backups that are missing, or not as they were written.
    ///
    /// # Errors
    /// If the caller may not read them.
    pub(super) fn damaged_backups(&self, root: &Root) -> Result<Vec<Damage>> {
        let saved = self.steps().flat_map(RunEntry::states);
        let saved = saved.chain(self.foreign.iter().map(|copy| &copy.state));
        let found = saved.map(|saved| saved.damage(root, self.id)).filter_map(Result::transpose);
        found.collect()
    }

    /// Writes the record to the disk.
    ///
    /// # Errors
    /// If that fails.
    pub(super) fn write(&self, root: &Root, owner: Owner) -> Result<()> {
        let path = run_directory(self.id).join(JOURNAL);
        root.replace(&path, self.to_text()?.as_bytes(), &Metadata::private_file(owner))
    }

    /// Removes the backup files: the run has undone its changes.
    pub(super) fn drop_backups(&self, root: &Root) -> Result<()> {
        let directory = run_directory(self.id);
        let mut backups = self.states().filter_map(SavedState::backup);
        backups.try_for_each(|backup| root.remove_tree(&directory.join(backup)))
    }

    pub(super) fn to_text(&self) -> Result<String> {
        let this = Self { format_version: FORMAT_VERSION.to_owned(), ..self.clone() };
        let text = serde_json::to_string_pretty(&this)
            .map_err(|error| Error::new(ErrorKind::Failed, error.to_string()))?;
        let text = journal::seal(&text);
        if text.len() > MAX_FILE_BYTES {
            let message = format!(
                "the journal would be larger than {MAX_FILE_BYTES} bytes, and could not be read again"
            );
            return Err(Error::new(ErrorKind::CannotWrite, message)
                .hint("a file or directory that would be changed has very large extended attributes: see getfattr -d -m -"));
        }
        Ok(text)
    }

    /// Creates the directory of the run, with the record, the bytes that it replaces and those that it writes. The
    /// directory gets its name last, so one with that name is complete.
    ///
    /// # Errors
    /// If that fails; nothing has changed then, and nothing of the run stays.
    pub(super) fn begin(&self, root: &Root, owner: Owner, actions: &[&Action]) -> Result<()> {
        let text = self.to_text()?;
        let directory = runs_directory().join(&RunsEntry::Coming(self.id).name());
        let all = || {
            root.remove_tree(&directory)?;
            root.make_directory(&directory, &Metadata::private_directory(owner))?;
            for (action, entry) in actions.iter().zip(&self.entries) {
                for (current, saved) in
                    [(&action.before, &entry.before), (&action.resource.desired_state(), &entry.after)]
                {
                    if let (Some(bytes), Some(backup)) = (content(current), saved.backup()) {
                        root.create_private(&directory.join(backup), bytes, owner)?;
                    }
                }
            }
            root.create_private(&directory.join(JOURNAL), text.as_bytes(), owner)?;
            root.sync(&directory.join(JOURNAL))?;
            root.move_directory(&directory, &run_directory(self.id))
        };
        let result = all().and_then(|moved| match moved {
            DirectoryMove::Moved => Ok(()),
            DirectoryMove::NameTaken => {
                let run = root.display(&run_directory(self.id));
                Err(Error::new(ErrorKind::Failed, format!("{run} is in the way")))
            }
            DirectoryMove::Immovable => Err(not_moved(root, &directory)),
        });
        if result.is_err() {
            // On a full disk each retry leaves another one. Best effort: the first error is the one to report.
            root.remove_tree(&directory).unwrap_or_default();
            return result;
        }
        mark_newest(root, owner, self.id).inspect_err(|_| forget(root, owner, self.id).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of state, as release 0.1.0 writes it.
    const RELEASE_0_1_0: &str = include_str!("testdata/journal-1.0.json");

    #[test]
    fn a_record_of_0_1_0_is_read_and_written_as_it_is() {
        let json: serde_json::Value = serde_json::from_str(RELEASE_0_1_0).unwrap();
        let record: RunRecord = serde_json::from_str(RELEASE_0_1_0).unwrap();
        assert_eq!(record.verb, RunVerb::Rollback { to: 3 });
        assert_eq!(record.inputs.as_ref().unwrap().profiles, ["cis"]);
        assert_eq!(serde_json::to_value(&record).unwrap(), json);
    }

    #[test]
    fn a_record_without_the_newer_inputs_is_read() {
        let mut json: serde_json::Value = serde_json::from_str(RELEASE_0_1_0).unwrap();
        for name in ["skip", "on_foreign", "on_conflict"] {
            json["told"].as_object_mut().unwrap().remove(name);
        }
        let inputs = serde_json::from_value::<RunRecord>(json).unwrap().inputs.unwrap();
        assert_eq!((inputs.skip, inputs.on_foreign, inputs.on_conflict), (Vec::new(), None, None));
    }

    #[test]
    fn words_that_no_release_writes_are_refused() {
        for (known, unknown) in [
            ("\"sysctl\"", "\"socket\""),
            ("\"0644\"", "\"rw-r--r--\""),
            ("\"0:5\"", "\"root\""),
            ("\"6574\"", "\"65\u{e4}\""),
        ] {
            let text = RELEASE_0_1_0.replace(known, unknown);
            assert_ne!(text, RELEASE_0_1_0);
            assert!(serde_json::from_str::<RunRecord>(&text).is_err(), "{unknown}");
        }
    }
}
