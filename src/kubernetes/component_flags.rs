//! The arguments that the components of a minor accept (data/component-flags.yaml). A component exits on any other.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::embedded;
use crate::version::KubernetesMinor;

/// An argument of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentFlag {
    /// The type of its value.
    pub kind: FlagType,
    /// The first minor that has it; none if all before `until` do.
    pub from: Option<KubernetesMinor>,
    /// The last minor that has it; none if all after `from` do.
    pub until: Option<KubernetesMinor>,
    /// Whether K3s adds it: its own argument, or one that another package of the same program adds to Go's command line,
    /// which kube-proxy accepts.
    #[serde(default)]
    pub k3s: bool,
}

impl ComponentFlag {
    /// Tells whether a minor has it.
    #[must_use]
    pub fn is_of(&self, minor: KubernetesMinor) -> bool {
        minor.is_within(self.from, self.until)
    }
}

/// The type of an argument's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlagType {
    /// An IP address.
    Address,
    /// `true`, `false`, and Go's other words for them.
    Boolean,
    /// A duration of Go's.
    Duration,
    /// A whole number.
    Integer,
    /// Several values with commas between them; given again, more of them.
    List,
    /// Several `name=value` with commas between them.
    Map,
    /// A number, whole or not.
    Number,
    /// Any text, as far as the command line goes.
    Text,
    /// A whole number that is not negative.
    Unsigned,
}

type Table = BTreeMap<String, BTreeMap<String, ComponentFlag>>;

/// Returns every component with its arguments, of every minor.
///
/// The table is large: it is read only if an argument is set.
#[must_use]
pub fn all() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| embedded::table("component-flags"));
    &TABLE
}

/// Returns why a component of a minor does not accept the argument `name`; none if it does, or if the component is not
/// known.
#[must_use]
pub fn unknown(component: &str, minor: KubernetesMinor, name: &str) -> Option<String> {
    let flag = all().get(component)?.get(name);
    if flag.is_some_and(|flag| flag.is_of(minor)) {
        return None;
    }
    let availability = flag.map(|flag| minor.availability(flag.from, flag.until)).unwrap_or_default();
    Some(format!("{component} of {minor} has no argument {name}: it exits{availability}"))
}

/// Tells whether a component does not start if the file that an argument names does not exist (data/argument-files.yaml).
#[must_use]
pub fn needs_file(component: &str, name: &str) -> bool {
    static FILES: LazyLock<BTreeMap<String, Vec<String>>> =
        LazyLock::new(|| embedded::table("argument-files"));
    FILES.get(component).is_some_and(|files| files.iter().any(|known| known == name))
}
