//! The audit policy: is there one that records (3.2.1), and does it record what matters (3.2.2)?
//!
//! Source: pkg/audit/policy/checker.go of k8s.io/apiserver: the first rule that fits a request decides.

use super::{FlagFile, read};
use crate::error::{Place, Result};
use crate::kubernetes::audit_policy::{self, AuditLevel, AuditPolicy, AuditResources, AuditRule};
use crate::kubernetes::object::Position;
use crate::verify::rule::{Must, RuleOutcome, RuleResult};
use crate::verify::{Evidence, NodeFacts, evaluate};

const SERVER: &str = "kube-apiserver";

/// A request as far as a policy looks at it. Who asks is nobody in particular.
struct ApiRequest {
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    verbs: &'static [&'static str],
    /// Whether its body is a secret, which a log must not have.
    secret: bool,
}

const WRITES: &[&str] = &["create", "update", "patch", "delete"];
const ALL: &[&str] = &["get", "list", "create", "update", "patch", "delete"];

/// What a policy has to record at least the metadata of, as the benchmark lists it under 3.2.2.
const CONCERNS: [ApiRequest; 10] = [
    ApiRequest { group: "", resource: "secrets", subresource: "", verbs: ALL, secret: true },
    ApiRequest { group: "", resource: "configmaps", subresource: "", verbs: ALL, secret: true },
    ApiRequest {
        group: "authentication.k8s.io",
        resource: "tokenreviews",
        subresource: "",
        verbs: &["create"],
        secret: true,
    },
    ApiRequest { group: "", resource: "pods", subresource: "", verbs: WRITES, secret: false },
    ApiRequest { group: "apps", resource: "deployments", subresource: "", verbs: WRITES, secret: false },
    ApiRequest { group: "", resource: "pods", subresource: "exec", verbs: &["get", "create"], secret: false },
    ApiRequest {
        group: "",
        resource: "pods",
        subresource: "attach",
        verbs: &["get", "create"],
        secret: false,
    },
    ApiRequest {
        group: "",
        resource: "pods",
        subresource: "portforward",
        verbs: &["get", "create"],
        secret: false,
    },
    ApiRequest {
        group: "",
        resource: "pods",
        subresource: "proxy",
        verbs: &["get", "create"],
        secret: false,
    },
    ApiRequest {
        group: "",
        resource: "services",
        subresource: "proxy",
        verbs: &["get", "create"],
        secret: false,
    },
];

/// A policy that the API server reads.
struct FoundPolicy {
    policy: AuditPolicy,
    file: String,
    set: Vec<Evidence>,
}

/// There is an audit policy, it records something, and its events go somewhere (3.2.1).
pub(super) fn policy(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "the API server has an audit policy that records, and a log for it";
    let found = match find(facts, expected)? {
        Ok(found) => found,
        Err(judgement) => return Ok(judgement),
    };
    let log = evaluate::flag(facts, SERVER, "audit-log-path", Must::BeSet(true))?;
    let webhook = evaluate::flag(facts, SERVER, "audit-webhook-config-file", Must::BeSet(true))?;
    let position = found.policy.position;
    let mut evidence = found.set.clone();
    let actual = if !found.policy.records() {
        evidence.push(found.evidence("no rule of it records anything", position));
        "the policy records nothing"
    } else if log.outcome != RuleOutcome::Met && webhook.outcome != RuleOutcome::Met {
        evidence.extend(log.evidence.clone());
        "the policy has no log"
    } else {
        evidence.push(found.evidence(&format!("it has {} rules", found.policy.rules.len()), position));
        evidence.extend(if log.outcome == RuleOutcome::Met { log.evidence } else { webhook.evidence });
        return Ok(RuleResult::met(true, expected, "a policy that records, and a log", evidence));
    };
    Ok(RuleResult::met(false, expected, actual, evidence))
}

/// It records what matters, and no secrets (3.2.2).
pub(super) fn coverage(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "metadata of every request for Secrets, ConfigMaps and TokenReviews, and no bodies of them; of every change of Pods and Deployments; of exec, attach, portforward and proxy";
    let found = match find(facts, expected)? {
        Ok(found) => found,
        Err(judgement) => return Ok(judgement),
    };
    let policy = &found.policy;
    let (mut gaps, mut evidence) = (Vec::new(), found.set.clone());
    for request in &CONCERNS {
        let name = [request.resource, request.subresource].join("/");
        let name = name.trim_end_matches('/');
        let decided: Vec<(&str, Option<&AuditRule>)> = request
            .verbs
            .iter()
            .map(|verb| (*verb, policy.rules.iter().find(|rule| fits(rule, request, verb))))
            .collect();
        let is_dark =
            |(_, rule): &&(&str, Option<&AuditRule>)| rule.is_none_or(|rule| !policy.is_recorded(rule));
        let dark: Vec<_> = decided.iter().filter(is_dark).collect();
        if let Some((_, rule)) = dark.first() {
            let verbs: Vec<&str> = dark.iter().map(|(verb, _)| *verb).collect();
            gaps.push(format!("{name} ({})", verbs.join(", ")));
            evidence.push(found.evidence(
                &format!("{} of {name} is not recorded", verbs.join(", ")),
                rule.map_or(policy.position, |rule| rule.position),
            ));
        }
        let has_body = |(_, rule): &&(&str, Option<&AuditRule>)| {
            rule.is_some_and(|rule| rule.level >= AuditLevel::Request)
        };
        if let (true, Some((_, Some(rule)))) = (request.secret, decided.iter().find(has_body)) {
            gaps.push(format!("bodies of {name} go into the log"));
            evidence.push(found.evidence(&format!("{name} is recorded with its body"), rule.position));
        }
    }
    if gaps.is_empty() {
        evidence.push(
            found
                .evidence(&format!("all {} kinds of requests are recorded", CONCERNS.len()), policy.position),
        );
        return Ok(RuleResult::met(true, expected, "all of it is recorded", evidence));
    }
    Ok(RuleResult::met(
        false,
        expected,
        format!("not recorded as it should be: {}", gaps.join("; ")),
        evidence,
    ))
}

/// Finds the policy that the API server reads; a judgement where there is none.
fn find(facts: &NodeFacts<'_>, expected: &str) -> Result<std::result::Result<FoundPolicy, RuleResult>> {
    let (path, set) = match read(facts, SERVER, "audit-policy-file", expected)? {
        FlagFile::File { path, bytes, evidence } => ((path, bytes), evidence),
        FlagFile::Judged(judgement) => return Ok(Err(judgement)),
    };
    let (path, bytes) = path;
    match audit_policy::read(&bytes, facts.node.minor).map_err(|refusal| refusal.fault) {
        Ok(policy) => Ok(Ok(FoundPolicy { policy, file: path.to_string(), set })),
        Err(fault) => {
            let place = Place { file: path.to_string(), position: Some(fault.position) };
            let evidence = vec![Evidence { text: fault.message, place: Some(place) }];
            Ok(Err(RuleResult::met(false, expected, "the API server refuses its policy", evidence)))
        }
    }
}

impl FoundPolicy {
    fn evidence(&self, text: &str, position: Position) -> Evidence {
        let place = Place { file: self.file.clone(), position: Some(position) };
        Evidence { text: text.to_owned(), place: Some(place) }
    }
}

/// Tells whether a rule matches a request of somebody who is in no special group, in any namespace.
fn fits(rule: &AuditRule, request: &ApiRequest, verb: &str) -> bool {
    let has = |names: &[String], name: &str| names.iter().any(|known| known == name);
    // Who asks for a kind in all namespaces, or for one that is in none, names none.
    let is_in_none = verb == "list" || request.resource == "tokenreviews";
    if !rule.users.is_empty()
        || (!rule.namespaces.is_empty() && !(is_in_none && has(&rule.namespaces, "")))
        || (!rule.user_groups.is_empty() && !has(&rule.user_groups, "system:authenticated"))
    {
        return false;
    }
    let has_verb = |name: &str| rule.verbs.iter().any(|known| known.value == name);
    if !rule.verbs.is_empty() && !has_verb(verb) && !has_verb("*") {
        return false;
    }
    if rule.resources.is_empty() {
        return rule.non_resource_urls.is_empty();
    }
    rule.resources.iter().any(|group| fits_group(group, request))
}

fn fits_group(group: &AuditResources, request: &ApiRequest) -> bool {
    // Since 1.36 a group may be all of them.
    if !(group.group == request.group || group.group == "*") || !group.resource_names.is_empty() {
        return false;
    }
    group.resources.is_empty()
        || group.resources.iter().any(|pattern| {
            let (resource, subresource) = pattern.split_once('/').unwrap_or((pattern, ""));
            match (resource, subresource) {
                ("*", "") => true,
                ("*", subresource) => subresource == request.subresource,
                // Of itself too, whatever the documentation says.
                (resource, "*") => resource == request.resource,
                pair => pair == (request.resource, request.subresource),
            }
        })
}
