//! What a component gets for a flag at last. Of one that takes one value the last counts; of a list, all of them; of a
//! map, the last of each name.

use std::collections::BTreeMap;

use super::super::facts::{FlagOrigin, FlagsInForce, NodeFacts};
use super::super::rule::{FlagRule, RuleOutcome, RuleResult};
use super::{Evidence, copy};
use crate::error::{Place, Result};
use crate::k3s::kubelet::KubeletConfig;
use crate::kubernetes::component_flags::{self, FlagType};
use crate::kubernetes::flag_values;

/// What a flag comes to.
struct FlagText {
    items: Option<Vec<String>>,
    evidence: Evidence,
}

pub(super) fn judge(facts: &NodeFacts<'_>, rule: &FlagRule) -> Result<RuleResult> {
    if let Err(error) = &facts.node.effective
        && facts.journal.last(&rule.component).is_none()
    {
        return Ok(RuleResult::failed(error));
    }
    let flags = facts.flags(&rule.component);
    let value = value(facts, rule, &flags)?;
    let name = format!("{} --{}", rule.component, rule.name);
    let met = rule.must.fits(value.items.as_deref());
    let actual = match &value.items {
        Some(items) => items.join(","),
        None => "not set".to_owned(),
    };
    let mut judgement = RuleResult::met(met, rule.must.words(&name), actual, vec![value.evidence]);
    match flags.known {
        FlagOrigin::Forecast => {}
        FlagOrigin::Logged(_) => judgement.evidence.extend(next_start(facts, rule, met)?),
        FlagOrigin::NotLogged => {
            judgement.outcome = RuleOutcome::Unknown;
            judgement.actual = "K3s has started, and no log says with which arguments".to_owned();
            if let Some(evidence) = judgement.evidence.first_mut() {
                evidence.text = format!("at its next start: {}", evidence.text);
            }
        }
    }
    Ok(judgement)
}

/// Says where K3s' configuration has come to something else since it was started.
fn next_start(facts: &NodeFacts<'_>, rule: &FlagRule, met: bool) -> Result<Option<Evidence>> {
    if facts.node.effective.is_err() {
        return Ok(None);
    }
    let flags = FlagsInForce { flags: facts.forecast(&rule.component), known: FlagOrigin::Forecast };
    let value = value(facts, rule, &flags)?;
    let differs = rule.must.fits(value.items.as_deref()) != met;
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
    if flag.is_some_and(|flag| flag.kind == FlagType::Map) {
        return map(facts, rule, flags);
    }
    if let Some(value) = by_file(facts, rule, flags)? {
        return Ok(value);
    }
    let is_list = rule.must.is_of_list() || flag.is_some_and(|flag| flag.kind == FlagType::List);
    let given: Vec<&String> =
        flags.flags.iter().filter(|(name, _)| *name == rule.name).map(|(_, value)| value).collect();
    if let Some(last) = given.last() {
        let items =
            if is_list { given.iter().flat_map(|text| split(text)).collect() } else { vec![(*last).clone()] };
        return Ok(FlagText { items: Some(items), evidence: gets(facts, rule, flags, &given) });
    }
    if let (Some(path), "kubelet") = (&rule.field, rule.component.as_str()) {
        let config = facts.kubelet.as_ref().map_err(copy)?;
        if let Some(field) = config.get(path) {
            let text = format!("the kubelet's configuration has {path}: {}", field.items.join(","));
            return Ok(FlagText {
                items: Some(field.items.clone()),
                evidence: Evidence { text, place: field.place.clone() },
            });
        }
    }
    let items = rule.unset.as_ref().map(|unset| if is_list { split(unset) } else { vec![unset.clone()] });
    Ok(FlagText { items, evidence: nothing(rule, flags) })
}

/// What the file comes to that `--config` names: the scheduler and kube-proxy then take nothing from flags that the file
/// has fields for (cmd/kube-scheduler/app/options, cmd/kube-proxy/app).
fn by_file(facts: &NodeFacts<'_>, rule: &FlagRule, flags: &FlagsInForce) -> Result<Option<FlagText>> {
    let Some(path) = rule.field.as_ref().filter(|_| rule.component != "kubelet") else { return Ok(None) };
    let named = flags.flags.iter().rev().find(|(name, _)| name == "config").map(|(_, value)| value);
    let Some(file) = named.filter(|value| !value.is_empty()) else { return Ok(None) };
    let file = facts.node.path(file)?;
    let config = KubeletConfig::of_file(facts.node.root, &file)?;
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

/// What a map comes to: of the kubelet's, its configuration counts for the names that no flag has
/// (`kubeletConfigFlagPrecedence` in cmd/kubelet/app/server.go).
fn map(facts: &NodeFacts<'_>, rule: &FlagRule, flags: &FlagsInForce) -> Result<FlagText> {
    let given: Vec<&String> =
        flags.flags.iter().filter(|(name, _)| *name == rule.name).map(|(_, value)| value).collect();
    let mut evidence = if given.is_empty() { nothing(rule, flags) } else { gets(facts, rule, flags, &given) };
    let mut items = BTreeMap::new();
    for item in given.iter().flat_map(|text| split_map(text)) {
        let (name, value) = item.split_once('=').unwrap_or((item, "true"));
        items.insert(name.trim().to_owned(), pair(name.trim(), value.trim()));
    }
    if let (Some(path), "kubelet") = (&rule.field, rule.component.as_str()) {
        let config = facts.kubelet.as_ref().map_err(copy)?;
        for (name, field) in config.below(path) {
            if items.contains_key(name) {
                continue;
            }
            let item = pair(name, &field.items.join(","));
            if !rule.must.fits(Some(std::slice::from_ref(&item))) {
                let text = format!("the kubelet's configuration has {path}: {item}");
                evidence = Evidence { text, place: field.place.clone() };
            }
            items.insert(name.to_owned(), item);
        }
    }
    let items = (!items.is_empty()).then(|| items.into_values().collect());
    Ok(FlagText { items, evidence })
}

/// A value of a map, with Go's words for true and false as one.
fn pair(name: &str, value: &str) -> String {
    match flag_values::boolean(value) {
        Some(value) => format!("{name}={value}"),
        None => format!("{name}={value}"),
    }
}

/// Says with what the flag is given.
fn gets(facts: &NodeFacts<'_>, rule: &FlagRule, flags: &FlagsInForce, given: &[&String]) -> Evidence {
    let place = facts.place_of(&rule.component, &rule.name);
    let (verb, place) = match (&flags.known, place) {
        (FlagOrigin::Logged(line), _) => ("was started with", Some(line.clone())),
        (_, Some(place)) => ("gets", Some(place)),
        (_, None) => ("gets, by K3s itself,", None),
    };
    let shown: Vec<String> = given.iter().map(|value| format!("--{}={value}", rule.name)).collect();
    Evidence { text: format!("{} {verb} {}", rule.component, shown.join(" ")), place }
}

/// Says that nothing gives it.
fn nothing(rule: &FlagRule, flags: &FlagsInForce) -> Evidence {
    let unset = rule.unset.as_ref().map(|unset| format!(": it takes {unset} by itself"));
    let text = format!("nothing sets --{} of {}{}", rule.name, rule.component, unset.unwrap_or_default());
    let place = match &flags.known {
        FlagOrigin::Logged(line) => line.clone(),
        _ => NodeFacts::home(),
    };
    Evidence { text, place: Some(place) }
}

/// The values of a list as pflag reads them, with quotes; what it would not read, at every comma.
fn split(text: &str) -> Vec<String> {
    let values = flag_values::comma_separated(text);
    let values = values.unwrap_or_else(|| text.split(',').map(str::to_owned).collect());
    values.into_iter().filter(|item| !item.is_empty()).collect()
}

/// The names of a map, which pflag splits at every comma.
fn split_map(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|item| !item.is_empty())
}
