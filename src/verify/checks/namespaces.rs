//! What is kept apart by namespaces (the general policies).

use super::asked::{cluster, look, named, seen};
use crate::document::BUILT_IN_NAMESPACES;
use crate::error::Result;
use crate::verify::NodeFacts;
use crate::verify::cluster::{ObjectKind, name, namespace};
use crate::verify::rule::RuleResult;

/// What a workload is made of. Each namespace gets ServiceAccounts and `ConfigMap`s by itself.
const WORKLOADS: [(ObjectKind, &str); 7] = [
    (ObjectKind::Pod, "Pod"),
    (ObjectKind::Service, "Service"),
    (ObjectKind::Deployment, "Deployment"),
    (ObjectKind::DaemonSet, "DaemonSet"),
    (ObjectKind::StatefulSet, "StatefulSet"),
    (ObjectKind::Job, "Job"),
    (ObjectKind::CronJob, "CronJob"),
];

/// Resources are divided among namespaces.
pub(super) fn boundaries(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected =
        "resources are divided among namespaces as their administrators are: look at every namespace";
    let cluster = match cluster(facts, expected)? {
        Ok(cluster) => cluster,
        Err(judgement) => return Ok(judgement),
    };
    let names: Vec<&str> = cluster.list(ObjectKind::Namespace)?.iter().map(name).collect();
    let made: Vec<&str> = names.iter().filter(|name| !BUILT_IN_NAMESPACES.contains(name)).copied().collect();
    let actual = if made.is_empty() {
        "there are only the built-in namespaces".to_owned()
    } else {
        format!("beside the built-in ones there are {}", named(&made))
    };
    let evidence = vec![seen(format!("the namespaces are {}", named(&names)))];
    Ok(look(expected, actual, evidence))
}

/// Nothing is in `default` but the Service of the API server.
pub(super) fn default_is_empty(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "nothing is in the namespace default but the Service kubernetes";
    let cluster = match cluster(facts, expected)? {
        Ok(cluster) => cluster,
        Err(judgement) => return Ok(judgement),
    };
    let mut found = Vec::new();
    for (kind, word) in WORKLOADS {
        let here = cluster.list(kind)?.iter().filter(|object| namespace(object) == "default");
        let others = here.filter(|object| kind != ObjectKind::Service || name(object) != "kubernetes");
        found.extend(others.map(|object| format!("{word} {}", name(object))));
    }
    let kinds: Vec<&str> = WORKLOADS.iter().map(|(_, word)| *word).collect();
    let evidence = vec![seen(format!("looked for in default: {}", kinds.join(", ")))];
    let actual =
        if found.is_empty() { "nothing else is".to_owned() } else { format!("so are {}", named(&found)) };
    Ok(RuleResult::met(found.is_empty(), expected, actual, evidence))
}
