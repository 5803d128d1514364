// SPDX-License-Identifier: Apache-2.0
//! `plan|apply --after-start`: the modes and owners of files that exist only once K3s has started.
//!
//! Which files, and what they have to be, say the benchmark's own rules, as `verify` reads them. Only mode and owner change;
//! what is in the files is neither read nor copied, and no symlink is followed.

use tracing::{info, warn};

use super::args::{ApplyArguments, PlanArguments};
use super::context::{self, Context};
use super::request::RunRequest;
use super::ui::Ui;
use super::usage::usage_error;
use super::verify::ControlFilter;
use super::{apply, downgrade, locking, plan};
use crate::apply::{KeepHistory, RecordedInputs, after_recovery};
use crate::error::Result;
use crate::k3s::K3sLog;
use crate::mode::Owner;
use crate::node::{EntryKind, PathEntry, Root, RootedPath};
use crate::plan::{Action, Permissions, Plan, PlanNotes, PlanSubject, Resource};
use crate::verify::{NodeFacts, WrongPermissions, wrong_permissions};
use crate::version::K3sVersion;

pub(super) fn plan(request: &RunRequest, arguments: &PlanArguments, ui: &mut Ui) -> Result<u8> {
    if arguments.out.is_some() {
        return Err(not_saved());
    }
    let root = Root::open(&request.root)?;
    let context = Context::new(&root, &request.about_all_controls())?;
    let plan = make(&context, request)?;
    plan::show(&plan, &context, arguments, ui)
}

pub(super) fn apply(request: &RunRequest, arguments: &ApplyArguments, ui: &mut Ui) -> Result<u8> {
    if arguments.plan.is_some() {
        return Err(not_saved());
    }
    let root = Root::open(&request.root)?;
    let owner = context::owner(request.owner.as_deref(), &root)?.unwrap_or(Owner::ROOT);
    context::check_rights(&root, request.owner.is_some(), owner)?;
    let (plan, version) = carry_out(&root, request, arguments, owner)?;
    apply::show(&plan, (&root, &version), arguments, ui)
}

fn not_saved() -> crate::error::Error {
    usage_error("--after-start cannot be used with a saved plan: it always plans from the current node")
        .hint("leave the file out")
}

/// Makes the plan, and carries it out if there is anything to do.
fn carry_out(
    root: &Root,
    request: &RunRequest,
    arguments: &ApplyArguments,
    owner: Owner,
) -> Result<(Plan, K3sVersion)> {
    let prepare = |recorded: RecordedInputs| -> Result<(Context<'_>, Plan)> {
        let context = Context::after(recorded, root, &request.about_all_controls())?;
        context.check_history()?;
        let plan = make(&context, request)?;
        Ok((context, plan))
    };
    let recorded = context::recorded_inputs(root)?;
    if recorded.interrupted.is_none() {
        let (context, plan) = prepare(recorded)?;
        if !plan.is_changed() {
            return Ok((plan, context.version));
        }
    }
    let transaction = locking::begin(root, &arguments.locking, owner, false)?;
    let recovered = transaction.recovered().is_some();
    let done = prepare(transaction.recorded().clone()).and_then(|(context, plan)| {
        let keep = match (arguments.no_history, context.profile.history_runs()) {
            (true, _) => KeepHistory::Nothing,
            (false, runs) => KeepHistory::History(runs),
        };
        // It tells nothing new: what earlier runs were told stays in force.
        let inputs = context.recorded.clone().unwrap_or_else(|| context.inputs.clone());
        let outcome = transaction.apply(plan, inputs, false, keep, &|| Ok(()))?;
        // A timer runs it, and nobody watches: the journal tells what has drifted.
        for action in outcome.plan.changes() {
            warn!("{} had drifted: {}", action.resource.path(), action.diff.trim_end().replace('\n', ", "));
        }
        Ok((outcome.plan, context.version))
    });
    done.map_err(|error| after_recovery(recovered, error))
}

/// Makes the plan for the node as it is now.
fn make(context: &Context<'_>, request: &RunRequest) -> Result<Plan> {
    let Context { root, profile, target, .. } = context;
    let subject = PlanSubject::new(root.path().to_owned(), profile, target.role);
    let mut plan = Plan {
        subject,
        actions: Vec::new(),
        warnings: Vec::new(),
        taken_over: Vec::new(),
        notes: PlanNotes::default(),
    };
    if !downgrade::has_started(context) {
        info!("K3s has not started here: the files that it creates do not exist yet");
        plan.warnings
            .push("K3s has not started here: the files that --after-start fixes do not exist yet".to_owned());
        return Ok(plan);
    }
    let facts = NodeFacts::new(context.node.clone(), context.owner, K3sLog::default());
    let filter = ControlFilter { only: request.only.clone(), skip: context.recorded_skip(request) };
    let found = wrong_permissions(&facts, &profile.benchmark, |id, name| filter.has(id, name))?;
    for file in found {
        add(context, &mut plan, file)?;
    }
    if let Some((mode, place)) = context.node.value("write-kubeconfig-mode")
        && plan.actions.iter().any(|action| action.resource.path().name() == "k3s.yaml")
    {
        plan.warnings.push(format!(
            "{place}: write-kubeconfig-mode is {mode}: K3s resets its kubeconfig to this mode at every start"
        ));
    }
    Ok(plan)
}

fn add(context: &Context<'_>, plan: &mut Plan, file: WrongPermissions) -> Result<()> {
    let WrongPermissions { path, wanted: (mode, owner), controls, .. } = file;
    if let Some(link) = symlink_to(context.root, &path)? {
        plan.warnings.push(format!(
            "{path} is not changed: {link} is a symlink, and --after-start does not follow symlinks. Set mode {mode} on the target yourself"
        ));
        return Ok(());
    }
    let controls = controls.into_iter().map(|(id, _)| id).collect();
    let resource = Resource::Permissions(Permissions { path, mode, owner, controls });
    let action = Action::between(resource, context.root)?;
    plan.actions.push(action);
    Ok(())
}

/// Returns the first symlink on the way to a path, or at its end.
fn symlink_to(root: &Root, path: &RootedPath) -> Result<Option<RootedPath>> {
    let mut above = vec![path.clone()];
    while let Some(parent) = above.last().and_then(RootedPath::parent).filter(|parent| parent.as_str() != "/")
    {
        above.push(parent);
    }
    for path in above.into_iter().rev() {
        let is_link = |entry: &PathEntry| entry.kind == EntryKind::Symlink;
        if root.entry(&path)?.as_ref().is_some_and(is_link) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
