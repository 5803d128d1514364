//! The record of one run: its inputs, the state of each resource before and after it, and how it ended.
//!
//! ```text
//! /var/lib/k3s-harden/            0700, locked while a run lasts
//!   made                          the directories that were created to hold it
//!   runs/0001/journal.json        one directory a run
//!   runs/0001/0007.before         what the 7th entry held before
//!   runs/0001/0007.after          what the run writes there
//! ```

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::removal::RunsEntry;
use super::saved_state::{JOURNAL, SavedState, content};
use super::state::{run_directory, runs_directory, unreadable};
use crate::Role;
use crate::document::OnConflict;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Owner;
use crate::node::{DirectoryMove, MAX_FILE_BYTES, Metadata, Root, RootedPath, SysctlKey, host};
use crate::plan::{
    Action, Content, CurrentState, Directory, DirectoryRule, File, OnForeign, PlanSubject, Resource,
    ResourceKind, Sysctl,
};

const FORMAT_VERSION: &str = "1.0";

/// The inputs of a run: what the user named. Later runs on the same root default to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct RunRecord {
    format_version: String,
    /// Its number, from 1.
    pub id: u32,
    /// The last of the runs that were merged into it, if any were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<u32>,
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
}

/// A resource that a run changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEntry {
    /// Its path.
    pub path: String,
    /// Its kind.
    pub resource: ResourceKind,
    /// Its state before the run.
    pub before: SavedState,
    /// Its state after the run.
    pub after: SavedState,
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
    pub(super) fn new(id: u32, head: RunHead, about: PlanSubject, actions: &[&Action]) -> Self {
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
            id,
            through: None,
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
        }
    }

    /// Reads the record of a run; none if it has none yet.
    ///
    /// # Errors
    /// If it cannot be read; the error names a damaged file.
    pub(super) fn read(root: &Root, id: u32) -> Result<Option<Self>> {
        read(root, id)
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
        let saved = self.entries.iter().flat_map(|entry| [&entry.before, &entry.after]);
        saved.filter_map(SavedState::backup).try_for_each(|backup| root.remove_tree(&directory.join(backup)))
    }

    fn to_text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::new(ErrorKind::Failed, error.to_string()))?;
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
        let result = all().and_then(|moved| {
            let taken = || {
                let run = root.display(&run_directory(self.id));
                Error::new(ErrorKind::Failed, format!("{run} is in the way"))
            };
            (moved == DirectoryMove::Moved).then_some(()).ok_or_else(taken)
        });
        if result.is_err() {
            // On a full disk each retry leaves another one. Best effort: the first error is the one to report.
            root.remove_tree(&directory).unwrap_or_default();
        }
        result
    }
}

/// The record of a run without its entries: all that a later run reads of the newest one. A run that changes nothing
/// spends a good part of its time here.
#[derive(Debug, Deserialize)]
pub(super) struct RunSummary {
    format_version: String,
    pub(super) state: RunState,
    pub(super) kept: bool,
    #[serde(rename = "told")]
    pub(super) inputs: Option<RunInputs>,
    pub(super) written: Vec<String>,
}

impl RunSummary {
    /// Reads it from the record of a run; none if the run has none yet.
    ///
    /// # Errors
    /// If it cannot be read; the error names a damaged file.
    pub(super) fn read(root: &Root, id: u32) -> Result<Option<Self>> {
        read(root, id)
    }
}

/// A record with the version of its format.
trait Formatted: DeserializeOwned {
    fn format_version(&self) -> &str;
}

impl Formatted for RunRecord {
    fn format_version(&self) -> &str {
        &self.format_version
    }
}

impl Formatted for RunSummary {
    fn format_version(&self) -> &str {
        &self.format_version
    }
}

fn read<T: Formatted>(root: &Root, id: u32) -> Result<Option<T>> {
    let path = run_directory(id).join(JOURNAL);
    let Some(bytes) = root.read(&path)? else { return Ok(None) };
    let read: T =
        serde_json::from_slice(&bytes).map_err(|error| unreadable(root, &path, &error.to_string()))?;
    match read.format_version() {
        version if version.starts_with("1.") => Ok(Some(read)),
        version => Err(unreadable(root, &path, &format!("its format is {version}"))),
    }
}

impl RunEntry {
    /// Tells whether the entry applies to this root: the running kernel is not an image's.
    pub(super) fn concerns(&self, root: &Root) -> bool {
        root.is_live() || self.resource != ResourceKind::Sysctl
    }

    /// Returns the resource with `current`, one of the entry's two states, as its desired state; none for a kernel
    /// parameter that could not be read.
    ///
    /// # Errors
    /// If the record is damaged.
    pub(super) fn resource(&self, current: &CurrentState) -> Result<Option<Resource>> {
        let metadata = Metadata::private_file(Owner::ROOT);
        let path: RootedPath = self.path.parse()?;
        let bare = match self.resource {
            ResourceKind::Directory => Resource::Directory(Directory {
                path,
                metadata,
                rule: DirectoryRule::Absent,
                controls: Vec::new(),
            }),
            ResourceKind::Sysctl => Resource::Sysctl(Sysctl {
                key: SysctlKey::of_file(&self.path)?,
                value: String::new(),
                controls: Vec::new(),
            }),
            ResourceKind::File => {
                Resource::File(File { path, metadata, content: Content::Absent, controls: Vec::new() })
            }
        };
        Ok(bare.restored_to(current))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of state, as release 0.1.0 writes it.
    const RELEASE_0_1_0: &str = r#"{
        "format_version": "1.0", "id": 7, "through": 9, "tool": "0.1.0", "time": "2026-01-02T03:04:05Z",
        "verb": {"rollback": {"to": 3}}, "state": "rolled-back", "kept": true,
        "about": {"role": "agent", "kubernetes": "1.33", "benchmark": "1.12", "profiles": ["cis-1.12"]},
        "told": {
            "profiles": ["cis"], "k3s_version": "1.33", "role": "agent", "assignments": [["pod_max_pids", "90"]],
            "settings": "/s.yaml", "skip": ["5.2.1"], "on_foreign": "keep", "on_conflict": "ours",
            "data_dir": null, "files": {"/s.yaml": "{}\n"}
        },
        "written": ["/etc/a"],
        "entries": [
            {"path": "/etc/a", "resource": "file",
                "before": {"kind": "symlink", "owner": "0:5", "backup": "0000.before"},
                "after": {"kind": "file", "mode": "0644", "owner": "0:0",
                    "attributes": {"security.selinux": "6574"}, "backup": "0000.after"}},
            {"path": "/etc/d", "resource": "directory", "before": {"kind": "absent"},
                "after": {"kind": "directory", "mode": "0755", "owner": "1:2", "attributes": {}}},
            {"path": "/proc/sys/vm/panic_on_oom", "resource": "sysctl", "before": {"kind": "unknown"},
                "after": {"kind": "value", "value": "0"}}
        ]
    }"#;

    #[test]
    fn a_record_of_0_1_0_is_read_and_written_as_it_is() {
        let json: serde_json::Value = serde_json::from_str(RELEASE_0_1_0).unwrap();
        let record: RunRecord = serde_json::from_str(RELEASE_0_1_0).unwrap();
        assert_eq!(record.verb, RunVerb::Rollback { to: 3 });
        assert_eq!(record.inputs.as_ref().unwrap().profiles, ["cis"]);
        assert_eq!(serde_json::to_value(&record).unwrap(), json);
        let summary: RunSummary = serde_json::from_str(RELEASE_0_1_0).unwrap();
        assert_eq!((summary.state, summary.inputs), (record.state, record.inputs));
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
