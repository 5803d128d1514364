// SPDX-License-Identifier: Apache-2.0
//! Checks the pods of a cluster (5.1.6, 5.4.1, and the general policies about seccomp and security contexts).
//!
//! The pods in kube-system belong to K3s, and users cannot change them: the evidence lists them, and they do not count.

use serde_json::Value;

use super::live::cluster_or_review;
use crate::error::Result;
use crate::verify::cluster::{ObjectKind, full_name, items, namespace, text};
use crate::verify::evidence::{Evidence, list_names};
use crate::verify::facts::NodeFacts;
use crate::verify::rule_result::RuleResult;

/// The pods with a property.
struct MatchingPods {
    /// Those outside of kube-system.
    others: Vec<String>,
    /// Those in kube-system.
    system: Vec<String>,
    /// How many pods the cluster has, with the property or without.
    total: usize,
}

/// Finds the pods with a property; without `--live` returns the result of the check.
fn find(
    facts: &NodeFacts<'_>,
    expected: &str,
    has: fn(&Value) -> bool,
) -> Result<std::result::Result<MatchingPods, RuleResult>> {
    let cluster = match cluster_or_review(facts, expected)? {
        Ok(cluster) => cluster,
        Err(result) => return Ok(Err(result)),
    };
    let pods = cluster.list(ObjectKind::Pod)?;
    let (system, others): (Vec<&Value>, Vec<&Value>) =
        pods.iter().filter(|pod| has(pod)).partition(|pod| namespace(pod) == "kube-system");
    let names = |pods: &[&Value]| pods.iter().map(|pod| full_name(pod)).collect();
    Ok(Ok(MatchingPods { others: names(&others), system: names(&system), total: pods.len() }))
}

impl MatchingPods {
    fn evidence(&self, words: &str) -> Vec<Evidence> {
        let mut evidence = vec![Evidence::without_place(format!(
            "of {} pods, {} outside of kube-system {words}",
            self.total,
            self.others.len()
        ))];
        if !self.others.is_empty() {
            evidence.push(Evidence::without_place(list_names(&self.others)));
        }
        if !self.system.is_empty() {
            evidence.push(Evidence::without_place(format!(
                "in kube-system, which is K3s's own: {}",
                list_names(&self.system)
            )));
        }
        evidence
    }

    /// Returns the result of a check that is met if no pod outside of kube-system has the property.
    fn result(&self, expected: &str, words: &str) -> RuleResult {
        let actual = match self.others.len() {
            0 => format!("no pod outside of kube-system {words}"),
            count => format!("{count} pods {words}: {}", list_names(&self.others)),
        };
        RuleResult::met(self.others.is_empty(), expected, actual, self.evidence(words))
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["/spec/initContainers", "/spec/containers", "/spec/ephemeralContainers"]
        .into_iter()
        .flat_map(|path| items(pod, path))
}

/// Checks that only pods that need it mount a token of a ServiceAccount (5.1.6).
pub(super) fn check_automount(facts: &NodeFacts<'_>) -> Result<RuleResult> {
    let expected = "tokens of ServiceAccounts are only mounted into pods that need them: look at automountServiceAccountToken";
    let words = "mount a token";
    let found = match find(facts, expected, mounts_token)? {
        Ok(found) => found,
        Err(result) => return Ok(result),
    };
    if found.others.is_empty() {
        return Ok(found.result(expected, words));
    }
    let actual = format!("{} pods {words}: {}", found.others.len(), list_names(&found.others));
    Ok(RuleResult::review(expected, actual, found.evidence(words)))
}

/// Tells whether a pod mounts a token. The admission plugin ServiceAccount adds the volume to the pod.
fn mounts_token(pod: &Value) -> bool {
    items(pod, "/spec/volumes").iter().any(|volume| {
        items(volume, "/projected/sources").iter().any(|source| source.get("serviceAccountToken").is_some())
    })
}

/// Checks that pods mount Secrets as files instead of reading them from environment variables (5.4.1).
pub(super) fn check_secrets(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "no pod takes Secrets as environment variables";
    let found = match find(facts, expected, takes_secrets)? {
        Ok(found) => found,
        Err(result) => return Ok(result),
    };
    Ok(found.result(expected, "take Secrets as environment variables"))
}

fn takes_secrets(pod: &Value) -> bool {
    containers(pod).any(|container| {
        items(container, "/env").iter().any(|one| one.pointer("/valueFrom/secretKeyRef").is_some())
            || items(container, "/envFrom").iter().any(|one| one.get("secretRef").is_some())
    })
}

/// Checks that every container has a seccomp profile.
pub(super) fn check_seccomp(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "the seccomp profile of every pod is RuntimeDefault, or one of its own";
    let found = match find(facts, expected, lacks_seccomp)? {
        Ok(found) => found,
        Err(result) => return Ok(result),
    };
    Ok(found.result(expected, "have no seccomp profile"))
}

/// Tells whether a container has no seccomp profile. The profile of a container overrides that of its pod.
fn lacks_seccomp(pod: &Value) -> bool {
    let profile = |object: &Value, path: &str| text(object, path).to_owned();
    let of_pod = profile(pod, "/spec/securityContext/seccompProfile/type");
    containers(pod).any(|container| {
        let own = profile(container, "/securityContext/seccompProfile/type");
        let effective = if own.is_empty() { &of_pod } else { &own };
        !matches!(effective.as_str(), "RuntimeDefault" | "Localhost")
    })
}

/// Checks that every container has a security context; a person has to review whether it is the right one.
pub(super) fn check_security_contexts(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "pods and their containers have security contexts that fit them";
    let found = match find(facts, expected, lacks_context)? {
        Ok(found) => found,
        Err(result) => return Ok(result),
    };
    let words = "have a container without a security context";
    if found.others.is_empty() {
        return Ok(RuleResult::review(
            expected,
            format!("no pod outside of kube-system {words}"),
            found.evidence(words),
        ));
    }
    Ok(found.result(expected, words))
}

fn lacks_context(pod: &Value) -> bool {
    let is_set = |object: &Value, path: &str| {
        object.pointer(path).and_then(Value::as_object).is_some_and(|context| !context.is_empty())
    };
    !is_set(pod, "/spec/securityContext")
        && containers(pod).any(|container| !is_set(container, "/securityContext"))
}
