// SPDX-License-Identifier: Apache-2.0
//! Checks the value that a component gets for a flag. For a flag with one value the last occurrence counts, and for a list
//! every occurrence. Texts are read as the type of the flag reads them, and an empty value is what the component makes of it.

use crate::error::{Error, ErrorKind, Place, Result};
use crate::k3s::kubelet;
use crate::kubernetes::component_fields::ComponentFields;
use crate::kubernetes::component_flags::{self, ComponentFlag};
use crate::kubernetes::flag_values;
use crate::kubernetes::kubelet_config::KubeletField;
use crate::kubernetes::kubelet_settings;
use crate::kubernetes::settings::TypedValue;
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
    let name = format!("{} --{}", rule.component, rule.name);
    let (value, others, origin) = match logged_field(facts, rule, &flags)? {
        // The kubelet itself says what it runs with.
        Some((value, others)) => {
            let line = value.evidence.place.clone();
            (value, others, line.map_or(flags.origin, FlagOrigin::Logged))
        }
        None => (value(facts, rule, &flags)?, None, flags.origin),
    };
    let met = rule.must.is_met_by(value.items.as_deref());
    let actual = match &value.items {
        Some(items) => items.join(","),
        None => "not set".to_owned(),
    };
    let mut evidence = value.evidence;
    let minor = facts.node.minor();
    if let ("0", Some(means)) = (actual.as_str(), rule.flag().and_then(|flag| flag.zero_in(minor))) {
        evidence.text += &format!(", which is {means} in Kubernetes {minor}");
    }
    // The benchmark and the scanners look for the argument, whatever the component does without it.
    if let (false, None, Some(default)) = (met, &value.items, rule.default_in(minor)) {
        evidence.text += &format!(": the default is {default}, but the benchmark requires the argument");
    }
    let evidence = std::iter::once(evidence).chain(others).collect();
    let result = RuleResult::met(met, rule.must.describe(&name), actual, evidence);
    let mut result = with_origin(&origin, result);
    match origin {
        // If the flag is met without K3s's own value, it is met in every release.
        FlagOrigin::Forecast if !met => {
            let differing = facts.node.differing_flags(&rule.component);
            if let Some(flag) = differing.iter().find(|flag| flag.flag == rule.name) {
                result.outcome = RuleOutcome::Unknown;
                result.actual = flag.message(&rule.component, facts.node.release);
            }
        }
        FlagOrigin::Logged(_) => result.evidence.extend(next_start(facts, rule, met)),
        FlagOrigin::Forecast | FlagOrigin::NotLogged => {}
    }
    Ok(result)
}

/// Returns the value of a field in the configuration that the kubelet logged at its last start, with evidence of what the
/// arguments and files give where that is another value; none if the log does not say it.
///
/// # Errors
/// [`ErrorKind::BadInput`] if the kubelet logged no such field, which is its zero, and the arguments and files give it a value.
fn logged_field(
    facts: &NodeFacts<'_>,
    rule: &FlagRule,
    flags: &FlagsInForce,
) -> Result<Option<(FlagText, Option<Evidence>)>> {
    let (Some(path), "kubelet") = (&rule.field, rule.component.as_str()) else { return Ok(None) };
    // Why lines of a log are not read is said once, with the report.
    let Some(Ok(logged)) = facts.logged_kubelet() else { return Ok(None) };
    let own = value(facts, rule, flags);
    let Some(field) = logged.get(path) else {
        let own = own?;
        let is_zero = |item: &String| matches!(item.as_str(), "" | "0" | "0s" | "false");
        return match &own.items {
            Some(items) if !items.iter().all(is_zero) => {
                let message = format!(
                    "the kubelet logged no {path} at its start, and its arguments and files give {}: it runs with another \
                     configuration, or the log is not whole",
                    items.join(",")
                );
                let error = Error::new(ErrorKind::BadInput, message);
                Err(own.evidence.place.map_or(error.clone(), |place| error.at(place)))
            }
            _ => Ok(None),
        };
    };
    let flag = component_flags::all().get(&rule.component).and_then(|flags| flags.get(&rule.name));
    let is_list = rule.must.takes_list() || flag.is_some_and(|flag| flag.kind.is_list());
    let one = |text: &String| if is_list { text.clone() } else { as_read(facts, flag, text) };
    let items: Vec<String> = field.items.iter().map(one).collect();
    let text = format!("the kubelet logged {path}: {}", field.items.join(","));
    let others = own.ok().filter(|own| own.items.as_ref().is_some_and(|own| *own != items)).map(|own| {
        let given = own.items.unwrap_or_default().join(",");
        let text = format!("the current arguments and files set {given}: {}", own.evidence.text);
        Evidence { text, place: own.evidence.place }
    });
    let evidence = Evidence { text, place: field.place.clone() };
    Ok(Some((FlagText { items: Some(items), evidence }, others)))
}

/// Makes a result unknown where nobody knows the flags of the component.
pub(super) fn with_origin(origin: &FlagOrigin, mut result: RuleResult) -> RuleResult {
    if *origin == FlagOrigin::NotLogged {
        result.outcome = RuleOutcome::Unknown;
        result.actual = "K3s has started, and no log says with which arguments".to_owned();
        if let Some(evidence) = result.evidence.first_mut() {
            evidence.text = format!("at its next start: {}", evidence.text);
        }
    }
    result
}

/// Returns evidence if the configuration gives another result at the next start of K3s.
fn next_start(facts: &NodeFacts<'_>, rule: &FlagRule, met: bool) -> Option<Evidence> {
    if facts.node.effective.is_err() {
        return None;
    }
    let flags = FlagsInForce { flags: facts.forecast(&rule.component), origin: FlagOrigin::Forecast };
    // What is not known of the next start says nothing of this one.
    let value = value(facts, rule, &flags).ok()?;
    let differs = rule.must.is_met_by(value.items.as_deref()) != met;
    differs.then(|| Evidence {
        text: format!(
            "after the next start the control is {}, according to the K3s configuration: {}",
            if met { "no longer" } else { "met" },
            value.evidence.text
        ),
        place: value.evidence.place,
    })
}

fn value(facts: &NodeFacts<'_>, rule: &FlagRule, flags: &FlagsInForce) -> Result<FlagText> {
    if let Some(value) = value_in_file(facts, rule, flags)? {
        return Ok(value);
    }
    let flag = component_flags::all().get(&rule.component).and_then(|flags| flags.get(&rule.name));
    let is_list = rule.must.takes_list() || flag.is_some_and(|flag| flag.kind.is_list());
    let unset = || {
        rule.unset_in(facts.node.minor()).map(|unset| if is_list { split_list(&unset) } else { vec![unset] })
    };
    let given: Vec<&String> =
        flags.flags.iter().filter(|(name, _)| *name == rule.name).map(|(_, value)| value).collect();
    let ignores_empty = flag.is_some_and(|flag| flag.kind.ignores_empty(facts.node.minor()));
    let last = given.iter().rev().find(|text| !(ignores_empty && text.is_empty()));
    if let Some(last) = last {
        let items: Vec<String> = if is_list {
            given.iter().flat_map(|text| split_list(text)).collect()
        } else {
            vec![as_read(facts, flag, last)]
        };
        let mut evidence = given_evidence(facts, rule, flags, &given);
        // A component takes its default for an empty list.
        let items = match unset() {
            Some(unset) if is_list && items.is_empty() => {
                evidence.text += &format!(", so the default {} is used", unset.join(","));
                unset
            }
            _ => items,
        };
        return Ok(FlagText { items: Some(items), evidence });
    }
    if let (Some(path), "kubelet") = (&rule.field, rule.component.as_str()) {
        let config = facts.kubelet_config()?;
        let field = config.get(path);
        let is_zero = |field: &&KubeletField| {
            let read = flag.and_then(|flag| flag.kind.read(&field.items.join(","), facts.node.minor()).ok());
            kubelet_settings::zero_is_default(path) && read.is_some_and(|value| value.is_zero())
        };
        let is_default = field.is_some_and(|field| is_zero(&field))
            || field.is_none() && config.defaults_as_in_a_file(path);
        let default = kubelet_settings::default_of_file(path, facts.node.minor());
        if let (true, true, Some(default)) = (is_default, rule.unset.is_some(), default) {
            let said = field.map(|field| format!(" {}", field.items.join(","))).unwrap_or_default();
            let text =
                format!("the kubelet's configuration leaves {path}{said} to its default, which is {default}");
            let place = field.and_then(|field| field.place.clone());
            let items = if is_list { split_list(&default) } else { vec![default] };
            return Ok(FlagText { items: Some(items), evidence: Evidence { text, place } });
        }
        if let Some(field) = field {
            let evidence = field_evidence(facts, rule, path, field);
            let one = |text: &String| if is_list { text.clone() } else { as_read(facts, flag, text) };
            return Ok(FlagText { items: Some(field.items.iter().map(one).collect()), evidence });
        }
    }
    let mut evidence = unset_evidence(facts, rule, flags);
    if !given.is_empty() {
        let given = given_evidence(facts, rule, flags, &given);
        evidence = Evidence { text: format!("{}, which is empty; {}", given.text, evidence.text), ..given };
    }
    Ok(FlagText { items: unset(), evidence })
}

/// Returns a text as the flag has it after it has read it, such as `false` for `F`; the text itself if the flag refuses it.
fn as_read(facts: &NodeFacts<'_>, flag: Option<&ComponentFlag>, text: &str) -> String {
    let value = flag.and_then(|flag| flag.kind.read(text, facts.node.minor()).ok());
    match value {
        Some(value @ (TypedValue::Bool(_) | TypedValue::Whole(_) | TypedValue::Duration(_))) => value.text(),
        _ => text.to_owned(),
    }
}

/// Returns the value in the file that `--config` names; none without such a file. With the file, the scheduler and
/// kube-proxy ignore the flags for which the file has fields (cmd/kube-scheduler/app/options, cmd/kube-proxy/app).
fn value_in_file(facts: &NodeFacts<'_>, rule: &FlagRule, flags: &FlagsInForce) -> Result<Option<FlagText>> {
    let Some(path) = rule.field.as_ref().filter(|_| rule.component != "kubelet") else { return Ok(None) };
    let Some((file, fields)) = config_file(facts, &rule.component, flags)? else { return Ok(None) };
    let component = &rule.component;
    let value = fields.value(path).map(TypedValue::text);
    let position = fields.position(path);
    Ok(Some(match (value, position) {
        (Some(value), Some(_)) => {
            let text = format!("{component}'s configuration has {path}: {value}");
            let place = Some(Place { file, position });
            FlagText { items: Some(vec![value]), evidence: Evidence { text, place } }
        }
        (value, _) => {
            let unset = value.or_else(|| rule.unset_in(facts.node.minor()));
            let by_itself = unset.as_ref().map(|unset| format!(": the default is {unset}"));
            let by_itself = by_itself.unwrap_or_default();
            let text = format!("{component}'s configuration has no {path}{by_itself}");
            let place = Some(Place { file, position: None });
            FlagText { items: unset.map(|unset| vec![unset]), evidence: Evidence { text, place } }
        }
    }))
}

/// Reads the configuration file that `--config` names, with its path; none without such a file.
///
/// # Errors
/// [`ErrorKind::BadInput`] with the place if it is not there, or if the component cannot decode it.
pub(super) fn config_file(
    facts: &NodeFacts<'_>,
    component: &str,
    flags: &FlagsInForce,
) -> Result<Option<(String, ComponentFields)>> {
    let named = flags.flags.iter().rev().find(|(name, _)| name == "config").map(|(_, value)| value);
    let Some(named) = named.filter(|value| !value.is_empty()) else { return Ok(None) };
    let path = facts.node.path(named)?;
    let refused = |message: String, position| {
        Error::new(ErrorKind::BadInput, message).at(Place { file: path.to_string(), position })
    };
    let bytes = facts.node.root.read(&path)?;
    let bytes = bytes.ok_or_else(|| refused(format!("{path} does not exist"), None))?;
    let given = flags.flags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let given = component_flags::settings(component, facts.node.minor(), given);
    let fields = ComponentFields::read(&bytes, facts.node.minor(), &given);
    let fields = fields.map_err(|fault| refused(fault.message, Some(fault.position)))?;
    Ok(Some((path.to_string(), fields)))
}

/// Returns evidence of a field of the kubelet's configuration: in a file of the user's, or of K3s's own, for which the user
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
    let place = facts.place_of_given(&rule.component, &rule.name, &flags.origin);
    let verb = match (&flags.origin, &place) {
        (FlagOrigin::Logged(_), _) => "was started with",
        (_, Some(_)) => "gets",
        (_, None) => "gets from K3s itself",
    };
    let shown: Vec<String> = given.iter().map(|value| format!("--{}={value}", rule.name)).collect();
    Evidence { text: format!("{} {verb} {}", rule.component, shown.join(" ")), place }
}

/// Returns evidence that nothing sets the flag.
fn unset_evidence(facts: &NodeFacts<'_>, rule: &FlagRule, flags: &FlagsInForce) -> Evidence {
    let unset = rule.unset_in(facts.node.minor()).map(|unset| format!(": the default is {unset}"));
    let text = format!("nothing sets --{} of {}{}", rule.name, rule.component, unset.unwrap_or_default());
    Evidence { text, place: Some(facts.place_of_unset(&flags.origin)) }
}

/// Splits a list as pflag does, with quotes; a list that pflag refuses is split at every comma.
fn split_list(text: &str) -> Vec<String> {
    let values = flag_values::comma_separated(text);
    let values = values.unwrap_or_else(|| text.split(',').map(str::to_owned).collect());
    values.into_iter().filter(|item| !item.is_empty()).collect()
}
