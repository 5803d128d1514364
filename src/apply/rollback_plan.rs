//! The plan of a rollback: it restores the state of a node before a run.

use super::history::{ChangedPath, History};
use super::recovery::is_same;
use super::run_record::{RunEntry, RunInputs, RunRecord, RunState, RunVerb};
use super::saved_state::SavedState;
use super::state::is_above;
use crate::error::{Error, ErrorKind, Result};
use crate::node::{PathState, Root, RootedPath};
use crate::plan::{Action, Change, CurrentState, Plan, PlanSubject, Resource, ResourceKind, Sysctl};

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
    /// [`ErrorKind::Usage`] for a number that is no run's; if the history or the node cannot be read.
    pub fn find(root: &Root, history: &History, to: Option<u32>) -> Result<Option<Self>> {
        let run = match to {
            None => match history.newest_apply() {
                None => return Ok(None),
                Some(run) => run,
            },
            Some(id) => find(history, id)?,
        };
        if history.is_undone(run.id) {
            return Err(Error::new(ErrorKind::Usage, format!("run {} is undone already", run.id))
                .hint("k3s-harden history shows by which run; that one can be undone by its number"));
        }
        Self::before(root, history, run, false).map(Some)
    }

    /// Plans the rollback to the first state, after which the history is removed.
    ///
    /// # Errors
    /// If the history or the node cannot be read.
    pub fn to_the_first_state(root: &Root, history: &History) -> Result<Option<Self>> {
        let first = history.runs().iter().find(|run| run.state == RunState::Committed);
        first.map(|run| Self::before(root, history, run, true)).transpose()
    }

    fn before(root: &Root, history: &History, run: &RunRecord, ends_history: bool) -> Result<Self> {
        let earlier = history.before(run.id);
        let about = earlier.unwrap_or(run).about.clone();
        let subject = PlanSubject { root: root.path().to_owned(), ..about };
        let mut rollback = Self {
            to: run.id,
            plan: Plan { subject, actions: Vec::new(), warnings: Vec::new() },
            inputs: earlier.and_then(|run| run.inputs.clone()),
            written: earlier.map(|run| run.written.clone()).unwrap_or_default(),
            modified: Vec::new(),
        };
        for changed in history.changed_since(run.id) {
            rollback.add(root, &changed, ends_history)?;
        }
        rollback.plan.actions.sort_by_key(|action| order(&action.resource, action.change));
        Ok(rollback)
    }

    fn add(&mut self, root: &Root, changed: &ChangedPath<'_>, ends_history: bool) -> Result<()> {
        let (first, entry) = changed.entries[0];
        if !entry.concerns(root) || holds_state_directory(entry)? {
            return Ok(());
        }
        let before = entry.before.load(root, first.id)?;
        let Some(resource) = entry.resource(&before)? else { return Ok(()) };
        let action = Action::between(resource, root)?;
        let changes = action.change != Change::None;
        let expected = if changes { expected_instead(root, changed, &action, ends_history)? } else { None };
        match (expected, &action.resource) {
            (None, _) => {}
            // Another program has set it, or the system has booted since.
            (Some(_), Resource::Sysctl(sysctl)) => {
                self.plan.warnings.push(sysctl_stays(sysctl, &action.before));
                return Ok(());
            }
            (Some(expected), resource) => {
                let diff = modification(&expected, &action.before);
                self.modified.push(ModifiedPath { path: resource.path(), diff });
            }
        }
        self.plan.actions.push(action);
        Ok(())
    }
}

/// Returns the resource as the last run left it, if its state on the node is not from a run. If the rollback ends the
/// history, a state that an earlier rollback restored does not count: it may be a file of the user's that an apply had
/// replaced, and it would be lost.
fn expected_instead(
    root: &Root,
    changed: &ChangedPath<'_>,
    action: &Action,
    ends_history: bool,
) -> Result<Option<Resource>> {
    let (mut expected, mut known) = (None, false);
    for (run, entry) in &changed.entries {
        if run.verb == RunVerb::Apply || !ends_history {
            let left = entry.after.load(root, run.id)?;
            known |= is_same(&action.before, &left);
            expected = entry.resource(&left)?;
        }
    }
    let is_removed = matches!((&action.resource, action.change), (Resource::Directory(_), Change::Remove));
    Ok(expected.filter(|_| !known && !is_removed))
}

fn sysctl_stays(sysctl: &Sysctl, now: &CurrentState) -> String {
    let now = match now {
        CurrentState::Value(value) => value.as_str(),
        _ => "unknown",
    };
    let (key, value) = (&sysctl.key, &sysctl.value);
    format!("{key} is {now} by now and stays so; before the run it was {value}: sysctl -w {key}={value}")
}

fn find(history: &History, id: u32) -> Result<&RunRecord> {
    if let Some(run) = history.committed(id) {
        return Ok(run);
    }
    let numbers: Vec<String> = history
        .runs()
        .iter()
        .filter(|run| history.committed(run.id).is_some() && !history.is_undone(run.id))
        .map(|run| run.id.to_string())
        .collect();
    let mut error = Error::new(ErrorKind::Usage, format!("there is no run {id} that could be undone"));
    let merged = |run: &&RunRecord| run.through.is_some_and(|through| (run.id..=through).contains(&id));
    if let Some(run) = history.runs().iter().find(merged) {
        error = error.hint(format!("run {id} is so old that it was united with run {}", run.id));
    }
    Err(error.hint(match numbers.is_empty() {
        true => "none can".to_owned(),
        false => format!("these can: {}", numbers.join(", ")),
    }))
}

/// Tells whether an entry is a directory above the state directory: it stays as long as that does.
fn holds_state_directory(entry: &RunEntry) -> Result<bool> {
    Ok(entry.resource == ResourceKind::Directory
        && entry.before == SavedState::Absent
        && is_above(&entry.path.parse()?))
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
        CurrentState::Value(_) | CurrentState::Unreadable(_) => String::new(),
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
