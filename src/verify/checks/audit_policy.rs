//! Checks the audit policy: whether the API server has a policy that records requests (3.2.1), and whether the policy
//! covers the key security concerns (3.2.2). The first rule that matches a request decides.

use std::sync::LazyLock;

use serde::Deserialize;

use super::flag;
use super::flag_file::FlagFile;
use crate::embedded;
use crate::error::{Place, Result};
use crate::kubernetes::audit_policy::{self, AuditLevel, AuditPolicy, AuditRequest, AuditRule};
use crate::kubernetes::object::Position;
use crate::verify::evidence::Evidence;
use crate::verify::facts::NodeFacts;
use crate::verify::must::Must;
use crate::verify::rule_result::{RuleOutcome, RuleResult};

const SERVER: &str = "kube-apiserver";

/// A request, reduced to what a policy matches (data/audited-requests.yaml). The user is any authenticated user.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiRequest {
    /// The API group; empty for the core group.
    #[serde(default)]
    group: String,
    resource: String,
    #[serde(default)]
    subresource: String,
    verbs: Vec<String>,
    /// Whether its body is secret, so that a log must not contain it.
    #[serde(default)]
    secret: bool,
}

impl ApiRequest {
    fn with_verb<'a>(&'a self, verb: &'a str) -> AuditRequest<'a> {
        AuditRequest { verb, group: &self.group, resource: &self.resource, subresource: &self.subresource }
    }
}

/// The requests of which a policy has to record at least the metadata.
static AUDITED_REQUESTS: LazyLock<Vec<ApiRequest>> = LazyLock::new(|| embedded::table("audited-requests"));

/// The policy that the API server reads.
struct FoundPolicy {
    policy: AuditPolicy,
    file: String,
    /// Evidence of the flag that names the file.
    flag: Vec<Evidence>,
}

/// Checks that there is an audit policy that records requests, and a log or webhook for its events (3.2.1).
pub(super) fn check_policy(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "the API server has an audit policy that records, and a log for it";
    let found = match find(facts, expected)? {
        Ok(found) => found,
        Err(result) => return Ok(result),
    };
    let log = flag::check_by_name(facts, SERVER, "audit-log-path", Must::BeSet(true))?;
    let webhook = flag::check_by_name(facts, SERVER, "audit-webhook-config-file", Must::BeSet(true))?;
    let position = found.policy.position;
    let mut evidence = found.flag.clone();
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

/// Checks that the policy records the key security concerns, and no secrets (3.2.2).
pub(super) fn check_coverage(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    let expected = "metadata of every request for Secrets, ConfigMaps and TokenReviews, and no bodies of them; of every change of Pods and Deployments; of exec, attach, portforward and proxy";
    let found = match find(facts, expected)? {
        Ok(found) => found,
        Err(result) => return Ok(result),
    };
    let policy = &found.policy;
    let (mut gaps, mut evidence) = (Vec::new(), found.flag.clone());
    for request in AUDITED_REQUESTS.iter() {
        let name = [request.resource.as_str(), &request.subresource].join("/");
        let name = name.trim_end_matches('/');
        let decided: Vec<(&str, Option<&AuditRule>)> = request
            .verbs
            .iter()
            .map(|verb| {
                (verb.as_str(), policy.rules.iter().find(|rule| rule.matches(&request.with_verb(verb))))
            })
            .collect();
        let is_unrecorded =
            |(_, rule): &&(&str, Option<&AuditRule>)| rule.is_none_or(|rule| !policy.is_recorded(rule));
        let unrecorded: Vec<_> = decided.iter().filter(is_unrecorded).collect();
        if let Some((_, rule)) = unrecorded.first() {
            let verbs: Vec<&str> = unrecorded.iter().map(|(verb, _)| *verb).collect();
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
        evidence.push(found.evidence(
            &format!("all {} kinds of requests are recorded", AUDITED_REQUESTS.len()),
            policy.position,
        ));
        return Ok(RuleResult::met(true, expected, "all of it is recorded", evidence));
    }
    Ok(RuleResult::met(
        false,
        expected,
        format!("not recorded as it should be: {}", gaps.join("; ")),
        evidence,
    ))
}

/// Finds the policy that the API server reads; without one, returns the result of the check.
fn find(facts: &NodeFacts<'_>, expected: &str) -> Result<std::result::Result<FoundPolicy, RuleResult>> {
    let (path, bytes, flag) = match FlagFile::read(facts, SERVER, "audit-policy-file", expected)? {
        FlagFile::Found { path, bytes, evidence } => (path, bytes, evidence),
        FlagFile::Missing(result) => return Ok(Err(result)),
    };
    match audit_policy::read(&bytes, facts.node.minor()).map_err(|refusal| refusal.fault) {
        Ok(policy) => Ok(Ok(FoundPolicy { policy, file: path.to_string(), flag })),
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
