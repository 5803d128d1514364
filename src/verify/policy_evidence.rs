// SPDX-License-Identifier: Apache-2.0
//! Evidence of the policies that the API server loads before it serves. It changes no status: a control is about what is in
//! the cluster, and a policy about what somebody writes from now on.

use super::evidence::Evidence;
use super::facts::NodeFacts;
use super::report::{ControlVerdict, Status};
use crate::document::{self, POLICY_PLUGIN};
use crate::error::Place;
use crate::preflight::policy_files::{PolicyFiles, StaticBinding};

const SERVER: &str = "kube-apiserver";
/// The token of a default service account is mounted as any other, and the same policy sees it.
const ALSO: [(&str, &str); 1] = [("service-account-token-mounts", "default-service-account")];

/// Adds the policies to the evidence of the controls that they are about.
pub(super) fn add(facts: &NodeFacts<'_>, verdicts: &mut [ControlVerdict]) {
    if !facts.node.runs(SERVER) || facts.node.effective.is_err() {
        return;
    }
    // What cannot be read is no evidence, and what the API server does not start with is none either.
    let Ok(Some(files)) = PolicyFiles::read(&facts.node, facts.flags(SERVER).flags, POLICY_PLUGIN) else {
        return;
    };
    if files.bindings.is_empty() || facts.refusal(SERVER).is_some() {
        return;
    }
    for verdict in verdicts.iter_mut().filter(|verdict| verdict.status != Status::NotApplicable) {
        let of_control = |binding: &&StaticBinding| {
            document::written_policy(&binding.policy).is_some_and(|policy| {
                let also = ALSO.iter().filter(|(control, _)| policy.controls.contains(control));
                policy.controls.contains(&verdict.name.as_str())
                    || also.into_iter().any(|(_, also)| *also == verdict.name)
            })
        };
        let found = files.bindings.iter().filter(of_control).filter_map(|binding| evidence(binding, &files));
        let found: Vec<Evidence> = found.collect();
        verdict.evidence.extend(found);
    }
}

fn evidence(binding: &StaticBinding, files: &PolicyFiles) -> Option<Evidence> {
    let policy = document::written_policy(&binding.policy)?;
    let has = |action: &str| binding.actions.iter().any(|one| one == action);
    let does = match (has("Deny"), has("Warn")) {
        (true, _) => "refuses",
        (false, true) => "warns of",
        (false, false) => "records",
    };
    let text = format!(
        "the API server loads the policy {} before its first request, with {}: as k3s-harden writes it, it {does} {}; the files of {} have the hash {}",
        binding.policy,
        binding.actions.join(", "),
        policy.about,
        files.folder,
        files.hash
    );
    Some(Evidence { text, place: Some(Place { file: binding.path.to_string(), position: None }) })
}
