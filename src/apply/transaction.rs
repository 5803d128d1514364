//! One run that changes a node, all or nothing.
//!
//! Lock → what a killed run left is put right → journal → changes → verified → committed.

use std::time::Duration;

use tracing::{debug, info_span, warn};

use super::history::{self, History, RecordedInputs};
use super::journal::{RunHead, RunInputs, RunRecord, RunState, RunVerb};
use super::recovery::{self, Recovered};
use super::state::{STATE_DIRECTORY, StateDirectory, forget, ids, runs_directory};
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Owner;
use crate::node::{PathState, Root, RootedPath, Signals, selinux};
use crate::plan::{Action, Change, CurrentState, Directory, File, Plan, Resource};

/// How a run goes about it.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// Who owns the state directory.
    pub owner: Owner,
    /// How long to wait for another run.
    pub lock_timeout: Duration,
    /// What ends it before it is done.
    pub signals: Signals,
}

/// What becomes of a run once it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepHistory {
    /// It stays in the history, with this many before it.
    History(u32),
    /// Nothing stays: an image is being built.
    Nothing,
}

/// A run that holds the lock and has changed nothing yet.
#[derive(Debug)]
pub struct Transaction<'a> {
    root: &'a Root,
    manner: ApplyOptions,
    state: StateDirectory<'a>,
    /// The directories above the state directory that were made for it, where this is the first run.
    made: Vec<RootedPath>,
    recorded: RecordedInputs,
    recovered: Option<Recovered>,
}

/// What a run has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyOutcome {
    /// The plan that was carried out.
    pub plan: Plan,
    /// The number of the run; none where there was nothing to do.
    pub id: Option<u32>,
}

/// Checks that everything in `plan` could be written, before anything is.
///
/// # Errors
/// [`ErrorKind::CannotWrite`] or [`ErrorKind::NotPermitted`] with what stands in the way.
pub fn check_writable(root: &Root, plan: &Plan) -> Result<()> {
    for action in plan.changes().filter(|action| action.resource.mode().is_some()) {
        root.check_writable(&action.resource.path())?;
    }
    root.check_writable(&runs_directory())
}

impl<'a> Transaction<'a> {
    /// Makes the state directory, takes the lock, and undoes or finishes a run that was killed.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] where another run holds the lock; where the killed run cannot be undone.
    pub fn begin(root: &'a Root, manner: ApplyOptions) -> Result<Self> {
        let state = StateDirectory::open(root, manner.owner, manner.lock_timeout, &manner.signals)?;
        history::finish_uniting(root)?;
        let made = if state.is_fresh()? { state.made()? } else { Vec::new() };
        let interrupted = RecordedInputs::read(root)?.interrupted;
        let recovered = interrupted.map(|id| recovery::recover(root, manner.owner, id)).transpose()?;
        Ok(Self { root, recorded: RecordedInputs::read(root)?, recovered, manner, state, made })
    }

    /// Returns the killed run that was put right.
    #[must_use]
    pub fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// Returns the inputs and paths that earlier runs recorded, now that no other run changes it.
    #[must_use]
    pub fn recorded(&self) -> &RecordedInputs {
        &self.recorded
    }

    /// Puts into a plan that was made since what was made for the state directory: it is wanted too, and it was not
    /// there before this run.
    pub fn include_made_directories(&self, plan: &mut Plan) {
        for action in &mut plan.actions {
            if let (true, Resource::Directory(directory)) =
                (self.made.contains(&action.resource.path()), &action.resource)
            {
                action.before = CurrentState::Node(PathState::Absent);
                (action.change, action.diff) = directory.diff(&PathState::Absent);
            }
        }
    }

    /// Carries out `plan`, which must have been made while the lock was held. With `record`, the inputs are
    /// recorded even if nothing changes. `check` has the last word on the result.
    ///
    /// # Errors
    /// Where a change or the check fails or a signal comes in; everything was put back then.
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
            if !kept && History::read(self.root)?.has_carried_out() {
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

    /// Carries out `plan`, which makes the node as it was before run `to`; `inputs` and `written` were in force then.
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
        // Nothing is shortened here: who walks back needs every step.
        Ok(ApplyOutcome { plan, id: Some(id) })
    }

    /// Removes the state directory, with the history in it.
    ///
    /// # Errors
    /// Where that fails.
    pub fn forget(self) -> Result<()> {
        self.state.remove()
    }

    /// Shortens the history. The run is done; that older ones stay longer than they should does no harm.
    fn prune(&self, runs: u32) {
        if let Err(error) = history::prune(self.root, self.manner.owner, runs) {
            warn!("the history could not be shortened: {error}");
        }
    }

    /// Where nothing should stay, runs that failed and were put back should not either.
    fn forget_failed_runs(&self, keep: KeepHistory) -> Result<()> {
        if keep == KeepHistory::Nothing && !History::read(self.root)?.has_carried_out() {
            ids(self.root)?.into_iter().try_for_each(|id| forget(self.root, id))?;
        }
        Ok(())
    }

    fn carry_out(&self, plan: &mut Plan, head: RunHead, check: &dyn Fn() -> Result<()>) -> Result<u32> {
        let (root, owner) = (self.root, self.manner.owner);
        let actions: Vec<&Action> = plan.changes().collect();
        let id = ids(root)?.last().map_or(Some(1), |last| last.checked_add(1)).ok_or_else(|| {
            Error::new(
                ErrorKind::Failed,
                format!("there are no numbers left for a run in {STATE_DIRECTORY}/runs"),
            )
        })?;
        let mut journal = RunRecord::new(id, head, plan.subject.clone(), &actions);
        self.manner.signals.check()?;
        journal.begin(root, owner, &actions)?;
        let mut not_done: Vec<(RootedPath, String)> = Vec::new();
        let mut begun = 0;
        let mut labels = None;
        let mut all = || {
            for action in &actions {
                self.manner.signals.check()?;
                begun += 1;
                not_done.extend(self.one(action)?.map(|warning| (action.resource.path(), warning)));
            }
            labels = selinux::label_new(root, &made_without_label(&actions));
            actions.iter().try_for_each(|action| action.verify(root))?;
            check()?;
            self.manner.signals.check()?;
            journal.state = RunState::Committed;
            journal.write(root, owner)
        };
        let result = all();
        if let Err(error) = result {
            // The one that failed may have changed something before it did.
            let failed = self.put_back(&actions[..begun]);
            journal.state = if failed == 0 { RunState::RolledBack } else { RunState::Begun };
            // Where even this cannot be written, the journal says that the run has begun, which is true too.
            let written = journal.write(root, owner);
            if failed == 0 && !journal.kept {
                forget(root, id).unwrap_or_default();
            } else if failed == 0 && written.is_ok() {
                // On a full disk, nothing else is as easily spared.
                journal.drop_backups(root).unwrap_or_default();
            }
            return Err(error.hint(match failed {
                0 => "everything that this run had changed was put back".to_owned(),
                _ => format!("{failed} changes could not be put back; the next run tries it again: see {STATE_DIRECTORY}/runs/{id:04}"),
            }));
        }
        for (path, warning) in not_done {
            // What could not be done is not reported as done.
            for action in plan.actions.iter_mut().filter(|action| action.resource.path() == path) {
                (action.change, action.diff) = (Change::None, String::new());
            }
            plan.warnings.push(warning);
        }
        plan.warnings.extend(labels);
        Ok(id)
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

/// Returns what is made anew and does not have a label of its own from before.
fn made_without_label(actions: &[&Action]) -> Vec<RootedPath> {
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
