// SPDX-License-Identifier: Apache-2.0
//! Why components do not start with what they are given: then nothing that their flags or files say is met.
//!
//! What K3s has logged it logged before the component read it. Where the user's arguments in the line are those of the
//! configuration, what is refused of the configuration is refused of the line. Where they are others, a value of another type, or
//! one that is refused by itself, ended that component; whether two values fit together is not asked of a line that may be cut.

use std::sync::OnceLock;

use super::evidence::Evidence;
use super::flags_in_force::{FlagOrigin, FlagsInForce};
use crate::error::Error;
use crate::k3s::NodeConfig;
use crate::kubernetes::admission_plugins;
use crate::kubernetes::apiserver_flags::{ApiServerFlags, PluginRefusal};
use crate::kubernetes::component_flags;
use crate::kubernetes::flag_values;
use crate::kubernetes::gate_flag::{self, GateFault};
use crate::kubernetes::settings;
use crate::kubernetes::tls;
use crate::preflight::{Finding, refusals};
use crate::version::KubernetesMinor;

/// The flag that lists cipher suites.
const CIPHERS: &str = "tls-cipher-suites";

/// Why a component does not start with what it is given, found at the first use: dozens of rules ask for it.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfiguredRefusal(OnceLock<Option<Evidence>>);

impl ConfiguredRefusal {
    /// Returns why the component does not start with the flags in force.
    pub(super) fn of_flags(
        &self,
        node: &NodeConfig<'_>,
        component: &str,
        flags: impl FnOnce() -> FlagsInForce,
    ) -> Option<Evidence> {
        self.0.get_or_init(|| find(node, component, &flags())).clone()
    }
}

fn find(node: &NodeConfig<'_>, component: &str, flags: &FlagsInForce) -> Option<Evidence> {
    if let FlagOrigin::Logged(line) = &flags.origin {
        if let Some(text) = of_line(node, component, &flags.flags) {
            return Some(Evidence { text, place: Some(line.clone()) });
        }
        if !is_as_configured(node, component, &flags.flags) {
            return first(refusals::of_files(node, component));
        }
    }
    first(refusals::of_component(node, component))
}

fn first(found: Result<Vec<Finding>, Error>) -> Option<Evidence> {
    match found {
        Ok(found) => {
            let Finding { message, place, .. } = found.into_iter().next()?;
            Some(Evidence { text: message, place })
        }
        Err(error) => Some(Evidence { text: error.message().to_owned(), place: error.place().cloned() }),
    }
}

/// Returns a name in a list of names, of admission plugins or cipher suites, that no minor has. The kubelet's cipher suites are
/// its own to judge, and what a minor has that is newer than this version knows is not known.
fn unknown_name(component: &str, minor: KubernetesMinor, flags: &[(String, String)]) -> Option<String> {
    if component == "kubelet" || minor.is_newer_than_known() {
        return None;
    }
    let suites =
        values_of(flags, CIPHERS).flat_map(|text| flag_values::comma_separated(text).unwrap_or_default());
    let unknown = suites.into_iter().find(|name| tls::cipher_suite(name).is_none());
    if unknown.is_some() || component != "kube-apiserver" {
        return unknown;
    }
    let refused = ApiServerFlags::new(flags.to_vec()).refused_plugins(minor).into_iter();
    let mut names = refused.filter_map(|refused| match refused.reason {
        PluginRefusal::Unknown(name) => Some(name),
        PluginRefusal::Overlap(_) => None,
    });
    names.find(|name| admission_plugins::availability(minor, name).is_empty())
}

/// Tells whether a line of the log has the values that the configuration gives. What else it has is K3s's own, which depends on
/// the machine.
fn is_as_configured(node: &NodeConfig<'_>, component: &str, logged: &[(String, String)]) -> bool {
    let forecast = node.flags(component);
    let mut users = forecast.iter().filter(|(name, _)| node.place_of(component, name).is_some());
    users.all(|(name, _)| values_of(logged, name).eq(values_of(forecast, name)))
}

fn values_of<'f>(flags: &'f [(String, String)], name: &'f str) -> impl Iterator<Item = &'f str> {
    flags.iter().filter(move |(flag, _)| flag == name).map(|(_, text)| text.as_str())
}

/// Returns what a component refuses of the flags in a line of the log.
fn of_line(node: &NodeConfig<'_>, component: &str, flags: &[(String, String)]) -> Option<String> {
    let minor = node.minor();
    let known = component_flags::all().get(component)?;
    for (name, text) in flags {
        // The line may be of another minor, which has other flags.
        let Some(flag) = known.get(name).filter(|flag| flag.is_of(minor)) else { continue };
        if let Err(problem) = flag.kind.read(text, minor) {
            return Some(format!("invalid argument {text:?} for \"--{name}\" flag: {problem}"));
        }
    }
    let gates: Vec<&str> = values_of(flags, gate_flag::FLAG).collect();
    let is_certain = |fault: &GateFault| matches!(fault, GateFault::NoValue { .. } | GateFault::Value { .. });
    let faults = gate_flag::faults(component, minor, &gates).into_iter().map(|(_, fault)| fault);
    if let Some(fault) = faults.into_iter().find(is_certain) {
        return Some(fault.message());
    }
    if let Some(name) = unknown_name(component, minor, flags) {
        return Some(format!("{component} rejects the unknown name {name:?}"));
    }
    let given = flags.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let settings = component_flags::settings(component, minor, given);
    let refused = settings::refused(component, &settings, minor).into_iter();
    // K3s's own values are fine.
    let own = node.own_flags(component);
    let forecast = node.flags(component);
    let is_own = |name: &String| {
        let is_same = values_of(flags, name).eq(values_of(forecast, name));
        own.contains(name) && node.place_of(component, name).is_none() && is_same
    };
    let by_itself = |refused: &settings::RefusedSetting| {
        settings.is_given(&refused.setting)
            && refused.is_by_itself
            && !(refused.rests_on_names && minor.is_newer_than_known())
            && !refused.is_up_to_machine
            && !is_own(&refused.setting)
    };
    refused.into_iter().find(by_itself).map(|refused| format!("{component} refuses it: {}", refused.message))
}
