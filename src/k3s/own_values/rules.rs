// SPDX-License-Identifier: Apache-2.0
//! The table of K3s's own values (data/own-values.yaml): who reads a value, under which conditions, and how it is checked.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::Role;
use crate::embedded;
use crate::error::{Error, ErrorKind};
use crate::version::KubernetesMinor;

/// The table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct OwnRules {
    /// The checks, in the order in which K3s makes them.
    pub(super) checks: Vec<OwnRule>,
    /// Flags for which every value is fine.
    pub(super) any: Vec<AnyValue>,
    /// Flags that another check judges.
    pub(super) elsewhere: Vec<JudgedElsewhere>,
    /// Flags that are not judged.
    pub(super) not_judged: Vec<UnjudgedValue>,
}

/// A check of a value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct OwnRule {
    /// The flag that is judged, and those that take part in the judgement.
    pub(in crate::k3s) keys: Vec<String>,
    /// Who reads it; empty for both.
    #[serde(default)]
    pub(in crate::k3s) roles: Vec<Role>,
    /// The conditions, all of which hold.
    #[serde(default)]
    pub(super) when: Vec<OwnCondition>,
    /// The check.
    pub(super) check: OwnCheck,
    /// Its parameters.
    #[serde(default)]
    pub(in crate::k3s) values: Vec<String>,
    /// K3s's message.
    pub(super) says: String,
    /// What to write instead.
    pub(super) write: String,
    /// What K3s does.
    #[serde(default)]
    pub(super) ends: Ending,
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
    #[serde(default)]
    before: EarlierMinors,
    /// Where it is from.
    pub(super) source: String,
}

/// Whether a minor makes a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuleReach {
    Applies,
    Unknown,
    Absent,
}

/// What the minors before the first that makes a check do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EarlierMinors {
    #[default]
    Nothing,
    Unknown,
}

/// What K3s does with a value that it refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It exits.
    #[default]
    Exits,
    /// It waits for ever.
    Waits,
    /// It waits four minutes, and exits.
    WaitsThenExits,
    /// It starts, without what the value is for.
    ComesUp,
    /// The machine or the network decides.
    Undecided,
}

/// A condition under which K3s reads a value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::k3s) enum OwnCondition {
    /// An agent runs on the node.
    Agent,
    /// The API server runs on the node.
    ApiServer,
    /// The controller manager runs on the node.
    ControllerManager,
    /// The cloud controller manager runs on the node.
    CloudControllerManager,
    /// K3s's etcd runs on the node.
    Etcd,
    /// K3s reaches its datastore through kine: it runs no etcd, or only that of the endpoint.
    Kine,
    /// The server joins others.
    Joins,
    /// K3s reads the settings of etcd's snapshots.
    Snapshots,
    /// Flannel is not switched off.
    Flannel,
    /// A service on the node starts K3s, with what K3s's installer writes beside it.
    Service,
    /// A flag is true.
    On(String),
    /// A flag is false.
    Off(String),
    /// A flag has a value that is not empty.
    Given(String),
    /// A flag has no value, or an empty one.
    Absent(String),
}

impl TryFrom<String> for OwnCondition {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let unknown = || Error::new(ErrorKind::BadInput, format!("{text:?} is no condition"));
        Ok(match text.split_once(' ') {
            Some(("on", key)) => Self::On(key.to_owned()),
            Some(("off", key)) => Self::Off(key.to_owned()),
            Some(("given", key)) => Self::Given(key.to_owned()),
            Some(("absent", key)) => Self::Absent(key.to_owned()),
            Some(_) => return Err(unknown()),
            None => match text.as_str() {
                "agent" => Self::Agent,
                "apiserver" => Self::ApiServer,
                "controller-manager" => Self::ControllerManager,
                "cloud-controller-manager" => Self::CloudControllerManager,
                "etcd" => Self::Etcd,
                "kine" => Self::Kine,
                "joins" => Self::Joins,
                "snapshots" => Self::Snapshots,
                "flannel" => Self::Flannel,
                "service" => Self::Service,
                _ => return Err(unknown()),
            },
        })
    }
}

/// How a value is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OwnCheck {
    // Text and numbers.
    OneOf,
    OneOfWithOptions,
    Refused,
    Given,
    Ascii,
    PositiveDuration,
    NotNegative,
    Vmodule,
    JsonArguments,
    Issuer,
    Audience,
    // Addresses and ports.
    Addresses,
    FlagAddress,
    ListenAddress,
    Interface,
    Cidrs,
    ServiceBlockSize,
    DefaultDns,
    ServiceBlocks,
    ServiceBlockLarge,
    PublicFamily,
    BlockFamilies,
    Port,
    PortRange,
    PortRangeThere,
    SupervisorPort,
    SupervisorPortZero,
    ApiserverPort,
    PortsDiffer,
    ComponentPort,
    PortFree,
    NodeBlocks,
    // Files.
    FileAppears,
    LogFile,
    KubeconfigFile,
    RestorePath,
    AgentFile,
    EncryptionProvider,
    // Joining.
    TokenThere,
    ServerToken,
    AgentToken,
    VpnAuth,
    AgentUrl,
    HttpsScheme,
    HttpsUrl,
    JoinsItself,
    JoinsWithoutToken,
    // The datastore.
    EndpointForm,
    EndpointScheme,
    EndpointHost,
    EndpointAnswers,
    MysqlDsn,
    PostgresUrl,
    SqliteFile,
    DatastoreFile,
    DatastorePair,
    EtcdArguments,
    // The node.
    NodeLabels,
    NodeTaints,
    NodeName,
    CredentialProviders,
}

impl OwnCheck {
    /// Tells whether it holds a value against words that K3s, or its etcd, knows.
    fn rests_on_names(self) -> bool {
        matches!(
            self,
            Self::OneOf
                | Self::OneOfWithOptions
                | Self::EncryptionProvider
                | Self::EndpointScheme
                | Self::EtcdArguments
                | Self::CredentialProviders
        )
    }
}

/// Flags for which every value is fine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnyValue {
    pub(in crate::k3s) keys: Vec<String>,
    pub(super) source: String,
}

/// Flags that another check judges.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JudgedElsewhere {
    pub(in crate::k3s) keys: Vec<String>,
    pub(super) by: String,
}

/// Flags that are not judged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnjudgedValue {
    pub(in crate::k3s) keys: Vec<String>,
    /// The role in which they are not judged; none for both.
    pub(in crate::k3s) role: Option<Role>,
    pub(super) why: String,
    pub(super) source: String,
}

impl OwnRules {
    /// Returns the table.
    pub(super) fn get() -> &'static Self {
        static RULES: LazyLock<OwnRules> = LazyLock::new(|| embedded::table("own-values"));
        &RULES
    }
}

impl OwnRule {
    /// Tells whether K3s reads it in a role.
    pub(super) fn is_of(&self, role: Role) -> bool {
        self.roles.is_empty() || self.roles.contains(&role)
    }

    /// Tells whether a minor makes the check.
    pub(super) fn reach(&self, minor: KubernetesMinor) -> RuleReach {
        if minor.is_within(self.from, self.until) {
            // A newer minor may take words that no known one does.
            match minor.is_newer_than_known() && self.check.rests_on_names() {
                true => RuleReach::Unknown,
                false => RuleReach::Applies,
            }
        } else if self.before == EarlierMinors::Unknown && self.from.is_some_and(|from| minor < from) {
            RuleReach::Unknown
        } else {
            RuleReach::Absent
        }
    }

    /// Returns the flag that is judged.
    pub(super) fn key(&self) -> &str {
        &self.keys[0]
    }
}
