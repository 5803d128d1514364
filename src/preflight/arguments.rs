// SPDX-License-Identifier: Apache-2.0
//! The arguments that the configuration gives components: names that the minor's component does not have, values that do
//! not parse, values and pairs of values that a component refuses (data/rules-*.yaml). `argument_files` checks the files that they name.

use super::apiserver::ApiServer;
use super::{Finding, argument_files, newer, options, releases};
use crate::Role;
use crate::error::Result;
use crate::k3s::ComponentArgument;
use crate::k3s::NodeConfig;
use crate::k3s::arguments;
use crate::kubernetes::component_flags;
use crate::kubernetes::gate_flag::{self, GateFault};
use crate::kubernetes::next_minor::GateChange;
use crate::kubernetes::settings::{self, RefusedSetting};
use crate::kubernetes::value_judgement;
use crate::kubernetes::{flag_values, tls};

/// The component whose gates are those of the file that `config` names, where it has one.
const WITH_GATES_OF_FILE: &str = "kube-proxy";
/// The flag that sets feature gates.
const KUBELET: &str = "kubelet";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for component in component_flags::all().keys() {
        // Nobody reads the arguments of a component that does not run.
        if !node.effective.as_ref().is_ok_and(|effective| effective.components.contains_key(component)) {
            findings.extend(read_by_k3s(node, component));
            continue;
        }
        let mut found = one_by_one(node, component);
        found.extend(gates(node, component));
        found.extend(not_judged(node, component));
        // The kubelet's are checked with its files: both are one configuration.
        if component != KUBELET {
            found.extend(refused(node, component));
        }
        found.extend(argument_files::check(node, component)?);
        // What only a known minor refuses says nothing of the time when a node joins.
        found = newer::judged(node.minor(), found);
        if node.running().waits_for_node(component) {
            found = found.into_iter().map(Finding::once_a_node_joins).collect();
        }
        findings.extend(found);
    }
    if let Some(server) = ApiServer::configured(node) {
        findings.extend(options::check(&server));
        findings.extend(releases::check(&server)?);
    }
    Ok(findings)
}

/// Returns what a component refuses in its arguments by their names and values, whatever is in the files that they name. The
/// kubelet's values are judged with its files.
pub(super) fn refused_values(node: &NodeConfig<'_>, component: &str) -> Vec<Finding> {
    let mut found = one_by_one(node, component);
    found.extend(gates(node, component));
    if component != KUBELET {
        found.extend(refused(node, component));
    }
    if component == super::apiserver::NAME {
        found.extend(ApiServer::configured(node).iter().flat_map(options::check));
    }
    found
}

/// Checks the names and the values of the arguments, each by itself.
fn one_by_one(node: &NodeConfig<'_>, component: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let serves = serves(node, component);
    let given = node.arguments(component);
    let names: Vec<String> = given.iter().map(|argument| arguments::name_of(&argument.text)).collect();
    for (at, argument) in given.iter().enumerate() {
        if let Some(finding) = name(node, component, argument) {
            found.push(finding.at(argument.place.clone()));
            continue;
        }
        let is_last = !names[at + 1..].contains(&names[at]);
        let more = value(node, component, argument, (serves, is_last));
        found.extend(more.into_iter().map(|finding| finding.at(argument.place.clone())));
    }
    found.extend(after_empty(node, component));
    let by_k3s = read_by_k3s(node, component).into_iter().filter(|finding| !found.contains(finding));
    let by_k3s: Vec<Finding> = by_k3s.collect();
    found.extend(by_k3s);
    found
}

/// Checks what K3s itself reads of the API server's arguments, whether it starts one or not: for its own listener
/// it takes the first tls-min-version and tls-cipher-suites (pkg/cli/server/server.go).
fn read_by_k3s(node: &NodeConfig<'_>, component: &str) -> Vec<Finding> {
    if component != super::apiserver::NAME || node.effective.is_err() || node.role == Role::Agent {
        return Vec::new();
    }
    let given = node.arguments(component);
    let first = |name: &str| given.iter().find(|argument| argument.text.split('=').next() == Some(name));
    let mut found = Vec::new();
    for (name, check) in
        [("tls-min-version", tls_version as fn(&str, &str) -> Vec<Finding>), ("tls-cipher-suites", ciphers)]
    {
        let Some(argument) = first(name) else { continue };
        let findings = if argument.text.contains('=') {
            check(component, &argument.value)
        } else {
            let message = format!("{component}'s {name} has no value: K3s itself reads it, and panics");
            let finding = Finding::stops("argument-value", message, format!("write {name}=value"));
            vec![finding.says("panic: runtime error: index out of range [1] with length 1")]
        };
        found.extend(findings.into_iter().map(|finding| finding.at(argument.place.clone())));
    }
    found
}

/// Returns what a component refuses in its settings (data/rules-*.yaml): values, and pairs of them.
fn refused(node: &NodeConfig<'_>, component: &str) -> Vec<Finding> {
    let given = node.arguments(component);
    // K3s's own arguments are fine.
    if given.is_empty() {
        return Vec::new();
    }
    let finding = |refused: RefusedSetting| {
        let place_of = |name: &String| {
            let is_named = |argument: &&ComponentArgument| {
                arguments::as_component_takes(component, &argument.text).0 == *name
            };
            given.iter().rev().find(is_named).map(|argument| argument.place.clone())
        };
        // One that K3s itself gives has no place.
        let place = [&refused.setting].into_iter().chain(&refused.others).find_map(place_of)?;
        let message = format!("{component} refuses it: {}", refused.message);
        let holds_later = !refused.rests_on_names;
        let finding = Finding::stops(refused.code, message, refused.write).says(refused.says).at(place);
        Some(Finding { holds_later, ..finding })
    };
    settings::refused(component, &node.settings(component), node.minor())
        .into_iter()
        .filter_map(finding)
        .collect()
}

/// Checks an argument's name.
fn name(node: &NodeConfig<'_>, component: &str, argument: &ComponentArgument) -> Option<Finding> {
    let name = arguments::name_of(&argument.text);
    if name.is_empty() {
        let message = format!("{component} gets an argument without a name: {:?}", argument.text);
        let finding = Finding::stops("argument-empty", message, "remove it, or write name=value");
        return Some(finding.says(format!("bad flag syntax: --={}", argument.value)));
    }
    if let Some(message) = arguments::unknown(component, node.minor(), &argument.text) {
        let remedy = "remove it, or name an argument that the component has";
        let says = format!("unknown flag: --{}", argument.name);
        let finding = Finding::stops("argument-unknown", message, remedy).says(says);
        // What has gone does not come again.
        let has_gone = component_flags::find(component, &name).is_some();
        return Some(Finding { holds_later: has_gone, ..finding });
    }
    // cobra prints the help, and the command returns.
    if name == "help" && flag_values::boolean(&argument.value) == Some(true) {
        let message = format!("--help has {component} print its arguments and exit");
        return Some(Finding::stops("argument-version", message, "remove it"));
    }
    (name == "version" && argument.value != "false").then(|| {
        let message = format!("--version has {component} print its version and exit");
        Finding::stops("argument-version", message, "remove it")
    })
}

/// Checks an argument's value by its type; `serves` tells whether the component serves, `is_last` whether no other argument of
/// the name comes after it.
fn value(
    node: &NodeConfig<'_>,
    component: &str,
    argument: &ComponentArgument,
    (serves, is_last): (bool, bool),
) -> Vec<Finding> {
    let (name, _) = arguments::as_component_takes(component, &argument.text);
    let Some(flag) = component_flags::all().get(component).and_then(|flags| flags.get(&name)) else {
        return Vec::new();
    };
    let text = argument.value.as_str();
    if let Err(problem) = flag.kind.read(text, node.minor()) {
        let wanted = flag.kind.wanted();
        let message = format!("{component}'s {name} takes {wanted}, not {text:?}");
        let says = format!("invalid argument {text:?} for \"--{name}\" flag: {problem}");
        let finding = Finding::stops("argument-value", message, format!("write {name} as {wanted}"));
        return vec![finding.says(says)];
    }
    match name.as_str() {
        "tls-min-version" if component == KUBELET => Vec::new(),
        _ if !serves => Vec::new(),
        // Of several the last counts.
        "tls-min-version" if !is_last => Vec::new(),
        "tls-min-version" => tls_version(component, text),
        "tls-cipher-suites" => ciphers(component, text),
        _ => Vec::new(),
    }
}

/// Returns the finding for a value behind an empty one that ends the component.
fn after_empty(node: &NodeConfig<'_>, component: &str) -> Option<Finding> {
    let flags = node.flags(component);
    let fault = |at: usize, name: &str| {
        let kind = component_flags::find(component, name)?.kind;
        let later = flags[at + 1..].iter().filter(|(other, _)| other == name);
        later.filter_map(|(_, text)| kind.fault_after_empty(text)).next()
    };
    let mut emptied = flags.iter().enumerate().filter(|(_, (_, text))| text.is_empty());
    let (name, says) = emptied.find_map(|(at, (name, _))| Some((name, fault(at, name)?)))?;
    let message = format!(
        "{component}'s {name} is set twice, first to an empty value: the component exits at the second"
    );
    let finding = Finding::stops("argument-refused", message, format!("write {name} once"));
    Some(finding.says(says).at(node.place_of(component, name)?))
}

/// Returns the arguments whose values can keep a component from starting, and are not judged. What only the running machine
/// tells is a note, as it is of K3s's own values.
fn not_judged(node: &NodeConfig<'_>, component: &str) -> Vec<Finding> {
    let given = node.arguments(component).into_iter().filter(|argument| !argument.value.is_empty());
    let finding = |argument: ComponentArgument| {
        let (name, _) = arguments::as_component_takes(component, &argument.text);
        if let Some(what) = value_judgement::of_machine(component, &name) {
            let message = format!("only the syntax of {component}'s {name} is checked: {what}");
            let finding = Finding::not_judged("argument-not-judged", message, "look at it by hand");
            return Some(finding.at(argument.place));
        }
        let why = value_judgement::not_judged(component, &name)?;
        let message = format!("the value of {component}'s {name} is not judged: {why}");
        let remedy = "try it on a test node of the same minor";
        Some(Finding::unknown("argument-not-judged", message, remedy).at(argument.place))
    };
    given.filter_map(finding).collect()
}

/// Tells whether a component serves: with the port 0 it reads nothing of what serving takes
/// (`SecureServingOptions.ApplyTo` of k8s.io/apiserver).
fn serves(node: &NodeConfig<'_>, component: &str) -> bool {
    let port = node.flags(component).iter().rfind(|(name, _)| name == "secure-port");
    port.is_none_or(|(_, value)| flag_values::integer(value) != Some(0))
}

/// Checks the feature gates, for which all arguments of the name count together.
fn gates(node: &NodeConfig<'_>, component: &str) -> Vec<Finding> {
    let takes = |text: &str| arguments::as_component_takes(component, text);
    let is_named = |argument: &ComponentArgument| takes(&argument.text).0 == gate_flag::FLAG;
    let given: Vec<ComponentArgument> = node.arguments(component).into_iter().filter(is_named).collect();
    // K3s's own arguments are fine.
    let is_of_file = component == WITH_GATES_OF_FILE
        && node.flag(component, "config").is_some_and(|file| !file.is_empty());
    if given.is_empty() || is_of_file {
        return Vec::new();
    }
    let flags = node.flags(component);
    let flags: Vec<&str> =
        flags.iter().filter(|(name, _)| name == gate_flag::FLAG).map(|(_, value)| value.as_str()).collect();
    let mut findings = Vec::new();
    for (at, fault) in gate_flag::faults(component, node.minor(), &flags) {
        if let Some(argument) = given.iter().rev().find(|argument| argument.value == flags[at]) {
            findings.push(gate_finding(node, component, &fault).at(argument.place.clone()));
        }
    }
    for argument in &given {
        let newer = releases::emulated_gates(node, component, &argument.value);
        findings.extend(newer.into_iter().map(|finding| finding.at(argument.place.clone())));
    }
    findings
}

fn gate_finding(node: &NodeConfig<'_>, component: &str, fault: &GateFault) -> Finding {
    let (value, gate) = ("argument-value", "argument-feature-gate");
    // A newer minor is judged as this one.
    let minor = node.minor().judged();
    let (code, message, remedy) = match fault {
        GateFault::NoValue { name } => {
            let message = format!("{component}'s feature gate {name} has no value");
            (value, message, format!("write {name}=true or {name}=false"))
        }
        GateFault::Value { name, value: text } => {
            let message = format!("{component}'s feature gate {name} is {text:?}");
            (value, message, format!("write {name}=true or {name}=false"))
        }
        GateFault::Unknown { name, availability } => {
            let message = format!("{component} of {minor} has no feature gate {name}{availability}");
            (gate, message, "remove it".to_owned())
        }
        GateFault::Changes { name, change } => return next_gate(node, component, name, *change),
        GateFault::OfAnother { name } => {
            let message = format!(
                "{component} of {minor} has no feature gate {name}, but another component has it. K3s runs both in one \
                 process: unknown whether it accepts the gate"
            );
            return Finding::unknown(gate, message, "remove it").says(fault.message());
        }
        GateFault::Locked { name, is_on } => {
            let message = format!("{component} of {minor} has locked the feature gate {name} to {is_on}");
            (gate, message, "remove it".to_owned())
        }
        GateFault::Needs { name, other } => {
            let message =
                format!("{component}'s feature gate {name} is on, and {other}, which it needs, is off");
            (gate, message, format!("write {name}=false, or {other}=true"))
        }
        GateFault::Component { name } => {
            let message =
                format!("{component}'s feature gates have {name:?} before a gate, which is no component");
            (gate, message, "write the gate alone".to_owned())
        }
        GateFault::Mixed => {
            let message =
                format!("{component}'s feature gates have the prefix kube: for some gates, but not for all");
            (gate, message, "write all of them without kube:".to_owned())
        }
    };
    let finding = Finding::stops(code, message, remedy).says(fault.message());
    Finding { holds_later: holds_later(fault), ..finding }
}

/// Tells whether a minor that is newer than this version knows refuses it, too. A gate that has gone, or that is locked, does
/// not come again.
pub(super) fn holds_later(fault: &GateFault) -> bool {
    match fault {
        GateFault::NoValue { .. } | GateFault::Value { .. } | GateFault::Locked { .. } => true,
        GateFault::Unknown { availability, .. } => !availability.is_empty(),
        GateFault::OfAnother { .. }
        | GateFault::Changes { .. }
        | GateFault::Needs { .. }
        | GateFault::Component { .. }
        | GateFault::Mixed => false,
    }
}

/// Returns the finding for a gate that a newer minor is known to change.
pub(super) fn next_gate(node: &NodeConfig<'_>, component: &str, name: &str, change: GateChange) -> Finding {
    let (named, newest) = (node.minor(), node.minor().judged());
    let message = match change {
        GateChange::Gone => format!(
            "{component} of {newest} has the feature gate {name}, but the beta of {} no longer has it: {named} may \
             not start with it",
            newest.next()
        ),
        GateChange::New => format!(
            "{component} of {newest} has no feature gate {name}; the beta of {} has it, and its effect is not checked",
            newest.next()
        ),
    };
    let remedy = format!("remove it, or try it on a test node of {named}");
    Finding::unknown("next-minor-gate", message, remedy)
        .says(GateFault::Changes { name: name.to_owned(), change }.message())
}

fn tls_version(component: &str, text: &str) -> Vec<Finding> {
    if text.is_empty() || tls::versions().iter().any(|known| known == text) {
        return Vec::new();
    }
    let message = format!("{component}'s tls-min-version is {text:?}");
    let remedy = format!("write one of {}", tls::versions().join(", "));
    let says = format!("unknown tls version {text:?}");
    vec![Finding::stops("argument-tls-version", message, remedy).says(says)]
}

fn ciphers(component: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in flag_values::comma_separated(text).unwrap_or_default() {
        match tls::cipher_suite(&name) {
            Some(suite) if suite.insecure => {
                let message = format!("{component}'s tls-cipher-suites has {name}, which is insecure");
                let says = format!("Use of insecure cipher '{name}' detected.");
                findings.push(Finding::warns("argument-cipher-insecure", message, "remove it").says(says));
            }
            Some(_) => {}
            None if component == KUBELET => {}
            None => {
                let message = format!("{component}'s tls-cipher-suites has the unknown name {name:?}");
                let says = format!("Cipher suite {name} not supported or doesn't exist");
                let remedy = "write Go's names, such as TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
                findings.push(Finding::stops("argument-cipher", message, remedy).says(says));
            }
        }
    }
    findings
}
