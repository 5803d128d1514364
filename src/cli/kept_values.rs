// SPDX-License-Identifier: Apache-2.0
//! Values of the user's that `apply` keeps although a control does not hold with them.
//!
//! `apply` writes what the profile asks for. A value that no setting of the profile is about stays, whether in its own file or
//! in a list that the drop-in takes over: nobody hears of it until `verify` fails, so `plan` and `apply` say it.

use std::collections::BTreeSet;

use super::context::Context;
use super::verify::is_control;
use crate::document::{self, OnConflict};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::k3s::{K3sLog, kubelet};
use crate::node::host;
use crate::profile::ControlId;
use crate::verify::{
    ControlVerdict, Date, Evidence, NodeFacts, Status, VerifyReport, verify_configuration, waivers,
};

/// Returns a warning for each control that does not hold with a value of the user's; `served` are the controls that the run
/// itself sees to, and `told` is the name of one that it has a warning of its own for. A control that is skipped or waived
/// has none.
///
/// # Errors
/// If the user wants conflicts to end the run and a control fails: only the user can resolve that.
pub(super) fn warnings(
    context: &Context<'_>,
    served: &BTreeSet<ControlId>,
    told: Option<&str>,
) -> Result<Vec<String>> {
    if !has_values(context) {
        return Ok(Vec::new());
    }
    // What K3s has logged is about its last start, and this about its next.
    let facts = NodeFacts::new(context.node.clone(), context.owner, K3sLog::default());
    let mut facts = facts.without_refusals();
    facts.started = false;
    let mut report = verify_configuration(&facts, &context.profile.benchmark)?;
    report.verdicts.retain(|verdict| {
        matches!(verdict.status, Status::Fail | Status::Warn)
            && !served.contains(&verdict.id)
            && told != Some(verdict.name.as_str())
            && !is_skipped(context, verdict)
    });
    waivers::apply(&mut report, &context.waivers, Date::from_time(&host::now())?);
    let ours = facts.drop_in().file;
    let kept = kept_values(&report, &ours);
    let failing = kept.iter().find(|kept| kept.status == Status::Fail);
    if let (OnConflict::Fail, Some(first)) = (context.target.drop_in_merge.on_conflict, failing) {
        return Err(Error::new(ErrorKind::Failed, format!("{}; {}", first.text, first.fails))
            .at(first.place.clone())
            .hint(first.remedy.clone())
            .hint("keep it: --on-conflict keep"));
    }
    Ok(kept.iter().map(KeptValue::warning).collect())
}

/// A value of the user's with which a control does not hold.
struct KeptValue {
    place: Place,
    /// The status that the control will have.
    status: Status,
    /// The value.
    text: String,
    /// The control, and what it expects.
    fails: String,
    remedy: String,
}

impl KeptValue {
    fn warning(&self) -> String {
        format!("{}: {}; apply keeps it, and {}. {}", self.place, self.text, self.fails, self.remedy)
    }
}

/// Tells whether the user gives any component a value, in K3s's configuration, its service or a file of the kubelet's.
fn has_values(context: &Context<'_>) -> bool {
    let ours = document::drop_in_path(&context.target.config);
    let Ok(effective) = &context.node.effective else { return false };
    let merge = &context.target.drop_in_merge;
    let is_users = |component: &String| {
        let arguments = context.node.written_arguments(component);
        arguments.iter().any(|argument| argument.place.file != ours.as_str())
    };
    !merge.existing.settings.is_empty()
        || merge.kubelet_files.has_files
        || effective.components.keys().any(is_users)
}

fn is_skipped(context: &Context<'_>, verdict: &ControlVerdict) -> bool {
    context.request.skip.iter().flatten().any(|word| is_control(&verdict.id, &verdict.name, word))
}

fn kept_values(report: &VerifyReport, ours: &str) -> Vec<KeptValue> {
    let is_users = |evidence: &&Evidence| {
        evidence.place.as_ref().is_some_and(|place| place.file != ours && !kubelet::is_own_file(place))
    };
    let verdicts = report.verdicts.iter().filter(|verdict| verdict.waiver.is_none());
    let kept = |verdict: &ControlVerdict| {
        let Evidence { text, place } = verdict.evidence.iter().find(is_users)?;
        let ControlVerdict { id, title, expected, remedy, .. } = verdict;
        let remedy = remedy.lines().next().unwrap_or_default().to_owned();
        let fails = format!("{id} ({title}) will {}: expected: {expected}", verdict.status.name());
        Some(KeptValue { place: place.clone()?, status: verdict.status, text: text.clone(), fails, remedy })
    };
    verdicts.filter_map(kept).collect()
}
