// SPDX-License-Identifier: Apache-2.0
//! The arguments that the components of a minor accept (data/component-flags.yaml). A component exits on any other.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::settings::{ComponentSettings, FlagType, TypedValue};
use crate::embedded;
use crate::version::KubernetesMinor;

/// An argument of a component.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentFlag {
    /// The type of its value.
    pub kind: FlagType,
    /// Its default, as Go writes it; none if that is the zero value of the type.
    pub default: Option<FlagDefault>,
    /// What 0 is, from a minor on, where it is not what it seems.
    #[serde(default)]
    pub zero: BTreeMap<KubernetesMinor, String>,
    /// The field of KubeletConfiguration that it overrides; none for a flag of another component.
    pub field: Option<String>,
    /// The first minor that has it; none if all before `until` do.
    pub from: Option<KubernetesMinor>,
    /// The last minor that has it; none if all after `from` do.
    pub until: Option<KubernetesMinor>,
    /// Whether K3s adds it: its own argument, or one that another package of the same program adds to Go's command line,
    /// which kube-proxy accepts.
    #[serde(default)]
    pub k3s: bool,
}

/// The default of an argument.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum FlagDefault {
    /// The same in every minor.
    Always(String),
    /// By the first minor that has it.
    Since(BTreeMap<KubernetesMinor, String>),
}

impl ComponentFlag {
    /// Returns its default in a minor, as Go writes it; none if that is the zero value of the type.
    #[must_use]
    pub fn default_in(&self, minor: KubernetesMinor) -> Option<&str> {
        match self.default.as_ref()? {
            FlagDefault::Always(text) => Some(text),
            FlagDefault::Since(texts) => texts.range(..=minor).next_back().map(|(_, text)| text.as_str()),
        }
    }

    /// Returns what 0 is in a minor; none if it is what it seems.
    #[must_use]
    pub fn zero_in(&self, minor: KubernetesMinor) -> Option<&str> {
        self.zero.range(..=minor).next_back().map(|(_, text)| text.as_str())
    }

    /// Tells whether its default is not the same in every minor.
    #[must_use]
    pub fn default_differs(&self) -> bool {
        matches!(self.default, Some(FlagDefault::Since(_)))
    }

    /// Returns what it is in a minor as long as nobody sets it.
    #[must_use]
    pub fn unset_in(&self, minor: KubernetesMinor) -> TypedValue {
        let default = self.default_in(minor).and_then(|text| self.kind.read(text, minor).ok());
        default.unwrap_or_else(|| self.kind.zero())
    }

    /// Tells whether a minor has it.
    #[must_use]
    pub fn is_of(&self, minor: KubernetesMinor) -> bool {
        minor.is_within(self.from, self.until)
    }
}

const TABLE_NAME: &str = "component-flags";

type Table = BTreeMap<String, BTreeMap<String, ComponentFlag>>;

/// Returns every component with its arguments, of every minor.
///
/// The table is large: who asks for one argument calls [`find`].
#[must_use]
pub fn all() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| {
        let entries = embedded::entries(TABLE_NAME).into_iter();
        entries.map(|(component, json)| (component.to_owned(), embedded::read(json))).collect()
    });
    &TABLE
}

/// Finds an argument of a component; none if no minor has it. Only its own row of the table is read.
#[must_use]
pub fn find(component: &str, name: &str) -> Option<ComponentFlag> {
    serde_json::from_str(rows(component)?.get(name)?.get()).ok()
}

/// The rows of a component as they are written, by argument.
type FlagRows = BTreeMap<&'static str, &'static RawValue>;

/// Returns the rows of a component; none if it is not known.
fn rows(component: &str) -> Option<&'static FlagRows> {
    static ROWS: LazyLock<BTreeMap<&str, (&str, OnceLock<FlagRows>)>> = LazyLock::new(|| {
        let entries = embedded::entries(TABLE_NAME).into_iter();
        entries.map(|(component, json)| (component, (json, OnceLock::new()))).collect()
    });
    let (json, rows) = ROWS.get(component)?;
    Some(rows.get_or_init(|| embedded::read(json)))
}

/// Reads the flags of a component of a minor, in their order, into its settings; every other flag has its default. A flag
/// that the minor does not have, or whose text it refuses, is left out.
#[must_use]
pub fn settings<'a>(
    component: &str,
    minor: KubernetesMinor,
    given: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> ComponentSettings {
    let mut settings = ComponentSettings::default();
    let Some(flags) = all().get(component) else { return settings };
    let has = |flag: &&ComponentFlag| flag.is_of(minor);
    for (name, text) in given {
        if let Some(value) = flags.get(name).filter(has).and_then(|flag| flag.kind.read(text, minor).ok()) {
            settings.give(name, value);
        }
    }
    for (name, flag) in flags.iter().filter(|(_, flag)| flag.is_of(minor)) {
        settings.default_to(name, flag.unset_in(minor));
    }
    settings.know_minor(minor);
    settings
}

/// Returns why a component of a minor does not accept the argument `name`; none if it does, or if the component is not
/// known.
#[must_use]
pub fn unknown(component: &str, minor: KubernetesMinor, name: &str) -> Option<String> {
    let flag = find(component, name);
    if flag.as_ref().is_some_and(|flag| flag.is_of(minor)) || rows(component).is_none() {
        return None;
    }
    if flag.is_none() && minor.is_newer_than_known() {
        let newest = KubernetesMinor::newest();
        return Some(format!("{component} of {newest} has no argument {name}; that of {minor} may have it"));
    }
    let availability = flag.map(|flag| minor.availability(flag.from, flag.until)).unwrap_or_default();
    Some(format!("{component} of {minor} has no argument {name}: it exits{availability}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_argument_is_found_as_in_the_whole_table() {
        for (component, flags) in all() {
            for (name, flag) in flags {
                assert_eq!(find(component, name).as_ref(), Some(flag), "{component} {name}");
            }
        }
        assert_eq!(find("kubelet", "no-such"), None);
        assert_eq!(unknown("no-such", KubernetesMinor::new(36), "v"), None);
    }

    #[test]
    fn every_default_is_one_that_its_flag_takes() {
        for (component, flags) in all() {
            for (name, flag) in flags {
                for minor in KubernetesMinor::supported().iter().filter(|minor| flag.is_of(**minor)) {
                    if let Some(default) = flag.default_in(*minor) {
                        assert!(flag.kind.read(default, *minor).is_ok(), "{component} {name}: {default}");
                    }
                }
            }
        }
    }
}
