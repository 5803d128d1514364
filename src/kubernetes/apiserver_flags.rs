//! The flags of an API server: their values, and the values that parse and that it refuses all the same.
//!
//! Source: pkg/server/options of k8s.io/apiserver, pkg/kubeapiserver/options of Kubernetes.

use std::collections::BTreeSet;

use super::{admission_plugins, audit_policy, feature_gates, flag_values};
use crate::version::KubernetesMinor;

const AUTHORIZATION_MODES: [&str; 6] = ["AlwaysAllow", "AlwaysDeny", "ABAC", "Webhook", "RBAC", "Node"];
const AUDIT_MODES: [&str; 3] = ["batch", "blocking", "blocking-strict"];
const AUDIT_FORMATS: [&str; 2] = ["legacy", "json"];
/// The defaults of `audit-*-truncate-max-batch-size` and `audit-*-truncate-max-event-size`, in bytes.
const TRUNCATED_BATCH_BYTES: i128 = 10 * 1024 * 1024;
const TRUNCATED_EVENT_BYTES: i128 = 100 * 1024;
/// Flags that must not be negative.
const NOT_NEGATIVE: [&str; 8] = [
    "livez-grace-period",
    "max-mutating-requests-inflight",
    "max-requests-inflight",
    "min-request-timeout",
    "request-timeout",
    "shutdown-delay-duration",
    "shutdown-watch-termination-grace-period",
    "storage-initialization-timeout",
];
const MEDIA_TYPES: [&str; 3] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const SECOND: i128 = 1_000_000_000;

/// The flags of an API server: names without dashes, and values, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiServerFlags(Vec<(String, String)>);

/// A flag that the API server refuses, although its value parses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFlag {
    /// The flag.
    pub flag: String,
    /// The class of the fault.
    pub reason: FlagRefusal,
    /// The API server's own message.
    pub message: String,
}

/// Why the API server refuses a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagRefusal {
    /// The minor has no admission plugin of this name.
    UnknownPlugin(String),
    /// These admission plugins are enabled and disabled.
    PluginOverlap(Vec<String>),
    /// `admission-control` is set beside the flags that replace it.
    AdmissionControl,
    /// `authorization-config` is set beside `authorization-mode`.
    AuthorizationConfig,
    /// There is no authorization mode, or an unknown one.
    AuthorizationMode,
    /// An authorization mode is given twice.
    RepeatedMode,
    /// An authorization mode lacks its file.
    ModeWithoutFile,
    /// The file of an authorization mode is named without the mode.
    FileWithoutMode,
    /// The value is negative.
    Negative,
    /// The timeout is zero.
    ZeroTimeout,
    /// The expiration of tokens is out of range.
    TokenExpiration,
    /// The probability is out of range.
    Chance,
    /// The port is out of range.
    Port,
    /// The value is none of the names that the API server has.
    Name,
    /// The encryption configuration is reloaded, but not set.
    ReloadWithoutConfig,
    /// The mode of an audit backend is unknown.
    AuditMode,
    /// A number of an audit backend is not positive.
    AuditNotPositive,
    /// A batch of audit events is smaller than an event.
    AuditBatch,
    /// The API version of audit events is unknown.
    AuditVersion,
    /// The format of the audit log is unknown.
    AuditFormat,
    /// A limit of the audit log is negative.
    AuditNegative,
}

/// Flags that exclude `authorization-config`, as `authorization-mode` does (`AreLegacyFlagsSet` in
/// pkg/kubeapiserver/options/authorization.go).
const AUTHORIZATION_WEBHOOK_FLAGS: [&str; 4] = [
    "authorization-webhook-cache-authorized-ttl",
    "authorization-webhook-cache-unauthorized-ttl",
    "authorization-webhook-config-file",
    "authorization-webhook-version",
];

impl ApiServerFlags {
    /// Takes flags: names without dashes, and values.
    #[must_use]
    pub fn new(flags: Vec<(String, String)>) -> Self {
        Self(flags)
    }

    /// Returns the last value of a flag; none if it is not set or empty.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let last = self.0.iter().rev().find(|(flag, _)| flag == name);
        last.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Tells whether a flag is set, even to an empty value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(flag, _)| flag == name)
    }

    /// Returns every value of a flag that is not read as a list.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(flag, _)| flag == name).map(|(_, value)| value.clone()).collect()
    }

    /// Returns the names of the flags that are set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Returns all values of a list flag: each further occurrence adds to it.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(flag, _)| flag == name);
        values.filter_map(|(_, value)| flag_values::comma_separated(value)).flatten().collect()
    }

    /// Returns the value that the flags give a feature gate, if they give one.
    #[must_use]
    pub fn gate(&self, name: &str) -> Option<bool> {
        feature_gates::value(&self.list("feature-gates"), name)
    }

    /// Returns the admission plugins that are on in a minor.
    #[must_use]
    pub fn plugins(&self, minor: KubernetesMinor) -> BTreeSet<String> {
        let enabled = self.list("enable-admission-plugins");
        let disabled = self.list("disable-admission-plugins");
        let on = admission_plugins::on_by_default(minor).map(str::to_owned);
        on.filter(|name| !disabled.contains(name)).chain(enabled).collect()
    }

    /// Returns the flags that the API server of a minor refuses, except those of auditing.
    #[must_use]
    pub fn refused(&self, minor: KubernetesMinor) -> Vec<RefusedFlag> {
        let mut refused = self.refused_plugins(minor);
        refused.extend(self.refused_modes());
        refused.extend(self.refused_numbers());
        refused.extend(self.refused_names());
        refused
    }

    fn number(&self, name: &str) -> Option<i128> {
        self.value(name).and_then(flag_values::integer)
    }

    /// Returns the value of a flag as a number: a duration's in nanoseconds.
    fn amount(&self, flag: &str) -> Option<i128> {
        let text = self.value(flag)?;
        flag_values::integer(text).or_else(|| flag_values::duration(text))
    }

    fn refused_plugins(&self, minor: KubernetesMinor) -> Vec<RefusedFlag> {
        let mut refused = Vec::new();
        let flags = ["enable-admission-plugins", "disable-admission-plugins", "admission-control"];
        for flag in flags {
            let unknown = self.list(flag).into_iter().filter(|name| !admission_plugins::has(minor, name));
            refused.extend(unknown.map(|name| {
                let message = format!("{flag} plugin {name:?} is unknown");
                RefusedFlag::new(flag, FlagRefusal::UnknownPlugin(name), message)
            }));
        }
        let enabled = self.list("enable-admission-plugins");
        let mut both = self.list("disable-admission-plugins");
        both.retain(|name| enabled.contains(name));
        if !both.is_empty() {
            let message = format!(
                "[{}] in enable-admission-plugins and disable-admission-plugins overlapped",
                both.join(" ")
            );
            refused.push(RefusedFlag::new(
                "disable-admission-plugins",
                FlagRefusal::PluginOverlap(both),
                message,
            ));
        }
        if self.has("admission-control") && flags[..2].iter().any(|flag| self.has(flag)) {
            let message = "admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive";
            refused.push(RefusedFlag::new("admission-control", FlagRefusal::AdmissionControl, message));
        }
        refused
    }

    fn refused_modes(&self) -> Vec<RefusedFlag> {
        const FLAG: &str = "authorization-mode";
        if self.value("authorization-config").is_some() {
            let message = "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined";
            let refused = RefusedFlag::new("authorization-config", FlagRefusal::AuthorizationConfig, message);
            let legacy = [FLAG].iter().chain(&AUTHORIZATION_WEBHOOK_FLAGS).any(|flag| self.has(flag));
            return legacy.then_some(refused).into_iter().collect();
        }
        let modes = self.list(FLAG);
        let mut refused = Vec::new();
        if modes.is_empty() && self.has(FLAG) {
            let message = "at least one authorization-mode must be passed";
            refused.push(RefusedFlag::new(FLAG, FlagRefusal::AuthorizationMode, message));
        }
        for mode in modes.iter().filter(|mode| !AUTHORIZATION_MODES.contains(&mode.as_str())) {
            let message = format!("authorization-mode {mode:?} is not a valid mode");
            refused.push(RefusedFlag::new(FLAG, FlagRefusal::AuthorizationMode, message));
        }
        if (1..modes.len()).any(|at| modes[..at].contains(&modes[at])) {
            let quoted: Vec<String> = modes.iter().map(|mode| format!("{mode:?}")).collect();
            let message =
                format!("authorization-mode [{}] has mode specified more than once", quoted.join(" "));
            refused.push(RefusedFlag::new(FLAG, FlagRefusal::RepeatedMode, message));
        }
        let files = [
            ("ABAC", "authorization-policy-file", "authorization policy file"),
            ("Webhook", "authorization-webhook-config-file", "authorization config file"),
        ];
        for (mode, flag, name) in files {
            match (modes.iter().any(|known| known == mode), self.value(flag).is_some()) {
                (true, false) => {
                    let message = format!("authorization-mode {mode}'s {name} not passed");
                    refused.push(RefusedFlag::new(FLAG, FlagRefusal::ModeWithoutFile, message));
                }
                (false, true) => {
                    let message = format!("cannot specify --{flag} without mode {mode}");
                    refused.push(RefusedFlag::new(flag, FlagRefusal::FileWithoutMode, message));
                }
                _ => {}
            }
        }
        refused
    }

    fn refused_numbers(&self) -> Vec<RefusedFlag> {
        let mut refused = Vec::new();
        for flag in NOT_NEGATIVE {
            if self.amount(flag).is_some_and(|value| value < 0) {
                let message = format!("--{flag} can not be negative value");
                refused.push(RefusedFlag::new(flag, FlagRefusal::Negative, message));
            }
        }
        if self.amount("request-timeout") == Some(0) {
            let message = "timed out waiting for the condition";
            refused.push(RefusedFlag::new("request-timeout", FlagRefusal::ZeroTimeout, message));
        }
        let flag = "service-account-max-token-expiration";
        let lasts = 3600 * SECOND..=(1_i128 << 32) * SECOND;
        if self.amount(flag).is_some_and(|value| value != 0 && !lasts.contains(&value)) {
            let message = "the service-account-max-token-expiration must be between 1 hour and 2^32 seconds";
            refused.push(RefusedFlag::new(flag, FlagRefusal::TokenExpiration, message));
        }
        let chance = self.value("goaway-chance").and_then(flag_values::number);
        if chance.is_some_and(|chance| !(0.0..=0.02).contains(&chance)) {
            let message = "--goaway-chance can not be less than 0 or greater than 0.02";
            refused.push(RefusedFlag::new("goaway-chance", FlagRefusal::Chance, message));
        }
        if let Some(port) = self.number("secure-port").filter(|port| !(1..=65535).contains(port)) {
            let message = format!(
                "--secure-port {port} must be between 1 and 65535, inclusive. It cannot be turned off with 0"
            );
            refused.push(RefusedFlag::new("secure-port", FlagRefusal::Port, message));
        }
        refused
    }

    /// Flags that take one of a fixed set of names.
    fn refused_names(&self) -> Vec<RefusedFlag> {
        let mut refused = Vec::new();
        if self.value("storage-media-type").is_some_and(|text| !MEDIA_TYPES.contains(&text)) {
            let message = format!("--storage-media-type invalid, allowed values: {}", MEDIA_TYPES.join(", "));
            refused.push(RefusedFlag::new("storage-media-type", FlagRefusal::Name, message));
        }
        if self.value("storage-backend").is_some_and(|text| text != "etcd3") {
            let message = "--storage-backend invalid, allowed values: etcd3. If not specified, it will default to 'etcd3'";
            refused.push(RefusedFlag::new("storage-backend", FlagRefusal::Name, message));
        }
        let flag = "encryption-provider-config-automatic-reload";
        let reloads = self.value(flag).and_then(flag_values::boolean) == Some(true);
        if reloads && self.value("encryption-provider-config").is_none() {
            let message = format!("--{flag} must be set with --encryption-provider-config");
            refused.push(RefusedFlag::new(flag, FlagRefusal::ReloadWithoutConfig, message));
        }
        refused
    }

    /// Returns the flags of an audit log or webhook that is on and that the API server of a minor refuses
    /// (pkg/server/options/audit.go of k8s.io/apiserver).
    #[must_use]
    pub fn refused_of_auditing(&self, minor: KubernetesMinor) -> Vec<RefusedFlag> {
        let mut refused = Vec::new();
        for (backend, switch) in [("log", "audit-log-path"), ("webhook", "audit-webhook-config-file")] {
            if self.value(switch).is_some() {
                self.refuse_backend(backend, minor, &mut refused);
            }
        }
        if self.value("audit-log-path").is_none() {
            return refused;
        }
        if let Some(format) = self.value("audit-log-format").filter(|text| !AUDIT_FORMATS.contains(text)) {
            let message = format!("invalid audit log format {format}, allowed formats are \"legacy,json\"");
            refused.push(RefusedFlag::new("audit-log-format", FlagRefusal::AuditFormat, message));
        }
        for name in ["audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize"] {
            if let Some(value) = self.number(name).filter(|value| *value < 0) {
                let message = format!("--{name} {value} can't be a negative number");
                refused.push(RefusedFlag::new(name, FlagRefusal::AuditNegative, message));
            }
        }
        refused
    }

    fn refuse_backend(&self, backend: &str, minor: KubernetesMinor, refused: &mut Vec<RefusedFlag>) {
        let flag = |name: &str| format!("audit-{backend}-{name}");
        let mut refuse = |name: &str, reason: FlagRefusal, message: String| {
            refused.push(RefusedFlag::new(flag(name), reason, message));
        };
        let mode = self.value(&flag("mode"));
        if let Some(mode) = mode.filter(|mode| !AUDIT_MODES.contains(mode)) {
            let message = format!(
                "invalid audit {backend} mode {mode}, allowed modes are \"batch,blocking,blocking-strict\""
            );
            refuse("mode", FlagRefusal::AuditMode, message);
        }
        if mode == Some("batch") || (mode.is_none() && backend == "webhook") {
            let is_throttled = self
                .value(&flag("batch-throttle-enable"))
                .is_none_or(|text| flag_values::boolean(text) == Some(true));
            let sizes = ["batch-buffer-size", "batch-max-size"].into_iter();
            let throttles =
                ["batch-throttle-burst", "batch-throttle-qps"].into_iter().filter(|_| is_throttled);
            for name in sizes.chain(throttles) {
                let value = self.value(&flag(name)).and_then(flag_values::number);
                if value.is_some_and(|value| value <= 0.0) {
                    let message = format!("invalid audit batch {backend} {name}, must be a positive number");
                    refuse(name, FlagRefusal::AuditNotPositive, message);
                }
            }
        }
        let (event_size, batch_size) = ("truncate-max-event-size", "truncate-max-batch-size");
        if self.number(&flag(event_size)).is_some_and(|value| value <= 0) {
            let message =
                format!("invalid audit truncate {backend} max event size, must be a positive number");
            refuse(event_size, FlagRefusal::AuditNotPositive, message);
        }
        let batch = self.number(&flag(batch_size)).unwrap_or(TRUNCATED_BATCH_BYTES);
        let event = self.number(&flag(event_size)).unwrap_or(TRUNCATED_EVENT_BYTES);
        if batch < event {
            let message = format!(
                "invalid audit truncate {backend} max batch size {batch}, must be greater than max event size ({event})"
            );
            let name = if self.has(&flag(batch_size)) { batch_size } else { event_size };
            refuse(name, FlagRefusal::AuditBatch, message);
        }
        let is_known = |version: &str| audit_policy::versions(minor).contains(&version);
        if self.value(&flag("version")).is_some_and(|version| !is_known(version)) {
            let message = "invalid group version, allowed versions are [\"audit.k8s.io/v1\"]".to_owned();
            refuse("version", FlagRefusal::AuditVersion, message);
        }
    }
}

impl RefusedFlag {
    fn new(flag: impl Into<String>, reason: FlagRefusal, message: impl Into<String>) -> Self {
        Self { flag: flag.into(), reason, message: message.into() }
    }
}
