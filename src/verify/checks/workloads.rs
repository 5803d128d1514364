//! What pods ask for (5.1.6, 5.4.1, and the general policies about seccomp and security contexts).
//!
//! The pods in kube-system are K3s' own, which nobody can write otherwise: they are counted and said, and decide
//! nothing.

use serde_json::Value;

use super::asked::{cluster, look, named, seen};
use crate::error::Result;
use crate::verify::cluster::{ObjectKind, full_name, items, namespace, text};
use crate::verify::rule::RuleResult;
use crate::verify::{Evidence, NodeFacts};

/// The pods that have something, and how many were looked at.
struct MatchingPods {
    others: Vec<String>,
    system: Vec<String>,
    looked_at: usize,
}

/// Finds the pods that have something.
fn find(
    facts: &NodeFacts<'_>,
    expected: &str,
    has: fn(&Value) -> bool,
) -> Result<std::result::Result<MatchingPods, RuleResult>> {
    let cluster = match cluster(facts, expected)? {
        Ok(cluster) => cluster,
        Err(judgement) => return Ok(Err(judgement)),
    };
    let pods = cluster.list(ObjectKind::Pod)?;
    let (system, others): (Vec<&Value>, Vec<&Value>) =
        pods.iter().filter(|pod| has(pod)).partition(|pod| namespace(pod) == "kube-system");
    let names = |pods: &[&Value]| pods.iter().map(|pod| full_name(pod)).collect();
    Ok(Ok(MatchingPods { others: names(&others), system: names(&system), looked_at: pods.len() }))
}

impl MatchingPods {
    fn evidence(&self, words: &str) -> Vec<Evidence> {
        let mut evidence = vec![seen(format!(
            "of {} pods, {} outside of kube-system {words}",
            self.looked_at,
            self.others.len()
        ))];
        if !self.others.is_empty() {
            evidence.push(seen(named(&self.others)));
        }
        if !self.system.is_empty() {
            evidence.push(seen(format!("in kube-system, which is K3s' own: {}", named(&self.system))));
        }
        evidence
    }

    /// Met where there is none.
    fn judgement(&self, expected: &str, words: &str) -> RuleResult {
        let actual = match self.others.len() {
            0 => format!("no pod outside of kube-system {words}"),
            count => format!("{count} pods {words}: {}", named(&self.others)),
        };
        RuleResult::met(self.others.is_empty(), expected, actual, self.evidence(words))
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["/spec/initContainers", "/spec/containers", "/spec/ephemeralContainers"]
        .into_iter()
        .flat_map(|path| items(pod, path))
}

/// Tokens of ServiceAccounts are only mounted where they are needed (5.1.6).
pub(super) fn automount(facts: &NodeFacts<'_>) -> Result<RuleResult> {
    let expected = "tokens of ServiceAccounts are only mounted into pods that need them: look at automountServiceAccountToken";
    let words = "mount a token";
    let found = match find(facts, expected, mounts_token)? {
        Ok(found) => found,
        Err(judgement) => return Ok(judgement),
    };
    if found.others.is_empty() {
        return Ok(found.judgement(expected, words));
    }
    let actual = format!("{} pods {words}: {}", found.others.len(), named(&found.others));
    Ok(look(expected, actual, found.evidence(words)))
}

/// The admission plugin ServiceAccount has written the volume into the pod, whoever has asked for it.
fn mounts_token(pod: &Value) -> bool {
    items(pod, "/spec/volumes").iter().any(|volume| {
        items(volume, "/projected/sources").iter().any(|source| source.get("serviceAccountToken").is_some())
    })
}

/// Secrets are files rather than variables (5.4.1).
pub(super) fn secrets_as_files(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "no pod takes Secrets as environment variables";
    let found = match find(facts, expected, takes_secrets)? {
        Ok(found) => found,
        Err(judgement) => return Ok(judgement),
    };
    Ok(found.judgement(expected, "take Secrets as environment variables"))
}

fn takes_secrets(pod: &Value) -> bool {
    containers(pod).any(|container| {
        items(container, "/env").iter().any(|one| one.pointer("/valueFrom/secretKeyRef").is_some())
            || items(container, "/envFrom").iter().any(|one| one.get("secretRef").is_some())
    })
}

/// Every container has a seccomp profile.
pub(super) fn seccomp(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "the seccomp profile of every pod is RuntimeDefault, or one of its own";
    let found = match find(facts, expected, lacks_seccomp)? {
        Ok(found) => found,
        Err(judgement) => return Ok(judgement),
    };
    Ok(found.judgement(expected, "have no seccomp profile"))
}

/// A container's own profile counts more than that of its pod.
fn lacks_seccomp(pod: &Value) -> bool {
    let profile = |of: &Value, path: &str| text(of, path).to_owned();
    let whole = profile(pod, "/spec/securityContext/seccompProfile/type");
    containers(pod).any(|container| {
        let own = profile(container, "/securityContext/seccompProfile/type");
        let decides = if own.is_empty() { &whole } else { &own };
        !matches!(decides.as_str(), "RuntimeDefault" | "Localhost")
    })
}

/// Every container has a security context; whether it is the right one is for a person to say.
pub(super) fn security_contexts(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "pods and their containers have security contexts that fit them";
    let found = match find(facts, expected, lacks_context)? {
        Ok(found) => found,
        Err(judgement) => return Ok(judgement),
    };
    let words = "have a container without a security context";
    if found.others.is_empty() {
        return Ok(look(expected, format!("no pod outside of kube-system {words}"), found.evidence(words)));
    }
    Ok(found.judgement(expected, words))
}

fn lacks_context(pod: &Value) -> bool {
    let is_set = |of: &Value, path: &str| {
        of.pointer(path).and_then(Value::as_object).is_some_and(|context| !context.is_empty())
    };
    !is_set(pod, "/spec/securityContext")
        && containers(pod).any(|container| !is_set(container, "/securityContext"))
}
