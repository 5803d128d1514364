// SPDX-License-Identifier: Apache-2.0
//! What a plan tells beside its changes: what earlier runs were told, what an upgrade means, when each setting takes effect, and
//! what is done by hand.

use std::collections::BTreeMap;

use super::context::Context;
use super::downgrade;
use super::request::DEFAULT_PROFILE;
use crate::Role;
use crate::apply::{RecordedRun, RunInputs};
use crate::document::{DropIn, EffectTime, Rendered, leftovers, upgrade};
use crate::error::Result;
use crate::k3s::encryption_stage::EncryptionStage;
use crate::k3s::flags::ENCRYPTION_KEY;
use crate::kubernetes::admission_plugins;
use crate::node::PathState;
use crate::plan::{self, Content, CurrentState, File, Plan, PlanNotes, Resource, Upgrade};
use crate::profile::Profile;

/// Returns the notes of a plan that was just made.
pub(super) fn notes(context: &Context<'_>, rendered: &Rendered, plan: &Plan) -> Result<PlanNotes> {
    let mut notes = PlanNotes { remembered: remembered(context), ..PlanNotes::default() };
    if !plan.is_changed() {
        return Ok(notes);
    }
    let earlier = context.earlier_profile();
    let upgrade = upgrade(context, plan, earlier.as_ref());
    notes
        .steps
        .extend(upgrade.iter().flat_map(|upgrade| &upgrade.borders).flat_map(|border| border.steps.clone()));
    notes.upgrade = upgrade;
    if downgrade::has_started(context) {
        notes.effects = plan::effects(plan, &context.profile, earlier.as_ref(), &context.target);
        let late = late_encryption(context, &rendered.requested)?;
        for effect in
            notes.effects.iter_mut().filter(|effect| late.is_some() && effect.what == "secrets_encryption")
        {
            effect.when = EffectTime::TooLate;
            effect.why = Some("existing Secrets are not re-encrypted until the keys are rotated".to_owned());
        }
        notes.effects.sort();
        if let Some(stage) = late {
            notes.steps.extend(stage.steps(context.version.number()));
        }
    }
    Ok(notes)
}

/// Returns how far the encryption is that the plan asks for, if configuration alone does not bring it any more.
fn late_encryption(context: &Context<'_>, requested: &DropIn) -> Result<Option<EncryptionStage>> {
    let is_wanted = requested.keys.iter().any(|key| key.name == ENCRYPTION_KEY);
    let is_server = matches!(context.node.traces().started, Some((Role::Server, _)));
    if !(is_server && is_wanted) {
        return Ok(None);
    }
    let is_on = context.node.is_on(ENCRYPTION_KEY);
    let stage = EncryptionStage::find(context.root, &context.target.data_dir, is_on)?;
    // The user insists on the key without K3s's own command before it.
    let stage = match stage {
        EncryptionStage::Plain if context.request.late_encryption => EncryptionStage::AwaitsRestart,
        other => other,
    };
    Ok(Some(stage).filter(EncryptionStage::is_late))
}

/// Returns what the plan means as an upgrade: over minors that the record tells of, or over a border that the node shows.
fn upgrade(context: &Context<'_>, plan: &Plan, earlier: Option<&Profile>) -> Option<Upgrade> {
    let profile = &context.profile;
    let from = context.run.as_ref().map(|run| &run.about).filter(|about| about.kubernetes != profile.minor);
    let borders = crossed(context, plan);
    if from.is_none() && borders.is_empty() {
        return None;
    }
    let settings = from.and(earlier).map(|earlier| differing(earlier, profile)).unwrap_or_default();
    Some(Upgrade {
        from: from.map(|about| about.kubernetes.to_string()),
        to: profile.minor.to_string(),
        from_benchmark: from.map(|about| about.benchmark.clone()),
        to_benchmark: profile.benchmark.clone(),
        settings,
        borders,
    })
}

fn differing(earlier: &Profile, profile: &Profile) -> BTreeMap<String, [serde_json::Value; 2]> {
    let differs = earlier.differing_settings(profile);
    differs.into_iter().map(|(name, before, after)| (name, [before, after])).collect()
}

/// Returns the borders that the plan goes over on this node.
fn crossed(context: &Context<'_>, plan: &Plan) -> Vec<upgrade::CrossedBorder> {
    let service = context.target.role.service();
    let mut commands = Vec::new();
    for action in plan.changes() {
        let (Resource::File(File { path, content, .. }), CurrentState::Path(PathState::File { bytes, .. })) =
            (&action.resource, &action.before)
        else {
            continue;
        };
        if path.name() == "policy.yaml" {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let after = if let Content::Bytes(bytes) = content { text(bytes) } else { String::new() };
            // The API server does not serve the policies themselves any more.
            let gone = leftovers(&text(bytes), &after).into_iter();
            commands.extend(gone.filter(|command| !command.contains(" delete podsecuritypolicy ")));
        }
    }
    let has_plugin = |plugin: &str| {
        let flag = context.node.flag("kube-apiserver", "enable-admission-plugins").unwrap_or_default();
        let is_removed = admission_plugins::removed(context.version.minor()).any(|removed| removed == plugin);
        is_removed && flag.split(',').any(|word| word == plugin)
    };
    let rows = upgrade::borders(context.version.minor()).filter(|row| has_plugin(&row.plugin));
    rows.map(|row| row.crossed(&context.profile, service, &commands)).collect()
}

/// Returns what earlier runs were told that counts for this run too, in one line; none if they were told nothing.
pub(super) fn remembered(context: &Context<'_>) -> Option<String> {
    let RecordedRun { id, is_rollback, .. } = context.run.as_ref()?;
    let words = named(&told(context.recorded.as_ref()?, Some(&context.inputs)))?;
    Some(match is_rollback {
        true => format!("Options restored by run {id}, a rollback: {words}."),
        false => format!("Options remembered from run {id}: {words}."),
    })
}

/// Returns why a run that was told something new changes nothing: it goes on leaving out what an earlier run was told to skip. None
/// if it was told nothing new.
pub(super) fn skipped(context: &Context<'_>) -> Option<String> {
    let (recorded, run) = (context.recorded.as_ref()?, context.run.as_ref()?);
    let skip = &context.inputs.skip;
    let is_new = context.inputs.assignments.iter().any(|set| !recorded.assignments.contains(set));
    (is_new && !skip.is_empty() && *skip == recorded.skip).then(|| {
        format!(
            "the options of this run change nothing. Skipped controls: {} (remembered from run {}). To apply all controls: --skip none",
            skip.join(", "),
            run.id
        )
    })
}

/// Joins what a run was told; none if that is nothing.
fn named(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| words.join(" "))
}

/// Returns what is remembered after a rollback that leaves `inputs` in force, in one line.
pub(super) fn after_rollback(inputs: Option<&RunInputs>) -> String {
    let words = inputs.map(|inputs| told(inputs, None));
    match words {
        None => "No options are remembered any more: pass all options to the next apply.".to_owned(),
        Some(words) => match named(&words) {
            None => "Options remembered again: none.".to_owned(),
            Some(words) => format!("Options remembered again: {words}."),
        },
    }
}

/// Returns what a run without a history was told and nobody remembers, in one line; none if it was told nothing.
pub(super) fn forgotten(context: &Context<'_>) -> Option<String> {
    let words = named(&told(&context.inputs, None))?;
    Some(format!(
        "Not remembered, because this run keeps no history (--no-history): {words}. Pass these options again next time."
    ))
}

/// Returns what a run was told, as flags; of `now`, only what counts there too.
pub(super) fn told(earlier: &RunInputs, now: Option<&RunInputs>) -> Vec<String> {
    let is_same = |same: &dyn Fn(&RunInputs) -> bool| now.is_none_or(same);
    let mut words = Vec::new();
    let mut add = |flag: &str, value: Option<String>, same: bool| {
        words.extend(value.filter(|value| same && !value.is_empty()).map(|value| format!("{flag} {value}")));
    };
    let RunInputs { profiles, k3s_version, role, settings, skip, data_dir, .. } = earlier;
    // The profile that every run has is not worth a word.
    let profile = (*profiles != [DEFAULT_PROFILE]).then(|| profiles.join(","));
    add("--profile", profile, is_same(&|now| now.profiles == *profiles));
    add("--k3s-version", k3s_version.clone(), is_same(&|now| now.k3s_version == *k3s_version));
    add("--role", role.map(|role| role.to_string()), is_same(&|now| now.role == *role));
    add("--settings", settings.clone(), is_same(&|now| now.settings == *settings));
    add("--skip", Some(skip.join(",")), is_same(&|now| now.skip == *skip));
    add("--data-dir", data_dir.clone(), is_same(&|now| now.data_dir == *data_dir));
    let on_foreign = earlier.on_foreign.map(|word| value_name(&word));
    add("--on-foreign", on_foreign, is_same(&|now| now.on_foreign == earlier.on_foreign));
    let on_conflict = earlier.on_conflict.map(|word| value_name(&word));
    add("--on-conflict", on_conflict, is_same(&|now| now.on_conflict == earlier.on_conflict));
    let assumed = earlier.assume_minor.map(|minor| minor.to_string());
    add("--assume-minor", assumed, is_same(&|now| now.assume_minor == earlier.assume_minor));
    for (name, text) in &earlier.assignments {
        let set = (name.clone(), text.clone());
        add("--set", Some(format!("{name}={text}")), is_same(&|now| now.assignments.contains(&set)));
    }
    words
}

fn value_name(value: &impl clap::ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
