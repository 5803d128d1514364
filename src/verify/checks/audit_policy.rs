// SPDX-License-Identifier: Apache-2.0
//! Checks the audit policy: whether the API server has a policy that records requests (3.2.1), and whether the policy
//! covers the key security concerns (3.2.2). The first rule that matches a request decides, so that a rule which leaves out
//! what some users do, or what is done in some namespaces, is a gap as well.

use std::sync::LazyLock;

use serde::Deserialize;

use super::flag;
use super::flag_file::FlagFile;
use crate::embedded;
use crate::error::{Place, Result};
use crate::kubernetes::audit_policy::{self, AuditLevel, AuditPolicy, AuditReach, AuditRequest, AuditRule};
use crate::kubernetes::object::Position;
use crate::verify::evidence::Evidence;
use crate::verify::facts::NodeFacts;
use crate::verify::must::Must;
use crate::verify::rule_result::{RuleOutcome, RuleResult};

const SERVER: &str = "kube-apiserver";

/// Requests, reduced to what a policy matches (data/audited-requests.yaml). The user is any authenticated user.
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

/// What a policy without a log and without a webhook comes to.
const NO_LOG: &str = "the policy has no log";

/// Where the events of the API server go: into a log, or to a webhook.
struct AuditSink {
    is_there: bool,
    /// Evidence of the flag that names it, or that nothing does.
    evidence: Vec<Evidence>,
}

impl AuditSink {
    fn find(facts: &NodeFacts<'_>) -> Result<Self> {
        let log = flag::check_by_name(facts, SERVER, "audit-log-path", Must::BeSet(true))?;
        let webhook = flag::check_by_name(facts, SERVER, "audit-webhook-config-file", Must::BeSet(true))?;
        let is_webhook = log.outcome != RuleOutcome::Met && webhook.outcome == RuleOutcome::Met;
        let evidence = if is_webhook { webhook.evidence } else { log.evidence };
        Ok(Self { is_there: is_webhook || log.outcome == RuleOutcome::Met, evidence })
    }
}

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
    let sink = AuditSink::find(facts)?;
    let position = found.policy.position;
    let mut evidence = found.flag.clone();
    let actual = if !found.policy.records() {
        evidence.push(found.evidence("no rule of it records anything", position));
        "the policy records nothing"
    } else if !sink.is_there {
        evidence.extend(sink.evidence);
        NO_LOG
    } else {
        evidence.push(found.evidence(&format!("it has {} rules", found.policy.rules.len()), position));
        evidence.extend(sink.evidence);
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
    let sink = AuditSink::find(facts)?;
    if !sink.is_there {
        evidence.extend(sink.evidence);
        return Ok(RuleResult::met(false, expected, NO_LOG, evidence));
    }
    for request in AUDITED_REQUESTS.iter() {
        let name = [request.resource.as_str(), &request.subresource].join("/");
        let name = name.trim_end_matches('/');
        let decided: Vec<Decided<'_>> =
            request.verbs.iter().map(|verb| Decided::of(policy, &request.with_verb(verb), verb)).collect();
        let unrecorded: Vec<&Decided<'_>> = decided.iter().filter(|decided| decided.is_unrecorded).collect();
        if let Some(first) = unrecorded.first() {
            let verbs: Vec<&str> = unrecorded.iter().map(|decided| decided.verb).collect();
            let of_some = if first.is_of_some { " of some users, namespaces or objects" } else { "" };
            gaps.push(format!("{name} ({}{of_some})", verbs.join(", ")));
            evidence.push(found.evidence(
                &format!("{} of {name}{of_some} is not recorded", verbs.join(", ")),
                first.lost_by.map_or(policy.position, |rule| rule.position),
            ));
        }
        if let (true, Some(rule)) = (request.secret, decided.iter().find_map(|decided| decided.bodies_by)) {
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

/// What a policy does with the requests of a kind with one verb.
struct Decided<'p> {
    verb: &'p str,
    /// Whether some of them are not recorded.
    is_unrecorded: bool,
    /// Whether it is not all of them.
    is_of_some: bool,
    /// The rule by which they are not; none if no rule matches them.
    lost_by: Option<&'p AuditRule>,
    /// The rule by which some are recorded with their bodies.
    bodies_by: Option<&'p AuditRule>,
}

impl<'p> Decided<'p> {
    /// Goes through the rules up to the one that matches whatever the others left.
    fn of(policy: &'p AuditPolicy, request: &AuditRequest<'_>, verb: &'p str) -> Self {
        let mut decided =
            Self { verb, is_unrecorded: false, is_of_some: false, lost_by: None, bodies_by: None };
        for rule in &policy.rules {
            let reach = rule.reach(request);
            if reach == AuditReach::None {
                continue;
            }
            if !policy.is_recorded(rule) {
                if decided.lost_by.is_none() {
                    decided.is_of_some = reach == AuditReach::Some;
                    decided.lost_by = Some(rule);
                }
                decided.is_unrecorded = true;
            } else if rule.level >= AuditLevel::Request {
                decided.bodies_by.get_or_insert(rule);
            }
            if reach == AuditReach::All {
                return decided;
            }
        }
        // What no rule matches is not recorded.
        decided.is_unrecorded = true;
        decided
    }
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
