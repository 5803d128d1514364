//! K3s' own flags (data/flags.yaml, from pkg/cli/cmds of K3s): the minors that have each, and the type of its value.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::Role;
use crate::embedded;
use crate::kubernetes::flag_values;
use crate::version::{Availability, FirstReleases, K3sRelease, KubernetesMinor};

/// The keys that must be the same on all servers (K3s documentation, "critical configuration values").
pub const CRITICAL_KEYS: [&str; 11] = [
    "agent-token",
    "cluster-cidr",
    "cluster-dns",
    "cluster-domain",
    "disable-cloud-controller",
    "disable-helm-controller",
    "disable-network-policy",
    "egress-selector-mode",
    "flannel-backend",
    "secrets-encryption",
    "service-cidr",
];

/// The key that encrypts Secrets: K3s writes the encryption configuration, and names it to the API server.
pub const ENCRYPTION_KEY: &str = "secrets-encryption";
/// The key with which the kubelet requires its kernel parameters, and does not set them.
pub const KERNEL_DEFAULTS_KEY: &str = "protect-kernel-defaults";

/// A flag of K3s.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct K3sFlag {
    /// Its names, the long one first.
    pub names: Vec<String>,
    /// The type of its value.
    #[serde(rename = "type")]
    pub kind: K3sFlagType,
    /// Environment variables that set it.
    #[serde(default)]
    pub env: Vec<String>,
    /// The first releases that read these variables; none if all do.
    pub env_since: Option<FirstReleases>,
    /// Its default, as Go prints it.
    pub default: Option<String>,
    /// Whether K3s' help does not show it.
    #[serde(default)]
    pub hidden: bool,
    /// Whether its value is a secret.
    #[serde(default)]
    pub secret: bool,
    /// The first minor that can have it; none if all before `until` do.
    pub from: Option<KubernetesMinor>,
    /// The last minor that can have it; none if all after `from` do.
    pub until: Option<KubernetesMinor>,
}

impl K3sFlag {
    /// Tells whether a minor can have it in any of its releases.
    #[must_use]
    pub fn is_of(&self, minor: KubernetesMinor) -> bool {
        minor.is_within(self.from, self.until)
    }

    /// Tells whether a release reads its environment variables.
    #[must_use]
    pub fn availability_of_variables(&self, release: K3sRelease) -> Availability {
        self.env_since.as_ref().map_or(Availability::Present, |first| first.availability(release))
    }

    /// Tells whether `name` is one of its names.
    fn is_called(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }
}

/// The type of a flag's value.
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
    /// Any text; the flag repeats.
    List,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct K3sFlagTable {
    server: Vec<K3sFlag>,
    agent: Vec<K3sFlag>,
}

/// Returns the flags of a role in a minor.
pub fn of_minor(role: Role, minor: KubernetesMinor) -> impl Iterator<Item = &'static K3sFlag> {
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
    of_minor(role, minor).find(|flag| flag.is_called(name))
}

/// Finds a flag of any minor by any of its names.
#[must_use]
pub fn of_any_minor(role: Role, name: &str) -> Option<&'static K3sFlag> {
    all(role).iter().find(|flag| flag.is_called(name))
}

/// Tells whether a flag of any minor is a boolean: on a command line the next word is not its value.
#[must_use]
pub fn is_boolean(role: Role, name: &str) -> bool {
    all(role).iter().any(|flag| flag.kind == K3sFlagType::Boolean && flag.is_called(name))
}

/// Returns the long name of a flag for any of its names; the name itself if no flag has it.
#[must_use]
pub fn long_name(name: &str) -> &str {
    let known = [Role::Server, Role::Agent].into_iter().find_map(|role| of_any_minor(role, name));
    known.map_or(name, |flag| flag.names[0].as_str())
}

/// Returns the default of a server's flag whose value is text; none if the flag has none.
#[must_use]
pub fn default_text(name: &str) -> Option<&'static str> {
    let default = of_any_minor(Role::Server, name)?.default.as_deref()?;
    Some(default.trim_matches('"'))
}

/// Returns the key of K3s from which K3s sets an argument of a component; none if it sets the argument from no key, or if
/// the key is one that passes arguments on.
#[must_use]
pub fn key_of_argument(name: &str) -> Option<&'static str> {
    match name {
        "encryption-provider-config" => Some(ENCRYPTION_KEY),
        "protect-kernel-defaults" => Some(KERNEL_DEFAULTS_KEY),
        _ => None,
    }
}

/// Returns every name of the flags of both roles whose values are secrets.
pub(super) fn secrets() -> impl Iterator<Item = &'static str> {
    let flags = [Role::Server, Role::Agent].into_iter().flat_map(all).filter(|flag| flag.secret);
    flags.flat_map(|flag| flag.names.iter().map(String::as_str))
}

/// Tells whether the value of a flag is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    secrets().any(|secret| secret == name)
}

/// Returns every name of every flag of a role in a minor.
#[must_use]
pub fn names(role: Role, minor: KubernetesMinor) -> BTreeSet<&'static str> {
    of_minor(role, minor).flat_map(|flag| flag.names.iter().map(String::as_str)).collect()
}

/// Tells whether K3s' command line reads a value as true.
#[must_use]
pub fn is_true(text: &str) -> bool {
    flag_values::boolean(text) == Some(true)
}
