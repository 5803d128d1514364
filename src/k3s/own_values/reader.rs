// SPDX-License-Identifier: Apache-2.0
//! The values that K3s's own checks read, and the conditions under which K3s reads each.

use super::rules::{Ending, OwnCondition};
use crate::Role;
use crate::error::{Place, Result};
use crate::k3s::datastore::Datastore;
use crate::k3s::effective::EffectiveConfig;
use crate::k3s::flags;
use crate::k3s::node_config::NodeConfig;
use crate::kubernetes::flag_values;
use crate::node::{PathKind, RootedPath};

/// What a check finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// K3s takes the value.
    Fine,
    /// K3s refuses it.
    Wrong {
        /// The part of the value that it refuses.
        value: String,
        /// What its message says beside the value.
        detail: String,
        /// What it does, if not what the table says.
        ends: Option<Ending>,
    },
    /// The machine or the network decides: why.
    Unknown(String),
}

impl Answer {
    /// The value is refused.
    pub(super) fn wrong(value: impl Into<String>) -> Self {
        Self::Wrong { value: value.into(), detail: String::new(), ends: None }
    }

    /// The value is refused, with a message of its own.
    pub(super) fn because(value: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Wrong { value: value.into(), detail: detail.into(), ends: None }
    }

    /// Fine where `holds`, and otherwise refused.
    pub(super) fn unless(value: &str, holds: bool) -> Self {
        if holds { Self::Fine } else { Self::wrong(value) }
    }
}

/// The values of a node.
pub(in crate::k3s) struct OwnReader<'a> {
    pub(super) node: &'a NodeConfig<'a>,
    config: &'a EffectiveConfig,
    /// Whether K3s's own etcd has begun on the node.
    begun: bool,
    /// Whether what starts K3s on the node is complete.
    has_service: bool,
    token: String,
}

impl<'a> OwnReader<'a> {
    /// Reads what the values of a node depend on.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(in crate::k3s) fn new(node: &'a NodeConfig<'a>, config: &'a EffectiveConfig) -> Result<Self> {
        let log = node.data_dir.join(Datastore::ETCD_LOG);
        let begun = node.role == Role::Server && node.root.is_directory(&log);
        let has_service = false;
        let mut reader = Self { node, config, begun, has_service, token: String::new() };
        reader.token = match reader.given("token-file") {
            Some(path) => reader.file_text(path)?.unwrap_or_default().trim().to_owned(),
            None => reader.given("token").unwrap_or_default().to_owned(),
        };
        reader.has_service = reader.is_installed()?;
        Ok(reader)
    }

    /// Tells whether what starts K3s on the node is complete: the installer writes the address and the token beside the
    /// service, and who gives one of the two himself gives both.
    fn is_installed(&self) -> Result<bool> {
        let Some(service) = &self.node.service.path else { return Ok(false) };
        let given = ["server", "token", "token-file"].iter().any(|key| self.given(key).is_some());
        Ok(given || self.node.root.exists(&format!("{service}.env").parse()?))
    }

    /// Returns the last value of a flag; none if nothing sets it.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        Some(self.config.values.get(key)?.items.last()?.as_str())
    }

    /// Returns the last value of a flag that is not empty.
    pub(super) fn given(&self, key: &str) -> Option<&'a str> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// Tells whether a flag is true.
    pub(super) fn is_on(&self, key: &str) -> bool {
        self.text(key).is_some_and(flags::is_true)
    }

    /// Returns the values of a flag that repeats, each split at its commas (`util.SplitStringSlice`).
    pub(super) fn parts(&self, key: &str) -> Vec<&'a str> {
        let items = self.config.values.get(key).map(|value| value.items.as_slice()).unwrap_or_default();
        items.iter().flat_map(|item| item.split(',')).collect()
    }

    /// Returns the values of a flag that repeats.
    pub(super) fn items(&self, key: &str) -> Vec<&'a str> {
        let items = self.config.values.get(key).map(|value| value.items.as_slice()).unwrap_or_default();
        items.iter().map(String::as_str).collect()
    }

    /// Returns the number of a flag, its default included; none if it is no number.
    pub(super) fn number(&self, key: &str) -> Option<i128> {
        let default = || flags::of_any_minor(self.node.role, key)?.default_in(self.node.release);
        flag_values::integer(self.text(key).or_else(default)?)
    }

    /// Returns where a flag is set.
    pub(super) fn place(&self, key: &str) -> Option<Place> {
        Some(self.config.values.get(key)?.origins.last()?.place())
    }

    /// Returns the token: that of the file, if one is named.
    pub(in crate::k3s) fn token(&self) -> &str {
        &self.token
    }

    /// Returns a path that K3s opens before it enters its data directory: from the working directory of a service.
    pub(super) fn early_path(&self, text: &str) -> Result<RootedPath> {
        self.node.path(&if text.starts_with('/') { text.to_owned() } else { format!("/{text}") })
    }

    /// Returns the text of a file that K3s reads before it enters its data directory; none if it cannot be read.
    fn file_text(&self, path: &str) -> Result<Option<String>> {
        let path = self.early_path(path)?;
        if self.node.root.kind(&path)? != PathKind::File {
            return Ok(None);
        }
        let bytes = self.node.root.read(&path)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Returns the value of `vpn-auth`: that of the file, if one is named.
    pub(super) fn vpn_auth(&self) -> Result<String> {
        Ok(match self.given("vpn-auth-file") {
            Some(path) => self.file_text(path)?.unwrap_or_default().trim().to_owned(),
            None => self.given("vpn-auth").unwrap_or_default().to_owned(),
        })
    }

    /// Returns the port on which K3s itself listens.
    pub(super) fn supervisor_port(&self) -> Option<i128> {
        self.number("supervisor-port").filter(|port| *port != 0).or_else(|| self.number("https-listen-port"))
    }

    /// Returns the port on which the API server listens.
    pub(super) fn apiserver_port(&self) -> Option<i128> {
        let given = self.number("apiserver-port").filter(|port| *port != 0);
        given.or_else(|| match self.number("https-listen-port")? {
            0 => Some(6444),
            port => Some(port + 1),
        })
    }

    /// Tells whether K3s resets its cluster, and exits.
    fn resets(&self) -> bool {
        self.is_on("cluster-reset")
    }

    fn joins_others(&self) -> bool {
        self.given("server").is_some() && !self.token.is_empty()
    }

    /// Tells whether a condition holds.
    pub(in crate::k3s) fn holds(&self, condition: &OwnCondition) -> bool {
        let is_server = self.node.role == Role::Server;
        let given_endpoint = self.given("datastore-endpoint").is_some();
        match condition {
            OwnCondition::Agent => self.node.runs("kubelet") && !(is_server && self.resets()),
            OwnCondition::ApiServer => self.node.runs("kube-apiserver") && !self.resets(),
            OwnCondition::ControllerManager => self.node.runs("kube-controller-manager") && !self.resets(),
            OwnCondition::CloudControllerManager => {
                self.node.runs("cloud-controller-manager") && !self.resets()
            }
            OwnCondition::Etcd => self.node.runs(crate::k3s::running::ETCD),
            OwnCondition::Kine => {
                let managed = self.is_on("cluster-init") || self.resets() || self.joins_others();
                is_server && !self.begun && (given_endpoint || !managed)
            }
            OwnCondition::Joins => {
                is_server && !self.begun && !given_endpoint && self.joins_others() && !self.resets()
            }
            OwnCondition::Snapshots => !self.is_on("etcd-disable-snapshots") || self.resets(),
            OwnCondition::Flannel => self.node.runs("flannel"),
            OwnCondition::Service => self.has_service,
            OwnCondition::On(key) => self.is_on(key),
            OwnCondition::Off(key) => !self.is_on(key),
            OwnCondition::Given(key) => self.given(key).is_some(),
            OwnCondition::Absent(key) => self.given(key).is_none(),
        }
    }
}
