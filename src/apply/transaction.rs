//! One run of `apply`, all or nothing.

use tracing::{debug, info_span};

use super::journal::{Journal, STATE_DIRECTORY, State, Told, ids, is_change, runs};
use crate::error::{Error, Kind, Result};
use crate::node::{FileMode, Lock, Node, Owner, Root, RootedPath};
use crate::plan::{Action, Change, Current, Plan, Resource};

/// A run that holds the lock and has changed nothing yet.
#[derive(Debug)]
pub struct Transaction<'a> {
    root: &'a Root,
    owner: Owner,
    made: Vec<RootedPath>,
    _lock: Lock,
}

/// What a run has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The plan that was carried out.
    pub plan: Plan,
    /// The number of the run; none where there was nothing to do.
    pub id: Option<u32>,
}

impl<'a> Transaction<'a> {
    /// Checks that everything in `plan` could be written, makes the state directory, and takes the lock.
    ///
    /// # Errors
    /// [`crate::Kind::CannotWrite`] or [`crate::Kind::NotPermitted`] before anything is changed,
    /// [`crate::Kind::Locked`] where another run holds the lock.
    pub fn begin(root: &'a Root, owner: Owner, plan: &Plan) -> Result<Self> {
        let state = RootedPath::fixed(STATE_DIRECTORY);
        for action in plan.changes().filter(|action| action.resource.mode().is_some()) {
            root.check_writable(&action.resource.path())?;
        }
        root.check_writable(&runs())?;
        let made = make_state_directories(root, owner)?;
        let lock = root.lock(&state)?;
        Ok(Self { root, owner, made, _lock: lock })
    }

    /// Carries out `plan`, which must have been made while the lock was held. With `record`, what the run was
    /// told is written down even where nothing changes.
    ///
    /// # Errors
    /// Where a change fails; everything was put back then.
    pub fn carry_out(self, mut plan: Plan, told: Told, record: bool) -> Result<Outcome> {
        // What was made for the journal was planned too, before it was there.
        for action in &mut plan.actions {
            if let (true, Resource::Directory(directory)) =
                (self.made.contains(&action.resource.path()), &action.resource)
            {
                action.before = Current::Node(Node::Absent);
                (action.change, action.diff) = directory.diff(&Node::Absent);
            }
        }
        if !plan.is_changed() && !record {
            return Ok(Outcome { plan, id: None });
        }
        let actions: Vec<&Action> = plan.actions.iter().filter(is_change).collect();
        let id = ids(self.root)?.last().map_or(Some(1), |last| last.checked_add(1)).ok_or_else(|| {
            Error::new(Kind::Failed, format!("there are no numbers left for a run in {STATE_DIRECTORY}/runs"))
        })?;
        let mut journal = Journal::new(id, told, &self.made, &actions);
        journal.begin(self.root, self.owner, &actions)?;
        let mut warnings: Vec<(RootedPath, String)> = Vec::new();
        let mut begun = 0;
        let mut all = || {
            for action in &actions {
                begun += 1;
                warnings.extend(self.one(action)?.map(|warning| (action.resource.path(), warning)));
            }
            journal.state = State::Committed;
            journal.write(self.root, self.owner)
        };
        let result = all();
        if let Err(error) = result {
            // The one that failed may have changed something before it did.
            let failed = self.put_back(&actions[..begun]);
            journal.state = if failed == 0 { State::RolledBack } else { State::Begun };
            // Where even this cannot be written, the journal says that the run has begun, which is true too.
            journal.write(self.root, self.owner).unwrap_or_default();
            return Err(error.hint(match failed {
                0 => "everything that this run had changed was put back".to_owned(),
                _ => format!("{failed} changes could not be put back: see {STATE_DIRECTORY}/runs/{id:04}"),
            }));
        }
        for (path, warning) in warnings {
            // What could not be done is not reported as done.
            for action in plan.actions.iter_mut().filter(|action| action.resource.path() == path) {
                (action.change, action.diff) = (Change::None, String::new());
            }
            plan.warnings.push(warning);
        }
        Ok(Outcome { plan, id: Some(id) })
    }

    fn one(&self, action: &Action) -> Result<Option<String>> {
        let path = action.resource.path();
        let _span = info_span!("change", %path, change = ?action.change).entered();
        if action.change == Change::Create && self.made.contains(&path) {
            return Ok(None);
        }
        debug!("begins");
        let warning = action.apply(self.root)?;
        debug!("done");
        Ok(warning)
    }

    /// Reverts, the newest first; returns how many are not as they were.
    fn put_back(&self, begun: &[&Action]) -> usize {
        let reverted = |action: &&&Action| {
            // A sync that fails again is no reason to say that the old bytes are not back.
            action.revert(self.root).is_ok()
                || action.resource.observe(self.root).is_ok_and(|now| now == action.before)
        };
        begun.iter().rev().filter(|action| !reverted(action)).count()
    }
}

/// Makes the state directory and what is missing above it; returns what was made above it.
fn make_state_directories(root: &Root, owner: Owner) -> Result<Vec<RootedPath>> {
    let runs = runs();
    let state = RootedPath::fixed(STATE_DIRECTORY);
    let mut missing = Vec::new();
    let mut above = Some(runs.clone());
    while let Some(path) = above.filter(|path| path.as_str() != "/" && !root.exists(path)) {
        above = path.parent();
        missing.push(path);
    }
    missing.reverse();
    for path in &missing {
        let ours = path.as_str().starts_with(state.as_str());
        let mode = if ours { FileMode::PRIVATE_DIRECTORY } else { FileMode::PUBLIC_DIRECTORY };
        match root.make_directory(path, mode, owner) {
            // Another run was quicker; the lock decides which of us goes on.
            Err(_) if root.exists(path) => {}
            other => other?,
        }
    }
    // One that was there already may be open to others, and backups hold what was private.
    for path in [&state, &runs] {
        let wanted = Node::Directory { mode: FileMode::PRIVATE_DIRECTORY, owner };
        if root.look_directory(path)? != wanted {
            root.set_metadata(path, FileMode::PRIVATE_DIRECTORY, owner, true)?;
        }
    }
    Ok(missing.into_iter().filter(|path| !path.as_str().starts_with(state.as_str())).collect())
}
