// SPDX-License-Identifier: Apache-2.0
//! A node that goes back to an older minor: refused where K3s has started with the newer one.
//!
//! Kubernetes supports no downgrade: what the newer minor has written into the datastore, the older one may not read
//! (Kubernetes' documentation, "Version Skew Policy"). A patch release of the same minor is none.

use super::context::Context;
use super::request::VersionRequest;
use crate::apply::RecordedRun;
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::{self, K3sLog, LastStart, StartedWith, Traces, seconds};
use crate::version::KubernetesMinor;

/// The flag that insists.
pub(super) const ALLOW: &str = "--allow-downgrade";

/// Refuses to plan for an older minor than K3s has started with here.
///
/// # Errors
/// [`ErrorKind::BadInput`], with what says that the newer one has started.
pub(super) fn check(context: &Context<'_>) -> Result<()> {
    let wanted = context.version.minor();
    if context.request.allow_downgrade {
        return Ok(());
    }
    let Some(found) = started_with(context).filter(|found| found.minor > wanted) else { return Ok(()) };
    // The traces are many paths, and nearly always nothing tells of a newer minor.
    if !has_started(context) || is_allowed_already(context) {
        return Ok(());
    }
    let StartedWith { minor, why } = found;
    let message =
        format!("downgrade: K3s has started here with Kubernetes {minor}, and {wanted} is older: {why}");
    Err(Error::new(ErrorKind::BadInput, message)
        .hint(format!("use the running minor: --k3s-version {minor}. An older minor may not be able to read the datastore"))
        .hint(format!("{ALLOW} allows the downgrade, for example if you restore a datastore snapshot of {wanted}")))
}

/// Tells whether the newest run was for this minor, and K3s has not started since: then somebody has allowed it, and a unit that
/// applies before each start goes on.
fn is_allowed_already(context: &Context<'_>) -> bool {
    let Context { root, target, version, .. } = context;
    let Some(run) = context.run.as_ref().filter(|run| run.about.kubernetes == version.minor()) else {
        return false;
    };
    let start = LastStart::find(root, &target.data_dir, &K3sLog::read(root));
    start.zip(seconds(&run.time)).is_some_and(|(start, run)| start.at < run)
}

/// Returns the minor that K3s has started with here, as far as anything tells.
fn started_with(context: &Context<'_>) -> Option<StartedWith> {
    let Context { root, target, .. } = context;
    let wanted = context.version.minor();
    let is_newer = |run: &RecordedRun| run.about.kubernetes > wanted;
    let is_recorded = context.run.as_ref().is_some_and(is_newer);
    // A version that nobody named is that of the binary. The journal is asked only where something tells of a newer minor.
    let is_named = matches!(context.request.version, VersionRequest::Named(_));
    let is_installed =
        || k3s::version(root).ok().flatten().is_some_and(|(version, _)| version.minor() > wanted);
    let is_doubtful = is_recorded || (is_named && is_installed());
    let log = if is_doubtful { K3sLog::read(root) } else { K3sLog::of_file(root) };
    StartedWith::find(root, &target.data_dir, &log, is_doubtful)
        .or_else(|| by_record(context, context.run.as_ref().filter(|_| is_recorded)?, &log))
}

/// Returns the minor that the newest run was about, if K3s has started since.
fn by_record(context: &Context<'_>, run: &RecordedRun, log: &K3sLog) -> Option<StartedWith> {
    let Context { root, target, .. } = context;
    let minor: KubernetesMinor = run.about.kubernetes;
    let start = LastStart::find(root, &target.data_dir, log)?;
    let since = seconds(&run.time)?;
    (start.at >= since).then(|| StartedWith {
        minor,
        why: format!("run {} of {} was for it, and K3s has started since ({})", run.id, run.time, start.from),
    })
}

/// Tells whether K3s has started at all.
pub(super) fn has_started(context: &Context<'_>) -> bool {
    let Traces { started, .. } = context.node.traces();
    started.is_some()
}
