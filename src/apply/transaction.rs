//! One run that changes a node: all of its plan, or nothing.
//!
//! Lock → recovery of a killed run → record → changes → verified → committed.

use std::time::Duration;

use tracing::{debug, info_span, warn};

use super::history::{self, History, RecordedInputs};
use super::recovery::{self, Recovered};
use super::run_record::{RunHead, RunInputs, RunRecord, RunState, RunVerb};
use super::state::{STATE_DIRECTORY, StateDirectory, forget, ids, runs_directory};
use super::temporaries;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Owner;
use crate::node::{PathState, Root, RootedPath, Signals, selinux};
use crate::plan::{Action, Change, CurrentState, Directory, File, Plan, Resource};

/// The options of a run.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// The owner of the state directory.
    pub owner: Owner,
    /// How long to wait for another run.
    pub lock_timeout: Duration,
    /// The signals that end it early.
    pub signals: Signals,
}

/// What is kept of a run after it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepHistory {
    /// The run, and this many before it.
    History(u32),
    /// Nothing: an image is being built.
    Nothing,
}

/// A run that holds the lock and has changed nothing yet.
#[derive(Debug)]
pub struct Transaction<'a> {
    root: &'a Root,
    options: ApplyOptions,
    state: StateDirectory<'a>,
    /// The directories that were created for the state directory, if this is the first run.
    made: Vec<RootedPath>,
    recorded: RecordedInputs,
    recovered: Option<Recovered>,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyOutcome {
    /// The plan that was carried out.
    pub plan: Plan,
    /// The number of the run; none if nothing changed.
    pub id: Option<u32>,
}

/// Checks that everything in `plan` can be written, before anything is.
///
/// # Errors
/// [`ErrorKind::CannotWrite`] or [`ErrorKind::NotPermitted`] with the path that cannot.
pub fn check_writable(root: &Root, plan: &Plan) -> Result<()> {
    for action in plan.changes().filter(|action| action.resource.mode().is_some()) {
        root.check_writable(&action.resource.path())?;
    }
    root.check_writable(&runs_directory())
}

impl<'a> Transaction<'a> {
    /// Creates the state directory, takes the lock, and recovers a run that was killed.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if another run holds the lock; if the killed run cannot be undone.
    pub fn begin(root: &'a Root, options: ApplyOptions) -> Result<Self> {
        let state = StateDirectory::open(root, options.owner, options.lock_timeout, &options.signals)?;
        history::finish_merge(root)?;
        let made = if state.is_fresh()? { state.made()? } else { Vec::new() };
        let interrupted = RecordedInputs::read(root)?.interrupted;
        let recovered = interrupted.map(|id| recovery::recover(root, options.owner, id)).transpose()?;
        Ok(Self { root, recorded: RecordedInputs::read(root)?, recovered, options, state, made })
    }

    /// Returns the killed run that was recovered.
    #[must_use]
    pub fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// Returns the inputs and paths that earlier runs recorded; no other run changes them now.
    #[must_use]
    pub fn recorded(&self) -> &RecordedInputs {
        &self.recorded
    }

    /// Marks the directories that were created for the state directory as created by the plan: they are in the plan too,
    /// and did not exist before this run.
    pub fn include_made_directories(&self, plan: &mut Plan) {
        for action in &mut plan.actions {
            if let (true, Resource::Directory(directory)) =
                (self.made.contains(&action.resource.path()), &action.resource)
            {
                action.before = CurrentState::Path(PathState::Absent);
                (action.change, action.diff) = directory.diff(&PathState::Absent);
            }
        }
    }

    /// Carries out `plan`, which must be made while the lock is held. With `record`, the inputs are
    /// recorded even if nothing changes. `check` decides
    /// whether the result stays.
    ///
    /// # Errors
    /// If a change or the check fails or a signal arrives; everything is restored then.
    pub fn apply(
        self,
        mut plan: Plan,
        inputs: RunInputs,
        record: bool,
        keep: KeepHistory,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<ApplyOutcome> {
        let kept = keep != KeepHistory::Nothing;
        if plan.is_changed() || (record && kept) {
            if !kept && History::read(self.root)?.has_committed() {
                return Err(Error::new(ErrorKind::Usage, "--no-history: there is a history here already, and a change that is not in it could not be undone")
                    .hint("leave --no-history out, or end the history first: k3s-harden uninstall"));
            }
            let written = self.recorded.paths.iter().map(ToString::to_string).collect();
            let head = RunHead { verb: RunVerb::Apply, kept, inputs: Some(inputs), written };
            let id = self.carry_out(&mut plan, head, check)?;
            match keep {
                KeepHistory::History(runs) => self.prune(runs),
                KeepHistory::Nothing => forget(self.root, id)?,
            }
            self.forget_failed_runs(keep)?;
            return Ok(ApplyOutcome { plan, id: Some(id) });
        }
        self.forget_failed_runs(keep)?;
        Ok(ApplyOutcome { plan, id: None })
    }

    /// Carries out `plan`, which restores the state before run `to`; `inputs` and `written` were in force then.
    ///
    /// # Errors
    /// As with [`Transaction::apply`].
    pub fn roll_back(
        &self,
        mut plan: Plan,
        to: u32,
        inputs: Option<RunInputs>,
        written: Vec<String>,
    ) -> Result<ApplyOutcome> {
        let head = RunHead { verb: RunVerb::Rollback { to }, kept: true, inputs, written };
        let id = self.carry_out(&mut plan, head, &|| Ok(()))?;
        // A rollback merges no runs: a later rollback may need each of them.
        Ok(ApplyOutcome { plan, id: Some(id) })
    }

    /// Removes the state directory, with the history in it.
    ///
    /// # Errors
    /// If that fails.
    pub fn forget(self) -> Result<()> {
        if let Ok(history) = History::read(self.root) {
            temporaries::sweep(self.root, &temporaries::paths_of_runs(history.runs()));
        }
        self.state.remove()
    }

    /// Shortens the history. A failure is only a warning: the run is done, and more history does no harm.
    fn prune(&self, runs: u32) {
        if let Err(error) = history::prune(self.root, self.options.owner, runs) {
            warn!("the history could not be shortened: {error}");
        }
    }

    /// Removes failed runs too if nothing is kept.
    fn forget_failed_runs(&self, keep: KeepHistory) -> Result<()> {
        if keep == KeepHistory::Nothing && !History::read(self.root)?.has_committed() {
            ids(self.root)?.into_iter().try_for_each(|id| forget(self.root, id))?;
        }
        Ok(())
    }

    fn carry_out(&self, plan: &mut Plan, head: RunHead, check: &dyn Fn() -> Result<()>) -> Result<u32> {
        let (root, owner) = (self.root, self.options.owner);
        let actions: Vec<&Action> = plan.changes().collect();
        let id = ids(root)?.last().map_or(Some(1), |last| last.checked_add(1)).ok_or_else(|| {
            Error::new(
                ErrorKind::Failed,
                format!("there are no numbers left for a run in {STATE_DIRECTORY}/runs"),
            )
        })?;
        temporaries::sweep(root, &temporaries::paths_of(plan, &self.recorded.paths));
        let mut record = RunRecord::new(id, head, plan.subject.clone(), &actions);
        self.options.signals.check()?;
        record.begin(root, owner, &actions)?;
        let mut not_done: Vec<(RootedPath, String)> = Vec::new();
        let mut begun = 0;
        let mut labels = None;
        let mut change_all = || {
            for action in &actions {
                self.options.signals.check()?;
                begun += 1;
                not_done.extend(self.apply_action(action)?.map(|warning| (action.resource.path(), warning)));
            }
            labels = selinux::label_new(root, &created_without_label(&actions));
            actions.iter().try_for_each(|action| action.verify(root))?;
            check()?;
            self.options.signals.check()?;
            record.state = RunState::Committed;
            record.write(root, owner)
        };
        let result = change_all();
        if let Err(error) = result {
            // The action that failed may have changed something.
            let failed = self.revert_all(&actions[..begun]);
            record.state = if failed == 0 { RunState::RolledBack } else { RunState::Begun };
            // If even this cannot be written, the record still says that the run has begun, which is true.
            let written = record.write(root, owner);
            if failed == 0 && !record.kept {
                forget(root, id).unwrap_or_default();
            } else if failed == 0 && written.is_ok() {
                // A full disk needs the space.
                record.drop_backups(root).unwrap_or_default();
            }
            return Err(error.hint(match failed {
                0 => "everything that this run had changed was put back".to_owned(),
                _ => format!("{failed} changes could not be put back; the next run tries it again: see {STATE_DIRECTORY}/runs/{id:04}"),
            }));
        }
        for (path, warning) in not_done {
            // A change that was not made is not reported as made.
            for action in plan.actions.iter_mut().filter(|action| action.resource.path() == path) {
                (action.change, action.diff) = (Change::None, String::new());
            }
            plan.warnings.push(warning);
        }
        plan.warnings.extend(labels);
        Ok(id)
    }

    fn apply_action(&self, action: &Action) -> Result<Option<String>> {
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

    /// Reverts the actions, the last one first; returns how many could not be reverted.
    fn revert_all(&self, begun: &[&Action]) -> usize {
        let reverted = |action: &&&Action| {
            // If only the sync fails again, the old bytes are restored all the same.
            action.revert(self.root).is_ok()
                || action.resource.observe(self.root).is_ok_and(|now| now == action.before)
        };
        begun.iter().rev().filter(|action| !reverted(action)).count()
    }
}

/// Returns the created paths that have no label from an earlier state.
fn created_without_label(actions: &[&Action]) -> Vec<RootedPath> {
    let unlabelled = |action: &&&Action| {
        let (Resource::File(File { metadata, .. }) | Resource::Directory(Directory { metadata, .. })) =
            &action.resource
        else {
            return false;
        };
        action.change == Change::Create && metadata.attributes.is_none()
    };
    actions.iter().filter(unlabelled).map(|action| action.resource.path()).collect()
}
