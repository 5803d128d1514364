// SPDX-License-Identifier: Apache-2.0
//! Evidence names the user's own line where the drop-in only carries its value over: the drop-in is written anew with
//! every run, and its author is k3s-harden.

use super::evidence::Evidence;
use super::facts::NodeFacts;
use super::report::ControlVerdict;
use crate::document::{TakenOver, UsersLines};

/// Puts the user's lines into the evidence of verdicts that names the drop-in.
pub(super) fn name(facts: &NodeFacts<'_>, verdicts: &mut [ControlVerdict]) {
    let evidence = verdicts.iter().flat_map(|verdict| &verdict.evidence);
    let places = evidence.filter_map(|evidence| evidence.place.as_ref());
    // What cannot be read has evidence of its own, and the drop-in's line is true as well.
    let config = facts.node.config.path_or_default();
    let taken = TakenOver::read_for(facts.node.root, &config, places).unwrap_or_default();
    for verdict in verdicts {
        let expected = words(&verdict.expected);
        let evidence = std::mem::take(&mut verdict.evidence);
        verdict.evidence = evidence.into_iter().flat_map(|one| named(one, &taken, &expected)).collect();
    }
}

/// Returns the evidence with the user's lines: in the place of the drop-in's, or beside it where they are only a part.
fn named(mut evidence: Evidence, taken: &TakenOver, expected: &[&str]) -> Vec<Evidence> {
    let Some(value) = evidence.place.as_ref().and_then(|place| taken.at(place)) else {
        return vec![evidence];
    };
    let carried = &value.place;
    match &value.users {
        UsersLines::Whole(own) => {
            evidence.text = format!("{}, which {carried} only carries over", evidence.text);
            evidence.place = Some(own.clone());
            vec![evidence]
        }
        UsersLines::Gone => {
            evidence.text = format!("{}, which was taken over from {}", evidence.text, value.from);
            vec![evidence]
        }
        UsersLines::Parts(parts) => {
            let part = |(has, own): &(Vec<String>, _)| Evidence {
                text: format!("{carried} carries {} over from here", has.join(",")),
                place: Some(Clone::clone(own)),
            };
            // The line with the word that the control is about comes first.
            let (about, others): (Vec<_>, Vec<_>) =
                parts.iter().partition(|(has, _)| has.iter().any(|word| expected.contains(&word.as_str())));
            let before = about.into_iter().map(part);
            let mut all: Vec<Evidence> = before.collect();
            all.push(evidence);
            all.extend(others.into_iter().map(part));
            all
        }
    }
}

/// Returns the words of a sentence.
fn words(text: &str) -> Vec<&str> {
    text.split(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '-' | '_' | '.' | '/')).collect()
}
