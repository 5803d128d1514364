// SPDX-License-Identifier: Apache-2.0
//! Checks the namespaces of a cluster (the general policies).

use super::live::cluster_or_review;
use crate::error::Result;
use crate::kubernetes::names::BUILT_IN_NAMESPACES;
use crate::verify::cluster::{ObjectKind, name, namespace};
use crate::verify::evidence::{Evidence, list_names};
use crate::verify::facts::NodeFacts;
use crate::verify::rule_result::RuleResult;

/// The kinds of which a workload consists. Kubernetes creates ServiceAccounts and `ConfigMap`s in every namespace.
const WORKLOADS: [(ObjectKind, &str); 7] = [
    (ObjectKind::Pod, "Pod"),
    (ObjectKind::Service, "Service"),
    (ObjectKind::Deployment, "Deployment"),
    (ObjectKind::DaemonSet, "DaemonSet"),
    (ObjectKind::StatefulSet, "StatefulSet"),
    (ObjectKind::Job, "Job"),
    (ObjectKind::CronJob, "CronJob"),
];

/// Checks that namespaces separate the resources of different administrators.
pub(super) fn check_boundaries(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected =
        "resources are divided among namespaces as their administrators are: look at every namespace";
    let cluster = match cluster_or_review(facts, expected)? {
        Ok(cluster) => cluster,
        Err(result) => return Ok(result),
    };
    let names: Vec<&str> = cluster.list(ObjectKind::Namespace)?.iter().map(name).collect();
    let added: Vec<&str> = names.iter().filter(|name| !BUILT_IN_NAMESPACES.contains(name)).copied().collect();
    let actual = if added.is_empty() {
        "there are only the built-in namespaces".to_owned()
    } else {
        format!("beside the built-in ones there are {}", list_names(&added))
    };
    let evidence = vec![Evidence::without_place(format!("the namespaces are {}", list_names(&names)))];
    Ok(RuleResult::review(expected, actual, evidence))
}

/// Checks that `default` has only the Service of the API server.
pub(super) fn check_default(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "nothing is in the namespace default but the Service kubernetes";
    let cluster = match cluster_or_review(facts, expected)? {
        Ok(cluster) => cluster,
        Err(result) => return Ok(result),
    };
    let mut found = Vec::new();
    for (kind, word) in WORKLOADS {
        let here = cluster.list(kind)?.iter().filter(|object| namespace(object) == "default");
        let others = here.filter(|object| kind != ObjectKind::Service || name(object) != "kubernetes");
        found.extend(others.map(|object| format!("{word} {}", name(object))));
    }
    let kinds: Vec<&str> = WORKLOADS.iter().map(|(_, word)| *word).collect();
    let evidence = vec![Evidence::without_place(format!("looked for in default: {}", kinds.join(", ")))];
    let actual = if found.is_empty() {
        "nothing else found".to_owned()
    } else {
        format!("also found: {}", list_names(&found))
    };
    Ok(RuleResult::met(found.is_empty(), expected, actual, evidence))
}
