// SPDX-License-Identifier: Apache-2.0
//! `rollback` and `uninstall`: restore the state before a run, or before the first one.

use std::cell::RefCell;
use std::fmt;

use tracing::warn;

use super::args::{GlobalArguments, RollbackArguments, UndoArguments, UninstallArguments};
use super::places::NodePlaces;
use super::remaining::{
    NotRestored, files_of_ours, incomplete, print_nothing, refuse_remaining, release, report_without_history,
    unknown_files,
};
use super::request::given;
use super::ui::Ui;
use super::unloaded_policies;
use super::{context, locking, notes, ui};
use crate::apply::{
    ApplyOutcome, Damage, History, LeftPath, ModifiedPath, OnlyCopy, RecordedInputs, Recovered, RollbackPlan,
    RunVerb, STATE_DIRECTORY, Transaction, UncertainPath, after_recovery, check_writable, remove_leftovers,
    state_directory, texts,
};
use crate::document::{self, PresentFiles, leftovers};
use crate::error::{Error, ErrorKind, Result, exit};
use crate::k3s::flags::{self, ENCRYPTION_KEY};
use crate::k3s::{DEFAULT_CONFIG, DEFAULT_DATA_DIR, Traces};
use crate::mode::Owner;
use crate::node::{PathState, Root, RootedPath};
use crate::output::{self, PlanReport};
use crate::plan::{Action, Plan};

pub(super) fn run(global: &GlobalArguments, arguments: &RollbackArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&global.root)?;
    if let PathState::Absent = root.look(&state_directory())? {
        remove_leftovers(&root)?;
        return match arguments.id {
            Some(id) => Err(RollbackPlan::no_such_run(id).hint("k3s-harden has no history here")),
            None => print_nothing(&root, ui),
        };
    }
    let job = UndoJob::new(global, &root, &arguments.undoing)?;
    // With the lock held: another run may shorten the history while it is read.
    let transaction = job.begin()?;
    let result = roll_back(&job, &transaction, arguments.id, ui);
    job.naming_left(transaction.recovered(), result)
}

fn roll_back(
    job: &UndoJob<'_>,
    transaction: &Transaction<'_>,
    mut id: Option<u32>,
    ui: &mut Ui,
) -> Result<u8> {
    let root = job.root;
    if let Some(recovered) = transaction.recovered().filter(|recovered| recovered.undone) {
        // The run to undo is undone already; the one before it stays.
        if id.map_or(recovered.verb == RunVerb::Apply, |id| id == recovered.id) {
            if recovered.left.is_empty() || !job.undoing.force {
                return print_recovered(root, ui, recovered);
            }
            // What somebody has changed meanwhile goes too.
            id = Some(recovered.id);
        }
    }
    let history = History::read_with_backups(root)?;
    let is_damaged = |id: u32| history.damage().iter().any(|damage| damage.run == Some(id));
    let found = match RollbackPlan::find(root, &history, id) {
        Err(_) if id.is_some_and(is_damaged) => None,
        other => other?,
    };
    let Some(rollback) = found else {
        return job.without_steps(&history, || match history.runs().is_empty() {
            true => report_without_history(root, ui, &files_of_ours(root)?),
            false => print_nothing(root, ui),
        });
    };
    let undone = job.carry_out(transaction, rollback)?;
    let state = match undone.not_restored.is_empty() {
        true => RestoredState::BeforeRun(undone.to),
        false => RestoredState::AllButNamed,
    };
    print_undone(root, ui, &undone.plan, state)?;
    job.complete(&undone)
}

pub(super) fn uninstall(global: &GlobalArguments, arguments: &UninstallArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&global.root)?;
    if let PathState::Absent = root.look(&state_directory())? {
        remove_leftovers(&root)?;
        match files_of_ours(&root).and_then(|ours| report_without_history(&root, ui, &ours)) {
            // Another run has begun in the meantime: there is a history now.
            Err(_) if root.exists(&state_directory()) => {}
            other => return other,
        }
    }
    let job = UndoJob::new(global, &root, &arguments.undoing)?;
    let transaction = job.begin()?;
    let recovered = transaction.recovered().cloned();
    let result = end_history(&job, transaction, ui);
    job.naming_left(recovered.as_ref(), result)
}

fn end_history(job: &UndoJob<'_>, transaction: Transaction<'_>, ui: &mut Ui) -> Result<u8> {
    let root = job.root;
    let history = History::read_with_backups(root)?;
    let Some(rollback) = RollbackPlan::to_the_first_state(root, &history)? else {
        return job.without_steps(&history, || {
            let ours = files_of_ours(root);
            // What is in the state directory may be the history, at another place.
            let may_be_elsewhere = history.runs().is_empty() && !ours.as_ref().is_ok_and(Vec::is_empty);
            if !may_be_elsewhere {
                let beside = transaction.forget()?;
                refuse_remaining(root, &beside, &[])?;
            }
            report_without_history(root, ui, &ours?)
        });
    };
    let undone = job.carry_out(&transaction, rollback)?;
    if !undone.not_restored.is_empty() {
        print_undone(root, ui, &undone.plan, RestoredState::AllButNamed)?;
        return job.complete(&undone);
    }
    let removed = transaction.forget();
    let unknown = unknown_files(root, &undone.plan);
    let is_complete =
        removed.as_ref().map_or(true, Vec::is_empty) && unknown.as_ref().map_or(true, Vec::is_empty);
    let state = match is_complete {
        true => RestoredState::BeforeFirstRun,
        false => RestoredState::AllButNamed,
    };
    let printed = print_undone(root, ui, &undone.plan, state);
    let beside = removed?;
    refuse_remaining(root, &beside, &unknown.map_err(ui::not_reported)?)?;
    printed
}

/// One `rollback` or `uninstall`.
struct UndoJob<'a> {
    root: &'a Root,
    owner: Owner,
    undoing: &'a UndoArguments,
    /// The paths that it has restored, and those that its own error names.
    settled: RefCell<Vec<RootedPath>>,
}

/// The result of a rollback.
struct UndoneRun {
    plan: Plan,
    to: u32,
    /// What is damaged, and each path that was not restored.
    not_restored: Vec<NotRestored>,
}

/// The state that a rollback restores.
#[derive(Debug, Clone, Copy)]
enum RestoredState {
    /// That before the run with this number.
    BeforeRun(u32),
    /// That before the first run.
    BeforeFirstRun,
    /// The same but for what is named.
    AllButNamed,
}

impl fmt::Display for RestoredState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeRun(id) => write!(f, "the state before run {id}"),
            Self::BeforeFirstRun => f.write_str("the state before the first run"),
            Self::AllButNamed => f.write_str("its recorded state, except for the paths listed below"),
        }
    }
}

impl<'a> UndoJob<'a> {
    fn new(global: &GlobalArguments, root: &'a Root, undoing: &'a UndoArguments) -> Result<Self> {
        let named = given(global.owner.as_ref());
        let by_flag = context::owner(named.as_deref(), root)?;
        let owner = match (by_flag, root.look_directory(&state_directory())?) {
            (Some(owner), _) | (None, PathState::Directory { owner, .. }) => owner,
            _ => Owner::ROOT,
        };
        context::check_rights(root, named.is_some(), owner)?;
        Ok(Self { root, owner, undoing, settled: RefCell::default() })
    }

    fn begin(&self) -> Result<Transaction<'a>> {
        locking::begin(self.root, &self.undoing.locking, self.owner, self.undoing.skip_damaged)
    }

    /// Returns the exit code of a rollback.
    ///
    /// # Errors
    /// [`ErrorKind::HalfChanged`] if not everything was restored, with each path.
    fn complete(&self, undone: &UndoneRun) -> Result<u8> {
        if undone.not_restored.is_empty() {
            return Ok(exit::OK);
        }
        self.settled.borrow_mut().extend(undone.not_restored.iter().filter_map(|one| one.path.clone()));
        Err(incomplete(&undone.not_restored))
    }

    /// Adds the paths that stayed when a killed run was undone to the result of a verb: the node is not what it was before
    /// that run, unless the verb has restored them since, or names them itself.
    fn naming_left(&self, recovered: Option<&Recovered>, result: Result<u8>) -> Result<u8> {
        let result = result.map_err(|error| after_recovery(recovered.is_some(), error));
        let Some(recovered) = recovered else { return result };
        let settled = self.settled.borrow();
        let left: Vec<&LeftPath> =
            recovered.left.iter().filter(|left| !settled.contains(&left.path)).collect();
        if left.is_empty() {
            return result;
        }
        let lines: String =
            left.iter().map(|left| format!("\n  {}: it {}", left.path, left.reason)).collect();
        let message =
            format!("run {} was interrupted, and these paths were not rolled back:{lines}", recovered.id);
        let (message, hints) = match &result {
            Ok(_) => (message, &[][..]),
            Err(error) => (format!("{error}\n{message}"), error.hints()),
        };
        let mut error = hints.iter().fold(Error::new(ErrorKind::HalfChanged, message), Error::hint);
        if left.iter().any(|left| !left.is_damaged) {
            error = error.hint(format!(
                "the state before run {id} is saved in {STATE_DIRECTORY}/runs/{id:04}; to restore it: `k3s-harden rollback {id} --force`",
                id = recovered.id
            ));
        }
        if left.iter().any(|left| left.is_damaged) {
            error = error.hint("no run can restore the damaged part: restore it by hand");
        }
        Err(error)
    }

    /// Refuses where the history is damaged, unless the user knows it.
    fn check_damage(&self, damage: &[Damage]) -> Result<()> {
        Damage::refuse_newer(damage, self.root)?;
        if damage.is_empty() || self.undoing.skip_damaged {
            return Ok(());
        }
        let error = Damage::error(damage, self.root, "the history is damaged; nothing was rolled back");
        Err(error.hint("restore the rest, and list what cannot be restored: --skip-damaged"))
    }

    /// Ends a verb where the history tells of nothing to undo: damage is not nothing.
    fn without_steps(&self, history: &History, nothing: impl FnOnce() -> Result<u8>) -> Result<u8> {
        if history.damage().is_empty() {
            return nothing();
        }
        self.check_damage(history.damage())?;
        let damaged = history.damage().iter().map(|damage| NotRestored::damaged(damage, self.root));
        Err(incomplete(&damaged.collect::<Vec<_>>()))
    }

    fn carry_out(&self, transaction: &Transaction<'_>, rollback: RollbackPlan) -> Result<UndoneRun> {
        self.check_damage(&rollback.damage)?;
        let not_restored = self.not_restored(&rollback);
        let RollbackPlan { to, mut plan, inputs, written, mut modified, only_copies, ends_history, .. } =
            rollback;
        // Before the rollback: after it nothing may fail, and K3s's configuration may be different.
        let places = node_places(self.root, transaction.recorded());
        let traces = self.traces(transaction.recorded(), places.as_ref());
        if !self.undoing.force {
            if !not_restored.is_empty() {
                // It may be what a damaged run left, or somebody's: it is named, and stays.
                plan.actions.retain(|action| !is_modified(&modified, action));
                modified.clear();
            }
            refuse_modified(&modified)?;
            if ends_history && not_restored.is_empty() {
                refuse_only_copies(&only_copies)?;
            }
            self.refuse_unreadable_secrets(&traces, &plan, places.as_ref())?;
        }
        check_writable(self.root, &plan)?;
        let remembered = (!ends_history).then(|| notes::after_rollback(inputs.as_ref()));
        let ApplyOutcome { mut plan, .. } = transaction.roll_back(plan, to, inputs, written)?;
        plan.notes.remembered = remembered;
        self.settled.borrow_mut().extend(plan.actions.iter().map(|action| action.resource.path()));
        plan.warnings.extend(remaining_effects(traces, &plan));
        plan.warnings.extend(unloaded_policies::warnings(self.root, &plan)?);
        Ok(UndoneRun { plan, to, not_restored })
    }

    /// Returns what a rollback beside damage does not restore: nothing if nothing is damaged.
    fn not_restored(&self, rollback: &RollbackPlan) -> Vec<NotRestored> {
        if rollback.damage.is_empty() && rollback.unrestorable.is_empty() {
            return Vec::new();
        }
        let paths = rollback.unrestorable.iter();
        let stays = |damage: &Damage| format!("not restored: {}", damage.line(self.root));
        let mut all: Vec<NotRestored> =
            paths.map(|(path, damage)| NotRestored::at(path, stays(damage))).collect();
        let is_left = |path: &RootedPath| rollback.unrestorable.iter().any(|(left, _)| left == path);
        all.extend(rollback.uncertain.iter().filter(|it| !is_left(&it.path)).map(|UncertainPath { path, first, damaged }| {
            NotRestored::at(path, format!("restored to the state before run {first}; the state before the damaged run {damaged} is unknown"))
        }));
        if !self.undoing.force {
            let modified = rollback.modified.iter().map(|modified| &modified.path);
            all.extend(modified.map(|path| {
                NotRestored::at(path, "not restored: k3s-harden did not write it, or it belongs to a damaged run (to restore it too: --force)")
            }));
        }
        let named = |damage: &&Damage| !rollback.unrestorable.iter().any(|(_, other)| other == *damage);
        all.extend(
            rollback.damage.iter().filter(named).map(|damage| NotRestored::damaged(damage, self.root)),
        );
        all
    }

    /// Refuses to remove the key that K3s needs to read its Secrets.
    fn refuse_unreadable_secrets(
        &self,
        traces: &Traces,
        plan: &Plan,
        places: Option<&NodePlaces>,
    ) -> Result<()> {
        let has = |bytes: Option<&[u8]>| {
            PresentFiles::new(bytes.map(|bytes| ("config", bytes.to_vec()))).has_key(ENCRYPTION_KEY)
        };
        let config =
            places.map_or_else(|| RootedPath::fixed(DEFAULT_CONFIG), |node| node.config.path_or_default());
        let ours = document::drop_in_path(&config);
        let Some(drop_in) = plan.changes().find(|action| action.resource.path() == ours) else {
            return Ok(());
        };
        let (before, after) = texts(drop_in);
        // A configuration that cannot be read proves nothing.
        let by_others = || {
            let item = places.and_then(|node| node.existing.value(ENCRYPTION_KEY));
            item.is_some_and(|item| flags::is_true(&item.text))
        };
        if traces.started.is_none()
            || !traces.secrets_encrypted
            || !has(before)
            || has(after.as_deref())
            || by_others()
        {
            return Ok(());
        }
        let message =
            "K3s has started with encrypted Secrets: without secrets-encryption, it can no longer read them";
        Err(Error::new(ErrorKind::Failed, message)
            .hint("decrypt them with K3s's own command first: `k3s secrets-encrypt disable`")
            .hint(format!("or keep the key: write secrets-encryption: true into {config}")))
    }

    /// Returns what K3s has left in its data directory: the recorded one, else the configured one, else the default.
    fn traces(&self, recorded: &RecordedInputs, places: Option<&NodePlaces>) -> Traces {
        let named = recorded.inputs.as_ref().and_then(|inputs| inputs.data_dir.clone());
        let own = || places.map(|node| node.own_data_dir.path.clone());
        let found = named.and_then(|path| path.parse().ok()).or_else(own);
        Traces::observe(self.root, &found.unwrap_or_else(|| RootedPath::fixed(DEFAULT_DATA_DIR)))
    }
}

/// Returns the places of K3s on the node; none if its configuration cannot be read.
fn node_places(root: &Root, recorded: &RecordedInputs) -> Option<NodePlaces> {
    let inputs = recorded.inputs.as_ref();
    let version = inputs.and_then(|inputs| inputs.k3s_version.as_deref());
    NodePlaces::find(root, release(root, version), inputs.and_then(|inputs| inputs.role), None).ok()
}

/// Returns warnings about what a rollback of files does not undo, with the commands that do.
fn remaining_effects(traces: Traces, plan: &Plan) -> Vec<String> {
    let Some((role, _)) = traces.started.filter(|_| plan.is_changed()) else { return Vec::new() };
    let service = role.service();
    let mut warnings = vec![format!(
        "K3s has already started here: arguments and files take effect when it starts again: systemctl restart {service}"
    )];
    let is_manifest = |path: &RootedPath| ["policy.yaml", "policy-local.yaml"].contains(&path.name());
    // What goes from one manifest may come back with another.
    let manifests = plan.changes().filter(|action| is_manifest(&action.resource.path()));
    let (before, after): (Vec<String>, Vec<String>) = manifests.map(manifest_texts).unzip();
    let commands = leftovers(&before.concat(), &after.concat());
    if !commands.is_empty() {
        warnings.push(format!(
            "the rollback does not delete the objects of policy.yaml from the cluster. To delete them, run:\n  {}",
            commands.join("\n  ")
        ));
    }
    warnings
}

/// Returns the texts of a manifest before and after an action, each as documents that others may follow.
fn manifest_texts(action: &Action) -> (String, String) {
    let (before, after) = texts(action);
    let text = |bytes: Option<&[u8]>| {
        bytes.map_or_else(String::new, |bytes| format!("---\n{}\n", String::from_utf8_lossy(bytes)))
    };
    (text(before), text(after.as_deref()))
}

fn is_modified(modified: &[ModifiedPath], action: &Action) -> bool {
    modified.iter().any(|modified| modified.path == action.resource.path())
}

/// Refuses to remove the only copy of what somebody has written.
fn refuse_only_copies(copies: &[OnlyCopy]) -> Result<()> {
    let Some(first) = copies.first() else { return Ok(()) };
    let lines: String =
        copies.iter().map(|copy| format!("\n  {}: run {} replaced it", copy.path, copy.run)).collect();
    let message = format!(
        "the history holds the only copy of files that k3s-harden did not write; nothing was rolled back:{lines}"
    );
    Err(Error::new(ErrorKind::Failed, message)
        .hint(format!("the copies are in {STATE_DIRECTORY}/runs: save the ones that you need"))
        .hint(format!(
            "`k3s-harden rollback {}` restores the files that run {0} replaced, if `k3s-harden history` still lists that run",
            first.run
        ))
        .hint("to delete them with the history: --force"))
}

fn refuse_modified(modified: &[ModifiedPath]) -> Result<()> {
    if modified.is_empty() {
        return Ok(());
    }
    let paths: Vec<&str> = modified.iter().map(|modified| modified.path.as_str()).collect();
    let diffs: String = modified.iter().map(|modified| modified.diff.as_str()).collect();
    let message = format!(
        "modified since k3s-harden wrote it; nothing was rolled back: {}\n{}",
        paths.join(", "),
        diffs.trim_end()
    );
    Err(Error::new(ErrorKind::Failed, message).hint("to discard these changes: --force"))
}

fn print_recovered(root: &Root, ui: &mut Ui, recovered: &Recovered) -> Result<u8> {
    let printed = if ui.json() {
        ui.out_json(&output::recovered_json(&recovered.message, &ui.origin(root, None)))
    } else {
        let rest = if recovered.left.is_empty() { "" } else { ", except for the paths listed below" };
        ui.say_line(&format!("Rolled back the interrupted run {}{rest}.", recovered.id))
    };
    ui::done(printed)
}

fn print_undone(root: &Root, ui: &mut Ui, plan: &Plan, state: RestoredState) -> Result<u8> {
    for warning in &plan.warnings {
        warn!("{warning}");
    }
    let printed = if ui.json() {
        ui.out_json(&PlanReport::new(plan, &ui.origin(root, None)))
    } else {
        let text = output::undo_text(plan, &state.to_string(), ui.stdout_style());
        ui.say(&text)
    };
    ui::done(printed)
}
