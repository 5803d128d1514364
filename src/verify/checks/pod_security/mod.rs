// SPDX-License-Identifier: Apache-2.0
//! Checks which pods the cluster admits (5.2): the level that Pod Security admission enforces, and the
//! `PodSecurityPolicy` objects of the minors that serve them.

mod admission;
mod pod_check;
mod policies;
mod policy_spec;

use crate::error::{Error, ErrorKind, Result};
use crate::preflight::pod_security::PodSecurity;
use crate::verify::facts::{FlagOrigin, NodeFacts};
use crate::verify::rule_result::{RuleOutcome, RuleResult};

const SERVER: &str = "kube-apiserver";

/// Checks that pods of the kind `about` are not admitted.
pub(super) fn check(facts: &NodeFacts<'_>, about: Option<&str>) -> Result<RuleResult> {
    let about = about.unwrap_or_default();
    let pods = pod_check::find(about)
        .ok_or_else(|| Error::new(ErrorKind::BadInput, format!("no check of pods is about {about:?}")))?;
    let flags = facts.flags(SERVER);
    if let (Err(error), false) = (&facts.node.effective, matches!(flags.origin, FlagOrigin::Logged(_))) {
        return Ok(RuleResult::failed(error));
    }
    let security = PodSecurity::read(&facts.node, flags.flags)?;
    let mut result = admission::check(facts, pods, &security)?;
    if security.policies && result.outcome != RuleOutcome::Met {
        let policies = policies::check(facts, pods)?;
        result = match policies.outcome {
            RuleOutcome::Met => policies,
            // A check that is unknown may be met.
            outcome => RuleResult {
                outcome,
                actual: format!("{}; {}", result.actual, policies.actual),
                evidence: result.evidence.into_iter().chain(policies.evidence).collect(),
                ..result
            },
        };
    }
    if flags.origin == FlagOrigin::NotLogged {
        let actual = format!(
            "K3s has started, and no log says with which arguments; at its next start: {}",
            result.actual
        );
        result = RuleResult { outcome: RuleOutcome::Unknown, actual, ..result };
    }
    Ok(result)
}
