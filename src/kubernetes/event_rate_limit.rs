// SPDX-License-Identifier: Apache-2.0
//! The configuration of the admission plugin EventRateLimit. Every minor reads it leniently.
//!
//! Source: plugin/pkg/admission/eventratelimit of Kubernetes.

use super::config_fields;
use super::object::{self, Fault, ObjectFile, Refusal};
use super::yaml::YamlNode;
use crate::version::KubernetesMinor;

const KIND: &str = "Configuration";
const GROUP: &str = "eventratelimit.admission.k8s.io";
/// What a limit counts events by (`LimitType` in apis/eventratelimit/v1alpha1/types.go).
pub const LIMIT_TYPES: [&str; 4] = ["Server", "Namespace", "User", "SourceAndObject"];
/// The message if there are no limits.
pub const NO_LIMITS: &str = "limits: Invalid value: null: must not be empty";

/// Why the API server refuses a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimitRefusal {
    /// It is no YAML or JSON, or a field has the wrong type.
    Syntax,
    /// Its API version or kind is another.
    Version,
    /// A limit, or there is none.
    Limits,
}

type Validated<T = ()> = Result<T, Refusal<RateLimitRefusal>>;

/// Checks a configuration as the API server does. Returns the fields that it drops.
///
/// # Errors
/// Why the API server refuses it.
pub fn read(document: &ObjectFile, minor: KubernetesMinor) -> Validated<Vec<Fault>> {
    let syntax = || Refusal::with_reason(RateLimitRefusal::Syntax);
    let root = &document.root;
    document.kind().map_err(syntax())?;
    document
        .expect(&config_fields::registered_in(GROUP, &[KIND], minor))
        .map_err(Refusal::with_reason(RateLimitRefusal::Version))?;
    let dropped = config_fields::decode_file(document, minor).map_err(syntax())?.unknown;
    let limits = object::items(root, "limits");
    if limits.is_empty() {
        return Err(Refusal::new(RateLimitRefusal::Limits, object::position_of(root, "limits"), NO_LIMITS));
    }
    for (index, limit) in limits.iter().enumerate() {
        check_limit(limit, &format!("limits[{index}]"))?;
    }
    Ok(dropped)
}

/// `ValidateConfiguration` in apis/eventratelimit/validation.
fn check_limit(limit: &YamlNode, path: &str) -> Validated {
    let refuse = |field: &str, why: String| {
        let position = object::position_of(limit, field);
        Err(Refusal::new(RateLimitRefusal::Limits, position, format!("{path}.{field}: {why}")))
    };
    let limit_type = object::text(limit, "type");
    if !LIMIT_TYPES.contains(&limit_type) {
        let supported = "\"Namespace\", \"User\", \"SourceAndObject\", \"Server\"";
        return refuse("type", format!("Unsupported value: {limit_type:?}: supported values: {supported}"));
    }
    for name in ["burst", "qps"] {
        let value = object::number(limit, name);
        if value <= 0 {
            return refuse(name, format!("Invalid value: {value}: must be positive"));
        }
    }
    let cache = object::number(limit, "cacheSize");
    if limit_type != "Server" && cache < 0 {
        return refuse("cacheSize", format!("Invalid value: {cache}: must not be negative"));
    }
    Ok(())
}
