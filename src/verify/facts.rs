// SPDX-License-Identifier: Apache-2.0
//! The facts that verify knows about a node: its configuration, the log of K3s, the kubelet's configuration, the
//! objects that K3s applies, and the running cluster.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::applied::{self, AppliedObject};
use super::cluster::Cluster;
use super::evidence::Evidence;
pub use super::flags_in_force::{FlagOrigin, FlagsInForce};
use super::refusals::ConfiguredRefusal;
use crate::document;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::k3s::Absence;
use crate::k3s::Datastore;
use crate::k3s::K3sLog;
use crate::k3s::NodeConfig;
use crate::k3s::flags;
use crate::k3s::kubelet;
use crate::kubernetes::component_flags;
use crate::kubernetes::kubelet_config::KubeletConfig;
use crate::mode::Owner;

/// The facts about a node.
#[derive(Debug)]
pub struct NodeFacts<'a> {
    /// The node and the configuration that is in force on it.
    pub node: NodeConfig<'a>,
    /// Why the command line of K3s is not known, if that is so: then the node's configuration is an error, too.
    pub service_unknown: Option<Error>,
    /// The owner that counts as root: 0:0, or the owner of an image that is built without root's rights.
    pub owner: Owner,
    /// Whether K3s has started on it.
    pub started: bool,
    /// The log of K3s.
    pub log: K3sLog,
    /// The kubelet's configuration beside its flags.
    pub kubelet: Result<KubeletConfig>,
    /// The configuration that the kubelet logged at its last start, read at the first use.
    logged_kubelet: OnceLock<Option<Result<KubeletConfig>>>,
    /// The datastore of the cluster.
    pub datastore: Datastore,
    /// The objects of the running cluster; none without `--live`.
    pub cluster: Option<Result<Cluster>>,
    /// The objects of the manifests, read at the first use.
    manifests: OnceLock<Result<Vec<AppliedObject>>>,
    /// Why components do not start with what they are given, by the components that run.
    refusals: OnceLock<BTreeMap<&'static str, ConfiguredRefusal>>,
}

impl<'a> NodeFacts<'a> {
    /// Collects the facts about a node; `log` is the log of K3s.
    #[must_use]
    pub fn new(mut node: NodeConfig<'a>, owner: Owner, log: K3sLog) -> Self {
        let service_unknown = node.effective.as_ref().ok().and_then(|_| service_unknown(&node));
        // A log comes from a K3s that has started, even if the log is empty.
        let started = node.traces().started.is_some() || log.from.is_some();
        let kubelet = service_unknown.clone().map_or_else(|| kubelet(&node, started), Err);
        let datastore = node.running().datastore;
        if let Some(error) = &service_unknown {
            node.forget(error.clone());
        }
        Self {
            node,
            service_unknown,
            owner,
            started,
            log,
            kubelet,
            logged_kubelet: OnceLock::new(),
            datastore,
            cluster: None,
            manifests: OnceLock::new(),
            refusals: OnceLock::new(),
        }
    }

    /// Adds the objects of the running cluster, or the error of reading them.
    #[must_use]
    pub fn with_cluster(mut self, cluster: Result<Cluster>) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// Leaves out why components do not start, which takes a pass away and nothing else: for who asks only what is not met.
    #[must_use]
    pub fn without_refusals(mut self) -> Self {
        self.refusals = OnceLock::from(BTreeMap::new());
        self
    }

    /// Returns the objects of the running cluster; none without `--live`.
    ///
    /// # Errors
    /// The error of reading them.
    pub(super) fn live_cluster(&self) -> Result<Option<&Cluster>> {
        self.cluster.as_ref().map(Result::as_ref).transpose().map_err(Error::clone)
    }

    /// Returns the objects that K3s applies. The manifests are read once.
    ///
    /// # Errors
    /// Any error of a manifest that exists and cannot be read.
    pub(super) fn applied_objects(&self) -> Result<&[AppliedObject]> {
        self.manifests.get_or_init(|| applied::read(&self.node)).as_deref().map_err(Error::clone)
    }

    /// Returns the kubelet's configuration beside its flags.
    ///
    /// # Errors
    /// The error of reading it.
    pub(super) fn kubelet_config(&self) -> Result<&KubeletConfig> {
        self.kubelet.as_ref().map_err(Error::clone)
    }

    /// Returns the configuration that the kubelet logged at its last start: what it runs with, its arguments included. None if it
    /// logged none.
    ///
    /// # Errors
    /// The lines in the log are not exactly one configuration.
    pub(super) fn logged_kubelet(&self) -> Option<Result<&KubeletConfig>> {
        let logged = self.logged_kubelet.get_or_init(|| self.log.kubelet_configuration(self.node.minor()));
        logged.as_ref().map(|logged| logged.as_ref().map_err(Error::clone))
    }

    /// Returns the kubelet's configuration at its next start, for which K3s writes its own drop-in.
    ///
    /// # Errors
    /// The error of reading it.
    pub(super) fn next_kubelet_config(&self) -> Result<KubeletConfig> {
        match &self.kubelet {
            Ok(config) => Ok(config.clone()),
            Err(_) => kubelet(&self.node, false),
        }
    }

    /// Returns why a component does not run on the node; none if it does, or if K3s cannot read its configuration.
    #[must_use]
    pub fn absence(&self, component: &str) -> Option<&Absence> {
        self.node.effective.as_ref().ok()?.running.absence(component)
    }

    /// Returns the flags of a component: those that K3s logged, else those of the next start.
    #[must_use]
    pub fn flags(&self, component: &str) -> FlagsInForce {
        if let Some(logged) = self.log.last(component) {
            let file = self.log.from.clone().unwrap_or_default();
            let place = Place { file, position: Some((logged.line, 1)) };
            return FlagsInForce { flags: logged.flags.clone(), origin: FlagOrigin::Logged(place) };
        }
        let origin = if self.started { FlagOrigin::NotLogged } else { FlagOrigin::Forecast };
        FlagsInForce { flags: self.forecast(component), origin }
    }

    /// Returns the flags that K3s gives a component at its next start.
    #[must_use]
    pub fn forecast(&self, component: &str) -> Vec<(String, String)> {
        self.node.flags(component).to_vec()
    }

    /// Returns why a component does not start with its arguments and configuration files, those in force or those of the
    /// next start; none if it does.
    #[must_use]
    pub fn refusal(&self, component: &str) -> Option<Evidence> {
        let find = || {
            let components = component_flags::all().keys().map(String::as_str);
            let here = components.filter(|name| self.node.effective.is_ok() && self.node.runs(name));
            here.map(|name| (name, ConfiguredRefusal::default())).collect()
        };
        let refusal = self.refusals.get_or_init(find).get(component)?;
        refusal.of_flags(&self.node, component, || self.flags(component))
    }

    /// Returns the place in the configuration that sets a flag of a component; none if K3s sets it by default.
    #[must_use]
    pub fn place_of(&self, component: &str, name: &str) -> Option<Place> {
        self.node.place_of(component, name).or_else(|| {
            let key = flags::key_of_argument(name)?;
            self.node.value(key).map(|(_, place)| place)
        })
    }

    /// Returns where a flag stands that is given: in the log, else in the configuration; none if K3s sets it by default.
    pub(super) fn place_of_given(&self, component: &str, name: &str, origin: &FlagOrigin) -> Option<Place> {
        match origin {
            FlagOrigin::Logged(line) => Some(line.clone()),
            FlagOrigin::Forecast | FlagOrigin::NotLogged => self.place_of(component, name),
        }
    }

    /// Returns where a flag would stand that nothing gives: in the log, else in the drop-in of k3s-harden.
    pub(super) fn place_of_unset(&self, origin: &FlagOrigin) -> Place {
        match origin {
            FlagOrigin::Logged(line) => line.clone(),
            FlagOrigin::Forecast | FlagOrigin::NotLogged => self.drop_in(),
        }
    }

    /// Returns the file into which a missing flag belongs: the drop-in of k3s-harden.
    #[must_use]
    pub fn drop_in(&self) -> Place {
        let path = document::drop_in_path(&self.node.config.path_or_default());
        Place { file: path.to_string(), position: None }
    }
}

/// Returns why the service's command line is not known.
fn service_unknown(node: &NodeConfig<'_>) -> Option<Error> {
    let note = node.service.not_understood.first()?;
    let message =
        format!("unknown which command line and environment the service gives K3s: {}", note.reason);
    Some(Error::new(ErrorKind::BadInput, message).at(note.place.clone()))
}

fn kubelet(node: &NodeConfig<'_>, started: bool) -> Result<KubeletConfig> {
    let arguments = node.written_arguments("kubelet");
    let arguments: Vec<&str> = arguments.iter().map(|argument| argument.text.as_str()).collect();
    let protects = node.is_on("protect-kernel-defaults");
    kubelet::read(node.root, &node.data_dir, node.minor(), (&arguments, protects), started)
}
