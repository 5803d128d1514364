// SPDX-License-Identifier: Apache-2.0
//! The configuration of the admission plugin PodSecurity. Every minor reads it strictly.
//!
//! Source: admission/api of k8s.io/pod-security-admission.

use std::collections::HashSet;

use super::config_fields;
use super::names;
use super::object::{self, Located, ObjectFile, Position, Refusal};
use super::yaml::YamlNode;
use crate::version::KubernetesMinor;

const KIND: &str = "PodSecurityConfiguration";
/// The first minor in which the feature gate PodSecurity is locked on; in earlier ones it is beta and can be off.
const GATE_LOCKED_FROM: KubernetesMinor = KubernetesMinor::new(25);
/// The label of a namespace with the level that it enforces (`EnforceLevelLabel` in api/constants.go).
pub const ENFORCE_LABEL: &str = "pod-security.kubernetes.io/enforce";
/// The label of a namespace with the version of that level (`EnforceVersionLabel` in api/constants.go).
pub const ENFORCE_VERSION_LABEL: &str = "pod-security.kubernetes.io/enforce-version";
const MODES: [&str; 3] = ["enforce", "warn", "audit"];

/// A level of the Pod Security Standards (`Level` in api/constants.go), the strictest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodSecurityLevel {
    /// Any pod is admitted.
    Privileged,
    /// Pods with known privilege escalations are not admitted.
    Baseline,
    /// Only pods that are hardened are admitted.
    Restricted,
}

impl PodSecurityLevel {
    /// Every level, the strictest last.
    pub const ALL: [Self; 3] = [Self::Privileged, Self::Baseline, Self::Restricted];

    /// Returns the name of the level.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }

    /// Reads the name of a level; an unknown name counts as the strictest level (`ParseLevel` in api/helpers.go).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::find(text).unwrap_or(Self::Restricted)
    }

    /// Finds the level `name`.
    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// A configuration that the API server accepts.
#[derive(Debug, Clone, PartialEq)]
pub struct PodSecurityConfig {
    /// The level that a namespace without a label enforces; none for the default, which is privileged.
    pub enforce: Option<PodSecurityLevel>,
    /// The version of that level, empty for the default: latest.
    pub enforce_version: String,
    /// The position of the level, or else of the defaults or the configuration.
    pub enforce_position: Position,
    /// Users whose pods are exempt.
    pub usernames: Located<Vec<String>>,
    /// Namespaces whose pods are exempt.
    pub namespaces: Located<Vec<String>>,
    /// Runtime classes whose pods are exempt.
    pub runtime_classes: Located<Vec<String>>,
    /// The position of the exemptions, or else of the configuration.
    pub exemptions_position: Position,
    /// The position of a second document, which is not read.
    pub second_document: Option<Position>,
}

/// Why the API server refuses a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodSecurityRefusal {
    /// It is no YAML or JSON, or a field has the wrong type.
    Syntax,
    /// Its API version or kind is another.
    Version,
    /// A field is unknown or there twice.
    Field,
    /// A level, or the version of one.
    Level,
    /// An exemption.
    Exemption,
}

type Validated<T = ()> = Result<T, Refusal<PodSecurityRefusal>>;

/// Reads a configuration as the API server of a minor reads it.
///
/// # Errors
/// Why the API server refuses it.
pub fn read(document: &ObjectFile, minor: KubernetesMinor) -> Validated<PodSecurityConfig> {
    let syntax = || Refusal::with_reason(PodSecurityRefusal::Syntax);
    let root = &document.root;
    document.kind().map_err(syntax())?;
    document
        .expect(&config_fields::registered(KIND, minor))
        .map_err(Refusal::with_reason(PodSecurityRefusal::Version))?;
    let dropped = config_fields::decode_file(document, minor).map_err(syntax())?.unknown;
    object::refuse_dropped(&dropped).map_err(Refusal::with_reason(PodSecurityRefusal::Field))?;
    let defaults = object::field(root, "defaults");
    let exemptions = object::field(root, "exemptions");
    defaults.map_or(Ok(()), check_defaults)?;
    exemptions.map_or(Ok(()), check_exemptions)?;
    let default = |name| defaults.map_or("", |defaults| object::text(defaults, name));
    let exempt = |name| Located {
        value: exemptions.map_or_else(Vec::new, |exemptions| object::texts(exemptions, name)),
        position: exemptions.map_or(root.position, |exemptions| object::position_of(exemptions, name)),
    };
    Ok(PodSecurityConfig {
        enforce: PodSecurityLevel::find(default("enforce")),
        enforce_version: default("enforce-version").to_owned(),
        enforce_position: defaults.map_or(root.position, |defaults| object::position_of(defaults, "enforce")),
        usernames: exempt("usernames"),
        namespaces: exempt("namespaces"),
        runtime_classes: exempt("runtimeClasses"),
        exemptions_position: exemptions.map_or(root.position, |exemptions| exemptions.position),
        second_document: document.second_document,
    })
}

fn check_defaults(defaults: &YamlNode) -> Validated {
    let refuse = |name: &str, rule: &str, text: &str| {
        let message = format!("PodSecurity configuration error: {name}: must be {rule}, not {text:?}");
        Err(Refusal::new(PodSecurityRefusal::Level, object::position_of(defaults, name), message))
    };
    for mode in MODES {
        let level = object::text(defaults, mode);
        if !level.is_empty() && PodSecurityLevel::find(level).is_none() {
            return refuse(
                mode,
                &format!("one of {}", PodSecurityLevel::ALL.map(PodSecurityLevel::name).join(", ")),
                level,
            );
        }
        let name = format!("{mode}-version");
        let version = object::text(defaults, &name);
        if !version.is_empty() && !is_version(version) {
            return refuse(&name, "\"latest\" or \"v1.x\"", version);
        }
    }
    Ok(())
}

/// Tells whether the feature gates PodSecurity and AllBeta can keep PodSecurity of a minor from checking pods.
#[must_use]
pub fn can_be_gated(minor: KubernetesMinor) -> bool {
    minor < GATE_LOCKED_FROM
}

/// Reads the minor of a version of the Pod Security Standards; none for latest, and for a text that is no version
/// (`ParseVersion` in api/helpers.go).
#[must_use]
pub fn version_minor(text: &str) -> Option<u16> {
    text.strip_prefix("v1.").and_then(|minor| minor.parse().ok())
}

/// Tells whether a text is a version of the Pod Security Standards (`ParseVersion` in api/helpers.go).
#[must_use]
pub fn is_version(text: &str) -> bool {
    let minor = |minor: &str| {
        minor.bytes().all(|byte| byte.is_ascii_digit())
            && (minor == "0" || !minor.starts_with('0'))
            && minor.parse::<i64>().is_ok()
    };
    text == "latest" || text.strip_prefix("v1.").is_some_and(minor)
}

fn check_exemptions(exemptions: &YamlNode) -> Validated {
    type NameRule = (&'static str, fn(&str) -> bool, &'static str);
    const RULES: [NameRule; 3] = [
        (
            "namespaces",
            names::is_label,
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character, and be no more than 63 characters",
        ),
        (
            "runtimeClasses",
            names::is_subdomain,
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
        ),
        ("usernames", |name| !name.is_empty(), "username must not be empty"),
    ];
    for (field, fits, rule) in RULES {
        let mut seen = HashSet::new();
        for (index, item) in object::items(exemptions, field).iter().enumerate() {
            let name = object::node_text(item);
            let wrong = if !fits(name) {
                format!("Invalid value: {name:?}: {rule}")
            } else if seen.insert(name) {
                continue;
            } else {
                format!("Duplicate value: {name:?}")
            };
            let message = format!("PodSecurity invalid: exemptions.{field}[{index}]: {wrong}");
            return Err(Refusal::new(PodSecurityRefusal::Exemption, item.position, message));
        }
    }
    Ok(())
}
