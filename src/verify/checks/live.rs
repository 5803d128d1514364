// SPDX-License-Identifier: Apache-2.0
//! Results of checks that need the running cluster.

use crate::error::Result;
use crate::verify::cluster::Cluster;
use crate::verify::evidence::Evidence;
use crate::verify::facts::NodeFacts;
use crate::verify::rule_result::RuleResult;

/// Returns the running cluster; without `--live` the result that a person has to review `expected`.
///
/// # Errors
/// The error of reading the cluster.
pub(super) fn cluster_or_review<'f>(
    facts: &'f NodeFacts<'_>,
    expected: &str,
) -> Result<std::result::Result<&'f Cluster, RuleResult>> {
    Ok(facts.live_cluster()?.ok_or_else(|| {
        let evidence = vec![Evidence::without_place("needs cluster access: rerun with --live")];
        RuleResult::review(expected, String::new(), evidence)
    }))
}

/// Returns the result of a check that needs `--live` because K3s has started; `objects` are the objects it needs.
pub(super) fn needs_live(expected: &str, objects: &str) -> RuleResult {
    let reason =
        format!("K3s has started: reading the {objects} of its namespaces needs cluster access (--live)");
    RuleResult::unknown(expected, reason)
}
