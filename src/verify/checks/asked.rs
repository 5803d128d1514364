//! What a running cluster is asked, and how its objects are named.

use crate::error::Result;
use crate::verify::cluster::Cluster;
use crate::verify::rule::{RuleOutcome, RuleResult};
use crate::verify::{Evidence, NodeFacts};

/// The most objects of a kind that are named one by one.
const MAX_NAMED: usize = 20;

/// Returns the cluster; where nobody asked it, the judgement that a person has to look at something.
///
/// # Errors
/// Where it was asked and did not answer.
pub(super) fn cluster<'f>(
    facts: &'f NodeFacts<'_>,
    look: &str,
) -> Result<std::result::Result<&'f Cluster, RuleResult>> {
    match running(facts)? {
        Some(cluster) => Ok(Ok(cluster)),
        None => {
            let evidence = vec![seen("only the cluster tells, and it was not asked (--live)")];
            Ok(Err(RuleResult { evidence, ..RuleResult::manual(look) }))
        }
    }
}

/// Returns the cluster, if it was asked.
///
/// # Errors
/// Where it did not answer.
pub(super) fn running<'f>(facts: &'f NodeFacts<'_>) -> Result<Option<&'f Cluster>> {
    match &facts.cluster {
        None => Ok(None),
        Some(Ok(cluster)) => Ok(Some(cluster)),
        Some(Err(error)) => Err(error.clone()),
    }
}

/// A person has to look at these.
pub(super) fn look(expected: &str, actual: String, evidence: Vec<Evidence>) -> RuleResult {
    RuleResult { outcome: RuleOutcome::Manual, expected: expected.to_owned(), actual, evidence }
}

/// Something that no file says.
pub(super) fn seen(text: impl Into<String>) -> Evidence {
    Evidence { text: text.into(), place: None }
}

/// Names things, the first of them where there are many.
pub(super) fn named<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(MAX_NAMED).map(AsRef::as_ref).collect();
    match names.len().checked_sub(MAX_NAMED) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}
