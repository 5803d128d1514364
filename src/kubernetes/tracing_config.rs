// SPDX-License-Identifier: Apache-2.0
//! The tracing configuration that the API server's flag `tracing-config-file` names.
//!
//! Source: pkg/server/options/tracing.go and pkg/apis/apiserver/*/register.go of k8s.io/apiserver, and
//! tracing/api/v1/config.go of k8s.io/component-base.

use super::config_fields;
use super::go_url;
use super::object::{self, Fault, ObjectFile, Position, Refusal};
use crate::version::KubernetesMinor;

/// The feature gate that the flag needs.
pub const GATE: &str = "APIServerTracing";

const KIND: &str = "TracingConfiguration";
/// The first minor that decodes the file strictly (k8s.io/apiserver v0.32).
const STRICT_FROM: KubernetesMinor = KubernetesMinor::new(32);
/// The version of the type that the API server decodes into.
const INTERNAL: &str = "apiserver.config.k8s.io/__internal";
const MAX_RATE: i64 = 1_000_000;
/// What an endpoint may begin with.
const SCHEMES: [&str; 3] = ["dns", "unix", "unix-abstract"];

/// A configuration that the API server accepts.
#[derive(Debug, Clone, PartialEq)]
pub struct TracingConfig {
    /// Fields that are unknown or there twice: the API server drops them silently.
    pub dropped: Vec<Fault>,
    /// The position of a second document, which is not read.
    pub second_document: Option<Position>,
}

/// Why the API server refuses a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TracingRefusal {
    /// It is no YAML or JSON, or a field has the wrong type.
    Syntax,
    /// Its API version or kind is another.
    Version,
    /// A field is unknown or there twice, and the minor is strict.
    Field,
    /// A value.
    Value,
}

/// Reads a configuration as the API server of a minor reads it.
///
/// # Errors
/// Why the API server refuses it.
pub fn read(bytes: &[u8], minor: KubernetesMinor) -> Result<TracingConfig, Refusal<TracingRefusal>> {
    let syntax = || Refusal::with_reason(TracingRefusal::Syntax);
    let document = ObjectFile::read(bytes).map_err(syntax())?;
    let registered = config_fields::registered(KIND, minor);
    let known = registered.first().copied().unwrap_or_default();
    // The API server decodes into an object of the kind (`DecodeInto`): a file need not say what it is.
    let (version, kind) = document.kind().map_err(syntax())?;
    let (version, kind) = match (version.as_str(), kind.as_str()) {
        ("" | INTERNAL, "" | KIND) => known,
        (version, "") => (version, KIND),
        said => said,
    };
    if !registered.contains(&(version, kind)) {
        document.expect(&registered).map_err(Refusal::with_reason(TracingRefusal::Version))?;
    }
    let decoded = config_fields::decode_file_as(&document, (version, kind), minor);
    let dropped = decoded.map_err(syntax())?.unknown;
    if minor >= STRICT_FROM {
        object::refuse_dropped(&dropped).map_err(Refusal::with_reason(TracingRefusal::Field))?;
    }
    let wrong = |name: &str, value: &str, why: &str| {
        let message = format!("{name}: Invalid value: {value}: {why}");
        Err(Refusal::new(TracingRefusal::Value, object::position_of(&document.root, name), message))
    };
    let rate = object::number(&document.root, "samplingRatePerMillion");
    if rate < 0 {
        return wrong("samplingRatePerMillion", &rate.to_string(), "sampling rate must be positive");
    }
    if rate > MAX_RATE {
        let why = "sampling rate per million must be less than or equal to one million";
        return wrong("samplingRatePerMillion", &rate.to_string(), why);
    }
    let endpoint = object::text(&document.root, "endpoint");
    let endpoint = if endpoint.contains("//") { endpoint.to_owned() } else { format!("dns://{endpoint}") };
    match go_url::parse(&endpoint) {
        Err(why) => return wrong("endpoint", &format!("{endpoint:?}"), &why),
        Ok(url) if !SCHEMES.contains(&url.scheme.as_str()) => {
            let why =
                format!("unsupported scheme: {}. Options are none, dns, unix, or unix-abstract", url.scheme);
            return wrong("endpoint", &format!("{endpoint:?}"), &why);
        }
        Ok(_) => {}
    }
    Ok(TracingConfig { dropped, second_document: document.second_document })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str, minor: u16) -> Option<TracingRefusal> {
        read(text.as_bytes(), KubernetesMinor::new(minor)).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn what_the_api_server_of_a_minor_accepts() {
        use TracingRefusal::{Field, Syntax, Value, Version};
        let with = |version: &str, more: &str| {
            format!("apiVersion: apiserver.config.k8s.io/{version}\nkind: TracingConfiguration\n{more}")
        };
        for (text, minor, expected) in [
            (with("v1beta1", ""), 33, None),
            (with("v1alpha1", "endpoint: localhost:4317\n"), 33, None),
            (with("v1beta1", ""), 26, Some(Version)),
            (with("v1", ""), 33, Some(Version)),
            (with("v1", ""), 34, None),
            (with("v1beta1", "").replace("config.k8s", "k8s"), 36, Some(Version)),
            (with("v1beta1", "").replace("Tracing", "Trace"), 36, Some(Version)),
            (String::new(), 36, None),
            ("{}".to_owned(), 29, None),
            ("endpoint: localhost:4317\n".to_owned(), 36, None),
            ("endpoint: localhost:4317\nrate: 1\n".to_owned(), 36, Some(Field)),
            ("samplingRatePerMillion: -1\n".to_owned(), 29, Some(Value)),
            (with("v1", "").replace("kind: TracingConfiguration", ""), 36, None),
            (with("v1", "").replace("kind: TracingConfiguration", ""), 29, Some(Version)),
            ("kind: TracingConfiguration\n".to_owned(), 36, None),
            ("kind: AdmissionConfiguration\n".to_owned(), 36, Some(Version)),
            ("apiVersion: v1\n".to_owned(), 36, Some(Version)),
            ("kind: [\n".to_owned(), 36, Some(Syntax)),
            (with("v1beta1", "samplingRatePerMillion: many\n"), 36, Some(Syntax)),
            (with("v1beta1", "rate: 1\n"), 36, Some(Field)),
            (with("v1beta1", "rate: 1\n"), 31, None),
            (with("v1beta1", "samplingRatePerMillion: 1000000\n"), 36, None),
            (with("v1beta1", "samplingRatePerMillion: 1000001\n"), 36, Some(Value)),
            (with("v1beta1", "samplingRatePerMillion: -1\n"), 36, Some(Value)),
            (with("v1beta1", "endpoint: https://x:4317\n"), 36, Some(Value)),
            (with("v1beta1", "endpoint: 'a b:%zz'\n"), 36, Some(Value)),
            (with("v1beta1", "endpoint: unix:///run/x.sock\n"), 36, None),
            (with("v1beta1", "endpoint: dns:///x:4317\n"), 36, None),
        ] {
            assert_eq!(refusal(&text, minor), expected, "1.{minor}: {text}");
        }
    }
}
