// SPDX-License-Identifier: Apache-2.0
//! The result of a rule on a node: its outcome, the expected and the actual value, and the evidence.

use super::evidence::Evidence;
use crate::error::Error;
use crate::k3s::Absence;

/// What a check says of a file that there will be only once K3s has started for the first time.
pub(super) const AWAITS_START: &str = "not created yet: K3s creates it when it first starts";

/// The result of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleResult {
    /// The outcome.
    pub outcome: RuleOutcome,
    /// The expected value, in words.
    pub expected: String,
    /// The actual value, in words.
    pub actual: String,
    /// What verify found.
    pub evidence: Vec<Evidence>,
}

/// The outcome of a rule. The control decides whether [`RuleOutcome::NotMet`] is a failure or a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleOutcome {
    /// The node meets the rule.
    Met,
    /// The node does not meet the rule.
    NotMet,
    /// A person has to decide.
    Manual,
    /// The node has nothing that the rule applies to.
    NotApplicable,
    /// The rule could not be evaluated.
    Unknown,
}

impl RuleResult {
    /// Returns a result that is met or not met.
    #[must_use]
    pub fn met(
        met: bool,
        expected: impl Into<String>,
        actual: impl Into<String>,
        evidence: Vec<Evidence>,
    ) -> Self {
        let outcome = if met { RuleOutcome::Met } else { RuleOutcome::NotMet };
        Self { outcome, expected: expected.into(), actual: actual.into(), evidence }
    }

    /// Returns the result of a rule that does not apply to the node, with the reason.
    #[must_use]
    pub fn not_applicable(reason: impl Into<String>) -> Self {
        let actual = reason.into();
        let evidence = vec![Evidence::without_place(actual.clone())];
        Self { outcome: RuleOutcome::NotApplicable, expected: String::new(), actual, evidence }
    }

    /// Returns the result of a rule about a component that does not run on the node.
    #[must_use]
    pub(super) fn absent(absence: &Absence) -> Self {
        let Absence { reason, place } = absence.clone();
        let evidence = vec![Evidence { text: reason.clone(), place }];
        Self { evidence, ..Self::not_applicable(reason) }
    }

    /// Returns the result of a rule that only a person can decide; `expected` says what the person has to review.
    #[must_use]
    pub fn manual(expected: impl Into<String>) -> Self {
        Self::review(expected, String::new(), Vec::new())
    }

    /// Returns the result of a rule for which a person has to review the evidence.
    pub(super) fn review(expected: impl Into<String>, actual: String, evidence: Vec<Evidence>) -> Self {
        Self { outcome: RuleOutcome::Manual, expected: expected.into(), actual, evidence }
    }

    /// Returns the result of a rule that could not be evaluated, with the reason.
    #[must_use]
    pub fn unknown(expected: impl Into<String>, reason: impl Into<String>) -> Self {
        let actual = reason.into();
        let evidence = vec![Evidence::without_place(actual.clone())];
        Self { outcome: RuleOutcome::Unknown, expected: expected.into(), actual, evidence }
    }

    /// Returns the result of a rule that could not be evaluated because of an error.
    #[must_use]
    pub fn failed(error: &Error) -> Self {
        let evidence = vec![Evidence { text: error.message().to_owned(), place: error.place().cloned() }];
        Self {
            outcome: RuleOutcome::Unknown,
            expected: String::new(),
            actual: error.message().to_owned(),
            evidence,
        }
    }

    /// Combines results that all have to be met. Results that do not apply count only if no other result applies.
    pub(super) fn all(mut results: Vec<Self>) -> Self {
        if results.iter().any(|result| result.outcome != RuleOutcome::NotApplicable) {
            results.retain(|result| result.outcome != RuleOutcome::NotApplicable);
        }
        let worst_first = |outcome: &RuleOutcome| match outcome {
            RuleOutcome::NotMet => 0,
            RuleOutcome::Unknown => 1,
            RuleOutcome::Manual => 2,
            RuleOutcome::Met => 3,
            RuleOutcome::NotApplicable => 4,
        };
        let worst = results.iter().map(|result| result.outcome).min_by_key(worst_first);
        let outcome = worst.unwrap_or(RuleOutcome::Unknown);
        let deciding = results.iter().filter(|result| result.outcome == outcome);
        Self {
            outcome,
            expected: join_distinct(results.iter().map(|result| result.expected.as_str()), " and "),
            actual: join_distinct(deciding.map(|result| result.actual.as_str()), "; "),
            evidence: results.iter().flat_map(|result| result.evidence.clone()).collect(),
        }
    }

    /// Combines results of which one has to be met.
    pub(super) fn any(results: Vec<Self>) -> Self {
        let best_first = |result: &&Self| match result.outcome {
            RuleOutcome::Met => 0,
            RuleOutcome::Unknown => 1,
            RuleOutcome::Manual => 2,
            RuleOutcome::NotMet => 3,
            RuleOutcome::NotApplicable => 4,
        };
        let expected = join_distinct(results.iter().map(|result| result.expected.as_str()), " or ");
        let Some(best) = results.iter().min_by_key(best_first).cloned() else {
            return Self::unknown("", "the rule has no parts");
        };
        if best.outcome == RuleOutcome::Met {
            return Self { expected, ..best };
        }
        let actual = join_distinct(results.iter().map(|result| result.actual.as_str()), "; ");
        let evidence = results.into_iter().flat_map(|result| result.evidence).collect();
        Self { outcome: best.outcome, expected, actual, evidence }
    }
}

/// Joins the parts that are not empty, each once.
fn join_distinct<'a>(parts: impl Iterator<Item = &'a str>, separator: &str) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    for part in parts.filter(|part| !part.is_empty()) {
        if !distinct.contains(&part) {
            distinct.push(part);
        }
    }
    distinct.join(separator)
}
