//! `plan`: what would change.

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::args::{GlobalArguments, PlanArguments};
use super::changes_code;
use super::context::Context;
use super::saved::{Inputs, SavedPlan};
use super::ui::Ui;
use crate::Role;
use crate::document::OnConflict;
use crate::document::{self, DROP_IN, DropIn};
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::{MergedConfig, Traces};
use crate::mode::FileMode;
use crate::node::{Root, RootedPath, host, sysctl};
use crate::output::{self, PlanReport};
use crate::plan::{Desired, Observed, Plan, PlanPolicy};
use crate::profile::{ControlId, Profile};

pub(super) fn run(global: &GlobalArguments, arguments: &PlanArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&global.root)?;
    let context = Context::new(&root, global, &arguments.judging)?;
    let plan = make(&context, global, !arguments.no_live_sysctl)?;
    if let Some(path) = &arguments.out {
        let saved = SavedPlan::new(&plan, Inputs::new(&context, global, arguments.no_live_sysctl));
        host::write_file(path, saved.to_text()?.as_bytes(), FileMode::PRIVATE_FILE)?;
    }
    warn_all(&plan);
    if ui.json() {
        ui.out_json(&PlanReport::new(&plan))?;
    } else {
        let text = output::plan_text(&plan, ui.stdout_style());
        ui.out(&text)?;
    }
    Ok(changes_code(arguments.judging.detailed_exitcode, plan.is_changed()))
}

/// Makes the plan for the node as it is now.
pub(super) fn make(context: &Context, global: &GlobalArguments, live_sysctl: bool) -> Result<Plan> {
    let Context { root, profile, site, .. } = context;
    let mut warnings = context.warnings.clone();
    let live = live_sysctl && root.is_live() && may_set_sysctls(context, &mut warnings);
    let mut desired = Desired::new(root.path().to_owned(), profile, site, context.owner, live)?;
    desired.forget(&context.forgettable(), context.owner);
    let desired_ids: BTreeSet<ControlId> =
        desired.resources.iter().flat_map(|resource| resource.controls().iter().cloned()).collect();
    let observed = Observed::of(&desired, root)?;
    let policy = PlanPolicy {
        on_foreign: context.told.on_foreign.unwrap_or_default(),
        recorded: context.recorded.clone(),
    };
    let mut plan = Plan::between(desired, observed, &policy)?;
    warnings.extend(configured_already(context)?);
    warnings.extend(served_by_nothing(global, &desired_ids, profile));
    // What the changes mean is said when there are some, not again on every run that finds them made.
    if plan.is_changed() {
        warnings.extend(first_start(context));
    }
    if plan.changes().any(|action| action.resource.path().name() == "policy.yaml") {
        warnings.extend(document::warnings(profile));
    }
    plan.warnings.splice(0..0, warnings);
    Ok(plan)
}

/// Says what K3s' configuration sets already that is not settled by our drop-in, or was settled against somebody.
fn configured_already(context: &Context) -> Result<Vec<String>> {
    let Context { root, site, .. } = context;
    let placing = &site.placing;
    let minor = context.version.minor();
    let service = |ours: &DropIn| document::service_warnings(root, site.role, minor, ours);
    if placing.existing.is_empty() {
        // Nothing but the service can be in the way then; most nodes have none yet.
        return if root.exists(&RootedPath::fixed("/etc/systemd/system"))
            || root.exists(&RootedPath::fixed("/etc/init.d"))
        {
            service(&context.configuration())
        } else {
            Ok(Vec::new())
        };
    }
    let ours = context.configuration();
    let mut warnings = placing.existing.warnings(&ours);
    warnings.extend(service(&ours)?);
    let unknown = placing.existing.unknown_arguments(site.role, minor);
    warnings.extend(unknown.into_iter().map(|(message, place)| format!("{place}: {message}")));
    for (message, place) in placing.place(ours).conflicts {
        if placing.on_conflict == OnConflict::Fail {
            return Err(Error::new(ErrorKind::Failed, message)
                .at(place)
                .hint("--on-conflict ours lets k3s-harden win, --on-conflict keep leaves the other"));
        }
        warnings.push(format!("{place}: {message}"));
    }
    // A file that is no YAML is among the problems above.
    if let Ok(reading) = MergedConfig::of(root, &[site.role.to_string()], minor) {
        // Ours is about to be written anew.
        let refusals = reading.refusals(site.role).into_iter().filter(|(_, place)| place.file != DROP_IN);
        warnings.extend(refusals.map(|(message, place)| format!("{place}: K3s exits on this: {message}")));
        warnings.extend(reading.warnings);
    }
    Ok(warnings)
}

/// Says where `--only` names something that the profile leaves off: the run would do nothing without a word.
fn served_by_nothing(
    global: &GlobalArguments,
    served: &BTreeSet<ControlId>,
    profile: &Profile,
) -> Vec<String> {
    let nothing = |word: &&String| {
        let named = profile.selection.only().into_iter().flatten();
        let ids = profile.ids(&named.collect::<Vec<_>>());
        let ids: Vec<_> =
            ids.iter().filter(|id| word.parse::<ControlId>().map_or(true, |word| id.within(&word))).collect();
        !word.trim().is_empty() && !ids.iter().any(|id| served.contains(*id))
    };
    let words = global.only.iter().filter(nothing);
    words
        .map(|word| {
            format!(
                "nothing of profile {} serves {word}: the setting behind it is off",
                profile.names.join(" + ")
            )
        })
        .collect()
}

/// Logs what the user should know.
pub(super) fn warn_all(plan: &Plan) {
    for warning in &plan.warnings {
        warn!("{warning}");
    }
}

fn may_set_sysctls(context: &Context, warnings: &mut Vec<String>) -> bool {
    let Some(sign) = sysctl::container(context.root) else { return true };
    info!("this is a container ({sign}): its kernel parameters are the host's");
    warnings.push(format!(
        "the kernel parameters are left alone, because this is a container ({sign}): set them on its host"
    ));
    false
}

/// Says what a K3s that has started already means for the changes.
fn first_start(context: &Context) -> Vec<String> {
    let traces = Traces::observe(context.root, &context.site.data_dir);
    let mut warnings = Vec::new();
    if let Some((role, proof)) = &traces.started {
        warnings.push(format!("K3s has already started here as {role} ({proof} exists): arguments and files take effect when it starts again, policy.yaml within 15 s"));
    }
    let configuration = context.configuration();
    warnings.extend(late_encryption(&traces, &configuration));
    warnings.extend(half_an_audit(&configuration));
    if traces.rancher {
        warnings.push("Rancher manages this node: it rewrites its own 50-rancher.yaml and passes its own admission configuration; `render --as rancher-cluster` is the way to tell it".to_owned());
    }
    warnings
}

/// Returns why Secrets cannot be encrypted any more by what is planned, if that is so.
pub(super) fn late_encryption(traces: &Traces, configuration: &DropIn) -> Option<String> {
    let wanted = configuration.keys.iter().any(|key| key.name == "secrets-encryption");
    let (Role::Server, proof) = traces.started.as_ref()? else { return None };
    (wanted && !traces.secrets_encrypted).then(|| {
        format!("K3s has started without secrets-encryption ({proof} exists), and turning it on by configuration alone breaks a cluster")
    })
}

/// Says where only half of what an audit log needs is there.
fn half_an_audit(configuration: &DropIn) -> Option<String> {
    let has = |name: &str| {
        let mut arguments = configuration.components.iter().flat_map(|component| &component.arguments);
        arguments.any(|argument| argument.name == name)
    };
    match (has("audit-policy-file"), has("audit-log-path")) {
        (false, true) => Some("there is an audit log without an audit policy: it stays empty".to_owned()),
        (true, false) => {
            Some("there is an audit policy without an audit log: its events go nowhere".to_owned())
        }
        _ => None,
    }
}
