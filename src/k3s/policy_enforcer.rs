// SPDX-License-Identifier: Apache-2.0
//! Who enforces NetworkPolicies on a node: K3s's own controller, the network of the pods, or nobody.
//!
//! K3s's controller is kube-router's, in each agent, unless the servers have `disable-network-policy`. It filters in iptables, so
//! that it needs a network whose packets go through there. It does not start where the kernel has no ipset, and K3s runs on:
//! only the log says so. Sources: CNI in pkg/executor/embed/embed.go and Run in pkg/agent/netpol/netpol.go of K3s.

use serde_json::Value;

use super::log::K3sLog;
use super::node_config::NodeConfig;
use super::pod_network::{self, BACKEND, CniPlugin, NetworkKind, PodNetwork};
use crate::Role;
use crate::error::{Place, Result};

/// K3s's key that switches its controller off.
const DISABLE: &str = "disable-network-policy";
/// The component of K3s that enforces NetworkPolicies.
const CONTROLLER: &str = "network-policy-controller";

/// Who enforces NetworkPolicies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyEnforcer {
    /// K3s's own controller.
    K3s,
    /// The network of the pods, by its name.
    Network(&'static str),
    /// Nobody.
    Nobody,
    /// That cannot be told.
    Unknown,
}

/// Who enforces NetworkPolicies on a node, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyEnforcement {
    /// Who does.
    pub by: PolicyEnforcer,
    /// How that is known; what decides comes last.
    pub because: Vec<EnforcementFact>,
    network: PodNetwork,
}

/// Something that tells who enforces NetworkPolicies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnforcementFact {
    /// As a sentence.
    pub text: String,
    /// Where it is written; none if K3s does it by itself, or the cluster says it.
    pub place: Option<Place>,
}

impl PolicyEnforcement {
    /// Finds who enforces NetworkPolicies by a node's configuration, the log of K3s and the configuration of its CNI.
    ///
    /// # Errors
    /// If K3s cannot read its configuration, or a folder of the node cannot be read.
    pub fn of_node(node: &NodeConfig<'_>, log: &K3sLog) -> Result<Self> {
        if let Err(error) = &node.effective {
            return Err(error.clone());
        }
        let network = PodNetwork::read(node)?;
        let fact = |text: String, place| EnforcementFact { text, place };
        if node.role == Role::Agent {
            let text = format!(
                "the server decides whether its agents enforce NetworkPolicies ({DISABLE}): check the server"
            );
            return Ok(Self { by: PolicyEnforcer::Unknown, because: vec![fact(text, None)], network });
        }
        let network_fact = fact(network.text.clone(), network.place.clone());
        let (runs, own) = own_controller(node, log);
        let by = match network.kind {
            NetworkKind::Enforces(name) => PolicyEnforcer::Network(name),
            NetworkKind::Plain if runs => PolicyEnforcer::K3s,
            NetworkKind::Plain => PolicyEnforcer::Nobody,
            NetworkKind::NotSaid | NetworkKind::NotHere => PolicyEnforcer::Unknown,
        };
        let controller = |text: &str| fact(text.to_owned(), None);
        let mut because = own;
        match (by, &network.flannel) {
            (PolicyEnforcer::K3s, Some(backend)) => {
                let text = format!(
                    "{BACKEND} is {backend}, and nothing sets {DISABLE}: K3s's own controller enforces them"
                );
                because.insert(0, fact(text, network_fact.place));
            }
            (PolicyEnforcer::K3s, None) => because.extend([
                network_fact,
                controller(
                    "K3s's own controller runs: it filters what goes through iptables, as this network does",
                ),
            ]),
            (PolicyEnforcer::Unknown, _) if runs => because.extend([
                controller("K3s's own controller runs, which filters only what goes through iptables"),
                network_fact,
            ]),
            _ => because.push(network_fact),
        }
        Ok(Self { by, because, network })
    }

    /// Adds what the DaemonSets of the running cluster say, where K3s's own controller does not enforce them.
    #[must_use]
    pub fn with_daemon_sets(mut self, daemon_sets: &[Value]) -> Self {
        let rows = pod_network::plugins().iter().filter(|row| row.container.is_some());
        let seen: Vec<SeenEnforcer> =
            rows.flat_map(|row| daemon_sets.iter().filter_map(|set| SeenEnforcer::of(row, set))).collect();
        let counts = |seen: &&SeenEnforcer| match (self.by, self.network.kind) {
            _ if seen.row.any_network => true,
            (PolicyEnforcer::Network(name), _) => seen.row.network == name,
            // The pods are wired by something else, or nothing here says by what.
            (_, kind) => kind == NetworkKind::NotHere,
        };
        let counting: Vec<&SeenEnforcer> = seen.iter().filter(counts).collect();
        let whole = counting.iter().find(|seen| seen.hindrance.is_none());
        let cluster = |text: String| EnforcementFact { text, place: None };
        match (whole, counting.first(), self.by) {
            (Some(seen), ..) => {
                self.by = PolicyEnforcer::Network(&seen.row.network);
                self.because.push(cluster(seen.text.clone()));
            }
            (None, Some(seen), PolicyEnforcer::Network(_) | PolicyEnforcer::Unknown) => {
                self.by = PolicyEnforcer::Unknown;
                let hindrance = seen.hindrance.as_deref().unwrap_or_default();
                self.because.push(cluster(format!("{}: {hindrance}", seen.text)));
            }
            (None, None, PolicyEnforcer::Network(name)) => {
                self.by = PolicyEnforcer::Unknown;
                self.because.push(cluster(format!(
                    "no DaemonSet of the cluster runs {name}: its configuration on this node may be left over"
                )));
            }
            (None, None, PolicyEnforcer::Unknown) => {
                self.because.push(cluster("no DaemonSet of the cluster is known to enforce them".to_owned()));
            }
            _ => {}
        }
        self
    }

    /// Returns who enforces them, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self.by {
            PolicyEnforcer::K3s => "K3s itself does".to_owned(),
            PolicyEnforcer::Network(name) => format!("{name} does"),
            PolicyEnforcer::Nobody => "nothing does".to_owned(),
            PolicyEnforcer::Unknown => match self.because.last() {
                Some(EnforcementFact { text, place: Some(place) }) => {
                    format!("it is not known: {place}: {text}")
                }
                Some(EnforcementFact { text, place: None }) => format!("it is not known: {text}"),
                None => "it is not known".to_owned(),
            },
        }
    }
}

/// Tells whether K3s's own controller runs for the pods of the cluster, and what says so beside the keys.
fn own_controller(node: &NodeConfig<'_>, log: &K3sLog) -> (bool, Vec<EnforcementFact>) {
    if node.is_on(DISABLE) {
        let place = node.value(DISABLE).map(|(_, place)| place);
        return (
            false,
            vec![EnforcementFact { text: format!("{DISABLE} is set: K3s enforces none"), place }],
        );
    }
    // A server without an agent runs no pods; the agents run the controller.
    if let Some(absence) = node.running().absence(CONTROLLER) {
        let text = format!("{}; the agents run it for their pods", absence.reason);
        return (true, vec![EnforcementFact { text, place: absence.place.clone() }]);
    }
    let Some(start) = log.network_policy_start() else { return (true, Vec::new()) };
    let place = log.from.clone().map(|file| Place { file, position: Some((start.line, 1)) });
    let text = match start.started {
        true => "K3s has logged the start of its network policy controller",
        false => {
            "K3s has logged that it does not start its network policy controller: this kernel has no ipset"
        }
    };
    (start.started, vec![EnforcementFact { text: text.to_owned(), place }])
}

/// A container that enforces NetworkPolicies, in a DaemonSet of the cluster.
struct SeenEnforcer {
    row: &'static CniPlugin,
    /// What it is, in words.
    text: String,
    /// Why it does not enforce them on every node; none if it does.
    hindrance: Option<String>,
}

impl SeenEnforcer {
    /// Looks for the container of a row in a DaemonSet.
    fn of(row: &'static CniPlugin, daemon_set: &Value) -> Option<Self> {
        let text = |path: &str| daemon_set.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let number = |path: &str| daemon_set.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let name = row.container.as_deref()?;
        let containers = daemon_set.pointer("/spec/template/spec/containers").and_then(Value::as_array)?;
        let container =
            containers.iter().find(|one| one.get("name").and_then(Value::as_str) == Some(name))?;
        let words =
            ["command", "args"].into_iter().filter_map(|key| container.get(key)?.as_array()).flatten();
        let words: Vec<&str> = words.filter_map(Value::as_str).collect();
        let off = row.off.iter().find(|off| words.contains(&off.as_str()));
        let (wanted, ready) = (number("/status/desiredNumberScheduled"), number("/status/numberReady"));
        let hindrance = match off {
            Some(off) => Some(format!("its argument {off} turns enforcement off")),
            None if wanted == 0 => Some("it runs on no node".to_owned()),
            None if ready < wanted => Some(format!("it is ready on {ready} of {wanted} nodes")),
            None => None,
        };
        let text = format!(
            "the DaemonSet {}/{} runs {}",
            text("/metadata/namespace"),
            text("/metadata/name"),
            row.network
        );
        Some(Self { row, text, hindrance })
    }
}
