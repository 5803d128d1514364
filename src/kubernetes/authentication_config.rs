// SPDX-License-Identifier: Apache-2.0
//! The authentication configuration that the API server's flag `authentication-config` names.
//!
//! Source: pkg/apis/apiserver/validation of k8s.io/apiserver, and pkg/kubeapiserver/options/authentication.go of
//! Kubernetes. Expressions are judged as far as that goes without CEL's compiler.

use std::collections::HashSet;

use super::authentication_values::{has_certificate, key_fault, url_fault};
use super::cel::{self, CelResult, CelVariable, CelVerdict};
use super::config_fields;
use super::object::{self, ObjectFile, Position, Refusal};
use super::yaml::{YamlNode, YamlValue};
use crate::version::KubernetesMinor;

/// The feature gate without which the API server takes no such file.
pub const GATE: &str = "StructuredAuthenticationConfiguration";
/// The feature gate of the field `anonymous`.
pub const ANONYMOUS_GATE: &str = "AnonymousAuthConfigurableEndpoints";

const KIND: &str = "AuthenticationConfiguration";
/// The claim that an expression has to look at beside that of the address.
const EMAIL_VERIFIED: &str = "email_verified";
/// The first minor that takes several issuers and audiences, and none.
const SEVERAL_FROM: KubernetesMinor = KubernetesMinor::new(30);
/// The most issuers.
const MAX_ISSUERS: usize = 64;

/// A configuration that the API server accepts, unless an expression of `unknown` does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationConfig {
    /// What it says about anonymous requests; none where it says nothing, so that the flag `anonymous-auth` counts.
    pub anonymous: Option<AnonymousAccess>,
    /// The positions of expressions that only CEL's compiler can judge.
    pub unknown: Vec<Position>,
    /// The position of a second document, which is not read.
    pub second_document: Option<Position>,
}

/// Which anonymous requests are let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnonymousAccess {
    /// Whether any are.
    pub enabled: bool,
    /// The paths to which they are limited; all paths where it is empty.
    pub paths: Vec<String>,
    /// The position of the field.
    pub position: Position,
}

/// Why the API server refuses a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthenticationRefusal {
    /// It is empty, no YAML or JSON, or a field has the wrong type.
    Syntax,
    /// Its API version or kind is another.
    Version,
    /// A field is unknown or there twice.
    Field,
    /// An issuer.
    Issuer,
    /// A rule or a mapping of claims.
    Claims,
    /// The field `anonymous`.
    Anonymous,
}

/// What the flags say that the file depends on.
#[derive(Debug, Clone, Copy)]
pub struct AuthenticationFlags<'a> {
    /// Whether [`ANONYMOUS_GATE`] is on.
    pub anonymous_gate: bool,
    /// The issuers of service accounts' tokens, which no issuer of the file may be.
    pub service_account_issuers: &'a [String],
}

/// The variables and types of expressions: `ReturnTypes` in pkg/authentication/cel of k8s.io/apiserver.
const CLAIMS_VALUE: (CelVariable, CelResult) = (CelVariable::Claims, CelResult::Any);
const CLAIMS_RULE: (CelVariable, CelResult) = (CelVariable::Claims, CelResult::Bool);
const USER_RULE: (CelVariable, CelResult) = (CelVariable::User, CelResult::Bool);

type Validated<T = ()> = Result<T, Refusal<AuthenticationRefusal>>;

/// Reads a configuration as the API server of a minor reads it.
///
/// # Errors
/// Why the API server refuses it.
pub fn read(
    bytes: &[u8],
    minor: KubernetesMinor,
    flags: AuthenticationFlags<'_>,
) -> Validated<AuthenticationConfig> {
    let syntax = || Refusal::with_reason(AuthenticationRefusal::Syntax);
    if bytes.is_empty() {
        return Err(Refusal::new(AuthenticationRefusal::Syntax, (1, 1), "empty config data"));
    }
    let document = ObjectFile::read(bytes).map_err(syntax())?;
    document.kind().map_err(syntax())?;
    document
        .expect(&config_fields::registered(KIND, minor))
        .map_err(Refusal::with_reason(AuthenticationRefusal::Version))?;
    let dropped = config_fields::decode_file(&document, minor).map_err(syntax())?.unknown;
    object::refuse_dropped(&dropped).map_err(Refusal::with_reason(AuthenticationRefusal::Field))?;
    let root = &document.root;
    let unknown = Validation { minor, flags, unknown: Vec::new() }.check(root)?;
    let anonymous = object::field(root, "anonymous").map(|node| AnonymousAccess {
        enabled: is_true(node, "enabled"),
        paths: object::items(node, "conditions")
            .iter()
            .map(|condition| object::text(condition, "path").to_owned())
            .collect(),
        position: node.position,
    });
    Ok(AuthenticationConfig { anonymous, unknown, second_document: document.second_document })
}

fn is_true(node: &YamlNode, name: &str) -> bool {
    object::field(node, name).is_some_and(|value| value.go_text() == "true")
}

/// `ValidateAuthenticationConfiguration`.
struct Validation<'a> {
    minor: KubernetesMinor,
    flags: AuthenticationFlags<'a>,
    unknown: Vec<Position>,
}

fn refuse<T>(
    reason: AuthenticationRefusal,
    node: &YamlNode,
    name: &str,
    path: &str,
    why: &str,
) -> Validated<T> {
    let position = object::position_of(node, name);
    let path = if name.is_empty() { path.to_owned() } else { format!("{path}.{name}") };
    Err(Refusal::new(reason, position, format!("{path}: {why}")))
}

impl Validation<'_> {
    fn check(mut self, root: &YamlNode) -> Validated<Vec<Position>> {
        let issuers = object::items(root, "jwt");
        let most = if self.minor < SEVERAL_FROM { 1 } else { MAX_ISSUERS };
        let position = object::position_of(root, "jwt");
        if self.minor < SEVERAL_FROM && issuers.is_empty() {
            let message = "jwt: Required value: at least one jwt is required";
            return Err(Refusal::new(AuthenticationRefusal::Issuer, position, message));
        }
        if issuers.len() > most {
            let message = format!("jwt: Too many: {}: must have at most {most} items", issuers.len());
            return Err(Refusal::new(AuthenticationRefusal::Issuer, position, message));
        }
        let (mut seen, mut seen_discovery) = (HashSet::new(), HashSet::new());
        for (index, jwt) in issuers.iter().enumerate() {
            let path = format!("jwt[{index}]");
            let nothing = YamlNode { value: YamlValue::Map(Vec::new()), position: jwt.position };
            let issuer = object::field(jwt, "issuer").unwrap_or(&nothing);
            let path_of_issuer = format!("{path}.issuer");
            self.check_issuer(issuer, &path_of_issuer)?;
            let url = object::text(issuer, "url");
            let discovery = object::text(issuer, "discoveryURL");
            for (name, text, seen) in
                [("url", url, &mut seen), ("discoveryURL", discovery, &mut seen_discovery)]
            {
                if !text.is_empty() && !seen.insert(text.to_owned()) {
                    let why = format!("Duplicate value: {text:?}");
                    return refuse(AuthenticationRefusal::Issuer, issuer, name, &path_of_issuer, &why);
                }
            }
            let verified = self.check_claim_rules(jwt, &path)?;
            let mappings = object::field(jwt, "claimMappings").unwrap_or(&nothing);
            self.check_mappings(mappings, &format!("{path}.claimMappings"), verified)?;
            self.check_user_rules(jwt, &path)?;
        }
        if let Some(anonymous) = object::field(root, "anonymous") {
            let reason = AuthenticationRefusal::Anonymous;
            if !self.flags.anonymous_gate {
                let why = format!(
                    "Forbidden: anonymous is not supported when {ANONYMOUS_GATE} feature gate is disabled"
                );
                return refuse(reason, anonymous, "", "anonymous", &why);
            }
            if !is_true(anonymous, "enabled") && !object::items(anonymous, "conditions").is_empty() {
                let why = "Invalid value: enabled should be set to true when conditions are defined";
                return refuse(reason, anonymous, "conditions", "anonymous", why);
            }
        }
        Ok(self.unknown)
    }

    fn check_issuer(&self, issuer: &YamlNode, path: &str) -> Validated {
        let wrong = |name: &str, why: &str| refuse(AuthenticationRefusal::Issuer, issuer, name, path, why);
        let url = object::text(issuer, "url");
        if url.is_empty() {
            return wrong("url", "Required value");
        }
        if self.minor >= SEVERAL_FROM && self.flags.service_account_issuers.iter().any(|known| known == url) {
            let known = self.flags.service_account_issuers.join(" ");
            let why =
                format!("Invalid value: {url:?}: URL must not overlap with disallowed issuers: [{known}]");
            return wrong("url", &why);
        }
        if let Some(why) = url_fault(url) {
            return wrong("url", &why);
        }
        let discovery = object::text(issuer, "discoveryURL");
        if !discovery.is_empty() {
            if url.trim_end_matches('/') == discovery.trim_end_matches('/') {
                let why = format!("Invalid value: {discovery:?}: discoveryURL must be different from URL");
                return wrong("discoveryURL", &why);
            }
            if let Some(why) = url_fault(discovery) {
                return wrong("discoveryURL", &why);
            }
        }
        self.check_audiences(issuer, path)?;
        let authority = object::text(issuer, "certificateAuthority");
        if !authority.is_empty() && !has_certificate(authority) {
            let why =
                "Invalid value: \"<omitted>\": data does not contain any valid RSA or ECDSA certificates";
            return wrong("certificateAuthority", why);
        }
        match object::text(issuer, "egressSelectorType") {
            "" | "controlplane" | "cluster" => Ok(()),
            other => wrong(
                "egressSelectorType",
                &format!("Invalid value: {other:?}: egress selector must be either controlplane or cluster"),
            ),
        }
    }

    fn check_audiences(&self, issuer: &YamlNode, path: &str) -> Validated {
        let reason = AuthenticationRefusal::Issuer;
        let audiences = object::items(issuer, "audiences");
        if audiences.is_empty() {
            let why = format!("Required value: at least one {path}.audiences is required");
            return refuse(reason, issuer, "audiences", path, &why);
        }
        if self.minor < SEVERAL_FROM && audiences.len() > 1 {
            let why = format!("Too many: {}: must have at most 1 items", audiences.len());
            return refuse(reason, issuer, "audiences", path, &why);
        }
        let mut seen = HashSet::new();
        for (index, audience) in audiences.iter().enumerate() {
            let path = format!("{path}.audiences[{index}]");
            let text = object::node_text(audience);
            if text.is_empty() {
                return refuse(reason, audience, "", &path, "Required value");
            }
            if !seen.insert(text) {
                return refuse(reason, audience, "", &path, &format!("Duplicate value: {text:?}"));
            }
        }
        let policy = object::text(issuer, "audienceMatchPolicy");
        let why = match (audiences.len(), policy) {
            (_, "MatchAny") | (1, "") => return Ok(()),
            (1, _) => "audienceMatchPolicy must be empty or MatchAny for single audience",
            _ => "audienceMatchPolicy must be MatchAny for multiple audiences",
        };
        let why = format!("Invalid value: {policy:?}: {why}");
        refuse(reason, issuer, "audienceMatchPolicy", path, &why)
    }

    /// Returns whether a rule looks at the claim `email_verified`.
    fn check_claim_rules(&mut self, jwt: &YamlNode, path: &str) -> Validated<bool> {
        let reason = AuthenticationRefusal::Claims;
        let (mut claims, mut expressions) = (HashSet::new(), HashSet::new());
        for (index, rule) in object::items(jwt, "claimValidationRules").iter().enumerate() {
            let path = format!("{path}.claimValidationRules[{index}]");
            let wrong = |name: &str, why: &str| refuse(reason, rule, name, &path, why);
            let (claim, expression) = (object::text(rule, "claim"), object::text(rule, "expression"));
            match (claim.is_empty(), expression.is_empty()) {
                (false, false) => return wrong("", "Invalid value: claim and expression can't both be set"),
                (true, true) => return wrong("", "Required value: claim or expression is required"),
                (false, true) => {
                    if !object::text(rule, "message").is_empty() {
                        return wrong("message", "Invalid value: may not be specified when claim is set");
                    }
                    if !claims.insert(claim) {
                        return wrong("claim", &format!("Duplicate value: {claim:?}"));
                    }
                }
                (true, false) => {
                    if !object::text(rule, "requiredValue").is_empty() {
                        let why = "Invalid value: may not be specified when expression is set";
                        return wrong("requiredValue", why);
                    }
                    if !expressions.insert(expression) {
                        return wrong("expression", &format!("Duplicate value: {expression:?}"));
                    }
                    self.check_expression((rule, "expression"), &path, CLAIMS_RULE)?;
                }
            }
        }
        Ok(expressions.iter().any(|expression| cel::selects(expression, "claims", EMAIL_VERIFIED)))
    }

    fn check_user_rules(&mut self, jwt: &YamlNode, path: &str) -> Validated {
        let mut seen = HashSet::new();
        for (index, rule) in object::items(jwt, "userValidationRules").iter().enumerate() {
            let path = format!("{path}.userValidationRules[{index}]");
            let expression = object::text(rule, "expression");
            let why = if expression.is_empty() {
                "Required value".to_owned()
            } else if !seen.insert(expression) {
                format!("Duplicate value: {expression:?}")
            } else {
                self.check_expression((rule, "expression"), &path, USER_RULE)?;
                continue;
            };
            return refuse(AuthenticationRefusal::Claims, rule, "expression", &path, &why);
        }
        Ok(())
    }

    /// `validateClaimMappings`; `verified` tells whether a rule looks at the claim `email_verified`.
    fn check_mappings(&mut self, mappings: &YamlNode, path: &str, verified: bool) -> Validated {
        let reason = AuthenticationRefusal::Claims;
        let nothing = YamlNode { value: YamlValue::Map(Vec::new()), position: mappings.position };
        for (name, is_required) in [("username", true), ("groups", false)] {
            let mapping = object::field(mappings, name).unwrap_or(&nothing);
            self.check_prefixed(mapping, &format!("{path}.{name}"), is_required)?;
        }
        let uid = object::field(mappings, "uid").unwrap_or(&nothing);
        let expression = object::text(uid, "expression");
        if !expression.is_empty() {
            if !object::text(uid, "claim").is_empty() {
                let why = "Invalid value: claim and expression can't both be set";
                return refuse(reason, mappings, "uid", path, why);
            }
            self.check_expression((uid, "expression"), &format!("{path}.uid"), CLAIMS_VALUE)?;
        }
        let mut verified = verified;
        let mut keys = HashSet::new();
        for (index, mapping) in object::items(mappings, "extra").iter().enumerate() {
            let path = format!("{path}.extra[{index}]");
            let key = object::text(mapping, "key");
            let why = match key_fault(key) {
                Some(why) => Some(why),
                None if !keys.insert(key) => Some(format!("Duplicate value: {key:?}")),
                None => None,
            };
            if let Some(why) = why {
                return refuse(reason, mapping, "key", &path, &why);
            }
            let expression = object::text(mapping, "valueExpression");
            if expression.is_empty() {
                return refuse(reason, mapping, "valueExpression", &path, "Required value");
            }
            verified |= cel::selects(expression, "claims", EMAIL_VERIFIED);
            self.check_expression((mapping, "valueExpression"), &path, CLAIMS_VALUE)?;
        }
        let username = object::field(mappings, "username").unwrap_or(&nothing);
        let expression = object::text(username, "expression");
        verified |= cel::selects(expression, "claims", EMAIL_VERIFIED);
        if cel::selects(expression, "claims", "email") && !verified && self.minor >= SEVERAL_FROM {
            let why = "Invalid value: claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression";
            return refuse(reason, username, "expression", &format!("{path}.username"), why);
        }
        Ok(())
    }

    /// `validatePrefixClaimOrExpression`.
    fn check_prefixed(&mut self, mapping: &YamlNode, path: &str, is_required: bool) -> Validated {
        let wrong = |name: &str, why: &str| refuse(AuthenticationRefusal::Claims, mapping, name, path, why);
        let has = |name: &str| !object::text(mapping, name).is_empty();
        match (has("claim"), has("expression")) {
            (true, true) => wrong("", "Invalid value: claim and expression can't both be set"),
            (false, false) if is_required => wrong("", "Required value: claim or expression is required"),
            (false, false) => Ok(()),
            (false, true) if object::field(mapping, "prefix").is_some() => {
                wrong("prefix", "Invalid value: may not be specified when expression is set")
            }
            (false, true) => self.check_expression((mapping, "expression"), path, CLAIMS_VALUE),
            (true, false) if object::field(mapping, "prefix").is_none() => wrong(
                "prefix",
                "Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing",
            ),
            (true, false) => Ok(()),
        }
    }

    fn check_expression(
        &mut self,
        (node, name): (&YamlNode, &str),
        path: &str,
        (variable, wanted): (CelVariable, CelResult),
    ) -> Validated {
        let text = object::text(node, name);
        match cel::judge(text, variable, wanted) {
            CelVerdict::Compiles => Ok(()),
            CelVerdict::Unknown => {
                self.unknown.push(object::position_of(node, name));
                Ok(())
            }
            CelVerdict::Fails(why) => {
                let why = format!("Invalid value: {text:?}: compilation failed: {why}");
                refuse(AuthenticationRefusal::Claims, node, name, path, &why)
            }
        }
    }
}
