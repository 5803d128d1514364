//! The JSON of `plan`, `apply`, `rollback` and `uninstall`. Within `format_version` 1.x, fields are only added.

use serde::Serialize;

use crate::document::ChangeRow;
use crate::plan::{Action, Change, Plan, ResourceKind};

/// The version of the JSON outputs.
pub(super) const FORMAT_VERSION: &str = "1.0";

/// The output of `plan`, `apply`, `rollback` and `uninstall`.
#[derive(Debug, Serialize)]
pub struct PlanReport<'a> {
    format_version: &'static str,
    root: String,
    role: crate::Role,
    kubernetes: String,
    benchmark: &'a str,
    profile: &'a [String],
    changed: bool,
    actions: Vec<ReportedAction<'a>>,
    warnings: &'a [String],
}

/// Returns the output of `rollback` and `uninstall` if there is nothing to undo.
#[must_use]
pub fn nothing_json() -> serde_json::Value {
    serde_json::json!({"format_version": FORMAT_VERSION, "changed": false, "actions": [], "warnings": []})
}

/// Returns the output of `rollback` if it only undid an interrupted run.
#[must_use]
pub fn recovered_json(warning: &str) -> serde_json::Value {
    serde_json::json!({"format_version": FORMAT_VERSION, "changed": true, "actions": [], "warnings": [warning]})
}

#[derive(Debug, Serialize)]
pub(super) struct ReportedAction<'a> {
    path: String,
    resource: ResourceKind,
    action: Change,
    mode: Option<String>,
    controls: Vec<String>,
    diff: &'a str,
    /// The rows of the table of changes that cause it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed_since: Vec<&'a ChangeRow>,
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
            changed_since,
        }
    }
}

impl<'a> PlanReport<'a> {
    /// Returns the report of a plan, applied or not.
    #[must_use]
    pub fn new(plan: &'a Plan) -> Self {
        let subject = &plan.subject;
        Self {
            format_version: FORMAT_VERSION,
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
            warnings: &plan.warnings,
        }
    }
}
