//! K3s' own flags (data/flags.yaml, from pkg/cli/cmds of K3s): which a minor has, and what each takes.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::Role;
use crate::embedded;
use crate::kubernetes::flag_values::{self, boolean};
use crate::version::KubernetesMinor;

/// A flag of K3s.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sFlag {
    /// Its names, the long one first.
    pub names: Vec<String>,
    /// What it takes.
    #[serde(rename = "type")]
    pub kind: K3sFlagType,
    /// Environment variables that set it.
    #[serde(default)]
    pub env: Vec<String>,
    /// Its default, as Go prints it.
    pub default: Option<String>,
    /// Whether K3s' help leaves it out.
    #[serde(default)]
    pub hidden: bool,
    /// The first minor that can have it; none where all before `until` do.
    pub from: Option<KubernetesMinor>,
    /// The last minor that can have it; none where all after `from` do.
    pub until: Option<KubernetesMinor>,
}

impl K3sFlag {
    /// Tells whether a minor can have it in any of its releases.
    #[must_use]
    pub fn is_of(&self, minor: KubernetesMinor) -> bool {
        minor.is_within(self.from, self.until)
    }
}

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum K3sFlagType {
    /// `true`, `false`, and Go's other words for them.
    Boolean,
    /// A number.
    Integer,
    /// A duration of Go's.
    Duration,
    /// Any text.
    Text,
    /// Any text, and more than once.
    List,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct K3sFlagTable {
    server: Vec<K3sFlag>,
    agent: Vec<K3sFlag>,
}

/// Returns the flags of a role in a minor.
pub fn of(role: Role, minor: KubernetesMinor) -> impl Iterator<Item = &'static K3sFlag> {
    all(role).iter().filter(move |flag| flag.is_of(minor))
}

fn all(role: Role) -> &'static [K3sFlag] {
    static FLAGS: LazyLock<K3sFlagTable> = LazyLock::new(|| embedded::table("flags"));
    match role {
        Role::Server => &FLAGS.server,
        Role::Agent => &FLAGS.agent,
    }
}

/// Finds a flag by any of its names.
#[must_use]
pub fn find(role: Role, minor: KubernetesMinor, name: &str) -> Option<&'static K3sFlag> {
    of(role, minor).find(|flag| flag.names.iter().any(|known| known == name))
}

/// Tells whether a flag of any minor is a boolean: on a command line it takes no word behind it.
#[must_use]
pub fn is_boolean(role: Role, name: &str) -> bool {
    let mut booleans = all(role).iter().filter(|flag| flag.kind == K3sFlagType::Boolean);
    booleans.any(|flag| flag.names.iter().any(|known| known == name))
}

/// Returns every name of every flag of a role in a minor.
#[must_use]
pub fn names(role: Role, minor: KubernetesMinor) -> BTreeSet<&'static str> {
    of(role, minor).flat_map(|flag| flag.names.iter().map(String::as_str)).collect()
}

/// Tells whether K3s' command line takes a value for true.
#[must_use]
pub fn is_true(text: &str) -> bool {
    boolean(text) == Some(true)
}

/// Tells whether K3s' command line takes `text` for the flag `name`, and says what it answers where not.
///
/// # Errors
/// K3s' own message: it exits with it.
pub fn check(role: Role, minor: KubernetesMinor, name: &str, text: &str) -> Result<(), String> {
    let Some(flag) = find(role, minor, name) else {
        return Err(format!("flag provided but not defined: -{name}"));
    };
    let fits = match flag.kind {
        K3sFlagType::Text | K3sFlagType::List => true,
        K3sFlagType::Boolean => {
            if boolean(text).is_none() {
                return Err(format!("invalid boolean value {text:?} for -{name}: parse error"));
            }
            true
        }
        K3sFlagType::Integer => flag_values::integer(text).is_some(),
        K3sFlagType::Duration => flag_values::duration(text).is_some(),
    };
    if fits { Ok(()) } else { Err(format!("invalid value {text:?} for flag -{name}: parse error")) }
}

/// Keys that K3s still takes for others.
pub const OLD_NAMES: [(&str, &str); 3] = [
    ("kube-controller-arg", "kube-controller-manager-arg"),
    ("kube-cloud-controller-arg", "kube-cloud-controller-manager-arg"),
    ("d", "data-dir"),
];

/// Returns the present name of a key that may be written under an old one.
#[must_use]
pub fn present_name(key: &str) -> &str {
    OLD_NAMES.iter().find(|(old, _)| *old == key).map_or(key, |(_, new)| new)
}
