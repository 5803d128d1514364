// SPDX-License-Identifier: Apache-2.0
//! The ingress controller and the load balancer that the policies are written for (data/network-addons.yaml), with what the
//! settings say of them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::embedded;
use crate::error::{Error, Result};
use crate::profile::Profile;

/// K3s's own ingress controller, whose policies stand in the guide.
pub(super) const TRAEFIK: &str = "traefik";
/// The choice of a controller that is described by the other settings alone.
const CUSTOM: &str = "custom";
const CONTROLLER: &str = "ingress_controller";
const NAMESPACE: &str = "ingress_controller_namespace";
const LABELS: &str = "ingress_controller_labels";
const BALANCER: &str = "load_balancer";

/// A row of data/network-addons.yaml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddonRow {
    name: String,
    namespace: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    why: Option<String>,
    #[serde(default)]
    ports: Vec<u16>,
}

/// The table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NetworkAddons {
    ingress: BTreeMap<String, AddonRow>,
    load_balancer: BTreeMap<String, AddonRow>,
}

/// A label of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct PodLabel {
    key: String,
    value: String,
}

/// The ingress controller of a cluster, as the policies select it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct IngressController {
    /// The choice.
    pub(super) choice: String,
    /// As people write it.
    pub(super) name: &'static str,
    /// Its namespace.
    pub(super) namespace: String,
    /// The labels of its pods, sorted, as the template engine sorts no map; empty if no NetworkPolicy is about them.
    pub(super) labels: Vec<PodLabel>,
    /// Whether it is K3s's own Traefik, where K3s installs it.
    pub(super) packaged: bool,
    /// Whether its namespace keeps others out.
    isolated: bool,
    /// Why no NetworkPolicy is about it.
    #[serde(skip)]
    pub(super) why: Option<&'static str>,
}

/// The load balancer of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct LoadBalancer {
    /// Its namespace; empty if it is not known.
    namespace: &'static str,
    /// The ports of its pods that other machines reach; empty where no policy has to open any.
    ports: Vec<u16>,
    /// Whether its namespace keeps others out.
    isolated: bool,
}

fn addons() -> &'static NetworkAddons {
    static TABLE: LazyLock<NetworkAddons> = LazyLock::new(|| embedded::table("network-addons"));
    &TABLE
}

fn is_isolated(profile: &Profile, namespace: &str) -> bool {
    profile.is_on("intra_namespace_policy") && profile.texts("namespaces").iter().any(|one| one == namespace)
}

impl IngressController {
    /// Returns the ingress controller that the settings name.
    pub(super) fn of(profile: &Profile) -> Self {
        let choice = profile.texts(CONTROLLER).concat();
        let row = &addons().ingress[&choice];
        let pairs = profile.texts(LABELS);
        let pairs = pairs.iter().filter_map(|label| label.split_once('='));
        let told: BTreeMap<String, String> =
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let told_namespace = profile.texts(NAMESPACE).concat();
        let own_namespace = row.namespace.clone().unwrap_or_default();
        let namespace = if told_namespace.is_empty() { own_namespace } else { told_namespace };
        let labels = if told.is_empty() { row.labels.clone() } else { told };
        Self {
            packaged: choice == TRAEFIK && Some(&namespace) == row.namespace.as_ref() && labels == row.labels,
            isolated: is_isolated(profile, &namespace),
            choice,
            name: &row.name,
            namespace,
            labels: labels.into_iter().map(|(key, value)| PodLabel { key, value }).collect(),
            why: row.why.as_deref(),
        }
    }
}

impl LoadBalancer {
    /// Returns the load balancer that the settings name.
    pub(super) fn of(profile: &Profile) -> Self {
        let row = &addons().load_balancer[&profile.texts(BALANCER).concat()];
        let namespace = row.namespace.as_deref().unwrap_or_default();
        Self { namespace, ports: row.ports.clone(), isolated: is_isolated(profile, namespace) }
    }
}

/// Refuses settings that do not say which pods the ingress controller has.
///
/// # Errors
/// [`crate::ErrorKind::BadInput`] with the setting and what to write.
pub fn check_ingress_controller(profile: &Profile) -> Result<()> {
    let choice = profile.texts(CONTROLLER).concat();
    let (namespace, labels) = (!profile.texts(NAMESPACE).is_empty(), !profile.texts(LABELS).is_empty());
    let refused = |setting: &str, message: String, hint: &str| -> Result<()> {
        let origin = &profile.values[setting].origin;
        let error: Error = origin.refusal(message);
        Err(error.hint(hint.to_owned()))
    };
    if choice == CUSTOM && !(namespace && labels) {
        return refused(
            CONTROLLER,
            format!("{CONTROLLER}: {CUSTOM} needs the namespace of the ingress controller"),
            "set ingress_controller_namespace, and ingress_controller_labels to labels that all of its pods have",
        );
    }
    let has_pods = choice == CUSTOM || !addons().ingress[&choice].labels.is_empty();
    for (setting, is_set) in [(NAMESPACE, namespace), (LABELS, labels)] {
        if is_set && !has_pods {
            let why = addons().ingress[&choice].why.as_deref().unwrap_or_default();
            return refused(
                setting,
                format!("{setting} has no meaning with {CONTROLLER}={choice}: {why}"),
                "remove the setting, or set ingress_controller to custom",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::names;

    #[test]
    fn a_row_has_pods_or_says_why_it_has_none() {
        for (choice, row) in &addons().ingress {
            assert_eq!(row.labels.is_empty(), row.why.is_some() || choice == CUSTOM, "{choice}");
            assert!(row.namespace.as_deref().is_none_or(names::is_label), "{choice}");
            for (key, value) in &row.labels {
                assert!(names::is_qualified(key) && names::is_label_value(value), "{choice}");
            }
        }
        for (choice, row) in &addons().load_balancer {
            assert!(row.ports.is_empty() || row.namespace.is_some(), "{choice}");
        }
    }
}
