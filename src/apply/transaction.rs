// SPDX-License-Identifier: Apache-2.0
//! One run that changes a node: all of its plan, or nothing.
//!
//! Lock → recovery of a killed run → record → changes → verified → committed.

use std::time::Duration;

use tracing::{debug, info_span, warn};

use super::damage::Damage;
use super::history::History;
use super::recorded_inputs::RecordedInputs;
use super::recovery::{self, Recovered};
use super::run_journal::FoundRun;
use super::run_list::{RunList, forget, next_number};
use super::run_record::{RunHead, RunInputs, RunRecord, RunState, RunVerb};
use super::state::{StateDirectory, foreign_in_state, runs_directory, state_directory, what_is_left};
use super::strangers;
use super::temporaries;
use super::undone::{self, Undone};
use super::uniting;
use crate::document::has_header;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Owner;
use crate::node::{MAX_FILE_BYTES, PathState, Root, RootedPath, Signals, selinux};
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
    /// Whether a killed run is undone as far as damaged backups permit.
    pub skip_damaged: bool,
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
    /// [`ErrorKind::Locked`] if another run holds the lock; [`ErrorKind::HalfChanged`] if the killed run cannot be undone.
    pub fn begin(root: &'a Root, options: ApplyOptions) -> Result<Self> {
        let state = StateDirectory::open(root, options.owner, options.lock_timeout, &options.signals)?;
        Damage::refuse_newer(&RecordedInputs::read(root)?.damage, root)?;
        if RunList::read(root)?.damage.iter().all(|damage| damage.path != runs_directory()) {
            state.make_runs(options.owner)?;
        }
        uniting::finish_uniting(root, options.owner)?;
        let made = if RunList::read(root)?.ids.is_empty() { state.made()? } else { Vec::new() };
        let found = RecordedInputs::read(root)?;
        // A run before one that is damaged is not undone: what the damaged one changed since is not known.
        let may_recover = options.skip_damaged || !found.newest_is_damaged;
        let interrupted = found.interrupted.filter(|_| may_recover);
        let recover = |id| {
            recovery::recover(root, options.owner, id, options.skip_damaged)
                .map_err(|error| undone::not_recovered(root, id, error))
        };
        let recovered = interrupted.map(recover).transpose()?;
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
            if !kept && self.has_history()? {
                return Err(Error::new(ErrorKind::Usage, "--no-history: this node already has a history, and a change outside the history could not be rolled back")
                    .hint("leave --no-history out, or end the history first: `k3s-harden uninstall`"));
            }
            if !kept {
                self.refuse_moved_history(&plan)?;
            }
            let written = self.recorded.paths.iter().map(ToString::to_string).collect();
            let head = RunHead { verb: RunVerb::Apply, kept, inputs: Some(inputs), written };
            let id = self.carry_out(&mut plan, head, check)?;
            match keep {
                KeepHistory::History(runs) => self.prune(runs),
                KeepHistory::Nothing => {
                    forget(self.root, self.options.owner, id).map_err(|error| self.not_cleaned(error))?;
                }
            }
            self.clean_up(keep)?;
            return Ok(ApplyOutcome { plan, id: Some(id) });
        }
        self.clean_up(keep)?;
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

    /// Removes the state directory, with the history in it. What k3s-harden did not put there stays. Returns what lies
    /// beside the files of the history, because another program saved it while a run was killed.
    ///
    /// # Errors
    /// [`ErrorKind::NotReported`] if that fails, or something stays: everything is undone by then.
    pub fn forget(self) -> Result<Vec<RootedPath>> {
        let beside = History::read(self.root).map_or_else(
            |_| Vec::new(),
            |history| temporaries::sweep(self.root, None, &temporaries::paths_of_runs(history.runs())),
        );
        let foreign = foreign_in_state(self.root).map_err(|error| self.not_cleaned(error))?;
        if foreign.is_empty() {
            let removed = self.state.remove().map_err(|error| self.not_cleaned(error));
            return removed.map(|()| beside);
        }
        self.state.remove_runs().map_err(|error| self.not_cleaned(error))?;
        let foreign: Vec<String> = foreign.iter().map(|path| self.root.display(path)).collect();
        Err(Error::new(
            ErrorKind::NotReported,
            format!(
                "all runs were rolled back, but these files do not belong to k3s-harden and were kept: {}",
                foreign.join(" ")
            ),
        )
        .hint(format!("move it elsewhere, and remove {} then", self.root.display(&state_directory()))))
    }

    /// Returns the error for k3s-harden's own files that cannot be removed after a run that did what it was asked for.
    fn not_cleaned(&self, error: Error) -> Error {
        let left: Vec<String> = what_is_left(self.root).iter().map(|path| self.root.display(path)).collect();
        let by_hand = match left.is_empty() {
            true => String::new(),
            false => format!(", or remove what is left by hand: rm -r {}", left.join(" ")),
        };
        error
            .of_kind(ErrorKind::NotReported)
            .context("the run succeeded, but k3s-harden's own files could not be removed")
            .hint(format!("fix that, then run it again{by_hand}"))
    }

    /// Shortens the history. A failure is only a warning: the run is done, and more history does no harm. Of a damaged history
    /// nothing is removed.
    fn prune(&self, runs: u32) {
        let damage = History::read(self.root).and_then(|history| {
            let mut damage = history.damage().to_vec();
            damage.extend(strangers::in_runs(self.root, history.runs().iter().map(|run| run.id))?);
            Ok(damage)
        });
        let damage = match damage {
            Ok(damage) => damage,
            Err(error) => return warn!("the history could not be shortened: {error}"),
        };
        // What a run looks at before it begins is said by then.
        for damage in damage.iter().filter(|damage| !self.recorded.damage.contains(damage)) {
            warn!("{}", damage.warning(self.root));
        }
        if damage.is_empty()
            && let Err(error) = uniting::shorten(self.root, self.options.owner, runs)
        {
            warn!("the history could not be shortened: {error}");
        }
    }

    /// Tells whether there is a history that a run without one must not pass over: steps, or what is damaged.
    fn has_history(&self) -> Result<bool> {
        let history = History::read(self.root)?;
        Ok(history.has_steps() || !history.damage().is_empty())
    }

    /// Refuses where files of ours are on the node, no run tells of them, and something in the state directory may be the
    /// history at another place.
    fn refuse_moved_history(&self, plan: &Plan) -> Result<()> {
        let is_ours = |action: &Action| matches!(&action.before, CurrentState::Path(PathState::File { bytes, .. }) if has_header(bytes));
        if !RunList::read(self.root)?.ids.is_empty() || !plan.actions.iter().any(is_ours) {
            return Ok(());
        }
        let Some(foreign) = foreign_in_state(self.root)?.first().map(|path| self.root.display(path)) else {
            return Ok(());
        };
        let message =
            format!("--no-history: files of k3s-harden are here, and {foreign} may be their history");
        Err(Error::new(ErrorKind::Failed, message).hint(format!(
            "move it back to {}; if it is not the history, move it elsewhere",
            self.root.display(&runs_directory())
        )))
    }

    /// Removes what is not kept of runs that are done.
    fn clean_up(&self, keep: KeepHistory) -> Result<()> {
        let cleaned = self.forget_failed_runs(keep).and_then(|()| match keep {
            KeepHistory::Nothing => self.state.remove_if_unused(),
            KeepHistory::History(_) => Ok(()),
        });
        cleaned.map_err(|error| self.not_cleaned(error))
    }

    /// Removes runs that failed and have put everything back, if nothing is kept.
    fn forget_failed_runs(&self, keep: KeepHistory) -> Result<()> {
        if keep == KeepHistory::Nothing && !self.has_history()? {
            let ids = RunList::read(self.root)?.ids;
            ids.into_iter().rev().try_for_each(|id| forget(self.root, self.options.owner, id))?;
        }
        Ok(())
    }

    fn carry_out(&self, plan: &mut Plan, head: RunHead, check: &dyn Fn() -> Result<()>) -> Result<u32> {
        let (root, owner) = (self.root, self.options.owner);
        let actions: Vec<&Action> = plan.changes().collect();
        actions.iter().try_for_each(|action| refuse_large(root, action))?;
        let number = next_number(root)?;
        let id = number.id;
        temporaries::sweep(root, Some(plan), &temporaries::paths_of(plan, &self.recorded.paths));
        let mut record = RunRecord::new(number, head, plan.subject.clone(), &actions);
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
            Ok(())
        };
        let changed: Result<()> = change_all();
        let last = changed.as_ref().err().cloned().filter(|_| begun > 0);
        let committed = changed.and_then(|()| {
            actions.iter().try_for_each(|action| action.verify(root))?;
            check()?;
            self.options.signals.check()
        });
        let committed = committed.and_then(|()| self.commit(&mut record));
        if let Err(error) = committed {
            let undone = Undone::of(root, &actions[..begun], last.as_ref(), &self.made);
            self.record_undone(&mut record, &undone);
            return Err(undone.told(root, error, &record));
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

    /// Writes that the run is done. If that fails, the record says again that the run has begun before anything is put
    /// back; if even this fails, what the record on the disk says decides.
    fn commit(&self, record: &mut RunRecord) -> Result<()> {
        let (root, owner) = (self.root, self.options.owner);
        record.state = RunState::Committed;
        let Err(error) = record.write(root, owner) else { return Ok(()) };
        record.state = RunState::Begun;
        let is_committed =
            |found: FoundRun| matches!(found, FoundRun::Sound(there) if there.state == RunState::Committed);
        if record.write(root, owner).is_err() && RunRecord::read(root, record.id).is_ok_and(is_committed) {
            record.state = RunState::Committed;
            warn!("{error}: the run is complete, and its record may be lost in a power failure");
            return Ok(());
        }
        Err(error)
    }

    /// Records what became of a run that failed, and removes its backups unless they may be needed.
    fn record_undone(&self, record: &mut RunRecord, undone: &Undone) {
        let (root, owner) = (self.root, self.options.owner);
        record.state = if undone.failed.is_empty() { RunState::RolledBack } else { RunState::Begun };
        record.left = undone.left.iter().map(ToString::to_string).collect();
        // If even this cannot be written, the record still says that the run has begun, which is true.
        let written = record.write(root, owner);
        if !undone.is_complete() {
            return;
        }
        if !record.kept {
            forget(root, owner, record.id).unwrap_or_default();
        } else if written.is_ok() {
            // A full disk needs the space.
            record.drop_backups(root).unwrap_or_default();
        }
    }
}

/// Refuses to change a file that is too large to be backed up.
fn refuse_large(root: &Root, action: &Action) -> Result<()> {
    if !matches!(action.before, CurrentState::Path(PathState::Large { .. })) {
        return Ok(());
    }
    let path = root.display(&action.resource.path());
    let message = format!(
        "{path} is larger than {MAX_FILE_BYTES} bytes, so it cannot be backed up, and nothing was changed"
    );
    Err(Error::new(ErrorKind::BadInput, message).hint("move it away"))
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
