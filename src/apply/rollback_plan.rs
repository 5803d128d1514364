// SPDX-License-Identifier: Apache-2.0
//! The plan of a rollback: it restores the state of a node before a run.

use super::damage::Damage;
use super::fingerprint::Fingerprint;
use super::foreign::{self, PathHistory};
use super::history::{ChangedPath, History};
use super::run_entry::RunEntry;
use super::run_record::{RunInputs, RunRecord};
use super::saved_state::SavedState;
use super::state::is_above;
use crate::error::{Error, ErrorKind, Result};
use crate::node::{PathState, Root, RootedPath};
use crate::plan::{
    Action, Change, CurrentState, Plan, PlanNotes, PlanSubject, Resource, ResourceKind, Sysctl,
};

/// The changes of a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackPlan {
    /// The run whose earlier state is restored.
    pub to: u32,
    /// The changes.
    pub plan: Plan,
    /// The inputs that were in force then.
    pub inputs: Option<RunInputs>,
    /// The paths that runs had written by then.
    pub written: Vec<String>,
    /// The paths that another program has changed since the last run.
    pub modified: Vec<ModifiedPath>,
    /// What is damaged of the runs that it undoes, or of all if it ends the history.
    pub damage: Vec<Damage>,
    /// The paths of which it cannot restore anything, each with what is damaged.
    pub unrestorable: Vec<(RootedPath, Damage)>,
    /// The paths that a damaged run may have changed before the first run that is sound and tells of them.
    pub uncertain: Vec<UncertainPath>,
    /// What somebody had put at paths between the runs, and of which the history that ends holds the only copy.
    pub only_copies: Vec<OnlyCopy>,
    /// Whether it restores the state before the first run, after which the history is removed.
    pub ends_history: bool,
}

/// A path of which it is not known what was there first: the oldest state that a sound run tells is restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UncertainPath {
    /// The path.
    pub path: RootedPath,
    /// The sound run that tells of it first.
    pub first: u32,
    /// The run before it that is damaged.
    pub damaged: u32,
}

/// Bytes of somebody's that only the history holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlyCopy {
    /// The path at which they were.
    pub path: RootedPath,
    /// The run that replaced them.
    pub run: u32,
}

/// A path that another program has changed since a run wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModifiedPath {
    /// The path.
    pub path: RootedPath,
    /// A diff from what the run left to what is there now.
    pub diff: String,
}

impl RollbackPlan {
    /// Plans the rollback to before run `to`, or before the newest `apply` that is not undone; none if there is no
    /// such run.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a number that is no run's; if the node cannot be read.
    pub fn find(root: &Root, history: &History, to: Option<u32>) -> Result<Option<Self>> {
        let run = match to {
            None => match history.newest_apply() {
                None => return Ok(None),
                Some(run) => run,
            },
            Some(id) => find(history, id)?,
        };
        if history.is_undone(run.id) {
            return Err(Error::new(ErrorKind::Usage, format!("run {} is already rolled back", run.id))
                .hint("`k3s-harden history` shows by which run; roll back that run by its number"));
        }
        Self::before(root, history, run, false).map(Some)
    }

    /// Returns the error of a number that is no run's.
    #[must_use]
    pub fn no_such_run(id: u32) -> Error {
        Error::new(ErrorKind::Usage, format!("no run {id} can be rolled back"))
    }

    /// Plans the rollback to the first state, after which the history is removed.
    ///
    /// # Errors
    /// If the node cannot be read.
    pub fn to_the_first_state(root: &Root, history: &History) -> Result<Option<Self>> {
        let first = history.steps().next();
        first.map(|run| Self::before(root, history, run, true)).transpose()
    }

    fn before(root: &Root, history: &History, run: &RunRecord, ends_history: bool) -> Result<Self> {
        let earlier = history.before(run.id);
        let about = earlier.unwrap_or(run).about.clone();
        let subject = PlanSubject { root: root.path().to_owned(), ..about };
        let mut rollback = Self {
            to: run.id,
            plan: Plan {
                subject,
                actions: Vec::new(),
                warnings: Vec::new(),
                taken_over: Vec::new(),
                notes: PlanNotes::default(),
            },
            inputs: earlier.and_then(|run| run.inputs.clone()),
            written: earlier.map(|run| run.written.clone()).unwrap_or_default(),
            modified: Vec::new(),
            damage: if ends_history { history.damage().to_vec() } else { history.damage_since(run.id) },
            unrestorable: Vec::new(),
            uncertain: Vec::new(),
            only_copies: Vec::new(),
            ends_history,
        };
        let changed = history.changed_since(run.id);
        for changed in &changed {
            rollback.add(root, history, changed)?;
        }
        if ends_history {
            for path in foreign::paths_with_copies_alone(history, &changed) {
                let path = RootedPath::recorded(path)?;
                let now = Fingerprint::of(&CurrentState::Path(root.look(&path)?));
                let runs = foreign::only_copies_alone(root, history, &path.to_string(), &now);
                rollback.only_copies.extend(runs.into_iter().map(|run| OnlyCopy { path: path.clone(), run }));
            }
        }
        rollback.plan.actions.sort_by_key(|action| order(&action.resource, action.change));
        Ok(rollback)
    }

    fn add(&mut self, root: &Root, history: &History, changed: &ChangedPath<'_>) -> Result<()> {
        let (first, entry) = changed.entries[0];
        if !entry.concerns(root) || holds_state_directory(entry)? {
            return Ok(());
        }
        let lost = self.damage.iter().filter_map(|damage| damage.run);
        let lost = lost.filter(|run| *run < first.id && !history.runs().iter().any(|sound| sound.id == *run));
        if let Some(damaged) = lost.max() {
            self.uncertain.push(UncertainPath {
                path: RootedPath::recorded(&entry.path)?,
                first: first.id,
                damaged,
            });
        }
        if let Some(damage) = entry.before.damage(root, first.id)? {
            self.unrestorable.push((RootedPath::recorded(&entry.path)?, damage));
            return Ok(());
        }
        let before = entry.before.load(root, first.id)?;
        let Some(resource) = entry.resource(&before)? else { return Ok(()) };
        let action = Action::between(resource, root)?;
        let path = PathHistory::of(root, history, changed);
        if self.ends_history {
            let runs = path.only_copies(&Fingerprint::of(&before));
            let only = runs.into_iter().map(|run| OnlyCopy { path: action.resource.path(), run });
            self.only_copies.extend(only);
        }
        if action.change != Change::None && !self.is_known(&path, &action) {
            match &action.resource {
                // Another program has set it, or the system has booted since.
                Resource::Sysctl(sysctl) => {
                    self.plan.warnings.push(sysctl_stays(sysctl, &action.before));
                    return Ok(());
                }
                // K3s has made the file anew since, with a mode of its own.
                Resource::Permissions(permissions) => {
                    self.plan.warnings.push(format!(
                        "{}: mode or owner was changed after the run, and is kept",
                        permissions.path
                    ));
                    return Ok(());
                }
                resource => {
                    let diff = left_by_last(root, changed, &action.before)?
                        .map(|left| modification(&left, &action.before));
                    self.modified
                        .push(ModifiedPath { path: resource.path(), diff: diff.unwrap_or_default() });
                }
            }
        }
        self.plan.actions.push(action);
        Ok(())
    }

    /// Tells whether what is there now is from a run. If the rollback ends the history, only what is ours counts: a rollback
    /// may have restored a file of somebody's that an apply had replaced, and it would be lost.
    fn is_known(&self, path: &PathHistory, action: &Action) -> bool {
        let now = Fingerprint::of(&action.before);
        let is_removed =
            matches!((&action.resource, action.change), (Resource::Directory(_), Change::Remove));
        let counts = |known: &Fingerprint| *known == now;
        let is_restored = || !self.ends_history && path.left.iter().any(counts);
        is_removed || path.ours.iter().any(counts) || is_restored()
    }
}

/// Returns the resource as the last run left it that left anything else than what is there `now`; none if its bytes are
/// damaged.
fn left_by_last(root: &Root, changed: &ChangedPath<'_>, now: &CurrentState) -> Result<Option<Resource>> {
    let now = Fingerprint::of(now);
    let differs =
        |(run, entry): &&(&RunRecord, &RunEntry)| Fingerprint::of_saved(root, run.id, &entry.after) != now;
    let Some((run, entry)) = changed.entries.iter().rev().find(differs) else { return Ok(None) };
    match entry.after.damage(root, run.id)? {
        Some(_) => Ok(None),
        None => entry.resource(&entry.after.load(root, run.id)?),
    }
}

fn sysctl_stays(sysctl: &Sysctl, now: &CurrentState) -> String {
    let now = match now {
        CurrentState::Value(value) => value.as_str(),
        _ => "unknown",
    };
    let (key, value) = (&sysctl.key, &sysctl.value);
    format!(
        "{key} is now {now} and is not changed. To restore the value from before the run ({value}): sysctl -w {key}={value}"
    )
}

fn find(history: &History, id: u32) -> Result<&RunRecord> {
    if let Some(run) = history.step(id) {
        return Ok(run);
    }
    let numbers: Vec<String> = history
        .runs()
        .iter()
        .filter(|run| history.step(run.id).is_some() && !history.is_undone(run.id))
        .map(|run| run.id.to_string())
        .collect();
    let mut error = RollbackPlan::no_such_run(id);
    let merged = |run: &&RunRecord| run.through.is_some_and(|through| (run.id..=through).contains(&id));
    if let Some(run) = history.runs().iter().find(merged) {
        error = error.hint(format!("run {id} is too old: it was merged into run {}", run.id));
    }
    Err(error.hint(match numbers.is_empty() {
        true => "no run can be rolled back".to_owned(),
        false => format!("these runs can be rolled back: {}", numbers.join(", ")),
    }))
}

/// Tells whether an entry is a directory above the state directory: it stays as long as that does.
fn holds_state_directory(entry: &RunEntry) -> Result<bool> {
    Ok(entry.resource == ResourceKind::Directory
        && entry.before == SavedState::Absent
        && is_above(&RootedPath::recorded(&entry.path)?))
}

/// Sorts restored directories first, parents before children, then files, then removed directories, the innermost first.
fn order(resource: &Resource, change: Change) -> (u8, std::cmp::Reverse<usize>, String) {
    let path = resource.path().to_string();
    let depth = path.matches('/').count();
    match resource {
        Resource::Directory(_) if change == Change::Remove => (2, std::cmp::Reverse(depth), path),
        Resource::Directory(_) => (0, std::cmp::Reverse(usize::MAX - depth), path),
        _ => (1, std::cmp::Reverse(0), path),
    }
}

/// Returns a diff from the state that a run left to the state `now`.
fn modification(left: &Resource, now: &CurrentState) -> String {
    let CurrentState::Path(node) = now else { return String::new() };
    let Some(Resource::File(now)) = left.restored_to(&CurrentState::Path(node.clone())) else {
        return String::new();
    };
    match left.desired_state() {
        CurrentState::Path(before) => now.diff(&before).1,
        _ => String::new(),
    }
}

/// Returns the content of a file of a plan, before and after its action.
#[must_use]
pub fn texts<'a>(action: &'a Action) -> (Option<&'a [u8]>, Option<Vec<u8>>) {
    let before: Option<&'a [u8]> = match &action.before {
        CurrentState::Path(PathState::File { bytes, .. }) => Some(bytes),
        _ => None,
    };
    let after = match action.resource.desired_state() {
        CurrentState::Path(PathState::File { bytes, .. }) => Some(bytes),
        _ => None,
    };
    (before, after)
}
