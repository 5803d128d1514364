//! Checks the value that a component gets for a flag. For a flag with one value the last occurrence counts; for a list,
//! every occurrence; for a map, the last occurrence of each name.

use std::collections::BTreeMap;

use crate::error::{Place, Result};
use crate::k3s::kubelet;
use crate::kubernetes::component_flags;
use crate::kubernetes::flag_values;
use crate::kubernetes::kubelet_config::KubeletField;
use crate::verify::evidence::Evidence;
use crate::verify::facts::{FlagOrigin, FlagsInForce, NodeFacts};
use crate::verify::must::Must;
use crate::verify::rule::FlagRule;
use crate::verify::rule_result::{RuleOutcome, RuleResult};

/// The value of a flag.
struct FlagText {
    /// Its items; none if the flag is not set and has no default.
    items: Option<Vec<String>>,
    evidence: Evidence,
}

/// Checks a flag of a component that has no configuration file and no default.
///
/// # Errors
/// Any error of a file that exists and cannot be read.
pub(super) fn check_by_name(
    facts: &NodeFacts<'_>,
    component: &str,
    name: &str,
    must: Must,
) -> Result<RuleResult> {
    let (component, name) = (component.to_owned(), name.to_owned());
    check(facts, &FlagRule { component, name, field: None, unset: None, must })
}

/// Checks a flag of a component.
///
/// # Errors
/// Any error of a file that exists and cannot be read.
pub(in crate::verify) fn check(facts: &NodeFacts<'_>, rule: &FlagRule) -> Result<RuleResult> {
    if let Err(error) = &facts.node.effective
        && facts.log.last(&rule.component).is_none()
    {
        return Ok(RuleResult::failed(error));
    }
    let flags = facts.flags(&rule.component);
    let value = value(facts, rule, &flags)?;
    let name = format!("{} --{}", rule.component, rule.name);
    let met = rule.must.is_met_by(value.items.as_deref());
    let actual = match &value.items {
        Some(items) => items.join(","),
        None => "not set".to_owned(),
    };
    let mut result = RuleResult::met(met, rule.must.describe(&name), actual, vec![value.evidence]);
    match flags.origin {
        // If the flag is met without K3s' own value, it is met in every release.
        FlagOrigin::Forecast if !met => {
            let differing = facts.node.differing_flags(&rule.component);
            if let Some(flag) = differing.iter().find(|flag| flag.flag == rule.name) {
                result.outcome = RuleOutcome::Unknown;
                result.actual = flag.message(&rule.component, facts.node.release);
            }
        }
        FlagOrigin::Forecast => {}
        FlagOrigin::Logged(_) => result.evidence.extend(next_start(facts, rule, met)?),
        FlagOrigin::NotLogged => {
            result.outcome = RuleOutcome::Unknown;
            result.actual = "K3s has started, and no log says with which arguments".to_owned();
            if let Some(evidence) = result.evidence.first_mut() {
                evidence.text = format!("at its next start: {}", evidence.text);
            }
        }
    }
    Ok(result)
}

/// Returns evidence if the configuration gives another result at the next start of K3s.
fn next_start(facts: &NodeFacts<'_>, rule: &FlagRule, met: bool) -> Result<Option<Evidence>> {
    if facts.node.effective.is_err() {
        return Ok(None);
    }
    let flags = FlagsInForce { flags: facts.forecast(&rule.component), origin: FlagOrigin::Forecast };
    let value = value(facts, rule, &flags)?;
    let differs = rule.must.is_met_by(value.items.as_deref()) != met;
    Ok(differs.then(|| Evidence {
        text: format!(
            "from its next start on {} by K3s' configuration: {}",
            if met { "no longer" } else { "met" },
            value.evidence.text
        ),
        place: value.evidence.place,
    }))
}

fn value(facts: &NodeFacts<'_>, rule: &FlagRule, flags: &FlagsInForce) -> Result<FlagText> {
    let flag = component_flags::all().get(&rule.component).and_then(|flags| flags.get(&rule.name));
    if flag.is_some_and(|flag| flag.kind.is_map()) {
        return map_value(facts, rule, flags);
    }
    if let Some(value) = value_in_file(facts, rule, flags)? {
        return Ok(value);
    }
    let is_list = rule.must.takes_list() || flag.is_some_and(|flag| flag.kind.is_list());
    let given: Vec<&String> =
        flags.flags.iter().filter(|(name, _)| *name == rule.name).map(|(_, value)| value).collect();
    if let Some(last) = given.last() {
        let items = if is_list {
            given.iter().flat_map(|text| split_list(text)).collect()
        } else {
            vec![(*last).clone()]
        };
        return Ok(FlagText { items: Some(items), evidence: given_evidence(facts, rule, flags, &given) });
    }
    if let (Some(path), "kubelet") = (&rule.field, rule.component.as_str()) {
        let config = facts.kubelet_config()?;
        if let Some(field) = config.get(path) {
            return Ok(FlagText {
                items: Some(field.items.clone()),
                evidence: field_evidence(facts, rule, path, field),
            });
        }
    }
    let items =
        rule.unset.as_ref().map(|unset| if is_list { split_list(unset) } else { vec![unset.clone()] });
    Ok(FlagText { items, evidence: unset_evidence(facts, rule, flags) })
}

/// Returns the value in the file that `--config` names; none without such a file. With the file, the scheduler and
/// kube-proxy ignore the flags for which the file has fields (cmd/kube-scheduler/app/options, cmd/kube-proxy/app).
fn value_in_file(facts: &NodeFacts<'_>, rule: &FlagRule, flags: &FlagsInForce) -> Result<Option<FlagText>> {
    let Some(path) = rule.field.as_ref().filter(|_| rule.component != "kubelet") else { return Ok(None) };
    let named = flags.flags.iter().rev().find(|(name, _)| name == "config").map(|(_, value)| value);
    let Some(file) = named.filter(|value| !value.is_empty()) else { return Ok(None) };
    let file = facts.node.path(file)?;
    let config = kubelet::read_file(facts.node.root, &file, facts.node.minor())?;
    let component = &rule.component;
    Ok(Some(match config.get(path) {
        Some(field) => {
            let text = format!("{component}'s configuration has {path}: {}", field.items.join(","));
            FlagText {
                items: Some(field.items.clone()),
                evidence: Evidence { text, place: field.place.clone() },
            }
        }
        None => {
            let unset = rule.unset.as_ref();
            let by_itself = unset.map(|unset| format!(", so that it is {unset}")).unwrap_or_default();
            let text = format!("{component}'s configuration has no {path}{by_itself}");
            let place = Some(Place { file: file.to_string(), position: None });
            FlagText { items: unset.map(|unset| vec![unset.clone()]), evidence: Evidence { text, place } }
        }
    }))
}

/// Returns the value of a map. The kubelet's configuration file counts for the names that no flag has
/// (`kubeletConfigFlagPrecedence` in cmd/kubelet/app/server.go).
fn map_value(facts: &NodeFacts<'_>, rule: &FlagRule, flags: &FlagsInForce) -> Result<FlagText> {
    let given: Vec<&String> =
        flags.flags.iter().filter(|(name, _)| *name == rule.name).map(|(_, value)| value).collect();
    let mut evidence = if given.is_empty() {
        unset_evidence(facts, rule, flags)
    } else {
        given_evidence(facts, rule, flags, &given)
    };
    let mut items = BTreeMap::new();
    for item in given.iter().flat_map(|text| split_map(text)) {
        let (name, value) = item.split_once('=').unwrap_or((item, "true"));
        items.insert(name.trim().to_owned(), map_item(name.trim(), value.trim()));
    }
    if let (Some(path), "kubelet") = (&rule.field, rule.component.as_str()) {
        let config = facts.kubelet_config()?;
        let mut is_unset = given.is_empty();
        for (name, field) in config.below(path) {
            if items.contains_key(name) {
                continue;
            }
            let item = map_item(name, &field.items.join(","));
            if is_unset || !rule.must.is_met_by(Some(std::slice::from_ref(&item))) {
                let text = format!("the kubelet's configuration has {path}: {item}");
                evidence = Evidence { text, place: field.place.clone() };
                is_unset = false;
            }
            items.insert(name.to_owned(), item);
        }
    }
    let items = (!items.is_empty()).then(|| items.into_values().collect());
    Ok(FlagText { items, evidence })
}

/// Writes an item of a map; every spelling of a boolean that Go accepts becomes `true` or `false`.
fn map_item(name: &str, value: &str) -> String {
    match flag_values::boolean(value) {
        Some(value) => format!("{name}={value}"),
        None => format!("{name}={value}"),
    }
}

/// Returns evidence of a field of the kubelet's configuration: in a file of the user's, or of K3s' own, for which the user
/// may have a key.
fn field_evidence(facts: &NodeFacts<'_>, rule: &FlagRule, path: &str, field: &KubeletField) -> Evidence {
    let value = field.items.join(",");
    let users = field.place.as_ref().filter(|place| !kubelet::is_own_file(place));
    let set = users.cloned().or_else(|| facts.place_of(&rule.component, &rule.name));
    let by = if set.is_some() { "" } else { ", by K3s itself," };
    let text = format!("the kubelet's configuration has{by} {path}: {value}");
    Evidence { text, place: set.or_else(|| field.place.clone()) }
}

/// Returns evidence of the values that the component gets.
fn given_evidence(
    facts: &NodeFacts<'_>,
    rule: &FlagRule,
    flags: &FlagsInForce,
    given: &[&String],
) -> Evidence {
    let place = facts.place_of(&rule.component, &rule.name);
    let (verb, place) = match (&flags.origin, place) {
        (FlagOrigin::Logged(line), _) => ("was started with", Some(line.clone())),
        (_, Some(place)) => ("gets", Some(place)),
        (_, None) => ("gets, by K3s itself,", None),
    };
    let shown: Vec<String> = given.iter().map(|value| format!("--{}={value}", rule.name)).collect();
    Evidence { text: format!("{} {verb} {}", rule.component, shown.join(" ")), place }
}

/// Returns evidence that nothing sets the flag.
fn unset_evidence(facts: &NodeFacts<'_>, rule: &FlagRule, flags: &FlagsInForce) -> Evidence {
    let unset = rule.unset.as_ref().map(|unset| format!(": it takes {unset} by itself"));
    let text = format!("nothing sets --{} of {}{}", rule.name, rule.component, unset.unwrap_or_default());
    let place = match &flags.origin {
        FlagOrigin::Logged(line) => line.clone(),
        _ => facts.drop_in(),
    };
    Evidence { text, place: Some(place) }
}

/// Splits a list as pflag does, with quotes; a list that pflag refuses is split at every comma.
fn split_list(text: &str) -> Vec<String> {
    let values = flag_values::comma_separated(text);
    let values = values.unwrap_or_else(|| text.split(',').map(str::to_owned).collect());
    values.into_iter().filter(|item| !item.is_empty()).collect()
}

/// Splits a map as pflag does, at every comma.
fn split_map(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|item| !item.is_empty())
}
