//! `apply`: make it so.

use std::collections::BTreeMap;

use tracing::warn;

use super::args::{ApplyArguments, BenchmarkArguments, GlobalArguments};
use super::context::{self, Context};
use super::saved::SavedPlan;
use super::ui::Ui;
use super::{changes_code, plan};
use crate::apply::{
    ApplyOutcome, KeepHistory, RecordedInputs, RunInputs, Transaction, check_writable, has_state,
};
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::{NodeConfig, Traces};
use crate::mode::Owner;
use crate::node::Root;
use crate::output::{self, PlanReport};
use crate::plan::Plan;
use crate::preflight::{Finding, check};

pub(super) fn run(global: &GlobalArguments, arguments: &ApplyArguments, ui: &mut Ui) -> Result<u8> {
    let saved = arguments.plan.as_deref().map(SavedPlan::read).transpose()?;
    let (global, judging) = match &saved {
        Some(saved) => &saved.words(global, arguments)?,
        None => &(global.clone(), arguments.judging.clone()),
    };
    let root = Root::open(&global.root)?;
    let owner = context::owner(global, &root)?.unwrap_or(Owner::ROOT);
    context::check_rights(global, owner)?;
    let job = ApplyJob { root: &root, global, judging, arguments, saved: saved.as_ref() };
    let recorded = context::earlier(&root)?;
    let has_to_end = arguments.no_history && has_state(&root)?;
    let outcome = if recorded.interrupted.is_some() || has_to_end {
        // What a plan would be now means nothing: that run has to be undone first, or what it left taken away.
        job.carry_out(owner, None)?
    } else {
        match job.prepare(recorded, None)? {
            // The good case opens nothing for writing, not even the lock.
            PreparedPlan { plan, retold: false, .. } if !plan.is_changed() => ApplyOutcome { plan, id: None },
            prepared => job.carry_out(owner, Some(&prepared))?,
        }
    };
    plan::warn_all(&outcome.plan);
    let told = if ui.json() {
        ui.out_json(&PlanReport::new(&outcome.plan))
    } else {
        let text = output::apply_text(&outcome.plan, ui.stdout_style());
        ui.out(&text)
    };
    told.map_err(|error| error.hint("what was asked for is done; only the report of it is lost"))?;
    Ok(changes_code(judging.detailed_exitcode, outcome.plan.is_changed()))
}

/// What there is to do.
struct ApplyJob<'a> {
    root: &'a Root,
    global: &'a GlobalArguments,
    judging: &'a BenchmarkArguments,
    arguments: &'a ApplyArguments,
    saved: Option<&'a SavedPlan>,
}

/// A plan with what it was made from.
struct PreparedPlan<'a> {
    context: Context<'a>,
    plan: Plan,
    told: RunInputs,
    /// Whether an earlier run was told something else.
    retold: bool,
}

impl<'a> ApplyJob<'a> {
    /// Makes the plan for the node as it is now, before the lock is taken or with it.
    fn prepare(
        &self,
        recorded: RecordedInputs,
        locked: Option<&Transaction<'_>>,
    ) -> Result<PreparedPlan<'a>> {
        let no_texts = BTreeMap::new();
        let texts = self.saved.map_or(&no_texts, |saved| &saved.inputs.told.files);
        let context = Context::after(recorded, self.root, self.global, self.judging, texts)?;
        let mut plan = plan::make(&context, self.global, !self.no_live_sysctl())?;
        if let Some(transaction) = locked {
            transaction.include_what_was_made(&mut plan);
        }
        let (mut told, mut retold) = (context.told.clone(), context.retold);
        if let Some(saved) = self.saved {
            saved.check(&plan)?;
            told = saved.inputs.told.clone();
            retold = context.earlier.as_ref().is_some_and(|earlier| *earlier != told);
        }
        Ok(PreparedPlan { context, plan, told, retold })
    }

    fn no_live_sysctl(&self) -> bool {
        self.saved.map_or(self.arguments.no_live_sysctl, |saved| saved.inputs.no_live_sysctl)
    }

    /// Takes the lock and does it; `first` is what it looked like before.
    fn carry_out(&self, owner: Owner, first: Option<&PreparedPlan<'_>>) -> Result<ApplyOutcome> {
        if let Some(first) = first {
            check_encryption(&first.context)?;
            check_writable(self.root, &first.plan)?;
        }
        let transaction = Transaction::begin(self.root, self.arguments.locking.manner(owner)?)?;
        super::warn_of(transaction.recovered());
        // What was true before we had the lock may no longer be.
        let PreparedPlan { context, plan, told, retold } =
            self.prepare(transaction.recorded().clone(), Some(&transaction))?;
        check_encryption(&context)?;
        check_writable(self.root, &plan)?;
        let keep = match (self.arguments.no_history, context.profile.history_runs()) {
            (true, _) => KeepHistory::Nothing,
            (false, runs) => KeepHistory::History(runs),
        };
        let starts = || match self.arguments.no_preflight {
            true => Ok(()),
            false => check_start(&context, self.no_live_sysctl()),
        };
        transaction.apply(plan, told, retold, keep, &starts)
    }
}

/// Refuses a node on which K3s would not start: it is worse than a soft one.
fn check_start(context: &Context<'_>, no_live_sysctl: bool) -> Result<()> {
    let Context { root, site, version, .. } = context;
    let mut node = NodeConfig::of(root, site.role, version.minor(), &site.data_dir)?;
    if no_live_sysctl {
        node = node.elsewhere("--no-live-sysctl");
    }
    let verdict = check(&node);
    for unknown in &verdict.unknown {
        warn!("whether K3s starts cannot be told: {unknown}");
    }
    let stopping: Vec<&Finding> = verdict.stopping().collect();
    let Some(first) = stopping.first() else { return Ok(()) };
    let mut error = Error::new(ErrorKind::Failed, format!("K3s would not start: {}", first.message));
    if let Some(place) = &first.place {
        error = error.at(place.clone());
    }
    error = error.hint(first.remedy.clone());
    if stopping.len() > 1 {
        error = error.hint(format!("{} more: k3s-harden preflight", stopping.len() - 1));
    }
    Err(error.hint("--no-preflight applies it all the same"))
}

/// Refuses what is unsafe once K3s has started: encrypting Secrets, or no longer doing so, by configuration alone.
fn check_encryption(context: &Context<'_>) -> Result<()> {
    let traces = Traces::observe(context.root, &context.site.data_dir);
    let configuration = context.configuration();
    if let Some(message) = plan::late_encryption(&traces, &configuration) {
        return Err(Error::new(ErrorKind::Failed, message)
            .hint("leave it out: --set secrets_encryption=false")
            .hint("or turn it on with K3s' own command, `k3s secrets-encrypt enable` (v1.33.10, v1.34.6, v1.35.3 and newer), and apply after that"));
    }
    let wanted = configuration.keys.iter().any(|key| key.name == "secrets-encryption");
    let by_others =
        context.site.placing.existing.value("secrets-encryption").is_some_and(|item| item.text == "true");
    if traces.started.is_some()
        && traces.secrets_encrypted
        && !wanted
        && !by_others
        && context.encrypts_now()?
    {
        let message = "K3s has started with encrypted Secrets, and without secrets-encryption it could no longer read them";
        return Err(Error::new(ErrorKind::Failed, message)
            .hint("leave it on: --set secrets_encryption=true")
            .hint("or decrypt them with K3s' own command first: `k3s secrets-encrypt disable`"));
    }
    Ok(())
}
