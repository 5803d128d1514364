//! The way back: the plan that makes a node as it was before a run.

use super::history::{Changed, History};
use super::journal::{Entry, Journal, Saved, State, Told};
use super::recovery::is_same;
use super::state::is_above;
use crate::error::{Error, Kind, Result};
use crate::node::{Node, Root};
use crate::plan::{Action, Change, Current, Plan, Resource, Subject};

/// What a rollback would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBack {
    /// The run before which the node will be.
    pub to: u32,
    /// What has to change.
    pub plan: Plan,
    /// What was told when the node was so.
    pub told: Option<Told>,
    /// What runs had written by then.
    pub written: Vec<String>,
    /// What was changed since by somebody else, with the difference to what the last run left.
    pub disturbed: Vec<(String, String)>,
}

impl WayBack {
    /// Finds the way back to before run `to`, or before the newest `apply` that is not undone; none where there is
    /// none.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a number that is no run's; where the history or the node cannot be read.
    pub fn find(root: &Root, history: &History, to: Option<u32>) -> Result<Option<Self>> {
        let run = match to {
            None => match history.newest_apply() {
                None => return Ok(None),
                Some(run) => run,
            },
            Some(id) => find(history, id)?,
        };
        if history.is_undone(run.id) {
            return Err(Error::new(Kind::Usage, format!("run {} is undone already", run.id))
                .hint("k3s-harden history shows by which run; that one can be undone by its number"));
        }
        Self::before(root, history, run).map(Some)
    }

    /// Finds the way back to the first state.
    ///
    /// # Errors
    /// Where the history or the node cannot be read.
    pub fn to_the_first_state(root: &Root, history: &History) -> Result<Option<Self>> {
        let first = history.runs().iter().find(|run| run.state == State::Committed);
        first.map(|run| Self::before(root, history, run)).transpose()
    }

    fn before(root: &Root, history: &History, run: &Journal) -> Result<Self> {
        let earlier = history.before(run.id);
        let about = earlier.unwrap_or(run).about.clone();
        let subject = Subject { root: root.path().to_owned(), ..about };
        let mut way = Self {
            to: run.id,
            plan: Plan { subject, actions: Vec::new(), warnings: Vec::new() },
            told: earlier.and_then(|run| run.told.clone()),
            written: earlier.map(|run| run.written.clone()).unwrap_or_default(),
            disturbed: Vec::new(),
        };
        for changed in history.changed_since(run.id) {
            way.add(root, changed)?;
        }
        way.plan.actions.sort_by_key(|action| order(&action.resource, action.change));
        Ok(way)
    }

    fn add(&mut self, root: &Root, changed: Changed<'_>) -> Result<()> {
        let ((first, entry), (last, expected)) = (changed.first, changed.last);
        if is_not_ours_to_undo(root, entry)? {
            return Ok(());
        }
        let was = entry.before.load(root, first)?;
        let Some(resource) = entry.resource(&was)? else { return Ok(()) };
        let action = Action::between(resource, root)?;
        let left = expected.after.load(root, last)?;
        if action.change == Change::None || is_same(&action.before, &left) {
            self.plan.actions.push(action);
            return Ok(());
        }
        match (&action.resource, expected.resource(&left)?) {
            // A kernel parameter that has another value by now was set by somebody, or by another boot.
            (Resource::Sysctl(sysctl), _) => {
                let now = match &action.before {
                    Current::Value(Ok(value)) => value.clone(),
                    _ => "unknown".to_owned(),
                };
                let (key, value) = (&sysctl.key, &sysctl.value);
                self.plan.warnings.push(format!(
                    "{key} is {now} by now and stays so; before the run it was {value}: sysctl -w {key}={value}"
                ));
                return Ok(());
            }
            // A directory's label or mode is nobody's content.
            (Resource::Directory(_), _) | (_, None) => {}
            (Resource::File(_), Some(left)) => {
                self.disturbed.push((action.resource.path().to_string(), difference(&left, &action.before)));
            }
        }
        self.plan.actions.push(action);
        Ok(())
    }
}

fn find(history: &History, id: u32) -> Result<&Journal> {
    if let Some(run) = history.committed(id) {
        return Ok(run);
    }
    let numbers: Vec<String> = history
        .runs()
        .iter()
        .filter(|run| history.committed(run.id).is_some() && !history.is_undone(run.id))
        .map(|run| run.id.to_string())
        .collect();
    let mut error = Error::new(Kind::Usage, format!("there is no run {id} that could be undone"));
    let united = |run: &&Journal| run.through.is_some_and(|through| (run.id..=through).contains(&id));
    if let Some(run) = history.runs().iter().find(united) {
        error = error.hint(format!("run {id} is so old that it was united with run {}", run.id));
    }
    Err(error.hint(match numbers.is_empty() {
        true => "none can".to_owned(),
        false => format!("these can: {}", numbers.join(", ")),
    }))
}

/// Directories above the state directory stay as long as it does; the running kernel is another one's than an
/// image's.
fn is_not_ours_to_undo(root: &Root, entry: &Entry) -> Result<bool> {
    Ok(match (entry.resource.as_str(), &entry.before) {
        ("directory", Saved::Absent) => is_above(&entry.path.parse()?),
        ("sysctl", _) => !root.is_live(),
        _ => false,
    })
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
fn difference(left: &Resource, now: &Current) -> String {
    let Current::Node(node) = now else { return String::new() };
    let Some(Resource::File(now)) = left.as_it_was(&Current::Node(node.clone())) else {
        return String::new();
    };
    match left.wanted() {
        Current::Node(before) => now.diff(&before).1,
        Current::Value(_) => String::new(),
    }
}

/// Returns the text of a file of the plan: as it is, and as it will be.
#[must_use]
pub fn texts<'a>(action: &'a Action) -> (Option<&'a [u8]>, Option<Vec<u8>>) {
    let before: Option<&'a [u8]> = match &action.before {
        Current::Node(Node::File { bytes, .. }) => Some(bytes),
        _ => None,
    };
    let after = match action.resource.wanted() {
        Current::Node(Node::File { bytes, .. }) => Some(bytes),
        _ => None,
    };
    (before, after)
}
