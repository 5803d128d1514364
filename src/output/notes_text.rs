// SPDX-License-Identifier: Apache-2.0
//! The text of what a plan tells beside its changes.

use super::screen::{Ink, ScreenText};
use crate::document::EffectTime;
use crate::document::upgrade::CrossedBorder;
use crate::k3s::manual_step::{ManualStep, StepTime};
use crate::plan::{Plan, Upgrade};

/// Writes what stands above the changes: what is remembered, and what an upgrade means.
pub(super) fn head(text: &mut ScreenText, plan: &Plan) {
    if let Some(remembered) = &plan.notes.remembered {
        text.line(remembered);
    }
    if let Some(upgrade) = &plan.notes.upgrade {
        changes(text, upgrade);
    }
}

/// Writes what stands below them: when they take effect, and what is done by hand.
pub(super) fn tail(text: &mut ScreenText, plan: &Plan) {
    effects(text, plan);
    for border in plan.notes.upgrade.iter().flat_map(|upgrade| &upgrade.borders) {
        workloads(text, border);
    }
    steps(text, &plan.notes.steps);
}

/// Writes which settings an upgrade changes.
fn changes(text: &mut ScreenText, upgrade: &Upgrade) {
    let Upgrade { from, to, from_benchmark, to_benchmark, settings, borders } = upgrade;
    if let (Some(from), Some(benchmark)) = (from, from_benchmark) {
        let what = if settings.is_empty() { "no setting differs" } else { "these settings differ" };
        text.line(format!("From Kubernetes {from} (CIS {benchmark}) to {to} (CIS {to_benchmark}): {what}"));
    }
    for (name, [before, after]) in settings {
        text.line(format!("  {name}: {} -> {}", value(before), value(after)));
    }
    for border in borders {
        text.paint_line(Ink::BoldYellow, &border.what);
    }
}

/// Returns how a value is shown. A setting that a minor does not have has none.
fn value(value: &serde_json::Value) -> String {
    if value.is_null() { "not set".to_owned() } else { value.to_string() }
}

/// Writes when what changes takes effect on a node where K3s has started.
fn effects(text: &mut ScreenText, plan: &Plan) {
    let effects = &plan.notes.effects;
    if effects.is_empty() {
        return;
    }
    text.end();
    text.paint_line(Ink::Bold, "K3s has started here. Changes take effect");
    let service = plan.subject.role.service();
    for (when, words) in [
        (EffectTime::Live, "at once, or within 15 s".to_owned()),
        (EffectTime::Restart, format!("when K3s starts again (systemctl restart {service})")),
        (EffectTime::Boot, "when the machine boots again".to_owned()),
        (EffectTime::TooLate, "only after the steps below".to_owned()),
    ] {
        let of: Vec<&str> =
            effects.iter().filter(|effect| effect.when == when).map(|effect| effect.what.as_str()).collect();
        if !of.is_empty() {
            text.line(format!("  {words}: {}", of.join(", ")));
        }
    }
}

/// Writes what a border means for the workloads of the cluster.
fn workloads(text: &mut ScreenText, border: &CrossedBorder) {
    for (title, of) in [("Newly rejected", &border.refused), ("Newly admitted", &border.admitted)] {
        if !of.is_empty() {
            text.end();
            text.paint_line(Ink::Bold, title);
            of.iter().for_each(|line| text.line(format!("  - {line}")));
        }
    }
    if !border.same.is_empty() {
        text.line(format!("As before: {}.", border.same));
    }
}

/// Writes the steps that a person does.
fn steps(text: &mut ScreenText, steps: &[ManualStep]) {
    if steps.is_empty() {
        return;
    }
    text.end();
    text.paint_line(Ink::Bold, "Manual steps (k3s-harden does not run them)");
    for (index, ManualStep { when, what, commands, check }) in steps.iter().enumerate() {
        let when = match when {
            StepTime::Before => "before",
            StepTime::After => "after",
        };
        text.line(format!("{:2}. ({when}) {what}.", index + 1));
        commands.iter().for_each(|command| text.line(format!("      {command}")));
        if let Some(check) = check {
            text.line(format!("    check: {check}"));
        }
    }
}
