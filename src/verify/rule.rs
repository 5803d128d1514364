//! What decides a control: the grammar of `judge` in data/benchmark-controls.yaml.

use serde::Deserialize;

use super::Evidence;
use crate::profile::ArgumentTable;

/// What decides a control. Written as a mapping with one key:
///
/// ```yaml
/// flag: {component: kube-apiserver, name: anonymous-auth, must: {be: "false"}}
/// file: {path: server/cred/admin.kubeconfig, mode: "600", owner: root}
/// etcd: {field: client-transport-security.cert-file, must: {be-set: true}}
/// all: [rule, rule]
/// any: [rule, rule]
/// with-etcd: rule
/// not-applicable: why
/// manual: what a person has to look at
/// by: {judge: audit-policy}
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlRule {
    /// What a component gets for a flag at last.
    Flag(FlagRule),
    /// Modes and owners of files.
    File(FileRule),
    /// A field of etcd's configuration, which K3s writes itself.
    Etcd(FieldRule),
    /// Each of them.
    All(Vec<ControlRule>),
    /// At least one of them.
    Any(Vec<ControlRule>),
    /// The rule where the datastore is embedded etcd; elsewhere not applicable.
    WithEtcd(Box<ControlRule>),
    /// Never applicable to K3s, and why.
    NotApplicable(String),
    /// Only a person can tell: what has to be looked at.
    Manual(String),
    /// A judge that is code, by its name.
    By(ByRule),
}

/// A flag of a component. For the kubelet its configuration counts too, where the flag is not given; for the scheduler
/// and kube-proxy the file that `--config` names, if one does, counts instead of the flag.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FlagRule {
    /// The component, such as `kube-apiserver`.
    pub component: String,
    /// The flag, without dashes.
    pub name: String,
    /// The field of the component's configuration that is the same, such as `authentication.anonymous.enabled`.
    pub field: Option<String>,
    /// What the component takes where nobody sets it; absent where that is nothing.
    pub unset: Option<String>,
    /// What it has to be.
    pub must: Must,
}

/// What a value has to be. Exactly one is given.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Must {
    /// This value; booleans as Go reads them, durations by their length.
    Be(String),
    /// Not this value.
    NotBe(String),
    /// Given and not empty (`true`), or not given (`false`).
    BeSet(bool),
    /// A number that is at least this.
    AtLeast(i64),
    /// A list with each of these.
    Have(Vec<String>),
    /// A list with none of these.
    Lack(Vec<String>),
    /// A list that is not empty, with nothing but the names of a table.
    BeWithin(NameList),
    /// An address at which only the node itself is served (`true`), with or without a port; not one (`false`).
    BeLocal(bool),
}

/// Names that another table lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameList {
    /// The cipher suites that the benchmarks take for strong, which `apply` keeps too.
    StrongCipherSuites,
}

impl NameList {
    /// Returns the names.
    #[must_use]
    pub fn names(self) -> &'static [String] {
        match self {
            Self::StrongCipherSuites => &ArgumentTable::get().strong_cipher_suites,
        }
    }
}

/// Modes and owners of files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileRule {
    /// From the root on, or from K3s' data directory on; the last parts may have `*` (`server/tls/*.crt`), and `**`
    /// stands for any directories (`server/tls/**/*.key`).
    pub path: String,
    /// The key of K3s' that names another file instead, such as `write-kubeconfig`.
    #[serde(default)]
    pub key: Option<String>,
    /// Names of files that it is not about, such as `lock`.
    #[serde(default)]
    pub except: Vec<String>,
    /// No more than these permissions, such as `"600"`.
    pub mode: Option<String>,
    /// Who has to own them: always `root`.
    #[serde(default)]
    pub owner: Option<String>,
    /// What it means where there is none, once K3s has started.
    #[serde(default)]
    pub missing: OnMissing,
}

/// What it means that a file is not there although K3s has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissing {
    /// It could not be checked.
    #[default]
    Unknown,
    /// K3s makes none here, so there is nothing to protect.
    NotApplicable,
}

/// A field of a configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FieldRule {
    /// Its path, with dots.
    pub field: String,
    /// What it has to be.
    pub must: Must,
}

/// A judge that is code.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ByRule {
    /// Which one.
    pub judge: String,
    /// What it is asked, such as the Pod Security level.
    pub about: Option<String>,
}

/// What a rule came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleResult {
    /// What it came to.
    pub outcome: RuleOutcome,
    /// What would be right, in words.
    pub expected: String,
    /// What is, in words.
    pub actual: String,
    /// What was seen.
    pub evidence: Vec<Evidence>,
}

/// What a rule can come to; whether "not met" is a failure or a warning is the control's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleOutcome {
    /// It is met.
    Met,
    /// It is not.
    NotMet,
    /// A person has to look.
    Manual,
    /// There is nothing here that it is about.
    NotApplicable,
    /// It could not be looked at.
    Unknown,
}
