// SPDX-License-Identifier: Apache-2.0
//! `apply`: makes a node as the profile has it.

use tracing::warn;

use super::args::ApplyArguments;
use super::context::{self, Context};
use super::request::RunRequest;
use super::saved::SavedPlan;
use super::ui::Ui;
use super::{locking, next_step, notes, plan, preflight, ui};
use crate::apply::{
    ApplyOutcome, KeepHistory, RecordedInputs, Transaction, after_recovery, check_writable, has_state,
};
use crate::document::{DropIn, Rendered};
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::encryption_change::EncryptionChange;
use crate::k3s::flags::{self, ENCRYPTION_KEY};
use crate::k3s::{NodeConfig, Traces};
use crate::mode::Owner;
use crate::node::Root;
use crate::output::{self, PlanReport};
use crate::plan::Plan;
use crate::preflight::{Class, Finding, check};
use crate::version::K3sVersion;

pub(super) fn run(request: RunRequest, arguments: &ApplyArguments, ui: &mut Ui) -> Result<u8> {
    let saved = arguments.plan.as_deref().map(SavedPlan::read).transpose()?;
    let request = match &saved {
        Some(saved) => saved.request(request)?,
        None => request,
    };
    let root = Root::open(&request.root)?;
    let owner = context::owner(request.owner.as_deref(), &root)?.unwrap_or(Owner::ROOT);
    context::check_rights(&root, request.owner.is_some(), owner)?;
    let job = ApplyJob { root: &root, request: &request, arguments, saved: saved.as_ref() };
    let recorded = context::recorded_inputs(&root)?;
    let must_end_history = arguments.no_history && has_state(&root)?;
    let (outcome, version) = if recorded.interrupted.is_some() || must_end_history {
        // A plan that is made now means nothing: the interrupted run is undone first, or its history removed.
        job.carry_out(owner, None)?
    } else {
        let prepared = job.prepare(recorded, None, None)?;
        prepared.context.say_decided();
        match prepared {
            // A converged node is the common case: nothing is opened for writing, not even the lock.
            prepared if !prepared.plan.is_changed() && !prepared.context.inputs_changed => {
                (ApplyOutcome { plan: prepared.plan, id: None }, prepared.context.version)
            }
            prepared => job.carry_out(owner, Some(prepared))?,
        }
    };
    show(&outcome.plan, (&root, &version), arguments, ui)
}

/// Shows what was done; returns the exit code.
pub(super) fn show(
    done: &Plan,
    (root, version): (&Root, &K3sVersion),
    arguments: &ApplyArguments,
    ui: &mut Ui,
) -> Result<u8> {
    plan::warn_all(done);
    let printed = if ui.json() {
        ui.out_json(&PlanReport::new(done, &ui.origin(root, Some(version))))
    } else {
        let mut text = output::apply_text(done, ui.stdout_style());
        if done.is_changed() {
            output::add_next_step(
                &mut text,
                &next_step::after_apply(done, root, version, !arguments.no_history),
            );
        }
        ui.say(&text)
    };
    printed.map_err(ui::not_reported)?;
    Ok(plan::changes_code(arguments.planning.detailed_exitcode, done.is_changed()))
}

/// One `apply`.
struct ApplyJob<'a> {
    root: &'a Root,
    request: &'a RunRequest,
    arguments: &'a ApplyArguments,
    saved: Option<&'a SavedPlan>,
}

/// A plan with what it was made from.
struct PreparedPlan<'a> {
    context: Context<'a>,
    rendered: Rendered,
    plan: Plan,
}

impl<'a> ApplyJob<'a> {
    /// Makes the plan for the node as it is now. With the lock held, `locked` is the transaction; `unlocked` is the plan
    /// that was made before.
    fn prepare(
        &self,
        recorded: RecordedInputs,
        locked: Option<&Transaction<'_>>,
        unlocked: Option<PreparedPlan<'_>>,
    ) -> Result<PreparedPlan<'a>> {
        let context = Context::after(recorded, self.root, self.request)?;
        // The documents depend on the profile and the site alone: only if one has changed, they are rendered again.
        let is_same = |earlier: &PreparedPlan<'_>| {
            (&earlier.context.profile, &earlier.context.target) == (&context.profile, &context.target)
        };
        let rendered = match unlocked.filter(is_same) {
            Some(earlier) => earlier.rendered,
            None => Rendered::new(&context.profile, &context.target),
        };
        let mut plan = plan::make(&context, &rendered)?;
        if let Some(transaction) = locked {
            transaction.include_made_directories(&mut plan);
        }
        if let Some(saved) = self.saved {
            saved.check(&plan)?;
        }
        Ok(PreparedPlan { context, rendered, plan })
    }

    /// Takes the lock and applies the plan; `unlocked` is the plan that was made before. Returns also the version of K3s that
    /// the plan is for.
    fn carry_out(
        &self,
        owner: Owner,
        unlocked: Option<PreparedPlan<'_>>,
    ) -> Result<(ApplyOutcome, K3sVersion)> {
        if let Some(unlocked) = &unlocked {
            check_encryption(&unlocked.context, &unlocked.rendered.requested)?;
            check_writable(self.root, &unlocked.plan)?;
        }
        let transaction = locking::begin(self.root, &self.arguments.locking, owner, false)?;
        let recovered = transaction.recovered().is_some();
        self.carry_out_locked(transaction, unlocked).map_err(|error| after_recovery(recovered, error))
    }

    fn carry_out_locked(
        &self,
        transaction: Transaction<'_>,
        unlocked: Option<PreparedPlan<'_>>,
    ) -> Result<(ApplyOutcome, K3sVersion)> {
        // The node may have changed before the lock was taken.
        let PreparedPlan { context, rendered, plan } =
            self.prepare(transaction.recorded().clone(), Some(&transaction), unlocked)?;
        check_encryption(&context, &rendered.requested)?;
        check_writable(self.root, &plan)?;
        let keep = match (self.arguments.no_history, context.profile.history_runs()) {
            (true, _) => KeepHistory::Nothing,
            (false, runs) => KeepHistory::History(runs),
        };
        let starts = || match self.arguments.no_preflight {
            true => Ok(()),
            false => check_start(&context),
        };
        let mut outcome =
            transaction.apply(plan, context.inputs.clone(), context.inputs_changed, keep, &starts)?;
        if self.arguments.no_history {
            outcome.plan.notes.remembered = notes::forgotten(&context);
        }
        Ok((outcome, context.version))
    }
}

/// Refuses a result with which K3s would not start.
fn check_start(context: &Context<'_>) -> Result<()> {
    let Context { root, target, version, .. } = context;
    let mut node = NodeConfig::read(root, target.role, version.number(), &target.data_dir)?;
    if !context.request.live_sysctl {
        node = node.elsewhere("--no-live-sysctl");
    }
    let mut verdict = check(&node);
    preflight::name_users_lines(root, &target.config, &mut verdict);
    for unknown in verdict.of_class(Class::Unknown) {
        let place = unknown.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        warn!("{place}unknown whether K3s starts: {}", unknown.message);
    }
    let stopping: Vec<&Finding> = verdict.stopping().collect();
    let Some(first) = stopping.first() else { return Ok(()) };
    let mut error = Error::new(ErrorKind::Failed, format!("K3s would not start: {}", first.message));
    // What is in the way of a file names it already.
    if let Some(place) = first.place.as_ref().filter(|place| !first.message.starts_with(&place.to_string())) {
        error = error.at(place.clone());
    }
    error = error.hint(first.remedy.clone());
    if stopping.len() > 1 {
        error = error.hint(format!("{} more: `k3s-harden preflight`", stopping.len() - 1));
    }
    Err(error.hint("to apply it anyway: --no-preflight"))
}

/// Refuses what is unsafe once K3s has started: turning the encryption of Secrets on or off by configuration alone.
fn check_encryption(context: &Context<'_>, requested: &DropIn) -> Result<()> {
    let traces = Traces::observe(context.root, &context.target.data_dir);
    // Who has insisted once is not asked again.
    if let Some(message) =
        plan::late_encryption(&traces, requested).filter(|_| !context.request.late_encryption)
        && !context.encrypts_now()?
    {
        return Err(Error::new(ErrorKind::Failed, message)
            .hint("leave it out: --set secrets_encryption=false")
            .hint(format!("or {}", EncryptionChange::TurnOn.advice(context.version.number()))));
    }
    let wanted = requested.keys.iter().any(|key| key.name == ENCRYPTION_KEY);
    let by_others = context
        .target
        .drop_in_merge
        .existing
        .value(ENCRYPTION_KEY)
        .is_some_and(|item| flags::is_true(&item.text));
    if traces.started.is_some()
        && traces.secrets_encrypted
        && !wanted
        && !by_others
        && context.encrypts_now()?
    {
        let message =
            "K3s has started with encrypted Secrets: without secrets-encryption, it can no longer read them";
        return Err(Error::new(ErrorKind::Failed, message)
            .hint("leave it on: --set secrets_encryption=true")
            .hint("or decrypt them with K3s's own command first: `k3s secrets-encrypt disable`"));
    }
    Ok(())
}
