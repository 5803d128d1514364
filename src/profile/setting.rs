// SPDX-License-Identifier: Apache-2.0
//! The settings (data/settings.yaml), their types, and reading a value of one.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::by_minor::SettingValue;
use super::fields::{describe, unknown};
use super::table::ArgumentTable;
use crate::embedded;
use crate::error::{Error, ErrorKind};
use crate::kubernetes::event_rate_limit::LIMIT_TYPES;
use crate::kubernetes::{flag_values, names, pod_security};
use crate::version::{KubernetesMinor, MinorRange};

/// The key of a settings file that is no setting: accepted findings (see [`crate::verify::waivers`]). It changes
/// nothing that `apply` writes.
pub const WAIVERS: &str = "waivers";
/// Longest text that a setting takes, in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;
/// Longest list that a setting takes.
pub const MAX_LIST_ITEMS: usize = 1000;

/// One row of data/settings.yaml.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    #[serde(rename = "type")]
    kind: SettingType,
    #[serde(default)]
    choices: Vec<String>,
    of: Option<TextForm>,
    minimum: Option<i64>,
    maximum: Option<i64>,
    #[serde(default)]
    optional: bool,
    default: SettingValue,
    /// The minors on which the setting means anything.
    #[serde(default)]
    pub kubernetes: MinorRange,
    /// What it does, in a sentence.
    pub description: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SettingType {
    Boolean,
    Integer,
    Choice,
    Text,
    List,
    Duration,
    Mode,
    Path,
    EventRateLimits,
}

/// The form that a text, or each item of a list, must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TextForm {
    Namespace,
    RuntimeClass,
    Name,
    CipherSuite,
    PodSecurityVersion,
    Registry,
    Label,
}

/// A value that does not fit: the path to it inside the value, and what was expected there.
#[derive(Debug)]
pub struct InvalidValue {
    /// Keys and list indices from the value down.
    pub path: Vec<String>,
    /// What was expected and found.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl InvalidValue {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { path: Vec::new(), message: message.into(), hint: hint.into() }
    }

    fn under(mut self, key: &(impl ToString + ?Sized)) -> Self {
        self.path.insert(0, key.to_string());
        self
    }
}

type Fit<T> = std::result::Result<T, InvalidValue>;

/// Returns every setting by its name.
#[must_use]
pub fn declarations() -> &'static BTreeMap<String, Declaration> {
    static DECLARATIONS: LazyLock<BTreeMap<String, Declaration>> =
        LazyLock::new(|| embedded::table("settings"));
    &DECLARATIONS
}

/// Returns the error for a setting that does not exist; `others` are other keys that are allowed there.
#[must_use]
pub(super) fn unknown_setting(
    error: Error,
    name: &str,
    declarations: &BTreeMap<String, Declaration>,
    others: &[&str],
) -> Error {
    if name == WAIVERS {
        return error.hint("waivers are supported only in the settings file");
    }
    let names: Vec<&str> = declarations.keys().map(String::as_str).chain(others.iter().copied()).collect();
    unknown(error, name, &names)
}

impl Declaration {
    /// Returns the default on `minor`.
    #[must_use]
    pub fn default_on(&self, minor: KubernetesMinor) -> Value {
        self.default.on(minor).cloned().unwrap_or(Value::Null)
    }

    /// Tells whether the default is another one on some minors.
    #[must_use]
    pub fn differs_by_minor(&self) -> bool {
        matches!(self.default, SettingValue::ByMinor(_))
    }

    /// Returns what the setting takes, in words.
    #[must_use]
    pub fn type_in_words(&self) -> String {
        let mut words = match self.kind {
            SettingType::Boolean => "true or false".to_owned(),
            SettingType::Integer => {
                format!("a number from {} to {}", self.minimum.unwrap_or(0), self.maximum.unwrap_or(i64::MAX))
            }
            SettingType::Choice => format!("one of {}", self.choices.join(", ")),
            SettingType::Text => format!("{}, as text", self.of.map_or("text", TextForm::in_words)),
            SettingType::List => format!("a list, each item {}", self.of.map_or("text", TextForm::in_words)),
            SettingType::Duration => "a duration such as \"300s\" or \"5m\"".to_owned(),
            SettingType::Mode => "a file mode in quotes, such as \"0600\"".to_owned(),
            SettingType::Path => "the path of a file".to_owned(),
            SettingType::EventRateLimits => "a list of {type, qps, burst, cacheSize}".to_owned(),
        };
        if self.optional {
            words.push_str(", or null");
        }
        words
    }

    /// Reads what was typed after `--set name=`; nothing and `null` take an earlier value back, and are not read.
    ///
    /// # Errors
    /// The misfit.
    pub fn parse(&self, text: &str) -> Fit<Value> {
        let value = match self.kind {
            SettingType::Boolean if text == "true" || text == "false" => Value::Bool(text == "true"),
            SettingType::Integer => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
            SettingType::List | SettingType::EventRateLimits if text.trim_start().starts_with('[') => {
                serde_yaml::from_str(text)
                    .map_err(|_| InvalidValue::new("this is not a YAML list", "write it as [a, b]"))?
            }
            SettingType::List => text.split(',').map(str::trim).collect::<Vec<_>>().into(),
            _ => text.into(),
        };
        self.check(&value)
    }

    /// Checks a value and returns it in its normal form (lists without repetitions).
    ///
    /// # Errors
    /// The misfit.
    pub fn check(&self, value: &Value) -> Fit<Value> {
        match (self.kind, value) {
            (_, Value::Null) if self.optional => {}
            (SettingType::Boolean, Value::Bool(_)) => {}
            (SettingType::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => {
                let number = number.as_i64().unwrap_or(i64::MAX);
                let (minimum, maximum) = (self.minimum.unwrap_or(0), self.maximum.unwrap_or(i64::MAX));
                if !(minimum..=maximum).contains(&number) {
                    return Err(self.invalid(value));
                }
            }
            (SettingType::Choice, Value::String(text)) if self.choices.contains(text) => {}
            (SettingType::Text, Value::String(text)) if self.of.is_none_or(|form| form.fits(text)) => {}
            (SettingType::Duration, Value::String(text)) if is_duration(text) => {}
            (SettingType::Mode, Value::String(text)) if text.parse::<crate::mode::FileMode>().is_ok() => {}
            (SettingType::Path, Value::String(text)) if is_path(text) => {}
            (SettingType::List, Value::Array(items)) => return self.check_list(items),
            (SettingType::EventRateLimits, Value::Array(items)) => check_limits(items)?,
            _ => return Err(self.invalid(value)),
        }
        Ok(value.clone())
    }

    /// Tells whether the value must be written in quotes, because a plain scalar reads as something else.
    #[must_use]
    pub fn needs_quotes(&self) -> bool {
        self.kind == SettingType::Mode
    }

    /// Tells whether the value names a file.
    #[must_use]
    pub fn is_path(&self) -> bool {
        self.kind == SettingType::Path
    }

    /// Returns the misfit of a value of the wrong type or out of range.
    #[must_use]
    pub fn invalid(&self, value: &Value) -> InvalidValue {
        let hint = match self.kind {
            SettingType::Mode => "modes are octal: write \"0600\", in quotes".to_owned(),
            _ => format!("write {}", self.type_in_words()),
        };
        InvalidValue::new(format!("{} does not fit", describe(value)), hint)
    }

    fn check_list(&self, items: &[Value]) -> Fit<Value> {
        if items.len() > MAX_LIST_ITEMS {
            return Err(InvalidValue::new(
                format!("the list has {} items", items.len()),
                format!("the limit is {MAX_LIST_ITEMS}"),
            ));
        }
        let mut kept: Vec<&str> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let words = self.of.map_or("text", TextForm::in_words);
            let invalid = || {
                InvalidValue::new(format!("{} is not {words}", describe(item)), format!("write {words}"))
                    .under(&index)
            };
            let text = item
                .as_str()
                .filter(|text| self.of.is_none_or(|form| form.fits(text)))
                .ok_or_else(invalid)?;
            // A namespace given twice stops the API server (validation of PodSecurityConfiguration).
            if !kept.contains(&text) {
                kept.push(text);
            }
        }
        Ok(kept.into())
    }
}

impl TextForm {
    fn in_words(self) -> &'static str {
        match self {
            Self::Namespace => "the name of a namespace",
            Self::RuntimeClass => "the name of a RuntimeClass",
            Self::Name => "a name",
            Self::CipherSuite => "a strong cipher suite such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            Self::PodSecurityVersion => "latest or a minor such as v1.33",
            Self::Registry => "a registry or a path in one, such as ghcr.io/acme",
            Self::Label => "a label such as app.kubernetes.io/name=web",
        }
    }

    fn fits(self, text: &str) -> bool {
        match self {
            Self::Namespace => names::is_label(text),
            Self::RuntimeClass => names::is_subdomain(text),
            Self::Name => !text.is_empty() && text.len() <= MAX_TEXT_BYTES,
            Self::CipherSuite => ArgumentTable::get().is_readable_cipher_suite(text),
            Self::PodSecurityVersion => pod_security::is_version(text),
            Self::Registry => is_registry(text),
            Self::Label => text
                .split_once('=')
                .is_some_and(|(key, value)| names::is_qualified(key) && names::is_label_value(value)),
        }
    }
}

/// A Go duration without a sign or a fraction, not longer than Go can count in nanoseconds.
fn is_duration(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric()) && flag_values::duration(text).is_some()
}

/// A host, with a port or without, and a path behind it or none (the grammar of github.com/distribution/reference).
fn is_registry(text: &str) -> bool {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, path) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let part = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        part.bytes().all(inner) && is_end(part.bytes().next()) && is_end(part.bytes().last())
    };
    text.len() <= 253
        && names::is_subdomain(name)
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
        && path.is_none_or(|path| path.split('/').all(part))
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT_BYTES && !text.contains('\0')
}

/// Checks limits as plugin/pkg/admission/eventratelimit validates them.
fn check_limits(items: &[Value]) -> Fit<()> {
    const KEYS: [&str; 4] = ["type", "qps", "burst", "cacheSize"];
    if items.is_empty() {
        return Err(InvalidValue::new(
            "there are no limits",
            "the API server does not start without one: write [{type: Server, qps: 5000, burst: 20000}]",
        ));
    }
    for (index, item) in items.iter().enumerate() {
        let Some(limit) = item.as_object() else {
            return Err(InvalidValue::new(
                format!("{} is not a limit", describe(item)),
                "write {type: Server, qps: 5000, burst: 20000}",
            )
            .under(&index));
        };
        if let Some(key) = limit.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(InvalidValue::new(
                format!("unknown key {key:?}"),
                format!("use one of: {}", KEYS.join(", ")),
            )
            .under(key)
            .under(&index));
        }
        if !limit.get("type").and_then(Value::as_str).is_some_and(|kind| LIMIT_TYPES.contains(&kind)) {
            return Err(InvalidValue::new(
                "a limit has a type",
                format!("write one of {}", LIMIT_TYPES.join(", ")),
            )
            .under("type")
            .under(&index));
        }
        for (key, least, required) in [("qps", 1, true), ("burst", 1, true), ("cacheSize", 0, false)] {
            let fits = match limit.get(key) {
                None => !required,
                Some(value) => {
                    value.as_i64().is_some_and(|number| (least..=i64::from(i32::MAX)).contains(&number))
                }
            };
            if !fits {
                let hint = format!("write a number from {least} to {}", i32::MAX);
                return Err(InvalidValue::new(format!("{key} does not fit"), hint).under(key).under(&index));
            }
        }
    }
    Ok(())
}

/// Turns a misfit of the setting `name`, given on the command line, into an error.
#[must_use]
pub(super) fn invalid_value_error(name: &str, origin: &str, invalid: &InvalidValue) -> Error {
    Error::new(ErrorKind::BadInput, format!("{origin}: {name}: {}", invalid.message))
        .hint(invalid.hint.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubernetes::pod_security::PodSecurityLevel;
    use crate::kubernetes::tls;

    #[test]
    fn every_default_fits_its_own_type_on_every_minor() {
        for (name, declaration) in declarations() {
            for minor in KubernetesMinor::supported() {
                let value = declaration.default_on(minor);
                assert!(declaration.check(&value).is_ok(), "{name} on {minor}: {value}");
            }
        }
    }

    #[test]
    fn choices_and_defaults_are_names_that_kubernetes_has() {
        let choices = |name: &str| declarations()[name].choices.clone();
        for name in ["pod_security_enforce", "pod_security_audit", "pod_security_warn"] {
            assert_eq!(choices(name), PodSecurityLevel::ALL.map(PodSecurityLevel::name), "{name}");
        }
        let versions = choices("kubelet_tls_min_version");
        assert!(!versions.is_empty() && versions.iter().all(|version| tls::versions().contains(version)));
        let namespaces = declarations()["namespaces"].default_on(KubernetesMinor::supported()[0]);
        let mut names: Vec<&str> =
            namespaces.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let mut built_in = names::BUILT_IN_NAMESPACES;
        names.sort_unstable();
        built_in.sort_unstable();
        assert_eq!(names, built_in);
    }

    #[test]
    fn durations_are_gos() {
        for good in ["2562047h", "300s", "5m", "1h30m", "4h0m0s", "0", "250ms"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "300", "5 m", "-5m", "m", "5d", "5m3", "9999999999999s", "2562048h"] {
            assert!(!is_duration(bad), "{bad}");
        }
    }

    #[test]
    fn lists_lose_repetitions_and_refuse_bad_names() {
        let namespaces = &declarations()["namespaces"];
        assert_eq!(namespaces.parse("b,a, b").unwrap(), json!(["b", "a"]));
        assert_eq!(namespaces.parse("[x]").unwrap(), json!(["x"]));
        let invalid = namespaces.check(&json!(["ok", "Not_OK"])).unwrap_err();
        assert_eq!(invalid.path, ["1"]);
        assert_eq!(invalid.message, "the text \"Not_OK\" is not the name of a namespace");
    }

    #[test]
    fn numbers_where_a_mode_should_be_are_refused() {
        let mode = &declarations()["write_kubeconfig_mode"];
        assert!(mode.check(&json!("0600")).is_ok());
        for bad in [json!(600), json!(384), json!("rw-------"), json!("0999"), json!("7")] {
            assert_eq!(mode.check(&bad).unwrap_err().hint, "modes are octal: write \"0600\", in quotes");
        }
    }

    #[test]
    fn limits_are_checked_as_the_api_server_does() {
        let limits = &declarations()["event_rate_limits"];
        assert!(limits.parse("[{type: User, qps: 1, burst: 1, cacheSize: 0}]").is_ok());
        for bad in [
            "[]",
            "[{type: Cluster, qps: 1, burst: 1}]",
            "[{type: Server, qps: 0, burst: 1}]",
            "[{type: Server, burst: 1}]",
            "[5]",
            "x",
        ] {
            assert!(limits.parse(bad).is_err(), "{bad}");
        }
    }
}
