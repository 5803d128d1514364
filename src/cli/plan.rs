// SPDX-License-Identifier: Apache-2.0
//! `plan`: shows what `apply` would change.

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::args::PlanArguments;
use super::context::Context;
use super::downgrade;
use super::kept_values;
use super::notes;
use super::own_places;
use super::packaged;
use super::request::RunRequest;
use super::saved::SavedPlan;
use super::ui::Ui;
use super::unloaded_policies;
use crate::Role;
use crate::apply::edited_since;
use crate::document::{self, DropIn, OnConflict, Rendered, has_header, holds_taken_over};
use crate::error::{Error, ErrorKind, Result, exit};
use crate::k3s::critical_values;
use crate::k3s::encryption_change::{EncryptionChange, provider_in_force};
use crate::k3s::flags::{ENCRYPTION_KEY, PROVIDER_KEY};
use crate::k3s::{Datastore, Traces};
use crate::mode::FileMode;
use crate::node::{PathState, Root, RootedPath, host, sysctl};
use crate::output::{self, PlanReport};
use crate::plan::{
    Action, Change, CurrentState, Desired, ForeignFiles, Observed, Plan, PlanSubject, Resource,
};
use crate::profile::{ControlId, Profile};

pub(super) fn run(request: &RunRequest, arguments: &PlanArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&request.root)?;
    let context = Context::new(&root, request)?;
    let rendered = Rendered::new(&context.profile, &context.target);
    let plan = make(&context, &rendered)?;
    if let Some(path) = &arguments.out {
        let saved = SavedPlan::new(&plan, &context);
        host::write_file(path, saved.to_text()?.as_bytes(), FileMode::PRIVATE_FILE)?;
    }
    show(&plan, &context, arguments, ui)
}

/// Shows a plan; returns the exit code.
pub(super) fn show(plan: &Plan, context: &Context, arguments: &PlanArguments, ui: &mut Ui) -> Result<u8> {
    warn_all(plan);
    if ui.json() {
        ui.out_json(&PlanReport::new(plan, &ui.origin(context.root, Some(&context.version))))?;
    } else {
        let text = output::plan_text(plan, ui.stdout_style());
        ui.out(&text)?;
    }
    Ok(changes_code(arguments.planning.detailed_exitcode, plan.is_changed()))
}

/// Makes the plan for the node as it is now.
pub(super) fn make(context: &Context, rendered: &Rendered) -> Result<Plan> {
    context.check_history()?;
    context.check_inputs()?;
    downgrade::check(context)?;
    let Context { root, request, profile, target, .. } = context;
    let mut warnings = context.warnings.clone();
    let live = request.live_sysctl && !rendered.sysctls.is_empty() && may_set_sysctls(context, &mut warnings);
    let subject = PlanSubject::new(root.path().to_owned(), profile, target.role);
    let mut desired = Desired::new(subject, rendered, context.owner, live)?;
    desired.remove_unwanted(&context.removal_candidates()?, context.owner);
    desired.resources.iter().try_for_each(|resource| resource.path().check_recordable())?;
    let written = desired.resources.iter().flat_map(Resource::controls);
    let left = rendered.drop_in.left.iter().flat_map(|left| &left.ids);
    let desired_ids: BTreeSet<ControlId> = written.chain(left).cloned().collect();
    let observed = Observed::read(&desired, root)
        .or_else(|error| own_places::check_data_dir(root, &target.data_dir).and(Err(error)))?;
    let foreign = ForeignFiles {
        on_foreign: request.on_foreign.unwrap_or_default(),
        recorded: context.recorded_paths.clone(),
        united: target.users.united(&rendered.taken_over),
        is_kept: request.keeps_history,
    };
    let mut plan = Plan::between(desired, observed, &foreign)?;
    take_over(&mut plan, rendered, target.drop_in_merge.on_conflict, &mut warnings)?;
    warnings.extend(target.users.problems.iter().cloned());
    keep_edited(root, &mut plan)?;
    if plan.is_changed() {
        // A converged node is left as it is: nothing of it changes its mode.
        warnings.extend(own_places::check(root, &plan, &target.config, &target.data_dir)?);
    }
    warnings.extend(configuration_warnings(context, rendered)?);
    let told = document::anonymous_health::control(&rendered.requested);
    warnings.extend(kept_values::warnings(context, &served_ids(rendered, &desired_ids), told)?);
    warnings.extend(packaged::warnings(context, rendered)?);
    warnings.extend(ineffective_controls(&request.only, &desired_ids, profile));
    // Warnings about changes are for runs that change something, not for every later run.
    if plan.is_changed() {
        warnings.extend(change_warnings(context, &rendered.requested));
        warnings.extend(rendered.drop_in.left.iter().filter_map(|left| left.reason.clone()));
    } else {
        warnings.extend(notes::skipped(context));
    }
    if plan.changes().any(|action| action.resource.path().name() == "policy.yaml") {
        warnings.extend(rendered.policy_warnings.iter().cloned());
        warnings.extend(packaged::load_balancer_warnings(context)?);
    }
    let folder = target.data_dir.join(document::ADMISSION_FOLDER);
    if plan.changes().any(|action| action.resource.path().parent().as_ref() == Some(&folder)) {
        warnings.extend(rendered.admission_warnings.iter().cloned());
    }
    warnings.extend(unloaded_policies::warnings(root, &plan)?);
    plan.warnings.splice(0..0, warnings);
    plan.notes = notes::notes(context, rendered, &plan)?;
    Ok(plan)
}

/// Names what of the user's the files that change take over; what is no longer in force is a warning too.
fn take_over(
    plan: &mut Plan,
    rendered: &Rendered,
    on_conflict: OnConflict,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let changed: BTreeSet<_> = plan.changes().map(|action| action.resource.path()).collect();
    for part in rendered.taken_over.iter().filter(|part| changed.contains(&part.file)) {
        if part.is_conflict && on_conflict == OnConflict::Fail {
            return Err(Error::new(ErrorKind::Failed, part.what.clone())
                .at(part.place.clone())
                .hint("override the other value: --on-conflict ours; keep it: --on-conflict keep"));
        }
        warnings.extend(part.is_warning().then(|| part.to_string()));
        plan.taken_over.push(part.clone());
    }
    Ok(())
}

/// Leaves files that are no longer wanted where somebody has edited them since a run wrote them. Names them, and what of the user's
/// goes: the edits of a file that is written anew, and what a file that is removed had taken over.
fn keep_edited(root: &Root, plan: &mut Plan) -> Result<()> {
    let may_be_edited = |action: &&Action| match action.change {
        Change::Remove => true,
        Change::Update => has_header(bytes_before(action)),
        _ => false,
    };
    let paths: Vec<RootedPath> =
        plan.changes().filter(may_be_edited).map(|action| action.resource.path()).collect();
    let edited = edited_since(root, &paths)?;
    let Plan { actions, warnings, .. } = plan;
    actions.retain(|action| {
        let path = action.resource.path();
        match (action.change, edited.contains(&path)) {
            (Change::Remove, true) => {
                warnings.push(format!(
                    "{path} is no longer needed, but was edited since k3s-harden wrote it: it is kept. Move your changes elsewhere, then delete it"
                ));
                return false;
            }
            (Change::Remove, false) if holds_taken_over(bytes_before(action)) => warnings.push(format!(
                "{path} will be removed with the lines it has taken over from your file (\"# Taken over\"): only a rollback restores them"
            )),
            (Change::Update, true) => warnings
                .push(format!("{path} was edited since k3s-harden wrote it: the edits are replaced")),
            _ => {}
        }
        true
    });
    Ok(())
}

/// Returns what is in a file before it changes; nothing for anything else.
fn bytes_before(action: &Action) -> &[u8] {
    match &action.before {
        CurrentState::Path(PathState::File { bytes, .. }) => bytes,
        _ => &[],
    }
}

/// Returns the controls that a run sees to, or has a warning of its own for: a value that stays in a conflict.
fn served_ids(rendered: &Rendered, desired: &BTreeSet<ControlId>) -> BTreeSet<ControlId> {
    rendered.requested.ids().into_iter().chain(desired.iter().cloned()).collect()
}

/// Returns warnings about the node's own K3s configuration: what overrides the drop-in, and conflicts with it.
fn configuration_warnings(context: &Context, rendered: &Rendered) -> Result<Vec<String>> {
    let Context { target, .. } = context;
    let merge = &target.drop_in_merge;
    let minor = context.version.minor();
    let requested = &rendered.requested;
    let service = document::service_warnings(&context.node, requested);
    let mut warnings = merge.existing.warnings(requested);
    warnings.extend(service);
    let unknown = merge.existing.unknown_arguments(target.role, minor, &target.running);
    warnings.extend(unknown.into_iter().map(|(message, place)| format!("{place}: {message}")));
    warnings.extend(merge.kubelet_files.problem.iter().map(|problem| {
        format!("{problem}: the kubelet's configuration files were not compared with the managed settings")
    }));
    document::anonymous_health::check_issuers(requested, merge)?;
    warnings.extend(rendered.drop_in.excluded.iter().map(|(message, place)| format!("{place}: {message}")));
    for (message, place) in rendered.drop_in.conflicts.iter().cloned() {
        if merge.on_conflict == OnConflict::Fail {
            return Err(Error::new(ErrorKind::Failed, message)
                .at(place)
                .hint("override the other value: --on-conflict ours; keep it: --on-conflict keep"));
        }
        warnings.push(format!("{place}: {message}"));
    }
    // A file that is no YAML is among the warnings above.
    if let (Ok(effective), false) = (&context.node.effective, merge.existing.is_empty()) {
        // The drop-in is about to be replaced.
        let ours = document::drop_in_path(&target.config);
        let refused = effective.refusals.iter().filter(|refusal| refusal.place().file != ours.as_str());
        warnings.extend(refused.map(|refusal| match &refusal.doubt {
            Some(doubt) => format!("{}: K3s may exit on this, {doubt}: {}", refusal.place(), refusal.message),
            None => format!("{}: K3s exits on this: {}", refusal.place(), refusal.message),
        }));
        warnings.extend(effective.skipped.iter().map(|key| match &key.hint {
            Some(hint) => format!("{}: {}: {hint}", key.place, key.message),
            None => format!("{}: {}", key.place, key.message),
        }));
    }
    Ok(warnings)
}

/// Returns warnings about controls of `--only` that the profile leaves off.
fn ineffective_controls(only: &[String], served: &BTreeSet<ControlId>, profile: &Profile) -> Vec<String> {
    let is_ineffective = |word: &&String| {
        let named = profile.selection.only().into_iter().flatten();
        let ids = profile.ids(&named.collect::<Vec<_>>());
        let ids: Vec<_> =
            ids.iter().filter(|id| word.parse::<ControlId>().map_or(true, |word| id.within(&word))).collect();
        !ids.iter().any(|id| served.contains(*id))
    };
    only.iter()
        .filter(is_ineffective)
        .map(|word| {
            format!("profile {} does not implement {word}: its setting is off", profile.names.join(" + "))
        })
        .collect()
}

/// Logs the warnings of a plan.
pub(super) fn warn_all(plan: &Plan) {
    for action in plan.actions.iter().filter(|action| action.change == Change::None) {
        info!("unchanged: {}", action.resource.path());
    }
    for warning in &plan.warnings {
        warn!("{warning}");
    }
}

fn may_set_sysctls(context: &Context, warnings: &mut Vec<String>) -> bool {
    if let Some(sign) = context.root.chroot() {
        warnings.push(format!(
            "kernel parameters are not set: this is a chroot ({sign}), and the running kernel belongs to another system"
        ));
        return false;
    }
    if !context.root.is_live() {
        return false;
    }
    if let Some(reason) = sysctl::hidden() {
        warnings.push(format!(
            "kernel parameters are not read or set: {reason}. Mount it, or reboot: the file under /etc/sysctl.d sets them at boot"
        ));
        return false;
    }
    let Some(sign) = sysctl::container(context.root) else { return true };
    info!("this is a container ({sign}): its kernel parameters are the host's");
    warnings
        .push(format!("kernel parameters are not set: this is a container ({sign}). Set them on its host"));
    false
}

/// Returns warnings about the changes: what they mean for a K3s that has already started, and what they lack.
fn change_warnings(context: &Context, requested: &DropIn) -> Vec<String> {
    let traces = Traces::observe(context.root, &context.target.data_dir);
    let mut warnings = Vec::new();
    if let Some((role, proof)) = &traces.started {
        warnings.push(format!("K3s has already started here as {role} ({proof} exists): changed arguments and files need a restart of K3s; policy.yaml takes effect within 15 s"));
    }
    if let Some(place) = context.config.place() {
        let file = context.config.path_or_default();
        warnings.push(format!(
            "K3s reads {file} (set in {place}) and its drop-in directory: the drop-in is written there"
        ));
    }
    warnings.extend(joins(context, requested));
    warnings.extend(late_encryption(&traces, requested));
    warnings.extend(late_provider(context, &traces, requested));
    warnings.extend(incomplete_audit(requested));
    warnings.extend(document::anonymous_health::warning(&context.profile, requested));
    if traces.rancher {
        warnings.push("Rancher manages this node: it rewrites 50-rancher.yaml and sets its own admission configuration. Use `render --as rancher-cluster` to put the settings into Rancher".to_owned());
    }
    warnings
}

/// Returns what has to be the same on the server that this one joins; none if this one has joined, or is none that joins.
fn joins(context: &Context, requested: &DropIn) -> Option<String> {
    let node = &context.node;
    let has_joined = node.root.is_directory(&node.data_dir.join(Datastore::ETCD_LOG));
    if context.target.role != Role::Server || has_joined || node.value("server").is_none() {
        return None;
    }
    let release = context.version.number();
    let compared: Vec<&str> = critical_values::of_release(release)
        .filter(|row| row.compared)
        .map(|row| row.written_as().0)
        .collect();
    let ours = requested.keys.iter().filter(|key| compared.contains(&key.name.as_str()));
    let ours: Vec<String> = ours.map(|key| format!("{}: {}", key.name, key.value)).collect();
    let ours = match ours.as_slice() {
        [] => String::new(),
        ours => format!(
            ". Of these, k3s-harden writes {}: the first server needs the same values",
            ours.join(", ")
        ),
    };
    Some(format!(
        "this server joins an existing cluster. K3s exits if one of these values differs from the first server: {}{ours}. Compare before the start: preflight --server-config FILE",
        critical_values::keys_of(release)
    ))
}

/// Returns the reason why the plan can no longer turn on the encryption of Secrets, if it tries to.
pub(super) fn late_encryption(traces: &Traces, configuration: &DropIn) -> Option<String> {
    let wanted = configuration.keys.iter().any(|key| key.name == ENCRYPTION_KEY);
    let (Role::Server, proof) = traces.started.as_ref()? else { return None };
    (wanted && !traces.has_encryption_config).then(|| {
        format!("K3s has started without secrets-encryption ({proof} exists): turned on by configuration alone, it does not encrypt existing Secrets, and a server that differs from the others does not start")
    })
}

/// Returns a warning if the plan names another provider than the one that encrypts Secrets on this node.
fn late_provider(context: &Context, traces: &Traces, requested: &DropIn) -> Option<String> {
    let wanted = requested.keys.iter().find(|key| key.name == PROVIDER_KEY)?.value.as_str()?;
    if !traces.has_encryption_config {
        return None;
    }
    let advice = EncryptionChange::ChangeProvider.advice(context.version.number());
    match provider_in_force(context.root, &context.target.data_dir) {
        Ok(Some(current)) if current != wanted && current != "identity" => Some(format!(
            "K3s encrypts Secrets with {current} here, and continues to do so. To use {wanted}: {advice}"
        )),
        Ok(_) => None,
        Err(error) => Some(format!("{error}: unknown whether K3s encrypts with {wanted}; if not, {advice}")),
    }
}

/// Returns a warning if the audit log lacks its policy, or the policy its log.
fn incomplete_audit(configuration: &DropIn) -> Option<String> {
    let has = |name: &str| {
        let mut arguments = configuration.components.iter().flat_map(|component| &component.arguments);
        arguments.any(|argument| argument.name == name)
    };
    match (has("audit-policy-file"), has("audit-log-path")) {
        (false, true) => {
            Some("audit-log-path is set without audit-policy-file: the audit log stays empty".to_owned())
        }
        (true, false) => {
            Some("audit-policy-file is set without audit-log-path: no audit events are logged".to_owned())
        }
        _ => None,
    }
}

/// Returns the exit code of a run that found or made changes.
pub(super) fn changes_code(detailed: bool, changed: bool) -> u8 {
    if detailed && changed { exit::CHANGES } else { exit::OK }
}
