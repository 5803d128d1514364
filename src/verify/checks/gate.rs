// SPDX-License-Identifier: Apache-2.0
//! Checks whether a component has a feature gate on.

use crate::error::Result;
use crate::kubernetes::feature_gates;
use crate::kubernetes::flag_values;
use crate::kubernetes::gate_flag::FLAG;
use crate::verify::checks::flag;
use crate::verify::evidence::Evidence;
use crate::verify::facts::{FlagOrigin, FlagsInForce, NodeFacts};
use crate::verify::rule::GateRule;
use crate::verify::rule_result::{RuleOutcome, RuleResult};

/// Whether a gate is on, and the evidence.
struct GateValue {
    is_on: Option<bool>,
    evidence: Evidence,
}

/// Checks that a component has a feature gate on.
///
/// # Errors
/// Any error of a file that exists and cannot be read.
pub(in crate::verify) fn check(facts: &NodeFacts<'_>, rule: &GateRule) -> Result<RuleResult> {
    if let Err(error) = &facts.node.effective
        && facts.log.last(&rule.component).is_none()
    {
        return Ok(RuleResult::failed(error));
    }
    let flags = facts.flags(&rule.component);
    let value = value(facts, rule, &flags)?;
    let expected = format!("{} has the feature gate {} on", rule.component, rule.name);
    let result = match value.is_on {
        Some(is_on) => RuleResult::met(is_on, expected, said(is_on), vec![value.evidence]),
        None => RuleResult::unknown(expected, format!("no Kubernetes has the feature gate {}", rule.name)),
    };
    let mut result = flag::with_origin(&flags.origin, result);
    if let (FlagOrigin::Logged(_), true) = (&flags.origin, facts.node.effective.is_ok()) {
        let next = FlagsInForce { flags: facts.forecast(&rule.component), origin: FlagOrigin::Forecast };
        // What is not known of the next start says nothing of this one.
        let Ok(next) = self::value(facts, rule, &next) else { return Ok(result) };
        if next.is_on.is_some() && next.is_on != value.is_on && result.outcome != RuleOutcome::Unknown {
            let text =
                format!("after the next start, according to the K3s configuration: {}", next.evidence.text);
            result.evidence.push(Evidence { text, place: next.evidence.place });
        }
    }
    Ok(result)
}

fn said(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

/// Returns the value of the gate in the configuration that the kubelet logged at its last start; none if the log does not say
/// it, or if the flags are those of the next start.
fn logged(facts: &NodeFacts<'_>, rule: &GateRule, flags: &FlagsInForce) -> Option<GateValue> {
    let path = rule
        .field
        .as_ref()
        .filter(|_| rule.component == "kubelet" && flags.origin != FlagOrigin::Forecast)?;
    let (_, field) = facts.logged_kubelet()?.ok()?.below(path).find(|(name, _)| *name == rule.name)?;
    let is_on = flag_values::boolean(&field.items.join(","))?;
    let text = format!("the kubelet logged {path}.{}: {is_on}", rule.name);
    Some(GateValue { is_on: Some(is_on), evidence: Evidence { text, place: field.place.clone() } })
}

/// Finds the value of the gate. Gates of the kubelet's argument add to those of its files.
fn value(facts: &NodeFacts<'_>, rule: &GateRule, flags: &FlagsInForce) -> Result<GateValue> {
    let mut given: Vec<(String, String, Option<Evidence>)> = Vec::new();
    if let Some(logged) = logged(facts, rule, flags) {
        return Ok(logged);
    }
    if let (Some(path), "kubelet") = (&rule.field, rule.component.as_str()) {
        for (name, field) in facts.kubelet_config()?.below(path) {
            let value = field.items.join(",");
            let text = format!("the kubelet's configuration has {path}.{name}: {value}");
            given.push((name.to_owned(), value, Some(Evidence { text, place: field.place.clone() })));
        }
    }
    let place = facts.place_of_given(&rule.component, FLAG, &flags.origin);
    for (_, text) in flags.flags.iter().filter(|(name, _)| name == FLAG) {
        for entry in text.split(',').filter(|entry| !entry.trim().is_empty()) {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            let evidence =
                Evidence { text: format!("{} gets --{FLAG}={entry}", rule.component), place: place.clone() };
            given.push((name.trim().to_owned(), value.trim().to_owned(), Some(evidence)));
        }
    }
    let minor = facts.node.minor();
    let pairs: Vec<(&str, &str)> =
        given.iter().map(|(name, value, _)| (name.as_str(), value.as_str())).collect();
    let is_on = feature_gates::is_on(&rule.name, minor, &pairs);
    let by_itself = feature_gates::is_on(&rule.name, minor, &[]);
    // The entry without which it would be as it is by itself.
    let deciding = feature_gates::deciding(&rule.name, minor, &pairs).and_then(|at| given[at].2.clone());
    let evidence = deciding.unwrap_or_else(|| {
        let state = by_itself.map_or("unknown", said);
        let text = format!(
            "nothing sets the feature gate {} of {}: the default is {state}",
            rule.name, rule.component
        );
        Evidence { text, place: Some(facts.place_of_unset(&flags.origin)) }
    });
    Ok(GateValue { is_on, evidence })
}
