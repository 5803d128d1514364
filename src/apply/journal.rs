//! The journal of one run: what it was told, what it is about to replace and by what, and how it ended.
//!
//! ```text
//! /var/lib/k3s-harden/            0700, locked while a run lasts
//!   made                          the directories that were made to hold it
//!   runs/0001/journal.json        one directory a run
//!   runs/0001/0007.before         what the 7th entry held before
//!   runs/0001/0007.after          what the run puts there
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::state::{run_directory, runs_directory, unreadable};
use crate::Role;
use crate::document::OnConflict;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Owner;
use crate::node::{Attributes, MAX_FILE_BYTES, Metadata, PathState, Root, RootedPath, SysctlKey, host};
use crate::plan::{
    Action, Content, CurrentState, Directory, DirectoryRule, File, OnForeign, PlanSubject, Resource, Sysctl,
};

/// The name of a journal in the directory of its run.
pub(super) const JOURNAL: &str = "journal.json";
const FORMAT_VERSION: &str = "1.0";

/// What a run was told on its command line; later runs on the same root default to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInputs {
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
pub enum RunState {
    /// It has written this journal and may have changed some of the entries.
    Begun,
    /// It has changed all of them.
    Committed,
    /// It failed or was killed, and all of them were put back.
    RolledBack,
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunVerb {
    /// It makes the node as it should be.
    Apply,
    /// It makes the node as it was before a run.
    Rollback {
        /// The number of that run.
        to: u32,
    },
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    format_version: String,
    /// Its number, from 1.
    pub id: u32,
    /// The last of the runs that it stands for, where older ones were united to one.
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
    /// What it is about.
    pub about: PlanSubject,
    /// The inputs that are in force after it; none on a node where no run is.
    #[serde(rename = "told")]
    pub inputs: Option<RunInputs>,
    /// Every file that this and earlier runs have written and that was not undone.
    pub written: Vec<String>,
    /// What it changes, in order.
    pub entries: Vec<RunEntry>,
}

/// A resource that a run changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEntry {
    /// Its path.
    pub path: String,
    /// `file`, `directory` or `sysctl`.
    pub resource: String,
    /// What was there before.
    pub before: SavedState,
    /// What the run puts there.
    pub after: SavedState,
}

/// What is at a path before or after a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
#[allow(
    missing_docs,
    reason = "the names say it: modes are octal text, owners uid:gid, backups files beside"
)]
pub enum SavedState {
    /// Nothing.
    Absent,
    /// A parameter that cannot be read.
    Unknown,
    /// A file, whose bytes are in `backup` beside the journal.
    File {
        mode: String,
        owner: String,
        #[serde(with = "hexadecimal")]
        attributes: Attributes,
        backup: String,
    },
    /// A directory.
    Directory {
        mode: String,
        owner: String,
        #[serde(with = "hexadecimal")]
        attributes: Attributes,
    },
    /// A symlink, whose target is in `backup`.
    Symlink { owner: String, backup: String },
    /// The value of a kernel parameter.
    Value { value: String },
}

/// What a run is, before it is known what it changes.
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
    /// Begins a journal for `actions`.
    #[must_use]
    pub(super) fn new(id: u32, head: RunHead, about: PlanSubject, actions: &[&Action]) -> Self {
        let entry = |(index, action): (usize, &&Action)| RunEntry {
            path: action.resource.path().to_string(),
            resource: action.resource.noun().to_owned(),
            before: save(&action.before, format!("{index:04}.before")),
            after: save(&action.resource.wanted(), format!("{index:04}.after")),
        };
        let entries: Vec<RunEntry> = actions.iter().enumerate().map(entry).collect();
        let mut written = head.written;
        if head.verb == RunVerb::Apply {
            let files = entries.iter().filter(|entry| entry.resource == "file");
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
        }
    }

    /// Reads the journal of a run; none where there is none yet.
    ///
    /// # Errors
    /// Where it cannot be read; one that is damaged names itself.
    pub(super) fn read(root: &Root, id: u32) -> Result<Option<Self>> {
        read(root, id)
    }

    /// Writes the journal to the disk.
    ///
    /// # Errors
    /// Where that fails.
    pub(super) fn write(&self, root: &Root, owner: Owner) -> Result<()> {
        let path = run_directory(self.id).join(JOURNAL);
        root.replace(&path, self.to_text()?.as_bytes(), &Metadata::private_file(owner))
    }

    /// Removes the bytes that were kept for undoing the run: it has undone itself.
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

    /// Makes the directory of the run, with the journal, the bytes that it replaces and those that it writes. It gets
    /// its name last: once that is there, so is all of it.
    ///
    /// # Errors
    /// Where that fails; nothing is changed then, and nothing of the run stays.
    pub(super) fn begin(&self, root: &Root, owner: Owner, actions: &[&Action]) -> Result<()> {
        let text = self.to_text()?;
        let directory = runs_directory().join(&format!(".{:04}.coming", self.id));
        let all = || {
            root.remove_tree(&directory)?;
            root.make_directory(&directory, &Metadata::private_directory(owner))?;
            for (action, entry) in actions.iter().zip(&self.entries) {
                for (current, saved) in
                    [(&action.before, &entry.before), (&action.resource.wanted(), &entry.after)]
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
            moved.then_some(()).ok_or_else(taken)
        });
        if result.is_err() {
            // On a full disk each retry would leave another one. Best effort: the first error is the one to report.
            root.remove_tree(&directory).unwrap_or_default();
        }
        result
    }
}

/// What every run has to know of the newest one, without what that has changed: a run that changes nothing spends
/// a good part of its time here.
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
    /// Reads it from the journal of a run; none where there is none yet.
    ///
    /// # Errors
    /// Where it cannot be read; one that is damaged names itself.
    pub(super) fn read(root: &Root, id: u32) -> Result<Option<Self>> {
        read(root, id)
    }
}

/// Something that says in which format it was written.
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

impl SavedState {
    /// Returns the name of the file beside the journal that holds its bytes.
    pub(super) fn backup(&self) -> Option<&str> {
        match self {
            Self::File { backup, .. } | Self::Symlink { backup, .. } => Some(backup),
            _ => None,
        }
    }

    pub(super) fn backup_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::File { backup, .. } | Self::Symlink { backup, .. } => Some(backup),
            _ => None,
        }
    }

    /// Returns what it stands for, with its bytes from the directory of run `id`.
    ///
    /// # Errors
    /// Where the bytes are not there.
    pub(super) fn load(&self, root: &Root, id: u32) -> Result<CurrentState> {
        let bytes = |backup: &String| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
            if backup.is_empty() || backup.starts_with('.') || !backup.bytes().all(plain) {
                let journal = run_directory(id).join(JOURNAL);
                return Err(unreadable(root, &journal, &format!("{backup:?} is no name of a backup")));
            }
            let path = run_directory(id).join(backup);
            root.read(&path)?.ok_or_else(|| unreadable(root, &path, "it is not there"))
        };
        Ok(match self {
            Self::Absent => CurrentState::Node(PathState::Absent),
            Self::Unknown => CurrentState::Value(Err("it could not be read".to_owned())),
            Self::File { mode, owner, attributes, backup } => CurrentState::Node(PathState::File {
                mode: mode.parse()?,
                owner: owner.parse()?,
                attributes: attributes.clone(),
                bytes: bytes(backup)?,
            }),
            Self::Directory { mode, owner, attributes } => CurrentState::Node(PathState::Directory {
                mode: mode.parse()?,
                owner: owner.parse()?,
                attributes: attributes.clone(),
            }),
            Self::Symlink { owner, backup } => CurrentState::Node(PathState::Symlink {
                owner: owner.parse()?,
                target: OsString::from_vec(bytes(backup)?),
            }),
            Self::Value { value } => CurrentState::Value(Ok(value.clone())),
        })
    }
}

fn save(current: &CurrentState, backup: String) -> SavedState {
    match current {
        CurrentState::Node(PathState::File { mode, owner, attributes, .. }) => SavedState::File {
            mode: mode.to_string(),
            owner: owner.to_string(),
            attributes: attributes.clone(),
            backup,
        },
        CurrentState::Node(PathState::Directory { mode, owner, attributes }) => SavedState::Directory {
            mode: mode.to_string(),
            owner: owner.to_string(),
            attributes: attributes.clone(),
        },
        CurrentState::Node(PathState::Symlink { owner, .. }) => {
            SavedState::Symlink { owner: owner.to_string(), backup }
        }
        CurrentState::Node(PathState::Absent | PathState::Other) => SavedState::Absent,
        CurrentState::Value(Ok(value)) => SavedState::Value { value: value.clone() },
        CurrentState::Value(Err(_)) => SavedState::Unknown,
    }
}

/// Returns the bytes of what goes into a backup.
fn content(current: &CurrentState) -> Option<&[u8]> {
    match current {
        CurrentState::Node(PathState::File { bytes, .. }) => Some(bytes),
        CurrentState::Node(PathState::Symlink { target, .. }) => Some(target.as_bytes()),
        _ => None,
    }
}

/// Bytes in hexadecimal: as a list of numbers they would take five times as much.
mod hexadecimal {
    use std::collections::BTreeMap;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::node::Attributes;

    pub(super) fn serialize<S: Serializer>(attributes: &Attributes, to: S) -> Result<S::Ok, S::Error> {
        let text = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        attributes.iter().map(|(name, bytes)| (name, text(bytes))).collect::<BTreeMap<_, _>>().serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Attributes, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(from)?;
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes = |text: &str| text.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>();
        let read = |(name, text): (String, String)| {
            bytes(&text).map(|bytes| (name, bytes)).ok_or_else(|| D::Error::custom("expected hexadecimal"))
        };
        texts.into_iter().map(read).collect()
    }
}

impl RunEntry {
    /// Tells whether the entry is about this root: the kernel that runs is another one's than an image's.
    pub(super) fn concerns(&self, root: &Root) -> bool {
        root.is_live() || self.resource != "sysctl"
    }

    /// Returns the resource as something that should be as `current`, one of the two that the entry has saved; none
    /// for a parameter that could not be read.
    ///
    /// # Errors
    /// Where the journal was damaged.
    pub(super) fn resource(&self, current: &CurrentState) -> Result<Option<Resource>> {
        let metadata = Metadata::private_file(Owner::ROOT);
        let path: RootedPath = self.path.parse()?;
        let bare = match self.resource.as_str() {
            "directory" => Resource::Directory(Directory {
                path,
                metadata,
                rule: DirectoryRule::Gone,
                controls: Vec::new(),
            }),
            "sysctl" => Resource::Sysctl(Sysctl {
                key: SysctlKey::of_file(&self.path)?,
                value: String::new(),
                controls: Vec::new(),
            }),
            _ => Resource::File(File { path, metadata, content: Content::Absent, controls: Vec::new() }),
        };
        Ok(bare.as_it_was(current))
    }
}
