// SPDX-License-Identifier: Apache-2.0
//! Desired and observed state, merged into the value that `plan`, `apply` and every output read.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::desired::{Desired, PlanSubject};
use super::file::{Content, File};
use super::notes::PlanNotes;
use super::resource::{Action, CurrentState, Resource};
use crate::document::{ChangeRow, Release, UsersPart, changes, has_header, written_by};
use crate::error::{Error, ErrorKind, Result};
use crate::node::{MAX_FILE_BYTES, PathState, Root, RootedPath};

/// The observed state: that of each resource, in the order of the desired state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed(Vec<CurrentState>);

impl Observed {
    /// Reads the state of every resource of `desired`.
    ///
    /// # Errors
    /// If one cannot be read, or something else is in its place.
    pub fn read(desired: &Desired, root: &Root) -> Result<Self> {
        let states = desired.resources.iter().map(|resource| resource.observe_as_needed(root));
        states.collect::<Result<_>>().map(Self)
    }
}

/// What happens to an existing file that k3s-harden did not write (`--on-foreign`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnForeign {
    /// Merge a file of a known kind; replace any other file, with a warning.
    #[default]
    Merge,
    /// Replace it, with a warning; rollback restores it.
    Replace,
    /// Keep it, with a warning.
    Keep,
    /// Stop with an error.
    Fail,
}

/// What decides about files that k3s-harden did not write.
#[derive(Debug, Clone, Default)]
pub struct ForeignFiles {
    /// What happens to them.
    pub on_foreign: OnForeign,
    /// Paths that earlier runs wrote: these files belong to k3s-harden, whatever they hold.
    pub recorded: BTreeSet<RootedPath>,
    /// The bytes of those that were united with ours.
    pub united: BTreeMap<RootedPath, Vec<u8>>,
    /// Whether the run keeps what it replaces.
    pub is_kept: bool,
}

/// What changes on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The node and the profile.
    pub subject: PlanSubject,
    /// One action for each resource, parents first.
    pub actions: Vec<Action>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// What of the user's in other files is taken over, or contradicts ours.
    pub taken_over: Vec<UsersPart>,
    /// What it tells beside its changes.
    pub notes: PlanNotes,
}

impl Plan {
    /// Merges the desired with the observed state.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`] for a file that k3s-harden did not write, with [`OnForeign::Fail`], and for one that has changed since
    /// it was united with ours.
    pub fn between(desired: Desired, observed: Observed, foreign: &ForeignFiles) -> Result<Self> {
        let mut plan = Self {
            subject: desired.subject,
            actions: Vec::new(),
            warnings: Vec::new(),
            taken_over: Vec::new(),
            notes: PlanNotes::default(),
        };
        for (mut resource, before) in desired.resources.into_iter().zip(observed.0) {
            // A file without the header gets it: `--only` reads files with a header.
            let is_overwritten = is_overwritten(&resource, &before, foreign);
            if let (Resource::File(file), CurrentState::Path(node)) = (&mut resource, &before)
                && matches!(node, PathState::File { bytes, .. } if has_header(bytes))
            {
                file.keep_equivalent(node);
            }
            let (mut change, mut diff) = resource.diff(&before);
            if change == Change::Update && matches!(before, CurrentState::Path(PathState::Large { .. })) {
                refuse_large(&resource, &before, foreign)?;
            }
            let is_united = foreign.united.contains_key(&resource.path());
            if is_united && change != Change::None {
                check_united(&resource, &before, foreign)?;
            }
            if let (Resource::File(file), true) = (&resource, is_foreign(&resource, &before, foreign)) {
                let path = &file.path;
                match (change, foreign.on_foreign) {
                    (Change::None, _) => {}
                    // A file that k3s-harden did not write is not removed.
                    (Change::Remove, _) => (change, diff) = (Change::None, String::new()),
                    (_, OnForeign::Merge) if is_united => plan.warnings.push(format!(
                        "{path} was not written by k3s-harden: it is merged with k3s-harden's, and {}; to keep the file unchanged: --on-foreign keep",
                        foreign.kept_words()
                    )),
                    (_, OnForeign::Merge | OnForeign::Replace) => plan.warnings.push(format!(
                        "{path} was not written by k3s-harden: it is replaced, and {}; to keep the file: --on-foreign keep",
                        foreign.kept_words()
                    )),
                    (_, OnForeign::Keep) => {
                        plan.warnings.push(format!("{path} was not written by k3s-harden and is kept: the settings of this file are not applied"));
                        (change, diff) = (Change::None, String::new());
                    }
                    (_, OnForeign::Fail) => {
                        return Err(Error::new(ErrorKind::Failed, format!("{path} was not written by k3s-harden"))
                            .hint(match foreign.is_kept {
                                true => "to back it up and replace it: --on-foreign replace; to keep it: --on-foreign keep",
                                false => "to replace it without a backup (--no-history): --on-foreign replace; to keep it: --on-foreign keep",
                            }));
                    }
                }
            }
            if change == Change::Update && is_overwritten {
                let path = resource.path();
                plan.warnings.push(format!(
                    "{path} was overwritten since k3s-harden wrote it: it is {}, and {}",
                    if is_united { "merged with k3s-harden's" } else { "replaced" },
                    match foreign.is_kept {
                        true => "can be restored by a rollback",
                        false => "not backed up, because this run keeps no history (--no-history)",
                    }
                ));
            }
            if let (Resource::Sysctl(sysctl), CurrentState::Unreadable(reason)) = (&resource, &before) {
                plan.warnings.push(sysctl.warning(reason));
            }
            plan.actions.push(Action { resource, before, change, diff });
        }
        // Files to remove that do not exist are not part of the plan.
        plan.actions.retain(|action| {
            !matches!(&action.resource, Resource::File(file) if file.content == Content::Absent && action.change == Change::None)
        });
        Ok(plan)
    }

    /// Returns the actions that change something.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &Action> {
        self.actions.iter().filter(|action| action.change != Change::None)
    }

    /// Returns the rows of the table of changes that an action carries out on a node that an earlier version hardened.
    #[must_use]
    pub fn changed_since(&self, action: &Action) -> Vec<&'static ChangeRow> {
        self.changed_by(changes(), action)
    }

    /// A file that is not there yet is judged by the newest of the others.
    fn changed_by<'a>(&self, rows: &'a [ChangeRow], action: &Action) -> Vec<&'a ChangeRow> {
        if rows.is_empty() || action.change == Change::None {
            return Vec::new();
        }
        let newest = || self.actions.iter().filter_map(writer).max();
        let Some(version) = writer(action).or_else(newest) else { return Vec::new() };
        let PlanSubject { role, kubernetes, .. } = &self.subject;
        let path = action.resource.path();
        let (before, after) = contents(action);
        rows.iter()
            .filter(|row| row.concerns(*role, *kubernetes, &path, version) && row.is_in(before, after))
            .collect()
    }

    /// Tells whether anything changes.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.changes().next().is_some()
    }
}

impl ForeignFiles {
    fn kept_words(&self) -> &'static str {
        match self.is_kept {
            true => "backed up under /var/lib/k3s-harden",
            false => "not backed up, because this run keeps no history (--no-history)",
        }
    }
}

/// Refuses to go on where a file is no longer what was united with ours.
fn check_united(resource: &Resource, before: &CurrentState, foreign: &ForeignFiles) -> Result<()> {
    let path = resource.path();
    let is_same = match before {
        CurrentState::Path(PathState::File { bytes, .. }) => foreign.united.get(&path) == Some(bytes),
        // What a link leads to is not compared: it stays as it is.
        CurrentState::Path(PathState::Symlink { .. }) => true,
        _ => false,
    };
    if is_same {
        return Ok(());
    }
    let message = format!("{path} has changed while it was read, and nothing was changed");
    Err(Error::new(ErrorKind::Failed, message).hint("run it again"))
}

/// Refuses to replace a file that is too large to be backed up.
fn refuse_large(resource: &Resource, before: &CurrentState, foreign: &ForeignFiles) -> Result<()> {
    let is_foreign = is_foreign(resource, before, foreign);
    if is_foreign && matches!(foreign.on_foreign, OnForeign::Keep | OnForeign::Fail) {
        return Ok(());
    }
    let message = format!(
        "{} is larger than {MAX_FILE_BYTES} bytes, so it cannot be backed up, and is not replaced",
        resource.path()
    );
    let error = Error::new(ErrorKind::BadInput, message).hint("move it away");
    Err(if is_foreign { error.hint("--on-foreign keep leaves it as it is") } else { error })
}

/// Returns the bytes of a file before and after an action.
pub(super) fn contents(action: &Action) -> (&[u8], &[u8]) {
    let before = match &action.before {
        CurrentState::Path(PathState::File { bytes, .. }) => bytes.as_slice(),
        _ => &[],
    };
    let after = match &action.resource {
        Resource::File(File { content: Content::Bytes(bytes), .. }) => bytes.as_slice(),
        _ => &[],
    };
    (before, after)
}

/// Returns the version that wrote the current file.
fn writer(action: &Action) -> Option<Release> {
    match &action.before {
        CurrentState::Path(PathState::File { bytes, .. }) => written_by(bytes),
        _ => None,
    }
}

fn is_foreign(resource: &Resource, before: &CurrentState, foreign: &ForeignFiles) -> bool {
    match before {
        CurrentState::Path(PathState::File { bytes, .. }) => {
            !has_header(bytes) && !foreign.recorded.contains(&resource.path())
        }
        CurrentState::Path(PathState::Large { .. }) => !foreign.recorded.contains(&resource.path()),
        CurrentState::Path(PathState::Symlink { .. }) => true,
        _ => false,
    }
}

/// Tells whether a recorded file has lost its header.
fn is_overwritten(resource: &Resource, before: &CurrentState, foreign: &ForeignFiles) -> bool {
    let is_recorded = foreign.recorded.contains(&resource.path());
    is_recorded && matches!(before, CurrentState::Path(PathState::File { bytes, .. }) if !has_header(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;
    use crate::mode::Owner;
    use crate::node::{Attributes, Metadata};
    use crate::plan::File;

    fn action(path: &str, there: Option<&str>, wanted: &str) -> Action {
        let before = there.map_or(PathState::Absent, |text| PathState::File {
            mode: "0600".parse().unwrap(),
            owner: Owner::ROOT,
            attributes: Attributes::new(),
            bytes: text.into(),
        });
        let resource = Resource::File(File {
            path: RootedPath::fixed(path),
            metadata: Metadata::private_file(Owner::ROOT),
            content: Content::Bytes(wanted.into()),
            controls: Vec::new(),
        });
        let before = CurrentState::Path(before);
        let (change, diff) = resource.diff(&before);
        Action { resource, before, change, diff }
    }

    #[test]
    fn an_action_names_the_rows_behind_it() {
        const WRITTEN: &str = "# About.\n# Written by k3s-harden 0.1.0 from profile cis-1.12.\na: 1\n";
        let rows: Vec<ChangeRow> = serde_yaml::from_str(
            "[{since: 0.1.0, path: server/audit.yaml, what: one, why: w}, \
              {since: 0.1.0, path: server/new.yaml, what: two, why: w}, \
              {since: 0.0.9, path: server/audit.yaml, what: older, why: w}]",
        )
        .unwrap();
        let about = PlanSubject {
            root: "/".into(),
            role: Role::Server,
            kubernetes: "1.33".parse().unwrap(),
            benchmark: "1.12".to_owned(),
            profiles: Vec::new(),
        };
        let named = |actions: Vec<Action>, index: usize| {
            let plan = Plan {
                subject: about.clone(),
                actions,
                warnings: Vec::new(),
                taken_over: Vec::new(),
                notes: PlanNotes::default(),
            };
            let named = plan.changed_by(&rows, &plan.actions[index]);
            named.into_iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let audit = |there| action("/k3s/server/audit.yaml", there, "a: 2\n");
        let new = action("/k3s/server/new.yaml", None, "b: 1\n");
        assert_eq!(named(vec![audit(Some(WRITTEN))], 0), ["changed since 0.1.0: one"]);
        assert_eq!(named(vec![audit(Some(WRITTEN)), new.clone()], 1), ["changed since 0.1.0: two"]);
        // A file that another program wrote, a node without files of k3s-harden, and a file that stays.
        assert!(named(vec![audit(Some("a: 1\n"))], 0).is_empty());
        assert!(named(vec![audit(None), new], 1).is_empty());
        assert!(named(vec![action("/k3s/server/audit.yaml", Some(WRITTEN), WRITTEN)], 0).is_empty());
    }
}
