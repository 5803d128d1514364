// SPDX-License-Identifier: Apache-2.0
//! The rule that decides a control: the grammar of `rule` in data/benchmark-controls.yaml.

use serde::Deserialize;

use super::must::Must;
use crate::kubernetes::component_flags::{self, ComponentFlag};
use crate::version::KubernetesMinor;

/// The rule that decides a control. Written as a mapping with one key:
///
/// ```yaml
/// flag: {component: kube-apiserver, name: anonymous-auth, must: {be: "false"}}
/// gate: {component: kubelet, name: RotateKubeletServerCertificate, field: featureGates}
/// file: {path: server/cred/admin.kubeconfig, mode: "600", owner: root}
/// etcd: {field: client-transport-security.cert-file, must: {be-set: true}}
/// all: [rule, rule]
/// any: [rule, rule]
/// with-etcd: rule
/// with-any-etcd: rule
/// not-applicable: reason
/// manual: what a person has to review
/// check: {name: audit-policy}
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlRule {
    /// The value that a component gets for a flag.
    Flag(FlagRule),
    /// A feature gate of a component that is on.
    Gate(GateRule),
    /// Modes and owners of files.
    File(FileRule),
    /// A field of etcd's configuration, which K3s writes itself.
    Etcd(FieldRule),
    /// Every rule has to be met.
    All(Vec<ControlRule>),
    /// One rule has to be met.
    Any(Vec<ControlRule>),
    /// The rule if the datastore is embedded etcd; not applicable with any other datastore.
    WithEtcd(Box<ControlRule>),
    /// The rule if the datastore is etcd, embedded or not; not applicable with any other datastore.
    WithAnyEtcd(Box<ControlRule>),
    /// Never applicable to K3s, with the reason.
    NotApplicable(String),
    /// Only a person can decide: what the person has to review.
    Manual(String),
    /// A check that is code, by its name in src/verify/checks/mod.rs.
    Check(CheckRule),
}

/// A rule about a flag of a component. The kubelet's configuration file counts if the flag is not given. For the
/// scheduler and kube-proxy, the file that `--config` names counts instead of the flag.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FlagRule {
    /// The component, such as `kube-apiserver`.
    pub component: String,
    /// The flag, without dashes.
    pub name: String,
    /// The field of the component's configuration with the same meaning, such as `authentication.anonymous.enabled`.
    pub field: Option<String>,
    /// The component's default, also for an empty list; absent if the default is no value.
    pub unset: Option<FlagUnset>,
    /// What the value has to be.
    pub must: Must,
}

/// What a component has for a flag that nobody sets.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum FlagUnset {
    /// The same in every minor.
    Always(String),
    /// The default that data/component-flags.yaml has for the minor of the node: `{by: minor}`.
    ByMinor {
        /// The word `minor`.
        by: DefaultBy,
    },
}

/// What the default of a component goes by.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DefaultBy {
    /// The minor of Kubernetes.
    Minor,
}

impl FlagRule {
    /// Returns what the component has in a minor if nobody sets the flag; none if that is no value.
    #[must_use]
    pub fn unset_in(&self, minor: KubernetesMinor) -> Option<String> {
        match self.unset.as_ref()? {
            FlagUnset::Always(text) => Some(text.clone()),
            FlagUnset::ByMinor { by: DefaultBy::Minor } => self.default_in(minor).map(str::to_owned),
        }
    }

    /// Returns the flag in the table of the components' flags.
    #[must_use]
    pub fn flag(&self) -> Option<&'static ComponentFlag> {
        component_flags::all().get(&self.component)?.get(&self.name)
    }

    /// Returns the default that the table of the components' flags has for a minor.
    #[must_use]
    pub fn default_in(&self, minor: KubernetesMinor) -> Option<&'static str> {
        self.flag()?.default_in(minor)
    }
}

/// A rule about a feature gate of a component: it is on, by its own value, by that of all gates of its stage, or by itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateRule {
    /// The component, such as `kube-controller-manager`.
    pub component: String,
    /// The gate.
    pub name: String,
    /// The field of the kubelet's configuration with the gates.
    pub field: Option<String>,
}

/// A rule about modes and owners of files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileRule {
    /// An absolute path, or a path below K3s's data directory. `*` in a part matches any text (`server/tls/*.crt`), and
    /// `**` matches any directories (`server/tls/**/*.key`). Empty if K3s has no file of its own.
    #[serde(default)]
    pub path: String,
    /// Whether K3s makes the file only where it gives the kubelet a folder of drop-ins.
    #[serde(default)]
    pub with_drop_ins: bool,
    /// The argument or field that names another file, which takes the place of K3s's own.
    #[serde(default)]
    pub named_by: Option<FileName>,
    /// The arguments and fields that name further files to which the rule applies.
    #[serde(default)]
    pub also: Vec<FileName>,
    /// A file in `path` that K3s writes at every start: it is there once K3s has started.
    #[serde(default)]
    pub written: Option<String>,
    /// The component that uses the file: where it does not run and the file is not there, there is nothing to protect.
    #[serde(default)]
    pub of: Option<String>,
    /// The K3s key that names another file instead, such as `write-kubeconfig`.
    #[serde(default)]
    pub key: Option<String>,
    /// Names of files to which the rule does not apply, such as `lock`.
    #[serde(default)]
    pub except: Vec<String>,
    /// The most permissions that a file may have, such as `"600"`.
    pub mode: Option<String>,
    /// The required owner: always `root`.
    #[serde(default)]
    pub owner: Option<String>,
    /// The result if no file exists although K3s has started.
    #[serde(default)]
    pub missing: OnMissing,
}

/// An argument of a component that names files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileName {
    /// The component.
    pub component: String,
    /// The argument, without dashes; every occurrence counts if it is a list.
    pub flag: String,
    /// The field of the component's configuration with the same meaning.
    pub field: Option<String>,
    /// Which file of a pair the rule applies to, if each value is one: `certificate,key` with or without `:names`.
    pub part: Option<PairPart>,
    /// What the rule applies to below the folder that the argument names, such as `**/*.conf`.
    pub below: Option<String>,
    /// The copy that K3s makes of the file at every start, below its data directory, if it takes the argument itself.
    pub copy: Option<String>,
}

/// A file of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairPart {
    /// The certificate.
    Certificate,
    /// Its key.
    Key,
}

impl PairPart {
    /// Returns the file in a value (`NamedCertKey` of k8s.io/component-base).
    #[must_use]
    pub fn of(self, value: &str) -> &str {
        let pair = value.split(':').next().unwrap_or_default();
        let (certificate, key) = pair.split_once(',').unwrap_or((pair, ""));
        match self {
            Self::Certificate => certificate.trim(),
            Self::Key => key.trim(),
        }
    }
}

/// The result of a rule if the file does not exist although K3s has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissing {
    /// The rule could not be evaluated.
    #[default]
    Unknown,
    /// K3s does not create the file here: there is nothing to protect.
    NotApplicable,
}

/// A rule about a field of a configuration file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FieldRule {
    /// The path of the field, with dots.
    pub field: String,
    /// What the value has to be.
    pub must: Must,
}

/// A rule that is code.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CheckRule {
    /// The name of the check.
    pub name: String,
    /// What the check is about, such as the kind of pods, if the check covers several controls.
    pub about: Option<String>,
}
