//! The audit policy: is there one that records (3.2.1), and does it record what matters (3.2.2)?
//!
//! Source: pkg/audit/policy/checker.go of k8s.io/apiserver: the first rule that fits a request decides.

use super::{FlagFile, read};
use crate::error::{Place, Result};
use crate::kubernetes::object::{self, ObjectFile};
use crate::kubernetes::yaml::YamlNode;
use crate::preflight::audit;
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
struct AuditPolicy {
    document: ObjectFile,
    file: String,
    set: Vec<Evidence>,
}

/// There is an audit policy, it records something, and its events go somewhere (3.2.1).
pub(super) fn policy(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "the API server has an audit policy that records, and a log for it";
    let policy = match find(facts, expected)? {
        Ok(policy) => policy,
        Err(judgement) => return Ok(judgement),
    };
    let log = evaluate::flag(facts, SERVER, "audit-log-path", Must::BeSet(true))?;
    let webhook = evaluate::flag(facts, SERVER, "audit-webhook-config-file", Must::BeSet(true))?;
    let root = &policy.document.root;
    let records = audit::records(root, object::items(root, "rules"));
    let mut evidence = policy.set.clone();
    let actual = if !records {
        evidence.push(policy.evidence("no rule of it records anything", root));
        "the policy records nothing"
    } else if log.outcome != RuleOutcome::Met && webhook.outcome != RuleOutcome::Met {
        evidence.extend(log.evidence.clone());
        "the policy has no log"
    } else {
        evidence.push(policy.evidence(&format!("it has {} rules", root_rules(root).count()), root));
        evidence.extend(if log.outcome == RuleOutcome::Met { log.evidence } else { webhook.evidence });
        return Ok(RuleResult::met(true, expected, "a policy that records, and a log", evidence));
    };
    Ok(RuleResult::met(false, expected, actual, evidence))
}

/// It records what matters, and no secrets (3.2.2).
pub(super) fn coverage(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "metadata of every request for Secrets, ConfigMaps and TokenReviews, and no bodies of them; of every change of Pods and Deployments; of exec, attach, portforward and proxy";
    let policy = match find(facts, expected)? {
        Ok(policy) => policy,
        Err(judgement) => return Ok(judgement),
    };
    let root = &policy.document.root;
    let (mut gaps, mut evidence) = (Vec::new(), policy.set.clone());
    for request in &CONCERNS {
        let name = [request.resource, request.subresource].join("/");
        let name = name.trim_end_matches('/');
        let decided: Vec<(&str, Option<&YamlNode>)> = request
            .verbs
            .iter()
            .map(|verb| (*verb, root_rules(root).find(|rule| fits(rule, request, verb))))
            .collect();
        let is_dark =
            |(_, rule): &&(&str, Option<&YamlNode>)| rule.is_none_or(|rule| !audit::is_recorded(root, rule));
        let dark: Vec<_> = decided.iter().filter(is_dark).collect();
        if let Some((_, rule)) = dark.first() {
            let verbs: Vec<&str> = dark.iter().map(|(verb, _)| *verb).collect();
            gaps.push(format!("{name} ({})", verbs.join(", ")));
            evidence.push(
                policy.evidence(
                    &format!("{} of {name} is not recorded", verbs.join(", ")),
                    rule.unwrap_or(root),
                ),
            );
        }
        let has_body = |(_, rule): &&(&str, Option<&YamlNode>)| {
            rule.is_some_and(|rule| object::text(rule, "level").starts_with("Request"))
        };
        if let (true, Some((_, Some(rule)))) = (request.secret, decided.iter().find(has_body)) {
            gaps.push(format!("bodies of {name} go into the log"));
            evidence.push(policy.evidence(&format!("{name} is recorded with its body"), rule));
        }
    }
    if gaps.is_empty() {
        evidence
            .push(policy.evidence(&format!("all {} kinds of requests are recorded", CONCERNS.len()), root));
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
fn find(facts: &NodeFacts<'_>, expected: &str) -> Result<std::result::Result<AuditPolicy, RuleResult>> {
    let (path, set) = match read(facts, SERVER, "audit-policy-file", expected)? {
        FlagFile::File { path, bytes, evidence } => ((path, bytes), evidence),
        FlagFile::Judged(judgement) => return Ok(Err(judgement)),
    };
    let (path, bytes) = path;
    let usable = |document| match audit::refusal(&facts.node, &path, &document) {
        None => Ok(document),
        Some(fault) => Err(fault),
    };
    match ObjectFile::read(&bytes).and_then(usable) {
        Ok(document) => Ok(Ok(AuditPolicy { document, file: path.to_string(), set })),
        Err(fault) => {
            let place = Place { file: path.to_string(), position: Some(fault.position) };
            let evidence = vec![Evidence { text: fault.message, place: Some(place) }];
            Ok(Err(RuleResult::met(false, expected, "the API server refuses its policy", evidence)))
        }
    }
}

impl AuditPolicy {
    fn evidence(&self, text: &str, node: &YamlNode) -> Evidence {
        Evidence {
            text: text.to_owned(),
            place: Some(Place { file: self.file.clone(), position: Some(node.position) }),
        }
    }
}

fn root_rules(root: &YamlNode) -> impl Iterator<Item = &YamlNode> {
    object::items(root, "rules").iter()
}

/// Tells whether a rule fits a request of somebody who is in no special group, in any namespace.
fn fits(rule: &YamlNode, request: &ApiRequest, verb: &str) -> bool {
    let has =
        |name: &str, word: &str| object::items(rule, name).iter().any(|item| object::content(item) == word);
    let given = |name: &str| !object::items(rule, name).is_empty();
    // Who asks for a kind in all namespaces, or for one that is in none, names none.
    let is_in_none = verb == "list" || request.resource == "tokenreviews";
    if given("users")
        || (given("namespaces") && !(is_in_none && has("namespaces", "")))
        || (given("userGroups") && !has("userGroups", "system:authenticated"))
    {
        return false;
    }
    if given("verbs") && !has("verbs", verb) && !has("verbs", "*") {
        return false;
    }
    if !given("resources") {
        return !given("nonResourceURLs");
    }
    object::items(rule, "resources").iter().any(|group| fits_group(group, request))
}

fn fits_group(group: &YamlNode, request: &ApiRequest) -> bool {
    // Since 1.36 a group may be all of them.
    let name = object::text(group, "group");
    if !(name == request.group || name == "*") || !object::items(group, "resourceNames").is_empty() {
        return false;
    }
    let resources = object::items(group, "resources");
    resources.is_empty()
        || resources.iter().map(object::content).any(|pattern| {
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
