// SPDX-License-Identifier: Apache-2.0
//! Whether an audit policy records at least what another one records.
//!
//! The first rule that matches a request decides. A rule is held against every rule of the other policy that may decide one of
//! its requests; where it is not certain that two rules have no request in common, they count as if they had.

use super::audit_policy::{
    AuditLevel, AuditPolicy, AuditReach, AuditRequest, AuditResources, AuditRule, LEVELS,
};

/// The stages without which the end of a request is not recorded.
const LAST_STAGES: [&str; 2] = ["ResponseComplete", "Panic"];

/// A rule that may record less of a request than the other policy does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeakerRule {
    /// The number of the rule, from 0.
    pub index: usize,
    /// Its level.
    pub level: AuditLevel,
    /// The highest level of the other policy for a request that it may match.
    pub other: AuditLevel,
    /// Whether it leaves out a stage that ends a request.
    pub omits_end: bool,
}

/// Returns the name of a level.
#[must_use]
pub fn level_name(level: AuditLevel) -> &'static str {
    LEVELS.iter().find(|(_, known)| *known == level).map_or("", |(name, _)| name)
}

/// Returns the rules of a policy that may record less than `other` does.
#[must_use]
pub fn weaker_rules(policy: &AuditPolicy, other: &AuditPolicy) -> Vec<WeakerRule> {
    let mut weaker = Vec::new();
    for (index, rule) in policy.rules.iter().enumerate() {
        let mut highest = AuditLevel::None;
        let mut omits_end = false;
        for theirs in other.rules.iter().filter(|theirs| may_overlap(rule, theirs)) {
            highest = highest.max(theirs.level);
            omits_end |= theirs.level > AuditLevel::None
                && LAST_STAGES.iter().any(|stage| {
                    omits(&policy.omit_stages, rule, stage) && !omits(&other.omit_stages, theirs, stage)
                });
            if covers(theirs, rule) {
                break;
            }
        }
        if rule.level < highest || omits_end {
            weaker.push(WeakerRule { index, level: rule.level, other: highest, omits_end });
        }
        if rule.matches_every_request() {
            break;
        }
    }
    weaker
}

/// Tells whether some requests match no rule of a policy: these are not recorded.
#[must_use]
pub fn leaves_requests(policy: &AuditPolicy) -> bool {
    !policy.rules.iter().any(AuditRule::matches_every_request)
}

/// Tells whether a policy records the body of a request of this kind.
#[must_use]
pub fn records_body(policy: &AuditPolicy, request: &AuditRequest<'_>) -> bool {
    for rule in &policy.rules {
        match rule.reach(request) {
            AuditReach::None => {}
            _ if rule.level >= AuditLevel::Request => return true,
            AuditReach::All => return false,
            AuditReach::Some => {}
        }
    }
    false
}

fn omits(all: &[String], rule: &AuditRule, stage: &str) -> bool {
    all.iter().chain(&rule.omit_stages).any(|omitted| omitted == stage)
}

fn may_overlap(one: &AuditRule, other: &AuditRule) -> bool {
    let only_urls = |rule: &AuditRule| !rule.non_resource_urls.is_empty();
    let only_resources = |rule: &AuditRule| !rule.resources.is_empty() || !rule.namespaces.is_empty();
    if (only_urls(one) && only_resources(other)) || (only_urls(other) && only_resources(one)) {
        return false;
    }
    let verbs = |rule: &AuditRule| rule.verbs.iter().map(|verb| verb.value.clone()).collect::<Vec<_>>();
    if are_apart(&verbs(one), &verbs(other)) || are_apart(&one.namespaces, &other.namespaces) {
        return false;
    }
    if one.resources.is_empty() || other.resources.is_empty() {
        return true;
    }
    one.resources.iter().any(|one| other.resources.iter().any(|other| groups_overlap(one, other)))
}

/// Tells whether two lists, of which an empty one stands for everything, have nothing in common.
fn are_apart(one: &[String], other: &[String]) -> bool {
    let has_all = |names: &[String]| names.is_empty() || names.iter().any(|name| name.contains('*'));
    !has_all(one) && !has_all(other) && !one.iter().any(|name| other.contains(name))
}

fn groups_overlap(one: &AuditResources, other: &AuditResources) -> bool {
    let same_group = one.group == other.group || [&one.group, &other.group].iter().any(|group| *group == "*");
    same_group && !are_apart(&one.resources, &other.resources)
}

/// Tells whether `wide` certainly matches every request that `rule` matches.
fn covers(wide: &AuditRule, rule: &AuditRule) -> bool {
    let has_all = wide.users.is_empty()
        && wide.user_groups.is_empty()
        && wide.namespaces.is_empty()
        && wide.non_resource_urls.is_empty();
    let has_verbs = wide.verbs.is_empty()
        || !rule.verbs.is_empty()
            && rule.verbs.iter().all(|verb| wide.verbs.iter().any(|known| known.value == verb.value));
    let has_resources = wide.resources.is_empty()
        || !rule.resources.is_empty()
            && rule.resources.iter().all(|group| wide.resources.iter().any(|wide| group_covers(wide, group)));
    has_all && has_verbs && has_resources
}

fn group_covers(wide: &AuditResources, group: &AuditResources) -> bool {
    let has_resources = wide.resources.is_empty()
        || !group.resources.is_empty() && group.resources.iter().all(|name| wide.resources.contains(name));
    (wide.group == group.group || wide.group == "*") && wide.resource_names.is_empty() && has_resources
}

#[cfg(test)]
mod tests {
    use super::super::audit_policy;
    use super::*;
    use crate::version::KubernetesMinor;

    fn policy(rest: &str) -> AuditPolicy {
        let text = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\n{rest}\n");
        audit_policy::read(text.as_bytes(), KubernetesMinor::new(33)).unwrap()
    }

    fn weaker(rest: &str, other: &str) -> Vec<usize> {
        weaker_rules(&policy(rest), &policy(other)).into_iter().map(|rule| rule.index).collect()
    }

    const METADATA: &str = "rules: [{level: Metadata}]";
    const BODIES: &str = "rules: [{level: Metadata, resources: [{group: '', resources: [secrets]}]}, {level: Request, verbs: [create], resources: [{group: ''}, {group: apps}]}, {level: Metadata}]";

    #[test]
    fn a_rule_that_may_record_less_is_named() {
        for (rest, other, expected) in [
            (METADATA, METADATA, vec![]),
            ("rules: [{level: RequestResponse}]", METADATA, vec![]),
            ("rules: [{level: None, users: [a]}, {level: Metadata}]", METADATA, vec![0]),
            ("omitStages: [RequestReceived]\nrules: [{level: Metadata}]", METADATA, vec![]),
            ("omitStages: [ResponseComplete]\nrules: [{level: Metadata}]", METADATA, vec![0]),
            ("rules: [{level: Metadata, omitStages: [Panic]}]", METADATA, vec![0]),
            // Nothing reaches a rule behind one for all.
            ("rules: [{level: Metadata}, {level: None}]", METADATA, vec![]),
            (METADATA, BODIES, vec![0]),
            ("rules: [{level: Metadata, verbs: [get]}, {level: Request}]", BODIES, vec![]),
            ("rules: [{level: Metadata, nonResourceURLs: ['/x']}, {level: Request}]", BODIES, vec![]),
            ("rules: [{level: Metadata, resources: [{group: batch}]}, {level: Request}]", BODIES, vec![]),
            ("rules: [{level: Metadata, resources: [{group: apps}]}, {level: Request}]", BODIES, vec![0]),
            // The first rule of the other decides it alone.
            (
                "rules: [{level: Metadata, resources: [{group: '', resources: [secrets]}]}, {level: Request}]",
                BODIES,
                vec![],
            ),
            (
                "rules: [{level: Metadata, resources: [{group: '', resources: [pods]}]}, {level: Request}]",
                BODIES,
                vec![0],
            ),
            (
                "rules: [{level: None, namespaces: [a]}, {level: Metadata}]",
                "rules: [{level: None, namespaces: [b]}, {level: Metadata}]",
                vec![0],
            ),
            (
                "rules: [{level: None, verbs: [get]}, {level: Metadata}]",
                "rules: [{level: None, verbs: [get, list]}, {level: Metadata}]",
                vec![],
            ),
        ] {
            assert_eq!(weaker(rest, other), expected, "{rest} against {other}");
        }
        assert!(!leaves_requests(&policy(METADATA)));
        assert!(leaves_requests(&policy("rules: [{level: Metadata, verbs: [get]}]")));
    }

    #[test]
    fn bodies_of_secrets_are_seen_whoever_asks() {
        let secrets = AuditRequest { verb: "get", group: "", resource: "secrets", subresource: "" };
        for (rest, expected) in [
            (METADATA, false),
            (BODIES, false),
            ("rules: [{level: Request}]", true),
            ("rules: [{level: Metadata, users: [a]}, {level: Request}]", true),
            ("rules: [{level: None}, {level: Request}]", false),
        ] {
            assert_eq!(records_body(&policy(rest), &secrets), expected, "{rest}");
        }
    }
}
