//! Why components do not start with what they are given: then nothing that their flags or files say is met.
//!
//! What K3s has logged it logged before the component read it. A value of another type, or one that is refused by itself,
//! ended that component; whether two values fit together is not asked of a line that may be cut.

use super::evidence::Evidence;
use super::flags_in_force::{FlagOrigin, FlagsInForce};
use crate::error::Error;
use crate::k3s::NodeConfig;
use crate::kubernetes::component_flags;
use crate::kubernetes::gate_flag::{self, GateFault};
use crate::kubernetes::settings;
use crate::preflight::{Finding, refusals};

/// The flag that sets feature gates.
const GATES: &str = "feature-gates";

/// Why a component does not start with what its configuration gives it.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfiguredRefusal {
    /// With its arguments and its files.
    whole: Option<Evidence>,
    /// With its files alone.
    files: Option<Evidence>,
}

impl ConfiguredRefusal {
    /// Asks about a component that runs on a node.
    pub(super) fn find(node: &NodeConfig<'_>, component: &str) -> Self {
        Self {
            whole: first(refusals::of_component(node, component)),
            files: first(refusals::of_files(node, component)),
        }
    }

    /// Returns why the component does not start with the flags in force.
    pub(super) fn of_flags(
        &self,
        node: &NodeConfig<'_>,
        component: &str,
        flags: &FlagsInForce,
    ) -> Option<Evidence> {
        match &flags.origin {
            FlagOrigin::Logged(line) => of_line(node, component, &flags.flags)
                .map(|text| Evidence { text, place: Some(line.clone()) })
                .or_else(|| self.files.clone()),
            FlagOrigin::Forecast | FlagOrigin::NotLogged => self.whole.clone(),
        }
    }
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
    let gates: Vec<&str> =
        flags.iter().filter(|(name, _)| name == GATES).map(|(_, text)| text.as_str()).collect();
    let is_certain = |fault: &GateFault| matches!(fault, GateFault::NoValue { .. } | GateFault::Value { .. });
    let faults = gate_flag::faults(component, minor, &gates).into_iter().map(|(_, fault)| fault);
    if let Some(fault) = faults.into_iter().find(is_certain) {
        return Some(fault.message());
    }
    let given = flags.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let settings = component_flags::settings(component, minor, given);
    let refused = settings::refused(component, &settings, minor).into_iter();
    // K3s' own values are fine.
    let own = node.own_flags(component);
    let forecast = node.flags(component);
    let is_own = |name: &String| {
        let of = |flags: &[(String, String)]| -> Vec<String> {
            flags.iter().filter(|(flag, _)| flag == name).map(|(_, text)| text.clone()).collect()
        };
        own.contains(name) && node.place_of(component, name).is_none() && of(flags) == of(&forecast)
    };
    let by_itself = |refused: &settings::RefusedSetting| {
        settings.is_given(&refused.setting)
            && refused.is_by_itself
            && !refused.is_up_to_machine
            && !is_own(&refused.setting)
    };
    refused.into_iter().find(by_itself).map(|refused| format!("{component} refuses it: {}", refused.message))
}
