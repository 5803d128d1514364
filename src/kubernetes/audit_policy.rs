// SPDX-License-Identifier: Apache-2.0
//! The audit policy that the API server's flag `audit-policy-file` names.
//!
//! Source: pkg/audit/policy/reader.go, pkg/apis/audit/validation and pkg/audit/policy/checker.go of k8s.io/apiserver.

use super::config_fields;
use super::names;
use super::object::{self, Fault, Located, ObjectFile, Position, Refusal};
use super::yaml::YamlNode;
use crate::version::KubernetesMinor;

const KIND: &str = "Policy";
/// The levels of a rule (`Level` in pkg/apis/audit/v1/types.go).
pub const LEVELS: [(&str, AuditLevel); 4] = [
    ("None", AuditLevel::None),
    ("Metadata", AuditLevel::Metadata),
    ("Request", AuditLevel::Request),
    ("RequestResponse", AuditLevel::RequestResponse),
];
/// The stages of a request (`Stage` in pkg/apis/audit/v1/types.go).
pub const STAGES: [&str; 4] = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"];
/// The stages that every request has: `ResponseStarted` is only of long-running ones, `Panic` of none that goes well.
const STAGES_OF_EVERY_REQUEST: [&str; 2] = ["RequestReceived", "ResponseComplete"];
/// The verbs of a request for a resource (pkg/endpoints/request/requestinfo.go), and the HTTP methods of any other
/// request, in lower case.
pub const VERBS: [&str; 15] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "proxy",
    "connect",
    "head",
    "post",
    "put",
    "options",
    "trace",
];
/// The first minor whose rules may name every API group as `*` (k8s.io/apiserver v0.36, validation.go).
const EVERY_GROUP_FROM: KubernetesMinor = KubernetesMinor::new(36);
/// The first minor that warns of fields that it drops (k8s.io/apiserver v0.26, reader.go).
const WARNS_OF_DROPPED_FROM: KubernetesMinor = KubernetesMinor::new(26);

/// A policy that the API server accepts.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPolicy {
    /// The rules, in order: the first that matches a request decides.
    pub rules: Vec<AuditRule>,
    /// Stages that no rule records.
    pub omit_stages: Vec<String>,
    /// The position of the policy.
    pub position: Position,
    /// The position of its rules.
    pub rules_position: Position,
    /// Fields that are unknown or there twice: the API server warns of them and drops them.
    pub dropped: Vec<Fault>,
    /// The position of a second document, which is not read.
    pub second_document: Option<Position>,
}

/// A rule of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRule {
    /// How much of a request is recorded.
    pub level: AuditLevel,
    /// The users that it matches; empty: all.
    pub users: Vec<String>,
    /// The groups that it matches; empty: all.
    pub user_groups: Vec<String>,
    /// The verbs that it matches; empty: all.
    pub verbs: Vec<Located<String>>,
    /// The resources that it matches; empty: all, unless it has URLs.
    pub resources: Vec<AuditResources>,
    /// The namespaces that it matches; empty: all.
    pub namespaces: Vec<String>,
    /// The URLs that it matches.
    pub non_resource_urls: Vec<String>,
    /// Stages that it does not record.
    pub omit_stages: Vec<String>,
    /// Its position.
    pub position: Position,
}

/// Resources of one API group (`GroupResources`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditResources {
    /// The API group; empty for the core group.
    pub group: String,
    /// The resources; empty: all of the group.
    pub resources: Vec<String>,
    /// The names of objects; empty: all.
    pub resource_names: Vec<String>,
}

/// How much of a request is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuditLevel {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// Its body too.
    Request,
    /// The body of the response too.
    RequestResponse,
}

/// The resources that are in no namespace, of those that anybody asks about.
const CLUSTER_SCOPED: [&str; 1] = ["tokenreviews"];

/// Requests of a kind: of any authenticated user, in any namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditRequest<'a> {
    /// The verb.
    pub verb: &'a str,
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The resource.
    pub resource: &'a str,
    /// The subresource; empty for the resource itself.
    pub subresource: &'a str,
}

/// Why the API server refuses a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditRefusal {
    /// It is no YAML or JSON.
    Syntax,
    /// A field has the wrong type.
    Decoding,
    /// Its API version or kind is another.
    Version,
    /// The level of a rule.
    Level,
    /// A URL of a rule, or a rule with resources and URLs.
    Url,
    /// An API group of a rule.
    Group,
    /// A stage.
    Stage,
    /// It has no rules.
    NoRules,
}

type Validated<T = ()> = Result<T, Refusal<AuditRefusal>>;

/// Returns the API versions of a policy that the API server of a minor decodes, the current one first.
#[must_use]
pub fn versions(minor: KubernetesMinor) -> Vec<&'static str> {
    config_fields::registered(KIND, minor).into_iter().map(|(version, _)| version).collect()
}

/// Returns what the API server of a minor logs of a field that it drops; none for a minor that drops it silently.
#[must_use]
pub fn dropped_warning(dropped: &Fault, minor: KubernetesMinor) -> Option<String> {
    (minor >= WARNS_OF_DROPPED_FROM).then(|| {
        format!(
            "Audit policy contains errors, falling back to lenient decoding: strict decoding error: {}",
            dropped.message
        )
    })
}

/// Reads a policy as the API server of a minor reads it.
///
/// # Errors
/// Why the API server refuses it.
pub fn read(bytes: &[u8], minor: KubernetesMinor) -> Validated<AuditPolicy> {
    let document = ObjectFile::read(bytes).map_err(Refusal::with_reason(AuditRefusal::Syntax))?;
    let version = check_version(&document, minor)?;
    let decoded = config_fields::decode_file_as(&document, (&version, KIND), minor);
    let dropped = decoded.map_err(Refusal::with_reason(AuditRefusal::Decoding))?.unknown;
    let root = &document.root;
    check_stages(root, "omitStages")?;
    let mut rules = Vec::new();
    for (index, rule) in object::items(root, "rules").iter().enumerate() {
        rules.push(read_rule(rule, &format!("rules[{index}]"), minor)?);
    }
    let rules_position = object::position_of(root, "rules");
    if rules.is_empty() {
        return Err(Refusal::new(
            AuditRefusal::NoRules,
            rules_position,
            "loaded illegal policy with 0 rules",
        ));
    }
    Ok(AuditPolicy {
        rules,
        omit_stages: object::texts(root, "omitStages"),
        position: root.position,
        rules_position,
        dropped,
        second_document: document.second_document,
    })
}

fn check_version(document: &ObjectFile, minor: KubernetesMinor) -> Validated<String> {
    let (version, kind) = document.kind().map_err(Refusal::with_reason(AuditRefusal::Decoding))?;
    let is_policy = matches!(kind.as_str(), "" | KIND);
    let message = if is_policy && matches!(version.as_str(), "" | "/" | "audit.k8s.io/") {
        "unknown group version field audit.k8s.io/__internal, Kind=Policy in policy".to_owned()
    } else if is_policy && versions(minor).contains(&version.as_str()) {
        return Ok(version);
    } else {
        format!("failed decoding: no kind {kind:?} is registered for version {version:?}")
    };
    Err(Refusal::new(AuditRefusal::Version, object::position_of(&document.root, "apiVersion"), message))
}

/// Reads a rule with the checks of `validatePolicyRule`, in their order.
fn read_rule(rule: &YamlNode, path: &str, minor: KubernetesMinor) -> Validated<AuditRule> {
    let text = object::text(rule, "level");
    let Some((_, level)) = LEVELS.iter().find(|(name, _)| *name == text) else {
        let message = if text.is_empty() {
            format!("{path}.level: Required value")
        } else {
            let names = LEVELS.map(|(name, _)| format!("{name:?}")).join(", ");
            format!("{path}.level: Unsupported value: {text:?}: supported values: {names}")
        };
        return Err(Refusal::new(AuditRefusal::Level, object::position_of(rule, "level"), message));
    };
    let urls = object::items(rule, "nonResourceURLs");
    for (number, url) in urls.iter().enumerate() {
        check_url(url, &format!("{path}.nonResourceURLs[{number}]"))?;
    }
    let groups = object::items(rule, "resources");
    for group in groups {
        check_group(group, path, minor)?;
    }
    check_stages(rule, &format!("{path}.omitStages"))?;
    let namespaces = object::texts(rule, "namespaces");
    let has_resources = !groups.is_empty() || !namespaces.is_empty();
    if !urls.is_empty() && has_resources {
        let message = format!(
            "{path}.nonResourceURLs: Invalid value: rules cannot apply to both regular resources and non-resource URLs"
        );
        return Err(Refusal::new(AuditRefusal::Url, object::position_of(rule, "nonResourceURLs"), message));
    }
    let resources = |group: &YamlNode| AuditResources {
        group: object::text(group, "group").to_owned(),
        resources: object::texts(group, "resources"),
        resource_names: object::texts(group, "resourceNames"),
    };
    Ok(AuditRule {
        level: *level,
        users: object::texts(rule, "users"),
        user_groups: object::texts(rule, "userGroups"),
        verbs: object::located_texts(rule, "verbs"),
        resources: groups.iter().map(resources).collect(),
        namespaces,
        non_resource_urls: object::texts(rule, "nonResourceURLs"),
        omit_stages: object::texts(rule, "omitStages"),
        position: rule.position,
    })
}

fn check_stages(node: &YamlNode, path: &str) -> Validated {
    for (index, stage) in object::items(node, "omitStages").iter().enumerate() {
        let text = object::node_text(stage);
        if !STAGES.contains(&text) {
            let message =
                format!("{path}[{index}]: Invalid value: {text:?}: allowed stages are {}", STAGES.join(","));
            return Err(Refusal::new(AuditRefusal::Stage, stage.position, message));
        }
    }
    Ok(())
}

fn check_url(url: &YamlNode, path: &str) -> Validated {
    let text = object::node_text(url);
    let wrong = if text == "*" {
        return Ok(());
    } else if !text.starts_with('/') {
        "non-resource URL rules must begin with a '/' character"
    } else if text.as_bytes().split_last().is_some_and(|(_, before)| before.contains(&b'*')) {
        "non-resource URL wildcards '*' must be the final character of the rule"
    } else {
        return Ok(());
    };
    let message = format!("{path}: Invalid value: {text:?}: {wrong}");
    Err(Refusal::new(AuditRefusal::Url, url.position, message))
}

fn check_group(group: &YamlNode, path: &str, minor: KubernetesMinor) -> Validated {
    let refuse = |field: &str, message: String| {
        Err(Refusal::new(AuditRefusal::Group, object::position_of(group, field), message))
    };
    let name = object::text(group, "group");
    let is_every = name == "*" && minor >= EVERY_GROUP_FROM;
    if !name.is_empty() && !is_every && !names::is_subdomain(name) {
        return refuse(
            "group",
            format!(
                "{path}.resources.group: Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
            ),
        );
    }
    let has = |field| !object::items(group, field).is_empty();
    if has("resourceNames") && !has("resources") {
        let why = "Invalid value: using resourceNames requires at least one resource";
        return refuse("resourceNames", format!("{path}.resources.resourceNames: {why}"));
    }
    Ok(())
}

impl AuditPolicy {
    /// Tells whether the policy records any request.
    #[must_use]
    pub fn records(&self) -> bool {
        let last = self.rules.iter().position(AuditRule::matches_every_request);
        self.rules.iter().take(last.map_or(usize::MAX, |last| last + 1)).any(|rule| self.is_recorded(rule))
    }

    /// Tells whether the requests that one of its rules decides are recorded, at a stage that every request has.
    #[must_use]
    pub fn is_recorded(&self, rule: &AuditRule) -> bool {
        let omits = |stage: &str| {
            [&self.omit_stages, &rule.omit_stages].into_iter().flatten().any(|omitted| omitted == stage)
        };
        rule.level != AuditLevel::None && STAGES_OF_EVERY_REQUEST.iter().any(|stage| !omits(stage))
    }
}

/// Which of the requests of a kind a rule matches: whoever makes them, in whatever namespace, for an object of any name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuditReach {
    /// None of them.
    None,
    /// Those of some users, in some namespaces, or for some objects.
    Some,
    /// Those of every authenticated user.
    All,
}

impl AuditRule {
    /// Returns which of the requests of a kind the rule matches (`ruleMatches` in pkg/audit/policy/checker.go).
    #[must_use]
    pub fn reach(&self, request: &AuditRequest<'_>) -> AuditReach {
        let has = |names: &[String], name: &str| names.iter().any(|known| known == name);
        let has_verb = |name: &str| self.verbs.iter().any(|known| known.value == name);
        if !self.verbs.is_empty() && !has_verb(request.verb) && !has_verb("*") {
            return AuditReach::None;
        }
        // A request for a cluster-scoped kind names no namespace.
        let is_namespaced = !CLUSTER_SCOPED.contains(&request.resource);
        if !self.namespaces.is_empty() && !is_namespaced && !has(&self.namespaces, "") {
            return AuditReach::None;
        }
        let of_resources = match self.resources.is_empty() {
            true if self.non_resource_urls.is_empty() => AuditReach::All,
            true => AuditReach::None,
            false => {
                let reaches = self.resources.iter().map(|group| group.reach(request));
                reaches.max().unwrap_or(AuditReach::None)
            }
        };
        let is_everybody = self.users.is_empty()
            && (self.user_groups.is_empty() || has(&self.user_groups, "system:authenticated"));
        let is_everywhere = self.namespaces.is_empty() || !is_namespaced;
        match of_resources {
            AuditReach::All if !is_everybody || !is_everywhere => AuditReach::Some,
            other => other,
        }
    }

    /// Tells whether it matches every request.
    #[must_use]
    pub fn matches_every_request(&self) -> bool {
        self.users.is_empty()
            && self.user_groups.is_empty()
            && self.verbs.is_empty()
            && self.resources.is_empty()
            && self.namespaces.is_empty()
            && self.non_resource_urls.is_empty()
    }
}

impl AuditResources {
    fn reach(&self, request: &AuditRequest<'_>) -> AuditReach {
        // Only a policy of a minor that takes it has the group `*`.
        if !(self.group == request.group || self.group == "*") {
            return AuditReach::None;
        }
        let is_named = |pattern: &String| {
            let (resource, subresource) = pattern.split_once('/').unwrap_or((pattern, ""));
            match (resource, subresource) {
                ("*", "") => true,
                ("*", subresource) => subresource == request.subresource,
                // It matches the resource itself too, although the documentation excludes it.
                (resource, "*") => resource == request.resource,
                (resource, subresource) => resource == request.resource && subresource == request.subresource,
            }
        };
        if !self.resources.is_empty() && !self.resources.iter().any(is_named) {
            return AuditReach::None;
        }
        // Who makes an object names it in the body alone.
        let has_name = request.verb != "create" || !request.subresource.is_empty();
        match (self.resource_names.is_empty(), has_name) {
            (true, _) => AuditReach::All,
            (false, true) => AuditReach::Some,
            (false, false) => AuditReach::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: AuditRequest<'static> =
        AuditRequest { verb: "get", group: "", resource: "secrets", subresource: "" };

    fn reach(rule: &str, request: AuditRequest<'_>) -> AuditReach {
        let text = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{{level: None, {rule}}}]\n");
        read(text.as_bytes(), KubernetesMinor::new(36)).unwrap().rules[0].reach(&request)
    }

    #[test]
    fn a_rule_reaches_all_some_or_none_of_the_requests_of_a_kind() {
        for (rule, reached) in [
            ("verbs: [get]", AuditReach::All),
            ("userGroups: ['system:authenticated']", AuditReach::All),
            ("resources: [{group: '', resources: ['*']}]", AuditReach::All),
            ("userGroups: ['system:masters']", AuditReach::Some),
            ("users: [admin]", AuditReach::Some),
            ("namespaces: [kube-system]", AuditReach::Some),
            ("namespaces: ['']", AuditReach::Some),
            ("resources: [{group: '', resources: [secrets], resourceNames: [a]}]", AuditReach::Some),
            ("users: [a], verbs: [watch]", AuditReach::None),
            ("users: [a], resources: [{group: '', resources: [endpoints]}]", AuditReach::None),
            ("users: [a], resources: [{group: apps}]", AuditReach::None),
            ("users: [a], resources: [{group: '', resources: [secrets/status]}]", AuditReach::None),
            ("nonResourceURLs: ['/healthz*']", AuditReach::None),
        ] {
            assert_eq!(reach(rule, GET), reached, "{rule}");
        }
        let create = AuditRequest { verb: "create", ..GET };
        let named = "resources: [{group: '', resources: ['*'], resourceNames: [a]}]";
        assert_eq!(reach(named, create), AuditReach::None, "what is made has no name yet");
        let exec = AuditRequest { resource: "pods", subresource: "exec", ..create };
        assert_eq!(reach(named, exec), AuditReach::Some);
        let review = AuditRequest { group: "authentication.k8s.io", resource: "tokenreviews", ..create };
        assert_eq!(reach("namespaces: [kube-system]", review), AuditReach::None);
        assert_eq!(reach("namespaces: ['']", review), AuditReach::All);
    }
}
