// SPDX-License-Identifier: Apache-2.0
//! What the user does next, at the end of an answer.

use std::fmt::Write as _;

use crate::document::EffectTime;
use crate::k3s;
use crate::node::Root;
use crate::node::commands::command;
use crate::plan::Plan;
use crate::verify::{RunningState, Status, VerifyReport};
use crate::version::K3sVersion;

/// Returns the step after a run that changed something. `is_remembered` tells whether later runs know version and role.
pub(super) fn after_apply(done: &Plan, root: &Root, version: &K3sVersion, is_remembered: bool) -> String {
    let mut verify = command(root.path(), "verify");
    if !is_remembered {
        let _infallible = write!(verify, " --k3s-version {version} --role {}", done.subject.role);
    }
    let service = done.subject.role.service();
    let effects = &done.notes.effects;
    if !root.is_live() {
        format!("check the image: {verify}")
    } else if effects.iter().any(|effect| effect.when == EffectTime::Restart) {
        format!("restart K3s (systemctl restart {service}), then check the node: {verify}")
    } else if !effects.is_empty() {
        format!("check the node: {verify}")
    } else if !k3s::is_installed(root) {
        format!("install K3s {version}, then check the node: {verify}")
    } else {
        format!("start K3s (systemctl start {service}), then check the node: {verify}")
    }
}

/// Returns the step after a report: none where nothing is left to do.
pub(super) fn after_verify(report: &VerifyReport, root: &Root) -> Option<String> {
    let worst = [Status::Fail, Status::Warn].into_iter().find_map(|status| {
        report.verdicts.iter().find(|verdict| verdict.status == status && verdict.waiver.is_none())
    });
    if let Some(verdict) = worst {
        return Some(format!(
            "read about a finding: {}",
            command(root.path(), &format!("explain {}", verdict.id))
        ));
    }
    if !report.started {
        return Some(format!("start K3s, then check again: {}", command(root.path(), "verify")));
    }
    let is_stale =
        report.history.running.as_ref().is_some_and(|running| running.state == RunningState::Stale);
    is_stale.then(|| {
        format!(
            "restart K3s (systemctl restart {}), then check again: {}",
            report.role.service(),
            command(root.path(), "verify")
        )
    })
}
