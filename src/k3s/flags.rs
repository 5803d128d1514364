// SPDX-License-Identifier: Apache-2.0
//! K3s's own flags (data/flags.yaml, from pkg/cli/cmds of K3s): the releases that have each, and the type of its value.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::Role;
use crate::embedded;
use crate::kubernetes::flag_values;
use crate::version::{Availability, FirstReleases, K3sRelease, KubernetesMinor};

/// The key that encrypts Secrets: K3s writes the encryption configuration, and names it to the API server.
pub const ENCRYPTION_KEY: &str = "secrets-encryption";
/// The key of the provider with which K3s encrypts Secrets.
pub const PROVIDER_KEY: &str = "secrets-encryption-provider";
/// The key with which the kubelet requires its kernel parameters, and does not set them.
pub const KERNEL_DEFAULTS_KEY: &str = "protect-kernel-defaults";

/// A flag of K3s.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sFlag {
    /// Its names, the long one first.
    pub names: Vec<String>,
    /// The type of its value.
    #[serde(rename = "type")]
    pub kind: K3sFlagType,
    /// Environment variables that set it.
    #[serde(default)]
    pub env: Vec<String>,
    /// Its default, as Go prints it.
    pub default: Option<String>,
    /// Another default that newer releases have.
    #[serde(rename = "later-default")]
    later_default: Option<LaterDefault>,
    /// Whether K3s's help does not show it.
    #[serde(default)]
    pub hidden: bool,
    /// Whether its value is a secret.
    #[serde(default)]
    pub secret: bool,
    /// The first minor that can have it; none if all before `until` do.
    pub from: Option<KubernetesMinor>,
    /// The last minor that can have it; none if all after `from` do.
    pub until: Option<KubernetesMinor>,
    /// The flag whose list this one fills too.
    into: Option<String>,
    /// The first releases that have it; none if all of `from` to `until` count as having it.
    releases: Option<FirstReleases>,
    /// The first releases that read its variables; none if all do.
    #[serde(rename = "env-releases")]
    env_releases: Option<FirstReleases>,
}

/// A default of newer releases.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct LaterDefault {
    /// As Go prints it.
    value: String,
    /// The first releases that have it.
    releases: FirstReleases,
}

impl K3sFlag {
    /// Returns its default in a release, as Go prints it; none if it has none, and none where the releases of a minor differ.
    #[must_use]
    pub fn default_in(&self, release: impl Into<K3sRelease>) -> Option<&str> {
        let Some(later) = &self.later_default else { return self.default.as_deref() };
        match later.releases.availability(release.into()) {
            Availability::Absent => self.default.as_deref(),
            Availability::Present => Some(&later.value),
            Availability::Differs { .. } => None,
        }
    }

    /// Tells whether a release has it.
    #[must_use]
    pub fn availability(&self, release: K3sRelease) -> Availability {
        if !release.minor().is_within(self.from, self.until) {
            return Availability::Absent;
        }
        match &self.releases {
            None => Availability::Present,
            // Which release of so old a line brought it is not known.
            Some(releases) if releases.oldest_line().is_some_and(|oldest| release.minor() < oldest) => {
                Availability::Differs { since: String::new() }
            }
            Some(releases) => releases.availability(release),
        }
    }

    /// Returns what is to be said about a release of which it is not known whether it has the flag; none if it is known.
    #[must_use]
    pub fn doubt(&self, release: K3sRelease) -> Option<String> {
        match self.availability(release) {
            Availability::Differs { since } if since.is_empty() => {
                Some(format!("which releases of {} have it is not known", release.minor()))
            }
            Availability::Differs { since } => Some(format!("{since} and newer have it")),
            Availability::Present | Availability::Absent => None,
        }
    }

    /// Tells whether a release reads its variables.
    #[must_use]
    pub fn availability_of_variables(&self, release: K3sRelease) -> Availability {
        self.env_releases.as_ref().map_or(Availability::Present, |releases| releases.availability(release))
    }

    /// Returns the flag whose value it sets: itself by its long name, or the one whose list it fills.
    #[must_use]
    pub fn destination(&self) -> &str {
        self.into.as_deref().unwrap_or(&self.names[0])
    }

    /// Tells whether `name` is one of its names.
    pub(super) fn is_called(&self, name: &str) -> bool {
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
    global: Vec<K3sFlag>,
    command: Vec<K3sFlag>,
    server: Vec<K3sFlag>,
    agent: Vec<K3sFlag>,
}

fn table() -> &'static K3sFlagTable {
    static FLAGS: LazyLock<K3sFlagTable> = LazyLock::new(|| embedded::table("flags"));
    &FLAGS
}

/// Returns the flags of a role of all releases.
#[must_use]
pub fn all(role: Role) -> &'static [K3sFlag] {
    match role {
        Role::Server => &table().server,
        Role::Agent => &table().agent,
    }
}

/// Returns the flags of a role that a release has, or can have.
pub fn of_release(role: Role, release: impl Into<K3sRelease>) -> impl Iterator<Item = &'static K3sFlag> {
    let release = release.into();
    all(role).iter().filter(move |flag| flag.availability(release) != Availability::Absent)
}

/// Finds a flag that a release has, or can have, by any of its names.
#[must_use]
pub fn find(role: Role, release: impl Into<K3sRelease>, name: &str) -> Option<&'static K3sFlag> {
    of_release(role, release).find(|flag| flag.is_called(name))
}

/// Returns the flags before the command.
#[must_use]
pub fn global() -> &'static [K3sFlag] {
    &table().global
}

/// Returns the flags that each command has beside its own.
#[must_use]
pub fn of_each_command() -> &'static [K3sFlag] {
    &table().command
}

/// Finds a flag of any minor by any of its names.
#[must_use]
pub fn of_any_minor(role: Role, name: &str) -> Option<&'static K3sFlag> {
    all(role).iter().find(|flag| flag.is_called(name))
}

/// Returns the long name of a flag for any of its names; the name itself if no flag has it.
#[must_use]
pub fn long_name(name: &str) -> &str {
    let known = [Role::Server, Role::Agent].into_iter().find_map(|role| of_any_minor(role, name));
    known.map_or(name, |flag| flag.names[0].as_str())
}

/// Returns the default of a server's flag whose value is text; none if the flag has none.
#[must_use]
pub fn default_text(name: &str, release: K3sRelease) -> Option<&'static str> {
    let default = of_any_minor(Role::Server, name)?.default_in(release)?;
    Some(default.trim_matches('"'))
}

/// The API server's arguments with which an etcd is reached that K3s does not run, and the keys whose values they get as
/// they are written (`setupStorageBackend` in pkg/daemons/control/server.go of K3s).
pub(super) const EXTERNAL_ETCD: [(&str, &str); 4] = [
    ("etcd-servers", "datastore-endpoint"),
    ("etcd-cafile", "datastore-cafile"),
    ("etcd-certfile", "datastore-certfile"),
    ("etcd-keyfile", "datastore-keyfile"),
];

/// Returns the key of K3s from which K3s sets an argument of a component; none if it sets the argument from no key, or if
/// the key is one that passes arguments on.
#[must_use]
pub fn key_of_argument(name: &str) -> Option<&'static str> {
    match name {
        "encryption-provider-config" => Some(ENCRYPTION_KEY),
        "protect-kernel-defaults" => Some(KERNEL_DEFAULTS_KEY),
        _ => EXTERNAL_ETCD.iter().find(|(argument, _)| *argument == name).map(|(_, key)| *key),
    }
}

/// Returns every name of the flags of both roles whose values are secrets.
pub(super) fn secrets() -> impl Iterator<Item = &'static str> {
    let flags = [Role::Server, Role::Agent].into_iter().flat_map(all).filter(|flag| flag.secret);
    flags.flat_map(|flag| flag.names.iter().map(String::as_str))
}

/// Tells whether a variable gives a flag whose value is a secret.
pub(super) fn is_secret_variable(name: &str) -> bool {
    let mut flags = [Role::Server, Role::Agent].into_iter().flat_map(all).filter(|flag| flag.secret);
    flags.any(|flag| flag.env.iter().any(|variable| variable == name))
}

/// Tells whether a flag of a role has this name, in any minor.
pub(super) fn is_known(name: &str) -> bool {
    [Role::Server, Role::Agent].into_iter().any(|role| of_any_minor(role, name).is_some())
}

/// Tells whether the value of a flag is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    secrets().any(|secret| secret == name)
}

/// Tells whether a flag of a role reads an environment variable, in any minor.
pub(super) fn reads_variable(role: Role, name: &str) -> bool {
    all(role).iter().any(|flag| flag.env.iter().any(|variable| variable == name))
}

/// Returns every name of every flag of a role that a release has, or can have.
#[must_use]
pub fn names(role: Role, release: impl Into<K3sRelease>) -> BTreeSet<&'static str> {
    of_release(role, release).flat_map(|flag| flag.names.iter().map(String::as_str)).collect()
}

/// Tells whether K3s's command line reads a value as true.
#[must_use]
pub fn is_true(text: &str) -> bool {
    flag_values::boolean(text) == Some(true)
}
