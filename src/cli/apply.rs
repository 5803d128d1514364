//! `apply`: make it so.

use super::args::{ApplyArguments, Global};
use super::context::Context;
use super::ui::Ui;
use super::{changes_code, plan};
use crate::apply::{Outcome, Transaction};
use crate::error::{Error, Kind, Result};
use crate::node::accounts;
use crate::node::k3s::Traces;
use crate::output::{self, Report};

pub(super) fn run(global: &Global, arguments: &ApplyArguments, ui: &mut Ui) -> Result<u8> {
    let context = Context::new(global, &arguments.judging)?;
    check_rights(global, &context)?;
    let judging = &arguments.judging;
    let make = || plan::make(&context, global, !arguments.no_live_sysctl);
    let first = make()?;
    // The good case opens nothing for writing, not even the lock.
    let outcome = if first.is_changed() || context.retold {
        check_encryption(&context)?;
        let transaction = Transaction::begin(&context.root, context.owner, &first)?;
        // What was true before we had the lock may no longer be.
        transaction.carry_out(make()?, context.told.clone(), context.retold)?
    } else {
        Outcome { plan: first, id: None }
    };
    plan::warn_all(&outcome.plan);
    if ui.json() {
        ui.out_json(&Report::new(&outcome.plan))?;
    } else {
        let text = output::applied(&outcome.plan, ui.stdout_style());
        ui.out(&text)?;
    }
    Ok(changes_code(judging.detailed_exitcode, outcome.plan.is_changed()))
}

fn check_rights(global: &Global, context: &Context) -> Result<()> {
    if accounts::may_give_to(context.owner) {
        return Ok(());
    }
    let own = accounts::own();
    let whose = global.owner.as_ref().map_or_else(|| "root".to_owned(), |_| context.owner.to_string());
    let message = format!("only root can make files that belong to {whose}");
    Err(Error::new(Kind::NotPermitted, message).hint(match global.owner {
        None => format!("run it as root, or for an image build name the owner: --owner {own}"),
        Some(_) => format!("without root only --owner {own} works, or another group of yours"),
    }))
}

/// Refuses what is unsafe once K3s has started: encrypting Secrets, or no longer doing so, by configuration alone.
fn check_encryption(context: &Context) -> Result<()> {
    let traces = Traces::observe(&context.root, &context.site.data_dir);
    let configuration = context.configuration();
    if let Some(message) = plan::late_encryption(&traces, &configuration) {
        return Err(Error::new(Kind::Failed, message)
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
        return Err(Error::new(Kind::Failed, message)
            .hint("leave it on: --set secrets_encryption=true")
            .hint("or decrypt them with K3s' own command first: `k3s secrets-encrypt disable`"));
    }
    Ok(())
}
