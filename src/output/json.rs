// SPDX-License-Identifier: Apache-2.0
//! The JSON of `plan`, `apply`, `rollback` and `uninstall`.

use serde::Serialize;

use super::origin::{AnswerHead, ReportOrigin};
use crate::document::{ChangeRow, PartFate, UsersPart};
use crate::k3s::manual_step::ManualStep;
use crate::plan::{Action, Change, Plan, ResourceKind, SettingEffect, Upgrade};

/// The output of `plan`, `apply`, `rollback` and `uninstall`.
#[derive(Debug, Serialize)]
pub struct PlanReport<'a> {
    #[serde(flatten)]
    head: AnswerHead<'a>,
    root: String,
    role: crate::Role,
    kubernetes: String,
    benchmark: &'a str,
    profile: &'a [String],
    changed: bool,
    actions: Vec<ReportedAction<'a>>,
    /// What of the user's in other files is taken over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    taken_over: Vec<ReportedPart<'a>>,
    warnings: &'a [String],
    /// The settings that take effect only when K3s starts again.
    restart_required: Vec<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    takes_effect: &'a [SettingEffect],
    #[serde(skip_serializing_if = "Option::is_none")]
    remembered: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upgrade: Option<&'a Upgrade>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    steps: &'a [ManualStep],
}

/// A part of a file of the user's, and what becomes of it.
#[derive(Debug, Serialize)]
struct ReportedPart<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    what: &'a str,
    becomes: PartFate,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    weakens: bool,
    conflict: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl<'a> ReportedPart<'a> {
    fn new(part: &'a UsersPart) -> Self {
        Self {
            path: &part.place.file,
            line: part.place.position.map(|(line, _)| line),
            what: &part.what,
            becomes: part.fate,
            to: part.to.as_ref().map(ToString::to_string),
            weakens: part.weakens,
            conflict: part.is_conflict,
            why: part.why.as_deref(),
        }
    }
}

/// Returns the output of `rollback` and `uninstall` if there is nothing to undo.
#[must_use]
pub fn nothing_json(origin: &ReportOrigin) -> serde_json::Value {
    origin.answer(serde_json::json!({"changed": false, "actions": [], "warnings": []}))
}

/// Returns the output of `rollback` if it only undid an interrupted run.
#[must_use]
pub fn recovered_json(warning: &str, origin: &ReportOrigin) -> serde_json::Value {
    origin.answer(serde_json::json!({"changed": true, "actions": [], "warnings": [warning]}))
}

#[derive(Debug, Serialize)]
pub(super) struct ReportedAction<'a> {
    path: String,
    resource: ResourceKind,
    action: Change,
    mode: Option<String>,
    controls: Vec<String>,
    diff: &'a str,
    /// How many lines that differ the diff leaves out.
    #[serde(skip_serializing_if = "is_none_left_out")]
    diff_lines_left_out: usize,
    /// The rows of the table of changes that cause it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed_since: Vec<&'a ChangeRow>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none_left_out(count: &usize) -> bool {
    *count == 0
}

impl<'a> ReportedAction<'a> {
    pub(super) fn new(action: &'a Action, changed_since: Vec<&'a ChangeRow>) -> Self {
        Self {
            path: action.resource.path().to_string(),
            resource: action.resource.kind(),
            action: action.change,
            mode: action.resource.mode().map(|mode| mode.to_string()),
            controls: action.resource.controls().iter().map(ToString::to_string).collect(),
            diff: &action.diff,
            diff_lines_left_out: action.lines_left_out(),
            changed_since,
        }
    }
}

impl<'a> PlanReport<'a> {
    /// Returns the report of a plan, applied or not.
    #[must_use]
    pub fn new(plan: &'a Plan, origin: &'a ReportOrigin) -> Self {
        let subject = &plan.subject;
        Self {
            head: origin.head(),
            root: subject.root.display().to_string(),
            role: subject.role,
            kubernetes: subject.kubernetes.to_string(),
            benchmark: &subject.benchmark,
            profile: &subject.profiles,
            changed: plan.is_changed(),
            actions: plan
                .actions
                .iter()
                .map(|action| ReportedAction::new(action, plan.changed_since(action)))
                .collect(),
            taken_over: plan.taken_over.iter().map(ReportedPart::new).collect(),
            warnings: &plan.warnings,
            restart_required: plan.notes.restart_required(),
            takes_effect: &plan.notes.effects,
            remembered: plan.notes.remembered.as_deref(),
            upgrade: plan.notes.upgrade.as_ref(),
            steps: &plan.notes.steps,
        }
    }
}
