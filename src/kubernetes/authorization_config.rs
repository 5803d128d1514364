// SPDX-License-Identifier: Apache-2.0
//! The authorization configuration that the API server's flag `authorization-config` names.
//!
//! Source: pkg/apis/apiserver/validation of k8s.io/apiserver, and pkg/kubeapiserver/authorizer/config.go of Kubernetes.
//! Expressions are judged as far as that goes without CEL's compiler.

use std::collections::HashSet;

use super::cel::{self, CelResult, CelVariable, CelVerdict};
use super::config_fields;
use super::names;
use super::object::{self, Located, ObjectFile, Position, Refusal};
use super::yaml::YamlNode;
use crate::version::KubernetesMinor;

/// The feature gate without which the API server takes no such file: off in 1.29, on from 1.30.
pub const GATE: &str = "StructuredAuthorizationConfiguration";
/// The authorizer that allows every request.
pub const ALWAYS_ALLOW: &str = "AlwaysAllow";
/// The authorizer that needs the file of the flag `authorization-policy-file`.
pub const ABAC: &str = "ABAC";

const KIND: &str = "AuthorizationConfiguration";
/// `AuthorizationModeChoices` in pkg/kubeapiserver/authorizer/modes, sorted.
const TYPES: [&str; 6] = [ABAC, "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", WEBHOOK];
/// The one type that may be there several times.
const WEBHOOK: &str = "Webhook";
/// The longest timeout of a webhook, in nanoseconds.
const MAX_TIMEOUT: i128 = 30_000_000_000;
/// The most match conditions of a webhook.
const MAX_CONDITIONS: usize = 64;

/// A configuration that the API server accepts, unless an expression of `unknown` does not compile, or a kubeconfig
/// is no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationConfig {
    /// The types of the authorizers, in the order in which they decide.
    pub types: Vec<Located<String>>,
    /// The kubeconfigs of webhooks, which have to be files.
    pub kubeconfigs: Vec<Located<String>>,
    /// The positions of expressions that only CEL's compiler can judge.
    pub unknown: Vec<Position>,
    /// The position of a second document, which is not read.
    pub second_document: Option<Position>,
}

/// Why the API server refuses a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizationRefusal {
    /// It is no YAML or JSON, or a field has the wrong type.
    Syntax,
    /// Its API version or kind is another.
    Version,
    /// A field is unknown or there twice.
    Field,
    /// An authorizer, or there is none.
    Authorizer,
    /// A webhook.
    Webhook,
}

type Validated<T = ()> = Result<T, Refusal<AuthorizationRefusal>>;

/// Reads a configuration as the API server of a minor reads it.
///
/// # Errors
/// Why the API server refuses it.
pub fn read(bytes: &[u8], minor: KubernetesMinor) -> Validated<AuthorizationConfig> {
    let syntax = || Refusal::with_reason(AuthorizationRefusal::Syntax);
    if bytes.is_empty() {
        return Err(Refusal::new(AuthorizationRefusal::Authorizer, (1, 1), NO_AUTHORIZERS));
    }
    let document = ObjectFile::read(bytes).map_err(syntax())?;
    document.kind().map_err(syntax())?;
    document
        .expect(&config_fields::registered(KIND, minor))
        .map_err(Refusal::with_reason(AuthorizationRefusal::Version))?;
    let dropped = config_fields::decode_file(&document, minor).map_err(syntax())?.unknown;
    object::refuse_dropped(&dropped).map_err(Refusal::with_reason(AuthorizationRefusal::Field))?;
    let mut config = AuthorizationConfig {
        types: Vec::new(),
        kubeconfigs: Vec::new(),
        unknown: Vec::new(),
        second_document: document.second_document,
    };
    config.add_authorizers(&document.root)?;
    Ok(config)
}

const NO_AUTHORIZERS: &str = "authorizers: Required value: at least one authorization mode must be defined";

fn refuse<T>(
    reason: AuthorizationRefusal,
    node: &YamlNode,
    name: &str,
    path: &str,
    why: &str,
) -> Validated<T> {
    Err(Refusal::new(reason, object::position_of(node, name), format!("{path}.{name}: {why}")))
}

impl AuthorizationConfig {
    /// `ValidateAuthorizationConfiguration`, and the names of the built-in authorizers.
    fn add_authorizers(&mut self, root: &YamlNode) -> Validated {
        let authorizers = object::items(root, "authorizers");
        if authorizers.is_empty() {
            let position = object::position_of(root, "authorizers");
            return Err(Refusal::new(AuthorizationRefusal::Authorizer, position, NO_AUTHORIZERS));
        }
        let mut seen = HashSet::new();
        for (index, authorizer) in authorizers.iter().enumerate() {
            let path = format!("authorizers[{index}]");
            let wrong = |name: &str, why: &str| {
                refuse(AuthorizationRefusal::Authorizer, authorizer, name, &path, why)
            };
            let (kind, name) = (object::text(authorizer, "type"), object::text(authorizer, "name"));
            if kind.is_empty() {
                return wrong("type", "Required value");
            }
            if !TYPES.contains(&kind) {
                let known: Vec<String> = TYPES.iter().map(|known| format!("{known:?}")).collect();
                let why = format!("Unsupported value: {kind:?}: supported values: {}", known.join(", "));
                return wrong("type", &why);
            }
            if kind != WEBHOOK && self.types.iter().any(|known| known.value == kind) {
                return wrong("type", &format!("Duplicate value: {kind:?}"));
            }
            self.types
                .push(Located { value: kind.to_owned(), position: object::position_of(authorizer, "type") });
            if name.is_empty() {
                return wrong("name", "Required value");
            }
            if !seen.insert(name) {
                return wrong("name", &format!("Duplicate value: {name:?}"));
            }
            if !names::is_subdomain(name) {
                let why = format!(
                    "Invalid value: {name:?}: authorizer name is invalid: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
                );
                return wrong("name", &why);
            }
            match (kind, object::field(authorizer, "webhook")) {
                (WEBHOOK, None) => return wrong("webhook", "Required value: required when type=Webhook"),
                (WEBHOOK, Some(webhook)) => self.add_webhook(webhook, &path)?,
                (_, Some(_)) => {
                    let why = "Invalid value: \"non-null\": may only be specified when type=Webhook";
                    return wrong("webhook", why);
                }
                (_, None) if name != kind.to_lowercase() => {
                    let message = format!(
                        "expected name {} for authorizer {kind} instead of {name}",
                        kind.to_lowercase()
                    );
                    let position = object::position_of(authorizer, "name");
                    return Err(Refusal::new(AuthorizationRefusal::Authorizer, position, message));
                }
                (_, None) => {}
            }
        }
        Ok(())
    }

    /// `ValidateWebhookConfiguration`.
    fn add_webhook(&mut self, webhook: &YamlNode, path: &str) -> Validated {
        let wrong = |name: &str, why: &str| refuse(AuthorizationRefusal::Webhook, webhook, name, path, why);
        let timeout = object::duration(webhook, "timeout");
        if timeout == 0 {
            return wrong("timeout", "Required value");
        }
        if !(0..=MAX_TIMEOUT).contains(&timeout) {
            let text = object::text(webhook, "timeout");
            return wrong("timeout", &format!("Invalid value: {text:?}: must be > 0s and <= 30s"));
        }
        // 0 means the default.
        for name in ["authorizedTTL", "unauthorizedTTL"] {
            if object::duration(webhook, name) < 0 {
                let text = object::text(webhook, name);
                return wrong(name, &format!("Invalid value: {text:?}: must be > 0s"));
            }
        }
        let conditions = object::items(webhook, "matchConditions");
        let is_one_of = |name: &str, known: &[&str]| {
            let text = object::text(webhook, name);
            if text.is_empty() {
                return wrong(name, "Required value");
            }
            if known.contains(&text) {
                return Ok(());
            }
            let known: Vec<String> = known.iter().map(|known| format!("{known:?}")).collect();
            wrong(name, &format!("Unsupported value: {text:?}: supported values: {}", known.join(", ")))
        };
        is_one_of("subjectAccessReviewVersion", &["v1", "v1beta1"])?;
        let version = "matchConditionSubjectAccessReviewVersion";
        if !object::text(webhook, version).is_empty() {
            is_one_of(version, &["v1"])?;
        } else if !conditions.is_empty() {
            return wrong(version, "Required value: required if match conditions are specified");
        }
        is_one_of("failurePolicy", &["NoOpinion", "Deny"])?;
        self.add_connection(webhook, path)?;
        if conditions.len() > MAX_CONDITIONS {
            let why = format!("Too many: {}: must have at most {MAX_CONDITIONS} items", conditions.len());
            return wrong("matchConditions", &why);
        }
        self.check_conditions(conditions, path)
    }

    fn add_connection(&mut self, webhook: &YamlNode, path: &str) -> Validated {
        let wrong = |name: &str, why: &str| {
            let position = object::field(webhook, "connectionInfo")
                .map_or(webhook.position, |info| object::position_of(info, name));
            let message = format!("{path}.connectionInfo.{name}: {why}");
            Err(Refusal::new(AuthorizationRefusal::Webhook, position, message))
        };
        let info = object::field(webhook, "connectionInfo");
        let text = |name: &str| info.map_or("", |info| object::text(info, name));
        let file = text("kubeConfigFile");
        match text("type") {
            "" => wrong("type", "Required value"),
            "InClusterConfig" if info.is_some_and(|info| object::field(info, "kubeConfigFile").is_some()) => {
                let why = format!("Invalid value: {file:?}: can only be set when type=KubeConfigFile");
                wrong("kubeConfigFile", &why)
            }
            "InClusterConfig" => Ok(()),
            "KubeConfigFile" if file.is_empty() => wrong("kubeConfigFile", "Required value"),
            "KubeConfigFile" if !file.starts_with('/') => {
                wrong("kubeConfigFile", &format!("Invalid value: {file:?}: must be an absolute path"))
            }
            "KubeConfigFile" => {
                let position =
                    info.map_or(webhook.position, |info| object::position_of(info, "kubeConfigFile"));
                self.kubeconfigs.push(Located { value: file.to_owned(), position });
                Ok(())
            }
            other => {
                let known = "supported values: \"InClusterConfig\", \"KubeConfigFile\"";
                wrong("type", &format!("Unsupported value: {other:?}: {known}"))
            }
        }
    }

    fn check_conditions(&mut self, conditions: &[YamlNode], path: &str) -> Validated {
        let mut seen = HashSet::new();
        for (index, condition) in conditions.iter().enumerate() {
            let path = format!("{path}.matchConditions[{index}]");
            let text = object::text(condition, "expression");
            let why = if text.is_empty() {
                "Required value".to_owned()
            } else if !seen.insert(text) {
                format!("Duplicate value: {text:?}")
            } else {
                match cel::judge(text, CelVariable::Request, CelResult::Bool) {
                    CelVerdict::Compiles => continue,
                    CelVerdict::Unknown => {
                        self.unknown.push(object::position_of(condition, "expression"));
                        continue;
                    }
                    CelVerdict::Fails(why) => format!("Invalid value: {text:?}: compilation failed: {why}"),
                }
            };
            return refuse(AuthorizationRefusal::Webhook, condition, "expression", &path, &why);
        }
        Ok(())
    }
}
