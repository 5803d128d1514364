//! The way back: the plan that makes a node as it was before a run.

use super::history::{Changed, History};
use super::journal::{RunEntry, RunInputs, RunRecord, RunState, RunVerb, SavedState};
use super::recovery::is_same;
use super::state::is_above;
use crate::error::{Error, ErrorKind, Result};
use crate::node::{PathState, Root};
use crate::plan::{Action, Change, CurrentState, Plan, PlanSubject, Resource, Sysctl};

/// What a rollback would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackPlan {
    /// The run before which the node will be.
    pub to: u32,
    /// What has to change.
    pub plan: Plan,
    /// The inputs that were in force then.
    pub inputs: Option<RunInputs>,
    /// What runs had written by then.
    pub written: Vec<String>,
    /// What was changed since by somebody else, with the difference to what the last run left.
    pub disturbed: Vec<(String, String)>,
}

impl RollbackPlan {
    /// Finds the way back to before run `to`, or before the newest `apply` that is not undone; none where there is
    /// none.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a number that is no run's; where the history or the node cannot be read.
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

    /// Finds the way back to the first state, after which there will be no history.
    ///
    /// # Errors
    /// Where the history or the node cannot be read.
    pub fn to_the_first_state(root: &Root, history: &History) -> Result<Option<Self>> {
        let first = history.runs().iter().find(|run| run.state == RunState::Committed);
        first.map(|run| Self::before(root, history, run, true)).transpose()
    }

    fn before(root: &Root, history: &History, run: &RunRecord, for_good: bool) -> Result<Self> {
        let earlier = history.before(run.id);
        let about = earlier.unwrap_or(run).about.clone();
        let subject = PlanSubject { root: root.path().to_owned(), ..about };
        let mut way = Self {
            to: run.id,
            plan: Plan { subject, actions: Vec::new(), warnings: Vec::new() },
            inputs: earlier.and_then(|run| run.inputs.clone()),
            written: earlier.map(|run| run.written.clone()).unwrap_or_default(),
            disturbed: Vec::new(),
        };
        for changed in history.changed_since(run.id) {
            way.add(root, &changed, for_good)?;
        }
        way.plan.actions.sort_by_key(|action| order(&action.resource, action.change));
        Ok(way)
    }

    fn add(&mut self, root: &Root, changed: &Changed<'_>, for_good: bool) -> Result<()> {
        let (first, entry) = changed.by[0];
        if !entry.concerns(root) || leads_to_us(entry)? {
            return Ok(());
        }
        let was = entry.before.load(root, first.id)?;
        let Some(resource) = entry.resource(&was)? else { return Ok(()) };
        let action = Action::between(resource, root)?;
        let changes = action.change != Change::None;
        let left = if changes { disturbed(root, changed, &action, for_good)? } else { None };
        match (left, &action.resource) {
            (None, _) => {}
            // Somebody set it, or it was set by another boot.
            (Some(_), Resource::Sysctl(sysctl)) => {
                self.plan.warnings.push(stays(sysctl, &action.before));
                return Ok(());
            }
            (Some(left), resource) => {
                self.disturbed.push((resource.path().to_string(), difference(&left, &action.before)));
            }
        }
        self.plan.actions.push(action);
        Ok(())
    }
}

/// Returns what should be there, if what is there was not put there by a run. Where the history goes too, what a
/// rollback has brought back does not count: it may be somebody's, which an apply had replaced, and would be lost.
fn disturbed(
    root: &Root,
    changed: &Changed<'_>,
    action: &Action,
    for_good: bool,
) -> Result<Option<Resource>> {
    let (mut expected, mut known) = (None, false);
    for (run, entry) in &changed.by {
        if run.verb == RunVerb::Apply || !for_good {
            let left = entry.after.load(root, run.id)?;
            known |= is_same(&action.before, &left);
            expected = entry.resource(&left)?;
        }
    }
    let goes = matches!((&action.resource, action.change), (Resource::Directory(_), Change::Remove));
    Ok(expected.filter(|_| !known && !goes))
}

fn stays(sysctl: &Sysctl, now: &CurrentState) -> String {
    let now = match now {
        CurrentState::Value(Ok(value)) => value.as_str(),
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
    let united = |run: &&RunRecord| run.through.is_some_and(|through| (run.id..=through).contains(&id));
    if let Some(run) = history.runs().iter().find(united) {
        error = error.hint(format!("run {id} is so old that it was united with run {}", run.id));
    }
    Err(error.hint(match numbers.is_empty() {
        true => "none can".to_owned(),
        false => format!("these can: {}", numbers.join(", ")),
    }))
}

/// Directories above the state directory stay as long as it does.
fn leads_to_us(entry: &RunEntry) -> Result<bool> {
    Ok(entry.resource == "directory" && entry.before == SavedState::Absent && is_above(&entry.path.parse()?))
}

/// Directories that come back, parents first; then what is in them; then those that go, the innermost first.
fn order(resource: &Resource, change: Change) -> (u8, std::cmp::Reverse<usize>, String) {
    let path = resource.path().to_string();
    let depth = path.matches('/').count();
    match resource {
        Resource::Directory(_) if change == Change::Remove => (2, std::cmp::Reverse(depth), path),
        Resource::Directory(_) => (0, std::cmp::Reverse(usize::MAX - depth), path),
        _ => (1, std::cmp::Reverse(0), path),
    }
}

/// Returns what somebody has made of `left`, as a diff from there to what is there `now`.
fn difference(left: &Resource, now: &CurrentState) -> String {
    let CurrentState::Node(node) = now else { return String::new() };
    let Some(Resource::File(now)) = left.as_it_was(&CurrentState::Node(node.clone())) else {
        return String::new();
    };
    match left.wanted() {
        CurrentState::Node(before) => now.diff(&before).1,
        CurrentState::Value(_) => String::new(),
    }
}

/// Returns the text of a file of the plan: as it is, and as it will be.
#[must_use]
pub fn texts<'a>(action: &'a Action) -> (Option<&'a [u8]>, Option<Vec<u8>>) {
    let before: Option<&'a [u8]> = match &action.before {
        CurrentState::Node(PathState::File { bytes, .. }) => Some(bytes),
        _ => None,
    };
    let after = match action.resource.wanted() {
        CurrentState::Node(PathState::File { bytes, .. }) => Some(bytes),
        _ => None,
    };
    (before, after)
}
