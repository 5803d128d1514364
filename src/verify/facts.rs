//! The node as verify sees it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::checks::applied::Applied;
use super::cluster::Cluster;
use crate::document::DROP_IN;
use crate::error::{Place, Result};
use crate::k3s::Datastore;
use crate::k3s::K3sLog;
use crate::k3s::NodeConfig;
use crate::k3s::arguments;
use crate::k3s::kubelet::KubeletConfig;
use crate::mode::Owner;

/// Everything that rules look at.
#[derive(Debug)]
pub struct NodeFacts<'a> {
    /// The node and the configuration that is in force on it.
    pub node: NodeConfig<'a>,
    /// Who stands for root: the owner of an image that is built without root's rights.
    pub owner: Owner,
    /// Whether K3s has started on it.
    pub started: bool,
    /// Its log.
    pub journal: K3sLog,
    /// The kubelet's configuration beside its flags.
    pub kubelet: Result<KubeletConfig>,
    /// Where the cluster's state is kept.
    pub datastore: Datastore,
    /// What runs in its cluster; none where it was not asked.
    pub cluster: Option<Result<Cluster>>,
    /// The objects of its manifests, once somebody has asked.
    pub(super) manifests: OnceLock<Result<Vec<Applied>>>,
    /// The flags of the next start by component, once somebody has asked.
    forecasts: OnceLock<BTreeMap<String, Vec<(String, String)>>>,
}

/// The flags of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagsInForce {
    /// Names without dashes, and values, in their order.
    pub flags: Vec<(String, String)>,
    /// How they are known.
    pub known: FlagOrigin,
}

/// How a component's flags are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagOrigin {
    /// K3s logged them, and where.
    Logged(Place),
    /// K3s will give it these when it first starts.
    Forecast,
    /// K3s has started and no log says with which; with these it would start the next time.
    NotLogged,
}

impl<'a> NodeFacts<'a> {
    /// Gathers what is known of a node.
    #[must_use]
    pub fn of(node: NodeConfig<'a>, owner: Owner, journal: K3sLog) -> Self {
        // A log is that of a K3s that has started, be it empty.
        let started = node.traces().started.is_some() || journal.from.is_some();
        let kubelet = kubelet(&node);
        let datastore = datastore(&node);
        Self {
            node,
            owner,
            started,
            journal,
            kubelet,
            datastore,
            cluster: None,
            manifests: OnceLock::new(),
            forecasts: OnceLock::new(),
        }
    }

    /// Adds what runs in its cluster, or why that is not known.
    #[must_use]
    pub fn with_cluster(mut self, cluster: Result<Cluster>) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// Returns the flags of a component: those that the running one was started with, else those that it will be.
    #[must_use]
    pub fn flags(&self, component: &str) -> FlagsInForce {
        if let Some(logged) = self.journal.last(component) {
            let file = self.journal.from.clone().unwrap_or_default();
            let place = Place { file, position: Some((logged.line, 1)) };
            return FlagsInForce { flags: logged.flags.clone(), known: FlagOrigin::Logged(place) };
        }
        let known = if self.started { FlagOrigin::NotLogged } else { FlagOrigin::Forecast };
        FlagsInForce { flags: self.forecast(component), known }
    }

    /// Returns the flags with which K3s would start a component the next time.
    #[must_use]
    pub fn forecast(&self, component: &str) -> Vec<(String, String)> {
        let forecast = || {
            let effective = self.node.effective.as_ref().ok();
            let components = effective.into_iter().flat_map(|effective| &effective.components);
            components
                .map(|(name, flags)| (name.clone(), flags.iter().map(|flag| pair(flag)).collect()))
                .collect()
        };
        self.forecasts.get_or_init(forecast).get(component).cloned().unwrap_or_default()
    }

    /// Returns where a flag of a component is set, if not by K3s itself.
    #[must_use]
    pub fn place_of(&self, component: &str, name: &str) -> Option<Place> {
        self.node.place_of(component, name).or_else(|| {
            // What K3s makes of keys of its own.
            let key = match name {
                "encryption-provider-config" => "secrets-encryption",
                "protect-kernel-defaults" => name,
                _ => return None,
            };
            self.node.value(key).map(|(_, place)| place)
        })
    }

    /// Returns where a flag that is not set belongs.
    #[must_use]
    pub fn home() -> Place {
        Place { file: DROP_IN.to_owned(), position: None }
    }
}

fn kubelet(node: &NodeConfig<'_>) -> Result<KubeletConfig> {
    let arguments = node.arguments("kubelet");
    let arguments: Vec<&str> = arguments.iter().map(|argument| argument.text.as_str()).collect();
    let protects = node.is_on("protect-kernel-defaults");
    KubeletConfig::read(node.root, &node.data_dir, node.minor, &arguments, protects)
}

/// Name and value of a flag.
fn pair(flag: &str) -> (String, String) {
    let (_, value) = flag.split_once('=').unwrap_or((flag, "true"));
    (arguments::name_of(flag), value.to_owned())
}

/// Finds the datastore that K3s will choose, or has.
fn datastore(node: &NodeConfig<'_>) -> Datastore {
    Datastore::chosen(
        |key| node.value(key).is_some_and(|(text, _)| !text.is_empty()),
        |key| node.is_on(key),
        node.root.exists(&node.data_dir.join(Datastore::ETCD)),
    )
}
