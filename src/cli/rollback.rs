//! `rollback` and `uninstall`: restore the state before a run, or before the first one.

use std::fmt;

use tracing::warn;

use super::args::{GlobalArguments, RollbackArguments, UndoArguments, UninstallArguments};
use super::places::NodePlaces;
use super::request::given;
use super::ui::Ui;
use super::{context, ui};
use crate::apply::{
    ApplyOutcome, History, ModifiedPath, RecordedInputs, Recovered, RollbackPlan, RunVerb, Transaction,
    check_writable, remove_leftovers, state_directory, texts,
};
use crate::document::{self, PresentFiles, has_header, leftovers};
use crate::error::{Error, ErrorKind, Result, exit};
use crate::k3s::flags::{self, ENCRYPTION_KEY};
use crate::k3s::{self, DEFAULT_CONFIG, DEFAULT_DATA_DIR, Traces};
use crate::mode::Owner;
use crate::node::{PathState, Root, RootedPath};
use crate::output::{self, PlanReport};
use crate::plan::{Action, Plan};
use crate::version::{K3sRelease, K3sVersion, KubernetesMinor};

pub(super) fn run(global: &GlobalArguments, arguments: &RollbackArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&global.root)?;
    if let PathState::Absent = root.look(&state_directory())? {
        remove_leftovers(&root)?;
        return print_nothing(&root, ui);
    }
    let job = UndoJob::new(global, &root, &arguments.undoing)?;
    let interrupted = RecordedInputs::read(&root)?.interrupted;
    if interrupted.is_none() && job.find(arguments.id)?.is_none() {
        return print_nothing(&root, ui);
    }
    let transaction = job.begin()?;
    if let Some(recovered) = transaction.recovered().filter(|recovered| recovered.undone) {
        // The run to undo is undone already; the one before it stays.
        if arguments.id.map_or(recovered.verb == RunVerb::Apply, |id| id == recovered.id) {
            return print_recovered(&root, ui, recovered);
        }
    }
    let Some(rollback) = job.find(arguments.id)? else { return print_nothing(&root, ui) };
    let undone = job.carry_out(&transaction, rollback)?;
    print_undone(&root, ui, &undone.plan, RestoredState::BeforeRun(undone.to))
}

pub(super) fn uninstall(global: &GlobalArguments, arguments: &UninstallArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&global.root)?;
    if let PathState::Absent = root.look(&state_directory())? {
        remove_leftovers(&root)?;
        match report_without_history(&root, ui) {
            // Another run has begun in the meantime: there is a history now.
            Err(_) if root.exists(&state_directory()) => {}
            other => return other,
        }
    }
    let job = UndoJob::new(global, &root, &arguments.undoing)?;
    let transaction = job.begin()?;
    let plan = match RollbackPlan::to_the_first_state(&root, &History::read(&root)?)? {
        Some(rollback) => job.carry_out(&transaction, rollback)?.plan,
        None => return transaction.forget().and_then(|()| print_nothing(&root, ui)),
    };
    transaction.forget()?;
    print_undone(&root, ui, &plan, RestoredState::BeforeFirstRun)
}

/// One `rollback` or `uninstall`.
struct UndoJob<'a> {
    root: &'a Root,
    owner: Owner,
    undoing: &'a UndoArguments,
}

/// The result of a rollback.
struct UndoneRun {
    plan: Plan,
    to: u32,
}

/// The state that a rollback restores.
#[derive(Debug, Clone, Copy)]
enum RestoredState {
    /// That before the run with this number.
    BeforeRun(u32),
    /// That before the first run.
    BeforeFirstRun,
}

impl fmt::Display for RestoredState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeRun(id) => write!(f, "as before run {id}"),
            Self::BeforeFirstRun => f.write_str("as before the first run"),
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
        context::check_rights(named.is_some(), owner)?;
        Ok(Self { root, owner, undoing })
    }

    fn find(&self, to: Option<u32>) -> Result<Option<RollbackPlan>> {
        RollbackPlan::find(self.root, &History::read(self.root)?, to)
    }

    fn begin(&self) -> Result<Transaction<'a>> {
        let transaction = Transaction::begin(self.root, self.undoing.locking.options(self.owner)?)?;
        ui::warn_of_recovered(transaction.recovered());
        Ok(transaction)
    }

    fn carry_out(&self, transaction: &Transaction<'_>, rollback: RollbackPlan) -> Result<UndoneRun> {
        let RollbackPlan { to, plan, inputs, written, modified } = rollback;
        // Before the rollback: after it nothing may fail, and K3s' configuration may be different.
        let places = node_places(self.root, transaction.recorded());
        let traces = self.traces(transaction.recorded(), places.as_ref());
        if !self.undoing.force {
            refuse_modified(&modified)?;
            self.refuse_unreadable_secrets(&traces, &plan, places.as_ref())?;
        }
        check_writable(self.root, &plan)?;
        let ApplyOutcome { mut plan, .. } = transaction.roll_back(plan, to, inputs, written)?;
        plan.warnings.extend(remaining_effects(traces, &plan));
        Ok(UndoneRun { plan, to })
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
        let message = "K3s has started with encrypted Secrets, and without secrets-encryption it could no longer read them";
        Err(Error::new(ErrorKind::Failed, message)
            .hint("decrypt them with K3s' own command first: `k3s secrets-encrypt disable`")
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

/// Returns the release of K3s on the node: the installed one, else the recorded one, else the newest that is known.
fn release(root: &Root, recorded: Option<&str>) -> K3sRelease {
    let installed = k3s::version(root).ok().flatten().map(|(version, _)| version.number());
    let recorded = || Some(recorded?.parse::<K3sVersion>().ok()?.number());
    let newest = || KubernetesMinor::supported().last().map_or(KubernetesMinor::new(0), |minor| *minor);
    installed.or_else(recorded).unwrap_or_else(|| newest().into())
}

/// Returns warnings about what a rollback of files does not undo, with the commands that do.
fn remaining_effects(traces: Traces, plan: &Plan) -> Vec<String> {
    let Some((role, _)) = traces.started.filter(|_| plan.is_changed()) else { return Vec::new() };
    let service = role.service();
    let mut warnings = vec![format!(
        "K3s has already started here: arguments and files take effect when it starts again: systemctl restart {service}"
    )];
    let policies = plan.changes().filter(|action| action.resource.path().name() == "policy.yaml");
    let commands: Vec<String> = policies.flat_map(removal_commands).collect();
    if !commands.is_empty() {
        warnings.push(format!(
            "objects that policy.yaml has brought into the cluster stay there; these commands remove them:\n  {}",
            commands.join("\n  ")
        ));
    }
    warnings
}

fn removal_commands(action: &Action) -> Vec<String> {
    let (before, after) = texts(action);
    let text = |bytes: Option<&[u8]>| bytes.map(String::from_utf8_lossy).unwrap_or_default().into_owned();
    leftovers(&text(before), &text(after.as_deref()))
}

fn refuse_modified(modified: &[ModifiedPath]) -> Result<()> {
    if modified.is_empty() {
        return Ok(());
    }
    let paths: Vec<&str> = modified.iter().map(|modified| modified.path.as_str()).collect();
    let diffs: String = modified.iter().map(|modified| modified.diff.as_str()).collect();
    let message = format!(
        "changed by somebody else since, and nothing was undone: {}\n{}",
        paths.join(", "),
        diffs.trim_end()
    );
    Err(Error::new(ErrorKind::Failed, message).hint("--force undoes these changes too"))
}

fn print_nothing(root: &Root, ui: &mut Ui) -> Result<u8> {
    if ui.json() {
        ui.out_json(&output::nothing_json(&ui.origin(root, None)))?;
    } else {
        ui.out_line("Nothing to undo.")?;
    }
    Ok(exit::OK)
}

fn print_recovered(root: &Root, ui: &mut Ui, recovered: &Recovered) -> Result<u8> {
    if ui.json() {
        ui.out_json(&output::recovered_json(&recovered.message, &ui.origin(root, None)))?;
    } else {
        ui.out_line(&format!("Run {}, which was interrupted, is undone.", recovered.id))?;
    }
    Ok(exit::OK)
}

fn print_undone(root: &Root, ui: &mut Ui, plan: &Plan, state: RestoredState) -> Result<u8> {
    for warning in &plan.warnings {
        warn!("{warning}");
    }
    if ui.json() {
        ui.out_json(&PlanReport::new(plan, &ui.origin(root, None)))?;
    } else {
        let text = output::undo_text(plan, &state.to_string(), ui.stdout_style());
        ui.out(&text)?;
    }
    Ok(exit::OK)
}

/// Reports the files of k3s-harden on a node without a history: the state before them is not known.
fn report_without_history(root: &Root, ui: &mut Ui) -> Result<u8> {
    let NodePlaces { config, own_data_dir, .. } = NodePlaces::find(root, release(root, None), None, None)?;
    let mut ours = Vec::new();
    for (_, path) in document::paths(&config.path_or_default(), &own_data_dir.path) {
        if matches!(root.look(&path)?, PathState::File { bytes, .. } if has_header(&bytes)) {
            ours.push(path.to_string());
        }
    }
    if ours.is_empty() {
        return print_nothing(root, ui);
    }
    Err(Error::new(
        ErrorKind::Failed,
        "there is no history here, so what was there before k3s-harden is not known",
    )
    .hint(format!("these files are of k3s-harden, and may be removed by hand: {}", ours.join(" "))))
}
