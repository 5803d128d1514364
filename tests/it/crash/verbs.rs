// SPDX-License-Identifier: Apache-2.0
//! The verbs that change a node, each with the node before and after it.

use super::bed::{APPLY, ROLLBACK, UNINSTALL, lax, undisturbed};
use super::tree::Tree;

/// A verb, and the node before and after it.
#[derive(Clone)]
pub(crate) struct VerbCase {
    pub(crate) verb: Vec<&'static str>,
    /// With what the tool keeps for itself.
    pub(crate) before: Tree,
    pub(crate) old: Tree,
    pub(crate) new: Tree,
    /// The node before the first run.
    pub(crate) first: Tree,
}

/// Returns those of an apply, and of a rollback and an uninstall of it.
pub(crate) fn verb_cases() -> [VerbCase; 3] {
    let first = lax();
    let (applied, new) = undisturbed(&first, &APPLY);
    let case = |verb: &[&'static str], before: &Tree, [old, new]: [&Tree; 2]| VerbCase {
        verb: verb.to_vec(),
        before: before.clone(),
        old: old.clone(),
        new: new.clone(),
        first: first.clone(),
    };
    [
        case(&APPLY, &first, [&first, &new]),
        case(&ROLLBACK, &applied, [&new, &first]),
        case(&UNINSTALL, &applied, [&new, &first]),
    ]
}
