//! The arguments that the components of a minor know (data/component-flags.yaml): K3s hands a component whatever
//! the user's configuration says, and one that does not know an argument exits, and K3s with it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::embedded;
use crate::version::KubernetesMinor;

/// An argument of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentFlag {
    /// What it takes.
    pub kind: FlagType,
    /// The first minor that has it; none where all before `until` do.
    pub from: Option<KubernetesMinor>,
    /// The last minor that has it; none where all after `from` do.
    pub until: Option<KubernetesMinor>,
    /// Whether it is there by K3s rather than by Kubernetes: K3s' own addition, or something that another package
    /// of the same program has put on Go's command line, which kube-proxy takes over.
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

/// What an argument takes.
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
/// Read only where somebody has set an argument: most nodes have none but ours.
#[must_use]
pub fn all() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| embedded::table("component-flags"));
    &TABLE
}

/// Returns the name of an argument as the component sees it: without `+` and `-` behind it, which are K3s', and with
/// dashes for underscores.
#[must_use]
pub fn name_of(text: &str) -> String {
    let text = text.strip_prefix("--").unwrap_or(text);
    let name = text.split('=').next().unwrap_or(text);
    name.trim_end_matches(['+', '-']).replace('_', "-")
}

/// Says why a component of a minor does not take an argument that is set as `text`, if it does not.
#[must_use]
pub fn unknown(component: &str, minor: KubernetesMinor, text: &str) -> Option<String> {
    let name = name_of(text);
    let flag = all().get(component)?.get(&name);
    let when = match flag {
        Some(ComponentFlag { from: Some(from), .. }) if minor < *from => format!(" (it comes with {from})"),
        Some(ComponentFlag { until: Some(until), .. }) if minor > *until => {
            format!(" (it was removed in {})", until.next())
        }
        Some(_) => return None,
        None => String::new(),
    };
    // Nothing at all is said elsewhere.
    (!text.is_empty()).then(|| format!("{component} of {minor} has no argument {name}: it exits{when}"))
}
