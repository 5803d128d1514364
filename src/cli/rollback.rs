//! `rollback` and `uninstall`: the way back.

use tracing::warn;

use super::args::{GlobalArguments, RollbackArguments, UndoArguments, UninstallArguments};
use super::context;
use super::ui::Ui;
use crate::apply::{
    ApplyOutcome, History, RecordedInputs, Recovered, RollbackPlan, RunVerb, Transaction, check_writable,
    state_directory, sweep_beside, texts,
};
use crate::document::ExistingConfig;
use crate::document::{self, DROP_IN, PresentFiles, is_ours, leftovers};
use crate::error::{Error, ErrorKind, Result, exit};
use crate::k3s::Traces;
use crate::mode::Owner;
use crate::node::{PathState, Root, RootedPath};
use crate::output::{self, PlanReport};
use crate::plan::{Action, Plan};

pub(super) fn run(global: &GlobalArguments, arguments: &RollbackArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&global.root)?;
    if let PathState::Absent = root.look(&state_directory())? {
        sweep_beside(&root)?;
        return nothing(ui);
    }
    let way = UndoPlan::new(global, &root, &arguments.undoing)?;
    let interrupted = RecordedInputs::read(&root)?.interrupted;
    if interrupted.is_none() && way.find(arguments.id)?.is_none() {
        return nothing(ui);
    }
    let transaction = way.begin()?;
    if let Some(recovered) = transaction.recovered().filter(|recovered| recovered.undone) {
        // The run that was meant is undone already; the one before it was not asked for.
        if arguments.id.map_or(recovered.verb == RunVerb::Apply, |id| id == recovered.id) {
            return undid(ui, recovered);
        }
    }
    let Some(back) = way.find(arguments.id)? else { return nothing(ui) };
    let undone = way.go(&transaction, back)?;
    say(ui, &undone.plan, &format!("as before run {}", undone.to))
}

pub(super) fn uninstall(global: &GlobalArguments, arguments: &UninstallArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&global.root)?;
    if let PathState::Absent = root.look(&state_directory())? {
        sweep_beside(&root)?;
        match without_history(&root, ui) {
            // Another run has begun in the meantime: then there is a history.
            Err(_) if root.exists(&state_directory()) => {}
            other => return other,
        }
    }
    let way = UndoPlan::new(global, &root, &arguments.undoing)?;
    let transaction = way.begin()?;
    let plan = match RollbackPlan::to_the_first_state(&root, &History::read(&root)?)? {
        Some(back) => way.go(&transaction, back)?.plan,
        None => return transaction.forget().and_then(|()| nothing(ui)),
    };
    transaction.forget()?;
    say(ui, &plan, "as before the first run")
}

/// How to get back.
struct UndoPlan<'a> {
    root: &'a Root,
    owner: Owner,
    undoing: &'a UndoArguments,
}

/// What was undone.
struct UndoneRun {
    plan: Plan,
    to: u32,
}

impl<'a> UndoPlan<'a> {
    fn new(global: &GlobalArguments, root: &'a Root, undoing: &'a UndoArguments) -> Result<Self> {
        let owner = match (context::owner(global, root)?, root.look_directory(&state_directory())?) {
            (Some(owner), _) | (None, PathState::Directory { owner, .. }) => owner,
            _ => Owner::ROOT,
        };
        context::check_rights(global, owner)?;
        Ok(Self { root, owner, undoing })
    }

    fn find(&self, to: Option<u32>) -> Result<Option<RollbackPlan>> {
        RollbackPlan::find(self.root, &History::read(self.root)?, to)
    }

    fn begin(&self) -> Result<Transaction<'a>> {
        let transaction = Transaction::begin(self.root, self.undoing.locking.manner(self.owner)?)?;
        super::warn_of(transaction.recovered());
        Ok(transaction)
    }

    fn go(&self, transaction: &Transaction<'_>, back: RollbackPlan) -> Result<UndoneRun> {
        let RollbackPlan { to, plan, told, written, disturbed } = back;
        // Afterwards, nothing may fail any more, and K3s' configuration may be another one.
        let traces = self.traces(transaction.recorded());
        if !self.undoing.force {
            refuse_disturbed(&disturbed)?;
            self.refuse_unreadable_secrets(&traces, &plan)?;
        }
        check_writable(self.root, &plan)?;
        let ApplyOutcome { mut plan, .. } = transaction.roll_back(plan, to, told, written)?;
        plan.warnings.extend(what_stays(traces, &plan));
        Ok(UndoneRun { plan, to })
    }

    /// Refuses to take away what K3s needs to read its Secrets.
    fn refuse_unreadable_secrets(&self, traces: &Traces, plan: &Plan) -> Result<()> {
        let key = "secrets-encryption";
        let has = |bytes: Option<&[u8]>| {
            PresentFiles::new(bytes.map(|bytes| ("config", bytes.to_vec()))).has_key(key)
        };
        let Some(drop_in) = plan.changes().find(|action| action.resource.path().as_str() == DROP_IN) else {
            return Ok(());
        };
        let (before, after) = texts(drop_in);
        let ours = RootedPath::fixed(DROP_IN);
        let by_others = || {
            // A configuration that cannot be read says nothing for sure.
            ExistingConfig::read(self.root, &ours)
                .is_ok_and(|all| all.value(key).is_some_and(|item| item.text == "true"))
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
            .hint("or keep the key: write secrets-encryption: true into /etc/rancher/k3s/config.yaml"))
    }

    /// What K3s has left in its data directory: the one that was told, else its own, else the usual one.
    fn traces(&self, recorded: &RecordedInputs) -> Traces {
        let told = recorded.told.as_ref().and_then(|told| told.data_dir.clone());
        let own = || {
            let existing = ExistingConfig::read(self.root, &RootedPath::fixed(DROP_IN)).ok()?;
            context::data_dir(self.root, None, &existing, &mut Vec::new()).ok()
        };
        let data_dir = told.and_then(|path| path.parse().ok()).or_else(own);
        Traces::observe(self.root, &data_dir.unwrap_or_else(|| RootedPath::fixed(context::DATA_DIR)))
    }
}

/// Says what a rollback of files does not undo, with the commands that do.
fn what_stays(traces: Traces, plan: &Plan) -> Vec<String> {
    let Some((role, _)) = traces.started.filter(|_| plan.is_changed()) else { return Vec::new() };
    let service = role.service();
    let mut says = vec![format!(
        "K3s has already started here: arguments and files take effect when it starts again: systemctl restart {service}"
    )];
    let policies = plan.changes().filter(|action| action.resource.path().name() == "policy.yaml");
    let commands: Vec<String> = policies.flat_map(objects_that_stay).collect();
    if !commands.is_empty() {
        says.push(format!(
            "objects that policy.yaml has brought into the cluster stay there; these commands remove them:\n  {}",
            commands.join("\n  ")
        ));
    }
    says
}

fn objects_that_stay(action: &Action) -> Vec<String> {
    let (before, after) = texts(action);
    let text = |bytes: Option<&[u8]>| bytes.map(String::from_utf8_lossy).unwrap_or_default().into_owned();
    leftovers(&text(before), &text(after.as_deref()))
}

fn refuse_disturbed(disturbed: &[(String, String)]) -> Result<()> {
    if disturbed.is_empty() {
        return Ok(());
    }
    let paths: Vec<&str> = disturbed.iter().map(|(path, _)| path.as_str()).collect();
    let diffs: String = disturbed.iter().map(|(_, diff)| diff.as_str()).collect();
    let message = format!(
        "changed by somebody else since, and nothing was undone: {}\n{}",
        paths.join(", "),
        diffs.trim_end()
    );
    Err(Error::new(ErrorKind::Failed, message).hint("--force undoes these changes too"))
}

fn nothing(ui: &mut Ui) -> Result<u8> {
    if ui.json() {
        ui.out_json(&output::nothing_json())?;
    } else {
        ui.out("Nothing to undo.\n")?;
    }
    Ok(exit::OK)
}

fn undid(ui: &mut Ui, recovered: &Recovered) -> Result<u8> {
    if ui.json() {
        ui.out_json(&output::recovered_json(&recovered.says))?;
    } else {
        ui.out(&format!("Run {}, which was interrupted, is undone.\n", recovered.id))?;
    }
    Ok(exit::OK)
}

fn say(ui: &mut Ui, plan: &Plan, what: &str) -> Result<u8> {
    for warning in &plan.warnings {
        warn!("{warning}");
    }
    if ui.json() {
        ui.out_json(&PlanReport::new(plan))?;
    } else {
        let text = output::undo_text(plan, what, ui.stdout_style());
        ui.out(&text)?;
    }
    Ok(exit::OK)
}

/// Where there is no history the first state is not known: files of ours are named, and nothing is guessed.
fn without_history(root: &Root, ui: &mut Ui) -> Result<u8> {
    let data_dir = context::data_dir(
        root,
        None,
        &ExistingConfig::read(root, &RootedPath::fixed(DROP_IN))?,
        &mut Vec::new(),
    )?;
    let mut ours = Vec::new();
    for (_, path) in document::paths(&data_dir) {
        if matches!(root.look(&path)?, PathState::File { bytes, .. } if is_ours(&bytes)) {
            ours.push(path.to_string());
        }
    }
    if ours.is_empty() {
        return nothing(ui);
    }
    Err(Error::new(
        ErrorKind::Failed,
        "there is no history here, so what was there before k3s-harden is not known",
    )
    .hint(format!("these files are of k3s-harden, and may be removed by hand: {}", ours.join(" "))))
}
